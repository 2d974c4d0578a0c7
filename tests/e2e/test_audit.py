"""The audit on an account that somebody has tampered with: each thing is found, and gone once its remedy has run."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg import conninfo

from tests import aws_cli
from tests.e2e.conftest import PRIMARY, PROVISION, REPLICA, SECRET, Account
from tests.provocations import proves, saw
from tests.sandbox_fixtures import tcp

INIT = ("init", *PROVISION[1:])
EXTRA = """
[[network.allow]]
cidr = "203.0.113.9/32"
note = "declared, and not let in"

[[network.allow]]
cidr = "203.0.113.10/32"
expires = 2020-01-31
note = "over, and still let in"

[[network.allow]]
cidr = "203.0.113.11/32"
expires = 2020-01-31

[users.robot]
auth = "iam"
secret = "unused"
"""
OTHER = "192.0.2.0/24"

Keys = set[tuple[str, str, str]]


def audit(account: Account, *options: str, status: int) -> dict[str, Any]:
    ran = account.run("--format", "json", "audit", *options)
    assert ran.status == status, ran
    assert ran.document["schema"] == "replica-access/audit/1"
    saw(keys(ran.document))
    return ran.document


def keys(document: dict[str, Any]) -> Keys:
    return set(map(key, document["findings"]))


def key(finding: dict[str, Any]) -> tuple[str, str, str]:
    return finding["rule"], finding["subject"], finding["object"]


def run_remedies(account: Account, findings: list[dict[str, Any]]) -> None:
    """Run each remedy once: what lets a replica replay, what shuts people out, what `apply` does, SQL.

    A command that makes things as declared takes back what SQL did that is not declared, as the remedy says.
    """
    remedies = {(line, each["server"]) for each in findings for line in each["remedy"].splitlines()}
    for line, server in sorted(remedies, key=_order):
        if line.startswith("replica-access "):
            ran = account.run(*shlex.split(line, comments=True)[1:])
            assert ran.status == 0, (line, ran)
        elif line.startswith("aws "):
            aws_cli.run(account.sandbox, line)
        elif not line.startswith(("#", "--")):
            on(account, server, line)


def _order(remedy: tuple[str, str]) -> tuple[int, str]:
    beginnings = ("SELECT pg_wal_replay_resume", "aws ", "replica-access access", "replica-access", "")
    return next(place for place, begin in enumerate(beginnings) if remedy[0].startswith(begin)), remedy[0]


def on(account: Account, server: str, sql: str) -> None:
    """Run on a server of the sandbox as its superuser."""
    where = conninfo.make_conninfo("", **account.superuser(server), dbname="postgres")
    with closing(psycopg.connect(where, autocommit=True)) as connection:
        connection.execute(sql.encode())


@pytest.fixture(scope="module")
def shop(account: Account) -> Account:
    """Set up, and clean as far as anything grave goes; what is missing before is found first."""
    assert account.run(*INIT).status == 0
    before = audit(account, status=3)
    assert ("replica-missing", REPLICA, "") in keys(before)
    run_remedies(account, [each for each in before["findings"] if each["rule"] == "replica-missing"])
    account.wire.calls.clear()
    found = audit(account, "--fail-on", "medium", status=0)
    assert account.wire.calls
    assert account.wire.writes == []
    assert "replica-missing" not in {each["rule"] for each in found["findings"]}
    assert found["not_checked"] == []
    return account


def test_an_account_that_is_another_costs_the_specs_of_it_alone(shop: Account) -> None:
    text = shop.run.spec.read_text(encoding="utf-8")
    for name in ("other.toml", "another.toml"):
        (shop.run.directory / name).write_text(f'{text}\n[aws]\naccount = "999999999999"\n', encoding="utf-8")
    told = audit(shop, "--spec", shop.run.spec.name, "--spec", "*other.toml", "--fail-on", "medium", status=4)
    assert [(each["spec"], each["what"]) for each in told["not_checked"]] == [
        ("another.toml", "everything"),
        ("other.toml", "everything"),
    ]
    assert all("the spec allows 999999999999 only" in each["why"] for each in told["not_checked"])
    assert {each["spec"] for each in told["findings"]} == {shop.run.spec.name}
    assert [each["target"] for each in told["specs"]] == [f"{PRIMARY} and {REPLICA}"] * 3
    assert [each["history"] is not None for each in told["specs"]] == [True, False, False]


@proves("replica-missing", from_the_start=True)
def test_what_aws_does_not_show_is_said_and_keeps_nothing_else_from_being_looked_at(shop: Account) -> None:
    with shop.sandbox.faults(deny=("ec2:DescribeSecurityGroups", "secretsmanager:ListSecretVersionIds")):
        told = audit(shop, status=4)
    why = {each["what"]: each["why"] for each in told["not_checked"]}
    assert list(why) == [
        "age of the password of bi",
        "security groups of the replica, and its settings against the spec",
    ]
    assert "secretsmanager:ListSecretVersionIds" in why["age of the password of bi"]
    assert "ec2:DescribeSecurityGroups" in why["security groups of the replica, and its settings against the spec"]
    assert ("login-no-expiry", "bi", "valid_until") in keys(told)
    assert not {each["rule"] for each in told["findings"]} & {"network-missing", "replica-blocked"}


def test_the_login_that_audits_finds_on_rds_what_the_admin_finds(shop: Account) -> None:
    password = "the auditor's"
    script = shop.run("export", "sql", "--for", "audit").out
    shop.psql("-f", "-", given=script)
    shop.psql("-c", '\\password "auditor"', given=f"{password}\n{password}\n")
    secrets = shop.sandbox.client("secretsmanager")
    secrets.create_secret(Name="auditor", SecretString=json.dumps({"username": "auditor", "password": password}))
    spec = shop.run.directory / "auditor.toml"
    text = shop.run.spec.read_text(encoding="utf-8")
    spec.write_text(text.replace('"prod-db/master"', '"auditor"'), encoding="utf-8")
    shop.sql("CREATE TABLE leasing.not_the_masters ()")
    try:
        as_admin = audit(shop, "--fail-on", "never", "--history", "none", status=0)
        as_auditor = audit(shop, "--spec", "auditor.toml", "--fail-on", "never", "--history", "none", status=0)
    finally:
        shop.sql("DROP TABLE leasing.not_the_masters; DROP OWNED BY auditor; DROP ROLE auditor")
        secrets.delete_secret(SecretId="auditor", ForceDeleteWithoutRecovery=True)
        spec.unlink()
    assert as_admin["not_checked"] == as_auditor["not_checked"] == []
    themselves = ("login-undeclared", "auditor", "LOGIN")
    assert "lack-blocked" in {each["rule"] for each in as_admin["findings"]}
    assert [each for each in as_admin["findings"] if key(each) != themselves] == as_auditor["findings"]


def test_another_password_is_in_the_secret_and_works_on_the_replica_while_the_former_does_not(shop: Account) -> None:
    former = shop.password
    ran = shop.run("--format", "json", "user", "rotate", "bi", "--yes")
    assert ran.status == 0, ran
    (rotated,) = ran.document["rotated"]
    assert rotated["secret"] == SECRET
    assert rotated["proof"] == [{"server": REPLICA, "ok": True, "detail": "lets it in, and refuses the former one"}]
    assert former not in ran.out + ran.err
    with shop.as_reader("app") as session:
        assert session.execute("SELECT 1").fetchone() == (1,)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        shop.sandbox.connect(REPLICA, user="bi", password=former, dbname="app")
    listed = shop.run("--format", "json", "user", "list").document["users"]
    assert {each["name"]: each["secret"] for each in listed} == {"bi": SECRET, "app_backend": None, "migrator": None}
    assert listed[0]["password_written_on"] == datetime.now(UTC).date().isoformat()


@pytest.fixture
def tampered(shop: Account) -> Iterator[Account]:
    """The account with everything done to it that the rules of network and replica look for on RDS."""
    ec2, rds, port = shop.sandbox.ec2, shop.sandbox.rds, shop.sandbox.instance()["Endpoint"]["Port"]
    spec = shop.run.spec.read_bytes()
    replica, primary = shop.sandbox.instance(REPLICA), shop.sandbox.instance(PRIMARY)
    (ours,) = [each["VpcSecurityGroupId"] for each in replica["VpcSecurityGroups"]]
    on_primary = [each["VpcSecurityGroupId"] for each in primary["VpcSecurityGroups"]]
    networks = ("198.51.100.0/24", "0.0.0.0/0", "10.0.0.0/8", "203.0.113.10/32")
    ec2.authorize_security_group_ingress(GroupId=ours, IpPermissions=[tcp(port, each) for each in networks])
    other = shop.sandbox.make_group(OTHER, port=port)
    rds.modify_db_instance(
        DBInstanceIdentifier=REPLICA,
        VpcSecurityGroupIds=[ours, other],
        DeletionProtection=False,
        CloudwatchLogsExportConfiguration={"DisableLogTypes": ["postgresql"]},
        ApplyImmediately=True,
    )
    rds.modify_db_instance(
        DBInstanceIdentifier=PRIMARY,
        VpcSecurityGroupIds=[*on_primary, ours],
        PubliclyAccessible=True,
        ApplyImmediately=True,
    )
    shop.sandbox.settle(PRIMARY)
    group = shop.sandbox.settle(REPLICA)["DBParameterGroups"][0]["DBParameterGroupName"]
    parameter = {"ParameterName": "hot_standby_feedback", "ParameterValue": "0", "ApplyMethod": "immediate"}
    rds.modify_db_parameter_group(DBParameterGroupName=group, Parameters=[parameter])
    shop.sandbox.settle(REPLICA)
    with shop.run.spec.open("a", encoding="utf-8") as file:
        file.write(EXTRA)
    shop.sql("CREATE ROLE robot LOGIN; GRANT analytics TO app_backend WITH ADMIN OPTION;")
    shop.sql("ALTER ROLE bi CONNECTION LIMIT -1; ALTER ROLE bi RESET statement_timeout")
    on(shop, REPLICA, "SELECT pg_wal_replay_pause()")
    yield shop
    on(shop, REPLICA, "SELECT CASE WHEN pg_is_wal_replay_paused() THEN pg_wal_replay_resume() END")
    shop.run.spec.write_bytes(spec)
    shop.sql("DROP ROLE robot")


@proves("login-no-expiry", "login-undeclared", from_the_start=True)
@proves(
    "network-undeclared",
    "network-everybody",
    "network-wide",
    "network-expired",
    "network-stale",
    "network-missing",
    "network-group",
    "network-beyond",
    "network-shared",
    "network-primary-public",
    "replica-unprotected",
    "replica-drift",
    "replica-parameters",
    "replica-logging",
    "replica-not-replicating",
    "login-iam",
    "login-no-limit",
    "login-no-timeout",
    "login-admin-option",
)
def test_what_somebody_did_is_found_and_gone_once_the_remedies_have_been_run(tampered: Account) -> None:
    other = next(
        each["VpcSecurityGroupId"]
        for each in tampered.sandbox.instance(REPLICA)["VpcSecurityGroups"]
        if each["VpcSecurityGroupId"] not in
        {group["VpcSecurityGroupId"] for group in tampered.sandbox.instance(PRIMARY)["VpcSecurityGroups"]}
    )  # fmt: skip
    port = f"port {tampered.sandbox.instance()['Endpoint']['Port']}"
    (ours,) = [
        each["VpcSecurityGroupId"]
        for each in tampered.sandbox.instance(REPLICA)["VpcSecurityGroups"]
        if each["VpcSecurityGroupId"] != other
    ]
    found = audit(tampered, status=3)
    expected = {
        ("network-undeclared", "198.51.100.0/24", port),
        ("network-everybody", "0.0.0.0/0", ours),
        ("network-wide", "10.0.0.0/8", ours),
        ("network-expired", "203.0.113.10/32", port),
        ("network-stale", "203.0.113.11/32", port),
        ("network-missing", "203.0.113.9/32", port),
        ("network-group", other, REPLICA),
        ("network-beyond", OTHER, other),
        ("network-shared", ours, PRIMARY),
        ("network-primary-public", PRIMARY, "PubliclyAccessible"),
        ("replica-unprotected", REPLICA, ""),
        ("replica-drift", REPLICA, "change replica"),
        ("replica-parameters", REPLICA, ""),
        ("replica-logging", REPLICA, ""),
        ("replica-not-replicating", REPLICA, ""),
        ("login-iam", "robot", "rds_iam"),
        ("login-no-limit", "bi", "connection_limit"),
        ("login-no-timeout", "bi", "statement_timeout"),
        ("login-admin-option", "app_backend", "analytics"),
        ("excess-member", "app_backend", "analytics"),
        ("login-no-expiry", "bi", "valid_until"),
        ("login-undeclared", "app_backend", "LOGIN"),
    }
    assert expected <= keys(found)
    assert not [each for each in found["findings"] if "" in {each["message"], each["remedy"], each["evidence"]}]
    run_remedies(tampered, [each for each in found["findings"] if key(each) in expected])
    tampered.sandbox.settle(PRIMARY)
    tampered.sandbox.settle(REPLICA)
    assert not expected & keys(audit(tampered, status=0))

"""The main job from nothing: one command, then a reader who reads, and nothing left to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from tests.cli.program import Ran
from tests.e2e.conftest import PRIMARY, PROVISION, REPLICA, Account

CHANGE = {
    "id", "scope", "database", "action", "object", "summary", "sql", "call", "undo", "destructive", "takes", "acts_as",
    "interrupts",
}  # fmt: skip
PROOF = {"ok", "lsn", "waited_ms", "lag_ms", "same_system", "in_recovery", "catalogs_match", "checks"}


@pytest.fixture(scope="module")
def provisioned(account: Account) -> Ran:
    """The whole job in one command."""
    return account.run(*PROVISION, "--yes")


@pytest.fixture(scope="module")
def done(account: Account, provisioned: Ran) -> Account:
    assert provisioned.status == 0, provisioned
    return account


@pytest.fixture
def logged(done: Account) -> Iterator[Callable[[], str]]:
    """What the primary has logged since the test began, every statement included."""
    instances = done.sandbox.status.directory / "instances"
    path = instances / PRIMARY / "postgres.log"
    done.sql("ALTER SYSTEM SET log_statement = 'all'")
    done.sql("SELECT pg_reload_conf()")
    start = path.stat().st_size

    def logged() -> str:
        return path.read_bytes()[start:].decode()

    yield logged
    done.sql("ALTER SYSTEM RESET log_statement")
    done.sql("SELECT pg_reload_conf()")


def test_one_command_does_all_of_it(provisioned: Ran) -> None:
    assert provisioned.status == 0, provisioned
    assert "create prod-db-analytics, a read replica of prod-db" in provisioned.out
    assert "give bi a generated password, kept in replica-access/bi" in provisioned.out
    assert "both catalogs say the same of every reader" in provisioned.out
    assert "✗" not in provisioned.out


def test_the_reader_reads_what_it_should_on_the_replica(done: Account) -> None:
    with done.as_reader("app") as reader:
        for relation in (
            "leasing.units",
            "leasing.rent_roll",
            "accounting.payments",
            "accounting.monthly_income",
            "accounting.payment_numbers",
            'public."Lease Documents"',
            'public."Übergabeprotokolle"',
        ):
            assert reader.execute(f"SELECT count(*) FROM {relation}".encode()).fetchone() != (None,)
    with done.as_reader("reporting") as reader:
        reader.execute("SELECT * FROM warehouse.occupancy_rate")


def test_the_reader_is_refused_everything_else(done: Account) -> None:
    with done.as_reader("app") as reader:
        for statement in (
            "SELECT * FROM vault.api_keys",
            "SELECT * FROM public.user_passwords",
            "INSERT INTO leasing.units DEFAULT VALUES",
            "SELECT nextval('accounting.payment_numbers')",
            "CREATE TABLE public.mine ()",
            "CREATE TEMP TABLE mine ()",
        ):
            with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction)):
                reader.execute(statement.encode())
    for parameters in ({"dbname": "rdsadmin"}, {"sslmode": "disable"}, {"password": "guessed"}):
        with pytest.raises(psycopg.OperationalError), done.as_reader("app", **parameters):
            pass


def test_what_creators_make_later_is_readable_with_no_further_run(done: Account) -> None:
    done.sql("SET SESSION AUTHORIZATION migrator; CREATE SCHEMA later; CREATE TABLE later.made AS SELECT 1 AS id")
    try:
        assert done.run("verify").status == 0  # waits until the replica has it
        with done.as_reader("app") as reader:
            assert reader.execute("SELECT id FROM later.made").fetchone() == (1,)
    finally:
        done.sql("DROP SCHEMA later CASCADE")


def test_what_is_new_is_granted_and_proved_on_the_replica(done: Account) -> None:
    done.sql(
        """SET SESSION AUTHORIZATION migrator; CREATE SCHEMA fresh; CREATE TABLE fresh.covered (id int);
        CREATE TABLE fresh.revoked (id int); REVOKE SELECT ON fresh.revoked FROM analytics"""
    )
    try:
        granted = document(done, "grant", "--yes")
        appeared = granted["appeared"]
        assert [(schema["database"], schema["name"], schema["owner"]) for schema in appeared["schemas"]] == [
            ("app", "fresh", "migrator")
        ]
        assert {found["name"]: found["readers"] for found in appeared["relations"]} == {
            "covered": {"analytics": "readable"},
            "revoked": {"analytics": "granted"},
        }
        assert len(granted["applied"]) == 1
        assert_proof(granted["proof"])
        with done.as_reader("app") as reader:
            reader.execute("SELECT * FROM fresh.covered, fresh.revoked")
    finally:
        done.sql("DROP SCHEMA fresh CASCADE")


def test_a_second_run_changes_nothing_anywhere(done: Account, logged: Callable[[], str]) -> None:
    before = done.facts()
    done.wire.calls.clear()
    ran = done.run("apply", "--yes")
    assert ran.status == 0, ran
    assert ran.out.startswith("Nothing to do.")
    assert done.wire.calls
    assert done.wire.writes == []
    verbs = set(re.findall(r"(?:statement|execute [^:]*): (?:--.*\n)*\s*(\w+)", logged()))
    assert verbs <= {"BEGIN", "SELECT", "COMMIT", "WITH", "ROLLBACK"}, verbs
    assert "SELECT" in verbs
    assert "pg_try_advisory_lock" not in logged()
    assert done.facts() == before
    assert done.run("plan", "--check").status == 0


def test_sabotage_is_named_exactly_and_mended(done: Account) -> None:
    ec2, replica = done.sandbox.ec2, done.sandbox.instance(REPLICA)
    (group,) = [entry["VpcSecurityGroupId"] for entry in replica["VpcSecurityGroups"]]
    rules = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])["SecurityGroupRules"]
    (rule,) = [rule for rule in rules if not rule["IsEgress"]]
    before = done.facts()
    ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=[rule["SecurityGroupRuleId"]])
    done.sql("REVOKE SELECT ON leasing.units FROM analytics")
    done.sql("ALTER DEFAULT PRIVILEGES FOR ROLE migrator REVOKE SELECT ON TABLES FROM analytics", "reporting")
    done.sql("ALTER ROLE bi CONNECTION LIMIT 3")
    drift = done.run("--format", "json", "plan", "--check")
    assert drift.status == 3
    assert drift.err == "Error: 4 changes would bring the servers to what the spec says.\n"
    assert [change["summary"] for change in drift.document["changes"]] == [
        f"let 127.0.0.1/32 connect to port {rule['FromPort']} of {REPLICA}",
        "bi: 20 connections at a time, now 3 connections",
        "let analytics read the table leasing.units",
        "let analytics read tables that migrator makes anywhere in reporting, from now on",
    ]
    assert done.run("apply", "--yes").status == 0
    assert done.run("plan", "--check").status == 0
    assert done.facts() == before


# --- what programs read ----------------------------------------------------------------------------------------------


def test_the_documents_have_the_fields_of_the_design(done: Account) -> None:
    plan = document(done, "plan")
    assert set(plan) == {"schema", "changes", "pending", "blocked", "covered", "summary"}
    assert plan["summary"] == {"changes": 0, "destructive": 0, "pending": 1, "blocked": 0}
    check = document(done, "check")
    assert set(check) == {"schema", "ok", "checks", "summary"}
    assert check["ok"] is True
    for item in check["checks"]:
        assert set(item) == {"name", "outcome", "detail", "fix", "mend"}
    verify = document(done, "verify")
    assert_proof(verify)
    status = document(done, "sandbox", "status", "--dir", str(done.sandbox.status.directory), name="sandbox-status")
    assert {"endpoint_url", "region", "superuser", "instances"} <= set(status)
    assert set(status["superuser"]) == {"user", "password"}
    for instance in status["instances"]:
        assert {"instance", "role", "host", "port", "version", "admin", "databases"} <= set(instance)
        assert set(instance["admin"]) == {"user", "password"}
    assert [instance["role"] for instance in status["instances"]] == ["primary", "replica"]


def test_the_documents_of_a_change(done: Account) -> None:
    done.sql("REVOKE SELECT ON leasing.units FROM analytics; ALTER ROLE bi CONNECTION LIMIT 3")
    plan = document(done, "plan")
    assert plan["summary"] == {"changes": 2, "destructive": 0, "pending": 1, "blocked": 0}
    for change in plan["changes"]:
        assert set(change) == CHANGE
    role, table = plan["changes"]
    assert (role["scope"], role["database"], role["sql"]) == ("cluster", None, ['ALTER ROLE "bi" CONNECTION LIMIT 20'])
    assert role["undo"] == ['ALTER ROLE "bi" CONNECTION LIMIT 3']
    assert (table["scope"], table["database"], table["object"]) == ("database", "app", "leasing.units")
    assert table["sql"] == ['GRANT SELECT ON TABLE "leasing"."units" TO "analytics"']
    assert table["undo"] == ['REVOKE SELECT ON TABLE "leasing"."units" FROM "analytics"']
    apply = document(done, "apply", "--yes")
    assert {"schema", "applied", "failed", "proof"} <= set(apply)
    assert apply["applied"] == [role["id"], table["id"]]
    assert apply["failed"] == []
    assert_proof(apply["proof"])


def document(account: Account, *command: str, name: str = "") -> dict[str, Any]:
    ran = account.run("--format", "json", *command)
    assert ran.status == 0, ran
    assert ran.err == ""
    assert ran.document["schema"] == f"replica-access/{name or command[0]}/1"
    return ran.document


def assert_proof(proof: dict[str, Any]) -> None:
    assert set(proof) >= PROOF
    assert proof["ok"] is True
    assert re.fullmatch(r"[0-9A-F]+/[0-9A-F]+", proof["lsn"])
    for check in proof["checks"]:
        assert set(check) >= {"name", "database", "ok", "detail"}
        assert check["ok"] is True
    (part,) = proof["replicas"]
    assert part["replica"] == REPLICA
    assert set(part) >= PROOF
    assert {key: part[key] for key in PROOF - {"checks"}} == {key: proof[key] for key in PROOF - {"checks"}}

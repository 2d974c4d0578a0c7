"""Undoing it all, by the program itself: what a person types, sees, and is left with."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import conninfo

from tests.aws.stage import account as everything
from tests.cli.program import Ran
from tests.e2e.conftest import PROVISION, REPLICA, ROLES, SECRET, Account

pytestmark = pytest.mark.slow

ASKED = f"Type {REPLICA} to take all of this away"
DELETIONS = ["ModifyDBInstance", "DeleteDBInstance", "DeleteSecurityGroup", "DeleteDBParameterGroup", "DeleteSecret"]


@pytest.fixture
def before(account: Account) -> Iterator[tuple[dict[str, Any], list[str]]]:
    """The account and the primary's catalogs as they were before anything was made; it is all made by now."""
    account.forget()
    for left in account.run.directory.iterdir():
        left.unlink()
    before = (everything(account.sandbox), account.facts())
    ran = account.run(*PROVISION, "--yes")
    assert ran.status == 0, ran
    account.wire.calls.clear()
    yield before
    account.forget()


def destroy(account: Account, *options: str) -> Ran:
    return account.run("destroy", "--confirm", REPLICA, *options)


def writes(account: Account) -> list[str]:
    """Each once: a group is asked for again while an interface holds it."""
    return list(dict.fromkeys(account.wire.writes))


def test_nothing_happens_until_the_name_of_the_replica_is_typed(
    account: Account, before: tuple[dict[str, Any], list[str]]
) -> None:
    made = everything(account.sandbox)
    for options, words in (
        ((), f"Say --confirm {REPLICA} to go ahead"),
        (("--confirm", "prod-db"), f"--confirm names prod-db, and the replica of replica-access.toml is {REPLICA}."),
    ):
        ran = account.run("destroy", *options)
        assert ran.status == 2, ran
        assert words in ran.err
    ran = account.run.on_terminal("destroy", answer=lambda: "y", question=ASKED)
    assert ran.status == 1, ran
    assert f"delete {REPLICA}, a read replica of prod-db" in ran.out
    assert "Nothing was changed." in ran.out
    shown = account.run("destroy", "--plan", "--with-users")
    assert shown.status == 0, shown
    assert "drop the role bi, which a run has made" in shown.out
    assert account.wire.writes == []
    assert everything(account.sandbox) == made
    ran = account.run.on_terminal("destroy", answer=lambda: REPLICA, question=ASKED)
    assert ran.status == 0, ran
    assert "Nothing of it is left." in ran.out
    assert everything(account.sandbox) == before[0]


def test_the_account_is_as_before_and_the_users_stay_until_it_is_all_made_again(
    account: Account, before: tuple[dict[str, Any], list[str]]
) -> None:
    roles = account.facts()
    state = account.run.directory / "replica-access.state.json"
    known = state.read_bytes()
    ran = destroy(account)
    assert ran.status == 0, ran
    assert "Account 123456789012" not in ran.err
    assert "roles analytics, bi: stay on the primary" in ran.out
    assert everything(account.sandbox) == before[0]
    assert account.facts() == roles
    assert state.read_bytes() == known
    assert writes(account) == DELETIONS
    account.wire.calls.clear()
    again = destroy(account)
    assert again.status == 0, again
    assert again.out.endswith(
        "Nothing of it is left. replica-access.toml stays: `replica-access apply` makes it anew.\n"
    )
    assert account.wire.writes == []
    assert account.run("apply", "--yes").status == 0
    assert account.run("verify").status == 0  # with the password that the restored secret has now
    with account.as_reader("app") as reader:
        reader.execute("SELECT * FROM leasing.units")
    assert account.run("plan", "--check").status == 0


def test_with_users_nothing_of_them_is_left_on_the_primary(
    account: Account, before: tuple[dict[str, Any], list[str]]
) -> None:
    password = account.password
    oids = [row[0] for row in query(account, "SELECT oid FROM pg_roles WHERE rolname = ANY (%s)", [list(ROLES)])]
    ran = account.run("--format", "json", "destroy", "--with-users", "--confirm", REPLICA)
    assert ran.status == 0, ran
    document = ran.document
    assert document["schema"] == "replica-access/destroy/1"
    assert document["applied"]
    assert (document["failed"], document["remains"], document["not_checked"]) == ([], [], [])
    assert everything(account.sandbox) == before[0]
    assert account.facts() == before[1]
    assert query(account, "SELECT * FROM pg_shdepend WHERE refobjid = ANY (%s)", [oids]) == []
    with pytest.raises(psycopg.OperationalError, match="authentication failed"):
        account.sandbox.connect(user="bi", password=password, dbname="app")
    assert document["undo"] in {path.name for path in account.run.directory.glob("*.sql")}
    assert not (account.run.directory / "replica-access.state.json").exists()
    assert account.run("destroy", "--with-users").status == 0  # nothing left: nobody is asked


def test_roles_that_no_run_is_known_to_have_made_stay(
    account: Account, before: tuple[dict[str, Any], list[str]]
) -> None:
    (account.run.directory / "replica-access.state.json").unlink()
    roles = account.facts()
    ran = destroy(account, "--with-users")
    assert ran.status == 0, ran
    assert "role bi: no run is known here to have made it: it stays" in ran.out
    assert account.facts() == roles


def test_what_a_user_owns_is_kept_and_said_to_remain(
    account: Account, before: tuple[dict[str, Any], list[str]]
) -> None:
    account.sql("CREATE TABLE public.of_bi (id int); ALTER TABLE public.of_bi OWNER TO bi")
    try:
        ran = destroy(account, "--with-users")
        assert ran.status == 1, ran
        assert "remains: role bi: owns 1 object in app, which is not dropped" in ran.out
        assert "of ours remains 1 thing" in ran.err
        assert everything(account.sandbox) == before[0]
        state = json.loads((account.run.directory / "replica-access.state.json").read_text())
        assert set(state["roles"]) == {"bi"}
    finally:
        account.sql("ALTER TABLE public.of_bi OWNER TO app_owner")
    ran = destroy(account, "--with-users")
    assert ran.status == 0, ran
    account.sql("DROP TABLE public.of_bi")
    assert account.facts() == before[1]


def test_what_keeps_a_group_is_named_and_the_same_command_finishes(
    account: Account, before: tuple[dict[str, Any], list[str]]
) -> None:
    ec2 = account.sandbox.ec2
    (group,) = [entry["VpcSecurityGroupId"] for entry in account.sandbox.instance(REPLICA)["VpcSecurityGroups"]]
    subnet = account.sandbox.instance()["DBSubnetGroup"]["Subnets"][0]["SubnetIdentifier"]
    made = ec2.create_network_interface(SubnetId=subnet, Groups=[group], Description="a bastion")
    interface = made["NetworkInterface"]["NetworkInterfaceId"]
    try:
        ran = destroy(account)
    finally:
        ec2.delete_network_interface(NetworkInterfaceId=interface)
    assert ran.status == 1, ran
    assert f"remains: security group {group}" in ran.out
    assert f"it is held by the network interface {interface} (a bastion)" in ran.err
    assert SECRET not in [
        entry["Name"] for entry in account.sandbox.client("secretsmanager").list_secrets()["SecretList"]
    ]
    assert destroy(account).status == 0
    assert everything(account.sandbox) == before[0]


def test_whoever_presses_ctrl_c_is_told_what_remains_and_goes_on_later(
    account: Account, before: tuple[dict[str, Any], list[str]]
) -> None:
    with account.sandbox.faults(hold={REPLICA: "deleting"}):
        with account.run.begun("destroy", "--confirm", REPLICA, "-v", "--format", "json") as running:
            running.until(f"{REPLICA}: deleting")
            ran = running.end(signal.SIGINT)
        assert ran.status == 1, ran
        assert not ran.has_traceback
        assert f"RDS goes on with {REPLICA} by itself: run the same command again" in ran.err
        left = ran.document["remains"]
        assert [each["kind"] for each in left] == ["replica", "security group", "parameter group", "secret"]
        assert [failure["id"] for failure in ran.document["failed"]] == [ran.document["changes"][1]["id"]]
    ran = destroy(account)
    assert ran.status == 0, ran
    assert everything(account.sandbox) == before[0]


def test_a_restored_secret_names_the_replica_that_there_is(
    account: Account, before: tuple[dict[str, Any], list[str]]
) -> None:
    password = account.password
    assert destroy(account).status == 0
    planned = account.run("plan")
    assert f"restore the secret {SECRET}, which waits for its deletion" in planned.out
    assert password not in planned.out
    assert account.run("apply", "--yes").status == 0
    secret = account.sandbox.client("secretsmanager").get_secret_value(SecretId=SECRET)["SecretString"]
    kept, endpoint = json.loads(secret), account.sandbox.instance(REPLICA)["Endpoint"]
    assert (kept["host"], kept["port"]) == (endpoint["Address"], endpoint["Port"])
    assert kept["password"] == password


def query(account: Account, statement: str, values: list[Any]) -> list[tuple[Any, ...]]:
    where = conninfo.make_conninfo("", **account.superuser(), dbname="postgres")
    with psycopg.connect(where) as connection:
        return connection.execute(statement.encode(), values).fetchall()

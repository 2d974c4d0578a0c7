"""What stands in the way in AWS: said in full, and nothing is made anywhere."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from tests.cli.program import Ran
from tests.cli.test_bad_input import assert_refused
from tests.e2e.conftest import PRIMARY, REPLICA, Account

SPEC = """
version = 1
[aws]
account = "{account}"
[primary]
instance = "{primary}"
admin_secret = "{secret}"
[replica]
instance = "{replica}"
[[network.allow]]
cidr = "{cidr}"
[roles.analytics]
[users.bi]
member_of = ["analytics"]
[[grants]]
to = "analytics"
databases = ["app"]
exclude = ["vault"]
"""


def declare(account: Account, changes: Mapping[str, str] | None = None) -> None:
    values = {
        "account": account.sandbox.status.account,
        "primary": PRIMARY,
        "secret": "prod-db/master",
        "replica": REPLICA,
        "cidr": "127.0.0.1/32",
        **(changes or {}),
    }
    account.run.spec.write_text(SPEC.format(**values), encoding="utf-8")


@contextmanager
def nothing_made(account: Account) -> Iterator[None]:
    """No call that changes anything has passed, and the primary is as it was."""
    before = account.facts()
    account.wire.calls.clear()
    yield
    assert account.wire.writes == []
    assert account.facts() == before


WRONG = {
    "an unknown instance": (
        {"primary": "prod-bd"},
        1,
        ["There is no DB instance prod-bd in ap-southeast-2 of account 123456789012.", "Did you mean prod-db?"],
    ),
    "an unknown secret": (
        {"secret": "prod-db/nobody"},
        1,
        ["primary: There is no secret prod-db/nobody in ap-southeast-2", "Correct primary.admin_secret in the spec"],
    ),
    "another account": (
        {"account": "210987654321"},
        1,
        ["These credentials are of account 123456789012", "the spec allows 210987654321 only", "AWS_PROFILE"],
    ),
    "the primary as its own replica": (
        {"replica": PRIMARY},
        2,
        ["replica.instance is the primary; choose another name for the replica."],
    ),
    "the whole world": (
        {"cidr": "0.0.0.0/0"},
        1,
        ["allowed addresses: ", "0.0.0.0/0"],
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_in_aws_stops_everything(account: Account, what: str) -> None:
    changes, status, sentences = WRONG[what]
    declare(account, changes)
    with nothing_made(account):
        assert_refused(account.run("apply", "--yes"), status, *sentences)


def test_the_whole_world_is_let_in_with_the_flag_alone(account: Account) -> None:
    declare(account, {"cidr": "0.0.0.0/0"})
    with nothing_made(account):
        assert account.run("check").status == 1
        checked = account.run("check", "--allow-wide")
        assert checked.status == 0, checked
        assert "LET IN BY --allow-wide" in checked.out
        assert "0.0.0.0/0 is too wide to be let in" in account.run("plan").out
        planned = account.run("plan", "--allow-wide")
        assert "let EVERYBODY ON THE INTERNET, 0.0.0.0/0, connect to port" in planned.out


def test_a_wrong_password_in_the_secret(account: Account) -> None:
    secrets = account.sandbox.client("secretsmanager")
    secrets.create_secret(Name="stale", SecretString='{"username": "master", "password": "geheim"}')
    try:
        declare(account, {"secret": "stale"})
        with nothing_made(account):
            refused = account.run("apply", "--yes")
            words = ["primary: prod-db, database postgres: no connection as master", "password authentication failed"]
            assert_refused(refused, 1, *words, "admin_secret")
        assert "geheim" not in refused.err
        secrets.put_secret_value(SecretId="stale", SecretString="geheim")
        assert_refused(account.run("plan"), 1, "The secret stale is not of RDS's form", "Name another one in the spec")
    finally:
        secrets.delete_secret(SecretId="stale", ForceDeleteWithoutRecovery=True)


def test_no_credentials(account: Account) -> None:
    declare(account)
    ran = account.run(
        *("apply", "--yes"), AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="", AWS_EC2_METADATA_DISABLED="true"
    )
    assert_refused(ran, 1, "There are no AWS credentials.", "Set AWS_PROFILE")


def test_a_replica_of_somebody_else(account: Account) -> None:
    with account.sandbox.replica() as theirs:
        declare(account, {"replica": theirs})
        with nothing_made(account):
            refused = account.run("apply", "--yes")
            assert_refused(refused, 1, f"{theirs} exists already and does not carry our tag", "add-tags-to-resource")
            for command in (["plan"], ["check"]):
                assert f"{theirs} exists already and does not carry our tag" in told(account.run(*command))
            assert_refused(account.run("verify"), 1, "does not carry our tag")


def told(ran: Ran) -> str:
    assert not ran.has_traceback
    return ran.out + ran.err


def test_init_for_an_unknown_instance_writes_nothing(account: Account) -> None:
    account.run.spec.unlink(missing_ok=True)
    ran = account.run("init", "--instance", "prod-bd", "--admin-secret", "prod-db/master")
    assert_refused(ran, 1, "There is no DB instance prod-bd", "Did you mean prod-db?")
    ran = account.run("provision", "--instance", "prod-bd", "--admin-secret", "prod-db/master", "--yes")
    assert_refused(ran, 1, "There is no DB instance prod-bd", "Did you mean prod-db?")
    assert not account.run.spec.exists()


def test_stopped_while_the_replica_is_made(account: Account) -> None:
    """What is done by then is reported; what was begun goes on, and the next run takes it from there."""
    declare(account)
    planned: list[dict[str, Any]] = account.run("--format", "json", "plan").document["changes"]
    group, rule, replica = (change["id"] for change in planned if change["scope"] == "aws")
    with account.run.begun("apply", "--yes", "-v", "--format", "json") as running:
        running.until(f"{REPLICA}: creating")
        stopped = running.end(signal.SIGINT)
    assert stopped.status == 1
    assert stopped.err.endswith(
        f"Error: Interrupted.\nRDS goes on with {REPLICA} by itself: "
        "run the same command again, and it waits on from there.\n"
    )
    assert stopped.document["applied"] == [group, rule]
    assert [failure["id"] for failure in stopped.document["failed"]] == [replica]
    finished = account.run("apply", "--yes")
    assert finished.status == 0, finished
    assert account.wire.calls.count("CreateDBInstanceReadReplica") == 1

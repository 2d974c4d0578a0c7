"""Killed at any point and run again: the same end as a run that nobody disturbed.

SIGKILL, so that nothing of ours gets a chance to tidy up. First at each call that changes AWS, just before AWS hears of
it and just after it has acted; then at each step on the primary: while a transaction of its own waits for a lock of
somebody else's, and as soon as it has said something.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg import conninfo

from tests.aws.stage import state
from tests.cli.program import Program
from tests.e2e.conftest import PROVISION, REPLICA, ROLES, Account
from tests.e2e.wire import Moment

PATIENCE_S = 30.0


# --- in AWS ----------------------------------------------------------------------------------------------------------

MOMENTS: list[Moment] = [
    ("before", "CreateSecurityGroup"),
    ("after", "CreateSecurityGroup"),
    ("before", "AuthorizeSecurityGroupIngress"),
    ("after", "AuthorizeSecurityGroupIngress"),
    ("before", "CreateDBParameterGroup"),
    ("after", "CreateDBParameterGroup"),
    ("before", "ModifyDBParameterGroup"),
    ("after", "ModifyDBParameterGroup"),
    ("before", "CreateDBInstanceReadReplica"),
    ("after", "CreateDBInstanceReadReplica"),
    ("before", "ModifyDBInstance"),
    ("after", "ModifyDBInstance"),
    ("before", "RebootDBInstance"),
    ("after", "RebootDBInstance"),
    ("before", "CreateSecret"),
    ("after", "CreateSecret"),
]


def test_killed_at_every_call_that_changes_aws(account: Account) -> None:
    """One run after the other is killed, each a step later than the last; the one that is not ends the job."""
    for moment in MOMENTS:
        account.wire.arm(moment)
        with account.run.begun(*(PROVISION if not account.run.spec.exists() else ("apply",)), "--yes", "-v") as running:
            assert account.wire.held.wait(PATIENCE_S), f"{moment} was never reached: {running.end(signal.SIGKILL)}"
            running.end(signal.SIGKILL)
    with account.run.begun("apply", "--yes", "-v") as running:
        running.until("changing the primary")
        running.end(signal.SIGKILL)
    finished = account.run("apply", "--yes")
    assert finished.status == 0, finished
    after_kills = (account.facts(), state(account.sandbox, REPLICA), names_of_secrets(account))
    with account.as_reader("app") as reader:
        reader.execute("SELECT * FROM leasing.units")
    account.forget()
    undisturbed = account.run("apply", "--yes")
    assert undisturbed.status == 0, undisturbed
    assert after_kills == (account.facts(), state(account.sandbox, REPLICA), names_of_secrets(account))


def test_two_runs_at_once_make_everything_once(account: Account) -> None:
    """One has made its plan, of everything, when the other carries out the same."""
    account.forget()
    if not account.run.spec.exists():
        assert account.run("init", *PROVISION[1:]).status == 0
    account.wire.calls.clear()
    account.wire.arm(("before", "CreateSecurityGroup"))
    with account.run.begun("--format", "json", "apply", "--yes") as slow:
        assert account.wire.held.wait(PATIENCE_S)
        fast = account.run("apply", "--yes")
        account.wire.release()
        late = slow.end()
    assert fast.status == 0, fast
    assert late.status == 0, late
    assert late.document["failed"] == []
    assert late.document["proof"]["ok"] is True
    assert account.wire.calls.count("CreateSecret") == 1
    assert account.run("plan", "--check").status == 0


def names_of_secrets(account: Account) -> list[str]:
    entries = account.sandbox.client("secretsmanager").list_secrets()["SecretList"]
    return sorted(entry["Name"] for entry in entries)


# --- on the primary --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pair:
    """The two servers of the account, given to the program as what they are: a plain pair, with no AWS around."""

    account: Account
    run: Program
    creators: list[str]

    def reset(self) -> None:
        self.account.forget_roles()
        (self.run.directory / "bi.password").unlink(missing_ok=True)

    def finish(self) -> list[str]:
        """Run to the end; what the catalogs say then."""
        ran = self.run("apply", "--yes")
        assert ran.status == 0, ran
        password = (self.run.directory / "bi.password").read_text(encoding="utf-8").strip()
        with self.account.as_reader("app", password=password) as reader:
            reader.execute("SELECT * FROM leasing.units")
        return self.account.facts()

    def assert_nothing_is_half_done(self) -> None:
        """Of each database all or nothing is there, and the admin is in no creator that it was not in before."""
        facts = self.account.facts()
        assert memberships(facts) == self.creators
        for database in ("app", "reporting"):
            privileges = {fact.split()[1] for fact in facts if fact.startswith(f"{database}: ") and "analytics" in fact}
            assert privileges in (set(), {"schema", "relation", "default"}), privileges


def memberships(facts: list[str]) -> list[str]:
    """Of the admin; that it may hand on the roles that it has made is as it should be."""
    made = tuple(f"shared: master in {role} " for role in ROLES)
    return [fact for fact in facts if fact.startswith("shared: master in ") and not fact.startswith(made)]


@pytest.fixture(scope="module")
def pair(account: Account, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    if REPLICA not in account.sandbox.names():
        ran = account.run(*PROVISION, "--yes")
        assert ran.status == 0, ran
    primary, replica = (
        f"host=localhost port={account.sandbox.instance(name)['Endpoint']['Port']} user=master"
        f" sslmode=verify-full sslrootcert={account.sandbox.status.ca_bundle}"
        for name in ("prod-db", REPLICA)
    )
    directory = tmp_path_factory.mktemp("pair")
    run = Program(account.run.nursery, directory, {"PGPASSWORD": account.sandbox.password})
    run.spec.write_text(
        f"""
version = 1
[primary]
dsn = "{primary}"
[replica]
dsn = "{replica}"
[roles.analytics]
comment = "read access"
[users.bi]
member_of = ["analytics"]
connection_limit = 20
settings = {{ statement_timeout = "15min" }}
secret = "file:bi.password"
[[grants]]
to = "analytics"
databases = ["app", "reporting"]
exclude = ["vault", "public.user_passwords"]
""",
        encoding="utf-8",
    )
    account.forget_roles()
    yield Pair(account, run, memberships(account.facts()))
    account.forget_roles()


@pytest.fixture(scope="module")
def undisturbed(pair: Pair) -> list[str]:
    """What the catalogs say after a run that nobody disturbed."""
    pair.reset()
    return pair.finish()


@contextmanager
def session(account: Account, database: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    where = conninfo.make_conninfo("", **account.superuser(), dbname=database)
    with closing(psycopg.connect(where, autocommit=True)) as connection:
        yield connection


SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'master'"

# Somebody else's transaction, and in which database: the program's own waits for it in the middle.
LOCKS = {
    "the roles": ("postgres", "LOCK TABLE pg_auth_members IN SHARE MODE"),
    "the databases": ("postgres", "GRANT CONNECT ON DATABASE app TO app_backend"),
    "the schemas": ("app", "GRANT USAGE ON SCHEMA public TO app_backend"),
    "the last table": ("app", 'GRANT SELECT ON public."Übergabeprotokolle" TO app_backend'),
    "a default privilege": ("app", "ALTER DEFAULT PRIVILEGES FOR ROLE migrator GRANT SELECT ON TABLES TO app_backend"),
    "the second database": ("reporting", "GRANT SELECT ON warehouse.exports TO app_backend"),
}


@pytest.mark.parametrize("what", LOCKS)
def test_killed_in_the_middle_of_a_transaction(pair: Pair, undisturbed: list[str], what: str) -> None:
    pair.reset()
    database, statement = LOCKS[what]
    with session(pair.account, database) as other, session(pair.account, "postgres") as watch:
        other.execute(f"BEGIN; {statement}".encode())
        with pair.run.begun("apply", "--yes") as running:
            wait_until(watch, f"{SESSIONS} AND wait_event_type = 'Lock'", 1)
            running.end(signal.SIGKILL)
        other.execute("ROLLBACK")
        wait_until(watch, SESSIONS, 0)
    pair.assert_nothing_is_half_done()
    assert pair.finish() == undisturbed


SAYINGS = [
    "looking at everything",
    "changing the primary",
    "create the group analytics",
    "let analytics connect to app, reporting",
    "done: create the group analytics",
    "done: let analytics connect",
    "let analytics use 5 schemas",
    "done: let analytics use 5 schemas",
    "done: let analytics read tables, sequences and schemas that",
    "done: let analytics use 2 schemas",
    "proving it on the replica",
    "bi tries everything in app",
]


@pytest.mark.slow
@pytest.mark.parametrize("saying", SAYINGS)
def test_killed_as_soon_as_it_has_said_something(pair: Pair, undisturbed: list[str], saying: str) -> None:
    pair.reset()
    with pair.run.begun("apply", "--yes", "-v") as running:
        running.until(saying)
        running.end(signal.SIGKILL)
    with session(pair.account, "postgres") as watch:
        wait_until(watch, SESSIONS, 0)
    pair.assert_nothing_is_half_done()
    assert pair.finish() == undisturbed


def wait_until(connection: psycopg.Connection[tuple[Any, ...]], query: str, count: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while connection.execute(query.encode()).fetchone() != (count,):
        assert time.monotonic() < deadline, query
        time.sleep(0.01)

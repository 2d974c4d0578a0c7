"""What the server says yes to and does not do, or does and does not say: each trap, by what the user sees of it.

Those that other tests hold:

===============================================================  ======================================================
a REVOKE by another than the grantor removes nothing             test_taking_away: "what somebody else than the owner
                                                                 granted", given and taken by its grantor
ALL TABLES IN SCHEMA fails on one table that is not ours         cli/test_refused:
                                                                 test_objects_that_the_admin_may_not_grant_on
a view with security_invoker can be read and its table not       test_prove: "a view that asks on behalf of its reader"
what owner-wide default privileges do for schemas of tomorrow    test_scenario:
                                                                 test_what_creators_make_later_is_readable_...
===============================================================  ======================================================
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from replica_access.errors import Blocked, Drift
from replica_access.model import ProofCheck
from replica_access.outlook import Applied
from replica_access.progress import Silent
from replica_access.sandbox.process import polls
from replica_access.sandbox.server import PostgresServer
from replica_access.spec import Spec

from .conftest import Admin
from .pinned import NEWEST, OLDEST_AND_NEWEST, RDS
from .world import REVOKING, World, sql_of


class Meddler(Silent):
    """Somebody who does something the first time that a sentence with these words is shown."""

    def __init__(self, words: str, act: Callable[[], None]) -> None:
        self.words = words
        self.act: Callable[[], None] | None = act

    def waiting(self, sentence: str) -> None:
        if self.act is not None and self.words in sentence:
            act, self.act = self.act, None
            act()


def with_replica(world: World, replica: PostgresServer) -> Spec:
    return world.spec(replica=f'[replica]\ndsn = "{world.dsn_of(replica)}"')


def proved(applied: Applied, name: str) -> ProofCheck:
    assert applied.proof is not None
    (proof,) = applied.proof.values()
    (check,) = [check for check in proof.checks if check.name == name]
    return check


def held(world: World) -> list[str]:
    """What the readers hold in the database."""
    mine = (f" {world.reader}=", f" {world.user}=")
    return [fact for fact in world.facts() if fact.startswith(world.database) and any(name in fact for name in mine)]


# --- statements that succeed and do less ------------------------------------------------------------------------------


@NEWEST
@RDS
def test_a_grant_that_the_server_only_warns_of_fails_and_nothing_of_its_transaction_is_kept(
    world: World, admin: Admin
) -> None:
    """After the last look at the catalog the table gets another owner, who leaves the admin nothing but SELECT."""

    def meddle() -> None:
        world.sabotage(
            f'ALTER TABLE leasing.lease OWNER TO CURRENT_USER; GRANT SELECT ON leasing.lease TO "{admin.name}"'
        )

    with pytest.raises(Drift, match='no privileges were granted for "lease"') as raised:
        world.apply(progress=Meddler(f"let {world.reader} read", meddle), confirmed=True)
    assert raised.value.fix == "Nothing of this transaction was kept: look at the plan again."
    assert held(world) == []
    (blocked,) = {b.object for b in world.plan().blocked if "lease_id_seq" not in b.object}
    assert blocked == f"{world.database}: 1 table and 1 sequence in leasing"


@NEWEST
@RDS
def test_a_table_that_is_somebody_elses_by_now_stops_the_run_and_is_named(world: World) -> None:
    """It gets another owner while the roles are made: the plan made again under the lock cannot grant on it."""
    take_over = Meddler("create the group", lambda: world.sabotage("ALTER TABLE leasing.history OWNER TO CURRENT_USER"))
    with pytest.raises(Drift, match=r"the table leasing\.history: cannot be granted: rdsadmin is a superuser"):
        world.apply(progress=take_over)
    assert held(world) == []
    with pytest.raises(Blocked):
        world.apply()
    world.apply(skip_blocked=True)
    assert world.plan().changes == ()


@NEWEST
@RDS
def test_what_everybody_may_read_is_not_revoked_in_vain_but_named_by_plan_and_proof(
    world: World, replica: PostgresServer
) -> None:
    world.sabotage('SET ROLE :"app_owner"; GRANT SELECT ON leasing.password_reset TO PUBLIC')
    spec = with_replica(world, replica)
    (note,) = [note for note in world.plan(spec, REVOKING).pending if note.name == f"{world.database}.leasing"]
    through = f"{world.reader} can read password_reset of it all the same, through PUBLIC"
    assert note.reason == f"{through}; what PUBLIC has is not revoked here"
    applied = world.apply(spec, REVOKING)
    assert not any("PUBLIC" in statement for statement in sql_of(applied.changes))
    refused = proved(applied, "refused")
    assert not refused.ok
    assert refused.detail.endswith("1 of 2 relations not refused: leasing.password_reset (through PUBLIC)")
    assert world.plan(spec, REVOKING).changes == ()
    assert note in world.plan(spec, REVOKING).pending


@NEWEST
@RDS
def test_what_a_group_of_others_may_read_is_named_by_the_plan_too(world: World) -> None:
    world.apply()
    world.sabotage('SET ROLE :"app_owner"; GRANT SELECT ON leasing.password_reset TO :"migrator"')
    world.sabotage('GRANT :"migrator" TO :"reader"')
    (note,) = [note for note in world.plan().pending if note.name == f"{world.database}.leasing"]
    assert note.reason.endswith(f"can read password_reset of it all the same, through {world.migrator}")
    assert not [note for note in world.plan(request=REVOKING).pending if note.name == f"{world.database}.leasing"]


# --- privileges that are there and are of no use ----------------------------------------------------------------------


@NEWEST
@RDS
def test_a_readable_table_that_shows_no_rows_is_named_by_the_proof(world: World, replica: PostgresServer) -> None:
    world.apply()
    world.sabotage(
        """SET ROLE :"app_owner"; INSERT INTO leasing.lease (tenant) VALUES ('Ada'), ('Ben');
        INSERT INTO leasing.payment (amount) VALUES (1), (2);
        ALTER TABLE leasing.lease ENABLE ROW LEVEL SECURITY; ALTER TABLE leasing.payment ENABLE ROW LEVEL SECURITY;
        CREATE POLICY own ON leasing.lease TO :"reader" USING (tenant = current_user);
        CREATE POLICY own ON leasing.payment TO :"migrator" USING (true);
        CREATE POLICY write ON leasing.payment FOR INSERT WITH CHECK (true);
        CREATE POLICY not_even ON leasing.payment AS RESTRICTIVE USING (true)"""
    )
    readable = proved(world.apply(with_replica(world, replica)), "readable")
    assert readable.ok
    assert "; row-level security shows no row of: leasing.payment;" in readable.detail
    assert readable.detail.endswith("; row-level security chooses the rows of: leasing.lease")
    with world.as_user(replica) as user:
        for table in ("lease", "payment"):
            assert user.execute(f"SELECT count(*) FROM leasing.{table}".encode()).fetchone() == (0,)


def test_a_login_that_does_not_inherit_what_its_group_reads_is_mended(world: World) -> None:
    world.apply()
    if world.primary.installation.major >= 16:
        grantor = world.primary.psql(
            "SELECT quote_ident(grantor::regrole::text) FROM pg_auth_members WHERE member = :'user'::regrole",
            variables={"user": world.user},
        )
        world.sabotage(f'GRANT :"reader" TO :"user" WITH INHERIT FALSE GRANTED BY {grantor}')
    else:
        world.sabotage('ALTER ROLE :"user" NOINHERIT; GRANT CONNECT ON DATABASE :"database" TO PUBLIC')
    with pytest.raises(psycopg.Error, match="permission denied"), world.as_user() as user:
        user.execute("SELECT * FROM leasing.lease")
    (change,) = world.plan().changes
    assert change.object == world.user
    world.apply()
    assert world.plan().changes == ()
    with world.as_user() as user:
        user.execute("SELECT * FROM leasing.lease")


# --- a list of privileges that is full --------------------------------------------------------------------------------


class Crowd:
    """Many others who can read leasing.lease, each by a grant of its own."""

    def __init__(self, session: psycopg.Connection[tuple[object, ...]], prefix: str) -> None:
        self.session = session
        self.names = [f'"{prefix}other{number}"' for number in range(3000)]
        self.size = 0
        session.execute(" ".join(f"CREATE ROLE {name};" for name in self.names).encode())

    def resize(self, size: int) -> None:
        for verb, names in ("GRANT", self.names[self.size : size]), ("REVOKE", self.names[size : self.size]):
            if names:
                preposition = "TO" if verb == "GRANT" else "FROM"
                statement = f"{verb} SELECT ON leasing.lease {preposition} {', '.join(names)}"
                self.session.execute(statement.encode())
        self.size = size

    def fill(self) -> None:
        with contextlib.suppress(psycopg.errors.ProgramLimitExceeded):
            while True:
                self.resize(self.size + 1)


@pytest.fixture
def crowd(world: World, prefix: str) -> Iterator[Crowd]:
    with psycopg.connect(world.primary.dsn(dbname=world.database), autocommit=True) as session:
        session.execute("SET log_statement = none")
        yield Crowd(session, prefix)


@OLDEST_AND_NEWEST
@RDS
def test_a_table_with_too_many_grantees_is_blocked_before_the_server_fails_and_a_group_is_the_way_out(
    world: World, crowd: Crowd
) -> None:
    crowd.resize(2000)
    assert world.plan().blocked == ()

    crowd.fill()
    full = crowd.size
    (blocked,) = world.plan().blocked
    assert blocked.object == f"{world.database}: the table leasing.lease"
    assert "nearly as long as a row of pg_class may be" in blocked.reason
    assert "give it to a group that is in the list already" in blocked.fix
    with pytest.raises(Blocked, match="give it to a group"):
        world.apply()
    world.apply(skip_blocked=True)
    with world.as_user() as user:
        user.execute("SELECT * FROM leasing.payment")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            user.execute("SELECT * FROM leasing.lease")

    in_the_list = crowd.names[0]
    world.sabotage(f'GRANT {in_the_list} TO :"reader"')
    plan = world.plan()
    assert plan.blocked == ()
    assert [covered.through for covered in plan.covered] == [in_the_list.strip('"')]
    with world.as_user() as user:
        user.execute("SELECT * FROM leasing.lease")

    world.sabotage(f'REVOKE {in_the_list} FROM :"reader"')
    while world.plan().blocked:
        crowd.resize(crowd.size - 3)
    assert full - 30 < crowd.size < full
    world.apply()  # what is not blocked does not fail either
    with world.as_user() as user:
        user.execute("SELECT * FROM leasing.lease")


# --- not alone --------------------------------------------------------------------------------------------------------


@NEWEST
@RDS
def test_a_grant_of_somebody_else_on_the_same_database_is_no_failure(world: World, logged: Callable[[], str]) -> None:
    """The server answers `tuple concurrently updated` to whoever comes second; the run comes again."""
    with psycopg.connect(world.primary.dsn(dbname=world.database)) as somebody:
        somebody.execute(f'GRANT TEMPORARY ON DATABASE "{world.database}" TO "{world.migrator}"'.encode())

        def let_go() -> None:
            assert any("GRANT CONNECT ON DATABASE" in logged() for _ in polls(10))
            waiting = "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted"
            assert any(world.primary.psql(waiting) == "t" for _ in polls(10))
            somebody.commit()

        with ThreadPoolExecutor(1) as pool:
            letting_go = pool.submit(let_go)
            world.apply()
            letting_go.result()
    assert "tuple concurrently updated" in logged()
    assert world.plan().changes == ()


@NEWEST
@RDS
def test_several_runs_at_once_on_one_server_all_end_well(world: World, prefix: str) -> None:
    """Each has its own spec, and somebody else grants and revokes on the same database without a pause."""
    others = [
        replace(world, reader=f"{prefix}reader{number}", user=f"{prefix}bi{number}", directory=world.directory / name)
        for number, name in enumerate(("one", "two", "three", "four"))
    ]
    over = threading.Event()

    def hammer() -> int:
        refused = 0
        with psycopg.connect(world.primary.dsn(dbname=world.database), autocommit=True) as somebody:
            while not over.is_set():
                for statement in ("GRANT TEMPORARY ON DATABASE {} TO {}", "REVOKE TEMPORARY ON DATABASE {} FROM {}"):
                    try:
                        somebody.execute(SQL(statement).format(Identifier(world.database), Identifier(world.migrator)))
                    except psycopg.errors.InternalError_:
                        refused += 1
        return refused

    for other in others:
        other.directory.mkdir()
    with ThreadPoolExecutor(len(others) + 1) as pool:
        hammering = pool.submit(hammer)
        runs = [pool.submit(other.apply) for other in others]
        ends = [run.exception() for run in runs]
        over.set()
        hammering.result()
    assert ends == [None] * len(others)
    for other in others:
        assert other.plan().changes == ()
        with other.as_user() as user:
            user.execute("SELECT * FROM leasing.lease")


@NEWEST
@RDS
def test_a_role_that_the_replica_has_not_heard_of_yet_is_no_failed_proof(world: World, replica: PostgresServer) -> None:
    missing: list[str] = []

    def resume() -> None:
        missing.append(replica.psql("SELECT count(*) FROM pg_roles WHERE rolname = :'u'", variables={"u": world.user}))
        replica.psql("SELECT pg_wal_replay_resume()")

    replica.psql("SELECT pg_wal_replay_pause()")
    try:
        applied = world.apply(with_replica(world, replica), progress=Meddler("Replay is paused", resume))
    finally:
        replica.psql("SELECT pg_wal_replay_resume()")
    assert missing == ["0"]
    assert proved(applied, "login").ok
    assert applied.proof is not None
    assert all(proof.ok for proof in applied.proof.values())

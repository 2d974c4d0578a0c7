"""What roles that are gone still do on a replica: ended there as far as allowed, said where not, and never an error."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest

from replica_access.model import Login, Secret
from replica_access.postgres.departed import end_sessions
from replica_access.sandbox.binaries import find_installation
from replica_access.sandbox.rds_like import scram_verifier
from replica_access.sandbox.server import PostgresServer

from .conftest import ADMINS

pytestmark = pytest.mark.parametrize("installation", [find_installation()], indirect=True, ids=str, scope="session")


@pytest.fixture
def leaver(primary: PostgresServer, make_role: Callable[..., str], catch_up: Callable[[], None]) -> str:
    """A login on both servers."""
    name = make_role("leaver", f"LOGIN PASSWORD '{scram_verifier('hers')}'", by="master")
    catch_up()
    return name


@pytest.fixture
def session(replica: PostgresServer, leaver: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    dsn = replica.dsn(user=leaver, password="hers", dbname="postgres")
    with psycopg.connect(dsn, autocommit=True) as session:
        yield session


def admin_of(replica: PostgresServer, kind: str = "rds") -> Login:
    admin = ADMINS[kind]
    parameters = {"host": replica.host, "port": str(replica.port), "user": admin.name, "sslmode": "prefer"}
    return Login("replica", parameters, password=Secret(admin.password))


def oid_of(server: PostgresServer, role: str) -> int:
    return int(server.psql("SELECT oid FROM pg_roles WHERE rolname = :'role'", variables={"role": role}))


@pytest.mark.parametrize("kind", ADMINS)
def test_sessions_of_a_role_that_is_dropped_end(
    primary: PostgresServer,
    replica: PostgresServer,
    leaver: str,
    session: psycopg.Connection[tuple[object, ...]],
    catch_up: Callable[[], None],
    kind: str,
) -> None:
    oid = oid_of(primary, leaver)
    primary.psql('DROP ROLE :"role"', variables={"role": leaver})
    catch_up()
    session.execute("SELECT 1")  # it goes on
    assert list(end_sessions(admin_of(replica, kind), {leaver: oid})) == [f"1 session of {leaver} ended."]
    with pytest.raises(psycopg.OperationalError, match="terminating connection"):
        session.execute("SELECT 1")
    assert list(end_sessions(admin_of(replica, kind), {leaver: oid})) == []


def test_who_may_not_end_them_is_told_who_may(
    primary: PostgresServer,
    replica: PostgresServer,
    leaver: str,
    session: psycopg.Connection[tuple[object, ...]],
    catch_up: Callable[[], None],
) -> None:
    oid = oid_of(primary, leaver)
    primary.psql('REVOKE pg_signal_backend FROM rds_superuser; DROP ROLE :"role"', variables={"role": leaver})
    try:
        catch_up()
        (note,) = end_sessions(admin_of(replica), {leaver: oid})
    finally:
        primary.psql("GRANT pg_signal_backend TO rds_superuser WITH ADMIN OPTION")
    pid = session.info.backend_pid
    assert note.startswith(f"1 session of {leaver} could not be ended (")
    assert note.endswith(f"a member of pg_signal_backend can, with SELECT pg_terminate_backend(…) of {pid}.")
    session.execute("SELECT 1")


def test_a_replica_that_is_late_lets_them_in_again_and_that_is_said(
    primary: PostgresServer, replica: PostgresServer, leaver: str, session: psycopg.Connection[tuple[object, ...]]
) -> None:
    oid = oid_of(primary, leaver)
    replica.psql("SELECT pg_wal_replay_pause()")
    try:
        primary.psql('DROP ROLE :"role"', variables={"role": leaver})
        notes = list(end_sessions(admin_of(replica), {leaver: oid}))
    finally:
        replica.psql("SELECT pg_wal_replay_resume()")
    assert notes == [
        f"1 session of {leaver} ended.",
        f"{leaver} can still log in: the replica has not replayed yet that it may not.",
    ]


def test_a_replica_that_cannot_be_asked_is_said_to_be(replica: PostgresServer) -> None:
    nowhere = Login("replica", {**admin_of(replica).parameters, "port": "1"})
    (note,) = end_sessions(nowhere, {"leaver": 4711})
    assert note.startswith("Whether leaver still has sessions there is not known: replica, database postgres: no conn")

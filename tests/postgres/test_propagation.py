"""The wait for replay on real pairs: nothing waits for what never comes, and what holds replay up is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from replica_access.errors import DatabaseError, WrongServer
from replica_access.model import Login, Secret
from replica_access.postgres import propagation
from replica_access.postgres.connect import connect, parse_dsn
from replica_access.postgres.propagation import end_of_last_record, wait_for_replay
from replica_access.progress import Silent
from replica_access.sandbox.binaries import find_installations
from replica_access.sandbox.process import polls
from replica_access.sandbox.server import PostgresServer

Connection = psycopg.Connection[Any]

LONG_S = 10
"""Far more than any of these waits needs, and less than the 15 seconds after which an idle primary flushes all."""


def open_as(
    server: PostgresServer, user: str | None = None, password: str | None = None, database: str = "postgres"
) -> Connection:
    parameters = parse_dsn(server.dsn(user=user, password=password, dbname=database))
    secret = Secret(parameters.pop("password"))
    return connect(Login("", parameters, parameters.pop("dbname"), secret))


@pytest.fixture
def database(make_database: Callable[..., str]) -> str:
    return make_database()


@pytest.fixture
def servers(primary: PostgresServer, replica: PostgresServer, database: str) -> Iterator[tuple[Connection, Connection]]:
    """Superuser sessions on both; the database is there for tests to write to, and idle."""
    with open_as(primary, database=database) as on_primary, open_as(replica) as on_replica:
        yield on_primary, on_replica


def test_what_was_committed_is_there_when_the_wait_is_over(
    servers: tuple[Connection, Connection], replica: PostgresServer, database: str
) -> None:
    primary, standby = servers
    primary.execute("CREATE TABLE public.new AS SELECT generate_series(1, 1000) AS id")
    replay = wait_for_replay(primary, standby, deadline_s=LONG_S)
    assert replay.reached
    assert replay.same_system
    assert replay.in_recovery
    assert replay.lag_ms is not None
    with open_as(replica, database=database) as reader:
        assert reader.execute("SELECT count(*) FROM public.new").fetchone() == (1000,)


def test_a_commit_that_did_not_wait_for_its_flush(
    servers: tuple[Connection, Connection], replica: PostgresServer, database: str
) -> None:
    primary, standby = servers
    primary.execute("SET synchronous_commit = off")
    for number in range(5):
        primary.execute(f"CREATE TABLE public.new_{number} ()".encode())
        assert wait_for_replay(primary, standby, deadline_s=LONG_S).reached
        with open_as(replica, database=database) as reader:
            assert reader.execute(f"SELECT FROM public.new_{number}".encode()).fetchall() == []


def test_an_idle_primary_that_stands_behind_a_header_nobody_writes(
    servers: tuple[Connection, Connection],
) -> None:
    primary, standby = servers
    primary.execute("SELECT pg_switch_wal()")
    assert wait_for_replay(primary, standby, deadline_s=LONG_S).reached


def test_what_is_not_committed_need_not_be_flushed(
    servers: tuple[Connection, Connection], primary: PostgresServer, database: str
) -> None:
    on_primary, standby = servers
    on_primary.execute("CREATE TABLE public.draft (id int)")
    with open_as(primary, database=database) as other:
        other.execute("BEGIN")
        other.execute("INSERT INTO public.draft VALUES (1)")
        assert wait_for_replay(on_primary, standby, deadline_s=LONG_S).reached


def test_an_admin_without_any_right(
    primary: PostgresServer, replica: PostgresServer, make_role: Callable[..., str], catch_up: Callable[[], None]
) -> None:
    nobody = make_role("nobody", "LOGIN PASSWORD 'x'")
    catch_up()
    with open_as(primary, nobody, "x") as on_primary, open_as(replica, nobody, "x") as on_replica:
        assert wait_for_replay(on_primary, on_replica, deadline_s=LONG_S).reached


def test_a_paused_replay_is_named_while_it_is_waited_for(servers: tuple[Connection, Connection]) -> None:
    primary, standby = servers
    said: list[str] = []

    class Listener(Silent):
        def waiting(self, sentence: str) -> None:
            said.append(sentence)
            if len(said) == 3:
                standby.execute("SELECT pg_wal_replay_resume()")

    standby.execute("SELECT pg_wal_replay_pause()")
    primary.execute("CREATE TABLE public.later ()")
    replay = wait_for_replay(primary, standby, Listener(), deadline_s=LONG_S)
    assert replay.reached
    assert "Replay is paused on the replica" in said[0]


@pytest.mark.parametrize("position", [0x1000028, 0x2000028, 0x1FFFFFF0000028])
def test_the_header_of_a_segment(position: int) -> None:
    assert end_of_last_record(position, 8192, 16 << 20) == position - 40


@pytest.mark.parametrize("position", [0x1000018, 0x1000020, 0x1002000, 0x1002028, 0x10FFFF8])
def test_a_position_that_is_behind_no_header(position: int) -> None:
    assert end_of_last_record(position, 8192, 16 << 20) == position


def test_the_primary_has_to_be_one(servers: tuple[Connection, Connection]) -> None:
    primary, standby = servers
    with pytest.raises(WrongServer, match="is in recovery"):
        wait_for_replay(standby, standby)
    replay = wait_for_replay(primary, primary, deadline_s=LONG_S)
    assert not replay.reached
    assert not replay.in_recovery


def test_a_server_that_goes_away_is_an_error(servers: tuple[Connection, Connection]) -> None:
    primary, standby = servers
    standby.close()
    with pytest.raises(DatabaseError):
        wait_for_replay(primary, standby)


# --- a replica of one's own, to hold up ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def own_replica(
    installation: Any, primary: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PostgresServer]:
    replica = PostgresServer.create_replica(primary, tmp_path_factory.mktemp("own") / "replica", tied=True)
    yield replica
    replica.remove()


newest = pytest.mark.parametrize("installation", find_installations()[-1:], ids=["newest"], indirect=True)


@contextmanager
def with_settings(server: PostgresServer, **settings: str) -> Iterator[None]:
    server.apply_settings(settings)
    try:
        yield
    finally:
        server.apply_settings({})


def why_not(primary: Connection, server: PostgresServer, *, deadline_s: float = 1.0) -> str:
    primary.execute("CREATE TABLE public.held_up (); DROP TABLE public.held_up")
    with open_as(server) as standby:
        replay = wait_for_replay(primary, standby, deadline_s=deadline_s)
    assert not replay.reached
    assert replay.same_system
    assert replay.in_recovery
    return replay.detail


@newest
def test_a_replica_that_is_not_streaming(servers: tuple[Connection, Connection], own_replica: PostgresServer) -> None:
    source = own_replica.psql("SHOW primary_conninfo")
    set_source = "ALTER SYSTEM SET primary_conninfo = :'source'"
    own_replica.psql(set_source, variables={"source": ""})
    own_replica.reload()
    assert any(own_replica.psql("SELECT count(*) FROM pg_stat_wal_receiver") == "0" for _ in polls(30))
    try:
        assert "is not streaming" in why_not(servers[0], own_replica)
    finally:
        own_replica.psql(set_source, variables={"source": source})
        own_replica.reload()


@newest
def test_a_replica_that_is_late_on_purpose(servers: tuple[Connection, Connection], own_replica: PostgresServer) -> None:
    with with_settings(own_replica, recovery_min_apply_delay="1h"):
        assert "recovery_min_apply_delay is 1h" in why_not(servers[0], own_replica)


@newest
def test_queries_that_hold_replay_up(
    servers: tuple[Connection, Connection], own_replica: PostgresServer, database: str
) -> None:
    primary, _ = servers
    primary.execute("CREATE TABLE public.read ()")
    with open_as(own_replica) as standby:
        assert wait_for_replay(primary, standby, deadline_s=LONG_S).reached
    with open_as(own_replica, database=database) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT FROM public.read")
        primary.execute("DROP TABLE public.read")
        detail = why_not(primary, own_replica)
    assert "has received all of it: queries running there hold replay up (max_standby_streaming_delay is 30s)" in detail


def test_a_replica_that_is_busy_replaying_is_told_from_one_that_is_held_up() -> None:
    replica = SimpleNamespace(
        replayed=1, received=9, paused=False, apply_delay="0", conflict_delay="30s", streaming=True
    )
    assert "it is replaying" in propagation._what_holds_it_up(9, replica, 3.0, still_s=0.2)
    assert "End them" in propagation._what_holds_it_up(9, replica, 3.0, still_s=2.5)


def test_a_server_that_the_network_has_swallowed_is_noticed_in_minutes(primary: PostgresServer) -> None:
    with open_as(primary) as connection:
        known = connection.info.get_parameters()
    idle, every, times = (int(known[f"keepalives_{name}"]) for name in ("idle", "interval", "count"))
    assert idle + every * times <= 120

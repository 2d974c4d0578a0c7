"""Two runs at once, readers who read on, partitions by the hundred: what people met in production with other tools.

Shown elsewhere, and not again here:

- two runs at once: ``tests/cli/test_interrupted.py``, test_two_runs_at_once_both_end_well;
- a run beside migrations, and behind an open one: ``tests/cli/test_meanwhile.py``;
- "the role cannot be dropped" (other databases, default privileges of both directions, sequences), and sessions that
  survive: ``test_taking_away.py``, test_a_user_that_left_the_spec_is_gone…, on replicas ``test_departed.py``;
- one column less, without a gap: ``test_taking_away.py``, test_a_column_that_the_spec_excludes_now….
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event

import psycopg
import pytest

from replica_access.sandbox.binaries import find_installation

from .conftest import ADMINS
from .world import REVOKING, World, sql_of

# What is tried here does not depend on the major: two of them lock differently, and both are tried elsewhere.
pytestmark = [
    pytest.mark.parametrize("installation", [find_installation()], indirect=True, ids=str, scope="session"),
    pytest.mark.parametrize("admin", [ADMINS["rds"]], ids=["rds"]),
]


@contextmanager
def meanwhile(work: Callable[[], object]) -> Iterator[Future[int]]:
    """Do `work` again and again in the background until the block ends; how often, once it has."""
    over, begun = Event(), Event()

    def repeat() -> int:
        times = 0
        while not over.is_set():
            work()
            times += 1
            begun.set()
        return times

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(repeat)
        assert begun.wait(30)
        try:
            yield future
        finally:
            over.set()


# --- readers who read on ---------------------------------------------------------------------------------------------


def test_readers_never_lose_what_they_keep_while_a_run_changes_things(world: World) -> None:
    """No REVOKE ALL first: whoever reads through an apply that grants, narrows and takes away notices nothing."""
    wide, narrow = (
        world.spec(schemas='["*"]'),
        world.spec(
            schemas='["leasing"]', exclude='["vault", "leasing.password_*", "leasing.lease.tenant", "leasing.history"]'
        ),
    )
    world.apply(wide)
    world.sabotage(
        'GRANT INSERT ON ALL TABLES IN SCHEMA leasing TO :"reader"; GRANT ALL ON leasing.totals TO :"reader"'
    )
    reads = ("SELECT id FROM leasing.lease", "SELECT * FROM leasing.payment", "SELECT * FROM leasing.totals")
    with world.as_user() as user, meanwhile(lambda: [user.execute(query.encode()) for query in reads]) as polled:
        taken = world.apply(narrow, REVOKING).changes
        given = world.apply(wide, REVOKING).changes
    assert polled.result() > 10
    assert {change.takes for change in taken} == {"", "revoke"}
    assert given
    assert world.plan(wide, REVOKING).changes == ()


# --- not alone -------------------------------------------------------------------------------------------------------


def test_tuple_concurrently_updated_is_nothing_that_anybody_sees(world: World, make_role: Callable[..., str]) -> None:
    """Somebody else grants and revokes on the same database, schema and tables without pause."""
    other = make_role("other")
    statements = [
        f'{verb} {what} {word} "{other}"'
        for verb, word in (("GRANT", "TO"), ("REVOKE", "FROM"))
        for what in (
            f'CONNECT ON DATABASE "{world.database}"',
            "USAGE ON SCHEMA leasing",
            "SELECT ON ALL TABLES IN SCHEMA leasing",
        )
    ]
    server = world.primary
    dsn = server.dsn(user=server.superuser, password=server.superuser_password, dbname=world.database)
    failed: list[str] = []

    def grant(session: psycopg.Connection[tuple[object, ...]]) -> None:
        for statement in statements:
            try:
                session.execute(statement.encode())
            except psycopg.errors.InternalError_ as error:
                failed.append(str(error))

    with psycopg.connect(dsn, autocommit=True) as one, psycopg.connect(dsn, autocommit=True) as two:
        for _ in range(4):
            plan = world.plan()
            with meanwhile(lambda: grant(one)), meanwhile(lambda: grant(two)):
                world.apply(confirmed=True)
                assert world.plan().changes == ()
            world.undo(plan)
    assert any("concurrently updated" in each for each in failed)  # those two do see it


def test_a_session_holds_one_lock_of_ours_at_a_time(
    world: World, make_database: Callable[..., str], logged: Callable[[], str]
) -> None:
    """What never waits with a lock in its hands cannot deadlock, in whatever order runs come."""
    other = make_database("other", owner=ADMINS["rds"].name)
    start = len(logged())
    world.apply(world.spec(databases=f'["{world.database}", "{other}"]'))
    taken = re.findall(r"@(\S+):\[(\d+)\]:.*(?:\n.*)?pg_try_advisory_lock", logged()[start:])
    assert [database for database, _ in taken] == ["postgres", world.database, other]
    assert len({pid for _, pid in taken}) == 3


# --- scale -----------------------------------------------------------------------------------------------------------


def test_four_hundred_partitions_are_one_statement(world: World) -> None:
    world.apply()
    world.sabotage(
        """ALTER DEFAULT PRIVILEGES FOR ROLE :"app_owner" REVOKE SELECT ON TABLES FROM :"reader";
        SET ROLE :"app_owner"; CREATE TABLE leasing.log (id int) PARTITION BY LIST (id);
        SELECT format('CREATE TABLE leasing.log_%s PARTITION OF leasing.log FOR VALUES IN (%s)', n, n)
          FROM generate_series(1, 400) AS n \\gexec
        RESET ROLE; ALTER DEFAULT PRIVILEGES FOR ROLE :"app_owner" GRANT SELECT ON TABLES TO :"reader" """
    )
    plan = world.plan()
    (statement,) = sql_of(plan.changes)
    assert statement.startswith('GRANT SELECT ON TABLE "leasing"."log", "leasing"."log_1"')
    assert [change.summary for change in plan.changes] == [
        f"let {world.reader} read 400 tables and 1 partitioned table in leasing"
    ]
    world.apply()
    assert world.plan().changes == ()

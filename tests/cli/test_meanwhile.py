"""What other people do to the server between our plan and our statements: seen, planned again, or said by name."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Event
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.cli.conftest import Shop
from tests.cli.program import Ran
from tests.cli.test_interrupted import AT_WORK, wait_until_blocked
from tests.cli.test_names import take_back

# What somebody does before the first statement of our transaction, and the words of the server at one of them.
GOES = {
    "a table is dropped": ("DROP TABLE sales.doomed", 'relation "sales.doomed" does not exist'),
    "a table is renamed": ("ALTER TABLE sales.doomed RENAME TO moved", 'relation "sales.doomed" does not exist'),
    "a schema is dropped": ("DROP SCHEMA theirs CASCADE", 'schema "theirs" does not exist'),
    "a schema is renamed": ("ALTER SCHEMA theirs RENAME TO mine", 'schema "theirs" does not exist'),
    "a creator is dropped": ("DROP OWNED BY robot; DROP ROLE robot", 'role "robot" does not exist'),
    "a table changes hands": ("ALTER TABLE sales.doomed OWNER TO boss", "permission denied for table doomed"),
}
TOO_LATE = [name for name in GOES if name != "a table changes hands"]  # to boss, whom the admin may not join


@pytest.fixture
def doomed(shop: Shop) -> Iterator[Shop]:
    """The readers are there already; new are a table, a schema and a creator, all of them about to go."""
    assert shop.run("apply", "--yes").status == 0
    for script in shop.run.directory.glob("*.undo-*.sql"):
        script.unlink()
    shop.sql(
        """SET SESSION AUTHORIZATION master; CREATE ROLE robot; SET SESSION AUTHORIZATION app_owner;
        GRANT CREATE ON SCHEMA sales TO robot; CREATE TABLE sales.doomed (id int);
        CREATE SCHEMA theirs; CREATE TABLE theirs.lease (id int);
        REVOKE SELECT ON sales.doomed, sales.orders, theirs.lease FROM readers;
        REVOKE USAGE ON SCHEMA theirs FROM readers"""
    )
    yield shop
    with shop.session() as superuser:
        superuser.execute("DROP TABLE IF EXISTS sales.doomed, sales.moved, sales.late")
        superuser.execute("DROP SCHEMA IF EXISTS theirs, mine CASCADE")
        if superuser.execute("SELECT FROM pg_roles WHERE rolname = 'robot'").fetchone() is not None:
            superuser.execute("DROP OWNED BY robot; DROP ROLE robot")


def run_while(shop: Shop, *arguments: str, does: str) -> Ran:
    """Run, and do that before the first statement of its transaction in shop."""
    with shop.session() as other:
        other.execute("BEGIN; LOCK TABLE pg_auth_members IN SHARE ROW EXCLUSIVE MODE")  # it is about to join the owners
        with shop.run.begun(*arguments) as running:
            wait_until_blocked(shop)
            other.execute(does.encode())
            other.execute("COMMIT")
            return running.end()


def of_ours(shop: Shop) -> list[str]:
    """What the catalogs say of the readers and of the admin."""
    about = ("readers", "shared: master in app_owner", "shared: master in migrator")
    return [fact for fact in shop.facts() if any(words in fact for words in about)]


def save_plan(shop: Shop) -> list[dict[str, Any]]:
    assert shop.run("plan", "--out", "plan.json").status == 0
    changes: list[dict[str, Any]] = json.loads((shop.run.directory / "plan.json").read_text(encoding="utf-8"))[
        "changes"
    ]
    return changes


@pytest.mark.parametrize("what", TOO_LATE)
def test_what_goes_in_between_is_planned_again_where_nobody_confirmed(doomed: Shop, what: str) -> None:
    before = of_ours(doomed)
    ran = run_while(doomed, "apply", "--yes", does=GOES[what][0])
    assert ran.status == 0, ran
    assert doomed.run("plan", "--check").status == 0
    with doomed.as_user() as bi:
        bi.execute("SELECT FROM sales.orders")
    take_back(doomed)
    assert of_ours(doomed) == before


@pytest.mark.parametrize("what", GOES)
def test_what_goes_in_between_is_drift_where_somebody_confirmed(doomed: Shop, what: str) -> None:
    does, words = GOES[what]
    save_plan(doomed)
    before = of_ours(doomed)
    ran = run_while(doomed, "apply", "plan.json", "--yes", does=does)
    assert ran.status == 3, ran
    assert "shop has changed since the plan was made" in ran.err
    assert words in ran.err
    assert not ran.has_traceback
    assert of_ours(doomed) == before


@pytest.mark.parametrize(("confirmed", "status"), [(False, 0), (True, 3)])
def test_a_database_that_goes_is_left_out_or_is_drift(shop: Shop, confirmed: bool, status: int) -> None:
    shop.declare(databases='["shop", "zoo"]')
    with shop.session("postgres") as superuser:
        superuser.execute("CREATE DATABASE zoo OWNER app_owner TEMPLATE template0")
        try:
            save_plan(shop)
            with ExitStack() as stack:
                with shop.busy("shop"):
                    run = shop.run.begun("apply", *["plan.json"] * confirmed, "--yes", "-v")
                    running = stack.enter_context(run)
                    running.until(f"{AT_WORK} in shop")
                    superuser.execute("DROP DATABASE zoo")
                ran = running.end()
        finally:
            superuser.execute("DROP DATABASE IF EXISTS zoo")
    assert ran.status == status, ran
    assert ('database zoo: no connection as master: database "zoo" does not exist' in ran.err) is confirmed
    with shop.as_user() as bi:
        bi.execute("SELECT FROM sales.orders")


# --- what comes while we are at work ---------------------------------------------------------------------------------

COMES = """
SET SESSION AUTHORIZATION app_owner; CREATE TABLE sales.late (id int); REVOKE SELECT ON sales.late FROM readers
"""


def test_what_comes_in_between_is_granted_too_where_nobody_confirmed(doomed: Shop) -> None:
    before = of_ours(doomed)
    ran = run_while(doomed, "apply", "--yes", does=COMES)
    assert ran.status == 0, ran
    assert doomed.run("plan", "--check").status == 0
    with doomed.as_user() as bi:
        bi.execute("SELECT FROM sales.late")
    take_back(doomed)
    assert of_ours(doomed) == before


def test_what_comes_in_between_is_left_and_said_where_somebody_confirmed(doomed: Shop) -> None:
    agreed = [change["id"] for change in save_plan(doomed)]
    ran = run_while(doomed, "--format", "json", "apply", "plan.json", "--yes", does=COMES)
    assert ran.status == 3, ran
    assert "let readers read the table sales.late" in ran.err
    assert ran.document["applied"] == agreed
    assert [change["sql"] for change in doomed.run("--format", "json", "plan").document["changes"]] == [
        ['GRANT SELECT ON TABLE "sales"."late" TO "readers"']
    ]


# --- somebody's migration --------------------------------------------------------------------------------------------


@pytest.fixture
def migration(doomed: Shop) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    with doomed.session(application_name="flyway") as session:
        session.execute("BEGIN; ALTER TABLE sales.orders ADD COLUMN since date")
        yield session
        session.execute("ROLLBACK")
        session.execute("ALTER TABLE sales.orders DROP COLUMN IF EXISTS since")


def test_a_migration_in_an_open_transaction_is_waited_for(
    doomed: Shop, migration: psycopg.Connection[tuple[Any, ...]]
) -> None:
    """It has written the rows that our GRANT writes: the first attempt fails, and the plan is made again."""
    migration.execute("DROP TABLE sales.doomed")
    with doomed.run.begun("apply", "--yes", "-v") as running:
        said = running.until("waits for")
        migration.execute("COMMIT")
        ran = running.end()
    assert f"process {migration.info.backend_pid} (rdsadmin, flyway, idle in transaction for " in said
    assert said.endswith(", which holds the table sales.doomed\n")
    assert ran.status == 0, ran
    with doomed.as_user() as bi:
        bi.execute("SELECT since FROM sales.orders")


@pytest.mark.slow
def test_a_migration_that_does_not_end_is_named_with_what_it_holds(
    doomed: Shop, migration: psycopg.Connection[tuple[Any, ...]]
) -> None:
    ran = doomed.run("apply", "--yes")
    assert ran.status == 1, ran
    assert f"lock timeout, because of process {migration.info.backend_pid} (rdsadmin, flyway, idle in " in ran.err
    assert ", which holds the table sales.orders.\nSomebody holds a lock on it" in ran.err


CHURN = """
CREATE SCHEMA IF NOT EXISTS {1}; CREATE TABLE {1}.{0} (id int); REVOKE SELECT ON {1}.{0} FROM readers;
ALTER TABLE {1}.{0} RENAME COLUMN id TO number; DROP TABLE {1}.{0}; DROP SCHEMA {1} CASCADE
"""


def test_runs_beside_a_stream_of_migrations_all_end_well(doomed: Shop) -> None:
    """Tables and schemas come, change and go without pause, and three runs grant on what there is."""
    over = Event()

    def migrate() -> int:
        with doomed.session() as session:
            session.execute("SET SESSION AUTHORIZATION app_owner")
            for number in itertools.count():
                for statement in (
                    sql.SQL(CHURN).format(*map(sql.Identifier, (f"t{number}", "s"))).as_string().split(";")
                ):
                    session.execute(statement.encode())
                if over.is_set():
                    return number
        return 0

    with ThreadPoolExecutor(1) as pool, ExitStack() as stack:
        stack.callback(over.set)
        migrations = pool.submit(migrate)
        runs = [stack.enter_context(doomed.run.begun("apply", "--yes")) for _ in range(3)]
        ends = [running.end() for running in runs]
        over.set()
        assert migrations.result() > 10
    assert [ran.status for ran in ends] == [0, 0, 0], ends
    assert doomed.run("apply", "--yes").status == 0
    assert doomed.run("plan", "--check").status == 0

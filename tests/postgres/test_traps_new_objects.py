"""The new table, or the new schema, that nobody can read: each way to get there, by what the user sees of it.

Those that other tests hold:

==============================================================  =======================================================
schemas come faster than anybody lists them                     test_scenario: test_what_creators_make_later_is_...,
                                                                cli/test_grant: test_a_table_of_a_new_creator_is_granted
                                                                and test_a_new_schema_under_a_pattern_needs_no_name_...
default privileges imply the same grant on what exists already  test_scenario: one spec, test_the_reader_reads_what_it_
                                                                should_... and test_what_creators_make_later_is_...
default privileges are for one schema alone, and for nothing    test_scenario: test_what_creators_make_later_is_... and
that comes anywhere, nor for schemas                            test_listed_schemas_get_default_privileges_in_those_...
==============================================================  =======================================================
"""

from __future__ import annotations

import re
from collections.abc import Callable

import psycopg
import pytest

from replica_access.model import Plan
from replica_access.sandbox.server import PostgresServer

from .conftest import Admin
from .pinned import NEWEST, RDS, SUPERUSER
from .world import World, sql_of


def creators_in(plan: Plan) -> set[str]:
    """Whose default privileges the plan sets; their names need no quotes within."""
    head = re.compile(r"ALTER DEFAULT PRIVILEGES FOR ROLE (.*?) (?:IN SCHEMA|GRANT) ")
    return {
        name.strip('"') for sql in sql_of(plan.changes) for found in head.findall(sql) for name in found.split(", ")
    }


@NEWEST
@RDS
def test_a_table_of_the_migrations_is_readable_on_the_replica_though_defaults_were_set_for_another_role(
    world: World, admin: Admin, replica: PostgresServer, catch_up: Callable[[], None]
) -> None:
    """What the wiki said: ALTER DEFAULT PRIVILEGES by the master user, and tables made by the migrations' role."""
    world.sabotage(
        f"""GRANT ALL ON SCHEMA leasing TO "{admin.name}"; SET SESSION AUTHORIZATION "{admin.name}";
        CREATE ROLE :"reader"; ALTER DEFAULT PRIVILEGES IN SCHEMA leasing GRANT SELECT ON TABLES TO :"reader";
        SET SESSION AUTHORIZATION DEFAULT;
        GRANT USAGE ON SCHEMA leasing TO :"reader"; GRANT SELECT ON ALL TABLES IN SCHEMA leasing TO :"reader";
        SET ROLE :"migrator"; CREATE TABLE leasing.arrears (id int)"""
    )
    spec = world.spec(exclude='["vault"]')
    plan = world.plan(spec)
    assert creators_in(plan) == {world.app_owner, admin.name, world.migrator}
    assert any('"leasing"."arrears"' in statement for statement in sql_of(plan.changes))
    world.apply(spec)
    world.sabotage('SET ROLE :"migrator"; CREATE TABLE leasing.reminder (id int)')
    catch_up()
    with world.as_user(replica) as user:
        user.execute("SELECT * FROM leasing.arrears, leasing.reminder")
    assert world.plan(spec).changes == ()


@NEWEST
@RDS
def test_default_privileges_are_never_those_of_whoever_runs_the_tool(world: World, admin: Admin) -> None:
    for statement in sql_of(world.apply().changes):
        assert statement.startswith("ALTER DEFAULT PRIVILEGES FOR ROLE ") or "DEFAULT PRIVILEGES" not in statement
    of = f"{world.database}: default of "
    defaults = [fact.removeprefix(of).split(" ")[0] for fact in world.facts() if fact.startswith(of)]
    assert set(defaults) == {world.app_owner, world.migrator}


@NEWEST
@SUPERUSER
def test_a_superuser_who_owns_a_table_gets_no_default_privileges_until_it_is_named(world: World, admin: Admin) -> None:
    world.sabotage(f'SET ROLE "{admin.name}"; CREATE TABLE leasing.by_hand (id int)')
    plan = world.plan()
    assert creators_in(plan) == {world.app_owner, world.migrator}
    (note,) = [note for note in plan.pending if note.kind == "creator"]
    assert note.name == admin.name
    assert note.reason.endswith("what it makes next is not covered unless creators names it")
    world.apply()
    world.sabotage(f'SET ROLE "{admin.name}"; CREATE TABLE leasing.by_hand_too (id int)')
    (statement,) = sql_of(world.plan().changes)
    assert statement == f'GRANT SELECT ON TABLE "leasing"."by_hand_too" TO "{world.reader}"'

    pinned = world.spec(creators=f'["{world.app_owner}", "{world.migrator}", "{admin.name}"]')
    world.apply(pinned)
    world.sabotage(f'SET ROLE "{admin.name}"; CREATE TABLE leasing.by_hand_again (id int)')
    assert world.plan(pinned).changes == ()


# --- built anew ------------------------------------------------------------------------------------------------------

REBUILT = {
    "drop and create": "DROP TABLE leasing.history; CREATE TABLE leasing.history (id int)",
    "swap": """CREATE TABLE leasing.history_new (id int); ALTER TABLE leasing.history RENAME TO history_old;
        ALTER TABLE leasing.history_new RENAME TO history; DROP TABLE leasing.history_old""",
    "another kind": "DROP TABLE leasing.history; CREATE MATERIALIZED VIEW leasing.history AS SELECT 1 AS id",
    "and back": "DROP MATERIALIZED VIEW leasing.history; CREATE VIEW leasing.history AS SELECT 1 AS id",
}


@NEWEST
@RDS
def test_a_table_that_is_built_anew_stays_readable_and_is_no_drift(world: World) -> None:
    world.apply()
    for sql in REBUILT.values():
        world.sabotage(f'SET ROLE :"migrator"; {sql}')
        with world.as_user() as user:
            user.execute("SELECT * FROM leasing.history")
        assert world.plan().changes == ()


@NEWEST
@RDS
def test_a_table_built_anew_by_a_role_that_is_not_covered_is_named_with_that_role(
    world: World, admin: Admin, make_role: Callable[..., str]
) -> None:
    world.apply()
    builder = make_role("dbt", by=admin.name)
    world.sabotage(
        f"""GRANT ALL ON SCHEMA leasing TO "{builder}"; DROP TABLE leasing.history;
        SET ROLE "{builder}"; CREATE TABLE leasing.history (id int)"""
    )
    with world.as_user() as user, pytest.raises(psycopg.errors.InsufficientPrivilege):
        user.execute("SELECT * FROM leasing.history")
    select, *defaults = sql_of(world.plan().changes)
    assert select == f'GRANT SELECT ON TABLE "leasing"."history" TO "{world.reader}"'
    assert {statement.split(" GRANT ")[0] for statement in defaults} == {
        f'ALTER DEFAULT PRIVILEGES FOR ROLE "{builder}"'
    }
    world.apply()
    world.sabotage(f'SET ROLE "{builder}"; DROP TABLE leasing.history; CREATE TABLE leasing.history (id int)')
    with world.as_user() as user:
        user.execute("SELECT * FROM leasing.history")
    assert world.plan().changes == ()

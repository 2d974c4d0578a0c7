"""The scenario that everything rests on: plan, apply, sabotage, the plan shows exactly that, apply, empty plan."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from replica_access.postgres import script

from .conftest import Admin
from .world import World, sql_of


def test_plan_apply_empty_plan(world: World) -> None:
    plan = world.plan()
    assert plan.changes
    assert not plan.blocked
    world.apply()
    assert world.plan().changes == ()


def test_the_reader_reads_what_it_should_and_nothing_else(world: World) -> None:
    world.apply()
    with world.as_user() as user:
        for readable in ("leasing.lease", "leasing.payment", "leasing.payment_1", "leasing.open", "leasing.totals",
                         "leasing.history", "leasing.invoice_number", "leasing.lease_id_seq",
                         '"Odd.Schema ""x"""."50% {off} \\n 🏠 \'quote\'"'):  # fmt: skip
            user.execute(f"SELECT * FROM {readable} LIMIT 0".encode())
        assert user.execute("SELECT has_table_privilege('leasing.remote', 'SELECT')").fetchone() == (True,)
        for refused in (
            "SELECT * FROM vault.keys",
            "SELECT * FROM leasing.password_reset",
            "INSERT INTO leasing.lease (tenant) VALUES ('x')",
            "SELECT nextval('leasing.invoice_number')",
            "CREATE TABLE leasing.mine ()",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                user.execute(refused.encode())


def test_what_creators_make_later_is_readable_without_another_run(world: World) -> None:
    world.apply()
    world.sabotage('SET ROLE :"migrator"; CREATE TABLE leasing.later (id serial)')
    world.sabotage('SET ROLE :"app_owner"; CREATE SCHEMA brand_new; CREATE TABLE brand_new.first (id serial)')
    with world.as_user() as user:
        for readable in ("leasing.later", "brand_new.first", "brand_new.first_id_seq"):
            user.execute(f"SELECT * FROM {readable} LIMIT 0".encode())
    assert world.plan().changes == ()


SABOTAGES = {
    "a table": (
        'REVOKE SELECT ON leasing.lease FROM :"reader"',
        ['GRANT SELECT ON TABLE "leasing"."lease" TO "{reader}"'],
    ),
    "a sequence": (
        'REVOKE SELECT ON SEQUENCE leasing.invoice_number FROM :"reader"',
        ['GRANT SELECT ON SEQUENCE "leasing"."invoice_number" TO "{reader}"'],
    ),
    "a default privilege": (
        'ALTER DEFAULT PRIVILEGES FOR ROLE :"migrator" REVOKE SELECT ON TABLES FROM :"reader"',
        ['ALTER DEFAULT PRIVILEGES FOR ROLE "{migrator}" GRANT SELECT ON TABLES TO "{reader}"'],
    ),
    "USAGE": (
        'REVOKE USAGE ON SCHEMA leasing FROM :"reader"',
        ['GRANT USAGE ON SCHEMA "leasing" TO "{reader}"'],
    ),
    "CONNECT": (
        'REVOKE CONNECT ON DATABASE :"database" FROM :"reader"',
        ['GRANT CONNECT ON DATABASE "{database}" TO "{reader}"'],
    ),
    "the limit of a role": (
        'ALTER ROLE :"user" CONNECTION LIMIT 3',
        ['ALTER ROLE "{user}" CONNECTION LIMIT 20'],
    ),
    "a setting": (
        "ALTER ROLE :\"user\" SET statement_timeout TO 0",
        ["ALTER ROLE \"{user}\" SET \"statement_timeout\" TO '15min'"],
    ),
    "LOGIN": ('ALTER ROLE :"user" NOLOGIN', ['ALTER ROLE "{user}" LOGIN']),
    "a comment": (
        'COMMENT ON ROLE :"reader" IS NULL',
        ['COMMENT ON ROLE "{reader}" IS \'it\'\'s 100% read\''],
    ),
}  # fmt: skip


def test_sabotage_is_shown_exactly_and_mended(world: World) -> None:
    world.apply()
    for sabotage, expected in SABOTAGES.values():
        world.sabotage(sabotage)
        assert sql_of(world.plan().changes) == [named(world, statement) for statement in expected]
        world.apply()
        assert world.plan().changes == ()


def named(world: World, statement: str) -> str:
    for name in ("reader", "user", "migrator", "database"):
        statement = statement.replace("{" + name + "}", getattr(world, name))
    return statement


def test_a_membership_that_was_taken_away_comes_back(world: World) -> None:
    world.apply()
    world.sabotage(
        'REVOKE :"reader" FROM :"user" GRANTED BY ' + _grantor(world)
        if _is_16(world)
        else 'REVOKE :"reader" FROM :"user"'
    )
    (statement,) = sql_of(world.plan().changes)
    assert statement.startswith(f'GRANT "{world.reader}" TO "{world.user}"')
    world.apply()
    assert world.plan().changes == ()


def test_a_second_apply_executes_no_ddl_and_writes_nothing(world: World, logged: Callable[[], str]) -> None:
    world.apply()
    before, lsn = len(logged()), position(world)
    applied = world.apply()
    assert applied.changes == ()
    verbs = set(re.findall(r"(?:statement|execute [^:]*): (?:--.*\n)*\s*(\w+)", logged()[before:]))
    assert verbs <= {"SELECT", "WITH"}
    assert "advisory" not in logged()[before:]
    assert set(records(world, lsn, position(world))) <= {"Standby", "XLOG"}  # what an idle server writes by itself


def position(world: World) -> str:
    return world.primary.psql("SELECT pg_current_wal_insert_lsn()")


def records(world: World, start: str, end: str) -> list[str]:
    """Return the resource managers of the WAL records between two positions."""
    if start == end:
        return []
    world.primary.psql("CHECKPOINT")  # the records up to `end` are on disk then
    wal = world.primary.data / "pg_wal"
    command = [str(world.primary.installation.tool("pg_waldump")), "-p", str(wal), "-s", start, "-e", end]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    assert said
    return re.findall(r"^rmgr: (\w+)", said, re.MULTILINE)


def test_the_admin_keeps_no_membership(world: World, admin: Admin) -> None:
    def memberships() -> str:
        return world.primary.psql(
            "SELECT m::text FROM pg_auth_members m JOIN pg_roles r ON r.oid = roleid"
            " WHERE member = :'admin'::regrole AND rolname NOT IN (:'reader', :'user') ORDER BY 1",
            variables={"admin": admin.name, "reader": world.reader, "user": world.user},
        )

    before = memberships()
    world.apply()
    assert memberships() == before


def test_the_password_reaches_neither_log_nor_plan(world: World, logged: Callable[[], str]) -> None:
    plan = world.plan()
    world.apply()
    password = (world.directory / "password").read_text(encoding="utf-8").strip()
    assert len(password) >= 20
    assert password not in logged()
    assert password not in repr(plan)
    assert "SCRAM-SHA-256$4096" in logged()  # what did reach it: the verifier


def test_listed_schemas_get_default_privileges_in_those_schemas_only(world: World) -> None:
    spec = world.spec(schemas='["leasing"]')
    world.apply(spec)
    assert world.plan(spec).changes == ()
    world.sabotage('SET ROLE :"app_owner"; CREATE TABLE leasing.later (id int); CREATE TABLE vault.later (id int)')
    granted = world.primary.psql(
        "SELECT has_table_privilege(:'reader', 'leasing.later', 'SELECT'),"
        " has_table_privilege(:'reader', 'vault.later', 'SELECT')",
        dbname=world.database,
        variables={"reader": world.reader},
    )
    assert granted == "t|f"


def _is_16(world: World) -> bool:
    return world.primary.installation.major >= 16


def _grantor(world: World) -> str:
    return world.primary.psql(
        "SELECT quote_ident(grantor::regrole::text) FROM pg_auth_members WHERE member = :'user'::regrole",
        variables={"user": world.user},
    )


def test_the_undo_script_leaves_the_catalog_as_it_was(world: World, admin: Admin, tmp_path: Path) -> None:
    catalog = """
        SELECT 'r', rolname, rolcanlogin::text FROM pg_roles
        UNION ALL SELECT 'm', m.roleid::regrole::text, m::text FROM pg_auth_members m
        UNION ALL SELECT 'd', datname, datacl::text FROM pg_database
        UNION ALL SELECT 'n', nspname, nspacl::text FROM pg_namespace
        UNION ALL SELECT 'c', c.oid::text, coalesce(relacl, acldefault('r', relowner))::text FROM pg_class c WHERE relkind IN ('r', 'p', 'v', 'm', 'f')
        UNION ALL SELECT 'a', d.oid::text, d::text FROM pg_default_acl d ORDER BY 1, 2, 3
    """  # noqa: E501
    before = world.primary.psql(catalog, dbname=world.database).splitlines()
    undo = script.render_undo(world.plan(), "postgres")
    world.apply()
    assert world.primary.psql(catalog, dbname=world.database).splitlines() != before
    file = tmp_path / "undo.sql"
    file.write_text(undo, encoding="utf-8")
    psql = world.primary.installation.tool("psql")
    ended = subprocess.run(
        [psql, "-X", "-q", "-d", world.dsn + " dbname=postgres", "-f", file],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    after = world.primary.psql(catalog, dbname=world.database).splitlines()
    # An ACL that was NULL is now written out; it says the same.
    assert [line for line in after if line not in before and not line.startswith(("d|", "n|"))] == []
    assert [line for line in before if line not in after and not line.startswith(("d|", "n|"))] == []


def test_excluded_columns_are_refused_and_the_others_readable(world: World) -> None:
    spec = world.spec(exclude='["vault", "leasing.*.tenant", "leasing.password_*"]')
    assert [
        s.replace(world.reader, "reader") for s in sql_of(world.plan(spec).changes) if s.startswith("GRANT SELECT (")
    ] == [
        'GRANT SELECT ("id") ON TABLE "leasing"."lease" TO "reader"',
        'GRANT SELECT ("id") ON TABLE "leasing"."open" TO "reader"',
    ]
    world.apply(spec)
    assert world.plan(spec).changes == ()
    with world.as_user() as user:
        user.execute("SELECT id FROM leasing.lease")
        user.execute("SELECT * FROM leasing.history")
        for refused in (
            "SELECT tenant FROM leasing.lease",
            "SELECT * FROM leasing.lease",
            "SELECT tenant FROM leasing.open",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                user.execute(refused.encode())
    world.sabotage("ALTER TABLE leasing.lease ADD COLUMN since date; GRANT SELECT (tenant) ON leasing.lease TO PUBLIC")
    plan = world.plan(spec)
    assert [s.replace(world.reader, "reader") for s in sql_of(plan.changes)] == [
        'GRANT SELECT ("since") ON TABLE "leasing"."lease" TO "reader"'
    ]
    assert [p.name for p in plan.pending if p.kind == "column"] == [f"{world.database}.leasing.lease"]

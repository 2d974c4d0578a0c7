"""Functions, procedures and types: granted where the spec says execute, and left alone where it does not."""

from __future__ import annotations

import psycopg
import pytest

from replica_access.sandbox.binaries import find_installation

from .conftest import ADMINS
from .world import World, sql_of

# Nothing of it depends on the major or on the admin; the property tests try it on all of them.
pytestmark = [
    pytest.mark.parametrize("installation", [find_installation()], indirect=True, ids=str, scope="session"),
    pytest.mark.parametrize("admin", [ADMINS["rds"]], ids=["rds"]),
]

HARDENED = """
    SET ROLE :"app_owner";
    ALTER DEFAULT PRIVILEGES FOR ROLE :"app_owner" REVOKE EXECUTE ON ROUTINES FROM PUBLIC;
    ALTER DEFAULT PRIVILEGES FOR ROLE :"app_owner" REVOKE USAGE ON TYPES FROM PUBLIC;
    CREATE FUNCTION leasing.rent(lease int, VARIADIC extras numeric[]) RETURNS numeric LANGUAGE sql AS 'SELECT 1.0';
    CREATE FUNCTION leasing.rent(lease text) RETURNS numeric LANGUAGE sql AS 'SELECT 2.0';
    CREATE FUNCTION leasing."odd (%s)"() RETURNS int LANGUAGE sql AS 'SELECT 3';
    CREATE PROCEDURE leasing.book(INOUT x int) LANGUAGE sql AS 'SELECT 4';
    CREATE AGGREGATE leasing.total(numeric) (SFUNC = numeric_add, STYPE = numeric);
    CREATE FUNCTION leasing.password_check() RETURNS int LANGUAGE sql AS 'SELECT 5';
    CREATE FUNCTION vault.open() RETURNS int LANGUAGE sql AS 'SELECT 6';
    CREATE TYPE leasing.mood AS ENUM ('good');
    CREATE DOMAIN leasing.positive AS int CHECK (VALUE > 0);
    CREATE TYPE leasing."pair, of" AS (a int, b int);
"""


def routines(statements: list[str]) -> list[str]:
    return [statement for statement in statements if " ON ROUTINE" in statement or " ON TYPE" in statement]


def test_with_read_alone_no_function_is_granted(world: World) -> None:
    world.sabotage(HARDENED)
    assert routines(sql_of(world.plan().changes)) == []


def test_with_execute_they_are_granted_today_and_tomorrow_and_the_excluded_ones_are_not(world: World) -> None:
    world.sabotage(HARDENED)
    spec = world.spec(privileges='["read", "execute"]')
    before = world.facts()
    plan = world.plan(spec)
    assert routines(sql_of(plan.changes)) == [
        (
            f'GRANT EXECUTE ON ROUTINE leasing."odd (%s)"(), leasing.book(integer), leasing.rent(integer,numeric[]),'
            f' leasing.rent(text), leasing.total(numeric) TO "{world.reader}"'
        ),
        f'GRANT USAGE ON TYPE leasing."pair, of", leasing.mood, leasing.positive TO "{world.reader}"',
        f'ALTER DEFAULT PRIVILEGES FOR ROLE "{world.app_owner}" GRANT EXECUTE ON ROUTINES TO "{world.reader}"',
        f'ALTER DEFAULT PRIVILEGES FOR ROLE "{world.app_owner}" GRANT USAGE ON TYPES TO "{world.reader}"',
    ]
    world.apply(spec)
    assert world.plan(spec).changes == ()
    world.sabotage('SET ROLE :"app_owner"; CREATE FUNCTION leasing.later() RETURNS int LANGUAGE sql AS $$SELECT 7$$')
    with world.as_user() as user:
        called = user.execute(
            "SELECT leasing.rent(1, 2), leasing.rent('x'), leasing.\"odd (%%s)\"(), leasing.later(), leasing.total(n)"
            " FROM (VALUES (1)) AS v (n)",
            (),
        )
        assert called.fetchone() == (1, 2, 3, 7, 1)
        for refused in ("SELECT leasing.password_check()", "SELECT vault.open()"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                user.execute(refused.encode())
    assert world.plan(spec).changes == ()
    world.sabotage('SET ROLE :"app_owner"; DROP FUNCTION leasing.later()')
    world.undo(plan)
    assert world.facts() == before


def test_what_everybody_may_use_is_not_granted_again(world: World) -> None:
    world.sabotage('SET ROLE :"app_owner"; CREATE FUNCTION leasing.answer() RETURNS int LANGUAGE sql AS $$SELECT 42$$')
    assert routines(sql_of(world.plan(world.spec(privileges='["read", "execute"]')).changes)) == []

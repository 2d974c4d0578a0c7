"""What a master user that is no superuser meets on RDS and since PostgreSQL 16, told as people met it with other tools.

Shown elsewhere, and not again here:

- "only roles with the ADMIN option may grant", "must be able to SET ROLE": said for each object, with the statement for
  its owner: ``tests/cli/test_refused.py``, test_objects_that_the_admin_may_not_grant_on;
- attributes are altered one by one, where they differ: ``test_scenario.py``, test_sabotage_is_shown_exactly_and_mended;
- CONNECT and TEMP taken from PUBLIC: every database of ``world`` and of ``tests/cli`` is such a one;
- a REVOKE by the wrong grantor, which does nothing: ``test_taking_away.py``, test_everything_beyond_the_spec….
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

from replica_access.errors import Blocked
from replica_access.sandbox.server import PostgresServer

from .conftest import ADMINS
from .world import REVOKING, World

pytestmark = pytest.mark.parametrize("admin", [ADMINS["rds"]], ids=["rds"])

MASTER = ADMINS["rds"].name


def since_16(world: World) -> None:
    if world.primary.installation.major < 16:
        pytest.skip("memberships have had options, and createrole_self_grant has existed, since PostgreSQL 16")


def memberships(world: World) -> list[str]:
    """The master's own, in what is not of the spec."""
    return [fact for fact in world.facts() if fact.startswith(f"shared: {MASTER} in ") and world.reader not in fact]


def scenario(world: World) -> None:
    """Plan, apply, empty plan, taken back: everything is as before, the master's memberships in between too."""
    before, mine = world.facts(), memberships(world)
    plan = world.plan()
    assert plan.changes
    assert not plan.blocked
    world.apply(confirmed=True)
    assert [each for each in memberships(world) if world.user not in each] == mine
    assert world.plan(request=REVOKING).changes == ()
    with world.as_user() as user:
        user.execute("SELECT FROM leasing.history")
    world.undo(plan)
    assert world.facts() == before


# --- memberships of the master ---------------------------------------------------------------------------------------


@pytest.fixture
def self_grant(primary: PostgresServer) -> Iterator[None]:
    if primary.installation.major < 16:
        pytest.skip("createrole_self_grant has existed since PostgreSQL 16")
    primary.psql("ALTER ROLE master SET createrole_self_grant = 'set, inherit'")
    yield
    primary.psql("ALTER ROLE master RESET createrole_self_grant")


def test_an_admin_that_is_a_member_of_every_role_it_makes(self_grant: None, world: World) -> None:
    """With createrole_self_grant the creators, and the readers when they are made, have the master as a member."""
    scenario(world)


OPTIONS = ["INHERIT TRUE, SET FALSE", "INHERIT FALSE, SET TRUE", "INHERIT FALSE, SET FALSE", "INHERIT TRUE, SET TRUE"]


@pytest.mark.parametrize("options", OPTIONS)
def test_a_membership_that_the_admin_has_granted_itself_is_as_before(world: World, options: str) -> None:
    since_16(world)
    world.sabotage(f'SET SESSION AUTHORIZATION {MASTER}; GRANT :"app_owner" TO {MASTER} WITH {options}')
    scenario(world)


@pytest.mark.parametrize("options", ["INHERIT TRUE, SET FALSE", "INHERIT FALSE, SET FALSE"])
def test_a_membership_that_somebody_else_has_granted_the_admin_is_as_before(world: World, options: str) -> None:
    since_16(world)
    world.sabotage(f'GRANT :"app_owner" TO {MASTER} WITH {options}')
    scenario(world)


def test_an_owner_that_the_admin_may_only_inherit_from_needs_no_set_role(world: World) -> None:
    """Made by somebody else, and granted without ADMIN OPTION: "must be able to SET ROLE"."""
    since_16(world)
    world.sabotage(
        f'REVOKE :"app_owner" FROM {MASTER} CASCADE;'
        f' GRANT :"app_owner" TO {MASTER} WITH ADMIN FALSE, INHERIT TRUE, SET FALSE'
    )
    scenario(world)


def test_an_owner_that_the_admin_may_only_become_is_blocked_with_the_statement_for_it(world: World) -> None:
    """SET TRUE alone lets nobody grant: the rights of the owner are not the admin's, and it may not join it."""
    since_16(world)
    world.sabotage(
        f'REVOKE :"app_owner" FROM {MASTER} CASCADE;'
        f' GRANT :"app_owner" TO {MASTER} WITH ADMIN FALSE, INHERIT FALSE, SET TRUE'
    )
    before = world.facts()
    plan = world.plan()
    assert plan.blocked
    for blocked in plan.blocked:
        assert blocked.reason.endswith(f"the admin {MASTER} has no ADMIN OPTION on {world.app_owner}")
    with pytest.raises(Blocked):
        world.apply()
    assert world.facts() == before
    for blocked in plan.blocked:
        who, statements = re.fullmatch(r"as (\S+): (.*)", blocked.fix, re.DOTALL).groups()  # type: ignore[union-attr]
        assert who == world.app_owner
        assert statements.startswith(("GRANT", "ALTER DEFAULT"))


# --- system roles ----------------------------------------------------------------------------------------------------


def test_system_roles_are_never_joined_nor_granted(
    world: World, make_database: Callable[..., str], logged: Callable[[], str]
) -> None:
    """Objects of rdsadmin, rds_superuser and pg_database_owner, in a database of the master's and in another's."""
    for database in (world.database, make_database("own", owner=MASTER)):
        world.primary.psql(
            "CREATE TABLE public.of_rdsadmin (id int); CREATE TABLE public.of_rds (id int);"
            " ALTER TABLE public.of_rds OWNER TO rds_superuser; CREATE TABLE public.of_the_owner (id int);"
            " ALTER TABLE public.of_the_owner OWNER TO pg_database_owner;"
            " ALTER SCHEMA public OWNER TO pg_database_owner",
            dbname=database,
        )
    spec = world.spec(databases=f'["{world.database}", "{world.database.removesuffix("app")}own"]')
    plan = world.plan(spec)
    assert {blocked.object.split(": ")[1] for blocked in plan.blocked} == {"the table public.of_rdsadmin"}
    world.apply(spec, skip_blocked=True)
    assert world.plan(spec).changes == ()
    granted = re.findall(r"(?:statement|execute [^:]*): (GRANT \"[^;]*? TO \"master\"[^\n]*)", logged())
    assert granted
    for statement in granted:
        assert not re.search(r'"(rds|pg_)', statement), statement
    with world.as_user() as user:
        user.execute("SELECT FROM public.of_the_owner")


def test_what_the_master_user_may_not_read_is_never_read(world: World, logged: Callable[[], str]) -> None:
    """pg_authid, and information_schema, which hides what others have granted."""
    start = len(logged())
    world.apply()
    world.plan()
    asked = [line for line in logged()[start:].splitlines() if f":{MASTER}@" in line]
    assert asked
    assert not [line for line in asked if re.search(r"\b(FROM|JOIN)\s+(pg_catalog\.)?pg_authid\b", line)]
    assert "information_schema." not in logged()[start:]


# --- grants of others ------------------------------------------------------------------------------------------------


def test_what_somebody_else_than_the_owner_has_granted_is_not_granted_again(
    world: World, make_role: Callable[..., str]
) -> None:
    deleg = make_role("deleg", by=MASTER)
    world.apply()
    world.sabotage(
        f"""SET ROLE :"app_owner"; GRANT USAGE ON SCHEMA leasing TO "{deleg}";
        GRANT SELECT ON leasing.lease TO "{deleg}" WITH GRANT OPTION; REVOKE SELECT ON leasing.lease FROM :"reader";
        SET ROLE "{deleg}"; GRANT SELECT ON leasing.lease TO :"reader" """
    )
    assert world.plan(request=REVOKING).changes == ()
    with world.as_user() as user:
        user.execute("SELECT FROM leasing.lease")

"""What readers have beyond the spec: listed apart, left without the flag, taken away with it, given back by undo."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from replica_access.errors import Blocked
from replica_access.model import Request
from replica_access.spec import Spec, parse

from .conftest import Admin
from .world import REVOKING, World

SELECT = "take SELECT on {tables} from {reader}"

# Who grants is the owner, unless it is deleg, who got it with grant option.
BEYOND = {
    "writing": (
        'GRANT INSERT, UPDATE ON leasing.lease TO :"reader"',
        "take INSERT, UPDATE on the table leasing.lease from {reader}",
    ),
    "an excluded table": (
        'GRANT SELECT ON leasing.password_reset TO :"reader"',
        SELECT,
    ),
    "an excluded schema": (
        'GRANT USAGE ON SCHEMA vault TO :"reader"',
        "take USAGE on the schema vault from {reader}",
    ),
    "a table in an excluded schema": (
        'GRANT SELECT ON vault.keys TO :"reader"',
        SELECT,
    ),
    "a grant option": (
        'GRANT SELECT ON leasing.payment TO :"reader" WITH GRANT OPTION',
        "take the grant option for SELECT on the partitioned table leasing.payment from {reader}",
    ),
    "what somebody else than the owner granted": (
        """GRANT DELETE ON leasing.lease TO :"deleg" WITH GRANT OPTION; SET ROLE :"deleg";
        GRANT DELETE ON leasing.lease TO :"reader" """,
        "take DELETE on the table leasing.lease from {reader}, granted by {deleg}",
    ),
    "a column": (
        'GRANT UPDATE (tenant) ON leasing.lease TO :"reader"',
        "take UPDATE on tenant of the table leasing.lease from {reader}",
    ),
    "a sequence": (
        'GRANT USAGE ON SEQUENCE leasing.invoice_number TO :"reader"',
        "take USAGE on the sequence leasing.invoice_number from {reader}",
    ),
    "the database": (
        'GRANT TEMPORARY ON DATABASE :"database" TO :"reader"',
        'take TEMPORARY on the database {database} from {reader}',
    ),
    "a function": (
        'GRANT EXECUTE ON FUNCTION leasing.answer() TO :"reader"',
        "take EXECUTE on the routine leasing.answer() from {reader}",
    ),
    "a type": (
        'GRANT USAGE ON TYPE leasing.mood TO :"reader"',
        "take USAGE on the type leasing.mood from {reader}",
    ),
    "a large object": (
        "SELECT lo_create(4711); GRANT SELECT, UPDATE ON LARGE OBJECT 4711 TO :\"reader\"",
        "take SELECT, UPDATE on the large object 4711 from {reader}",
    ),
    "what will be made": (
        'ALTER DEFAULT PRIVILEGES FOR ROLE :"app_owner" IN SCHEMA leasing GRANT INSERT ON TABLES TO :"reader"',
        "take INSERT on tables that {app_owner} makes in leasing from {reader}",
    ),
    "what will be made anywhere, passed on": (
        """RESET ROLE;
        ALTER DEFAULT PRIVILEGES FOR ROLE :"migrator" GRANT SELECT ON TABLES TO :"reader" WITH GRANT OPTION""",
        "take the grant option for SELECT on tables that {migrator} makes anywhere from {reader}",
    ),
    "functions that will be made": (
        'ALTER DEFAULT PRIVILEGES FOR ROLE :"app_owner" GRANT EXECUTE ON FUNCTIONS TO :"reader"',
        "take EXECUTE on routines that {app_owner} makes anywhere from {reader}",
    ),
    "a login that was granted something itself": (
        'RESET ROLE; GRANT SELECT ON leasing.history TO :"user"',
        "take SELECT on the table leasing.history from {user}",
    ),
    "PostgreSQL's own catalog": (
        'RESET ROLE; GRANT SELECT ON pg_catalog.pg_authid TO :"reader"',
        SELECT,
    ),
    "a membership": (
        'SET SESSION AUTHORIZATION :"admin"; GRANT :"deleg" TO :"user"',
        "take the membership in {deleg} from {user}",
    ),
}  # fmt: skip


@pytest.fixture
def crowd(world: World, admin: Admin, make_role: Callable[..., str], prefix: str) -> World:
    """The world with its spec applied, a function, a type, and deleg, to whom the owner has passed things on."""
    make_role("deleg", by=admin.name)
    world.sabotage(
        'SET ROLE :"app_owner"; CREATE FUNCTION leasing.answer() RETURNS int LANGUAGE sql RETURN 42;'
        " CREATE TYPE leasing.mood AS ENUM ('good'); GRANT USAGE ON SCHEMA leasing TO " + f'"{prefix}deleg"'
    )
    world.apply()
    return world


def beyond(world: World, admin: Admin, prefix: str) -> set[str]:
    """Do it all, and return the sentences that the plan should have for it."""
    names = {name: getattr(world, name) for name in ("reader", "user", "app_owner", "migrator", "database")}
    sentences = {SELECT, *(sentence for _, sentence in BEYOND.values())}
    for sql, _ in BEYOND.values():
        acting = sql.replace(':"deleg"', f'"{prefix}deleg"').replace(':"admin"', f'"{admin.name}"')
        world.sabotage(f'SET ROLE :"app_owner"; {acting}')
    # What belongs to the bootstrap superuser, the master user of RDS cannot take away.
    tables = (
        "3 relations in leasing, pg_catalog, vault" if admin.kind == "superuser" else "2 relations in leasing, vault"
    )
    return {sentence.format(**names, deleg=f"{prefix}deleg", tables=tables) for sentence in sentences}


def test_everything_beyond_the_spec_is_named_left_and_taken_away_only_when_allowed(
    crowd: World, admin: Admin, prefix: str
) -> None:
    clean = crowd.facts()
    sentences = beyond(crowd, admin, prefix)
    sabotaged = crowd.facts()
    plan = crowd.plan()
    assert {change.summary for change in plan.changes} == sentences
    assert all(change.takes == "revoke" for change in plan.changes)
    assert crowd.apply().changes == ()
    assert crowd.facts() == sabotaged

    revoking = crowd.plan(request=REVOKING)
    applied = crowd.apply(request=REVOKING, skip_blocked=True)
    assert {change.summary for change in applied.changes} == sentences
    assert crowd.plan(request=REVOKING).changes == ()
    harmless = ("large object 4711", f"{prefix}deleg", "pg_authid")
    assert without(crowd.facts(), harmless) == without(clean, harmless)

    crowd.undo(revoking)
    assert crowd.facts() == sabotaged


def without(facts: list[str], words: tuple[str, ...]) -> list[str]:
    return [fact for fact in facts if not any(word in fact for word in words)]


def test_a_reader_that_may_create_is_a_creator_until_that_is_taken_away(crowd: World) -> None:
    crowd.sabotage('GRANT CREATE ON SCHEMA leasing TO :"reader"; GRANT CREATE ON DATABASE :"database" TO :"reader"')
    assert any(f"that {crowd.user} makes" in change.summary for change in crowd.plan().changes)
    assert sorted(change.summary for change in crowd.plan(request=REVOKING).changes) == [
        f"take CREATE on the database {crowd.database} from {crowd.reader}",
        f"take CREATE on the schema leasing from {crowd.reader}",
    ]
    crowd.apply(request=REVOKING)
    assert crowd.plan().changes == ()


def test_a_role_that_others_depend_on_is_not_taken_from_with_a_cascade(crowd: World, prefix: str) -> None:
    crowd.sabotage(
        'SET ROLE :"app_owner"; GRANT SELECT ON leasing.lease TO :"reader" WITH GRANT OPTION; SET ROLE :"reader";'
        f' GRANT SELECT ON leasing.lease TO "{prefix}deleg"'
    )
    plan = crowd.plan()
    assert plan.changes == ()
    (note,) = [note for note in plan.pending if note.kind == "privilege"]
    assert "has passed it on to others" in note.reason
    assert note.reason.endswith(
        f'REVOKE GRANT OPTION FOR SELECT ON TABLE "leasing"."lease" FROM "{crowd.reader}" CASCADE;'
    )
    with pytest.raises(Blocked, match="has passed it on"):
        crowd.apply(request=REVOKING)
    granted = crowd.primary.psql(
        "SELECT has_table_privilege(:'deleg', 'leasing.lease', 'SELECT')",
        dbname=crowd.database, variables={"deleg": f"{prefix}deleg"},
    )  # fmt: skip
    assert granted == "t"


def test_a_column_that_the_spec_excludes_now_is_taken_without_a_gap(crowd: World, logged: Callable[[], str]) -> None:
    spec = crowd.spec(exclude='["vault", "leasing.password_*", "leasing.lease.tenant"]')
    plan = crowd.plan(spec)
    assert [(change.takes, change.sql) for change in plan.changes] == [
        ("revoke", (f'REVOKE SELECT ON TABLE "leasing"."lease" FROM "{crowd.reader}"',)),
        ("revoke", (f'GRANT SELECT ("id") ON TABLE "leasing"."lease" TO "{crowd.reader}"',)),
    ]
    before = crowd.facts()
    crowd.apply(spec, REVOKING)
    assert crowd.plan(spec, REVOKING).changes == ()
    with crowd.as_user() as user:
        user.execute("SELECT id FROM leasing.lease")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            user.execute("SELECT tenant FROM leasing.lease")
    executed = logged()
    revoked = executed.index(plan.changes[0].sql[0])
    assert "COMMIT" not in executed[revoked : executed.index(plan.changes[1].sql[0])]
    crowd.undo(plan)
    assert crowd.facts() == before


def test_what_a_group_gave_that_the_spec_does_not_name_is_granted_before_it_goes(
    crowd: World, admin: Admin, prefix: str
) -> None:
    """Reading through a membership counts as long as nobody wants to take it away."""
    crowd.sabotage(
        'SET ROLE :"app_owner"; CREATE TABLE leasing.late (id int); REVOKE ALL ON leasing.late FROM :"reader";'
        f' GRANT SELECT ON leasing.late TO "{prefix}deleg"; SET SESSION AUTHORIZATION "{admin.name}";'
        f' GRANT "{prefix}deleg" TO :"reader"'
    )
    plan = crowd.plan()
    assert [change.takes for change in plan.changes] == ["revoke"]
    assert [(c.object, c.through) for c in plan.covered] == [
        (f"1 relation in {crowd.database}.leasing", f"{prefix}deleg")
    ]
    applied = crowd.apply(request=REVOKING)
    assert [change.action for change in applied.changes] == ["grant select", "revoke membership"]
    assert crowd.plan(request=REVOKING).changes == ()
    with crowd.as_user() as user:
        user.execute("SELECT * FROM leasing.late")


def test_default_privileges_that_were_too_wide_are_replaced_by_narrow_ones(world: World) -> None:
    world.apply(world.spec(schemas='["*"]'))
    narrow = world.spec(schemas='["leasing"]')
    assert {change.takes for change in world.plan(narrow).changes} == {"revoke"}
    world.apply(narrow, REVOKING)
    assert world.plan(narrow, REVOKING).changes == ()
    world.sabotage('SET ROLE :"app_owner"; CREATE TABLE leasing.later (id int); CREATE TABLE vault.later (id int)')
    granted = world.primary.psql(
        "SELECT has_table_privilege(:'reader', 'leasing.later', 'SELECT'),"
        " has_table_privilege(:'reader', 'vault.later', 'SELECT')",
        dbname=world.database, variables={"reader": world.reader},
    )  # fmt: skip
    assert granted == "t|f"


def test_what_readers_have_in_a_database_that_the_spec_does_not_name(
    crowd: World, admin: Admin, make_database: Callable[..., str]
) -> None:
    other = make_database("other", owner=admin.name)
    crowd.primary.psql(
        'CREATE TABLE t (id int); ALTER TABLE t OWNER TO :"admin"; GRANT SELECT ON t TO :"reader";'
        ' GRANT CONNECT ON DATABASE :"other" TO :"reader"',
        dbname=other, variables={"reader": crowd.reader, "admin": admin.name, "other": other},
    )  # fmt: skip
    plan = crowd.plan()
    assert [(change.database, change.summary) for change in plan.changes] == [
        (None, f"take CONNECT on the database {other} from {crowd.reader}"),
        (other, f"take SELECT on the table public.t from {crowd.reader}"),
    ]
    crowd.apply(request=REVOKING)
    assert crowd.plan(request=REVOKING).changes == ()


def test_a_table_made_after_the_fact_that_an_exclusion_means_is_closed_by_the_next_run(crowd: World) -> None:
    crowd.sabotage('SET ROLE :"migrator"; CREATE TABLE leasing.password_new (id int)')
    plan = crowd.plan()
    assert [change.summary for change in plan.changes] == [
        f"take SELECT on the table leasing.password_new from {crowd.reader}"
    ]
    crowd.apply(request=REVOKING)
    assert crowd.plan(request=REVOKING).changes == ()
    with crowd.as_user() as user, pytest.raises(psycopg.errors.InsufficientPrivilege):
        user.execute("SELECT * FROM leasing.password_new")


# --- users that leave the spec ---------------------------------------------------------------------------------------


def without_bi(world: World) -> tuple[Spec, Request]:
    """The spec without its login, and the request of somebody who lets it be dropped."""
    text = world.spec_text()
    start, end = text.index(f"[users.{world.user}]"), text.index("[[grants]]")
    oid = world.primary.psql("SELECT oid FROM pg_roles WHERE rolname = :'user'", variables={"user": world.user})
    return parse(text[:start] + text[end:]), Request(allow_drop=True, departed={world.user: int(oid)})


def depends_on(world: World, oid: int) -> str:
    return world.primary.psql(
        "SELECT count(*) FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND refobjid = :'oid'",
        variables={"oid": str(oid)},
    )


def test_a_user_that_left_the_spec_is_gone_from_every_database_and_its_sessions_end(
    crowd: World, admin: Admin, make_database: Callable[..., str]
) -> None:
    other = make_database("other", owner=admin.name)
    crowd.primary.psql(
        'CREATE TABLE t (id int); ALTER TABLE t OWNER TO :"admin"; GRANT SELECT ON t TO :"user";'
        ' GRANT CONNECT ON DATABASE :"other" TO :"user"',
        dbname=other, variables={"user": crowd.user, "admin": admin.name, "other": other},
    )  # fmt: skip
    crowd.sabotage(
        'SET ROLE :"app_owner"; GRANT SELECT ON leasing.lease TO :"user"; GRANT UPDATE (tenant) ON leasing.lease TO'
        ' :"user"; GRANT USAGE ON SEQUENCE leasing.invoice_number TO :"user"; RESET ROLE;'
        ' ALTER DEFAULT PRIVILEGES FOR ROLE :"app_owner" IN SCHEMA leasing GRANT SELECT ON TABLES'
        ' TO :"user"; ALTER DEFAULT PRIVILEGES FOR ROLE :"user" GRANT SELECT ON TABLES TO :"reader";'
        ' ALTER DEFAULT PRIVILEGES FOR ROLE :"user" REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC'
    )
    spec, request = without_bi(crowd)
    before = crowd.facts()
    assert {change.takes for change in crowd.plan(spec, request).changes} == {"drop"}
    assert crowd.apply(spec, Request(departed=request.departed)).changes == ()
    assert crowd.facts() == before

    plan = crowd.plan(spec, request)
    with crowd.as_user() as session:
        crowd.apply(spec, request)
        with pytest.raises(psycopg.OperationalError, match="terminating connection"):
            session.execute("SELECT 1")
    assert crowd.plan(spec, request).changes == ()
    assert depends_on(crowd, request.departed[crowd.user]) == "0"
    with pytest.raises(psycopg.OperationalError, match=r"does not exist|authentication failed"):
        crowd.as_user()

    crowd.undo(plan)
    again = crowd.facts()
    passwords = ("with a password", "without a password", "verifier of", "ALTER ROLE")
    lost = [fact for fact in before if fact not in again and not any(word in fact for word in passwords)]
    assert lost == []


def test_what_a_user_owns_is_reported_and_never_dropped_with_it(crowd: World) -> None:
    crowd.sabotage('CREATE TABLE leasing.mine (id int); ALTER TABLE leasing.mine OWNER TO :"user"')
    spec, request = without_bi(crowd)
    plan = crowd.plan(spec, request)
    assert "drop role" not in {change.action for change in plan.changes}
    (note,) = [note for note in plan.pending if note.kind == "role"]
    assert f"owns 1 object in {crowd.database}" in note.reason
    assert f'REASSIGN OWNED BY "{crowd.user}"' in note.reason
    crowd.apply(spec, request)
    with pytest.raises(psycopg.OperationalError, match="not permitted to log in"):
        crowd.as_user()
    crowd.sabotage('REASSIGN OWNED BY :"user" TO :"app_owner"')
    crowd.apply(spec, request)
    assert depends_on(crowd, request.departed[crowd.user]) == "0"
    assert crowd.plan(spec, request).changes == ()


def test_a_role_of_the_same_name_made_since_is_left_alone(crowd: World) -> None:
    spec, request = without_bi(crowd)
    crowd.primary.psql('DROP OWNED BY :"user"; DROP ROLE :"user"; CREATE ROLE :"user"', variables={"user": crowd.user})
    assert crowd.plan(spec, request).changes == ()

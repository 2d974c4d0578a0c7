"""The plan that is never empty, or empty and wrong: each way to get there, by what the user sees of it.

Those that other tests hold:

=============================================================  ========================================================
a revoke by the wrong grantor is planned again and again       test_taking_away: test_everything_beyond_the_spec_is_
                                                               named_left_and_taken_away_only_when_allowed
objects of others, which the admin may not grant on, are no    cli/test_refused:
drift                                                          test_objects_that_the_admin_may_not_grant_on
whatever there is: a second plan is empty                      test_properties
=============================================================  ========================================================
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import psycopg
import pytest

from replica_access.errors import NotEffective

from .conftest import Admin
from .pinned import NEWEST, RDS
from .world import REVOKING, World, sql_of

pytestmark = [NEWEST, RDS]


# --- all tables ------------------------------------------------------------------------------------------------------


def test_a_new_table_is_one_grant_that_names_it_and_what_a_reader_owns_is_none(world: World) -> None:
    world.apply()
    world.sabotage(
        """CREATE TABLE leasing.imported (id int); ALTER TABLE leasing.imported OWNER TO :"app_owner";
        REVOKE ALL ON leasing.imported FROM :"reader";
        CREATE TABLE leasing.own (id serial); ALTER TABLE leasing.own OWNER TO :"reader" """
    )
    plan = world.plan()
    assert sql_of(plan.changes) == [f'GRANT SELECT ON TABLE "leasing"."imported" TO "{world.reader}"']
    (note,) = [note for note in plan.pending if note.kind == "ownership"]
    assert note.name == world.reader
    assert note.reason.startswith("owns 2 objects")
    world.apply()
    assert world.plan(request=REVOKING).changes == ()


def test_a_login_by_iam_settles(world: World) -> None:
    spec = world.spec(user='auth = "iam"')
    assert f'"rds_iam" TO "{world.user}"' in " ".join(sql_of(world.apply(spec).changes))
    assert world.plan(spec, REVOKING).changes == ()


KINDS = {
    "table": "lease",
    "partitioned table": "payment",
    "a partition": "payment_1",
    "view": "open",
    "materialized view": "totals",
    "foreign table": "remote",
    "sequence": "invoice_number",
    "the sequence of an identity": "payment_id_seq",
}


def test_a_relation_of_any_kind_that_is_not_granted_is_seen_and_granted_once(world: World) -> None:
    world.apply()
    for name in KINDS.values():
        kind = "SEQUENCE" if name in {"invoice_number", "payment_id_seq"} else "TABLE"
        world.sabotage(f'REVOKE SELECT ON leasing.{name} FROM :"reader"')
        assert sql_of(world.plan().changes) == [f'GRANT SELECT ON {kind} "leasing"."{name}" TO "{world.reader}"']
        world.apply()
        assert world.plan().changes == ()


def test_a_schema_with_nothing_in_it_settles_and_so_does_what_comes_into_it(world: World) -> None:
    spec = world.spec(schemas='["nothing", "leasing"]')
    world.sabotage('SET ROLE :"app_owner"; CREATE SCHEMA nothing')
    world.apply(spec)
    assert world.plan(spec).changes == ()
    world.sabotage('SET ROLE :"app_owner"; CREATE TABLE nothing.first (id int)')
    assert world.plan(spec).changes == ()
    with world.as_user() as user:
        user.execute("SELECT * FROM nothing.first")


def test_signatures_longer_than_a_name_settle(world: World) -> None:
    long = "f" * 63
    world.sabotage(
        f"""SET ROLE :"app_owner"; CREATE SCHEMA {"s" * 63}; SET search_path = {"s" * 63};
        CREATE TYPE {"t" * 63} AS (a int);
        CREATE FUNCTION {long}({"t" * 63}, int, timestamp with time zone) RETURNS int LANGUAGE sql RETURN 1;
        CREATE FUNCTION {long}({"t" * 63}, int, timestamp without time zone) RETURNS int LANGUAGE sql RETURN 2;
        REVOKE ALL ON FUNCTION {long}({"t" * 63}, int, timestamptz) FROM PUBLIC;
        REVOKE ALL ON FUNCTION {long}({"t" * 63}, int, timestamp) FROM PUBLIC"""
    )
    spec = world.spec(privileges='["read", "execute"]')
    (granted,) = [s for s in sql_of(world.apply(spec).changes) if s.startswith("GRANT EXECUTE")]
    assert granted.count("timestamp with time zone") == granted.count("timestamp without time zone") == 1
    assert world.plan(spec, REVOKING).changes == ()


# --- lists of privileges that nobody has written yet -----------------------------------------------------------------


def test_an_acl_that_was_never_written_settles_and_public_keeps_what_it_stands_for(
    world: World, make_database: Callable[..., str]
) -> None:
    fresh = make_database("fresh", owner=world.app_owner)
    world.primary.psql(
        """SET ROLE :"owner"; CREATE SCHEMA app; CREATE TABLE app.orders (id serial);
        CREATE FUNCTION app.answer() RETURNS int LANGUAGE sql RETURN 42; CREATE TYPE app.mood AS ENUM ('good')""",
        dbname=fresh, variables={"owner": world.app_owner},
    )  # fmt: skip
    never = world.primary.psql(
        "SELECT count(*) FROM pg_database WHERE datname = :'db' AND datacl IS NULL", variables={"db": fresh}
    )
    assert never == "1"
    spec = world.spec(databases=f'["{fresh}"]', privileges='["read", "execute"]')
    of_public = [fact for fact in facts_of(world, fresh) if ": =" in fact]
    before = world.facts()
    plan = world.plan(spec)
    assert f'GRANT CONNECT ON DATABASE "{fresh}" TO "{world.reader}"' in sql_of(plan.changes)
    world.apply(spec)
    assert world.plan(spec, REVOKING).changes == ()
    assert [fact for fact in facts_of(world, fresh) if ": =" in fact] == of_public
    world.undo(plan)
    assert world.facts() == before


def facts_of(world: World, database: str) -> list[str]:
    return replace(world, database=database).facts()


# --- default privileges ----------------------------------------------------------------------------------------------

NEAR_MISSES = """
    ALTER DEFAULT PRIVILEGES FOR ROLE :"app_owner" IN SCHEMA leasing GRANT SELECT ON TABLES TO "{other}";
    ALTER DEFAULT PRIVILEGES FOR ROLE "{other}" IN SCHEMA leasing GRANT SELECT ON TABLES TO :"reader";
    ALTER DEFAULT PRIVILEGES FOR ROLE :"app_owner" IN SCHEMA vault GRANT SELECT ON TABLES TO :"reader";
    ALTER DEFAULT PRIVILEGES FOR ROLE :"app_owner" IN SCHEMA leasing GRANT INSERT ON TABLES TO :"reader";
    ALTER DEFAULT PRIVILEGES FOR ROLE :"app_owner" IN SCHEMA leasing GRANT USAGE ON SEQUENCES TO :"reader";
    ALTER DEFAULT PRIVILEGES FOR ROLE :"app_owner" GRANT USAGE ON SCHEMAS TO :"reader";
"""


def test_default_privileges_that_are_nearly_the_wanted_ones_do_not_pass_for_them(
    world: World, admin: Admin, make_role: Callable[..., str]
) -> None:
    """Of another creator, for another reader, in another schema, of another privilege, on another kind."""
    spec = world.spec(schemas='["leasing"]')
    world.apply(spec)
    world.sabotage(
        """ALTER DEFAULT PRIVILEGES FOR ROLE :"app_owner" IN SCHEMA leasing REVOKE ALL ON TABLES FROM :"reader";
        ALTER DEFAULT PRIVILEGES FOR ROLE :"app_owner" IN SCHEMA leasing REVOKE ALL ON SEQUENCES FROM :"reader";"""
        + NEAR_MISSES.format(other=make_role("other", by=admin.name))
    )
    of_app_owner = f'ALTER DEFAULT PRIVILEGES FOR ROLE "{world.app_owner}" IN SCHEMA "leasing" GRANT SELECT ON'
    missing = [change for change in world.plan(spec).changes if not change.takes]
    assert sql_of(tuple(missing)) == [f'{of_app_owner} {kind} TO "{world.reader}"' for kind in ("TABLES", "SEQUENCES")]
    world.apply(spec, REVOKING)
    assert world.plan(spec, REVOKING).changes == ()
    world.sabotage('SET ROLE :"app_owner"; CREATE TABLE leasing.later (id serial); CREATE TABLE vault.later (id int)')
    with world.as_user() as user:
        user.execute("SELECT * FROM leasing.later, leasing.later_id_seq")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            user.execute("INSERT INTO leasing.later DEFAULT VALUES")


def test_what_creators_give_themselves_by_default_is_neither_changed_nor_drift(world: World) -> None:
    world.sabotage(
        """ALTER DEFAULT PRIVILEGES FOR ROLE :"migrator" REVOKE SELECT, INSERT ON TABLES FROM :"migrator";
        ALTER DEFAULT PRIVILEGES FOR ROLE :"migrator" IN SCHEMA leasing GRANT SELECT ON TABLES TO :"migrator";
        ALTER DEFAULT PRIVILEGES FOR ROLE :"migrator" REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
        ALTER DEFAULT PRIVILEGES FOR ROLE :"app_owner" GRANT TRIGGER ON TABLES TO :"migrator";
        ALTER DEFAULT PRIVILEGES FOR ROLE :"app_owner" GRANT CREATE ON SCHEMAS TO :"migrator" """
    )
    before = world.facts()
    theirs = {fact for fact in before if fact.startswith(f"{world.database}: default of ")}
    assert any(f": {world.migrator}=" in fact for fact in theirs)
    plan = world.plan(request=REVOKING)
    world.apply(request=REVOKING)
    assert theirs <= set(world.facts())
    assert world.plan(request=REVOKING).changes == ()
    world.undo(plan)
    assert world.facts() == before
    world.apply(request=REVOKING)
    world.sabotage('ALTER DEFAULT PRIVILEGES FOR ROLE :"reader" GRANT TRIGGER ON TABLES TO :"migrator"')
    assert world.plan(request=REVOKING).changes == ()


# --- done, and not true ----------------------------------------------------------------------------------------------


def test_a_grant_that_somebody_takes_away_at_once_is_said_to_be_missing_and_not_done(world: World) -> None:
    revoke = f'BEGIN REVOKE SELECT ON leasing.lease FROM "{world.reader}"; END'
    world.sabotage(
        f"""CREATE FUNCTION public.take() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $${revoke}$$;
        CREATE EVENT TRIGGER take ON ddl_command_end WHEN TAG IN ('GRANT') EXECUTE FUNCTION public.take()"""
    )
    missing = f"committed, and still missing: let {world.reader} read the table leasing.lease"
    for _ in range(2):
        with pytest.raises(NotEffective, match=missing):
            world.apply()
    world.sabotage("DROP EVENT TRIGGER take")
    world.apply()
    assert world.plan().changes == ()

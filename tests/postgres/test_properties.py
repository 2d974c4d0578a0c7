"""The server is the oracle: random worlds, random specs, and what the server says before and after.

The same few hundred cases are tried in every run. ``HYPOTHESIS_PROFILE=thorough`` tries many more, new ones every time;
``shrink`` makes a case that failed as small as it can be, which takes minutes. What is found becomes a plain test here.
"""

from __future__ import annotations

import os
import pkgutil
import zlib
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

import replica_access
from replica_access.sandbox.rds_like import SUPERUSER
from replica_access.sandbox.server import PostgresServer

from .conftest import ADMINS
from .properties.case import check
from .properties.site import Site
from .properties.wishes import Beginning, Exactly, Excluded, Pattern, Reader, Rule, Wish, wishes
from .properties.worlds import (
    DATABASES,
    Database,
    Grant,
    Membership,
    Relation,
    Role,
    Routine,
    Schema,
    World,
    chance,
    worlds,
)

PROFILES = {
    "quick": settings(max_examples=63, database=None, phases=[Phase.generate]),
    "shrink": settings(max_examples=63, database=None, phases=[Phase.generate, Phase.shrink]),
    "thorough": settings(max_examples=2000),
}
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "quick")


@pytest.fixture(scope="module")
def all_loaded() -> None:
    """Hypothesis draws on the constants of whatever modules happen to be loaded: let them always be the same."""
    for module in pkgutil.walk_packages(replica_access.__path__, "replica_access."):
        if not module.name.endswith("__main__"):
            import_module(module.name)


@pytest.fixture(scope="module", params=list(ADMINS))
def site(request: pytest.FixtureRequest, primary: PostgresServer) -> Iterator[Site]:
    with Site.opened(primary, ADMINS[request.param]) as site:
        yield site


@st.composite
def cases(draw: st.DrawFn, admin: str) -> tuple[World, Wish, bool, bool, bool]:
    """What costs connections is done for some cases only."""
    world = draw(worlds(admin))
    return world, draw(wishes(world)), draw(chance(10)), draw(chance(40)), draw(chance(50))


@pytest.mark.timeout(600 if PROFILE == "quick" else 0)
@pytest.mark.usefixtures("all_loaded")
def test_whatever_the_world_the_readers_read_what_the_spec_says_and_nothing_else_changes(site: Site) -> None:
    @settings(PROFILES[PROFILE], deadline=None, suppress_health_check=list(HealthCheck))
    @given(cases(site.admin.name))
    def holds(drawn: tuple[World, Wish, bool, bool, bool]) -> None:
        world, wish, twice, log_in, revoking = drawn
        check(site, world, wish, twice=twice, log_in=log_in, revoking=revoking)

    if PROFILE != "thorough":  # the same cases in every run, and others on every major
        holds = seed(zlib.crc32(f"{site.major} {site.admin.kind}".encode()))(holds)
    holds()


# --- what it has found -----------------------------------------------------------------------------------------------

FIRST, SECOND = DATABASES
EVERYTHING: tuple[Pattern, ...] = (Beginning(""),)
LEASE = Relation("lease", "table", "w_owner")


def world(
    site: Site,
    *schemas: Schema,
    roles: tuple[Role, ...] = (),
    database: str = FIRST,
    owner: str | None = None,
    **more: Any,
) -> World:
    """One database, which belongs to the admin unless told otherwise; ``w_owner`` is there, made by the admin."""
    of_database = Database(database, owner or site.admin.name, schemas=schemas)
    return World(site.admin.name, (Role("w_owner"), *roles), databases=(of_database,), **{"memberships": (), **more})


def wish(*rules: Rule, readers: tuple[Reader, ...] = ()) -> Wish:
    """What a new login ``r_user`` reads: everything in the first database unless told otherwise."""
    return Wish((*readers, Reader("r_user", login=True)), rules or (rule(),))


def rule(to: str = "r_user", database: str = FIRST, schemas: tuple[Pattern, ...] = EVERYTHING) -> Rule:
    return Rule(to, (Exactly(database),), schemas)


def test_undo_reaches_a_database_with_quotes_in_its_name(site: Site) -> None:
    here = world(site, Schema("app", "w_owner", relations=(LEASE,)), database=SECOND)
    check(site, here, wish(rule(database=SECOND)))


def test_a_new_member_of_a_group_that_reads_something_already_is_no_drift(site: Site) -> None:
    read = Relation("read", "table", "w_owner", grants=(Grant("SELECT", "w_group"),))
    here = world(site, Schema("app", "w_owner", relations=(LEASE, read)), roles=(Role("w_group"),))
    member = Reader("r_user", login=True, member_of=("w_group",))
    check(site, here, Wish((Reader("w_group", login=False), member), (rule(),)))


def test_a_new_member_of_a_group_that_may_create_is_a_creator_at_once(site: Site) -> None:
    app = Schema("app", "w_owner", grants=(Grant("CREATE", "w_group"),), relations=(LEASE,))
    member = Reader("r_member", login=True, member_of=("w_group",))
    readers = (Reader("w_group", login=False), member)
    check(site, world(site, app, roles=(Role("w_group"),)), wish(readers=readers))


def test_two_new_readers_do_not_share_what_is_left_out(site: Site) -> None:
    excluded = Excluded(Exactly("app"), Exactly("lease"), Exactly("id"))
    rules = [Rule(to, (Exactly(FIRST),), EVERYTHING, (excluded,)) for to in ("r_other", "r_user")]
    readers = (Reader("r_other", login=True),)
    check(site, world(site, Schema("app", "w_owner", relations=(LEASE,))), wish(*rules, readers=readers))


def test_a_reader_that_creates_gets_no_default_privileges_on_its_own_objects(site: Site) -> None:
    here = world(site, Schema("app", "w_owner", relations=(LEASE,)))
    check(site, here, Wish((Reader("w_owner", login=False),), (rule("w_owner"),)))


def test_a_star_and_a_listed_schema_cover_what_comes_everywhere(site: Site) -> None:
    here = world(site, Schema("app", "w_owner", relations=(LEASE,)), Schema("app_eu", "w_owner"))
    check(site, here, wish(rule(), rule(schemas=(Exactly("app"),))))


def test_members_of_the_owner_of_the_database_create_in_public(site: Site) -> None:
    here = world(
        site,
        Schema("public", "pg_database_owner"),
        roles=(Role("w_member"),),
        owner="w_owner",
        memberships=(Membership("w_owner", "w_member"),),
    )
    check(site, here, wish(rule(schemas=(Exactly("public"),))))


def test_a_table_whose_owner_may_not_use_its_schema_is_blocked_and_the_rest_is_granted(site: Site) -> None:
    closed = Schema("app", SUPERUSER, relations=(LEASE,))
    check(site, world(site, closed, Schema("app_eu", "w_owner", relations=(LEASE,))), wish())


def test_undo_gives_columns_back_that_were_granted_before(site: Site) -> None:
    grants = (Grant("SELECT (id)", "w_reader"), Grant("SELECT (secret)", "w_reader", option=True))
    lease = Relation("lease", "table", "w_owner", grants)
    here = world(site, Schema("app", "w_owner", relations=(lease,)), roles=(Role("w_reader"),))
    check(site, here, Wish((Reader("w_reader", login=False),), (rule("w_reader"),)))


def test_undo_leaves_a_membership_that_the_admin_has_granted_itself(site: Site) -> None:
    own = Membership("w_owner", site.admin.name, inherit=False, by_admin=True)
    check(site, world(site, Schema("app", "w_owner", relations=(LEASE,)), memberships=(own,)), wish())


def test_undo_works_for_an_admin_with_noinherit(site: Site) -> None:
    here = world(site, Schema("app", "w_owner", relations=(LEASE,)), admin_inherits=False)
    check(site, here, wish())


def test_what_pg_database_owner_has_is_blocked_where_the_owner_does_not_inherit(site: Site) -> None:
    owner = Role("w_noinherit", inherit=False)
    here = world(site, Schema("public", "pg_database_owner"), roles=(owner,), owner=owner.name)
    check(site, here, wish())


@pytest.mark.parametrize("wanted", ["all of it", "another schema", "other columns", "not this table"])
def test_an_admin_with_a_grant_option_of_its_own_takes_away_what_the_owner_granted(site: Site, wanted: str) -> None:
    """The server would take the admin for the grantor, and revoke nothing."""
    passed_on = Grant("SELECT", site.admin.name, option=True, by="w_other")
    lease = Relation("lease", "table", "w_owner", (Grant("SELECT (secret)", "w_reader", option=True), passed_on))
    here = world(site, Schema("app", "w_owner", relations=(lease,)), roles=(Role("w_reader"), Role("w_other")))
    first, app, of_lease, secret = Exactly(FIRST), Exactly("app"), Exactly("lease"), Exactly("secret")
    rules = {
        "all of it": rule("w_reader"),
        "another schema": rule("w_reader", schemas=(Exactly("public"),)),
        "other columns": Rule("w_reader", (first,), EVERYTHING, (Excluded(app, of_lease, secret),)),
        "not this table": Rule("w_reader", (first,), EVERYTHING, (Excluded(app, of_lease),)),
    }
    check(site, here, Wish((Reader("w_reader", login=False),), (rules[wanted],)), revoking=True)


def test_what_one_reader_passed_on_to_another_goes_with_it_and_comes_back(site: Site) -> None:
    """Each depends on the one before it, so the last one goes first; the last gave something back to the first."""
    chain = (
        Grant("SELECT", "w_second", option=True, by="w_first"),
        Grant("SELECT", "w_third", by="w_second"),
        Grant("SELECT", "w_first", by="w_second"),
    )
    lease = Relation("lease", "table", "w_owner", (Grant("INSERT", "w_first", option=True), *chain))
    names = ("w_first", "w_second", "w_third")
    here = world(site, Schema("app", "w_owner", relations=(lease,)), roles=tuple(map(Role, names)))
    readers = tuple(Reader(name, login=False) for name in names)
    check(site, here, Wish(readers, (rule("w_first", schemas=(Exactly("public"),)),)), revoking=True)


def test_what_a_reader_passed_back_to_the_owner_keeps_what_it_depends_on(site: Site) -> None:
    back = Grant("CREATE", "w_owner", by="w_reader")
    app = Schema("app", "w_owner", grants=(Grant("USAGE", "w_reader", option=True), back))
    readers = (Reader("w_reader", login=False), Reader("w_owner", login=False))
    here = world(site, app, roles=(Role("w_reader"),))
    check(site, here, Wish(readers, (rule("w_reader", schemas=(Exactly("public"),)),)), revoking=True)


def test_a_role_called_public_is_not_everybody(site: Site) -> None:
    grants = (Grant("SELECT", "PUBLIC", option=True), Grant("INSERT", "PUBLIC"))
    lease = Relation("lease", "table", "w_owner", grants)
    here = world(site, Schema("app", "w_owner", relations=(lease,)), roles=(Role("PUBLIC"),))
    check(site, here, Wish((Reader("PUBLIC", login=False),), (rule("PUBLIC"),)), revoking=True)


READER = Wish((Reader("w_reader", login=False),), (rule("w_reader", schemas=(Exactly("public"),)),))


def test_a_role_joined_for_something_else_may_hold_the_grant_option(site: Site) -> None:
    """All owners are joined for the length of a transaction: any of them could be taken for the grantor."""
    passing = (Grant("EXECUTE", "w_other", option=True), Grant("EXECUTE", "w_reader"))
    answer = Routine("answer", "w_owner", passing)
    lease = Relation("lease", "table", "w_other", (Grant("SELECT", "w_reader"),))
    app = Schema("app", "w_owner", grants=(Grant("USAGE", "w_other"),), relations=(lease,), routines=(answer,))
    check(site, world(site, app, roles=(Role("w_reader"), Role("w_other"))), READER, revoking=True)


def test_what_the_owner_of_the_database_granted_in_its_own_name_is_revoked_as_it(site: Site) -> None:
    grants = (Grant("CREATE", "w_reader", by="w_owner"), Grant("USAGE", "w_reader"))
    here = world(site, Schema("public", "pg_database_owner", grants), roles=(Role("w_reader"),), owner="w_owner")
    everything = Wish(READER.readers, (rule("w_reader", schemas=(Exactly("app"),)),))
    check(site, here, everything, revoking=True)


def test_a_reader_that_owns_the_schema_may_pass_on_what_is_in_it(site: Site) -> None:
    """The owner of the type may not use the schema, so its owner is joined, who would be taken for the grantor."""
    mood = Routine("mood", "w_owner", (Grant("USAGE", "w_reader", option=True),), is_type=True)
    roles = (Role("w_reader", login=True, by_admin=False),)
    here = world(site, Schema("app", "w_reader", routines=(mood,)), roles=roles)
    check(site, here, Wish((Reader("w_reader", login=True),), ()), revoking=True)


def test_a_type_that_was_passed_back_to_its_owner_keeps_what_it_depends_on(site: Site) -> None:
    mood = Routine("mood", "w_owner", (Grant("USAGE", "w_owner", by="w_reader"),), is_type=True)
    here = world(site, Schema("app", "w_owner", routines=(mood,)), roles=(Role("w_reader"),))
    check(site, here, READER, revoking=True)

"""The server is the oracle: what we compute from the catalog is what has_*_privilege says, for everybody, everywhere.

Random worlds, made and undone within a transaction. The same cases in every run; ``HYPOTHESIS_PROFILE=thorough`` tries
many more, new ones every time.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from random import Random
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from replica_access.audit import spelling
from replica_access.audit.effective import Access
from replica_access.audit.paths import PathFinder
from replica_access.audit.spelling import Spelt
from replica_access.model import Login, Secret
from replica_access.postgres.audit_catalog import read_rights
from replica_access.postgres.audit_lookup import look_up
from replica_access.postgres.connect import connect
from replica_access.postgres.statements import quoted
from replica_access.rights import RELATIONS, Kind, Objects, Rights
from replica_access.sandbox.rds_like import SUPERUSER
from replica_access.sandbox.server import PostgresServer

from .conftest import ADMINS
from .properties import building, cutting
from .properties.answers import Asked, Place, answers, roles
from .properties.site import Site
from .properties.worlds import DATABASES, World, one_of, up_to, worlds

PROFILES = {
    "quick": settings(max_examples=80, database=None, phases=[Phase.generate]),
    "shrink": settings(max_examples=80, database=None, phases=[Phase.generate, Phase.shrink]),
    "thorough": settings(max_examples=3000),
}
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "quick")

CASES = 4 if PROFILE == "quick" else 40
"""Questions to `why` in each world."""

DATABASE = DATABASES[0]


@pytest.fixture(scope="module")
def site(primary: PostgresServer) -> Iterator[Site]:
    with Site.opened(primary, ADMINS["rds"]) as site:
        site.superuser(DATABASE).execute(MORE.encode())
        yield site


MORE = """
CREATE SCHEMA other;
CREATE DOMAIN other.positive AS int;
CREATE DOMAIN other.tags AS text[];
CREATE TYPE other.pair AS (a int, b int);
CREATE TYPE other.span AS RANGE (subtype = float8);
CREATE PROCEDURE other.tidy(int, other.pair) LANGUAGE sql AS '';
CREATE AGGREGATE other.total(int) (sfunc = int4pl, stype = int);
CREATE FUNCTION other.spread(VARIADIC int[]) RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
CREATE TABLE other.item (id int, "no.te" text);
CREATE SEQUENCE other.number;
SELECT pg_catalog.lo_create(4711)
"""

# What worlds do not have: every kind of object, privileges on what came with the server, roles that are more than their
# ACLs. {0} is somebody, {1} somebody else.
_ON = (
    ("USAGE", "LANGUAGE plpgsql"),
    ("USAGE", "FOREIGN DATA WRAPPER nowhere"),
    ("USAGE", "FOREIGN SERVER elsewhere"),
    ("CREATE", "TABLESPACE pg_default"),
    ("SELECT", "LARGE OBJECT 4711"),
    ("UPDATE", "LARGE OBJECT 4711"),
    ("USAGE", "DOMAIN other.positive"),
    ("USAGE", "DOMAIN other.tags"),
    ("USAGE", "TYPE other.pair"),
    ("USAGE", "TYPE other.span"),
    ("USAGE", "TYPE other.item"),
    ("EXECUTE", "PROCEDURE other.tidy(int, other.pair)"),
    ("EXECUTE", "FUNCTION other.total(int)"),
    ("EXECUTE", "FUNCTION other.spread(int[])"),
    ("EXECUTE", "FUNCTION pg_catalog.pg_read_file(text)"),
    ("EXECUTE", "FUNCTION pg_catalog.now()"),
    ("USAGE", "SCHEMA other"),
    ("CREATE", "SCHEMA pg_catalog"),
    ("TRUNCATE, TRIGGER", "TABLE other.item"),
    ("UPDATE, DELETE", "TABLE other.item"),
    ('UPDATE (id), REFERENCES ("no.te")', "TABLE other.item"),
    ("INSERT (id)", "TABLE other.item"),
    ("ALL", "TABLE other.item"),
    ("USAGE", "SEQUENCE other.number"),
    ("UPDATE", "SEQUENCE other.number"),
    ("SELECT, INSERT, TRUNCATE", "TABLE pg_catalog.pg_authid"),
    ("SELECT (rolpassword), UPDATE (rolname)", "TABLE pg_catalog.pg_authid"),
    ("CONNECT", f"DATABASE {quoted(DATABASE)}"),
    ("CREATE, TEMPORARY", "DATABASE postgres"),
)
_SINCE_15 = (("SET", "PARAMETER work_mem"), ("ALTER SYSTEM", "PARAMETER log_statement"), ("SET", "PARAMETER my.own"))
_SINCE_17 = (("MAINTAIN", "TABLE other.item"),)
_ITEMS = ("TABLE other.item", "SEQUENCE other.number", "SCHEMA other", "FUNCTION other.spread(int[])",
          "LARGE OBJECT 4711", "FOREIGN SERVER elsewhere", "TYPE other.span")  # fmt: skip
_PREDEFINED = ("pg_read_all_data", "pg_write_all_data", "pg_monitor", "rds_superuser")


@cache
def _changes(major: int, people: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.sampled_from([*_grants(major, people), *_owners(people), *_predefined(major, people)] * 3)


def _grants(major: int, people: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    on = (*_ON, *(_SINCE_15 if major >= 15 else ()), *(_SINCE_17 if major >= 17 else ()))
    for privileges, what in on:
        yield (f"REVOKE {privileges} ON {what} FROM PUBLIC",)
        yield (f"GRANT {privileges} ON {what} TO PUBLIC",)
        yield (f"GRANT {privileges} ON {what} TO pg_database_owner WITH GRANT OPTION",)
        for who, other in zip(people, (*people[1:], *people[:1]), strict=True):
            given = f"GRANT {privileges} ON {what} TO {quoted(who)}"
            yield (given,)
            passed_on = f"GRANT {privileges} ON {what} TO {quoted(other)}"
            yield (
                f"GRANT USAGE ON SCHEMA other TO {quoted(who)}",  # who passes something on has to find it
                f"{given} WITH GRANT OPTION",
                f"SET SESSION AUTHORIZATION {quoted(who)}",
                passed_on,
                "RESET SESSION AUTHORIZATION",
            )


def _owners(people: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """An owner may have nothing left but the right to give it back to itself."""
    for who in people:
        yield (f"ALTER DATABASE {quoted(DATABASE)} OWNER TO {quoted(who)}", f"ALTER ROLE {quoted(who)} NOINHERIT")
    for what in _ITEMS:
        for who in people:
            owner = f"ALTER {what.replace('FOREIGN ', '')} OWNER TO {quoted(who)}"
            yield (owner,)
            yield (owner, f"REVOKE ALL ON {what} FROM {quoted(who)}")


def _predefined(major: int, people: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for group in (*_PREDEFINED, *(("pg_maintain",) if major >= 17 else ())):
        for who in people:
            yield (f"GRANT {group} TO {quoted(who)}",)
            if major >= 16:
                yield (f"GRANT {group} TO {quoted(who)} WITH INHERIT FALSE, ADMIN TRUE",)
                yield (f"GRANT {group} TO {quoted(who)} WITH INHERIT TRUE, SET FALSE",)


@st.composite
def cases(draw: st.DrawFn, major: int, admin: str) -> tuple[World, tuple[str, ...], int]:
    world = draw(worlds(admin))
    people = tuple(role.name for role in world.roles)
    changes = [draw(_changes(major, people)) for _ in range(draw(up_to(10)))]
    return world, tuple(statement for change in changes for statement in change), draw(one_of(tuple(range(10))))


@pytest.mark.timeout(600 if PROFILE == "quick" else 0)
def test_what_we_compute_is_what_the_server_says(site: Site) -> None:
    @settings(PROFILES[PROFILE], deadline=None, suppress_health_check=list(HealthCheck))
    @given(cases(site.major, site.admin.name))
    def holds(drawn: tuple[World, tuple[str, ...], int]) -> None:
        world, changes, tenth = drawn
        check(site, world, changes, tenth)

    if PROFILE != "thorough":  # the same cases in every run, and others on every major
        holds = seed(zlib.crc32(f"effective {site.major}".encode()))(holds)
    holds()


def check(site: Site, world: World, changes: tuple[str, ...], tenth: int) -> None:
    connection = site.superuser(DATABASE)
    statements = [*building.shared(world, site.major), *building.inside(world.databases[0]), *changes]
    with connection.transaction(force_rollback=True):
        connection.execute(";\n".join(statements).encode())
        access = Access(read_rights(connection))
        assert differences(connection, access, site.major, tenth) == []
        chance = Random(tenth)  # noqa: S311
        explain(connection, access, chance)
        for case in cutting.drawn(access, chance, CASES):
            cutting.prove(connection, access, case, most=CASES)


def differences(connection: psycopg.Connection[Any], access: Access, major: int, tenth: int) -> list[str]:
    """Return what the server says otherwise, in words."""
    found = [
        f"{role_name(access, role)}: {what}"
        for role, said in roles(connection, major).items()
        for what, ours, theirs in zip(
            ("USAGE", "SET", "MEMBER", "ADMIN"),
            (access.has_rights_of(role), access.becomes(role), access.is_member_of(role), access.administers(role)),
            said,
            strict=True,
        )
        if ours != theirs
    ]
    asked = 0
    for question, theirs in answers(connection, major, tenth):
        ours = holders(access, question)
        asked += 1
        if ours != theirs:
            more, less = ([role_name(access, r) for r in several] for several in (ours - theirs, theirs - ours))
            found.append(f"{question}: too many {more}, too few {less}")
    assert asked > 500
    return found


def explain(connection: psycopg.Connection[Any], access: Access, chance: Random) -> None:
    """There is a way wherever something is held, and `why` finds the same ones by looking up what it needs."""
    finder = PathFinder(access)
    people = [role for role in access.rights.roles.values() if role.oid >= 16384]
    made = [objects for objects in access.rights.objects if objects.names and not objects.is_default]
    reached = []
    for _ in range(100):
        role, objects = chance.choice(people).oid, chance.choice(made)
        privilege, name = chance.choice(access.privileges(objects)), chance.choice(objects.names)
        paths = finder.paths(role, objects, privilege)
        assert bool(paths.held) == access.holds(role, objects, privilege)
        assert bool(paths.found) == access.within_reach(role, objects, privilege)
        if paths.found and privilege == access.privileges(objects)[0]:
            reached.append((role, objects, privilege, name, paths))
    for role, objects, privilege, name, paths in reached[:1]:
        found = look_up(connection, role_name(access, role), spelt(objects, name))
        looked_up = PathFinder(Access(found.rights)).paths(role, found.objects, privilege)
        assert [replace(path, on=objects) for path in looked_up.found] == [
            replace(path, on=objects) for path in paths.found
        ]


def spelt(objects: Objects, name: str) -> Spelt:
    """Return what somebody would have to write to mean this one."""
    if objects.kind in RELATIONS:
        return Spelt("relation", name, objects.schema)
    if objects.kind == "column":
        return Spelt("relation", objects.relation, objects.schema, name)
    if objects.kind in {"function", "procedure"}:
        return spelling.read(f"{quoted(objects.schema)}.{name}")
    return Spelt({"domain": "type"}.get(objects.kind, objects.kind), name, objects.schema)


def role_name(access: Access, role: int) -> str:
    return access.rights.roles[role].name


def holders(access: Access, asked: Asked) -> frozenset[int]:
    place, privilege, grantable = asked
    return access.holders(find(access.rights, place), privilege, grantable=grantable)


_KINDS: dict[str, tuple[Kind, ...]] = {"routine": ("function", "procedure"), "type": ("type", "domain")}


def find(rights: Rights, place: Place) -> Objects:
    columns = rights.columns_of(place.schema, place.name) if place.kind == "column" else ()
    alone = next((several for several in columns if place.column in several.names), None)
    if place.kind in {"relation", "sequence", "column"}:
        found = alone or rights.relation(place.schema, place.name)
    else:
        kinds: Any = _KINDS.get(place.kind, (place.kind,))
        found = next((o for kind in kinds if (o := rights.find(kind, place.name, place.schema))), None)
    assert found is not None, place
    return found


# --- who may read it, and where --------------------------------------------------------------------------------------


def test_a_login_without_privileges_reads_all_of_it_on_the_primary_and_on_the_replica(
    primary: PostgresServer,
    replica: PostgresServer,
    make_role: Callable[..., str],
    make_database: Callable[..., str],
    catch_up: Callable[[], None],
) -> None:
    database = make_database("read")
    nobody = make_role("nobody", "LOGIN PASSWORD 'x'")
    primary.psql(f'{MORE}; GRANT SELECT ("no.te") ON other.item TO :"nobody"', dbname=database,
                 variables={"nobody": nobody})  # fmt: skip
    catch_up()
    found = []
    for server, user, password in ((primary, SUPERUSER, primary.superuser_password), (primary, nobody, "x"),
                                   (replica, nobody, "x")):  # fmt: skip
        tls = {} if user == SUPERUSER or server.bundle is None else {
            "sslmode": "verify-full", "sslrootcert": str(server.bundle)}  # fmt: skip
        where = {"host": server.host, "port": str(server.port), "user": user, **tls}
        with connect(Login("", where, database, Secret(password)), read_only=True) as connection:
            found.append(read_rights(connection))
    assert [rights.in_recovery for rights in found] == [False, False, True]
    assert found[0].columns_of("other", "item")
    assert found[0].roles == found[1].roles == found[2].roles
    assert found[0] == found[1] == replace(found[2], in_recovery=False)

"""The statements that `why` prints, run on the server: they end every way and no fewer would, or give what is missing.

Roles that are in each other by every option there is, and what they granted each other on one table, its column, a
function and a schema; made and undone within a transaction. ``HYPOTHESIS_PROFILE=thorough`` tries thousands.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from replica_access.audit.effective import Access
from replica_access.audit.sql import identifier
from replica_access.postgres.audit_catalog import read_rights
from replica_access.sandbox.server import PostgresServer

from .conftest import ADMINS
from .properties import cutting
from .properties.cutting import Case, Script
from .properties.site import Site
from .properties.worlds import DATABASES, one_of

PROFILES = {
    "quick": settings(max_examples=8, database=None, phases=[Phase.generate]),
    "shrink": settings(max_examples=200, database=None, phases=[Phase.generate, Phase.shrink]),
    "thorough": settings(max_examples=3000),
}
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "quick")
DATABASE = DATABASES[0]
PEOPLE = ("c0", "c 1", "c'2", 'c"3', "c4🏠", "c5")
OWNER = "pg_database_owner"

MADE = """
CREATE SCHEMA tangle;
CREATE TABLE tangle.item (id int, "no.te" text);
CREATE FUNCTION tangle.answer(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
REVOKE ALL ON FUNCTION tangle.answer FROM PUBLIC;
GRANT USAGE ON SCHEMA tangle TO {people}
"""
PRIVILEGES = (
    ("SELECT", "TABLE tangle.item"),
    ("SELECT", "TABLE tangle.item"),
    ("SELECT (id)", "TABLE tangle.item"),
    ("SELECT (id), SELECT", "TABLE tangle.item"),
    ("UPDATE", "TABLE tangle.item"),
    ("EXECUTE", "FUNCTION tangle.answer(int)"),
    ("EXECUTE", "FUNCTION tangle.answer(int)"),
    ("CREATE", "SCHEMA tangle"),
    ("CREATE", f"DATABASE {identifier(DATABASE)}"),
)


@pytest.fixture(scope="module")
def site(primary: PostgresServer) -> Iterator[Site]:
    with Site.opened(primary, ADMINS["rds"]) as site:
        yield site


@st.composite
def scripts(draw: st.DrawFn, major: int) -> Script:
    """What one person did; whether the server lets it happen, it says."""
    who, other = identifier(draw(one_of(PEOPLE))), identifier(draw(one_of(PEOPLE)))
    kind = draw(one_of(("member", "member", "member", "grant", "grant", "grant", "grant", "own", "less", "more")))
    by = draw(one_of(("", "", *PEOPLE)))
    if kind == "member":
        options = ["", "", " WITH ADMIN OPTION"]
        if major >= 16:
            options += [" WITH INHERIT FALSE", " WITH SET FALSE", " WITH INHERIT FALSE, SET FALSE", " WITH ADMIN TRUE"]
        done = f"GRANT {who} TO {other}{draw(one_of(tuple(options)))}"
    elif kind in {"grant", "less"}:
        privilege, on = draw(one_of(PRIVILEGES))
        grantee = draw(one_of(("PUBLIC", OWNER, *(identifier(each) for each in PEOPLE * 2))))
        option = draw(one_of(("", " WITH GRANT OPTION"))) if grantee != "PUBLIC" else ""
        cascade = draw(one_of(("", " CASCADE")))
        done = f"GRANT {privilege} ON {on} TO {grantee}{option}"
        if kind == "less":
            option = draw(one_of(("", "GRANT OPTION FOR ")))
            done = f"REVOKE {option}{privilege} ON {on} FROM {grantee}{cascade}"
    elif kind == "own":
        by = ""
        what = ("TABLE tangle.item", "FUNCTION tangle.answer(int)", "SCHEMA tangle", f"DATABASE {identifier(DATABASE)}")
        done = f"ALTER {draw(one_of(what))} OWNER TO {who}"
    else:
        by = ""
        more = [f"ALTER ROLE {who} SUPERUSER", f"GRANT pg_read_all_data TO {who}", f"GRANT pg_write_all_data TO {who}"]
        done = draw(one_of((*more, f"ALTER ROLE {who} NOINHERIT", f"ALTER ROLE {who} INHERIT", *more[1:])))
    return (f"SET SESSION AUTHORIZATION {identifier(by)}", done, "RESET SESSION AUTHORIZATION") if by else (done,)


@pytest.mark.timeout(600 if PROFILE == "quick" else 0)
def test_what_is_said_to_end_it_does_and_nothing_less_would(site: Site) -> None:
    @settings(PROFILES[PROFILE], deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(scripts(site.major), min_size=20, max_size=70))
    def holds(drawn: list[Script]) -> None:
        check(site, drawn)

    if PROFILE != "thorough":  # the same cases in every run, and others on every major
        holds = seed(zlib.crc32(f"cuts {site.major}".encode()))(holds)
    holds()


def check(site: Site, drawn: list[Script]) -> None:
    connection = site.superuser(DATABASE)
    with connection.transaction(force_rollback=True):
        for each in PEOPLE:
            connection.execute(f"CREATE ROLE {identifier(each)}".encode())
        connection.execute(MADE.format(people=", ".join(map(identifier, PEOPLE))).encode())
        for script in drawn:
            attempt(connection, script)
        access = Access(read_rights(connection))
        proved = [cutting.prove(connection, access, case, most=10 if PROFILE == "quick" else 60)
                  for case in asked(access)]  # fmt: skip
        assert len(proved) == len(PEOPLE) * 6


COLUMN_BESIDE_TABLE: list[Script] = [
    ("GRANT SELECT, SELECT (id) ON tangle.item TO c0 WITH GRANT OPTION",),
    ("SET SESSION AUTHORIZATION c0", "GRANT SELECT (id) ON tangle.item TO PUBLIC", "RESET SESSION AUTHORIZATION"),
]
"""What is revoked on the table goes from its column too, where somebody else depends on it: that takes CASCADE."""

TWO_SUPPORTS: list[Script] = [
    ("GRANT SELECT ON tangle.item TO c4🏠, c5 WITH GRANT OPTION",),
    ("SET SESSION AUTHORIZATION c4🏠", "GRANT SELECT ON tangle.item TO c0 WITH GRANT OPTION",
     "RESET SESSION AUTHORIZATION"),
    ("SET SESSION AUTHORIZATION c5", "GRANT SELECT ON tangle.item TO c0 WITH GRANT OPTION",
     "RESET SESSION AUTHORIZATION"),
    ("SET SESSION AUTHORIZATION c0", "GRANT SELECT ON tangle.item TO PUBLIC", "RESET SESSION AUTHORIZATION"),
]  # fmt: skip
"""Whoever has a grant option from two loses what it passed on only with the second."""

SUPERUSER_WHO_PASSED_ON: list[Script] = [*TWO_SUPPORTS, ("ALTER ROLE c0 SUPERUSER",)]
"""CASCADE stops at a superuser, who has the rights of all: first it is to be none."""

INVITED: list[Script] = [
    ("GRANT c5 TO c4🏠 WITH ADMIN OPTION",),
    ("GRANT SELECT ON tangle.item TO c5",),
    ("GRANT c4🏠 TO c0",),
    ("SET SESSION AUTHORIZATION c4🏠", "GRANT c5 TO c0", "RESET SESSION AUTHORIZATION"),
]
"""Since PostgreSQL 16 one membership goes with another, whose ADMIN OPTION gave it."""


BY_THE_OPTION_ON_THE_TABLE: list[Script] = [
    ("GRANT SELECT ON tangle.item TO c4🏠 WITH GRANT OPTION",),
    ("SET SESSION AUTHORIZATION c4🏠", "GRANT SELECT (id) ON tangle.item TO PUBLIC", "RESET SESSION AUTHORIZATION"),
]
"""Who lets others at a column by what it has on the table can take that back as long as it has it."""


@pytest.mark.parametrize(
    "done", [COLUMN_BESIDE_TABLE, TWO_SUPPORTS, SUPERUSER_WHO_PASSED_ON, INVITED, BY_THE_OPTION_ON_THE_TABLE]
)
def test_what_thousands_of_worlds_have_shown(site: Site, done: list[Script]) -> None:
    check(site, done)


def attempt(connection: psycopg.Connection[Any], script: Script) -> None:
    try:
        with connection.transaction():
            connection.execute(";\n".join(script).encode())
    except psycopg.Error:
        return


def asked(access: Access) -> Iterator[Case]:
    """Yield what everybody is asked about."""
    rights = access.rights
    table = rights.relation("tangle", "item")
    column = next((each for each in rights.columns_of("tangle", "item") if "id" in each.names), None)
    routine, schema = rights.find("function", "answer(integer)", "tangle"), rights.find("schema", "tangle")
    database = rights.find("database", DATABASE)
    assert table
    assert routine
    assert schema
    assert database
    for name in PEOPLE:
        role = rights.role(name)
        assert role is not None
        yield Case(role.oid, table, "item", "SELECT")
        yield Case(role.oid, table, "item", "UPDATE")
        yield Case(role.oid, column or table, "id" if column else "item", "SELECT")
        yield Case(role.oid, routine, "answer(integer)", "EXECUTE")
        yield Case(role.oid, schema, "tangle", "CREATE")
        yield Case(role.oid, database, DATABASE, "CREATE")

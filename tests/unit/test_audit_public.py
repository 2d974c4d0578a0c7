"""What everybody may do, and what it takes that taking it away locks nobody out."""

from __future__ import annotations

from datetime import date

import pytest

from replica_access.audit.facts import Facts
from replica_access.audit.objects import revoke
from replica_access.audit.realm import Realm
from replica_access.audit.rules import public
from replica_access.catalog import Entry, Membership, Role
from replica_access.desired import from_spec
from replica_access.model import PUBLIC
from replica_access.rights import Kind, Objects, Rights
from replica_access.spec import parse

OWNER, APP, JOB, GROUP, TEAM, BI, ROOT = range(20, 27)
SPEC = """version = 1
[primary]
dsn = "host=db"
[users.bi]
[[grants]]
to = "bi"
databases = ["shop"]
schemas = ["*"]
"""


def remedy(databases: tuple[str, ...], *more: Role) -> list[str]:
    """Return what ends that PUBLIC may connect: `app` gets in by that alone, `job` by its group too."""
    roles = (
        Role(OWNER, "owner"), Role(APP, "app", login=True), Role(JOB, "job", login=True), Role(GROUP, "jobs"),
        Role(TEAM, "team"), Role(BI, "bi", login=True), Role(ROOT, "root", superuser=True, login=True),
        Role(30, "pg_monitor"), *more,
    )  # fmt: skip
    entries = (Entry(OWNER, OWNER, "CONNECT"), Entry(PUBLIC, OWNER, "CONNECT"), Entry(GROUP, OWNER, "CONNECT"))
    objects = Objects("database", "", OWNER, entries, databases)
    memberships = (Membership(GROUP, JOB, OWNER),)
    rights = Rights("1", 170000, False, "shop", OWNER, {role.oid: role for role in roles}, memberships, (objects,))
    spec = parse(SPEC)
    realm = Realm("db", rights, from_spec(spec, ["shop", "other"]), first=True)
    (rule,) = (rule for rule in public.RULES if rule.id == "public-connect")
    (found,) = rule.findings(Facts(spec, date(2026, 11, 26), realms=(realm,)))
    return found.remedy.splitlines()


def test_who_gets_in_through_public_alone_is_let_in_first() -> None:
    comment, grant, revoke = remedy(("other",))
    assert comment.startswith("-- ")
    assert grant == 'GRANT CONNECT ON DATABASE "other" TO "app";'
    assert revoke == 'REVOKE CONNECT ON DATABASE "other" FROM PUBLIC;'


def test_a_reader_is_let_in_where_the_spec_says_so() -> None:
    grants = ['GRANT CONNECT ON DATABASE "shop" TO "app";', 'GRANT CONNECT ON DATABASE "shop" TO "bi";']
    assert remedy(("shop",))[1:3] == grants


def test_of_very_many_nobody_is_named() -> None:
    many = [Role(100 + number, f"login{number}", login=True) for number in range(public.MOST_NAMED)]
    comment, revoke = remedy(("other",), *many)
    assert comment == '-- first GRANT CONNECT ON DATABASE "other" to who needs it of 13 logins'
    assert revoke.startswith("REVOKE")


def test_whom_a_cascade_takes_it_from_is_said() -> None:
    entries = (Entry(BI, OWNER, "SELECT", grantable=True), Entry(APP, BI, "SELECT"), Entry(PUBLIC, BI, "SELECT"))
    objects = Objects("table", "shop", OWNER, entries, ("orders",))
    roles = {OWNER: Role(OWNER, "owner"), BI: Role(BI, "bi"), APP: Role(APP, "app")}
    comment, statement = revoke(Rights("1", 170000, False, "shop", OWNER, roles, (), (objects,)), objects, ("orders",),
                                entries[:1]).splitlines()  # fmt: skip
    assert comment == "-- it goes too from whom it was passed on to: app, everybody"
    assert statement == 'REVOKE SELECT ON TABLE "shop"."orders" FROM "bi" CASCADE;'


@pytest.mark.parametrize(
    ("kind", "extension", "rule"),
    [
        ("function", "dblink", "foreign"),
        ("function", "postgres_fdw", ""),
        ("foreign data wrapper", "postgres_fdw", "foreign"),
        ("foreign server", "", "foreign"),
    ],
)
def test_what_reaches_other_servers(kind: Kind, extension: str, rule: str) -> None:
    objects = Objects(kind, "public", OWNER, (Entry(PUBLIC, OWNER, "EXECUTE"),), ("x",), extension=extension)
    assert public.class_of(objects, "EXECUTE" if kind == "function" else "USAGE") == rule

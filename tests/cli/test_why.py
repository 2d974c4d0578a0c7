"""why: every way, what is missing, and statements that end it: run on the server, and asked again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.cli.conftest import MASTER, Production, Shop
from tests.cli.test_refused import assert_says

WORLD = """
CREATE ROLE y_owner; CREATE ROLE y_group; CREATE ROLE y_staff; CREATE ROLE y_delegate; CREATE ROLE y_alone;
CREATE ROLE y_bi LOGIN; CREATE ROLE "y [bold]odd" LOGIN;
GRANT y_group TO y_bi; GRANT y_staff TO y_bi WITH INHERIT FALSE;
GRANT CREATE, CONNECT ON DATABASE shop TO y_owner;
GRANT CONNECT ON DATABASE shop TO y_group;
SET ROLE y_owner;
CREATE SCHEMA why;
GRANT USAGE ON SCHEMA why TO y_group, y_staff, y_delegate, y_alone;
CREATE TABLE why.lease (id int, rent numeric, ssn text);
CREATE TABLE why.secret (id int);
CREATE TABLE why.guarded (id int);
CREATE TABLE why."Odd" (id int);
ALTER TABLE why.guarded ENABLE ROW LEVEL SECURITY;
CREATE VIEW why.owners AS SELECT id FROM why.secret;
CREATE VIEW why.askers WITH (security_invoker) AS SELECT id FROM why.secret;
CREATE FUNCTION why.f(int) RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
CREATE FUNCTION why.f(text) RETURNS int LANGUAGE sql AS 'SELECT 1';
GRANT SELECT (id) ON why.lease TO y_group;
GRANT SELECT ON why.owners, why.askers, why.guarded TO y_group;
GRANT SELECT ON why."Odd" TO y_group, "y [bold]odd", PUBLIC;
GRANT SELECT ON why."Odd" TO y_delegate WITH GRANT OPTION;
GRANT SELECT ON why.secret TO y_staff;
SET ROLE y_delegate;
GRANT SELECT ON why."Odd" TO y_bi;
"""
FORGET = """
DROP SCHEMA why CASCADE;
DROP OWNED BY y_owner, y_group, y_staff, y_delegate, y_alone, y_bi, "y [bold]odd";
DROP ROLE y_owner, y_group, y_staff, y_delegate, y_alone, y_bi, "y [bold]odd";
"""


@pytest.fixture(scope="module", autouse=True)
def world(production: Production) -> Iterator[None]:
    production.server.psql(WORLD, dbname="shop")
    yield
    production.server.psql(FORGET, dbname="shop")


@contextmanager
def changed(shop: Shop, *statements: str) -> Iterator[None]:
    """`statements` have been run until the end of the block; then the world is as it was."""
    shop.sql(";\n".join(statements))
    try:
        yield
    finally:
        shop.sql(FORGET)
        shop.sql(WORLD)


def test_every_way_is_drawn_and_set_role_is_told_apart(shop: Shop) -> None:
    ran = shop.run("why", "y_bi", 'why."Odd"')
    assert ran.status == 0, ran
    assert ran.out.splitlines()[:20] == [
        f"y_bi has SELECT on table why.Odd. (database shop, primary {shop.server.host})",
        "",
        "✓ CONNECT on database shop",
        "  └─ member of y_group",
        "     └─ granted by app_owner",
        "",
        "✓ USAGE on schema why",
        "  ├─ member of y_group",
        "  │  └─ granted by y_owner",
        "  └─ SET ROLE y_staff",
        "     └─ granted by y_owner",
        "",
        "✓ SELECT on table why.Odd",
        "  ├─ PUBLIC has it: granted by y_owner",
        "  ├─ granted by y_delegate",
        "  └─ member of y_group",
        "     └─ granted by y_owner",
        "",
        "To end it, 3 statements:",
        '  SET ROLE "y_delegate";',
    ]


def test_either_set_of_statements_ends_it(shop: Shop) -> None:
    cuts = shop.run("--format", "json", "why", "y_bi", 'why."Odd"').document["cuts"]
    assert [cut["smallest"] for cut in cuts] == [True, True]
    assert [sum(text.startswith("REVOKE") for text in cut["statements"]) for cut in cuts] == [3, 3]
    for cut in cuts:
        with changed(shop, *cut["statements"]):
            assert_says(shop.run("why", "y_bi", 'why."Odd"', "--not"), 0, "y_bi has no SELECT on table why.Odd.")
    assert shop.run("why", "y_bi", 'why."Odd"', "--not").status == 3


def test_what_is_missing_is_said_step_by_step_and_running_it_is_enough(shop: Shop) -> None:
    ran = shop.run("--format", "json", "why", "y_alone", "why.secret")
    assert ran.status == 3
    fixes = [needed["fix"] for needed in ran.document["needed"]]
    assert fixes == [
        'GRANT CONNECT ON DATABASE "shop" TO "y_alone"',
        None,
        'GRANT SELECT ON TABLE "why"."secret" TO "y_alone"',
    ]
    with changed(shop, *filter(None, fixes)):
        assert_says(shop.run("why", "y_alone", "why.secret"), 0, "y_alone cannot log in: what it has counts for its")


def test_access_after_set_role_is_none_and_yet_too_much_for_not(shop: Shop) -> None:
    for arguments in ((), ("--not",)):
        ran = shop.run("why", "y_bi", "why.secret", *arguments)
        assert_says(ran, 3, "y_bi has SELECT on table why.secret only after SET ROLE y_staff.")
    assert shop.run("--format", "json", "why", "y_bi", "why.secret").document["after_set_role"] == ["y_staff"]


def test_columns_have_privileges_of_their_own(shop: Shop) -> None:
    assert_says(
        shop.run("why", "y_bi", "why.lease.id"), 0, 'REVOKE SELECT ("id") ON TABLE "why"."lease" FROM "y_group";'
    )
    assert_says(shop.run("why", "y_bi", "why.lease.ssn"), 3, 'GRANT SELECT ("ssn") ON TABLE "why"."lease" TO "y_bi";')
    assert_says(shop.run("why", "y_bi", "why.lease"), 3, "y_bi has SELECT on some of its columns: id.")


def test_what_privileges_do_not_tell_is_told_too(shop: Shop) -> None:
    assert_says(shop.run("why", "y_bi", "why.guarded"), 0, "Row-level security leaves it no row")
    more = "with the rights of y_owner, what one could not read directly: why.secret."
    assert_says(shop.run("why", "y_bi", "why.owners"), 0, more)
    askers = shop.run("why", "y_bi", "why.askers")
    assert_says(askers, 3, "y_bi has SELECT on view why.askers, and cannot use it.")
    assert_says(askers, 3, "1. SELECT on table why.secret")
    assert_says(shop.run("why", "y_bi", "why.f(integer)"), 0, "It runs with the rights of its owner, y_owner")


def test_every_kind_of_object_can_be_named(shop: Shop) -> None:
    for text, status, says in (
        ("schema:why", 0, "y_bi has USAGE on schema why."),
        ("database:shop", 0, "y_bi has CONNECT on database shop."),
        ("language:plpgsql", 0, "y_bi has USAGE on language plpgsql."),
        ("tablespace:pg_default", 3, "y_bi has no CREATE on tablespace pg_default."),
        ("parameter:log_statement", 3, "A parameter that anybody may set needs no privilege."),
        ("type:pg_catalog.int4", 0, "y_bi has USAGE on type pg_catalog.int4."),
        ("pg_catalog.pg_read_file(text)", 3, "y_bi has no EXECUTE on function pg_catalog.pg_read_file(text)."),
        ("pg_catalog.now()", 0, "y_bi has EXECUTE on function pg_catalog.now()."),
        ("pg_catalog.pg_class", 0, "y_bi has SELECT on table pg_catalog.pg_class."),
    ):
        assert_says(shop.run("why", "y_bi", text), status, says)


def test_other_privileges_are_asked_for_by_name(shop: Shop) -> None:
    assert_says(shop.run("why", "y_owner", "database:shop", "--privilege", "temp"), 3, "no TEMPORARY on database shop.")
    assert_says(shop.run("why", "y_owner", "why.lease", "--privilege", "truncate"), 0, "owns it")
    assert_says(shop.run("why", "y_bi", "why.lease", "--privilege", "EXECUTE"), 2, "There are: SELECT, INSERT, UPDATE")


@pytest.mark.parametrize(
    ("role", "text", "says"),
    [
        ("nobody_here", "why.lease", "There is no role nobody_here."),
        ("y_bi", "why.nothing", "There is no relation why.nothing in the database shop."),
        ("y_bi", "why.Odd", "There is no relation why.odd in the database shop."),
        ("y_bi", "why.lease.nothing", "There is no relation why.lease.nothing in the database shop."),
        ("y_bi", "lease", "lease does not say which object is meant."),
        ("y_bi", "why.", "why. does not say which object is meant."),
        ("y_bi", "function:why.f", "There are several: why.f(integer), why.f(text)."),
        ("y_bi", "why.f(nonsense)", "There is no routine why.f(nonsense) in the database shop."),
        ("y_bi", "why.f(int", "why.f(int does not say which object is meant."),
        ("y_bi", "why.f())", 'f()): syntax error at or near ")".'),
    ],
)
def test_what_is_not_there_is_named(shop: Shop, role: str, text: str, says: str) -> None:
    assert_says(shop.run("why", role, text), 2, says)


def test_the_database_has_to_be_clear(shop: Shop) -> None:
    shop.declare(databases='["shop", "other"]')
    assert_says(shop.run("why", "y_bi", "why.lease.id"), 2, "the spec grants on shop, other.")
    assert_says(shop.run("why", "y_bi", "why.lease.id", "--database", "shop"), 0)
    shop.declare(databases='["sho*"]')
    assert_says(shop.run("why", "y_bi", "why.lease.id"), 0)


def test_names_are_shown_as_they_are(shop: Shop) -> None:
    with changed(shop, 'GRANT CONNECT ON DATABASE shop TO "y [bold]odd"', 'GRANT USAGE ON SCHEMA why TO "y [bold]odd"'):
        ran = shop.run("why", "y [bold]odd", 'why."Odd"')
    assert_says(ran, 0, '"y [bold]odd" has SELECT on table why.Odd.')
    assert_says(ran, 0, 'REVOKE SELECT ON TABLE "why"."Odd" FROM "y [bold]odd";')


def test_nothing_is_written_and_the_admin_needs_no_rights_there(shop: Shop) -> None:
    with shop.unchanged():
        assert shop.run("why", MASTER, "why.secret").status == 3


def test_a_partition_is_read_through_its_table_whatever_it_says_itself(shop: Shop) -> None:
    made = (
        "SET ROLE y_owner",
        "CREATE TABLE why.whole (id int) PARTITION BY LIST (id)",
        "CREATE TABLE why.half PARTITION OF why.whole DEFAULT PARTITION BY LIST (id)",
        "CREATE TABLE why.quarter PARTITION OF why.half DEFAULT",
        "GRANT SELECT ON why.whole TO y_group",
    )
    with changed(shop, *made):
        ran = shop.run("why", "y_bi", "why.quarter")
        assert ran.status == 3, ran
        assert "It is a part of why.whole, on which y_bi has SELECT: that is all it takes." in ran.out
        shop.sql("SET ROLE y_bi; SELECT * FROM why.whole")


def test_what_no_grant_can_give_is_said(shop: Shop) -> None:
    ran = shop.run("why", "y_bi", "pg_catalog.pg_class", "--privilege", "insert")
    assert ran.status == 3, ran
    assert "Nobody but superusers writes to system catalogs, whatever is granted." in ran.out
    assert "GRANT INSERT" not in ran.out


def test_a_view_of_the_owner_shows_what_row_level_security_hides(shop: Shop) -> None:
    says = "Through it one sees rows that row-level security keeps from whoever reads directly: of why.guarded."
    made = ("SET ROLE y_owner", "CREATE VIEW why.past AS SELECT id FROM why.guarded",
            "INSERT INTO why.guarded VALUES (1)", "GRANT SELECT ON why.past TO y_group")  # fmt: skip
    with changed(shop, *made):
        assert_says(shop.run("why", "y_bi", "why.past"), 0, says)
        counted = "DO $$ BEGIN ASSERT (SELECT count(*) FROM why.past) = 1 AND NOT EXISTS (TABLE why.guarded); END $$"
        shop.sql(f"SET ROLE y_bi; {counted}")
        shop.sql("ALTER TABLE why.guarded FORCE ROW LEVEL SECURITY")
        assert says not in shop.run("why", "y_bi", "why.past").out

"""Something new on the primary: told, granted, remembered; and what is not to be granted, left."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Shop
from tests.cli.program import Ran
from tests.cli.test_names import database
from tests.cli.test_refused import assert_says

NEW_TABLE = "SET SESSION AUTHORIZATION app_owner; CREATE TABLE sales.returns (id int)"
HR = "CREATE SCHEMA hr AUTHORIZATION app_owner; SET SESSION AUTHORIZATION app_owner; CREATE TABLE hr.staff (id serial)"


@pytest.fixture
def applied(shop: Shop) -> Shop:
    """The shop after a run; what a test makes in it, it makes in `made`."""
    assert_says(shop.run("apply", "--yes"), 0)
    return shop


@contextmanager
def made(shop: Shop, script: str, drop: str) -> Iterator[None]:
    shop.sql(script)
    try:
        yield
    finally:
        shop.sql(drop)


def state_of(shop: Shop) -> Path:
    return shop.run.directory / "replica-access.state.json"


def listed(ran: Ran) -> str:
    """What was told to be new, without the time."""
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", "TIME", ran.out.partition("\n\n✓")[0])


def assert_reads(shop: Shop, *relations: str, database: str = "shop") -> None:
    with shop.as_user("bi", database) as session:
        for relation in relations:
            session.execute(f"SELECT * FROM {relation}")


# --- what is new -----------------------------------------------------------------------------------------------------


def test_a_table_of_a_known_creator_is_readable_already_and_new_only_once(applied: Shop) -> None:
    with made(applied, NEW_TABLE, "DROP TABLE sales.returns"):
        ran = applied.run("grant", "--yes")
        assert_says(ran, 0, "Nothing to do.")
        assert listed(ran) == (
            "New since TIME:\n\nDatabase shop\n  in schema sales\n    + table returns, by app_owner\n"
            "      readers: already reads it (default privileges)\n\nNothing to do.\n"
            "Nothing was proved, because the spec has no [replica].\n"
        )
        assert_reads(applied, "sales.returns")
        again = applied.run("grant")  # nothing is asked where nothing would be done
        assert_says(again, 0, "Nothing is new since", "Nothing to do.")


def test_a_table_of_a_new_creator_is_granted(applied: Shop) -> None:
    script = """SET SESSION AUTHORIZATION master; CREATE ROLE robot NOLOGIN; RESET SESSION AUTHORIZATION;
        GRANT CREATE, USAGE ON SCHEMA stock TO robot; SET SESSION AUTHORIZATION robot;
        CREATE TABLE stock.moves (id int); CREATE VIEW stock.latest AS SELECT * FROM stock.moves"""
    with made(applied, script, "DROP OWNED BY robot; DROP ROLE robot"):
        ran = applied.run("grant", "--yes")
        assert_says(
            ran,
            0,
            "  in schema stock\n    + 1 table and 1 view: moves, latest, by robot\n      readers: will be granted\n",
            "  + creator robot: what it makes next\n      readers: will be granted\n",
            "✓ let readers read 1 view and 1 table in stock",
        )
        assert_reads(applied, "stock.moves", "stock.latest")
        applied.sql("SET SESSION AUTHORIZATION robot; CREATE TABLE stock.next (id int)")
        assert_reads(applied, "stock.next")
        assert_says(applied.run("grant", "--yes"), 0, "table next, by robot", "already reads it (default privileges)")
        assert_says(applied.run("grant", "--yes"), 0, "Nothing is new")


def test_a_table_granted_by_hand_is_not_said_to_be_so_by_default_privileges(applied: Shop) -> None:
    script = "CREATE TABLE sales.imported (id int); GRANT SELECT ON sales.imported TO readers"
    with made(applied, script, "DROP TABLE sales.imported"):
        ran = applied.run("grant", "--yes")
        assert_says(ran, 0, "table imported, by rdsadmin\n      readers: already reads it\n")


def test_a_new_schema_under_a_pattern_needs_no_name_in_the_spec(applied: Shop) -> None:
    spec = applied.run.spec.read_bytes()
    script = """SET SESSION AUTHORIZATION master; CREATE ROLE robot NOLOGIN; RESET SESSION AUTHORIZATION;
        CREATE SCHEMA lab AUTHORIZATION robot; SET SESSION AUTHORIZATION robot; CREATE TABLE lab.runs (id int)"""
    with made(applied, script, "DROP OWNED BY robot; DROP ROLE robot"):
        told = "  + schema lab, made by robot\n      readers: will be granted\n    + table runs, by robot\n"
        assert_says(applied.run("grant", "--schema", "lab", "--yes"), 0, told)
        assert applied.run.spec.read_bytes() == spec
        assert_reads(applied, "lab.runs")


def test_what_cannot_be_granted_and_what_is_excluded_is_told_as_such(shop: Shop) -> None:
    shop.declare('exclude = ["sales.secret_*"]')
    assert_says(shop.run("apply", "--yes"), 0)
    script = """CREATE SCHEMA vault AUTHORIZATION boss; SET SESSION AUTHORIZATION boss; CREATE TABLE vault.gold ();
        RESET SESSION AUTHORIZATION; CREATE TABLE sales.secret_plan ();
        SET SESSION AUTHORIZATION app_owner; CREATE TABLE sales.secret_key ()"""
    drop = "DROP SCHEMA vault CASCADE; DROP TABLE sales.secret_plan, sales.secret_key; DROP OWNED BY boss"
    with made(shop, script, drop):
        with shop.unchanged():
            refused = shop.run("grant", "--yes")
        assert_says(
            refused,
            1,
            "+ schema vault, made by boss\n      readers: blocked\n    + table gold, by boss\n      readers: blocked\n",
            "+ table secret_plan, by rdsadmin\n      readers: excluded\n",
            "+ table secret_key, by app_owner\n      readers: excluded, but can read it\n",
            'as boss: GRANT USAGE ON SCHEMA "vault"',
        )
        assert_says(shop.run("grant", "--yes", "--skip-blocked"), 0, "schema vault, made by boss")


def test_without_a_run_before_everything_is_new(shop: Shop) -> None:
    ran = shop.run("grant", "--yes")
    assert_says(ran, 0, "No run has been recorded yet: everything counts as new.", "Database shop, new, of app_owner")
    assert "    readers: will be granted\n  + schema sales, made by app_owner" in ran.out
    assert "+ 1 table, 1 view and 1 sequence: orders, totals, by app_owner" in ran.out
    assert_reads(shop, "sales.orders", "stock.items")
    assert_says(shop.run("grant"), 0, "Nothing is new")


def test_a_long_list_of_schemas_is_cut(applied: Shop) -> None:
    script = "DO $$ BEGIN FOR n IN 1 .. 25 LOOP EXECUTE format('CREATE SCHEMA bulk_%s AUTHORIZATION migrator', n);"
    script += "EXECUTE format('CREATE TABLE bulk_%s.t ()', n); END LOOP; END $$"
    drop = "DO $$ BEGIN FOR n IN 1 .. 25 LOOP EXECUTE format('DROP SCHEMA bulk_%s CASCADE', n); END LOOP; END $$"
    with made(applied, script, drop):
        ran = applied.run("grant", "--yes", "--skip-blocked")
        assert "  … and 5 more schemas with 5 relations; -v shows each" in ran.out
        assert ran.out.count("+ schema bulk_") == 20
        assert max(map(len, ran.out.splitlines())) <= 120


def test_the_json_document_is_that_of_apply_and_what_appeared(applied: Shop) -> None:
    since = json.loads(state_of(applied).read_text(encoding="utf-8"))["when"]
    with made(applied, NEW_TABLE, "DROP TABLE sales.returns"):
        document = applied.run("--format", "json", "grant", "--yes").document
    assert document["appeared"].pop("since") == since
    assert document == {
        "schema": "replica-access/grant/1",
        "applied": [],
        "failed": [],
        "proof": None,
        "notes": [],
        "undo": None,
        "added": [],
        "appeared": {
            "databases": [],
            "schemas": [],
            "relations": [
                {
                    "database": "shop",
                    "schema": "sales",
                    "name": "returns",
                    "kind": "table",
                    "owner": "app_owner",
                    "readers": {"readers": "readable"},
                }
            ],
            "creators": [],
        },
    }


# --- one that is named -----------------------------------------------------------------------------------------------

LISTED = """schemas = [
    "sales",   # the shop's
    "stock"    # migrator makes it
]   # no others"""


@pytest.fixture
def listing(shop: Shop) -> Iterator[Shop]:
    """A spec that lists its schemas, applied; and a schema that it does not list."""
    shop.declare(LISTED)
    assert_says(shop.run("apply", "--yes"), 0)
    with made(shop, HR, "DROP SCHEMA hr CASCADE"):
        yield shop


def test_a_schema_that_is_not_listed_is_added_to_the_spec(listing: Shop) -> None:
    before = listing.run.spec.read_text(encoding="utf-8")
    assert_says(listing.run("grant", "--yes"), 0, "Nothing is new")
    ran = listing.run("grant", "--schema", "hr", "--yes")
    assert_says(
        ran, 0, "+ schema hr, made by app_owner", "let readers use 1 schema: hr", "1 table and 1 sequence: staff"
    )
    assert "✓ added hr to the schemas of readers in replica-access.toml\n" in ran.out
    added = before.replace('"stock"    # migrator makes it\n', '"stock",    # migrator makes it\n    "hr"\n')
    assert listing.run.spec.read_text(encoding="utf-8") == added
    assert_reads(listing, "hr.staff", "sales.orders")
    assert_says(listing.run("grant"), 0, "Nothing is new", "Nothing to do.")


def test_a_schema_looked_at_alone_leaves_the_rest_new(listing: Shop) -> None:
    with made(listing, NEW_TABLE, "DROP TABLE sales.returns"):
        ran = listing.run("grant", "--schema", "hr", "--yes")
        assert_says(ran, 0, "schema hr")
        assert "returns" not in ran.out
        assert_says(listing.run("grant", "--yes"), 0, "table returns, by app_owner")


def test_a_no_changes_nothing_at_all(listing: Shop) -> None:
    files = {path: path.read_bytes() for path in listing.run.directory.iterdir()}
    with listing.unchanged():
        ran = listing.run.on_terminal("grant", "--schema", "hr", answer=lambda: "n")
    assert ran.status == 1
    screen = " ".join(ran.out.split())
    assert "Add hr to the schemas of readers in replica-access.toml, and apply 4 changes? [y/N]" in screen
    assert screen.endswith("Nothing was changed.")
    assert "Pending" not in screen  # the other schemas were not looked at, which is not to miss them
    assert {path: path.read_bytes() for path in listing.run.directory.iterdir()} == files


def test_a_yes_does_what_was_shown(listing: Shop) -> None:
    ran = listing.run.on_terminal("grant", "--schema", "hr", answer=lambda: "y")
    assert ran.status == 0, ran
    assert "added hr to the schemas of readers in replica-access.toml" in " ".join(ran.out.split())
    assert_reads(listing, "hr.staff")


def test_without_a_terminal_nothing_is_asked_and_nothing_changed(listing: Shop) -> None:
    spec = listing.run.spec.read_bytes()
    with listing.unchanged():
        assert_says(listing.run("grant", "--schema", "hr"), 2, "There is no terminal to ask on.", "--yes")
    assert listing.run.spec.read_bytes() == spec


def test_a_run_that_fails_keeps_the_name_and_says_so(listing: Shop) -> None:
    refuse = """CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'not today'; END$$;
        CREATE EVENT TRIGGER refuse ON ddl_command_start WHEN TAG IN ('GRANT') EXECUTE FUNCTION refuse()"""
    with made(listing, refuse, "DROP EVENT TRIGGER refuse; DROP FUNCTION refuse"):
        ran = listing.run("grant", "--schema", "hr", "--yes")
    assert ran.status == 1
    assert "replica-access.toml keeps what was added to it: hr to the schemas of readers." in ran.err
    assert '"hr"' in listing.run.spec.read_text(encoding="utf-8")
    assert_says(listing.run("grant", "--yes"), 0, "+ schema hr, made by app_owner")
    assert_reads(listing, "hr.staff")


def test_a_new_database_is_added_to_the_spec(applied: Shop) -> None:
    with database(applied, "crm"):
        applied.sql("SET SESSION AUTHORIZATION app_owner; CREATE SCHEMA leads; CREATE TABLE leads.open ()", "crm")
        document = applied.run("--format", "json", "grant", "--database", "crm", "--yes").document
        assert document["added"] == [{"to": "readers", "key": "databases", "name": "crm"}]
        readers = {"readers": "granted"}
        assert document["appeared"]["databases"] == [{"name": "crm", "owner": "app_owner", "readers": readers}]
        assert 'databases = ["shop", "crm"]' in applied.run.spec.read_text(encoding="utf-8")
        assert_reads(applied, "leads.open", database="crm")
        assert_says(applied.run("grant"), 0, "Nothing is new")


def test_what_cannot_be_meant_is_refused(shop: Shop) -> None:
    shop.declare('schemas = ["sales"]\nexclude = ["st*"]')
    assert_says(shop.run("apply", "--yes"), 0)
    files = {path: path.read_bytes() for path in shop.run.directory.iterdir()}
    with shop.unchanged():
        for arguments, *sentences in (
            (["--schema", "stock"], "The schema stock is excluded from what readers reads, by 'st*' in the spec."),
            (["--schema", "Sale"], "There is no schema Sale in shop.", "Is it one of these? sales"),
            (["--database", "shopp"], "There is no database shopp.", "Is it one of these? shop"),
            (["--to", "readers"], "--to goes with --database or --schema."),
            (["--schema", "sales", "--to", "bi"], "The spec has no grant to bi.", "--to is one of: readers."),
        ):
            assert_says(shop.run("grant", "--yes", *arguments), 2, *sentences)
    assert {path: path.read_bytes() for path in shop.run.directory.iterdir()} == files


def test_a_schema_of_a_database_that_the_admin_may_not_enter(applied: Shop) -> None:
    with made(applied, "REVOKE CONNECT ON DATABASE shop FROM master", "GRANT CONNECT ON DATABASE shop TO master"):
        ran = applied.run("grant", "--database", "shop", "--schema", "sales", "--yes")
        assert_says(ran, 1, "the admin master may not connect to it", 'GRANT CONNECT ON DATABASE "shop" TO "master"')


# --- what the last run left behind -----------------------------------------------------------------------------------


def test_a_damaged_state_stops_the_run_and_is_not_taken_for_none(applied: Shop) -> None:
    state_of(applied).write_text("{", encoding="utf-8")
    for command in (["grant", "--yes"], ["plan"], ["apply", "--yes"]):
        with applied.unchanged():
            assert_says(applied.run(*command), 2, "replica-access.state.json, cannot be used", "Delete it")
    state_of(applied).unlink()
    assert_says(applied.run("grant", "--yes"), 0, "No run has been recorded yet: everything counts as new.")


def test_the_state_of_another_system_is_none_and_that_is_said(applied: Shop) -> None:
    document = json.loads(state_of(applied).read_text(encoding="utf-8"))
    document["roles"]["gone"] = {"oid": 99_999, "made": True}
    state_of(applied).write_text(json.dumps({**document, "system_identifier": "1"}), encoding="utf-8")
    ran = applied.run("grant", "--yes")
    assert_says(ran, 0, "is about the system 1, and the primary is", "it is not used", "No run has been recorded yet")
    after: dict[str, Any] = json.loads(state_of(applied).read_text(encoding="utf-8"))
    assert after["system_identifier"] == document["system_identifier"]
    assert "gone" not in after["roles"]


def test_who_made_a_role_is_remembered(shop: Shop) -> None:
    shop.sql("SET SESSION AUTHORIZATION master; CREATE ROLE readers NOLOGIN")
    assert_says(shop.run("apply", "--yes"), 0)
    assert_says(shop.run("apply", "--yes"), 0, "Nothing to do.")
    roles = json.loads(state_of(shop).read_text(encoding="utf-8"))["roles"]
    assert {name: role["made"] for name, role in roles.items()} == {"readers": False, "bi": True}
    assert state_of(shop).stat().st_mode & 0o777 == 0o600

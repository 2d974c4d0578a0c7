from __future__ import annotations

import pytest

from replica_access.coverage import additions
from replica_access.errors import UsageError
from replica_access.spec import parse

HEAD = 'version = 1\n[primary]\ndsn = "host=a"\n[roles.readers]\n[roles.ops]\n'
READERS = """
[[grants]]
to = "readers"
databases = ["app", "crm_*"]
schemas = ["public", "sales_*"]
exclude = ["sales_old", "hr*"]
"""
OPS = '[[grants]]\nto = "ops"\ndatabases = ["app"]\nschemas = ["log"]\n'
EXISTING = {
    "app": {"public", "sales_eu", "sales_old", "hr", "log", "Billing", "a*", "caf\udce9"},
    "crm_1": {"public", "leads"},
    "Other": {"public", "leads"},
}


def lacking(text: str, *, database: str | None = None, schema: str | None = None, to: str | None = None) -> list[str]:
    found = additions(parse(HEAD + text), EXISTING, database=database, schema=schema, to=to)
    return [f"{each.entry} {each.key} {each.pattern}" for each in found]


@pytest.mark.parametrize(
    ("database", "schema"),
    [("app", None), ("crm_1", None), (None, "public"), (None, "sales_eu"), ("crm_1", "public")],
)
def test_what_a_name_or_a_pattern_takes_in_lacks_nothing(database: str | None, schema: str | None) -> None:
    assert lacking(READERS, database=database, schema=schema) == []


def test_what_is_not_taken_in_goes_to_the_one_entry_for_it() -> None:
    assert lacking(READERS, database="Other") == ["0 databases Other"]
    assert lacking(READERS, schema="leads") == ["0 schemas leads"]
    assert lacking(READERS, database="app", schema="Billing") == ["0 schemas Billing"]
    assert lacking(READERS, database="Other", schema="leads") == ["0 databases Other", "0 schemas leads"]
    assert lacking(READERS, database="Other", schema="public") == ["0 databases Other"]


def test_a_name_that_looks_like_a_pattern_lets_in_nothing_but_itself() -> None:
    assert lacking(READERS, schema="a*") == ["0 schemas a[*]"]


def test_the_entry_is_the_one_that_covers_the_database_or_the_one_of_the_role() -> None:
    assert lacking(READERS + OPS, schema="leads") == ["0 schemas leads"]
    assert lacking(READERS + OPS, schema="Billing", to="ops") == ["1 schemas Billing"]
    assert lacking(READERS + OPS, schema="public", to="ops") == ["1 schemas public"]
    assert lacking(READERS + OPS, schema="public") == []
    assert lacking(READERS + OPS, database="Other", to="readers") == ["0 databases Other"]


@pytest.mark.parametrize(
    ("text", "arguments", "what", "fix"),
    [
        (READERS + OPS, {"schema": "Billing"}, "Who shall read the schema Billing?", "Say --to, one of: readers, ops."),
        (READERS + OPS, {"database": "Other"}, "Who shall read the database Other?", "Say --to, one of: readers, ops."),
        (READERS, {"to": "bi", "schema": "hr"}, "The spec has no grant to bi.", "--to is one of: readers."),
        ("", {"schema": "hr"}, "The spec has no [[grants]].", "Add one."),
        (READERS + READERS, {"schema": "Billing"}, "The spec has 2 grants to readers that", "Add it to the right one"),
        (READERS, {"schema": "hr"}, "The schema hr is excluded from what readers reads, by 'hr*'", "Take that out of"),
        (READERS, {"schema": "sales_old"}, "excluded from what readers reads, by 'sales_old'", "Take that out of"),
        (READERS, {"database": "aps"}, "There is no database aps.", "Is it one of these? app"),
        (READERS, {"database": "other"}, "There is no database other.", "Is it one of these? Other"),
        (READERS, {"database": "zzz"}, "There is no database zzz.", "There are: Other, app, crm_1."),
        (READERS, {"schema": "billing"}, "There is no schema billing in app, crm_1.", "Is it one of these? Billing"),
        (READERS, {"schema": "log", "database": "crm_1"}, "There is no schema log in crm_1.", "There are: leads"),
        (READERS, {"schema": "pg_toast"}, "pg_toast is a schema of PostgreSQL's own.", "No grant ever reaches it."),
        (READERS, {"schema": "caf\udce9"}, 'The name "caf\\xe9" is no UTF-8', "Rename it"),
    ],
)  # fmt: skip
def test_what_cannot_be_added_is_said(text: str, arguments: dict[str, str], what: str, fix: str) -> None:
    with pytest.raises(UsageError) as caught:
        lacking(text, **arguments)
    assert what in caught.value.what
    assert caught.value.fix.startswith(fix)

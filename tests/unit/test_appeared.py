from __future__ import annotations

from dataclasses import replace

import pytest

from replica_access import appeared
from replica_access.appeared import Appeared
from replica_access.cli import documents, news
from replica_access.inventory import FoundRelations, FoundSchema, Gets, Inventory
from replica_access.state import KnownDatabase, State

SALES = FoundSchema(11, "sales", "app_owner", {"readers": "readable"})
APP = Inventory(5, "boss", {"readers": "readable"}, (SALES,), (1, 2), (), {"app_owner": {"readers": "readable"}})
KNOWN = State("7", "2026-03-02T10:14:00+01:00", {}, {"app": KnownDatabase(5, {"sales": 11}, frozenset({"app_owner"}))})


def relations(*names: str, kind: str = "r", owner: str = "app_owner", **readers: Gets) -> FoundRelations:
    return FoundRelations("sales", owner, kind, names, readers)


def told(inventory: Inventory, known: State | None = KNOWN, *, all_of_it: bool = False) -> list[str]:
    found = appeared.since(known, {"app": inventory})
    return [line for line in news.lines(found, all_of_it=all_of_it) if line]


# --- comparing -------------------------------------------------------------------------------------------------------


def test_nothing_is_new_where_all_is_known() -> None:
    assert appeared.since(KNOWN, {"app": APP}) == Appeared(KNOWN.when, ())
    assert told(APP) == ["Nothing is new since 2026-03-02 09:14 UTC."]


def test_without_a_state_everything_is_new() -> None:
    (found,) = appeared.since(None, {"app": APP}).databases
    assert found.new
    assert found.schemas == (SALES,)
    assert found.creators == APP.creators


def test_a_schema_that_was_made_anew_is_new() -> None:
    (found,) = appeared.since(KNOWN, {"app": replace(APP, schemas=(replace(SALES, oid=12),))}).databases
    assert [schema.name for schema in found.schemas] == ["sales"]
    assert not found.new


def test_in_a_database_that_was_made_anew_everything_is_new() -> None:
    (found,) = appeared.since(KNOWN, {"app": replace(APP, oid=6)}).databases
    assert found.new
    assert found.schemas == (SALES,)
    assert set(found.creators) == {"app_owner"}


def test_a_creator_who_was_not_there_is_new() -> None:
    (found,) = appeared.since(
        KNOWN, {"app": replace(APP, creators={**APP.creators, "amy": {"r": "granted"}})}
    ).databases
    assert found.creators == {"amy": {"r": "granted"}}


# --- telling ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unknown", "lines"),
    [
        ([relations("a", readers="readable")], ["table a, by app_owner", "already reads it (default privileges)"]),
        ([relations("a", owner="x", readers="readable")], ["table a, by x", "already reads it"]),
        ([relations("a", readers="granted")], ["table a, by app_owner", "[green]will be granted[/]"]),
        ([relations("a", readers="exposed")], ["table a, by app_owner", "[red]excluded, but can read it[/]"]),
        (
            [relations("s1", "s2", kind="S", readers="blocked"), relations("t1", "t2", readers="blocked")],
            ["2 tables and 2 sequences: t1, t2, by app_owner", "[red]blocked[/]"],
        ),
        ([relations(*"abcdef", readers="excluded")], ["6 tables: a, b, … f (6 in all), by app_owner", "excluded"]),
    ],
)
def test_relations_are_told_with_who_made_them_and_what_readers_get(
    unknown: list[FoundRelations], lines: list[str]
) -> None:
    assert told(replace(APP, unknown=tuple(unknown))) == [
        "New since 2026-03-02 09:14 UTC:",
        "[bold]Database app[/]",
        "  in schema sales",
        f"    [green]+[/] {lines[0]}",
        f"      readers: {lines[1]}",
    ]


def test_readers_who_get_the_same_share_a_line() -> None:
    lines = told(replace(APP, unknown=(relations("a", bi="granted", ops="excluded", r="granted"),)))
    assert lines[-2:] == ["      bi, r: [green]will be granted[/]", "      ops: excluded"]


def test_long_lists_are_cut_and_shown_in_full_on_demand() -> None:
    schemas = tuple(FoundSchema(n, f"s{n:04}", "x", {}) for n in range(5000))
    unknown = tuple(replace(relations("a", "b"), schema=schema.name) for schema in schemas)
    many = replace(APP, schemas=schemas, unknown=unknown)
    short = told(many)
    assert short[-1] == "  … and 4,980 more schemas with 9,960 relations; -v shows each"
    assert len(short) < 50
    assert len(told(many, all_of_it=True)) > 5000


def test_names_are_printed_so_that_a_terminal_can_carry_them() -> None:
    lines = told(replace(APP, unknown=(relations("a\n[red]", owner="caf\udce9", readers="granted"),)))
    assert lines[-2] == '    [green]+[/] table "a\\n\\[red]", by "caf\\xe9"'


def test_the_document_has_every_relation_by_its_name() -> None:
    unknown = (relations("a", "b", kind="v", readers="granted"),)
    found = appeared.since(None, {"app": replace(APP, unknown=unknown)})
    document = documents.appeared_document(found)
    assert document["since"] is None
    assert document["databases"] == [{"name": "app", "owner": "boss", "readers": {"readers": "readable"}}]
    assert [(each["name"], each["kind"]) for each in document["relations"]] == [("a", "view"), ("b", "view")]
    assert document["schemas"][0]["owner"] == "app_owner"
    assert document["creators"] == [{"database": "app", "name": "app_owner", "readers": {"readers": "readable"}}]

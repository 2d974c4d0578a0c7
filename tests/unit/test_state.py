from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replica_access import state
from replica_access.errors import UsageError
from replica_access.inventory import FoundSchema, Inventory
from replica_access.model import Request
from replica_access.spec import parse
from replica_access.state import KnownDatabase, KnownRole, State

NAMES = st.text(st.one_of(st.characters(codec="utf-8"), st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF)))
OIDS = st.integers(1, state.MAX_OID)
SPEC = parse('version = 1\n[primary]\ndsn = "host=a"\n[roles.readers]\n[users.bi]\nmember_of = ["readers"]\n')
EVERYTHING = Request()


def inventory(oid: int = 5, *, schemas: dict[str, int], relations: tuple[int, ...], creators: str = "") -> Inventory:
    found = tuple(FoundSchema(oid, name, "boss", {}) for name, oid in schemas.items())
    return Inventory(oid, "boss", {}, found, relations, (), {name: {} for name in creators.split()})


# --- the file --------------------------------------------------------------------------------------------------------


@given(
    name=NAMES,
    others=st.frozensets(NAMES),
    oids=st.sets(OIDS).map(lambda found: tuple(sorted(found))),
    when=st.none() | st.just("2026-01-01T00:00:00+00:00"),
    made=st.booleans(),
)
def test_any_state_comes_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    others: frozenset[str],
    oids: tuple[int, ...],
    when: str | None,
    made: bool,
) -> None:
    path = tmp_path_factory.getbasetemp() / "s.state.json"
    written = State("7", when, {name: KnownRole(9, made)}, {name: KnownDatabase(3, {name: 4}, others, oids)})
    state.write(path, written)
    assert state.read(path) == written


def test_the_file_is_for_its_owner_alone_and_leaves_no_draft(tmp_path: Path) -> None:
    path = state.beside(tmp_path / "replica-access.toml")
    assert path.name == "replica-access.state.json"
    path.write_text("{}")
    path.chmod(0o644)
    state.write(path, State("7"))
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_no_file_is_no_state(tmp_path: Path) -> None:
    assert state.read(tmp_path / "none.state.json") is None


def damaged(**changes: Any) -> str:
    good: dict[str, Any]
    good = {"schema": state.SCHEMA, "system_identifier": "7", "when": None, "roles": {}, "databases": {}}
    return json.dumps(good | changes)


def database(**changes: Any) -> dict[str, Any]:
    return {"d": {"oid": 1, "schemas": {}, "creators": [], "relations": state.packed([1, 2]), **changes}}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[" * 100_000,
        "[]",
        "{}",
        damaged(schema="replica-access/state/2"),
        damaged(system_identifier=7),
        damaged(when=1),
        damaged(roles=[]),
        damaged(roles={"r": 1}),
        damaged(roles={"r": {"oid": True, "made": True}}),
        damaged(roles={"r": {"oid": 1}}),
        damaged(databases={"d": {}}),
        damaged(databases=database(oid=-1)),
        damaged(databases=database(schemas={"s": "1"})),
        damaged(databases=database(creators="abc")),
        damaged(databases=database(creators=[1])),
        damaged(databases=database(relations="AAAA")),
        damaged(databases=database(relations="ü")),
        damaged(databases=database(relations=state.packed([1, 2])[:-4])),
        damaged(databases=database(relations=state.packed([2**33]))),
    ],
)
def test_a_damaged_file_is_named_with_what_to_do(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.state.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=r"x\.state\.json, cannot be used: ") as caught:
        state.read(path)
    assert caught.value.fix.startswith("Delete it")


def test_a_file_that_cannot_be_read_or_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "x.state.json").mkdir()
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        state.read(tmp_path / "x.state.json")
    with pytest.raises(UsageError, match="cannot be kept in"):
        state.write(tmp_path / "nowhere" / "x.state.json", State("7"))
    with pytest.raises(UsageError, match="cannot be kept in"):
        state.write(tmp_path / "x.state.json", State("7"))
    assert [path.name for path in tmp_path.iterdir()] == ["x.state.json"]


def test_two_hundred_thousand_relations_are_a_small_file(tmp_path: Path) -> None:
    """Serial tables as they are made: table, its type, sequence, index, default and constraint take oids."""
    oids, oid = [], 16_384
    for number in range(100_000):
        oids += [oid, oid + 1]
        oid += 5 + number % 7 * (number % 3)
    written = State("7", "now", {}, {"app": KnownDatabase(5, {}, frozenset(), tuple(oids))})
    began = time.perf_counter()
    state.write(tmp_path / "s", written)
    assert state.read(tmp_path / "s") == written
    assert time.perf_counter() - began < 5  # tens of milliseconds: not a figure, only no blunder
    assert (tmp_path / "s").stat().st_size < 300_000


def test_oids_without_any_order_in_their_gaps_fit_too() -> None:
    oids = sorted({(number * 2_654_435_761) % 2_000_000 + 16_384 for number in range(200_000)})
    assert len(state.packed(oids)) < 300_000
    assert state.unpacked(state.packed(oids)) == tuple(oids)


# --- roles -----------------------------------------------------------------------------------------------------------


def test_what_a_run_made_is_ours_from_then_on() -> None:
    first = State("7").with_roles({"readers": 1, "bi": 2, "boss": 3}, declared=["readers", "bi"], created=["bi"])
    assert first.roles == {"readers": KnownRole(1), "bi": KnownRole(2, made=True)}
    second = first.with_roles({"readers": 1, "bi": 2}, declared=["readers", "bi"], created=[])
    assert second.roles == first.roles


def test_a_role_that_somebody_made_anew_is_not_ours() -> None:
    known = State("7", roles={"bi": KnownRole(2, made=True)})
    assert known.with_roles({"bi": 9}, declared=["bi"], created=[]).roles == {"bi": KnownRole(9)}


def test_a_role_that_left_the_spec_is_remembered_while_it_exists() -> None:
    known = State("7", roles={"bi": KnownRole(2, made=True), "old": KnownRole(3)})
    still = known.with_roles({"bi": 2, "old": 3}, declared=[], created=[])
    assert still.roles == {"bi": KnownRole(2, made=True)}
    assert still.with_roles({"bi": 4}, declared=[], created=[]).roles == {}


def test_departed_are_those_of_ours_that_the_spec_does_not_name() -> None:
    roles = {"readers": KnownRole(1, made=True), "bi": KnownRole(2, made=True), "left": KnownRole(3, made=True)}
    assert state.departed(State("7", roles={**roles, "others": KnownRole(4)}), SPEC) == {"left": 3}
    assert state.departed(None, SPEC) == {}


# --- databases -------------------------------------------------------------------------------------------------------


def test_a_run_over_everything_knows_what_it_saw_and_forgets_what_is_gone() -> None:
    known = State("7", "then", {}, {"gone": KnownDatabase(1), "anew": KnownDatabase(2), "closed": KnownDatabase(3)})
    seen = {"app": inventory(5, schemas={"s": 6}, relations=(7, 8), creators="boss")}
    after = known.with_databases({"app": 5, "anew": 9, "closed": 3}, seen, EVERYTHING, "now")
    assert after.when == "now"
    assert after.databases == {
        "app": KnownDatabase(5, {"s": 6}, frozenset({"boss"}), (7, 8)),
        "closed": KnownDatabase(3),
    }


def test_a_run_over_one_schema_changes_nothing_else() -> None:
    before = KnownDatabase(5, {"s": 6, "t": 7}, frozenset({"boss"}), (10, 20))
    known = State("7", "then", {}, {"app": before, "other": KnownDatabase(9)})
    seen = {"app": inventory(5, schemas={"t": 8}, relations=(15, 20), creators="amy")}
    after = known.with_databases({"app": 5, "other": 9}, seen, Request(schema="t"), "now")
    assert after.when == "then"
    assert after.databases == {
        "app": KnownDatabase(5, {"s": 6, "t": 8}, frozenset({"amy", "boss"}), (10, 15, 20)),
        "other": KnownDatabase(9),
    }


def test_the_first_run_of_all_has_a_time_even_over_one_schema() -> None:
    assert State("7").with_databases({}, {}, Request(schema="t"), "now").when == "now"

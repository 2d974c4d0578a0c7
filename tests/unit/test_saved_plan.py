from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from replica_access import saved_plan
from replica_access.errors import Drift, UsageError
from replica_access.model import Request
from replica_access.spec import parse

SPEC = 'version = 1\n[primary]\ndsn = "host=a"\n[roles.r]\n[[grants]]\nto = "r"\ndatabases = ["app"]\n'


def document(
    *summaries: str,
    system: str = "1",
    spec: str = "s",
    blocked: tuple[str, ...] = (),
    allowed: tuple[str, ...] = (),
    undo: str = "back",
) -> dict[str, Any]:
    return {
        "schema": saved_plan.SCHEMA,
        "changes": [{"id": s, "summary": s, "undo": [undo], "acts_as": ["app_owner"]} for s in summaries],
        "blocked": [{"object": b, "reason": "because", "fix": ""} for b in blocked],
        "bound_to": {"system_identifier": system, "spec": spec, "allowed": allowed},
    }


def test_the_same_plan_fits() -> None:
    saved_plan.require_same(document("a", "b"), document("a", "b"))


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (document("a", system="2"), "made for the system 1, and the primary is 2"),
        (document("a", spec="t"), "the spec says something else"),
        (document("a", "b"), "new: b"),
        (document(), "not needed any more: a"),
        (document("a", blocked=("x",)), "blocked now: x: because"),
        (document("a", allowed=("--allow-revoke",)), "made with no flag that allows more"),
        (document("a", undo="further back"), r"begins elsewhere: a: its undo was \['back'\], and would be"),
    ],
)
def test_what_differs_is_said(now: dict[str, Any], said: str) -> None:
    with pytest.raises(Drift, match=said) as caught:
        saved_plan.require_same(document("a"), now)
    assert caught.value.exit_status == 3


def test_comments_and_the_order_of_keys_do_not_count() -> None:
    other = '# a comment\n[primary]\ndsn = "host=a"\n' + SPEC.replace('[primary]\ndsn = "host=a"\n', "")
    reordered = "version = 1\n" + other.replace("version = 1\n", "")
    assert saved_plan.binding(parse(SPEC), "1", Request()) == saved_plan.binding(parse(reordered), "1", Request())
    assert saved_plan.binding(parse(SPEC), "1", Request()) != saved_plan.binding(
        parse(SPEC.replace("app", "ap")), "1", Request()
    )
    assert saved_plan.binding(parse(SPEC), "1", Request()) != saved_plan.binding(parse(SPEC), "2", Request())


def test_what_was_allowed_counts() -> None:
    allowed = saved_plan.binding(parse(SPEC), "1", Request(allow_revoke=True))
    assert allowed != saved_plan.binding(parse(SPEC), "1", Request())


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"schema": "replica-access/plan/1"}', '{"schema": 1}'])
def test_what_is_no_saved_plan(tmp_path: Path, text: str) -> None:
    file = tmp_path / "plan.json"
    file.write_text(text)
    with pytest.raises(UsageError, match=r"is no (saved )?plan"):
        saved_plan.read(file)
    with pytest.raises(UsageError, match="cannot be read"):
        saved_plan.read(tmp_path / "none")


def test_a_saved_plan_is_read_back(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(document("a")))
    assert saved_plan.read(file) == json.loads(json.dumps(document("a")))

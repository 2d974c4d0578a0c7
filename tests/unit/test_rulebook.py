"""Every rule of the audit has a test that provokes it on a real server or account, and sees its remedy help."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from replica_access.audit.rulebook import ALL

from ..postgres.sabotages import SABOTAGED

TESTS = Path(__file__).parent.parent


def proved() -> Iterator[str]:
    """Yield the rules that tests say to prove; that they do, `tests.provocations` sees to when they run."""
    for path in sorted(TESTS.glob("*/test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                for decorator in node.decorator_list:
                    if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "proves":
                        yield from _rules(decorator)


def _rules(decorator: ast.Call) -> Iterator[str]:
    for argument in decorator.args:
        if isinstance(argument, ast.Starred):
            assert ast.unparse(argument.value) == "SABOTAGED"
            yield from SABOTAGED
        else:
            yield ast.literal_eval(argument)


def test_every_rule_is_provoked_and_undone_by_some_test_and_there_are_no_others() -> None:
    assert set(proved()) == {rule.id for rule in ALL}

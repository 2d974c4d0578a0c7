"""What a test says of a rule of the audit, and is held to: not found at first, then found, and gone after its remedy.

::

    @proves("replica-behind")
    def test_…:
        saw(audit(…))        # every audit that the test makes; in most files the helper that makes it says so

A unit test sees to it that every rule has a test that says so (tests/unit/test_rulebook.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import ParamSpec

P = ParamSpec("P")
Key = tuple[str, str, str]
"""Rule, subject and object of a finding."""

_audits: list[frozenset[Key]] = []


def saw(keys: Iterable[Key]) -> None:
    """Note what an audit found."""
    _audits.append(frozenset(keys))


def proves(*rules: str, from_the_start: bool = False) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Hold a test to it that its audits saw something of each of `rules` come and go.

    That it was not there before, an audit of a fixture may have seen too.

    :param from_the_start: what the rules are about was there in the first place, and a fixture has ended it.
    """

    def held(test: Callable[P, None]) -> Callable[P, None]:
        @wraps(test)
        def run(*arguments: P.args, **named: P.kwargs) -> None:
            before = len(_audits)
            test(*arguments, **named)
            seen = [[frozenset()], _audits] if from_the_start else [_audits[:before], _audits[before:]]
            unproved = set(rules) - _came_and_went(*seen)
            assert not unproved, unproved

        return run

    return held


def _came_and_went(before: Sequence[frozenset[Key]], audits: Sequence[frozenset[Key]]) -> set[str]:
    """Return the rules of which something was not found, then was, and then was not again."""
    everything = frozenset[Key]().union(*audits)
    missed, found, gone = set[Key](), set[Key](), set[Key]()
    for audit in before:
        missed |= everything - audit
    for audit in audits:
        gone |= found - audit
        found |= missed & audit
        missed |= everything - audit
    return {rule for rule, _, _ in gone}

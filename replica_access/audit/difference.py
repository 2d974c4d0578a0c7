"""What changed between two runs, in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from replica_access.audit.snapshot import Entry
from replica_access.findings import SEVERITIES, Audit, Finding

Turn = Literal["new", "due", "gained", "changed", "accepted", "lost", "gone", "unknown", "known"]
TURNS: tuple[Turn, ...] = get_args(Turn)
"""What has become of something, what matters most first: `due` is a finding whose acceptance has ended, `unknown` what
could be looked at before, and `known` what can be looked at again; `gained` and `lost` is what a reader holds."""

Key = tuple[str, ...]

SAID = ("severity", "message", "evidence")
"""What is held against a finding of an earlier run."""

AGREED = ("reason", "until")
"""And of one that is accepted, this too."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that differs between two runs.

    :param rule: of the finding; empty where it is about something that could not be looked at.
    :param sentence: what a person reads.
    """

    turn: Turn
    severity: str
    rule: str
    sentence: str


def differences(appeared: Iterable[Entry], gone: Iterable[Entry], *, unseen: int = 0) -> list[Difference]:
    """Return what has become of each finding, and of what could not be looked at.

    :param unseen: how many things the later run could not look at: what it did not find may be there all the same.
    """
    before, after = _by_key(gone), _by_key(appeared)
    no_longer = "no longer found, by a run that could not look at everything" if unseen else "no longer found"
    return [
        _told(before.get(key), after.get(key), latest, no_longer)
        for key, latest in {**before, **after}.items()
        if not _is_as_before(before.get(key), after.get(key))
    ]


def in_order(some: Iterable[Difference]) -> tuple[Difference, ...]:
    """Return them as people want to read them: what matters most first."""
    order = sorted(some, key=lambda each: (TURNS.index(each.turn), _rank(each.severity), each.rule, each.sentence))
    return tuple(order)


def new_since(before: Iterable[Entry], audit: Audit) -> tuple[Finding, ...]:
    """Return the findings that a former run did not have, or not as they are: a reader may write more than before, say.

    One that was accepted then, and is no more, is new.
    """
    known = {
        (*_key(each), each.values["severity"], each.values["message"]) for each in before if each.kind == "finding"
    }
    return tuple(each for each in audit.findings if ("finding", *each.key, each.severity, each.message) not in known)


def _by_key(some: Iterable[Entry]) -> dict[Key, Entry]:
    return {_key(entry): entry for entry in some if entry.kind in {"finding", "accepted", "not checked"}}


def _key(entry: Entry) -> Key:
    """Return what makes it the same thing in two runs, whatever is said about it, and accepted or not."""
    values = entry.values
    if entry.kind == "not checked":
        return (entry.kind, values["what"])
    return ("finding", *(values[name] or "" for name in ("rule", "server", "database", "subject", "object")))


def _told(before: Entry | None, after: Entry | None, latest: Entry, no_longer: str) -> Difference:
    values = latest.values
    if latest.kind == "not checked":
        return _could_look(before, after, values)
    message = values["message"]
    if after is None:
        turn: Turn = "gone"
        sentence = f"{no_longer}: {message}"
    elif after.kind == "accepted" and before is not None and before.kind == "accepted" and _differs(before, after):
        turn, sentence = "changed", f"accepted, and not as it was: {message} ({_changed(before.values, values)})"
    elif after.kind == "accepted":
        until = f" until {values['until']}" if values["until"] else ""
        turn, sentence = "accepted", f"accepted{until} ({values['reason']}): {message}"
    elif before is None:
        turn, sentence = "new", message
    elif before.kind == "accepted":
        turn, sentence = "due", f"no longer accepted: {message}"
    else:
        turn, sentence = "changed", f"{message} ({_changed(before.values, values)})"
    return Difference(turn, values["severity"], values["rule"], sentence)


def _could_look(before: Entry | None, after: Entry | None, values: Mapping[str, Any]) -> Difference:
    if after is None:
        return Difference("known", "", "", f"{values['what']} could be looked at again")
    if before is None:
        return Difference("unknown", "", "", f"{values['what']} could not be looked at: {values['why']}")
    return Difference("unknown", "", "", f"{values['what']} could still not be looked at, now because {values['why']}")


def _is_as_before(before: Entry | None, after: Entry | None) -> bool:
    """Whether a finding is said to be what it was: a remedy may name a day, and so be another one every day."""
    if before is None or after is None or before.kind != after.kind or before.kind == "not checked":
        return False
    accepted = before.kind == "accepted"
    return not _differs(before, after) and (not accepted or all(before.values[n] == after.values[n] for n in AGREED))


def _differs(before: Entry, after: Entry) -> bool:
    return any(before.values[name] != after.values[name] for name in SAID)


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Say what differs of a finding that both runs have."""
    name = next(name for name in SAID if before[name] != after[name])
    return f"{name} was: {before[name]}"


def _rank(severity: str) -> int:
    return SEVERITIES.index(severity) if severity in SEVERITIES else len(SEVERITIES)

"""What one audit came to, as entries that can be stored, compared and hashed.

An entry is one finding, one accepted finding, one thing that could not be looked at, or something that a reader holds
(`holdings`), as canonical JSON: sorted keys, ASCII, no blanks. Two runs that found the same have the same entries, byte
by byte, on any machine; so a history stores each entry once, and of each run only what came and what went.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any, Literal, cast

from replica_access.findings import Audit

EntryKind = Literal["finding", "accepted", "not checked", "seen", "access", "names"]


@dataclass(frozen=True)
class Entry:
    """One thing that a run has seen.

    :param content: its values as `canonical` writes them.
    """

    kind: EntryKind
    content: str

    @cached_property
    def digest(self) -> str:
        """What identifies it: the SHA-256 of its kind and content, in hexadecimal."""
        return digest(self.kind, self.content)

    @cached_property
    def values(self) -> Mapping[str, Any]:
        return cast("Mapping[str, Any]", json.loads(self.content))


@dataclass(frozen=True, slots=True)
class Run:
    """One audit that was recorded.

    :param number: counts the runs of this target, from 1.
    :param at: when, in UTC, as ISO 8601.
    :param about: what else is known of it: the program's version, the summary.
    :param hash: over everything in this run, and the hash of the one before.
    """

    number: int
    at: str
    about: Mapping[str, Any]
    hash: str


def entries_of(audit: Audit) -> dict[str, Entry]:
    """Return everything that `audit` says, by digest."""
    entries = [
        *(Entry("finding", canonical(asdict(finding))) for finding in audit.findings),
        *(
            Entry("accepted", canonical({**asdict(each.finding), "reason": each.reason, "until": each.until}))
            for each in audit.accepted
        ),
        *(Entry("not checked", canonical(asdict(each))) for each in audit.not_checked),
    ]
    return {entry.digest: entry for entry in entries}


def canonical(values: Mapping[str, Any]) -> str:
    """Return the one way to write `values` as JSON.

    >>> canonical({"b": [1, "caf\\u00e9"], "a": None})
    '{"a":null,"b":[1,"caf\\\\u00e9"]}'
    """
    return _CANONICAL.encode(values)


_CANONICAL = json.JSONEncoder(sort_keys=True, ensure_ascii=True, separators=(",", ":"), allow_nan=False)


def digest(kind: str, content: str) -> str:
    return sha256(f"{kind}\n{content}".encode("utf-8", "surrogatepass")).hexdigest()


def state_of(digests: Iterable[str]) -> str:
    """Return what stands for a whole set of entries."""
    return sha256("\n".join(sorted(digests)).encode("utf-8", "surrogatepass")).hexdigest()


def link(previous: str, snapshot: Mapping[str, Any]) -> str:
    """Return the hash of a run: over that of the run before it, and its own snapshot. So a history is a chain."""
    return sha256(f"{previous}\n{canonical(snapshot)}".encode("ascii")).hexdigest()

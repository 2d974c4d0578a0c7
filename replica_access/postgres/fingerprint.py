"""What a server's catalogs say about the readers, as a few numbers: equal on a primary and on its replica, or not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import psycopg

from replica_access.model import Oid
from replica_access.postgres.connect import database_error
from replica_access.postgres.propagation import wait_for_replay
from replica_access.postgres.queries import load
from replica_access.postgres.scene import count

Scope = Literal["proof_fingerprint_shared", "proof_fingerprint"]
Fingerprint = Mapping[str, tuple[int, str]]
"""By section, such as ``relation privileges``: how many facts there are, and their digest."""

LOOKS = 3
"""So often the same difference is seen before it is one: what came and went between two looks is seen once."""

ATTEMPTS = 6


@dataclass(frozen=True, slots=True)
class Comparison:
    """Whether primary and replica say the same, that in words, and what the replica says.

    :param tried: false where one of the two could not be asked, or the two could not be caught standing still.
    """

    agreed: bool
    detail: str
    replica: Fingerprint
    tried: bool = True


def find_readers(connection: psycopg.Connection[Any], names: Sequence[str]) -> tuple[Oid, ...]:
    """Return the roles of these names that exist, and every group that they are in.

    :raises DatabaseError: the query failed.
    """
    try:
        return tuple(oid for (oid,) in connection.execute(load("proof_readers"), {"names": list(names)}))
    except psycopg.Error as error:
        raise database_error(error, "Looking for the readers") from error


def read(connection: psycopg.Connection[Any], scope: Scope, readers: Sequence[Oid]) -> Fingerprint:
    """Return what the shared catalogs, or the database that `connection` is in, say about `readers`.

    The server adds it up: what is sent is a row a section.

    :raises DatabaseError: the query failed.
    """
    try:
        rows = connection.execute(load(scope), {"readers": list(readers)}).fetchall()
    except psycopg.Error as error:
        raise database_error(error, "Reading the privileges of the readers") from error
    return {section: (number, digest) for section, number, digest in rows}


def compare(
    primary: psycopg.Connection[Any], replica: psycopg.Connection[Any], scope: Scope, readers: Sequence[Oid]
) -> Comparison:
    """Find out whether both say the same about `readers`, and that in words.

    A primary at work changes between two looks, so the replica may agree with what the primary said before or after;
    only where both stood still for `LOOKS` looks, and differ all the same, is it another truth.

    :raises DatabaseError: one of the two did not answer.
    """
    before = read(primary, scope, readers)
    replicated: Fingerprint = {}
    differed: list[tuple[Fingerprint, Fingerprint]] = []
    for _ in range(ATTEMPTS):
        replay = wait_for_replay(primary, replica)
        if not replay.reached:
            return Comparison(False, replay.detail, replicated, tried=False)
        replicated = read(replica, scope, readers)
        after = before if replicated == before else read(primary, scope, readers)
        if replicated in (before, after):
            return Comparison(True, _in_words(replicated), replicated)
        if after != before or (differed and differed[0] != (after, replicated)):
            differed.clear()
        if after == before:
            differed.append((after, replicated))
        if len(differed) == LOOKS:
            return Comparison(False, "; ".join(_differences(after, replicated)), replicated)
        before = after
    never = "the primary changed all the while, and the two were never seen to agree; look again"
    return Comparison(False, never, replicated, tried=False)


def _in_words(fingerprint: Fingerprint) -> str:
    facts = [f"{section} {number:,}" for section, (number, _) in fingerprint.items()]
    return f"the same on both: {', '.join(facts) or 'nothing about the readers'}"


def _differences(primary: Fingerprint, replica: Fingerprint) -> Iterable[str]:
    for section in sorted(primary.keys() | replica.keys()):
        here, there = primary.get(section, (0, "")), replica.get(section, (0, ""))
        if here[0] != there[0]:
            yield f"{section}: {count(here[0], 'fact')} on the primary, {there[0]:,} on the replica"
        elif here != there:
            yield f"{section}: {count(here[0], 'fact')} on both, but not the same"

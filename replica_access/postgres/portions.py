"""How much goes into one transaction: all of it, or as much as a server has room to lock.

PostgreSQL 18 locks every object that a GRANT or REVOKE names, until the commit, in a table of fixed size that all
sessions share. Before, none of them was locked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import psycopg

from replica_access.model import Change
from replica_access.postgres.connect import database_error
from replica_access.postgres.queries import load

LOCKS_SINCE = 180000
USUAL_ROOM = 3200
"""That of a server with default settings: 64 locks for each of 100 connections, of which others keep half."""


def lock_room(connection: psycopg.Connection[Any]) -> int | None:
    """Return how many objects one transaction may name; ``None`` where it does not matter.

    :raises DatabaseError: the server did not say.
    """
    if connection.info.server_version < LOCKS_SINCE:
        return None
    try:
        row = connection.execute(load("lock_room")).fetchone()
    except psycopg.Error as error:
        raise database_error(error, "Reading how many locks there may be") from None
    return None if row is None else int(row[0])


def portions(changes: Sequence[Change], room: int | None) -> Iterator[tuple[Change, ...]]:
    """Yield `changes` in order, in portions that name at most `room` objects each, or consist of one change."""
    portion: list[Change] = []
    locks = 0
    for change in changes:
        more = _at_most(change)
        if room is not None and portion and locks + more > room and not _completes_another(change):
            yield tuple(portion)
            portion, locks = [], 0
        portion.append(change)
        locks += more
    if portion:
        yield tuple(portion)


def _at_most(change: Change) -> int:
    """Return how many objects a change names at most: what stands between commas, whatever else has commas too."""
    return sum(statement.count(", ") + 1 for statement in change.sql)


def _completes_another(change: Change) -> bool:
    """Whether a change gives back a part of what the one before it takes, so that nobody ever lacks it."""
    return change.takes == "revoke" and change.sql[0].startswith("GRANT")

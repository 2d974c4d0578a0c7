"""Carry out what is planned around the servers, one change after the other; what was done is always told."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from replica_access.errors import Error, Interrupted
from replica_access.model import Change
from replica_access.outlook import Applied
from replica_access.progress import Progress

if TYPE_CHECKING:
    from replica_access.hosting import Hosting


def carry_out(hosting: Hosting, changes: Iterable[Change], progress: Progress) -> Applied:
    """Change what is around the servers, in order, as far as somebody has agreed to it."""
    done: list[Change] = []
    doing: Change | None = None
    try:
        for change in changes:
            doing = change
            hosting.execute(change, progress)
            done.append(change)
            progress.done(change.summary)
    except Error as error:
        return Applied(tuple(done), failed=doing.id if doing else None, error=error)
    except KeyboardInterrupt:
        return Applied(tuple(done), failed=doing.id if doing else None, error=interrupted(doing))
    return Applied(tuple(done))


def interrupted(doing: Change | None) -> Interrupted:
    """Say how to go on: what RDS has been asked for, it does without us."""
    if doing is None or doing.call is None or doing.call.service != "rds":
        return Interrupted()
    return Interrupted(
        f"RDS goes on with {doing.object} by itself: run the same command again, and it waits on from there."
    )

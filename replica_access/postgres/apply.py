"""Execute changes: the only place that alters a server.

One transaction a database: either all of its changes commit, or none; only what a server cannot lock at once goes into
several, each of which leaves less to do, and the next run does the rest. What was shown is what runs: under the lock
the plan is made again, and anything that was not in it before stops the run. Where nothing had to be shown, it is made
again as often as somebody else changes the server under it, within bounds.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import psycopg

from replica_access.catalog import Cluster
from replica_access.errors import ConnectionFailed, DatabaseError, Drift, LockTimeout, NotEffective
from replica_access.model import Change, Login, Plan, Secret
from replica_access.names import shown
from replica_access.postgres.blockers import Blockers, watched
from replica_access.postgres.catalog import read_cluster
from replica_access.postgres.connect import connect, database_error
from replica_access.postgres.portions import lock_room, portions
from replica_access.postgres.queries import load
from replica_access.postgres.transaction import Failed, transact
from replica_access.progress import Progress

LOCK_FAMILY = 0x52504C41  # "RPLA": ours among the advisory locks of an application
LOCK_PATIENCE_S = 60.0
ATTEMPTS = 6


class Replan(Protocol):
    """Reads the catalog again and says what is missing now.

    :param cluster: the shared catalogs, where they were just read and their own plan is not what is made again.
    """

    def __call__(
        self, connection: psycopg.Connection[Any], cluster: Cluster | None = None, /
    ) -> tuple[Cluster, Plan]: ...


def converge(
    login: Login,
    database: str,
    *,
    replan: Replan,
    agreed: Collection[Change] | None,
    left_out: bool,
    prepare: Callable[[Plan], Mapping[str, Secret]],
    progress: Progress,
    lock_patience_s: float = LOCK_PATIENCE_S,
) -> Iterator[Change]:
    """Bring one database (or, in the maintenance database, the shared catalogs) to where the spec wants it.

    What does not work, or not any more, is planned again: other people change the server too, and then the same
    statements may not fit. Yields the changes once they are committed; none where nothing was missing.

    :param agreed: the changes that somebody has agreed to, and nothing else is done; ``None`` where nobody had to: then
        what the server lacks by now is done.
    :param left_out: whether it is agreed to leave out what the admin may not do.
    :param prepare: returns the password of each user whose password the plan sets; called while nobody else can, so
        that two runs never store one password each for the same user.
    :raises Drift: the server has changed since the plan was shown.
    :raises LockTimeout: another run, or somebody else's lock, did not go away in time.
    :raises NotEffective: a statement did nothing, or not all it should; nothing of the transaction was kept, or, found
        after the commit, names what is still missing.
    :raises DatabaseError: the server refused; nothing of the transaction was kept.
    """
    if (opened := _open(login, database, confirmed=agreed is not None)) is None:
        return
    with opened as connection, _alone(connection, database, lock_patience_s, progress):
        cluster, plan = replan(connection)
        if agreed is not None:
            _refuse_what_is_new(database, agreed, plan)
        room = lock_room(connection) if plan.changes else None
        for attempt in range(1, ATTEMPTS + 1):
            if not left_out:
                _refuse_what_is_blocked(database, plan)
            if not plan.changes:
                return
            for change in plan.changes:
                progress.waiting(change.summary)
            tried, passwords, done = plan.changes, prepare(plan), 0
            try:
                for portion in portions(tried, room):
                    with watched(connection, login, progress) as blockers:
                        transact(connection, database, portion, cluster, passwords)
                    done += len(portion)
                    for change in portion:
                        progress.done(change.summary)
                        yield change
            except Failed as failed:
                if connection.closed or attempt == ATTEMPTS:
                    raise _explained(failed, blockers) from None
                time.sleep(random.uniform(0.05, 0.2) * 2**attempt / 2)  # noqa: S311  # jitter, no secret
                cluster, plan = replan(connection)
                _refuse_to_go_on(failed, database, tried[done:], plan, confirmed=agreed is not None)
                continue
            cluster, plan = replan(connection, cluster)
            _refuse_what_is_left(database, tried, plan, confirmed=agreed is not None)
        if plan.changes:
            raise Drift(
                f"{shown(database)} goes on changing: {plan.changes[0].summary} is what it lacks by now.",
                "What was done is kept: run the same command again when less is being changed there.",
            )


def _open(login: Login, database: str, *, confirmed: bool) -> psycopg.Connection[Any] | None:
    """Connect to `database`; ``None`` where it is gone, and nobody has agreed to something about it."""
    try:
        return connect(login, database=database)
    except ConnectionFailed as error:
        with connect(login) as elsewhere:
            if database in read_cluster(elsewhere).databases:
                raise
        if confirmed:
            raise Drift(
                f"The server has changed since the plan was made: {error.what}", "Look at the plan again."
            ) from None
        return None


# --- what has changed ------------------------------------------------------------------------------------------------


def _refuse_what_is_new(database: str, agreed: Collection[Change], plan: Plan) -> None:
    ids = {change.id for change in agreed}
    if new := [change for change in plan.changes if change.id not in ids]:
        raise Drift(
            f"{shown(database)} has changed since the plan was made; new is: {new[0].summary}.",
            "Look at the plan again.",
        )


def _refuse_what_is_blocked(database: str, plan: Plan) -> None:
    """Stop where something cannot be done any more that could be when somebody looked."""
    if plan.blocked:
        raise Drift(
            f"{shown(database)} has changed since the plan was made;"
            f" {plan.blocked[0].object}: {plan.blocked[0].reason}.",
            "Look at the plan again.",
        )


def _refuse_to_go_on(failed: Failed, database: str, tried: Sequence[Change], plan: Plan, *, confirmed: bool) -> None:
    """Stop where it would fail the same way again, or where it would not be what somebody has agreed to."""
    if plan.changes == tried:
        if not failed.passes:
            raise failed.error from None
        return
    if confirmed:
        raise Drift(
            f"{shown(database)} has changed since the plan was made: {failed.said}.",
            "Nothing of this transaction was kept: look at the plan again.",
        ) from None


def _refuse_what_is_left(database: str, done: Sequence[Change], plan: Plan, *, confirmed: bool) -> None:
    """Stop where something was committed and did not hold, or where more has come that nobody has agreed to."""
    ids = {change.id for change in done}
    if same := [change for change in plan.changes if change.id in ids]:
        raise NotEffective(
            f"{shown(database)}: committed, and still missing: {same[0].summary}.",
            "Somebody took it away meanwhile, or the server did not do all it was told: look at `plan` again.",
        )
    if plan.changes and confirmed:
        raise Drift(
            f"{shown(database)}: what was agreed to is done, and more has come since: {plan.changes[0].summary}.",
            "Look at the plan again.",
        )


def _explained(failed: Failed, blockers: Blockers) -> DatabaseError:
    error = failed.error
    if isinstance(error, LockTimeout) and blockers.sentence:
        return LockTimeout(f"{error.what[:-1]}, because of {blockers.sentence}.", error.fix, sqlstate=error.sqlstate)
    return error


# --- alone -----------------------------------------------------------------------------------------------------------


@contextmanager
def _alone(connection: psycopg.Connection[Any], database: str, patience_s: float, progress: Progress) -> Iterator[None]:
    """Hold our advisory lock of this database; the end of the session ends it."""
    deadline = time.monotonic() + patience_s
    pause = 0.05
    while True:
        try:
            row = connection.execute(load("lock"), {"family": LOCK_FAMILY, "number": 0}).fetchone()
        except psycopg.Error as error:
            raise database_error(error, f"Locking {shown(database)}") from None
        if row is not None and row[0]:
            break
        if time.monotonic() > deadline:
            raise LockTimeout(
                f"Another run of replica-access has held {shown(database)} for {patience_s:.0f} s.",
                "Wait for it to end; pg_stat_activity shows it by its application_name.",
            )
        progress.waiting(f"another run of replica-access is at work in {shown(database)}")
        time.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311  # jitter, no secret
        pause = min(pause * 2, 1.0)
    yield

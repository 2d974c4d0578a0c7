"""Wait until a replica has replayed what the primary committed: ask, tiny and often at first; write nothing.

From commit to replay takes about half a millisecond on a healthy pair, so a fixed sleep is either a thousand times too
long or, on a replica that lags, too short.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row

from replica_access.errors import DatabaseError, WrongServer
from replica_access.model import Login
from replica_access.postgres.connect import connect, database_error
from replica_access.postgres.queries import load
from replica_access.progress import SILENT, Progress

DEADLINE_S = 60.0
FIRST_PAUSE_S = 0.0005
LONGEST_PAUSE_S = 0.25
LONG_S = 0.5
"""What a healthy replica never needs: from here on there is a reason, and it is looked for."""


@dataclass(frozen=True, slots=True)
class Replay:
    """How a wait for replay ended.

    :param system_identifier: the primary's.
    :param lsn: the primary's insert LSN when the wait began.
    :param waited_ms: milliseconds until the replica had replayed it, or until the wait was given up.
    :param lag_ms: milliseconds between now and the last replayed commit, where the replica knows one; an idle primary
        makes it grow.
    :param reached: whether the replica has everything that was committed before `lsn`.
    :param detail: what stands, in a sentence; where `reached` is false, why, and what to do.
    """

    system_identifier: str
    lsn: str
    waited_ms: float
    lag_ms: float | None
    same_system: bool
    in_recovery: bool
    reached: bool
    detail: str


def wait_for_replay(
    primary: psycopg.Connection[Any],
    replica: psycopg.Connection[Any],
    progress: Progress = SILENT,
    *,
    deadline_s: float = DEADLINE_S,
) -> Replay:
    """Wait until `replica` has replayed every commit of `primary` so far, and say how that went.

    A replica that is paused, late or cut off is waited for until the deadline; one that was promoted, or belongs to
    another system, is not waited for at all. Neither is an error: they are the result.

    :raises WrongServer: `primary` is itself in recovery.
    :raises DatabaseError: one of the two did not answer.
    """
    source = _ask(primary, "proof_primary", "Reading the primary's log position")
    if source.in_recovery:
        raise WrongServer(
            "The server given as the primary is in recovery: it is a replica itself.",
            "Check primary.instance or primary.dsn; after a failover, name the new primary.",
        )
    target = end_of_last_record(source.inserted, source.block_size, source.segment_size)
    # What a commit with synchronous_commit = off wrote is flushed within three rounds of the WAL writer. What is still
    # unflushed then belongs to no commit, and can stay in the primary's memory for long: nobody needs to wait for it.
    all_commits_flushed_after = 3 * source.writer_delay_s if source.flushed < target else None
    started = time.monotonic()
    pause = FIRST_PAUSE_S
    replayed, moved = None, 0.0
    while True:
        replica_now = _ask(replica, "proof_replay", "Asking the replica how far it has replayed")
        waited = time.monotonic() - started
        if replica_now.replayed != replayed:
            replayed, moved = replica_now.replayed, waited
        reached, detail = _judge(source, target, replica_now, waited, still_s=waited - moved)
        if reached is not None or waited >= deadline_s:
            return Replay(
                system_identifier=source.system_identifier,
                lsn=source.lsn,
                waited_ms=waited * 1000,
                lag_ms=None if replica_now.lag_ms is None else max(replica_now.lag_ms, 0.0),
                same_system=replica_now.system_identifier == source.system_identifier,
                in_recovery=replica_now.in_recovery,
                reached=bool(reached),
                detail=detail if reached is not None else f"{detail} Given up after {deadline_s:g} seconds.",
            )
        if all_commits_flushed_after is not None and waited > all_commits_flushed_after:
            flushed = _ask(primary, "proof_primary", "Reading the primary's log position").flushed
            target, all_commits_flushed_after = min(target, flushed), None
        progress.waiting(detail)
        time.sleep(min(pause, max(deadline_s - waited, 0)))
        pause = min(pause * 1.5, LONGEST_PAUSE_S)


def catch_up(primary: Login, replica: Login, progress: Progress = SILENT) -> None:
    """Wait until the `replica` has everything that the `primary` has committed.

    :raises DatabaseError: it does not get there, or one of the two does not answer.
    """
    with connect(primary, read_only=True) as ours, connect(replica, read_only=True) as theirs:
        replay = wait_for_replay(ours, theirs, progress)
    if not replay.reached:
        raise DatabaseError(f"The replica lacks what the primary has: {replay.detail}")


def end_of_last_record(inserted: int, block_size: int, segment_size: int) -> int:
    """Return where the last WAL record ends, given where the next one will begin.

    The two differ where a page is full: the insert position is then already behind the header of the next page, which
    an idle primary does not write (after a segment switch, say), and no replica ever reports.

    >>> hex(end_of_last_record(0x4000028, 8192, 16 << 20)), hex(end_of_last_record(0x4002018, 8192, 16 << 20))
    ('0x4000000', '0x4002000')
    >>> hex(end_of_last_record(0x4002028, 8192, 16 << 20))
    '0x4002028'
    """
    page = inserted - inserted % block_size
    header = 40 if page % segment_size == 0 else 24
    return page if inserted - page == header else inserted


def _judge(source: Any, target: int, replica: Any, waited_s: float, *, still_s: float) -> tuple[bool | None, str]:
    """Return whether the wait is over (``None``: not yet), and what stands.

    :param still_s: seconds for which replay has not moved.
    """
    if replica.system_identifier != source.system_identifier:
        return False, (
            f"The replica belongs to another system ({replica.system_identifier}) than the primary"
            f" ({source.system_identifier}). Check which servers the spec names."
        )
    if not replica.in_recovery:
        return False, (
            "The replica is not in recovery: it was promoted, or is the primary itself, and accepts writes."
            " Check which server the spec names; a promoted replica has to be made anew."
        )
    if replica.replayed is not None and replica.replayed >= target:
        if replica.timeline not in {None, source.timeline}:
            return False, (
                f"The replica follows timeline {int(replica.timeline, 16)}, the primary writes timeline"
                f" {int(source.timeline, 16)}. It streams from another server: check which is the primary."
            )
        if replica.timeline is None and replica.streaming and replica.timeline_on_disk != source.timeline:
            return None, (
                f"The replica has replayed timeline {int(replica.timeline_on_disk, 16)}, the primary writes timeline"
                f" {int(source.timeline, 16)}: it streams from another server, or has followed a failover of some"
                " minutes ago. GRANT pg_read_all_stats to whoever asks, to see which."
            )
        return True, f"everything up to {source.lsn} is replayed, after {waited_s * 1000:.1f} ms"
    return None, _what_holds_it_up(target, replica, waited_s, still_s)


def _what_holds_it_up(target: int, replica: Any, waited_s: float, still_s: float) -> str:
    behind = _size(target - (replica.replayed or 0))
    if replica.paused:
        return f"Replay is paused on the replica, {behind} behind. SELECT pg_wal_replay_resume() there lets it go on."
    if waited_s < LONG_S:
        return f"The replica is {behind} behind."
    if replica.apply_delay not in {"0", "0ms"}:
        return f"The replica is {behind} behind, on purpose: recovery_min_apply_delay is {replica.apply_delay} there."
    if replica.received is not None and replica.received >= target:
        if still_s < LONG_S:
            return f"The replica is {behind} behind and has received all of it: it is replaying. Wait."
        return (
            f"The replica is {behind} behind and has received all of it: queries running there hold replay up"
            f" (max_standby_streaming_delay is {replica.conflict_delay}). End them, or wait."
        )
    if not replica.streaming:
        return f"The replica is {behind} behind and is not streaming. Its log and its state of replication tell why."
    return f"The replica is {behind} behind."


def _size(count: int) -> str:
    for unit, size in (("GB", 1 << 30), ("MB", 1 << 20), ("kB", 1 << 10)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


def _ask(connection: psycopg.Connection[Any], query: str, doing: str) -> Any:
    try:
        with connection.cursor(row_factory=namedtuple_row) as cursor:
            return cursor.execute(load(query)).fetchone()
    except psycopg.Error as error:
        raise database_error(error, doing) from error

"""Wait for a DB instance, with our own poller.

botocore's waiter gives up after half an hour, takes ``available`` for ready, and keeps waiting in states that an
instance never leaves.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection

from replica_access.aws.events import News, events
from replica_access.aws.failures import is_passing
from replica_access.aws.landscape import Instance
from replica_access.aws.readiness import BROKEN, LEAVING, TERMINAL, why_unready
from replica_access.aws.session import Aws
from replica_access.aws.survey import instance as describe
from replica_access.aws_commands import Commands
from replica_access.errors import AwsError, NotFound, WaitFailed
from replica_access.progress import Progress

LONGEST_INTERVAL_S = 30.0
LOCAL_INTERVAL_S = 0.3
UNSEEN_S = 60.0
"""How long an instance that was just made may be unknown: RDS answers from copies of its records."""

READS = 3
"""How often an instance has to look alike before it is believed, right after a call: it may not have begun."""

DEFERRED_S = 150.0
LOCAL_DEFERRED_S = 3.0
"""How long something is pending that RDS was asked to apply at once, before an available instance shows it at work.

What is pending for longer waits for the maintenance window, which may be a week off.
"""

EVENT_MINUTES = 24 * 60
EVENTS_SHOWN = 3


def nothing(instance: Instance) -> None:
    """Say of any `instance` that it lacks nothing."""
    del instance


def wait_until_ready(
    aws: Aws,
    identifier: str,
    progress: Progress,
    deadline_s: float,
    *,
    lacks: Callable[[Instance], str | None] = nothing,
    settling: bool = False,
    deferred: Collection[str] = (),
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.monotonic,
) -> Instance:
    """Poll until the instance `identifier` is ready, and return it as it then is.

    :param lacks: says in a few words what it still lacks beside being ready, such as a modification that has to show.
    :param settling: something was asked of it just now, and for a moment it looks as it did before: what it looks like
        is believed when it has been seen otherwise, or often enough.
    :param deferred: pending values that wait for the maintenance window.
    :raises WaitFailed: a state that nothing leaves, with what RDS says about it; or `deadline_s` seconds have passed.
    :raises NotFound: somebody deleted it meanwhile.
    """
    begin, news = now(), News(aws, identifier, only_new=settling)
    looks: list[str] = []
    seen = False
    moved_at = 0.0
    while True:
        elapsed = now() - begin
        try:
            found = describe(aws, identifier)
        except AwsError as error:
            if not is_passing(error):
                raise
            state = f"AWS does not answer ({error.code})"
        else:
            if found is not None:
                seen = True
                if why_unready(found, found.pending) or lacks(found):
                    moved_at = elapsed
                elif elapsed - moved_at > (LOCAL_DEFERRED_S if aws.is_local else DEFERRED_S):
                    return found  # with what waits for its maintenance window
                lacking = why_unready(found, deferred) or lacks(found)
                looks.append(lacking or "ready")
                is_believed = not settling or len(set(looks)) > 1 or len(looks) >= READS
                if lacking is None and is_believed:
                    return found
                if is_believed and (found.status in TERMINAL or _is_cut_off(found, looks)):
                    raise _stuck(aws, found, lacking or found.status)
                state = lacking or "ready, it seems"
            elif seen or elapsed > UNSEEN_S:
                raise NotFound(
                    f"{identifier} is gone: somebody deleted it.", "Run the same command again to make it anew."
                )
            else:
                state = "not known yet"
        if elapsed >= deadline_s:
            raise WaitFailed(
                f"{identifier} is not ready after {duration(elapsed)}: {state}.",
                "RDS goes on with it: run the same command again, and it waits on from here; --timeout MINUTES sets "
                "for how long.",
            )
        progress.waiting(f"{identifier}: {state} ({duration(elapsed)}){news.last()}")
        sleep(min(_interval_s(elapsed, local=aws.is_local), deadline_s - elapsed))


def wait_until_gone(
    aws: Aws,
    identifier: str,
    progress: Progress,
    deadline_s: float,
    *,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.monotonic,
) -> None:
    """Poll until there is no instance `identifier`, whose deletion has begun.

    :raises WaitFailed: it is not on its way out any more, with what RDS says about it; or `deadline_s` seconds have
        passed.
    """
    begin = now()
    leaving = False
    while True:
        elapsed = now() - begin
        try:
            found = describe(aws, identifier)
        except AwsError as error:
            if not is_passing(error):
                raise
            state = f"AWS does not answer ({error.code})"
        else:
            if found is None:
                return
            state = found.status
            is_leaving = state in LEAVING
            if not is_leaving and (leaving or elapsed > UNSEEN_S):  # right after the call it looks as it did before
                raise WaitFailed(
                    f"{identifier} was to be deleted and is {state}. {_events(aws, identifier)}",
                    "Run the same command again when what kept it is mended.",
                )
            leaving = is_leaving
        if elapsed >= deadline_s:
            raise WaitFailed(
                f"{identifier} is not gone after {duration(elapsed)}: {state}.",
                "RDS goes on with it: run the same command again, and it waits on from here.",
            )
        progress.waiting(f"{identifier}: {state} ({duration(elapsed)})")
        sleep(min(_interval_s(elapsed, local=aws.is_local), deadline_s - elapsed))


def _is_cut_off(found: Instance, looks: list[str]) -> bool:
    """Whether the replication does not run, and goes on not to: it does not either while an instance restarts."""
    is_broken = found.status == "available" and bool(BROKEN & set(found.replication))
    return is_broken and looks[-READS:] == [looks[-1]] * READS


def _interval_s(elapsed: float, *, local: bool) -> float:
    """Return when to ask next: often at first, then every half minute, never in step with others."""
    if local:
        return LOCAL_INTERVAL_S
    return min(LONGEST_INTERVAL_S, 5 + elapsed / 10) * random.uniform(0.8, 1.2)  # noqa: S311


def _stuck(aws: Aws, found: Instance, state: str) -> WaitFailed:
    name = found.identifier
    events = Commands(aws.region).rds("describe-events", "--source-type", "db-instance", "--source-identifier", name,
                                      "--duration", str(EVENT_MINUTES))  # fmt: skip
    return WaitFailed(
        f"{name} does not get ready by itself: {state}. {_events(aws, name)}",
        f"Mend the cause or delete the instance, then run the same command again; all events: {events}",
    )


def _events(aws: Aws, identifier: str) -> str:
    """Return what RDS said about `identifier` last, as far as we may read it."""
    try:
        messages = [message for _, message in events(aws, identifier, EVENT_MINUTES)]
    except AwsError as error:
        return f"Its events could not be read: {error.what}"
    if not messages:
        return "RDS has no events about it."
    return f"RDS says: {'; '.join(messages[-EVENTS_SHOWN:])}."


def duration(seconds: float) -> str:
    """Return `seconds` for people.

    >>> duration(7.4), duration(80), duration(3600)
    ('7 s', '1 min 20 s', '60 min 0 s')
    """
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"

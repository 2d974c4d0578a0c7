"""Many small statements at the speed of the server: libpq's pipeline mode, one answer a statement.

psycopg's own pipeline raises at the first error and skips what follows. Here an error is an answer like any other: a
sync follows each statement, which gives it a transaction of its own, so one that is refused disturbs no other.
"""

from __future__ import annotations

import selectors
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import psycopg
from psycopg.pq import ConnStatus, DiagnosticField, ExecStatus, PipelineStatus
from psycopg.pq.abc import PGconn, PGresult

WINDOW = 1000
"""Statements under way at once: enough to hide a round trip, too few to matter in memory."""

SILENCE_S = 330.0
"""Longer than the statement timeout of our sessions: a server that is silent for so long is gone."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one statement.

    :param index: its place among the statements, from 0; answers come in that order.
    :param sqlstate: the five characters of the error; ``None`` where it succeeded.
    :param message: the server's own words; empty where it succeeded.
    """

    index: int
    sqlstate: str | None = None
    message: str = ""


def run(
    connection: psycopg.Connection[Any],
    statements: Iterable[bytes],
    *,
    window: int = WINDOW,
    silence_s: float = SILENCE_S,
) -> Iterator[Answer]:
    """Execute `statements`, each in its own transaction, and yield an `Answer` for each as it arrives.

    Rows that a statement returns are dropped; COPY is not for here. Neither statements nor answers are kept: memory is
    bounded by `window`. The connection is idle again when all answers have been read; it is closed when the caller
    stops before, because a pipeline that is still answering has no other way out.

    :raises psycopg.OperationalError: the connection was lost, or the server said nothing for `silence_s` seconds.
    """
    pgconn = connection.pgconn
    pgconn.enter_pipeline_mode()
    pgconn.nonblocking = 1
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(pgconn.socket, selectors.EVENT_READ)
            yield from _exchange(pgconn, selector, enumerate(statements), window, silence_s)
        pgconn.exit_pipeline_mode()
        pgconn.nonblocking = 0
    finally:
        if pgconn.status == ConnStatus.BAD or pgconn.pipeline_status != PipelineStatus.OFF:
            connection.close()


def _exchange(
    pgconn: PGconn,
    selector: selectors.BaseSelector,
    statements: Iterator[tuple[int, bytes]],
    window: int,
    silence_s: float,
) -> Iterator[Answer]:
    answered = sent = 0
    while True:
        # Refilled when half of it is answered, so that neither side waits for the other statement by statement.
        if sent - answered <= window // 2:
            for index, statement in islice(statements, window - (sent - answered)):
                pgconn.send_query_params(statement, None)
                pgconn.pipeline_sync()
                sent = index + 1
        if answered == sent:
            return
        _wait(pgconn, selector, silence_s)
        while answered < sent and not pgconn.is_busy():
            # Each statement is answered by its result, None for the end of its results, and the sync that followed it.
            result = pgconn.get_result()
            if result is None:
                continue
            if result.status == ExecStatus.PIPELINE_SYNC:
                answered += 1
            else:
                yield _answer(answered, result)


def _wait(pgconn: PGconn, selector: selectors.BaseSelector, silence_s: float) -> None:
    """Send what can be sent and read what has come; one without the other, and two full buffers wait for ever."""
    unsent = pgconn.flush() == 1
    selector.modify(pgconn.socket, selectors.EVENT_READ | (selectors.EVENT_WRITE if unsent else 0))
    if not selector.select(silence_s):
        raise psycopg.OperationalError(f"the server has said nothing for {silence_s:g} seconds")
    pgconn.consume_input()


def _answer(index: int, result: PGresult) -> Answer:
    if result.status != ExecStatus.FATAL_ERROR:
        return Answer(index)
    sqlstate = result.error_field(DiagnosticField.SQLSTATE)
    if sqlstate is None:  # libpq's own words, not the server's: the connection is gone
        raise psycopg.OperationalError(_text(result.error_message).strip())
    return Answer(index, _text(sqlstate), _text(result.error_field(DiagnosticField.MESSAGE_PRIMARY) or b""))


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")

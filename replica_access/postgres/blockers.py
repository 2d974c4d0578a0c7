"""Whom a transaction of ours waits for, told while it waits: the server's own error names nobody."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row

from replica_access.errors import Error
from replica_access.model import KINDS, Login
from replica_access.names import shown
from replica_access.postgres.connect import connect
from replica_access.postgres.queries import load
from replica_access.progress import Progress

PATIENCE_S = 1.0
"""How long a transaction may take before anybody asks whether it waits."""


class Blockers:
    """Who was in the way when somebody last asked; empty where nobody was."""

    def __init__(self) -> None:
        self.sentence = ""


@contextmanager
def watched(
    connection: psycopg.Connection[Any], login: Login, progress: Progress, *, patience_s: float = PATIENCE_S
) -> Iterator[Blockers]:
    """Look from a second session whom `connection` waits for, while the block runs; most are over before."""
    found, over = Blockers(), Event()
    pid, database = connection.info.backend_pid, connection.info.dbname

    def look() -> None:
        if over.wait(patience_s):
            return
        try:
            with connect(login, database=database, read_only=True) as watch:
                while not over.is_set():
                    if sentence := _sentence(_ask(watch, pid)):
                        found.sentence = sentence
                        progress.waiting(f"waits for {sentence}")
                    over.wait(patience_s)
        except (Error, psycopg.Error):
            return  # no place in the server for a second session: then nobody is named

    watcher = Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield found
    finally:
        over.set()
        watcher.join()


def _ask(watch: psycopg.Connection[Any], pid: int) -> list[Any]:
    with watch.cursor(row_factory=namedtuple_row) as cursor:
        return cursor.execute(load("blockers"), {"pid": pid}).fetchall()


def _sentence(rows: list[Any]) -> str:
    """Return who is in the way, and of what."""
    if not rows:
        return ""
    who = " and ".join(_who(row) for row in rows)
    return f"{who}, which {'holds' if len(rows) == 1 else 'hold'} {_what(rows[0])}"


def _who(row: Any) -> str:
    if row.pid == 0:
        return "a prepared transaction"
    parts = [shown(part) for part in (row.role, row.application) if part]
    if row.state is not None and row.seconds is not None:
        parts.append(f"{row.state} for {row.seconds:.0f} s")
    return f"process {row.pid} ({', '.join(parts)})"


def _what(row: Any) -> str:
    if row.kind is None:
        return "what it needs"
    if row.schema is None:
        return f"the {row.kind} {shown(row.name)}"
    return f"the {KINDS.get(row.kind, 'relation')} {shown(row.schema)}.{shown(row.name)}"

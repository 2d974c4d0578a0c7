"""Where a history is kept: the engine of SQLAlchemy for a file or a URL, its one writer at a time, and its errors."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, make_url, select
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from replica_access.errors import HistoryError, UsageError
from replica_access.names import legible

PATIENCE = 30.0
"""Seconds that a run waits for another one to be written."""

_LOCK = 0x72657061_75646974
"""The advisory lock of those who write, on PostgreSQL: "repaudit"."""

SECRETS = frozenset({"password", "sslpassword"})
"""What in the query of a URL is secret, to libpq."""

_FIXES = {
    "SQLITE_FULL": "Make room on the disk, then run the audit again; what was recorded before is whole.",
    "SQLITE_IOERR": "Look at the disk; what was recorded before is whole.",
    "SQLITE_BUSY": "Another run has been writing to it all the while. Run the audit again.",
    "SQLITE_READONLY": "Keep it where you may write, name another place with --history, or say --history none.",
    "SQLITE_CANTOPEN": "Keep it where you may write, name another place with --history, or say --history none.",
    "SQLITE_NOTADB": "Name another one with --history, or move the file away.",
    "SQLITE_CONSTRAINT": "Somebody has altered it: compare with a backup, after replica-access audit verify-history.",
    "SQLITE_CORRUPT": "Restore it from a backup, or move it away: the next run begins a new one.",
    "53100": "Make room on the server's disk, then run the audit again; what was recorded before is whole.",
    "55P03": "Another run has been writing to it all the while. Run the audit again.",
    "42501": "Its role has to own the tables named replica_access_…, or may have to create them: see the README.",
}
"""What to do, by SQLite's result code or PostgreSQL's SQLSTATE."""


@dataclass(frozen=True, slots=True)
class Store:
    """A place for a history.

    :param name: as people know it, without a password.
    :param patience: seconds that a run waits for others to be written.
    """

    name: str
    engine: Engine
    patience: float

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection in a transaction that sees one moment.

        :raises HistoryError: the database refuses.
        """
        with self._errors(), self.engine.connect().execution_options(writes=False) as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a connection in a transaction in which nobody else writes; all of it is kept, or nothing.

        :raises HistoryError: the database refuses, or somebody else writes for longer than we wait.
        """
        with self._errors(), self.engine.connect().execution_options(writes=True) as connection, connection.begin():
            if connection.dialect.name == "postgresql":
                connection.execute(select(func.set_config("lock_timeout", f"{self.patience * 1000:.0f}ms", True)))
                connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
            yield connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise self._refused(error) from None
        except SQLAlchemyError as error:
            raise HistoryError(f"The history {self.name} cannot be used: {legible(str(error))}.") from None

    def _refused(self, error: DBAPIError) -> HistoryError:
        cause = error.orig
        code = str(getattr(cause, "sqlstate", None) or getattr(cause, "sqlite_errorname", None) or "")
        base = "_".join(code.split("_")[:2])  # SQLITE_IOERR_WRITE and all its siblings are SQLITE_IOERR
        said = legible(" ".join(str(cause).split())).rstrip(".")
        return HistoryError(
            f"The history {self.name} cannot be used: {said}.", _FIXES.get(code) or _FIXES.get(base) or ""
        )


def locate(where: str | Path) -> URL:
    """Return the URL that `where` stands for: one of PostgreSQL or SQLite, or a file.

    :raises UsageError: it is none of these.
    """
    if isinstance(where, Path) or "://" not in where:
        return URL.create("sqlite", database=str(where))
    kinds = "It is a file, or a URL that begins with postgresql:// or sqlite:///."
    try:
        url = make_url(where)
    except (ArgumentError, ValueError):  # a port that is no number is the latter
        raise UsageError("--history is no URL.", kinds) from None
    backend = url.get_backend_name()
    if backend in {"postgresql", "postgres"}:  # libpq knows both
        return url.set(drivername="postgresql+psycopg")
    if backend == "sqlite" and url.database:
        return URL.create("sqlite", database=url.database)
    raise UsageError(f"--history names {url.drivername}, where no history can be kept.", kinds)


def named(url: URL) -> str:
    """Return `url` as people know it: the file, or the URL without passwords."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    url = url.update_query_dict(dict.fromkeys(SECRETS & url.query.keys(), "***"))
    return url.set(drivername="postgresql").render_as_string(hide_password=True)


def exists(url: URL) -> bool:
    """Whether there may be a history; of a server, opening it tells."""
    return url.get_backend_name() != "sqlite" or Path(str(url.database)).exists()


def store(url: URL, *, patience: float = PATIENCE) -> Store:
    """Return the place that `url` names; a file is made readable for its owner alone.

    :raises HistoryError: the file cannot be made.
    """
    if url.get_backend_name() == "postgresql":
        options = {"application_name": "replica-access", "connect_timeout": "15"}
        wanted = {key: value for key, value in options.items() if key not in url.query}
        engine = create_engine(
            url.update_query_dict(wanted), poolclass=NullPool, isolation_level="READ COMMITTED", hide_parameters=True
        )
        return Store(named(url), engine, patience)
    _make(Path(str(url.database)))
    engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": patience}, hide_parameters=True)
    event.listen(engine, "connect", _leave_transactions_to_us)
    event.listen(engine, "begin", _begin)
    return Store(named(url), engine, patience)


def _make(path: Path) -> None:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except PermissionError:
        return  # it may be there, to be read
    except OSError as error:
        raise HistoryError(f"The history {path} cannot be made: {error.strerror}.", _FIXES["SQLITE_CANTOPEN"]) from None


def _leave_transactions_to_us(connection: Any, _record: object) -> None:
    """Python's module would begin one only before the first row is written, and so let two read the same last run."""
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

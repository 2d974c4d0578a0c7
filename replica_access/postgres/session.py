"""Sessions of login users on a replica: opened and asked with patience, because replay can be in the way."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row

from replica_access.errors import ConnectionFailed
from replica_access.model import Login
from replica_access.postgres.connect import connect, database_error
from replica_access.postgres.queries import load

BUSY = frozenset({"40001", "40P01", "55P03"})
"""Conflict with recovery, deadlock, lock timeout: replay was in the way, and nothing was said of privileges."""

RETRY_PAUSES_S = (0.2, 0.5, 1.0)

# A backend counts against the connection limit of its role until it is gone, a moment after the client has left.
LOGIN_PAUSES_S = (0.05, 0.2, 1.0)


def log_in(login: Login, database: str) -> psycopg.Connection[Any]:
    """Open a read-only session, which waits a second at most for what replay has locked.

    :raises ConnectionFailed: the login was refused, or did not come through.
    :raises DatabaseError: the session could not be set up.
    """
    session = _connect(login, database)
    try:
        session.execute("SET lock_timeout = '1s'")
    except psycopg.Error as error:
        session.close()
        raise database_error(error, "Setting up a session on the replica") from error
    return session


def _connect(login: Login, database: str) -> psycopg.Connection[Any]:
    for pause in LOGIN_PAUSES_S:
        try:
            return connect(login, database=database, read_only=True)
        except ConnectionFailed as error:
            if "too many connections" not in error.what:
                raise
        time.sleep(pause)
    return connect(login, database=database, read_only=True)


def open_databases(login: Login) -> list[str]:
    """Return the names of the databases that `login` may connect to, in order.

    :raises ConnectionFailed: not even its own.
    :raises DatabaseError: the server could not be asked.
    """
    with log_in(login, login.database) as session:
        try:
            return [str(row.name) for row in ask(session, "user_databases")]
        except psycopg.Error as error:
            raise database_error(error, "Looking for the databases of a user") from error


def ask(session: psycopg.Connection[Any], query: str, parameters: Mapping[str, Any] | None = None) -> list[Any]:
    """Return the rows of a catalog query, each a named tuple.

    :raises psycopg.Error: the query failed, or replay was still in the way after some attempts.
    """
    for pause in RETRY_PAUSES_S:
        try:
            return _rows(session, query, parameters)
        except psycopg.Error as error:
            if session.broken or error.sqlstate not in BUSY:
                raise
        time.sleep(pause)
    return _rows(session, query, parameters)


def _rows(session: psycopg.Connection[Any], query: str, parameters: Mapping[str, Any] | None) -> list[Any]:
    with session.cursor(row_factory=namedtuple_row) as cursor:
        return cursor.execute(load(query), parameters or {}).fetchall()

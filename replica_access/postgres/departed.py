"""Sessions on a replica of roles that are gone from the primary: the server lets them go on until somebody ends them.

Dropping a role replicates, ending its sessions does not. Whatever comes of it is worth a sentence, and never an error:
the roles are gone, and nobody can log in as them any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row

from replica_access.errors import Error
from replica_access.model import Login, Oid
from replica_access.names import shown
from replica_access.postgres.connect import connect, database_error, first_line
from replica_access.postgres.queries import load
from replica_access.postgres.scene import count


def end_sessions(replica: Login, roles: Mapping[str, Oid]) -> Iterator[str]:
    """End every session of `roles`, which are gone; yield a sentence on each of which something is to be said."""
    yield from _end_each(replica, roles, _late)


def end_open_sessions(server: Login, roles: Mapping[str, Oid]) -> Iterator[str]:
    """End every session of `roles`, which are still there and may open none; yield as `end_sessions` does."""
    yield from _end_each(server, roles, lambda _, __: ())


def _late(row: Any, name: str) -> Iterable[str]:
    if row.may_log_in:
        yield f"{name} can still log in: the replica has not replayed yet that it may not."


def _end_each(replica: Login, roles: Mapping[str, Oid], beside: Callable[[Any, str], Iterable[str]]) -> Iterator[str]:
    names = ", ".join(map(shown, roles))
    try:
        with connect(replica, read_only=True) as standby:
            for row, name in zip(_ask(standby, "departed_sessions", roles=list(roles.values())), roles, strict=True):
                yield from _end(standby, row, shown(name))
                yield from beside(row, shown(name))
    except Error as error:
        yield f"Whether {names} still has sessions there is not known: {error}"
    except psycopg.Error as error:
        yield f"Whether {names} still has sessions there is not known: {first_line(error)}."


def _end(standby: psycopg.Connection[Any], row: Any, name: str) -> Iterator[str]:
    ended, left, why = 0, list[int](), ""
    for session in row.sessions:
        try:
            ended += len(_ask(standby, "departed_end", session=session, role=row.role))
        except psycopg.errors.InsufficientPrivilege as error:
            left.append(session)
            why = first_line(error)
    if ended:
        yield f"{count(ended, 'session')} of {name} ended."
    if left:
        processes = ", ".join(map(str, left))
        yield (
            f"{count(len(left), 'session')} of {name} could not be ended ({why}): a member of pg_signal_backend can,"
            f" with SELECT pg_terminate_backend(…) of {processes}."
        )


def owned_by(login: Login, database: str, role: Oid) -> list[str]:
    """Return what `role` owns in `database`, and in no database in particular, in the server's words.

    :raises DatabaseError: it could not be looked at.
    """
    with connect(login, database=database, read_only=True) as connection:
        try:
            return [row.object for row in _ask(connection, "user_owned", role=role)]
        except psycopg.Error as error:
            raise database_error(error, f"Looking for what a role owns in {shown(database)}") from error


def _ask(standby: psycopg.Connection[Any], query: str, **parameters: Any) -> list[Any]:
    with standby.cursor(row_factory=namedtuple_row) as cursor:
        return cursor.execute(load(query), parameters).fetchall()

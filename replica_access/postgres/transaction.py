"""One transaction: the admin joins whom it acts for, runs the statements, and leaves again; or nothing at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import errors as server_errors
from psycopg.errors import Diagnostic

from replica_access.catalog import Cluster, Membership
from replica_access.errors import DatabaseError, NotEffective
from replica_access.model import Change, Secret
from replica_access.names import shown
from replica_access.postgres import statements
from replica_access.postgres.connect import database_error, run
from replica_access.postgres.queries import load

_PASSING = (
    server_errors.DeadlockDetected,
    server_errors.SerializationFailure,
    server_errors.LockNotAvailable,
)
_PASSING_WORDS = ("concurrently", "cache lookup failed")
"""Of XX000: somebody else has written, or dropped, what our statement was about to write."""


class Failed(Exception):
    """Nothing of a transaction was kept.

    :param error: what to say where this is the end of it.
    :param said: what the server said, and to which step.
    :param passes: whether the same may work a moment later.
    """

    def __init__(self, error: DatabaseError, said: str, *, passes: bool = False) -> None:
        super().__init__(said)
        self.error = error
        self.said = said
        self.passes = passes


def _failed(error: psycopg.Error, doing: str, database: str) -> Failed:
    words = str(error).strip().partition("\n")[0].rstrip(".")
    passes = isinstance(error, _PASSING) or (error.sqlstate == "XX000" and any(w in words for w in _PASSING_WORDS))
    return Failed(database_error(error, f"{shown(database)}, to {doing}"), f"to {doing}: {words}", passes=passes)


def transact(
    connection: psycopg.Connection[Any],
    database: str,
    changes: Sequence[Change],
    cluster: Cluster,
    passwords: Mapping[str, Secret],
) -> None:
    """Run `changes` in one transaction.

    :raises Failed: a statement was refused, or did nothing, or not all it should; nothing of the transaction was kept.
    """
    joined = tuple(dict.fromkeys(role for change in changes for role in change.join))
    with _warnings(connection) as warnings:
        doing = "begin"
        try:
            connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
            before = _own_memberships(connection, joined, cluster)
            doing = "join the owners for the length of the transaction"
            for statement in _join(joined, cluster):
                run(connection, statement)
            for change in changes:
                doing = change.summary
                for statement in _statements(connection, change, passwords):
                    run(connection, statement)
                if warnings:
                    raise _ineffective(doing, warnings[0])
            doing = "leave the owners again"
            for statement in _leave(joined, cluster):
                run(connection, statement)
            if _own_memberships(connection, joined, cluster) != before:
                raise Failed(_NOT_AS_BEFORE, _NOT_AS_BEFORE.what, passes=True)
            doing = "commit"
            connection.execute("COMMIT")
        except psycopg.Error as error:
            _roll_back(connection)
            raise _failed(error, doing, database) from error
        except BaseException:
            _roll_back(connection)
            raise


_NOT_AS_BEFORE = NotEffective(
    "The admin could not leave the owners that it had joined as it was before.",
    "Nothing of this transaction was kept; please report this, with the memberships of the admin.",
)
"""Passes where somebody else has changed those memberships since the plan was made."""


def _ineffective(doing: str, warning: str) -> Failed:
    error = NotEffective(
        f"To {doing}: the server only warned: {warning}.",
        "Nothing of this transaction was kept: let the owner run the statement.",
    )
    return Failed(error, f"to {doing}: {warning}")


def _roll_back(connection: psycopg.Connection[Any]) -> None:
    if not connection.closed:
        connection.rollback()


@contextmanager
def _warnings(connection: psycopg.Connection[Any]) -> Iterator[list[str]]:
    """Collect what the server warns of: a GRANT that grants nothing does no more than that."""
    found: list[str] = []

    def note(diagnostic: Diagnostic) -> None:
        if diagnostic.severity_nonlocalized == "WARNING":
            found.append(diagnostic.message_primary or "a warning without words")

    connection.add_notice_handler(note)
    try:
        yield found
    finally:
        connection.remove_notice_handler(note)


def _statements(connection: psycopg.Connection[Any], change: Change, passwords: Mapping[str, Secret]) -> Iterator[str]:
    if change.password_of is None:
        yield from change.sql if change.run_as is None else statements.as_role(change.run_as, change.sql)
        return
    yield statements.alter_password(change.password_of, _verifier(connection, change.password_of, passwords))


def _verifier(connection: psycopg.Connection[Any], user: str, passwords: Mapping[str, Secret]) -> str:
    """Compute the SCRAM verifier here (libpq does it): the password itself never reaches a server or its log."""
    password = passwords[user].reveal().encode()
    name = user.encode("utf-8", "surrogateescape")
    return connection.pgconn.encrypt_password(password, name, b"scram-sha-256").decode("ascii")


# --- joining owners --------------------------------------------------------------------------------------------------


def _join(roles: Sequence[str], cluster: Cluster) -> Iterator[str]:
    """Since PostgreSQL 16 a membership may be without rights, or without SET ROLE: both are needed."""
    if roles:
        yes = True if cluster.version >= 160000 else None
        yield statements.join(roles, cluster.roles[cluster.admin].name, inherit=yes, set_role=yes)


def _leave(roles: Sequence[str], cluster: Cluster) -> Iterator[str]:
    """A membership that the admin has granted itself before is put back as it was; any other goes."""
    admin, known = cluster.roles[cluster.admin].name, _own(cluster)
    if new := [role for role in roles if role not in known]:
        yield statements.leave(new, admin)
    for role in roles:
        if role in known:
            yield statements.join([role], admin, inherit=known[role].inherit, set_role=known[role].set_role)


def _own(cluster: Cluster) -> dict[str, Membership]:
    """The memberships of the admin that a GRANT of its own would alter, by role."""
    reach = cluster.reached_from(cluster.admin)
    found = (m for m in cluster.memberships if m.member == cluster.admin and m.grantor in reach)
    return {cluster.roles[m.role].name: m for m in found}


def _own_memberships(connection: psycopg.Connection[Any], roles: Sequence[str], cluster: Cluster) -> list[Any]:
    if not roles:
        return []
    oids = [role.oid for role in cluster.roles.values() if role.name in roles]
    return connection.execute(load("own_memberships"), {"member": cluster.admin, "roles": oids}).fetchall()

"""Execute changes: the only place that alters a server.

One transaction a database: either all of its changes commit, or none. What was shown is what runs: under the lock the
plan is made again, and anything that was not in it before stops the run.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import errors as server_errors
from psycopg.errors import Diagnostic

from replica_access.catalog import Cluster, Membership
from replica_access.errors import DatabaseError, Drift, LockTimeout, NotEffective
from replica_access.model import Change, Login, Plan, Secret
from replica_access.names import shown
from replica_access.postgres import statements
from replica_access.postgres.connect import connect, database_error, run
from replica_access.postgres.queries import load
from replica_access.progress import Progress

LOCK_FAMILY = 0x52504C41  # "RPLA": ours among the advisory locks of an application
LOCK_PATIENCE_S = 60.0
ATTEMPTS = 6

Replan = Callable[[psycopg.Connection[Any]], tuple[Cluster, Plan]]
"""Read the catalog again and say what is missing now."""


def converge(
    login: Login,
    database: str,
    *,
    replan: Replan,
    shown_ids: frozenset[str] | None,
    left_out: bool,
    prepare: Callable[[Plan], Mapping[str, Secret]],
    progress: Progress,
    lock_patience_s: float = LOCK_PATIENCE_S,
) -> tuple[Change, ...]:
    """Bring one database (or, in the maintenance database, the shared catalogs) to where the spec wants it.

    :param shown_ids: the changes that somebody has agreed to; ``None`` where nobody had to.
    :param left_out: whether it is agreed to leave out what the admin may not do.
    :param prepare: returns the password of each user whose password the plan sets; called while nobody else can, so
        that two runs never store one password each for the same user.
    :returns: the changes that were committed; none where nothing was missing.
    :raises Drift: the server has changed since the plan was shown.
    :raises LockTimeout: another run, or somebody else's lock, did not go away in time.
    :raises NotEffective: a statement did nothing, or not all it should; nothing of the transaction was kept, or, found
        after the commit, names what is still missing.
    :raises DatabaseError: the server refused; nothing of the transaction was kept.
    """
    with connect(login, database=database) as connection, _alone(connection, database, lock_patience_s, progress):
        cluster, plan = replan(connection)
        if shown_ids is not None and (new := [c for c in plan.changes if c.id not in shown_ids]):
            raise Drift(
                f"{shown(database)} has changed since the plan was made; new is: {new[0].summary}.",
                "Look at the plan again.",
            )
        if plan.blocked and not left_out:
            raise Drift(
                f"{shown(database)} has changed since the plan was made;"
                f" {plan.blocked[0].object}: {plan.blocked[0].reason}.",
                "Look at the plan again.",
            )
        if not plan.changes:
            return ()
        for change in plan.changes:
            progress.waiting(change.summary)
        _commit(connection, database, plan.changes, cluster, prepare(plan))
        _, left = replan(connection)
        if left.changes:
            raise NotEffective(
                f"{shown(database)}: committed, and still missing: {left.changes[0].summary}.",
                "Somebody took it away meanwhile, or the server did not do all it was told: look at `plan` again.",
            )
    for change in plan.changes:
        progress.done(change.summary)
    return plan.changes


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


_PASSING = (
    server_errors.InternalError_,  # XX000 tuple concurrently updated
    server_errors.DeadlockDetected,
    server_errors.SerializationFailure,
    server_errors.LockNotAvailable,
)


def _commit(
    connection: psycopg.Connection[Any],
    database: str,
    changes: Sequence[Change],
    cluster: Cluster,
    passwords: Mapping[str, Secret],
) -> None:
    """Run `changes` in one transaction; what passes by itself is tried again, with jitter."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _transaction(connection, changes, cluster, passwords)
            return
        except _Failed as failed:
            error = failed.error
            again = isinstance(error, _PASSING) and (error.sqlstate != "XX000" or "concurrently" in str(error))
            if not again or attempt == ATTEMPTS:
                raise _explained(failed, database) from None
        time.sleep(random.uniform(0.05, 0.2) * 2**attempt / 2)  # noqa: S311


class _Failed(Exception):
    def __init__(self, error: psycopg.Error, doing: str) -> None:
        super().__init__(doing)
        self.error = error
        self.doing = doing


def _explained(failed: _Failed, database: str) -> DatabaseError:
    return database_error(failed.error, f"{shown(database)}, to {failed.doing}")


def _transaction(
    connection: psycopg.Connection[Any],
    changes: Sequence[Change],
    cluster: Cluster,
    passwords: Mapping[str, Secret],
) -> None:
    joined = tuple(dict.fromkeys(role for change in changes for role in change.join))
    with _warnings(connection) as warnings:
        doing = "begin"
        try:
            connection.execute("BEGIN")
            before = _own_memberships(connection, joined, cluster)
            doing = "join the owners for the length of the transaction"
            for statement in _join(joined, cluster):
                run(connection, statement)
            for change in changes:
                doing = change.summary
                for statement in _statements(connection, change, passwords):
                    run(connection, statement)
                if warnings:
                    raise NotEffective(
                        f"To {doing}: the server only warned: {warnings[0]}.",
                        "Nothing of this transaction was kept: let the owner run the statement.",
                    )
            doing = "leave the owners again"
            for statement in _leave(joined, cluster):
                run(connection, statement)
            if _own_memberships(connection, joined, cluster) != before:
                raise NotEffective(
                    "The admin could not leave the owners that it had joined as it was before.",
                    "Nothing of this transaction was kept; please report this, with the memberships of the admin.",
                )
            doing = "commit"
            connection.execute("COMMIT")
        except psycopg.Error as error:
            _roll_back(connection)
            raise _Failed(error, doing) from error
        except BaseException:
            _roll_back(connection)
            raise


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

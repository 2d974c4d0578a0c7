"""`why`: find the one object in the one database, look up what decides about it, explain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from replica_access.audit import spelling
from replica_access.audit.cut import Cut
from replica_access.audit.effective import Access
from replica_access.audit.explain import Explanation, Needed, explain
from replica_access.audit.paths import Path
from replica_access.errors import PreflightFailed, UsageError
from replica_access.model import Login
from replica_access.names import is_utf8, shown
from replica_access.patterns import is_glob, matches
from replica_access.progress import Progress

if TYPE_CHECKING:
    from replica_access.hosting import Hosting
    from replica_access.spec import Spec

__all__ = ["Answer", "Cut", "Needed", "On", "Path", "Question", "why"]

On = Literal["primary", "replica"]

_SHARED = frozenset({"database", "tablespace", "parameter"})


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody wants to know.

    :param object: as somebody spelt it, see ``audit.spelling``.
    :param privilege: ``None``: the usual one of that kind of object.
    :param database: ``None``: the one that the spec grants on, if that is one.
    """

    role: str
    object: str
    privilege: str | None = None
    database: str | None = None
    on: On = "primary"


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found, and where."""

    explanation: Explanation
    server: str
    is_replica: bool


def why(spec: Spec, hosting: Hosting, question: Question, progress: Progress) -> Answer:
    """Answer `question` from what one server has; the other one is not even asked.

    :raises UsageError: there is no such role, object, privilege or replica, or it is not clear in which database.
    :raises ConnectionFailed: the server could not be reached.
    :raises DatabaseError: a query failed.
    """
    from replica_access.postgres.audit_lookup import look_up
    from replica_access.postgres.connect import connect

    named = spelling.read(question.object)
    login = hosting.primary() if question.on == "primary" else _replica(spec, hosting)
    progress.stage(f"looking at the {question.on}")
    database = question.database or (login.database if named.kind in _SHARED else _database(spec, login))
    with connect(login, database=database, read_only=True) as connection:
        found = look_up(connection, question.role, named)
    access = Access(found.rights)
    explanation = explain(access, found.role, found.objects, found.name, question.privilege)
    return Answer(explanation, login.server, found.rights.in_recovery)


def _replica(spec: Spec, hosting: Hosting) -> Login:
    if spec.replica is None:
        raise UsageError("The spec has no [replica].", "Leave --on replica out: the primary has the same catalogs.")
    replicas: Mapping[str, Login] = hosting.replicas()
    if not replicas:
        raise PreflightFailed("There is no replica that can be used yet.", "Run `replica-access apply` first.")
    return next(iter(replicas.values()))


def _database(spec: Spec, login: Login) -> str:
    """Return the one database that the spec grants on; asks the server only where the spec has patterns.

    :raises UsageError: there are several, or none.
    """
    patterns = tuple(dict.fromkeys(name for grant in spec.grants for name in grant.databases))
    found: tuple[str, ...] = patterns
    if any(map(is_glob, patterns)):
        from replica_access.postgres.session import open_databases

        known = filter(is_utf8, open_databases(login))
        found = tuple(name for name in known if any(matches(name, pattern) for pattern in patterns))
        if len(found) > 1:  # as everywhere, the maintenance database is taken only where there is no other
            found = tuple(name for name in found if name != login.database)
    if len(found) == 1:
        return found[0]
    several = ", ".join(map(shown, found)) or "none"
    raise UsageError(
        f"It is not clear which database is meant: the spec grants on {several}.", "Name it with --database."
    )

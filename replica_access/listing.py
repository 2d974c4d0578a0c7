"""Who may log in to the replica: the users of the spec, and everybody else; changes nothing.

Roles are those of the primary, and sessions those on the replicas: the primary's are other people's business.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING

from replica_access import password_age
from replica_access.catalog import Cluster, Role
from replica_access.errors import Error
from replica_access.findings import NotChecked
from replica_access.model import Oid
from replica_access.names import legible
from replica_access.progress import Progress
from replica_access.spec import valid_until_text
from replica_access.users import IAM, is_in, is_over, open_to_login

if TYPE_CHECKING:
    from replica_access.hosting import Hosting
    from replica_access.spec import Spec

Sessions = Mapping[str, Mapping[Oid, int]]
"""By replica, how many each role has open there."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One login; of a user that is not there yet, as the spec wants it.

    :param member_of: the groups that it is in directly.
    :param by_iam: whether it logs in by IAM, and not with a password.
    :param valid_until: the last moment in UTC, in ISO 8601; empty where there is none.
    :param secret: where its password is kept; empty where that is not ours to know.
    :param written_on: when that was written; ``None`` where it is not known here.
    :param databases: those that it may connect to.
    :param sessions: how many it has open on each replica that could be asked.
    """

    name: str
    is_declared: bool
    exists: bool
    member_of: tuple[str, ...] = ()
    by_iam: bool = False
    valid_until: str = ""
    is_over: bool = False
    connection_limit: int = -1
    secret: str = ""
    written_on: date | None = None
    databases: tuple[str, ...] = ()
    sessions: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Listing:
    """The users of the spec in its order, then the others by name; and what could not be looked at."""

    logins: tuple[Listed, ...]
    not_checked: tuple[NotChecked, ...] = ()


def look(spec: Spec, hosting: Hosting, progress: Progress, today: date) -> Listing:
    """Look at the logins of the primary, at the stored passwords, and at who is on the replicas.

    :param today: in UTC.
    :raises Error: the primary could not be asked.
    """
    from replica_access.postgres.catalog import read_cluster
    from replica_access.postgres.connect import connect

    progress.stage("looking at the logins")
    unseen: list[NotChecked] = []
    with connect(hosting.primary(), read_only=True) as connection:
        cluster = read_cluster(connection)
    ages = password_age.ask(spec, hosting)
    unseen += password_age.unknown(ages, cluster)
    sessions = dict(_sessions(spec, hosting, unseen))
    logins = (
        *_declared(spec, cluster, password_age.known(ages), sessions, today),
        *_others(spec, cluster, sessions, today),
    )
    return Listing(logins, tuple(unseen))


def _sessions(spec: Spec, hosting: Hosting, unseen: list[NotChecked]) -> Iterator[tuple[str, Mapping[Oid, int]]]:
    from replica_access.postgres.observe import sessions

    if spec.replica is None:
        return
    try:
        replicas = hosting.replicas()
    except Error as error:
        unseen.append(NotChecked("replicas", str(error)))
        return
    for name, login in replicas.items():
        try:
            yield legible(name), sessions(login)
        except Error as error:
            unseen.append(NotChecked(f"sessions on {legible(name)}", str(error)))


def _declared(
    spec: Spec, cluster: Cluster, written: Mapping[str, date], sessions: Sessions, today: date
) -> Iterator[Listed]:
    for name, user in spec.users.items():
        by_iam = user.auth == "iam"
        secret = "" if by_iam else spec.secret_of(name)
        role = cluster.role(name)
        if role is not None:
            found = _listed(role, cluster, sessions, today, is_declared=True)
            yield replace(found, secret=secret, written_on=written.get(name))
        else:
            yield Listed(
                name,
                is_declared=True,
                exists=False,
                member_of=user.member_of,
                by_iam=by_iam,
                valid_until=valid_until_text(user.valid_until) if user.valid_until else "",
                is_over=user.valid_until is not None and user.valid_until < today,
                connection_limit=user.connection_limit,
                secret=secret,
            )


def _others(spec: Spec, cluster: Cluster, sessions: Sessions, today: date) -> Iterator[Listed]:
    """Yield who else may log in, but for the admin, and for roles that PostgreSQL or RDS owns."""
    for role in sorted(cluster.roles.values(), key=lambda each: each.name):
        if role.name in spec.users or role.is_system or not role.login or role.oid == cluster.admin:
            continue
        if open_to_login(cluster, role):
            yield _listed(role, cluster, sessions, today, is_declared=False)


def _listed(role: Role, cluster: Cluster, sessions: Sessions, today: date, *, is_declared: bool) -> Listed:
    groups = (
        cluster.roles[m.role].name for m in cluster.memberships if m.member == role.oid and m.role in cluster.roles
    )
    return Listed(
        role.name,
        is_declared=is_declared,
        exists=True,
        member_of=tuple(sorted(dict.fromkeys(groups))),
        by_iam=is_in(cluster, role, IAM),
        valid_until=role.valid_until or "",
        is_over=is_over(role, today),
        connection_limit=role.connection_limit,
        databases=tuple(open_to_login(cluster, role)),
        sessions={replica: found.get(role.oid, 0) for replica, found in sessions.items()},
    )

"""The audit, stage by stage: look at AWS, the primary and the replicas, then judge. Changes nothing anywhere.

What cannot be looked at keeps nothing else from being looked at: it is listed, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from replica_access import password_age
from replica_access.audit.facts import Facts
from replica_access.audit.judging import judge
from replica_access.audit.realm import Realm
from replica_access.audit.rulebook import ALL
from replica_access.desired import from_spec
from replica_access.errors import Error, UsageError
from replica_access.findings import Audit, NotChecked, RuleSummary
from replica_access.model import Login, Plan
from replica_access.names import is_utf8, legible, shown
from replica_access.observed import Server
from replica_access.on_behalf import for_the_admin
from replica_access.outlook import EVERYTHING
from replica_access.progress import Progress
from replica_access.side_by_side import in_each

if TYPE_CHECKING:
    from replica_access.hosting import Hosting
    from replica_access.postgres.planning import Survey
    from replica_access.rights import Rights
    from replica_access.spec import Spec

T = TypeVar("T")

RULES: tuple[RuleSummary, ...] = ALL
"""Every rule, the gravest first."""


def audit(spec: Spec, hosting: Hosting, progress: Progress, today: date) -> Audit:
    """Look at everything that `spec` is about, and hold it against the rules.

    :param today: in UTC.
    """
    return examine(spec, hosting, progress, today)[0]


def examine(
    spec: Spec, hosting: Hosting, progress: Progress, today: date, *, alone: bool = False
) -> tuple[Audit, Facts]:
    """Do as `audit` does, and return beside it all that was seen.

    :param alone: leave the primary alone; the replicas have the same roles and grants.
    :raises UsageError: then there have to be replicas.
    """
    if alone and spec.replica is None:
        raise UsageError("The spec has no [replica], and the primary is to be left alone.", "Leave --on replica out.")
    progress.stage("looking at the replica" if alone else "looking at everything")
    facts = look(spec, hosting, progress, today, alone=alone)
    progress.stage("judging")
    return judge(facts), facts


@dataclass
class _Unseen:
    """Collects what could not be looked at."""

    found: list[NotChecked] = field(default_factory=list)

    def attempt(self, what: str, look: Callable[[], T]) -> T | None:
        """Return what `look` returns; where it cannot, that is noted, and the answer is ``None``."""
        try:
            return look()
        except Error as error:
            self.found.append(NotChecked(what, str(error)))
            return None


def look(spec: Spec, hosting: Hosting, progress: Progress, today: date, *, alone: bool = False) -> Facts:
    """Look at AWS and at the servers side by side; return all that was seen, and what was not.

    :param alone: leave the primary alone.
    """
    unseen = _Unseen()
    with ThreadPoolExecutor(2) as pool:
        around = pool.submit(unseen.attempt, "AWS around the servers", partial(hosting.surroundings, today))
        ages = pool.submit(password_age.ask, spec, hosting)
        login = None if alone else unseen.attempt("primary", hosting.primary)
        admin, primary = _admin(hosting), None
        if login is not None:
            look = partial(_primary, spec, login, admin)
            primary = unseen.attempt(f"primary {legible(login.server)}", look)
        beside = _Beside(admin, login, primary.databases) if primary is not None else _Beside(admin)
        replicas = tuple(_replicas(spec, hosting, beside, unseen, progress))
        realms = primary.realms if primary is not None else ()
        if primary is None and replicas:
            realms = _realms(spec, *replicas[0], unseen)
        surroundings, found = around.result(), ages.result()
    roles = primary.server if primary is not None else replicas[0][0] if replicas else None
    unseen.found += password_age.unknown(found, roles.cluster if roles is not None else None)
    return Facts(
        spec=spec,
        today=today,
        primary=primary.server if primary is not None else None,
        replicas=tuple(server for server, _ in replicas),
        surroundings=surroundings,
        plan=primary.plan if primary is not None else None,
        realms=realms,
        passwords=password_age.known(found),
        not_checked=(*unseen.found, *(primary.unseen if primary is not None else ())),
        alone=alone,
    )


def _admin(hosting: Hosting) -> str | None:
    """Return the name of the admin, where AWS tells: where it does not, that is told of AWS as a whole."""
    try:
        return hosting.admin_name()
    except Error:
        return None


@dataclass(frozen=True, slots=True)
class _Beside:
    """What a replica is held against: nothing, where the primary could not be asked.

    :param admin: the name of whoever it is judged for, where that is known.
    """

    admin: str | None
    primary: Login | None = None
    databases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Primary:
    """
    :param databases: those in which the spec grants something.
    """

    server: Server
    databases: tuple[str, ...]
    plan: Plan
    realms: tuple[Realm, ...]
    unseen: tuple[NotChecked, ...]


def _primary(spec: Spec, login: Login, admin: str | None) -> _Primary:
    """Look at the primary, and at what a plan of the `admin` would change on it, whoever looks.

    Whether passwords are stored is nobody's business here: that they are is taken for granted.
    """
    from replica_access.postgres import observe, planning
    from replica_access.postgres.catalog import read_cluster
    from replica_access.postgres.connect import connect

    stored = frozenset(name for name, user in spec.users.items() if user.auth == "password")
    with connect(login, read_only=True) as connection:
        seen = read_cluster(connection)
        judged = for_the_admin(seen, _readers(spec), admin)
        found, plan = planning.plan_cluster(connection, spec, stored, EVERYTHING, judged)
        server = replace(observe.server(connection, login, seen), cluster=judged)
    unseen = _Unseen()
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(_realms, spec, server, login, unseen)
        plans = in_each(list(found.databases), partial(_database, login, found, unseen))
        realms = reading.result()
    databases = tuple(found.desired.rules)
    return _Primary(server, databases, sum(filter(None, plans.values()), plan), realms, tuple(unseen.found))


def _database(login: Login, found: Survey, unseen: _Unseen, database: str) -> Plan | None:
    from replica_access.workflow import look_at_database

    what = f"database {legible(database)} of {legible(login.server)}"
    examined = unseen.attempt(what, partial(look_at_database, login, found, False, database))
    if examined is None:
        return None
    blocked = tuple(replace(each, database=database) for each in examined.plan.blocked)
    return replace(examined.plan, blocked=blocked)


def _replicas(
    spec: Spec, hosting: Hosting, beside: _Beside, unseen: _Unseen, progress: Progress
) -> Iterator[tuple[Server, Login]]:
    from replica_access.postgres import observe

    if spec.replica is None:
        return
    logins: Mapping[str, Login] | None = unseen.attempt("replicas", hosting.replicas)
    for name, login in (logins or {}).items():
        progress.waiting(f"looking at {legible(name)}")
        look = partial(observe.replica, login, beside.primary, _readers(spec), beside.databases)
        if (found := unseen.attempt(f"replica {legible(name)}", look)) is not None:
            server, missed = found
            unseen.found += missed
            yield replace(server, cluster=for_the_admin(server.cluster, _readers(spec), beside.admin)), login


def _readers(spec: Spec) -> tuple[str, ...]:
    return (*spec.roles, *spec.users)


def _realms(spec: Spec, server: Server, login: Login, unseen: _Unseen) -> tuple[Realm, ...]:
    """Look into every database of `server`: the primary, or, where that cannot be asked, a replica."""
    known = server.cluster.databases.values()
    names = [d.name for d in known if d.allows_connections and not d.is_system and is_utf8(d.name)]
    desired = from_spec(spec, names)

    def look(name: str) -> Rights | None:
        what = f"rights in {shown(name)} on {legible(server.name)}"
        return unseen.attempt(what, partial(_rights, login, name))

    judged = [rights for rights in in_each(names, look).values() if rights is not None]
    return tuple(Realm(server.name, rights, desired, first=number == 0) for number, rights in enumerate(judged))


def _rights(login: Login, database: str) -> Rights:
    from replica_access.postgres.audit_catalog import read_rights
    from replica_access.postgres.connect import connect

    with connect(login, database=database, read_only=True) as connection:
        return read_rights(connection)

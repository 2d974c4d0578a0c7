"""From a connection to what is missing there: read, then diff. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from replica_access.catalog import Cluster, Database, DatabaseCatalog, Holdings
from replica_access.desired import Desired, from_spec
from replica_access.errors import WrongServer
from replica_access.model import PUBLIC, BlockedObject, Oid, Pending, Plan, Request
from replica_access.names import is_utf8, legible, shown
from replica_access.patterns import matches
from replica_access.postgres import foresight, statements
from replica_access.postgres.catalog import (
    Questions,
    read_cluster,
    read_database,
    read_holdings,
    read_shared,
)
from replica_access.postgres.diff import diff_database, diff_left_behind, scenes
from replica_access.postgres.diff_roles import absent, diff_connect, diff_roles
from replica_access.postgres.diff_shared import departing, diff_departed, diff_shared
from replica_access.postgres.scene import Scene, count
from replica_access.spec import Spec


@dataclass(frozen=True, slots=True)
class Survey:
    """What is known of a server, before any of its databases is looked into.

    :param holdings: what depends on the readers, and on roles that the spec names no more.
    """

    cluster: Cluster
    desired: Desired
    holdings: tuple[Holdings, ...]
    request: Request

    @property
    def databases(self) -> tuple[str, ...]:
        """Those to look into: where the spec grants something, and where readers hold something."""
        held = {found.database for found in self.holdings}
        known = self.cluster.databases.values()
        found = {d.name for d in known if d.oid in held and d.allows_connections and not d.is_system}
        found |= self.desired.rules.keys()
        return tuple(sorted(name for name in found if is_utf8(name) and self.request.database in {None, name}))

    def holdings_in(self, database: Database) -> tuple[Holdings, ...]:
        return tuple(found for found in self.holdings if found.database == database.oid)


def survey(connection: psycopg.Connection[Any], spec: Spec, request: Request, cluster: Cluster | None = None) -> Survey:
    """Read the shared catalogs, and work out what the spec wants of them.

    :param cluster: what they say, where that is known.
    :raises WrongServer: the server is a replica.
    """
    cluster = cluster or read_cluster(connection)
    if cluster.in_recovery:
        raise WrongServer(
            f"{legible(connection.info.host)}:{connection.info.port} is a replica: it is in recovery.",
            "Changes go to the primary: correct primary in the spec.",
        )
    names = [d.name for d in cluster.databases.values() if d.allows_connections and not d.is_system]
    desired = from_spec(spec, filter(is_utf8, names))
    if request.database is not None:
        desired = desired.only(request.database)
    roles = {role.oid for name in desired.names if (role := cluster.role(name))}
    roles |= {role.oid for role in departing(cluster, request)}
    granted = [cluster.databases[name].oid for name in desired.rules]
    return Survey(cluster, desired, read_holdings(connection, roles, granted), request)


def plan_cluster(
    connection: psycopg.Connection[Any],
    spec: Spec,
    stored_passwords: frozenset[str],
    request: Request,
    cluster: Cluster | None = None,
) -> tuple[Survey, Plan]:
    """Return what is known of the server, and what its shared catalogs lack or have too much.

    :param cluster: what they say, where that is known.
    :raises WrongServer: the server is a replica.
    """
    found = survey(connection, spec, request, cluster)
    cluster, desired = found.cluster, found.desired
    plan = diff_roles(desired, cluster, stored_passwords) + diff_connect(desired, cluster, request)
    held = read_shared(connection, cluster.version, _readers(found) | _leaving(found), found.holdings)
    plan += diff_shared(desired, cluster, held, request)
    plan += diff_departed(desired, cluster, held, found.holdings, request)
    missing = (note for note in desired.pending if note.name not in map(shown, cluster.databases))
    pending = (*missing, *_closed(spec, cluster), *absent(desired, cluster), *_owned(found))
    return found, plan + Plan(pending=pending)


def _readers(found: Survey) -> frozenset[Oid]:
    return frozenset(role.oid for name in found.desired.names if (role := found.cluster.role(name)))


def _leaving(found: Survey) -> frozenset[Oid]:
    return frozenset(role.oid for role in departing(found.cluster, found.request))


def _closed(spec: Spec, cluster: Cluster) -> Iterator[Pending]:
    """Yield the databases that are there, and that the spec means, but that cannot be connected to."""
    patterns = [pattern for grant in spec.grants for pattern in grant.databases]
    for database in cluster.databases.values():
        if not is_utf8(database.name) and any(matches(database.name, pattern) for pattern in patterns):
            reason = "its name is no UTF-8, so nothing in it was looked at: rename it with ALTER DATABASE"
        elif database.is_system and database.name in patterns:
            reason = "RDS keeps it for itself"
        elif not database.allows_connections and database.name in patterns:
            reason = "it lets nobody connect (ALLOW_CONNECTIONS is off); the next run looks again"
        else:
            continue
        yield Pending("database", shown(database.name), reason)


def _owned(found: Survey) -> Iterator[Pending]:
    """Yield what readers own: they can do with it what they like, and nobody takes it from them here."""
    databases = {database.oid: database.name for database in found.cluster.databases.values()}
    readers = _readers(found)
    for held in found.holdings:
        if held.kind == "o" and held.role in readers and held.catalog != "pg_default_acl":
            where = f" in {shown(databases[held.database])}" if held.database in databases else ""
            what = f"owns {count(held.count, 'object')}{where} ({held.catalog}), and can change them"
            yield Pending("ownership", shown(found.cluster.roles[held.role].name), what)


@dataclass(frozen=True, slots=True)
class Examined:
    """What a database lacks or gives too much of, and how it looks to each reader; to none where nobody could look."""

    plan: Plan
    scenes: tuple[Scene, ...] = ()


def plan_database(connection: psycopg.Connection[Any], found: Survey, database: str) -> Plan:
    """Return what the database that `connection` is in lacks, or gives readers too much of."""
    return examine_database(connection, found, database).plan


def examine_database(
    connection: psycopg.Connection[Any], found: Survey, database: str, *, stock: bool = False
) -> Examined:
    """Look into the database that `connection` is in.

    :param stock: somebody wants to know the oids of all that can be read, too.
    """
    desired, request = found.desired, found.request
    if (blocked := misread(connection, desired, database)) is not None:
        return Examined(blocked)
    foreseen = foresight.foresee(desired, found.cluster, request)
    here = foreseen.databases[database]
    catalog = read_database(connection, here, questions(found, foreseen, here, stock=stock))
    if request.schema is not None:
        catalog = catalog.only(request.schema)
    plan = diff_database(desired, foreseen, catalog, request)
    plan += diff_left_behind(departing(found.cluster, request), desired, foreseen, catalog, request)
    lean = replace(catalog, relations=(), excluded=())  # a hundred thousand names, which the plan has in its statements
    return Examined(plan, tuple(scene for scene in scenes(desired, foreseen, lean, request) if scene.rules))


def questions(found: Survey, foreseen: Cluster, database: Database, *, stock: bool = False) -> Questions:
    """Return what is to be asked of `database` so that the plan can be made."""
    desired, request = found.desired, found.request
    unread = DatabaseCatalog(database.name, database.owner, {}, ())
    readers = tuple(scenes(desired, foreseen, unread, request))
    return Questions(
        rules={here.oid: here.rules for here in readers if here.rules},
        readers=frozenset(here.oid for here in readers if here.oid > PUBLIC) | _leaving(found),
        reach={here.oid: here.counting for here in readers if here.rules},
        holdings=found.holdings_in(database),
        reading_all=frozenset(here.oid for here in readers if here.reads_all),
        stock=stock,
    )


def closed_to_admin(cluster: Cluster, database: str) -> BlockedObject | None:
    """Return why the admin cannot even connect to `database`; ``None`` where it can."""
    admin = cluster.roles[cluster.admin]
    allowed = cluster.databases[database].connect
    if admin.superuser or PUBLIC in allowed or allowed & cluster.reached_from(cluster.admin):
        return None
    owner = cluster.roles.get(cluster.databases[database].owner)
    grant = statements.connect_on("GRANT", [database], admin.name)
    return BlockedObject.with_statements(
        f"database {shown(database)}",
        f"the admin {shown(admin.name)} may not connect to it, so nothing in it was looked at",
        shown(owner.name) if owner else "a superuser",
        grant,
    )


def unreachable(found: Survey, database: str) -> Plan | None:
    """Return what to say of a database that the admin cannot connect to; ``None`` where it can."""
    if (closed := closed_to_admin(found.cluster, database)) is None:
        return None
    if database in found.desired.rules:
        return Plan(blocked=(closed,))
    reason = f"readers hold something in it, and {closed.reason}; {closed.fix}"
    return Plan(pending=(Pending("database", shown(database), reason),))


def misread(connection: psycopg.Connection[Any], desired: Desired, database: str) -> Plan | None:
    """Return the readers that `database` knows by other letters; ``None`` where there are none.

    The names of roles are kept as bytes, which each database reads in its own encoding: those that were made in UTF-8
    are others in LATIN1, unless they are ASCII.
    """
    encoding = connection.info.parameter_status("server_encoding")
    if encoding in {"UTF8", "SQL_ASCII"}:
        return None
    rules = desired.rules.get(database, ())
    names = dict.fromkeys(rule.reader for rule in rules if not rule.reader.isascii())
    blocked = (
        BlockedObject(
            object=f"database {shown(database)}",
            reason=f"it is in {encoding}, where the role {shown(name)} has another name",
            fix="name the role in ASCII letters in the spec",
        )
        for name in names
    )
    return Plan(blocked=tuple(blocked)) if names else None


def replan_cluster(
    spec: Spec, stored_passwords: Callable[[], frozenset[str]], request: Request, *, late: bool
) -> Callable[..., tuple[Cluster, Plan]]:
    """Return how `apply` makes the plan of the shared catalogs again: what comes before the databases, or after them.

    :param stored_passwords: looks again whose passwords are stored: another run may have stored some.
    """

    def replan(connection: psycopg.Connection[Any], _: Cluster | None = None) -> tuple[Cluster, Plan]:
        found, plan = plan_cluster(connection, spec, stored_passwords(), request)
        changes = tuple(change for change in plan.allowed(request).changes if change.late is late)
        return found.cluster, replace(plan, changes=changes)

    return replan


def replan_database(spec: Spec, database: str, request: Request) -> Callable[..., tuple[Cluster, Plan]]:
    """Return how `apply` makes the plan of `database` again."""

    def replan(connection: psycopg.Connection[Any], cluster: Cluster | None = None) -> tuple[Cluster, Plan]:
        found = survey(connection, spec, request, cluster)
        return found.cluster, plan_database(connection, found, database).allowed(request)

    return replan

"""From a connection to what is missing there: read, then diff. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from replica_access.desired import Desired, Rule, from_spec
from replica_access.errors import WrongServer
from replica_access.model import PUBLIC, BlockedObject, Cluster, Pending, Plan, Request, is_utf8, shown
from replica_access.patterns import matches
from replica_access.postgres import foresight, statements
from replica_access.postgres.catalog import read_cluster, read_database
from replica_access.postgres.diff import diff_database, scenes
from replica_access.postgres.diff_roles import absent, diff_connect, diff_roles
from replica_access.postgres.scene import Scene
from replica_access.spec import Spec


def plan_cluster(
    connection: psycopg.Connection[Any], spec: Spec, stored_passwords: frozenset[str], request: Request
) -> tuple[Cluster, Desired, Plan]:
    """Return what the shared catalogs are, what the spec wants, and what they lack.

    :raises WrongServer: the server is a replica.
    """
    cluster = read_cluster(connection)
    if cluster.in_recovery:
        raise WrongServer(
            f"{shown(connection.info.host)}:{connection.info.port} is a replica: it is in recovery.",
            "Changes go to the primary: correct primary in the spec.",
        )
    names = [d.name for d in cluster.databases.values() if d.allows_connections and not d.is_system]
    desired = from_spec(spec, filter(is_utf8, names))
    if request.database is not None:
        desired = desired.only(request.database)
    plan = diff_roles(desired, cluster, stored_passwords) + diff_connect(desired, cluster)
    missing = (note for note in desired.pending if note.name not in map(shown, cluster.databases))
    pending = (*missing, *_closed(spec, cluster), *absent(desired, cluster))
    return cluster, desired, plan + Plan(pending=pending)


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


def plan_database(
    connection: psycopg.Connection[Any], cluster: Cluster, desired: Desired, database: str, request: Request
) -> Plan:
    """Return what the database that `connection` is in lacks."""
    return examine_database(connection, cluster, desired, database, request).plan


@dataclass(frozen=True, slots=True)
class Examined:
    """What a database lacks, and how it looked to each reader; to none where it could not be looked into."""

    plan: Plan
    scenes: tuple[Scene, ...] = ()


def examine_database(
    connection: psycopg.Connection[Any], cluster: Cluster, desired: Desired, database: str, request: Request
) -> Examined:
    """Look into the database that `connection` is in."""
    if (blocked := misread(connection, desired, database)) is not None:
        return Examined(blocked)
    readers, foreseen = _readers(desired.rules[database]), foresight.foresee(desired, cluster)
    catalog = read_database(connection, cluster, database, foresight.asked(readers, cluster, foreseen))
    if request.schema is not None:
        catalog = catalog.only(request.schema)
    judged = foresight.judged(catalog, readers, cluster, foreseen)
    plan = diff_database(desired, foreseen, judged)
    if request.schema is not None:  # what was not looked at is not missing
        plan = replace(plan, pending=tuple(note for note in plan.pending if note.kind != "schema"))
    return Examined(plan, tuple(scenes(desired, foreseen, judged)))


def unreachable(cluster: Cluster, database: str) -> Plan | None:
    """Return why the admin cannot even connect to `database`; ``None`` where it can."""
    admin = cluster.roles[cluster.admin]
    allowed = cluster.databases[database].connect
    if admin.superuser or PUBLIC in allowed or allowed & cluster.reached_from(cluster.admin):
        return None
    owner = cluster.roles.get(cluster.databases[database].owner)
    grant = statements.connect_on("GRANT", [database], admin.name)
    return Plan(
        blocked=(
            BlockedObject(
                object=f"database {shown(database)}",
                reason=f"the admin {shown(admin.name)} may not connect to it, so nothing in it was looked at",
                fix=f"as {shown(owner.name) if owner else 'a superuser'}: {grant};",
            ),
        )
    )


def misread(connection: psycopg.Connection[Any], desired: Desired, database: str) -> Plan | None:
    """Return the readers that `database` knows by other letters; ``None`` where there are none.

    The names of roles are kept as bytes, which each database reads in its own encoding: those that were made in UTF-8
    are others in LATIN1, unless they are ASCII.
    """
    encoding = connection.info.parameter_status("server_encoding")
    if encoding in {"UTF8", "SQL_ASCII"}:
        return None
    names = dict.fromkeys(rule.reader for rule in desired.rules[database] if not rule.reader.isascii())
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
    spec: Spec, stored_passwords: Callable[[], frozenset[str]], request: Request
) -> Callable[..., tuple[Cluster, Plan]]:
    """Return how `apply` makes the plan of the shared catalogs again.

    :param stored_passwords: looks again whose passwords are stored: another run may have stored some.
    """

    def replan(connection: psycopg.Connection[Any]) -> tuple[Cluster, Plan]:
        cluster, _, plan = plan_cluster(connection, spec, stored_passwords(), request)
        return cluster, plan

    return replan


def replan_database(spec: Spec, database: str, request: Request) -> Callable[..., tuple[Cluster, Plan]]:
    """Return how `apply` makes the plan of `database` again."""

    def replan(connection: psycopg.Connection[Any]) -> tuple[Cluster, Plan]:
        cluster = read_cluster(connection)
        desired = from_spec(spec, [database])
        return cluster, plan_database(connection, cluster, desired, database, request)

    return replan


def _readers(rules: tuple[Rule, ...]) -> Mapping[str, Sequence[Rule]]:
    readers: dict[str, list[Rule]] = {}
    for rule in rules:
        readers.setdefault(rule.reader, []).append(rule)
    return readers

"""What is in a database now, and of what was not known there before, who made it and what each reader gets of it.

It follows on the plan, and says the same as that: by the same scenes, with the same authority. Only what is unknown
comes over the wire with its name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row

from replica_access.catalog import Cluster, Schema
from replica_access.desired import from_spec
from replica_access.errors import Blocked
from replica_access.inventory import FoundRelations, FoundSchema, Gets, Inventory, Readers
from replica_access.model import Login, Oid
from replica_access.names import is_utf8, shown
from replica_access.postgres import diff_future
from replica_access.postgres.catalog import read_cluster
from replica_access.postgres.connect import connect, database_error
from replica_access.postgres.planning import closed_to_admin
from replica_access.postgres.queries import load
from replica_access.postgres.scene import Scene
from replica_access.side_by_side import in_each
from replica_access.spec import Spec


def take(scenes: Sequence[Scene]) -> Inventory:
    """Return what is in a database, as `scenes` show it; there is one at least."""
    catalog, cluster = scenes[0].catalog, scenes[0].cluster
    wanted = _wanted(scenes)
    return Inventory(
        oid=cluster.databases[catalog.name].oid,
        owner=_name(catalog.owner, scenes),
        readers={scene.reader: _of_database(scene) for scene in scenes},
        schemas=tuple(
            FoundSchema(schema.oid, schema.name, _name(schema.owner, scenes), _of_schema(schema, scenes))
            for schema in wanted.values()
        ),
        relations=tuple(sorted(oid for schema in wanted for oid in catalog.stock.get(schema, ()))),
        unknown=(),
        creators=_creators(scenes),
    )


def describe(connection: psycopg.Connection[Any], scenes: Sequence[Scene], known: Collection[Oid]) -> Inventory:
    """Return what is in the database that `connection` is in, what is unknown described.

    What was made since `scenes` were looked at is described, but not yet among what is there: it is told twice, and
    not never.

    :param known: the oids of relations that need no description.
    :raises DatabaseError: the query failed.
    """
    wanted = _wanted(scenes)
    readers = [scene.oid for scene in scenes if scene.oid > 0]
    asked: dict[str, Any] = {"schemas": list(wanted), "readers": readers, "known": list(known)}
    try:
        with connection.cursor(row_factory=namedtuple_row) as cursor:
            unknown: list[Any] = cursor.execute(load("inventory_unknown"), asked).fetchall()
    except psycopg.Error as error:
        raise database_error(error, f"Reading what is in {shown(scenes[0].catalog.name)}") from error
    found = tuple(group for row in unknown for group in _described(row, wanted[row.schema], scenes))
    return replace(take(scenes), unknown=found)


def _wanted(scenes: Sequence[Scene]) -> dict[Oid, Schema]:
    schemas = scenes[0].catalog.schemas
    return {oid: s for oid, s in schemas.items() if any(scene.wants_schema(s.name) for scene in scenes)}


def names(login: Login, spec: Spec, database: str | None, *, schemas: bool) -> dict[str, frozenset[str]]:
    """Return every database of a server by name.

    :param schemas: with the schemas of `database`, or of all that `spec` means where that is ``None``.
    :raises DatabaseError: it could not be asked.
    :raises Blocked: nobody, or not the admin, may connect to `database`.
    """
    with connect(login, read_only=True) as connection:
        cluster = read_cluster(connection)
    found = [each.name for each in cluster.databases.values() if not each.is_system]
    meant = [database] if database is not None else from_spec(spec, filter(is_utf8, found)).rules
    looked_into = [name for name in (meant if schemas else ()) if name in found and not _closed(cluster, name)]
    if schemas and database in found and (closed := _closed(cluster, database)) is not None:
        raise Blocked(*closed)
    return dict.fromkeys(found, frozenset[str]()) | in_each(looked_into, partial(_schemas, login))


def _closed(cluster: Cluster, database: str) -> tuple[str, str] | None:
    """Return why the admin cannot connect to `database`, and what to do; ``None`` where it can."""
    if not cluster.databases[database].allows_connections:
        return f"The database {shown(database)} lets nobody connect: ALLOW_CONNECTIONS is off.", "Turn that on first."
    if (closed := closed_to_admin(cluster, database)) is not None:
        return f"{closed.object}: {closed.reason}.", closed.fix
    return None


def _schemas(login: Login, database: str) -> frozenset[str]:
    with connect(login, database=database, read_only=True) as connection:
        try:
            return frozenset(name for (name,) in connection.execute(load("inventory_schemas"), {}))
        except psycopg.Error as error:
            raise database_error(error, f"Reading the schemas of {shown(database)}") from error


def _name(role: Oid, scenes: Sequence[Scene]) -> str:
    found = scenes[0].cluster.roles.get(role)
    return found.name if found else str(role)


# --- what a reader gets ----------------------------------------------------------------------------------------------


def _of_database(scene: Scene) -> Gets:
    database = scene.cluster.databases[scene.catalog.name]
    if database.connect & scene.reached:
        return "readable"
    return "blocked" if scene.authority.refusal(database.owner) else "granted"


def _of_schema(schema: Schema, scenes: Sequence[Scene]) -> Readers:
    return {scene.reader: _usage(schema, scene) for scene in scenes}


def _usage(schema: Schema, scene: Scene) -> Gets:
    if not scene.wants_schema(schema.name):
        return "excluded"
    if schema.usage & scene.reached:
        return "readable"
    owner = scene.authority.owner_of(schema.owner, scene.catalog.owner)
    return "blocked" if scene.authority.refusal(owner) else "granted"


def _described(row: Any, schema: Schema, scenes: Sequence[Scene]) -> Iterator[FoundRelations]:
    """Yield the relations of one row of ``inventory_unknown``, those apart that some rule excludes by name."""
    groups: dict[tuple[bool, ...], list[str]] = {}
    by_name = any(e.relation and e.schema.fits(schema.name) for s in scenes for r in s.rules for e in r.exclusions)
    if by_name:
        for name in row.names:
            groups.setdefault(tuple(_wants(scene, schema.name, name) for scene in scenes), []).append(name)
    else:
        groups[tuple(scene.wants_schema(schema.name) for scene in scenes)] = row.names
    for wanted, names in groups.items():
        readers = {
            scene.reader: _select(row, schema, scene, wants=wants) for scene, wants in zip(scenes, wanted, strict=True)
        }
        yield FoundRelations(schema.name, _name(row.owner, scenes), row.kind, tuple(names), readers)


def _wants(scene: Scene, schema: str, relation: str) -> bool:
    return any(rule.wants_relation(schema, relation) for rule in scene.rules)


def _select(row: Any, schema: Schema, scene: Scene, *, wants: bool) -> Gets:
    has = scene.oid in row.readable_by and bool(schema.usage & scene.reached)
    if not wants:
        return "exposed" if has else "excluded"
    if has:
        return "readable"
    return "blocked" if _usage(schema, scene) == "blocked" or scene.refusal(row.owner, schema) else "granted"


def _creators(scenes: Sequence[Scene]) -> Mapping[str, Readers]:
    found: dict[str, dict[str, Gets]] = {}
    for scene in scenes:
        for creator, covered in diff_future.creators(scene).items():
            gets: Gets = "readable" if covered else "blocked" if scene.authority.refusal(creator) else "granted"
            found.setdefault(_name(creator, scenes), {})[scene.reader] = gets
    return found

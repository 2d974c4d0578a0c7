"""Read what a server has: each database in one snapshot, as few statements as it takes, nothing but what matters.

What is read of relations is only what a reader cannot read, so that size costs the server a scan and us nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row

from replica_access.desired import Rule
from replica_access.errors import WrongServer
from replica_access.model import (
    PUBLIC,
    Cluster,
    Columns,
    Database,
    DatabaseCatalog,
    DefaultPrivileges,
    Membership,
    Oid,
    Relations,
    Role,
    Schema,
)
from replica_access.patterns import is_glob
from replica_access.postgres.connect import database_error
from replica_access.postgres.queries import load

OLDEST_VERSION = 130000

FEW = 1000
"""So many relations are looked up by name; beyond, all that a reader was granted is gone through."""


def read_cluster(connection: psycopg.Connection[Any]) -> Cluster:
    """Read the shared catalogs in one snapshot.

    :raises WrongServer: a version that is too old.
    :raises DatabaseError: a query failed.
    """
    if (version := connection.info.server_version) < OLDEST_VERSION:
        raise WrongServer(
            f"The server is PostgreSQL {version // 10000}, which is not supported.",
            f"PostgreSQL {OLDEST_VERSION // 10000} or newer is needed.",
        )
    with _snapshot(connection, "the shared catalogs"):
        servers = _ask(connection, "catalog_server")
        roles = _ask(connection, "catalog_roles")
        memberships = _ask(connection, "catalog_memberships")
        databases = _ask(connection, "catalog_databases")
    (server,) = servers
    return Cluster(
        system_identifier=server.system_identifier,
        version=server.version,
        in_recovery=server.in_recovery,
        patched_by_rds=server.patched_by_rds,
        admin=int(server.admin),
        roles={row.oid: _role(row) for row in roles},
        memberships=tuple(Membership(*row) for row in memberships),
        databases={row.name: _database(row) for row in databases},
    )


def read_database(
    connection: psycopg.Connection[Any],
    cluster: Cluster,
    database: str,
    readers: Mapping[str, Sequence[Rule]],
) -> DatabaseCatalog:
    """Read the database that `connection` is in, in one snapshot.

    :param readers: for each reader, the rules about it.
    :raises DatabaseError: a query failed.
    """
    with _snapshot(connection, f"the catalog of {database}"):
        defaults = _ask(connection, "catalog_defaults")
        schemas = {row.oid: _schema(row) for row in _ask(connection, "catalog_schemas")}
        asked = sorted(set(_asked(cluster, schemas, readers)))
        relations = _ask(
            connection,
            "catalog_relations",
            {"readers": [reader for reader, _ in asked], "schemas": [schema for _, schema in asked]},
        )
        columns = tuple(_columns(connection, cluster, schemas, readers))
        rows = relations.fetchall()
        column_grants = dict(_column_grants(connection, rows))
    return DatabaseCatalog(
        name=database,
        owner=cluster.databases[database].owner,
        schemas=schemas,
        default_privileges=tuple(
            DefaultPrivileges(row.creator, schema, row.kind, frozenset(row.readable_by))
            for row in defaults
            for schema in row.schemas
        ),
        relations=tuple(
            Relations(row.reader, row.schema, row.owner, row.total, tuple(sorted((m[1:], m[0]) for m in row.missing)))
            for row in rows
        ),
        columns=columns,
        column_grants=column_grants,
    )


def _asked(
    cluster: Cluster, schemas: Mapping[Oid, Schema], readers: Mapping[str, Sequence[Rule]]
) -> Iterator[tuple[Oid, Oid]]:
    for name, rules in readers.items():
        role = cluster.role(name)
        for schema in schemas.values():
            if any(rule.wants_schema(schema.name) for rule in rules):
                yield (role.oid if role else PUBLIC, schema.oid)


def _columns(
    connection: psycopg.Connection[Any],
    cluster: Cluster,
    schemas: Mapping[Oid, Schema],
    readers: Mapping[str, Sequence[Rule]],
) -> Iterator[Columns]:
    """Read columns where the spec excludes some, and nothing where it excludes none."""
    for name, rules in readers.items():
        exclusions = [e for rule in rules for e in rule.exclusions if e.column is not None and e.relation is not None]
        asked = [s.oid for s in schemas.values() if any(e.schema.fits(s.name) for e in exclusions)]
        if not asked:
            continue
        role = cluster.role(name)
        reader = role.oid if role else PUBLIC
        relations = [str(e.relation) for e in exclusions]
        globs = any(is_glob(relation) for relation in relations)
        parameters = {
            "readers": [reader] * len(asked),
            "schemas": asked,
            "relations": None if globs else relations,
        }
        for row in _ask(connection, "catalog_columns", parameters):
            if any(e.has_column_in(schemas[row.schema].name, row.name) for e in exclusions):
                pairs = tuple(zip(row.columns, row.readable, strict=True))
                yield Columns(row.reader, row.schema, row.owner, row.name, row.kind, pairs)


def _column_grants(
    connection: psycopg.Connection[Any], relations: Sequence[Any]
) -> Iterator[tuple[tuple[Oid, Oid, str], tuple[tuple[str, bool], ...]]]:
    """Read them where there is something to grant to roles that exist, and nothing else."""
    missing = [row for row in relations if row.missing and row.reader != PUBLIC]
    if not missing:
        return
    names = [name[1:] for row in missing for name in row.missing]
    parameters = {
        "readers": sorted({row.reader for row in missing}),
        "relations": names if len(names) <= FEW else None,
    }
    for row in _ask(connection, "catalog_column_grants", parameters):
        yield (row.reader, row.schema, row.relation), tuple(zip(row.columns, row.grantable, strict=True))


@contextmanager
def _snapshot(connection: psycopg.Connection[Any], what: str) -> Iterator[None]:
    """A transaction that sees one state. What is asked in it travels together: only who looks at an answer waits."""
    try:
        with connection.pipeline():
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield
            connection.execute("COMMIT")
    except psycopg.Error as error:
        raise database_error(error, f"Reading {what}") from error
    finally:
        if not connection.closed and connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            connection.rollback()


def _ask(
    connection: psycopg.Connection[Any], query: str, parameters: Mapping[str, Any] | None = None
) -> psycopg.Cursor[Any]:
    return connection.cursor(row_factory=namedtuple_row).execute(load(query), parameters or {})


def _role(row: Any) -> Role:
    values = row._asdict()
    values["settings"] = dict(setting.partition("=")[::2] for setting in row.settings)
    return Role(**values)


def _database(row: Any) -> Database:
    return Database(
        oid=row.oid,
        name=row.name,
        owner=row.owner,
        connect=frozenset(row.connect),
        create=frozenset(row.create),
        allows_connections=row.allows_connections,
        default_acl=row.default_acl,
    )


def _schema(row: Any) -> Schema:
    return Schema(row.oid, row.name, row.owner, frozenset(row.usage), frozenset(row.create))

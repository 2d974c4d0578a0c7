"""Read what a server has: each database in one snapshot, as few statements as it takes, nothing but what matters.

What is read of relations is only what some reader lacks or has too much of, so that size costs the server a scan and us
nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row

from replica_access.catalog import (
    Cluster,
    ColumnGrants,
    Columns,
    Database,
    DatabaseCatalog,
    DefaultPrivileges,
    Entry,
    Holdings,
    Membership,
    Object,
    Relations,
    Role,
    Schema,
)
from replica_access.desired import Rule
from replica_access.errors import WrongServer
from replica_access.model import PUBLIC, Oid
from replica_access.names import shown
from replica_access.patterns import Exclusion, likes
from replica_access.postgres.connect import database_error
from replica_access.postgres.queries import load

OLDEST_VERSION = 130000

READ_ALL = "pg_read_all_data"
"""Whoever has its rights reads every relation, and uses every schema (PostgreSQL 14 and newer)."""


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
        ask_databases, ask_roles = _ask(connection, "catalog_databases"), _ask(connection, "catalog_roles")
    databases, roles = ask_databases.fetchall(), ask_roles.fetchall()
    server = databases[0]
    return Cluster(
        system_identifier=server.system_identifier,
        version=server.version,
        in_recovery=server.in_recovery,
        patched_by_rds=server.patched_by_rds,
        admin=server.admin,
        roles={row.oid: _role(row) for row in roles},
        memberships=tuple(sorted((m for row in roles for m in _memberships(row)), key=_place)),
        databases={row.name: _database(row) for row in databases if row.oid is not None},
    )


def read_holdings(
    connection: psycopg.Connection[Any], roles: Collection[Oid], databases: Collection[Oid]
) -> tuple[Holdings, ...]:
    """Read how much depends on `roles` in all databases; what they may do with relations of `databases` is left out.

    :raises DatabaseError: the query failed.
    """
    if not roles:
        return ()
    try:
        rows = _ask(connection, "catalog_holdings", {"roles": sorted(roles), "databases": sorted(databases)})
        return tuple(Holdings(*row) for row in rows)
    except psycopg.Error as error:
        raise database_error(error, "Reading what depends on the readers") from error


def read_shared(
    connection: psycopg.Connection[Any], version: int, readers: Collection[Oid], holdings: Sequence[Holdings]
) -> tuple[Object, ...]:
    """Read the tablespaces and parameters that `readers` hold something on; nothing is asked where that is none.

    :raises DatabaseError: a query failed.
    """
    held = {found.catalog for found in holdings if found.database == 0 and found.kind == "a"}
    parameters: Mapping[str, Any] = {"readers": sorted(readers)}
    found: list[Any] = []
    try:
        if "pg_tablespace" in held:
            found += _ask(connection, "catalog_held", {**parameters, "shared": True})
        if version >= 150000 and "pg_parameter_acl" in held:
            found += _ask(connection, "catalog_held_parameters", parameters)
    except psycopg.Error as error:
        raise database_error(error, "Reading what readers hold on parameters and tablespaces") from error
    return tuple(_object(row) for row in found)


@dataclass(frozen=True)
class Questions:
    """What is asked of one database.

    :param rules: by reader (below zero: a role to be made), what it wants there.
    :param readers: the roles that exist and of which all that they hold is to be known.
    :param reach: by reader, the roles whose rights count for it.
    :param holdings: how much depends on the readers there, and in no database.
    :param reading_all: the readers that read everything anyway.
    :param stock: the oids of all that can be read are to be known.
    """

    rules: Mapping[Oid, Sequence[Rule]]
    readers: frozenset[Oid]
    reach: Mapping[Oid, frozenset[Oid]]
    holdings: tuple[Holdings, ...] = ()
    reading_all: frozenset[Oid] = frozenset()
    stock: bool = False

    @cached_property
    def exclusions(self) -> tuple[Exclusion, ...]:
        """Those of relations, and of their columns."""
        found = (
            e for rules in self.rules.values() for rule in rules for e in rule.exclusions if e.relation is not None
        )
        return tuple({exclusion.text: exclusion for exclusion in found}.values())

    @property
    def executes(self) -> bool:
        return any(rule.execute for rules in self.rules.values() for rule in rules)

    def holds(self, *catalogs: str, columns: bool = False) -> bool:
        return any(h.catalog in catalogs and h.kind == "a" and h.columns is columns for h in self.holdings)


def read_database(connection: psycopg.Connection[Any], database: Database, questions: Questions) -> DatabaseCatalog:
    """Read the database that `connection` is in, in one snapshot.

    :raises DatabaseError: a query failed.
    """
    readers = sorted(questions.readers)
    with _snapshot(connection, f"the catalog of {shown(database.name)}"):
        defaults = _ask(connection, "catalog_defaults", {"readers": readers})
        in_stock = _ask(connection, "catalog_schemas", {"readers": readers, "stock": questions.stock}).fetchall()
        schemas = {row.oid: _schema(row) for row in in_stock}
        relations = _ask(connection, "catalog_relations", _about_relations(questions, schemas))
        columns = _ask_about_columns(connection, questions, schemas)
        routines = _ask_about_routines(connection, questions, schemas)
        granted, held = _ask_what_is_held(connection, questions)
    owners: dict[tuple[Oid, Oid], int] = {}
    groups: dict[bool, list[Relations]] = {True: [], False: []}
    for row in relations:  # one by one: there may be many names in each
        if row.entries is None:
            owners[row.schema, row.owner] = row.total
        else:
            groups[row.named].append(_relations(row))
    return DatabaseCatalog(
        name=database.name,
        owner=database.owner,
        schemas=schemas,
        default_privileges=tuple(_defaults(defaults)),
        owners=owners,
        relations=tuple(groups[False]),
        excluded=tuple(groups[True]),
        columns=tuple(_columns(columns, questions, schemas)),
        column_grants=tuple(_column_grants(granted)),
        routines=tuple(_object(row) for row in routines),
        held=tuple(_object(row) for row in held),
        stock={row.oid: tuple(row.relations) for row in in_stock if row.relations is not None},
    )


def _about_relations(questions: Questions, schemas: Mapping[Oid, Schema]) -> Mapping[str, Any]:
    """Return the parameters of the one query that looks at relations; a role to be made has what PUBLIC has."""
    wanted = [
        (max(reader, PUBLIC), schema.oid)
        for reader, rules in questions.rules.items()
        for schema in schemas.values()
        if any(rule.wants_schema(schema.name) for rule in rules)
    ]
    wanted = list(dict.fromkeys(wanted))
    reach = [(reader, role) for reader, reached in questions.reach.items() if reader > PUBLIC for role in reached]
    excluding = [s.oid for s in schemas.values() if any(e.schema.fits(s.name) for e in questions.exclusions)]
    return {
        "readers": sorted(questions.readers),
        "newcomers": len(questions.rules),
        "wanted_readers": [reader for reader, _ in wanted],
        "wanted_schemas": [schema for _, schema in wanted],
        "reach_readers": [reader for reader, _ in reach],
        "reach_roles": [role for _, role in reach],
        "reading_all": sorted(questions.reading_all),
        "excluding": excluding,
        "patterns": _patterns(questions.exclusions),
    }


_Rows = Iterable[Any]


def _ask_about_columns(
    connection: psycopg.Connection[Any], questions: Questions, schemas: Mapping[Oid, Schema]
) -> _Rows:
    """Ask where the spec excludes columns, and nothing where it excludes none."""
    exclusions = [e for e in questions.exclusions if e.column is not None and e.relation is not None]
    asked = [schema.oid for schema in schemas.values() if any(e.schema.fits(schema.name) for e in exclusions)]
    if not asked:
        return ()
    return _ask(connection, "catalog_columns", {"schemas": asked, "patterns": _patterns(exclusions)})


def _patterns(exclusions: Iterable[Exclusion]) -> list[str]:
    return [pattern for exclusion in exclusions if exclusion.relation for pattern in likes(exclusion.relation)]


def _ask_about_routines(
    connection: psycopg.Connection[Any], questions: Questions, schemas: Mapping[Oid, Schema]
) -> _Rows:
    if not questions.executes:
        return ()
    executing = [rule for rules in questions.rules.values() for rule in rules if rule.execute]
    asked = [schema.oid for schema in schemas.values() if any(rule.wants_schema(schema.name) for rule in executing)]
    return _ask(connection, "catalog_routines", {"schemas": asked})


def _ask_what_is_held(connection: psycopg.Connection[Any], questions: Questions) -> tuple[_Rows, _Rows]:
    """Ask for details where something is known to be held, and nothing else."""
    readers: Mapping[str, Any] = {"readers": sorted(questions.readers)}
    granted: _Rows = ()
    held: _Rows = ()
    if questions.holds("pg_class", columns=True):
        granted = _ask(connection, "catalog_column_grants", readers)
    if questions.holds(*_HELD):
        held = _ask(connection, "catalog_held", {**readers, "shared": False})
    return granted, held


_HELD = (
    "pg_proc",
    "pg_type",
    "pg_language",
    "pg_foreign_data_wrapper",
    "pg_foreign_server",
    "pg_largeobject",
)


# --- transactions ----------------------------------------------------------------------------------------------------


@contextmanager
def _snapshot(connection: psycopg.Connection[Any], what: str) -> Iterator[None]:
    """What is asked in it travels together, and sees one state: only who looks at an answer waits.

    A pipeline is a transaction without a BEGIN of its own, and our sessions have REPEATABLE READ.
    """
    try:
        with connection.pipeline():
            yield
    except psycopg.Error as error:
        raise database_error(error, f"Reading {what}") from error


def _ask(
    connection: psycopg.Connection[Any], query: str, parameters: Mapping[str, Any] | None = None
) -> psycopg.Cursor[Any]:
    return connection.cursor(row_factory=namedtuple_row).execute(load(query), parameters or {})


# --- rows to values --------------------------------------------------------------------------------------------------


def _role(row: Any) -> Role:
    values = row._asdict()
    del values["memberships"]
    values["settings"] = dict(setting.partition("=")[::2] for setting in row.settings)
    return Role(**values)


def _memberships(row: Any) -> Iterator[Membership]:
    for text in row.memberships:
        role, grantor, *options = text.split(" ")
        yield Membership(int(role), row.oid, int(grantor), *(option == "t" for option in options))


def _place(membership: Membership) -> tuple[Oid, Oid, Oid]:
    return membership.role, membership.member, membership.grantor


def _database(row: Any) -> Database:
    entries = _entries(row.entries)
    return Database(
        oid=row.oid,
        name=row.name,
        owner=row.owner,
        connect=frozenset(e.grantee for e in entries if e.privilege == "CONNECT"),
        create=frozenset(e.grantee for e in entries if e.privilege == "CREATE"),
        allows_connections=row.allows_connections,
        entries=entries,
    )


def _schema(row: Any) -> Schema:
    return Schema(row.oid, row.name, row.owner, frozenset(row.usage), frozenset(row.create), _entries(row.entries))


def _defaults(rows: _Rows) -> Iterator[DefaultPrivileges]:
    for row in rows:
        readable_by, entries = frozenset(row.readable_by), _entries(row.entries)
        for schema in row.schemas:
            yield DefaultPrivileges(row.creator, schema, row.kind, readable_by, entries)


def _relations(row: Any) -> Relations:
    names = tuple(sorted((name[1:], name[0]) for name in row.names))
    entries = _entries(row.entries)
    return Relations(row.schema, row.owner, row.sequences, row.total, entries, names, frozenset(row.crowded))


def _columns(rows: _Rows, questions: Questions, schemas: Mapping[Oid, Schema]) -> Iterator[Columns]:
    for row in rows:
        if any(e.has_column_in(schemas[row.schema].name, row.name) for e in questions.exclusions):
            readable_by = (frozenset(map(int, grantees.split())) for grantees in row.column_readable_by)
            yield Columns(
                schema=row.schema,
                owner=row.owner,
                relation=row.name,
                kind=row.kind,
                readable_by=frozenset(row.readable_by),
                columns=tuple(zip(row.columns, readable_by, strict=True)),
            )


def _column_grants(rows: _Rows) -> Iterator[ColumnGrants]:
    for row in rows:
        entries = tuple(zip(row.columns, _entries(row.entries), strict=True))
        yield ColumnGrants(row.schema, row.owner, row.relation, row.kind, entries, _entries(row.passing))


def _object(row: Any) -> Object:
    return Object(row.kind, row.schema, row.owner, row.name, row.identity, _entries(row.entries))


def _entries(texts: Iterable[str]) -> tuple[Entry, ...]:
    return tuple(map(_entry, texts))


@lru_cache(10_000)  # there are few, again and again
def _entry(text: str) -> Entry:
    """Read an entry as the queries write it: grantee, grantor, grantable, privilege, with spaces between."""
    grantee, grantor, grantable, privilege = text.split(" ", 3)
    return Entry(int(grantee), int(grantor), privilege, grantable == "t")

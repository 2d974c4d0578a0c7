"""What decides who may do what in one database, as it stands in the catalog: frozen values, read in one snapshot.

``postgres.audit_catalog`` reads them, ``audit.effective`` computes on them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Literal, TypeVar

from replica_access.catalog import Entry, Membership, Role
from replica_access.model import Oid

T = TypeVar("T")

Kind = Literal[
    "database",
    "tablespace",
    "parameter",
    "schema",
    "table",
    "partitioned table",
    "view",
    "materialized view",
    "foreign table",
    "sequence",
    "column",
    "function",
    "procedure",
    "type",
    "domain",
    "language",
    "foreign data wrapper",
    "foreign server",
    "large object",
]

RELATIONS: frozenset[Kind] = frozenset(
    {"table", "partitioned table", "view", "materialized view", "foreign table", "sequence"}
)
SHARED: frozenset[Kind] = frozenset({"database", "tablespace", "parameter"})
"""What is in no database."""

_TABLE = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN")
_PRIVILEGES: Mapping[Kind, tuple[str, ...]] = {
    "database": ("CONNECT", "CREATE", "TEMPORARY"),
    "tablespace": ("CREATE",),
    "parameter": ("SET", "ALTER SYSTEM"),
    "schema": ("USAGE", "CREATE"),
    "table": _TABLE,
    "partitioned table": _TABLE,
    "view": _TABLE,
    "materialized view": _TABLE,
    "foreign table": _TABLE,
    "sequence": ("SELECT", "UPDATE", "USAGE"),
    "column": ("SELECT", "INSERT", "UPDATE", "REFERENCES"),
    "function": ("EXECUTE",),
    "procedure": ("EXECUTE",),
    "type": ("USAGE",),
    "domain": ("USAGE",),
    "language": ("USAGE",),
    "foreign data wrapper": ("USAGE",),
    "foreign server": ("USAGE",),
    "large object": ("SELECT", "UPDATE"),
}
_MAINTAIN_SINCE = 170000


@lru_cache(None)
def privileges_of(kind: Kind, version: int) -> tuple[str, ...]:
    """Return what can be granted on a `kind` of object, as ACLs name it (the table of privileges in GRANT's manual).

    >>> privileges_of("sequence", 170000)
    ('SELECT', 'UPDATE', 'USAGE')
    """
    return tuple(p for p in _PRIVILEGES[kind] if p != "MAINTAIN" or version >= _MAINTAIN_SINCE)


@dataclass(frozen=True, slots=True)
class Objects:
    """Objects that are alike in all that decides who may do what with them; nearly always many share one ACL.

    :param schema: the name of the schema they are in; empty for what is in none.
    :param relation: for columns, the relation that they are of.
    :param owner: for columns, that of the relation.
    :param entries: their ACL, or what PostgreSQL takes for it where there is none (``acldefault``).
    :param is_default: whether there is none.
    :param names: in order. Bare names; for routines name and types of arguments as SQL writes them, without the schema.
        None for what came with the server and has no ACL of its own: functions and types of ``pg_catalog``.
    :param total: how many there are.
    :param extension: that they belong to; empty for none.
    :param row_security: ``enabled``, or ``forced``: for the owner too.
    :param definer: routines that run with the rights of their owner.
    :param installed: whether they came with the server.
    :param catalog: system catalogs, which nobody but superusers writes to, whatever the ACL says.
    """

    kind: Kind
    schema: str
    owner: Oid
    entries: tuple[Entry, ...]
    names: tuple[str, ...]
    total: int = 1
    relation: str = ""
    is_default: bool = False
    extension: str = ""
    row_security: Literal["", "enabled", "forced"] = ""
    definer: bool = False
    installed: bool = False
    catalog: bool = False


@dataclass(frozen=True, slots=True)
class Default:
    """A row of pg_default_acl: what `creator` gives on a `kind` of object that it makes.

    :param schema: where; empty for anywhere. What is given in a schema is given beside what is given anywhere.
    :param kind: ``table`` for all relations but sequences, ``function`` for all routines, ``type`` for domains too.
    """

    creator: Oid
    schema: str
    kind: Literal["table", "sequence", "function", "type", "schema", "large object"]
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy of row-level security.

    :param command: ``SELECT``, ``INSERT``, ``UPDATE``, ``DELETE`` or ``ALL``.
    :param roles: to whom it applies, and to whoever has their privileges; 0 is PUBLIC.
    """

    schema: str
    relation: str
    name: str
    command: str
    permissive: bool
    roles: tuple[Oid, ...]


@dataclass(frozen=True, slots=True)
class Use:
    """What a view reads of one relation: the columns that it names, or none where it is about the whole."""

    schema: str
    relation: str
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class View:
    """A view and what it reads; with `invoker`, that is read with the rights of whoever asks, else with the owner's."""

    schema: str
    name: str
    owner: Oid
    invoker: bool
    uses: tuple[Use, ...]


@dataclass(frozen=True, slots=True)
class Parts:
    """Partitions, or other children, of one parent in one schema: who reads it reads them, whatever their own ACLs."""

    schema: str
    parent: str
    child_schema: str
    children: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Owned:
    """Something that has an owner and no privileges; `kind` and `name` as pg_identify_object says them."""

    owner: Oid
    kind: str
    name: str


@dataclass(frozen=True)
class Rights:
    """All that decides who may do what in one database, with what the server shares among all of them.

    :param version: ``server_version_num``: 170010 for 17.10.
    :param owner: of the database: whoever that is belongs to pg_database_owner here.
    :param opened: what came with the server and is open to PUBLIC beyond what initdb gave it, with those entries alone.
    :param parts: what tables are made of.
    :param owned: what has an owner and no privileges.
    :param settings: by role, those with which its sessions begin in this database alone.
    :param large_objects_open: ``lo_compat_privileges``: privileges on large objects are not looked at.
    """

    system_identifier: str
    version: int
    in_recovery: bool
    database: str
    owner: Oid
    roles: Mapping[Oid, Role]
    memberships: tuple[Membership, ...]
    objects: tuple[Objects, ...]
    defaults: tuple[Default, ...] = ()
    policies: tuple[Policy, ...] = ()
    views: tuple[View, ...] = field(default=(), repr=False)
    large_objects_open: bool = False
    opened: tuple[Objects, ...] = ()
    parts: tuple[Parts, ...] = field(default=(), repr=False)
    owned: tuple[Owned, ...] = ()
    settings: Mapping[Oid, Mapping[str, str]] = field(default_factory=dict)

    def role(self, name: str) -> Role | None:
        return self._by_name.get(name)

    def of_kind(self, *kinds: Kind) -> Iterator[Objects]:
        return (objects for objects in self.objects if objects.kind in kinds)

    def find(self, kind: Kind, name: str, schema: str = "") -> Objects | None:
        """Return those that the one of this name is among; a column is found by `columns_of`."""
        return self._found.get((kind, schema, name))

    def relation(self, schema: str, name: str) -> Objects | None:
        """Return those that the relation of this name is among, whatever kind it is."""
        return self._relations.get((schema, name))

    def columns_of(self, schema: str, relation: str) -> tuple[Objects, ...]:
        """Return the columns of a relation that have an ACL of their own."""
        return self._columns.get((schema, relation), ())

    def policies_of(self, schema: str, relation: str) -> tuple[Policy, ...]:
        return self._policies.get((schema, relation), ())

    def view(self, schema: str, name: str) -> View | None:
        """Return a view that reads something, and did not come with the server."""
        return self._views.get((schema, name))

    def parents(self, schema: str, name: str) -> tuple[tuple[str, str], ...]:
        """Return the schema and name of each table that the one of this name is a part of, the nearest first."""
        found = dict[tuple[str, str], None]()
        todo = [(schema, name)]
        while todo:
            for parent in self._parents.get(todo.pop(0), ()):
                if parent not in found:
                    found[parent] = None
                    todo.append(parent)
        return tuple(found)

    @cached_property
    def _parents(self) -> Mapping[tuple[str, str], tuple[tuple[str, str], ...]]:
        each = [
            ((part.schema, part.parent), (part.child_schema, child)) for part in self.parts for child in part.children
        ]
        grouped = _grouped(each, lambda pair: pair[1])
        return {child: tuple(parent for parent, _ in pairs) for child, pairs in grouped.items()}

    @cached_property
    def _policies(self) -> Mapping[tuple[str, str], tuple[Policy, ...]]:
        return _grouped(self.policies, lambda policy: (policy.schema, policy.relation))

    @cached_property
    def _views(self) -> Mapping[tuple[str, str], View]:
        return {(view.schema, view.name): view for view in self.views}

    @cached_property
    def _by_name(self) -> Mapping[str, Role]:
        return {role.name: role for role in self.roles.values()}

    @cached_property
    def _found(self) -> Mapping[tuple[str, str, str], Objects]:
        rest = (objects for objects in self.objects if objects.kind not in RELATIONS and objects.kind != "column")
        return {(objects.kind, objects.schema, name): objects for objects in rest for name in objects.names}

    @cached_property
    def _relations(self) -> Mapping[tuple[str, str], Objects]:
        return {(found.schema, name): found for found in self.of_kind(*RELATIONS) for name in found.names}

    @cached_property
    def _columns(self) -> Mapping[tuple[str, str], tuple[Objects, ...]]:
        return _grouped(self.of_kind("column"), lambda columns: (columns.schema, columns.relation))


def _grouped(values: Iterable[T], place: Callable[[T], tuple[str, str]]) -> Mapping[tuple[str, str], tuple[T, ...]]:
    found: dict[tuple[str, str], list[T]] = {}
    for value in values:
        found.setdefault(place(value), []).append(value)
    return {where: tuple(several) for where, several in found.items()}

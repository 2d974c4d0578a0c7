"""The values that pass through: what a server has, what should change, what was proved.

Everything here is frozen and comparable, knows no connection and no clock, and can be printed without leaking a secret.
Names are ``str`` as the server sent them; bytes that are no UTF-8 are kept as surrogate escapes, so that a name
survives the way back. ``shown`` makes any of them safe to print.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Oid = int

PUBLIC: Oid = 0
"""The grantee that stands for PUBLIC in an ACL."""

Scope = Literal["aws", "cluster", "database"]
Kind = Literal["table", "partitioned table", "view", "materialized view", "foreign table", "sequence"]

KINDS: Mapping[str, Kind] = {
    "r": "table",
    "p": "partitioned table",
    "v": "view",
    "m": "materialized view",
    "f": "foreign table",
    "S": "sequence",
}
"""``pg_class.relkind`` of everything that can be read."""


def shown(name: str) -> str:
    """Return `name` so that a terminal, a log or JSON can carry it, unambiguously.

    >>> shown("orders"), shown("two\\nlines"), shown("caf\\udce9")
    ('orders', 'two\\\\nlines', 'caf\\\\xe9')
    """
    if name.isprintable() and "\\" not in name:
        return name
    out = []
    for char in name:
        if 0xDC80 <= ord(char) <= 0xDCFF:
            out.append(f"\\x{ord(char) - 0xDC00:02x}")
        elif char == "\\":
            out.append("\\\\")
        elif char.isprintable():
            out.append(char)
        else:
            out.append(char.encode("unicode_escape").decode("ascii"))
    return "".join(out)


def is_utf8(name: str) -> bool:
    """Whether all bytes of `name` are UTF-8.

    >>> is_utf8("café"), is_utf8("caf\\udce9")
    (True, False)
    """
    return not any("\udc80" <= char <= "\udcff" for char in name)


class Secret:
    """A password that does not print itself.

    >>> Secret("hunter2")
    Secret('****')
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the plain text; call this only where it leaves for a server or a store."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('****')"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError("a Secret is not serialised")


# --- where a server is, and how to log in ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Login:
    """How to reach one server as one role: libpq parameters, the password apart.

    :param server: the name people know it by: an instance identifier, or the host.
    :param parameters: libpq keywords without ``password`` and ``dbname``; what is missing comes from libpq's own
        sources (environment, service and password files).
    """

    server: str
    parameters: Mapping[str, str]
    database: str = "postgres"
    password: Secret | None = None

    def as_user(self, user: str, password: Secret | None) -> Login:
        return Login(self.server, {**self.parameters, "user": user}, self.database, password)


# --- what one server has ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Role:
    """A role, as pg_roles and pg_db_role_setting tell.

    :param valid_until: ISO 8601 with offset, or ``infinity``; ``None`` where there is no limit.
    :param settings: those without a database, ``name -> value`` as stored.
    """

    oid: Oid
    name: str
    superuser: bool = False
    inherit: bool = True
    create_role: bool = False
    create_db: bool = False
    login: bool = False
    replication: bool = False
    bypass_rls: bool = False
    connection_limit: int = -1
    valid_until: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    comment: str | None = None

    @property
    def is_system(self) -> bool:
        """Whether PostgreSQL or RDS owns this role: never joined, never changed (design: safety rule 4)."""
        return self.name.startswith(("pg_", "rds")) or self.name == "rdsadmin"


@dataclass(frozen=True, slots=True)
class Membership:
    """`member` is in `role`. Before PostgreSQL 16 INHERIT follows the member's attribute and SET is always there."""

    role: Oid
    member: Oid
    grantor: Oid
    admin: bool = False
    inherit: bool = True
    set_role: bool = True


@dataclass(frozen=True, slots=True)
class Database:
    """A database that is no template; `connect` lists the grantees of CONNECT, PUBLIC (0) included."""

    oid: Oid
    name: str
    owner: Oid
    connect: frozenset[Oid]
    create: frozenset[Oid]
    allows_connections: bool = True
    default_acl: bool = False

    @property
    def is_system(self) -> bool:
        """Whether RDS keeps it for itself."""
        return self.name == "rdsadmin"


@dataclass(frozen=True, slots=True)
class Cluster:
    """The shared catalogs of one server, read in one snapshot.

    :param version: ``server_version_num``: 170010 for 17.10.
    :param patched_by_rds: the server is RDS's own build, which lets rds_superuser grant roles without ADMIN OPTION.
    """

    system_identifier: str
    version: int
    in_recovery: bool
    patched_by_rds: bool
    admin: Oid
    roles: Mapping[Oid, Role]
    memberships: tuple[Membership, ...]
    databases: Mapping[str, Database]

    def role(self, name: str) -> Role | None:
        return next((role for role in self.roles.values() if role.name == name), None)

    def reached_from(self, role: Oid) -> frozenset[Oid]:
        """Return the roles whose privileges `role` has without SET ROLE, itself included; PUBLIC is not among them."""
        found, todo = set[Oid](), [role]
        while todo:
            if (here := todo.pop()) not in found:
                found.add(here)
                todo.extend(m.role for m in self.memberships if m.member == here and m.inherit)
        return frozenset(found)

    def members_of(self, role: Oid) -> frozenset[Oid]:
        """Return the roles that have the privileges of `role` without SET ROLE, itself left out."""
        found, todo = set[Oid](), [role]
        while todo:
            here = todo.pop()
            for m in self.memberships:
                if m.role == here and m.inherit and m.member not in found:
                    found.add(m.member)
                    todo.append(m.member)
        return frozenset(found - {role})


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema that is no system schema; grantees of USAGE and CREATE, PUBLIC (0) included."""

    oid: Oid
    name: str
    owner: Oid
    usage: frozenset[Oid]
    create: frozenset[Oid]


@dataclass(frozen=True, slots=True)
class DefaultPrivileges:
    """One row of pg_default_acl: what `creator` gives on objects it makes, in `schema` (0: anywhere).

    :param kind: ``r`` relations, ``S`` sequences, ``n`` schemas, ``f`` functions, ``T`` types.
    :param readable_by: the grantees of SELECT (``n``: of USAGE).
    """

    creator: Oid
    schema: Oid
    kind: str
    readable_by: frozenset[Oid]


@dataclass(frozen=True, slots=True)
class Relations:
    """All relations of one owner in one schema, seen by one reader.

    :param reader: 0 where the reader does not exist yet and has what PUBLIC has.
    :param total: how many there are.
    :param missing: those that the reader cannot read: ``(name, kind)`` with kind as in `KINDS`, ordered.
    """

    reader: Oid
    schema: Oid
    owner: Oid
    total: int
    missing: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of one relation of which the spec may exclude some, seen by one reader.

    :param columns: ``(name, whether the reader can read it)``, in the order of the relation.
    """

    reader: Oid
    schema: Oid
    owner: Oid
    relation: str
    kind: str
    columns: tuple[tuple[str, bool], ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.columns)


@dataclass(frozen=True, slots=True)
class DatabaseCatalog:
    """One database, read in one snapshot.

    :param columns: only of relations that some exclusion of columns names.
    :param column_grants: by (reader, schema, relation), the columns that the owner has granted one by one, and whether
        with grant option; only of relations that the reader cannot read as a whole.
    """

    name: str
    owner: Oid
    schemas: Mapping[Oid, Schema]
    default_privileges: tuple[DefaultPrivileges, ...]
    relations: tuple[Relations, ...]
    columns: tuple[Columns, ...] = ()
    column_grants: Mapping[tuple[Oid, Oid, str], tuple[tuple[str, bool], ...]] = field(default_factory=dict)

    def only(self, schema: str) -> DatabaseCatalog:
        """Return what of it is about `schema`, and about objects anywhere."""
        schemas = {oid: found for oid, found in self.schemas.items() if found.name == schema}
        return replace(
            self,
            schemas=schemas,
            default_privileges=tuple(d for d in self.default_privileges if not d.schema or d.schema in schemas),
            relations=tuple(r for r in self.relations if r.schema in schemas),
            columns=tuple(c for c in self.columns if c.schema in schemas),
        )


# --- what is asked for -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of one run, beside the spec.

    :param allow_revoke: take away what readers have beyond the spec; without it, that is said and left.
    :param allow_drop: drop the roles in `departed`.
    :param database: look at this one alone; ``None``: at all that the spec names.
    :param schema: look at this one alone, in every database looked at.
    :param departed: roles that the last run made and the spec does not name any more, with their oids: a role of the
        same name made since is another one.
    """

    allow_revoke: bool = False
    allow_drop: bool = False
    database: str | None = None
    schema: str | None = None
    departed: Mapping[str, Oid] = field(default_factory=dict)


# --- what should change ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Call:
    """One AWS call, as data.

    Values of the form ``${name}`` in `parameters` stand for the output of an earlier call.

    :param service: botocore's service name: ``ec2``, ``rds``, ``secretsmanager``.
    :param operation: botocore's operation name: ``CreateSecurityGroup``.
    """

    service: str
    operation: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """One step nearer to the spec, with its sentence, its SQL or API call, and its exact inverse.

    :param action: a verb phrase from a fixed list, for programs: ``grant``, ``create role``, ``create replica``.
    :param object: what it is done to, as a person writes it.
    :param summary: the sentence that a person reads.
    :param sql: statements in order; executed as they stand, with no parameters.
    :param join: roles that the admin has to be a member of while `sql` runs (design: safety rule 4).
    :param password_of: the user whose password is made, stored and set by this change; `sql` then shows where the
        verifier goes and is completed when it is applied.
    :param undo: statements in order; empty where there is nothing to undo by SQL.
    """

    scope: Scope
    action: str
    object: str
    summary: str
    database: str | None = None
    sql: tuple[str, ...] = ()
    call: Call | None = None
    undo: tuple[str, ...] = ()
    join: tuple[str, ...] = ()
    password_of: str | None = None
    destructive: bool = False

    @property
    def id(self) -> str:
        """A short name that is the same for the same change in every plan."""
        call = () if self.call is None else (self.call.operation, repr(sorted(self.call.parameters.items())))
        key = "\0".join((self.scope, self.database or "", self.action, self.object, *self.sql, *call))
        return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Pending:
    """Something the spec names that does not exist yet, or that the next run will have to look at."""

    kind: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class BlockedObject:
    """Something the admin may not change, with the exact statement for who may."""

    object: str
    reason: str
    fix: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The ordered changes; nothing is executed while it is made."""

    changes: tuple[Change, ...] = ()
    pending: tuple[Pending, ...] = ()
    blocked: tuple[BlockedObject, ...] = ()

    def __add__(self, other: Plan) -> Plan:
        return Plan(
            self.changes + other.changes,
            self.pending + tuple(p for p in other.pending if p not in self.pending),
            self.blocked + tuple(b for b in other.blocked if b not in self.blocked),
        )

    def additive(self) -> Plan:
        """Return the plan without what takes something away."""
        return Plan(tuple(c for c in self.changes if not c.destructive), self.pending, self.blocked)

    def of(self, scope: Scope, database: str | None = None) -> tuple[Change, ...]:
        return tuple(c for c in self.changes if c.scope == scope and (database is None or c.database == database))


# --- what stands in the way, and what was proved ---------------------------------------------------------------------

Outcome = Literal["ok", "problem", "not checked"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that preflight looked at.

    :param detail: what was found; for `not checked`, why.
    :param fix: for a problem, the command or call that mends it.
    """

    name: str
    outcome: Outcome
    detail: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class ProofCheck:
    """One thing that was tried on the replica; `name` is from a fixed list, `detail` is what happened.

    :param tried: false where it could not be tried, which is no success either.
    """

    name: str
    database: str | None
    ok: bool
    detail: str
    tried: bool = True


@dataclass(frozen=True, slots=True)
class Proof:
    """The evidence that the replica behaves as declared.

    :param lsn: the primary's insert LSN after the last commit, or ``None`` where it was never read.
    :param waited_ms: milliseconds until the replica had replayed it.
    :param lag_ms: milliseconds between now and the last replayed commit, where the replica knows one.
    :param same_system: ``None``, as for the two after it, where the replica could not be asked.
    """

    lsn: str | None
    waited_ms: float
    lag_ms: float | None
    same_system: bool | None
    in_recovery: bool | None
    catalogs_match: bool | None
    checks: tuple[ProofCheck, ...]

    @property
    def ok(self) -> bool:
        return bool(self.same_system and self.in_recovery and self.catalogs_match) and all(c.ok for c in self.checks)

    @property
    def only_untried(self) -> bool:
        """Whether nothing that was tried failed, but something could not be tried."""
        failed = [check for check in self.checks if not check.ok]
        sound = self.same_system is not False and self.in_recovery is not False
        return bool(failed) and not any(check.tried for check in failed) and sound

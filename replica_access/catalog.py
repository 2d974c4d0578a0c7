"""What one server has: roles, memberships, privileges, read in one snapshot.

Frozen values, as `model` has them; ``postgres.catalog`` reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

from replica_access.model import PUBLIC, Oid


class Entry(NamedTuple):
    """One privilege of an ACL: who has it (0 is PUBLIC), from whom, and whether it may be passed on."""

    grantee: Oid
    grantor: Oid
    privilege: str
    grantable: bool = False


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
        return self.name.startswith(("pg_", "rds"))


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
    """A database that is no template; `connect` and `create` list grantees, PUBLIC (0) included.

    :param entries: its whole ACL.
    """

    oid: Oid
    name: str
    owner: Oid
    connect: frozenset[Oid]
    create: frozenset[Oid]
    allows_connections: bool = True
    entries: tuple[Entry, ...] = ()

    @property
    def is_system(self) -> bool:
        """Whether RDS keeps it for itself."""
        return self.name == "rdsadmin"


@dataclass(frozen=True)
class Cluster:
    """The shared catalogs of one server, read in one snapshot.

    :param version: ``server_version_num``: 170010 for 17.10.
    :param patched_by_rds: the server is RDS's own build, which lets rds_superuser grant roles without ADMIN OPTION.
    :param unmade: roles that are taken for not made yet: no name finds them, and what they own has its owner.
    """

    system_identifier: str
    version: int
    in_recovery: bool
    patched_by_rds: bool
    admin: Oid
    roles: Mapping[Oid, Role]
    memberships: tuple[Membership, ...]
    databases: Mapping[str, Database]
    unmade: frozenset[Oid] = frozenset()

    @cached_property
    def _by_name(self) -> Mapping[str, Role]:
        return {role.name: role for role in self.roles.values() if role.oid not in self.unmade}

    @cached_property
    def _groups(self) -> Mapping[Oid, tuple[Oid, ...]]:
        """By member, the roles whose privileges it has through a membership of its own."""
        found: dict[Oid, list[Oid]] = {}
        for m in self.memberships:
            if m.inherit:
                found.setdefault(m.member, []).append(m.role)
        return {member: tuple(groups) for member, groups in found.items()}

    @cached_property
    def _members(self) -> Mapping[Oid, tuple[Oid, ...]]:
        found: dict[Oid, list[Oid]] = {}
        for member, groups in self._groups.items():
            for group in groups:
                found.setdefault(group, []).append(member)
        return {group: tuple(members) for group, members in found.items()}

    def role(self, name: str) -> Role | None:
        return self._by_name.get(name)

    def reached_from(self, role: Oid) -> frozenset[Oid]:
        """Return the roles whose privileges `role` has without SET ROLE, itself included; PUBLIC is not among them."""
        return _closure(role, self._groups)

    def members_of(self, role: Oid) -> frozenset[Oid]:
        """Return the roles that have the privileges of `role` without SET ROLE, itself left out."""
        return _closure(role, self._members) - {role}


def _closure(start: Oid, next_to: Mapping[Oid, tuple[Oid, ...]]) -> frozenset[Oid]:
    found, todo = set[Oid](), [start]
    while todo:
        if (here := todo.pop()) not in found:
            found.add(here)
            todo.extend(next_to.get(here, ()))
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class Holdings:
    """How much depends on some roles, and where: pg_shdepend, counted.

    :param database: its oid; 0 for what is shared by all of them.
    :param catalog: where the object is: ``pg_class``, ``pg_proc``.
    :param kind: ``a``: the role is in its ACL; ``o``: it owns it; others as in pg_shdepend.deptype.
    :param columns: of columns of the objects, not of them as a whole.
    """

    database: Oid
    catalog: str
    kind: str
    role: Oid
    columns: bool
    count: int


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema; grantees of USAGE and CREATE, PUBLIC (0) included.

    :param entries: those of its ACL that readers have.
    """

    oid: Oid
    name: str
    owner: Oid
    usage: frozenset[Oid]
    create: frozenset[Oid]
    entries: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class DefaultPrivileges:
    """One row of pg_default_acl: what `creator` gives on objects it makes, in `schema` (0: anywhere).

    :param kind: ``r`` relations, ``S`` sequences, ``n`` schemas, ``f`` functions, ``T`` types.
    :param readable_by: the grantees of what a reader needs: SELECT, USAGE on schemas and types, EXECUTE.
    :param entries: those that readers have.
    """

    creator: Oid
    schema: Oid
    kind: str
    readable_by: frozenset[Oid]
    entries: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class Relations:
    """Relations of one owner in one schema with one ACL, which is not what all readers want.

    :param sequences: whether they are sequences, or anything else that can be read.
    :param entries: of the ACL, or of what stands for none: whoever has SELECT, and all that readers have or passed on.
    :param names: ``(name, kind)``, kind as in `KINDS`; none where it takes none to know that nothing has to be done.
    :param crowded: those whose ACL has no room for another reader: a row of pg_class has to fit a page.
    """

    schema: Oid
    owner: Oid
    sequences: bool
    total: int
    entries: tuple[Entry, ...]
    names: tuple[tuple[str, str], ...] = ()
    crowded: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of one relation of which the spec may exclude some.

    :param readable_by: who has SELECT on the whole of it, PUBLIC (0) included.
    :param columns: ``(name, who has SELECT on it alone)``, in the order of the relation.
    """

    schema: Oid
    owner: Oid
    relation: str
    kind: str
    readable_by: frozenset[Oid]
    columns: tuple[tuple[str, frozenset[Oid]], ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.columns)


@dataclass(frozen=True, slots=True)
class ColumnGrants:
    """What readers were granted on columns of one relation: ``(column, entry)``, in the order of the relation.

    :param passing: who may pass on what on the relation as a whole, and so on each column.
    """

    schema: Oid
    owner: Oid
    relation: str
    kind: str
    entries: tuple[tuple[str, Entry], ...]
    passing: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class Object:
    """Something else with an ACL: a routine, a type, a language, a foreign server, a large object, …

    :param kind: as GRANT names it: ``ROUTINE``, ``TYPE``, ``FOREIGN SERVER``.
    :param schema: 0 where it is in none.
    :param name: the bare name, as exclusions mean it.
    :param identity: as SQL writes it, quoted and qualified, with its argument types.
    :param entries: of its ACL, or of what stands for none: as in `Relations`, of EXECUTE and USAGE.
    """

    kind: str
    schema: Oid
    owner: Oid
    name: str
    identity: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class DatabaseCatalog:
    """One database, read in one snapshot.

    :param owners: by (schema, owner), how many relations there are.
    :param relations: where something may have to be done.
    :param excluded: relations that some exclusion may mean, and that readers hold something on or can read.
    :param columns: only of relations that some exclusion of columns names.
    :param routines: functions, procedures and types that some reader wants to use, and may not be able to.
    :param held: what readers hold privileges on beside schemas, relations and columns.
    :param stock: by schema, the oids of all that can be read; none where nobody asked.
    """

    name: str
    owner: Oid
    schemas: Mapping[Oid, Schema]
    default_privileges: tuple[DefaultPrivileges, ...]
    owners: Mapping[tuple[Oid, Oid], int] = field(default_factory=dict)
    relations: tuple[Relations, ...] = ()
    excluded: tuple[Relations, ...] = ()
    columns: tuple[Columns, ...] = ()
    column_grants: tuple[ColumnGrants, ...] = ()
    routines: tuple[Object, ...] = ()
    held: tuple[Object, ...] = ()
    stock: Mapping[Oid, tuple[Oid, ...]] = field(default_factory=dict)

    def only(self, schema: str) -> DatabaseCatalog:
        """Return what of it is about `schema`, and about objects anywhere."""
        schemas = {oid: found for oid, found in self.schemas.items() if found.name == schema}
        return replace(
            self,
            schemas=schemas,
            default_privileges=tuple(d for d in self.default_privileges if d.schema in {PUBLIC, *schemas}),
            owners={place: total for place, total in self.owners.items() if place[0] in schemas},
            relations=tuple(r for r in self.relations if r.schema in schemas),
            excluded=tuple(r for r in self.excluded if r.schema in schemas),
            columns=tuple(c for c in self.columns if c.schema in schemas),
            column_grants=tuple(c for c in self.column_grants if c.schema in schemas),
            routines=tuple(r for r in self.routines if r.schema in schemas),
            held=tuple(h for h in self.held if h.schema in schemas),
        )

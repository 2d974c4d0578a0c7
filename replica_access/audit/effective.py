"""Effective access: who really holds which privilege, computed from the catalog as the server itself does it.

::

    rights = audit_catalog.read_rights(connection)          # one database, one snapshot
    access = Access(rights)
    for objects in rights.objects:                          # all that have one ACL, at once
        for privilege in access.privileges(objects):
            access.holders(objects, privilege)              # the roles for which has_*_privilege is true
    access.holds(role, objects, "SELECT")                   # one role's, the same answer
    access.of(role, objects)                                # all that a role holds: frozenset({"SELECT"})
    access.missing_gates(role, objects)                     # and CONNECT, USAGE, without which that is no use
    access.has_rights_of(role)                              # whose privileges count as its own, by INHERIT
    access.becomes(role)                                    # whom it can SET ROLE to: more is within reach
    access.future(creator, "app", "table")                  # what the next table will be like, as `Objects`

Roles are oids; ``rights.roles`` knows their names, ``rights.role(name)`` their oids. What `holders` says is exactly
what ``has_table_privilege`` and its kin say: memberships count by INHERIT alone, ownership by what the ACL lets the
owner do, and gates are another question.

Sets of roles are numbers inside, a bit a role: thousands of ACLs times hundreds of roles take milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from replica_access.catalog import Entry, Membership
from replica_access.model import PUBLIC, Oid
from replica_access.rights import RELATIONS, SHARED, Default, Kind, Objects, Rights, privileges_of

WRITES = frozenset({"INSERT", "UPDATE", "DELETE"})
_CATALOG_WRITES = WRITES | {"TRUNCATE", "USAGE"}
"""What nobody but superusers may do with system catalogs (aclchk.c, pg_class_aclmask_ext)."""

_OPTIONS_SINCE = 160000


def is_closed(objects: Objects, privilege: str) -> bool:
    """Return whether nobody but superusers has `privilege`, whatever the ACL says: to write to a system catalog."""
    return objects.catalog and objects.kind != "column" and privilege in _CATALOG_WRITES


def predefined_roles(kind: Kind, privilege: str) -> tuple[str, ...]:
    """Return the predefined roles that hold `privilege` on all objects of that kind.

    (aclchk.c: pg_class_aclmask_ext, object_aclmask_ext)
    """
    if kind in RELATIONS:
        if privilege == "SELECT":
            return ("pg_read_all_data",)
        if privilege in WRITES:
            return ("pg_write_all_data",)
        return ("pg_maintain",) if privilege == "MAINTAIN" else ()
    return ("pg_read_all_data", "pg_write_all_data") if (kind, privilege) == ("schema", "USAGE") else ()


@dataclass(frozen=True, slots=True)
class Gate:
    """What has to be held beside a privilege on an object: CONNECT on its database, USAGE on its schema."""

    privilege: Literal["CONNECT", "USAGE"]
    objects: Objects
    name: str


class Access:
    """Who may do what in one database.

    :param rights: what was read of it.
    """

    def __init__(self, rights: Rights) -> None:
        self.rights = rights
        self._bit = {oid: 1 << number for number, oid in enumerate(sorted(rights.roles))}
        self._everybody = (1 << len(self._bit)) - 1
        self._superusers = self._mask(oid for oid, role in rights.roles.items() if role.superuser)
        self._by_acl: dict[int, tuple[tuple[Entry, ...], Mapping[tuple[str, bool], int]]] = {}
        self._sets: dict[int, frozenset[Oid]] = {}

    # --- roles ---------------------------------------------------------------------------------------------------

    def has_rights_of(self, role: Oid) -> frozenset[Oid]:
        """Return the roles whose privileges `role` has without SET ROLE, itself included: ``pg_has_role(…, 'USAGE')``.

        A superuser has those of all.
        """
        return self._reached(role, self._inheriting)

    def becomes(self, role: Oid) -> frozenset[Oid]:
        """Return the roles that `role` can SET ROLE to, itself included: ``pg_has_role(…, 'SET')``."""
        return self._reached(role, self._setting)

    def is_member_of(self, role: Oid) -> frozenset[Oid]:
        """Return the roles that `role` is, by whatever memberships: ``pg_has_role(…, 'MEMBER')``."""
        return self._reached(role, self._belonging)

    def administers(self, role: Oid) -> frozenset[Oid]:
        """Return the roles that `role` may grant to others: ``pg_has_role(…, 'MEMBER WITH ADMIN OPTION')``.

        By memberships alone: CREATEROLE gives more before PostgreSQL 16.
        """
        if self.rights.roles[role].superuser:
            return frozenset(self.rights.roles)
        is_member_of = self.is_member_of(role)
        return frozenset(m.role for m in self.rights.memberships if m.admin and m.member in is_member_of)

    def with_rights_of(self, role: Oid) -> frozenset[Oid]:
        """Return the roles that have the privileges of `role`, itself and superusers included."""
        return self._set(self._reaching[role] | self._superusers)

    def _reached(self, role: Oid, edges: Mapping[Oid, tuple[Oid, ...]]) -> frozenset[Oid]:
        if self.rights.roles[role].superuser:
            return frozenset(self.rights.roles)
        return _closure(role, edges)

    @property
    def owner_inherits(self) -> bool:
        """Whether the owner of the database has the privileges of pg_database_owner, whose one member it is."""
        owner = self.rights.roles.get(self.rights.owner)
        return self.rights.version >= _OPTIONS_SINCE or (owner is not None and owner.inherit)

    @cached_property
    def _inheriting(self) -> Mapping[Oid, tuple[Oid, ...]]:
        return self._edges(lambda m: m.inherit, with_owner=self.owner_inherits)

    @cached_property
    def _setting(self) -> Mapping[Oid, tuple[Oid, ...]]:
        return self._edges(lambda m: m.set_role)

    @cached_property
    def _belonging(self) -> Mapping[Oid, tuple[Oid, ...]]:
        return self._edges(lambda _: True)

    def _edges(self, counts: Callable[[Membership], bool], *, with_owner: bool = True) -> Mapping[Oid, tuple[Oid, ...]]:
        """Return by member what it is in directly; the owner of the database is in pg_database_owner, in no catalog."""
        found: dict[Oid, list[Oid]] = {}
        for membership in self.rights.memberships:
            if counts(membership):
                found.setdefault(membership.member, []).append(membership.role)
        owners = self.rights.role("pg_database_owner")
        if owners is not None and with_owner:
            found.setdefault(self.rights.owner, []).append(owners.oid)
        return {member: tuple(dict.fromkeys(roles)) for member, roles in found.items()}

    @cached_property
    def _reaching(self) -> Mapping[Oid, int]:
        """By role, who has its privileges; by 0, who has those of PUBLIC."""
        found = dict(self._bit)
        for role, bit in self._bit.items():
            for reached in _closure(role, self._inheriting):
                found[reached] = found.get(reached, 0) | bit
        return found | {PUBLIC: self._everybody}

    @cached_property
    def _reaching_by_name(self) -> Mapping[str, int]:
        predefined = (role for role in self.rights.roles.values() if role.name.startswith("pg_"))
        return {role.name: self._reaching[role.oid] for role in predefined}

    # --- privileges ----------------------------------------------------------------------------------------------

    def privileges(self, objects: Objects) -> tuple[str, ...]:
        """Return what can be granted on objects of that kind."""
        return privileges_of(objects.kind, self.rights.version)

    def holders(self, objects: Objects, privilege: str, *, grantable: bool = False) -> frozenset[Oid]:
        """Return the roles that hold `privilege` on `objects`; with `grantable`, those that may grant it to others.

        On a column one holds what one holds on the whole relation. PUBLIC is no role: everybody is listed instead.
        """
        return self._set(self._holding(objects, privilege, grantable))

    def holds(self, role: Oid, objects: Objects, privilege: str, *, grantable: bool = False) -> bool:
        return bool(self._holding(objects, privilege, grantable) & self._bit[role])

    def of(self, role: Oid, objects: Objects) -> frozenset[str]:
        """Return all that `role` holds on `objects`."""
        bit = self._bit[role]
        return frozenset(p for p in self.privileges(objects) if self._holding(objects, p, False) & bit)

    def within_reach(self, role: Oid, objects: Objects, privilege: str) -> bool:
        """Return whether `role` holds it, or would after SET ROLE."""
        return bool(self._holding(objects, privilege, False) & self._mask(self.becomes(role)))

    def _holding(self, objects: Objects, privilege: str, grantable: bool) -> int:
        if objects.kind == "large object" and self.rights.large_objects_open:
            return self._everybody
        found = self._granted(objects.entries).get((privilege, grantable), 0)
        if grantable:
            found |= self._reaching[objects.owner]  # an owner may grant what it took from itself
        elif is_closed(objects, privilege):
            found = 0
        else:
            for predefined in predefined_roles(objects.kind, privilege):
                found |= self._reaching_by_name.get(predefined, 0)
        if objects.kind == "column":
            relation = self.rights.relation(objects.schema, objects.relation)
            found |= 0 if relation is None else self._holding(relation, privilege, grantable)
        return found | self._superusers

    def _granted(self, entries: tuple[Entry, ...]) -> Mapping[tuple[str, bool], int]:
        """Return by privilege who has it by an ACL alone; every ACL is gone through once."""
        known = self._by_acl.get(id(entries))
        if known is not None:
            return known[1]
        found: dict[tuple[str, bool], int] = {}
        for entry in entries:
            who = self._reaching.get(entry.grantee, 0)
            found[entry.privilege, False] = found.get((entry.privilege, False), 0) | who
            if entry.grantable:
                found[entry.privilege, True] = found.get((entry.privilege, True), 0) | who
        self._by_acl[id(entries)] = entries, found  # kept, so that no other tuple gets its id
        return found

    # --- gates ---------------------------------------------------------------------------------------------------

    def gates(self, objects: Objects) -> Iterator[Gate]:
        """Yield what else has to be held to use `objects`; a gate has none of its own but CONNECT."""
        database = self.rights.find("database", self.rights.database)
        if database is not None and objects.kind not in SHARED:
            yield Gate("CONNECT", database, self.rights.database)
        schema = self.rights.find("schema", objects.schema) if objects.schema else None
        if schema is not None:
            yield Gate("USAGE", schema, objects.schema)

    def missing_gates(self, role: Oid, objects: Objects) -> tuple[Gate, ...]:
        """Return the gates that are closed for `role`, whatever it holds on `objects`."""
        return tuple(gate for gate in self.gates(objects) if not self.holds(role, gate.objects, gate.privilege))

    # --- what is to come -----------------------------------------------------------------------------------------

    def future(self, creator: Oid, schema: str, kind: Kind) -> Objects:
        """Return what the next `kind` of object that `creator` makes in `schema` will be like (aclchk.c:
        get_user_default_acl)."""
        group = _GROUPS.get(kind, kind)
        by_place = {default.schema: default for default in self._defaults.get((creator, group), ())}
        anywhere = by_place.get("")
        entries = _usual(creator, kind, self.rights.version) if anywhere is None else anywhere.entries
        here = by_place.get(schema) if schema else None
        if here is not None:
            entries = tuple(dict.fromkeys((*entries, *here.entries)))
        where = "" if kind == "schema" else schema
        return Objects(kind, where, creator, entries, (), total=0, is_default=anywhere is None and here is None)

    @cached_property
    def _defaults(self) -> Mapping[tuple[Oid, str], tuple[Default, ...]]:
        found: dict[tuple[Oid, str], list[Default]] = {}
        for default in self.rights.defaults:
            found.setdefault((default.creator, default.kind), []).append(default)
        return {place: tuple(defaults) for place, defaults in found.items()}

    # --- sets ----------------------------------------------------------------------------------------------------

    def _mask(self, roles: Iterable[Oid]) -> int:
        return _union(self._bit[role] for role in roles)

    def _set(self, mask: int) -> frozenset[Oid]:
        if mask not in self._sets:
            self._sets[mask] = frozenset(role for role, bit in self._bit.items() if mask & bit)
        return self._sets[mask]


_GROUPS: Mapping[Kind, str] = {
    "partitioned table": "table",
    "view": "table",
    "materialized view": "table",
    "foreign table": "table",
    "procedure": "function",
    "domain": "type",
}
"""What ALTER DEFAULT PRIVILEGES counts as what."""

_FOR_EVERYBODY: Mapping[Kind, str] = {
    "function": "EXECUTE", "procedure": "EXECUTE", "type": "USAGE", "domain": "USAGE", "language": "USAGE",
}  # fmt: skip
"""What PUBLIC has on new objects (acl.c: acldefault)."""


def _usual(owner: Oid, kind: Kind, version: int) -> tuple[Entry, ...]:
    for_everybody = (Entry(PUBLIC, owner, _FOR_EVERYBODY[kind]),) if kind in _FOR_EVERYBODY else ()
    return (*for_everybody, *(Entry(owner, owner, privilege) for privilege in privileges_of(kind, version)))


def _union(masks: Iterable[int]) -> int:
    found = 0
    for mask in masks:
        found |= mask
    return found


def _closure(start: Oid, edges: Mapping[Oid, tuple[Oid, ...]]) -> frozenset[Oid]:
    found, todo = set[Oid](), [start]
    while todo:
        if (here := todo.pop()) not in found:
            found.add(here)
            todo.extend(edges.get(here, ()))
    return frozenset(found)

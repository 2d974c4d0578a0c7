"""May the admin act for an owner? And what has to be joined for it, for the length of a transaction.

The rules are the server's (aclchk.c, user.c): a GRANT needs the privileges of the owner, or its grant options; until
PostgreSQL 15 CREATEROLE may grant any role that is no superuser; since 16 it needs ADMIN OPTION on that role, which RDS
waives for rds_superuser.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property

from replica_access.catalog import Cluster, Entry, Role
from replica_access.model import PUBLIC, Oid
from replica_access.names import shown


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the admin may not act for a role, and who could."""

    reason: str
    by: str


class Authority:
    """What the admin of one server may do there; answers only, no state."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.admin = cluster.roles[cluster.admin]
        self.reach = cluster.reached_from(cluster.admin)
        self.options = cluster.version >= 160000
        # Asked once a schema or more, of the same few roles.
        self._administered = frozenset(m.role for m in cluster.memberships if m.admin and m.member in self.reach)
        self._reached_from = cache(cluster.reached_from)

    def owner_of(self, owner: Oid, database_owner: Oid) -> Oid:
        """Return the role to act as: pg_database_owner stands for the owner of the database.

        Before PostgreSQL 16 an owner with NOINHERIT has none of its rights: then nobody stands for it.
        """
        role, stands_for = self.cluster.roles.get(owner), self.cluster.roles.get(database_owner)
        if role is None or role.name != "pg_database_owner" or stands_for is None:
            return owner
        return database_owner if stands_for.inherit or self.options else owner

    def acts_as(self, owner: Oid) -> bool:
        """Whether the admin has the rights of `owner` already."""
        return self.admin.superuser or owner in self.reach

    def refusal(self, owner: Oid) -> Refusal | None:
        """Return why the admin may neither act for `owner` nor join it; ``None`` where it may."""
        if self.acts_as(owner):
            return None
        role = self.cluster.roles.get(owner)
        if role is None:
            return Refusal(f"its owner (role {owner}) does not exist any more", "a superuser")
        if role.superuser:
            return Refusal(f"{shown(role.name)} is a superuser, which {self._me} may not join", shown(role.name))
        if role.is_system:
            return Refusal(f"{shown(role.name)} is a system role, which is never joined", "a superuser")
        if not self.admin.inherit and not self.options:
            return Refusal(
                f"{self._me} has NOINHERIT, so joining {shown(role.name)} would give it nothing", shown(role.name)
            )
        if self.may_grant(role):
            return None
        if self.options:
            return Refusal(f"{self._me} has no ADMIN OPTION on {shown(role.name)}", shown(role.name))
        return Refusal(f"{self._me} has no CREATEROLE, so it may not join {shown(role.name)}", shown(role.name))

    def refusal_to_become(self, role: Oid) -> Refusal | None:
        """Return why the admin may not run statements as `role`; ``None`` where it may, if need be after joining it."""
        found = self.cluster.roles.get(role)
        if found is None:
            return Refusal(f"its grantor (role {role}) does not exist any more", "a superuser")
        if self.admin.superuser or role in self._settable:
            return None
        if found.superuser:
            return Refusal(f"{shown(found.name)}, who granted it, is a superuser", shown(found.name))
        if found.is_system:
            return Refusal(f"{shown(found.name)}, who granted it, is a system role", "a superuser")
        if self.may_grant(found):
            return None
        return Refusal(f"{self._me} may not act as {shown(found.name)}, who granted it", shown(found.name))

    def granting(self, owner: Oid, entries: Iterable[Entry]) -> Oid | None:
        """Return the role to be while granting on something of `owner`; ``None``: the admin, as a member of the owner.

        Where somebody else may pass it on, the server could take that one for the grantor; see `taking.actor`.
        """
        passing = any(entry.grantable and entry.grantee != owner for entry in entries)
        return owner if passing and not self.admin.superuser and self.refusal_to_become(owner) is None else None

    def becomes(self, role: Oid) -> tuple[str, ...]:
        """Return the roles to join so that the admin can run statements as `role`: itself, or none."""
        ready = self.admin.superuser or role in self._settable
        return () if ready else (self.cluster.roles[role].name,)

    @cached_property
    def _settable(self) -> frozenset[Oid]:
        """The roles that the admin can be with SET ROLE today."""
        found, todo = set[Oid](), [self.admin.oid]
        while todo:
            if (here := todo.pop()) not in found:
                found.add(here)
                todo.extend(m.role for m in self.cluster.memberships if m.member == here and m.set_role)
        return frozenset(found)

    def may_grant(self, role: Role) -> bool:
        """Whether the admin may make somebody a member of `role`, itself included."""
        if self.admin.superuser:
            return True
        if role.oid in self._administered:
            return True
        if self.options:
            return self.cluster.patched_by_rds and self._is_rds_superuser
        return self.admin.create_role and not role.superuser

    def may_alter(self, role: Role) -> bool:
        """Whether the admin may change the attributes of `role`."""
        if self.admin.superuser:
            return True
        if role.superuser or not self.admin.create_role:
            return False
        return not self.options or self.may_grant(role)

    def joins(self, owners: Iterable[Oid]) -> tuple[str, ...]:
        """Return the names of those of `owners` that the admin has to join, each once."""
        names = self.cluster.roles
        return tuple(dict.fromkeys(names[owner].name for owner in owners if not self.acts_as(owner)))

    def reach_with(self, owners: Iterable[Oid]) -> frozenset[Oid]:
        """Return the roles whose rights the admin has once it has joined `owners`."""
        return self.reach.union(*map(self._reached_from, owners))

    def sees_schema(self, usage: frozenset[Oid], reach: frozenset[Oid]) -> bool:
        """Whether the admin, with the rights of `reach`, can name what is in a schema whose USAGE `usage` holds."""
        return self.admin.superuser or PUBLIC in usage or not usage.isdisjoint(reach)

    @property
    def _me(self) -> str:
        return f"the admin {shown(self.admin.name)}"

    @property
    def _is_rds_superuser(self) -> bool:
        return any(self.cluster.roles[oid].name == "rds_superuser" for oid in self.reach)

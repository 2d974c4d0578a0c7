"""The server as it will be once the roles of the spec are there: what a database lacks is judged by that. Pure.

`apply` makes roles and memberships first. What a plan says about databases has to hold after that, or it would not be
what is carried out: a new login reads through its groups, and is a creator where its group may create.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from replica_access.catalog import Cluster, Membership, Role
from replica_access.desired import Desired
from replica_access.model import Request


def foresee(desired: Desired, cluster: Cluster, request: Request) -> Cluster:
    """Return `cluster` with the roles and memberships that `desired` adds; roles to be made have oids below zero.

    Where revoking is allowed, memberships that the spec does not name are gone.
    """
    roles = dict(cluster.roles)
    beyond = frozenset(undeclared(desired, cluster)) if request.allow_revoke else frozenset()
    memberships = [_as_it_will_inherit(m, desired, cluster) for m in cluster.memberships if m not in beyond]
    for number, wanted in enumerate(desired.roles, start=1):
        if cluster.role(wanted.name) is None:
            roles[-number] = Role(-number, wanted.name, login=wanted.login)
            if cluster.version >= 160000 and not roles[cluster.admin].superuser:  # who makes a role administers it
                memberships.append(Membership(-number, cluster.admin, cluster.admin, True, False, False))
    oids = {role.name: role.oid for role in roles.values() if role.oid not in cluster.unmade}
    known = {(m.role, m.member) for m in memberships if m.inherit}
    for wanted in desired.roles:
        groups = (oids[group] for group in wanted.member_of if group in oids)
        memberships += [
            Membership(group, oids[wanted.name], cluster.admin)
            for group in groups
            if (group, oids[wanted.name]) not in known
        ]
    return replace(cluster, roles=roles, memberships=tuple(memberships))


def without(names: Iterable[str], cluster: Cluster) -> Cluster:
    """Return `cluster` as if the roles `names` were not made yet."""
    unmade = frozenset(role.oid for name in names if (role := cluster.role(name)) is not None)
    return replace(cluster, unmade=unmade, memberships=tuple(m for m in cluster.memberships if m.member not in unmade))


def undeclared(desired: Desired, cluster: Cluster) -> Iterator[Membership]:
    """Yield the memberships of readers that the spec does not name."""
    groups_of = {
        role.oid: {group.oid for name in wanted.member_of if (group := cluster.role(name)) is not None}
        for wanted in desired.roles
        if (role := cluster.role(wanted.name)) is not None
    }
    return (m for m in cluster.memberships if m.member in groups_of and m.role not in groups_of[m.member])


def _as_it_will_inherit(membership: Membership, desired: Desired, cluster: Cluster) -> Membership:
    """Before PostgreSQL 16 INHERIT is an attribute of the member, and mended where the spec puts it into a group."""
    member = cluster.roles.get(membership.member)
    mended = any(member is not None and wanted.name == member.name and wanted.member_of for wanted in desired.roles)
    return replace(membership, inherit=True) if mended and cluster.version < 160000 else membership

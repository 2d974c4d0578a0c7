"""Whom an audit judges for, where the role that looks may change nothing itself. Pure.

What a plan lacks, what may not be granted, and who is a stranger depend on who is going to do it. That is the admin,
also where somebody else has a look.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from replica_access.catalog import Cluster
from replica_access.model import Oid

BOOTSTRAP: Oid = 10
"""The superuser of initdb: since PostgreSQL 16 the grantor of what whoever makes a role gets on it (user.c)."""


def for_the_admin(cluster: Cluster, readers: Collection[str], admin: str | None = None) -> Cluster:
    """Return `cluster` as its admin would see it, where the role that sees it can make no role.

    :param readers: the names of the spec's.
    :param admin: its name, where that is known: the master user of RDS.
    """
    asking = cluster.roles[cluster.admin]
    if asking.superuser or asking.create_role:
        return cluster
    named = cluster.role(admin) if admin is not None else None
    found = named.oid if named is not None else _who_made(cluster, readers) or _superuser(cluster)
    return replace(cluster, admin=found if found is not None else cluster.admin)


def _who_made(cluster: Cluster, readers: Collection[str]) -> Oid | None:
    """Return who has made any of `readers`, which PostgreSQL tells since 16; ``None`` where it was a superuser."""
    made = {role.oid for name in readers if (role := cluster.role(name)) is not None}
    makers = (m.member for m in cluster.memberships if m.role in made and m.admin and m.grantor == BOOTSTRAP)
    return next((oid for oid in makers if cluster.roles[oid].create_role), None)


def _superuser(cluster: Cluster) -> Oid | None:
    return min((role.oid for role in cluster.roles.values() if role.superuser), default=None)

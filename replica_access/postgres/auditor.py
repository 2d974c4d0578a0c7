"""The role that an audit runs as: a login that may connect to each database, and has nothing else. Pure.

Everybody may read the catalogs that an audit reads, on a replica as well. So it is given no privilege on any object, no
predefined role, and no attribute: what is left to give is CONNECT, which every database may have taken from PUBLIC.
"""

from __future__ import annotations

from dataclasses import replace

from replica_access.catalog import Cluster
from replica_access.desired import Desired, WantedRole
from replica_access.model import PUBLIC, Pending, Plan
from replica_access.names import is_utf8, shown
from replica_access.postgres.authority import Authority
from replica_access.postgres.diff_roles import connect, diff_roles
from replica_access.postgres.foresight import without


def plan_auditor(cluster: Cluster, name: str, *, by_iam: bool) -> Plan:
    """Return what makes the login `name` for audits of the server, were it not there yet.

    A database that PUBLIC may connect to, and that the admin may not grant, is no reason to stop: it is said.

    :param by_iam: whether it logs in by IAM, and has no password.
    """
    bare = without([name], cluster)
    wanted = WantedRole(
        name,
        login=True,
        member_of=("rds_iam",) if by_iam else (),
        settings={"default_transaction_read_only": "on"},
        comment="audits who may read what, by replica-access",
        secret=None if by_iam else "",
    )
    plan = diff_roles(Desired((wanted,), {}, (), ()), bare, frozenset())
    for database in bare.databases.values():
        if not database.allows_connections or database.is_system or not is_utf8(database.name):
            continue
        allowed = connect(name, [database], Authority(bare))
        if allowed.blocked and PUBLIC in database.connect:
            reason = f"is open to everybody, and {allowed.blocked[0].reason}: nothing is granted there"
            allowed = Plan(pending=(Pending("database", shown(database.name), reason),))
        plan += replace(allowed, blocked=tuple(replace(each, optional=True) for each in allowed.blocked))
    return plan

"""Whom an audit judges for: whoever looks and can make roles, or else the admin, as far as anything tells who."""

from __future__ import annotations

import pytest

from replica_access.catalog import Cluster, Membership, Role
from replica_access.on_behalf import BOOTSTRAP, for_the_admin

SUPERUSER = Role(BOOTSTRAP, "postgres", superuser=True)
MASTER, AUDITOR = Role(20, "master", create_role=True), Role(21, "auditor")
READER, STRANGER = Role(30, "readers"), Role(40, "stranger", create_role=True)
MADE = Membership(READER.oid, MASTER.oid, BOOTSTRAP, admin=True)


def cluster(asker: Role, *memberships: Membership) -> Cluster:
    roles = {role.oid: role for role in (SUPERUSER, MASTER, AUDITOR, READER, STRANGER)}
    return Cluster("1", 170000, False, True, asker.oid, roles, memberships, {})


@pytest.mark.parametrize("asker", [SUPERUSER, MASTER, STRANGER])
def test_whoever_makes_roles_judges_for_itself(asker: Role) -> None:
    assert for_the_admin(cluster(asker, MADE), ["readers"], "master").admin == asker.oid


@pytest.mark.parametrize(
    ("memberships", "named", "admin"),
    [
        ((), "stranger", STRANGER),  # RDS tells who its master user is
        ((MADE,), None, MASTER),
        ((MADE,), "long gone", MASTER),
        ((Membership(READER.oid, STRANGER.oid, MASTER.oid, admin=True), MADE), None, MASTER),  # let in later
        ((), None, SUPERUSER),
    ],
)
def test_for_whom_an_auditor_judges(memberships: tuple[Membership, ...], named: str | None, admin: Role) -> None:
    assert for_the_admin(cluster(AUDITOR, *memberships), ["readers", "not made yet"], named).admin == admin.oid

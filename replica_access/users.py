"""The logins of a spec, as whoever wants to use one meets them: pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from difflib import get_close_matches
from typing import TYPE_CHECKING

from replica_access.catalog import Cluster, Role
from replica_access.errors import Error, UsageError
from replica_access.model import PUBLIC
from replica_access.names import is_utf8, shown
from replica_access.patterns import matches

if TYPE_CHECKING:
    from replica_access.spec import Spec


IAM = "rds_iam"
"""The group whose members RDS lets in by an IAM token, and by nothing else."""


def require(spec: Spec, user: str, today: date) -> None:
    """Refuse a `user` who cannot log in.

    :param today: in UTC, as VALID UNTIL is.
    :raises UsageError: the spec has no such user: says which it has.
    :raises Error: the user has expired.
    """
    require_declared(spec, user)
    declared = spec.users[user]
    if declared.valid_until is not None and declared.valid_until < today:
        raise Error(
            f"{shown(user)} has expired: users.{shown(user)}.valid_until of the spec is {declared.valid_until}.",
            "Write a later day there and run `replica-access apply`.",
        )


def require_declared(spec: Spec, user: str) -> None:
    """Refuse a `user` whom the spec does not know.

    :raises UsageError: says which users it has.
    """
    if user not in spec.users:
        raise UsageError(_no_such_user(spec, user), _whom_instead(spec, user))


def _no_such_user(spec: Spec, user: str) -> str:
    if user in spec.roles:
        return f"{shown(user)} is a role of the spec, and nobody logs in as that."
    return f"There is no user {shown(user)} in the spec."


def _whom_instead(spec: Spec, user: str) -> str:
    if not spec.users:
        return "It has no users: write one, [users.NAME]."
    members = [name for name in spec.users if user in spec.groups_of(name)]
    if close := members[:1] or get_close_matches(user, spec.users, n=1, cutoff=0.5):
        return f"Did you mean {shown(close[0])}? There are: {', '.join(map(shown, spec.users))}."
    return f"There are: {', '.join(map(shown, spec.users))}."


def first_that_fits(spec: Spec, user: str, databases: Iterable[str], *, but: str) -> str | None:
    """Return the first of `databases` that the grants of `user` take in.

    :param but: the maintenance database, which is taken only where there is no other.
    """
    known = [name for name in databases if is_utf8(name)]
    for grant in spec.grants_of(user):
        for pattern in grant.databases:
            if found := [name for name in known if matches(name, pattern)]:
                return next((name for name in found if name != but), found[0])
    return None


def is_in(cluster: Cluster, role: Role, group: str) -> bool:
    """Whether `role` is in `group` by any chain of memberships, with INHERIT or without: that is what RDS asks."""
    there, todo = set[int](), [role.oid]
    while todo:
        if (here := todo.pop()) not in there:
            there.add(here)
            todo += [m.role for m in cluster.memberships if m.member == here]
    found = cluster.role(group)
    return found is not None and found.oid in there


def open_to_login(cluster: Cluster, role: Role) -> list[str]:
    """Return the databases that `role` may connect to, those of RDS itself left out."""
    reached = {PUBLIC, *cluster.reached_from(role.oid)}
    return [
        database.name
        for database in cluster.databases.values()
        if database.allows_connections and not database.is_system and (role.superuser or database.connect & reached)
    ]


def is_over(role: Role, today: date) -> bool:
    """Whether the last day of `role` is over: then no password lets it in."""
    return role.valid_until is not None and role.valid_until[:10] < today.isoformat()

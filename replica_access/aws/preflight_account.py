"""What the account may have, and what RDS offers there: quotas, instance class, storage. Pure.

Sources: RDS API reference, DescribeAccountAttributes and DescribeOrderableDBInstanceOptions; RDS user guide, "Working
with DB instance read replicas" (a replica as large as its source).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from replica_access.aws.landscape import Landscape, NotChecked, Offer, SubnetGroup
from replica_access.aws.network import zones
from replica_access.aws.preflight_network import not_checked
from replica_access.aws_commands import Commands
from replica_access.model import Check

SIZES = ("nano", "micro", "small", "medium", "large", "xlarge")


def account(landscape: Landscape) -> Iterator[Check]:
    """Say whose account it is, and who we are there."""
    where = f"{landscape.account} in {landscape.region}"
    if isinstance(landscape.caller, NotChecked):
        yield Check("account", "ok", where)
        yield not_checked("caller", landscape.caller)
    else:
        yield Check("account", "ok", f"{where}, as {landscape.caller}")


def quotas(landscape: Landscape, *, subnet_groups: int, parameter_groups: int) -> Iterator[Check]:
    """Check that the account may have one more instance, its storage, and so many groups more."""
    found, source = landscape.quotas, landscape.source
    if isinstance(found, NotChecked):
        yield not_checked("quotas", found)
        return
    short: list[str] = []
    free: list[str] = []
    for name, words, needed in (
        ("DBInstances", "DB instances", 1),
        ("AllocatedStorage", "GiB of storage", source.storage_gib),
        ("DBSubnetGroups", "DB subnet groups", subnet_groups),
        ("DBParameterGroups", "DB parameter groups", parameter_groups),
    ):
        if (quota := found.get(name)) is None or not needed:
            continue
        state = f"{quota.used:,} of {quota.limit:,} {words} are in use"
        (short if quota.used + needed > quota.limit else free).append(state)
    if short:
        fix = "Raise it in Service Quotas (rds), or delete what nobody needs."
        detail = f"{'; '.join(short)} in {landscape.region}, and the replica needs more"
        yield Check("quotas", "problem", detail, fix)
    elif free:
        yield Check("quotas", "ok", "; ".join(free))
    else:
        why = "RDS says nothing about the quotas that matter here"
        yield Check("quotas", "not checked", why, "Look at Service Quotas (rds) in the console.")


def instance_class(
    landscape: Landscape, wanted: str, group: SubnetGroup | None, commands: Commands, *, iam: bool
) -> Iterator[Check]:
    """Check that RDS offers the class `wanted`, where the replica would be, with what it needs.

    :param iam: whether users are to log in by IAM.
    """
    offers, source = landscape.offers, landscape.source
    if offers is None:
        return
    if isinstance(offers, NotChecked):
        yield not_checked("instance class", offers)
        return
    fitting = [offer for offer in offers if offer.instance_class == wanted and offer.for_replicas]
    what = f"{wanted} for a replica with PostgreSQL {source.version}"
    fix = f"Set replica.class to one that is: {_offered(source.version, commands)}"
    if not fitting:
        yield Check("instance class", "problem", f"{what} is not offered in {landscape.region}", fix)
        return
    yield _zones(landscape, fitting, what, group, fix)
    types = sorted({offer.storage_type for offer in fitting} - {""})
    if source.storage_type and types and source.storage_type not in types:
        detail = f"{source.identifier} has {source.storage_type}, and {wanted} takes {', '.join(types)} only"
        yield Check("storage", "problem", detail, fix)
    if iam and not any(offer.iam_authentication for offer in fitting):
        yield Check("IAM authentication", "problem", f"{what} is not offered with IAM logins", fix)
    if _is_smaller(wanted, source.instance_class):
        detail = f"{wanted} is smaller than the {source.instance_class} of {source.identifier}: it may fall behind"
        yield Check("instance size", "note", detail)


def _zones(landscape: Landscape, offers: list[Offer], what: str, group: SubnetGroup | None, fix: str) -> Check:
    offered = frozenset[str]().union(*(offer.zones for offer in offers))
    if group is None or isinstance(landscape.subnets, NotChecked):
        return Check("instance class", "ok", f"{what} is offered in {landscape.region}")
    needed = zones(landscape.subnets, group.subnets)
    if needed and not needed & offered:
        detail = f"{what} is not offered in {', '.join(sorted(needed))}, the zones of {group.name}"
        return Check("instance class", "problem", detail, fix)
    return Check("instance class", "ok", f"{what} is offered in {', '.join(sorted(needed & offered or offered))}")


def _offered(version: str, commands: Commands) -> str:
    return commands.rds(
        "describe-orderable-db-instance-options", "--engine", "postgres", "--engine-version", version,
        "--query", "OrderableDBInstanceOptions[].DBInstanceClass",
    )  # fmt: skip


def _is_smaller(one: str, other: str) -> bool:
    """Whether the size of a class, not its family, comes before that of another.

    >>> _is_smaller("db.r6g.large", "db.r5.2xlarge"), _is_smaller("db.r6g.large", "db.t4g.large")
    (True, False)
    """
    return _rank(one) < _rank(other)


def _rank(name: str) -> tuple[int, int]:
    size = name.rpartition(".")[2]
    if match := re.fullmatch(r"(\d+)xlarge", size):
        return len(SIZES), int(match[1])
    return (SIZES.index(size), 0) if size in SIZES else (len(SIZES), 999)

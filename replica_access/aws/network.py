"""What a VPC lets through, worked out from what is known of it: pure, nothing is looked up here.

An instance is reachable from the internet when every subnet of its subnet group is public (RDS chooses the subnet),
and nothing beside the security groups stands in the way. Sources: RDS user guide, "Working with a DB instance in a
VPC"; VPC user guide, "Route table concepts".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from replica_access.aws.landscape import Landscape, NotChecked, RouteTable, Subnet, SubnetGroup
from replica_access.spec import Replica

MIN_ZONES = 2


@dataclass(frozen=True, slots=True)
class Placement:
    """The subnet group that the replica is in, or should be made in.

    :param group: ``None`` where there is none that fits, and `reason` says why.
    :param is_primarys: whether it is the group of the primary, which a replica gets unasked.
    """

    group: SubnetGroup | None
    is_primarys: bool
    reason: str


def place(landscape: Landscape, wanted: Replica) -> Placement:
    """Find the subnet group for the replica: the one it is in, the one the spec names, or one that is public.

    Where we may not look, ``auto`` means the primary's.
    """
    primary, replica, tables = landscape.source, landscape.replica, landscape.route_tables
    same = SubnetGroup(primary.subnet_group or "", primary.vpc or "", primary.subnets)
    as_primary = Placement(same, True, f"{same.name}, as the primary")
    if replica is not None:
        current = SubnetGroup(replica.subnet_group or "", replica.vpc or "", replica.subnets)
        return Placement(current, current.name == same.name, f"{replica.identifier} is in {current.name}")
    name = wanted.subnet_group.lower()
    if name in {"same", same.name}:
        return as_primary
    if name != "auto":
        return _named(landscape, name)
    if not wanted.publicly_accessible or isinstance(tables, NotChecked):
        return as_primary
    if not (private := private_subnets(tables, same)):
        return as_primary
    groups, subnets = landscape.subnet_groups, landscape.subnets
    if isinstance(groups, NotChecked) or isinstance(subnets, NotChecked):
        others = "and whether another group of its VPC is cannot be seen"
    elif (other := _public_group(groups, subnets, tables)) is not None:
        return Placement(other, False, f"{other.name}: not all subnets of the primary's {same.name} are public")
    else:
        others = "and no other group of its VPC is"
    return Placement(None, False, f"{same.name}, the primary's, is not public, {others}: {'; '.join(private.values())}")


def _named(landscape: Landscape, name: str) -> Placement:
    if isinstance(landscape.subnet_groups, NotChecked):
        return Placement(SubnetGroup(name, landscape.primary.vpc or "", ()), False, f"{name}, as the spec says")
    group = next((group for group in landscape.subnet_groups if group.name == name), None)
    if group is None:
        others = ", ".join(sorted(group.name for group in landscape.subnet_groups)) or "none"
        return Placement(
            None,
            False,
            f"there is no subnet group {name} in {landscape.primary.vpc}, the primary's VPC; it has: {others}",
        )
    return Placement(group, False, f"{name}, as the spec says")


def _public_group(
    groups: tuple[SubnetGroup, ...], subnets: tuple[Subnet, ...], tables: tuple[RouteTable, ...]
) -> SubnetGroup | None:
    """Return the first of `groups`, by name, that has public subnets only, and in two zones."""
    for group in sorted(groups, key=lambda group: group.name):
        if len(zones(subnets, group.subnets)) >= MIN_ZONES and not private_subnets(tables, group):
            return group
    return None


def public_subnets(landscape: Landscape) -> tuple[Subnet, ...]:
    """Return the public subnets of the VPC; none where we may not look."""
    if isinstance(landscape.subnets, NotChecked) or isinstance(landscape.route_tables, NotChecked):
        return ()
    tables = landscape.route_tables
    return tuple(subnet for subnet in landscape.subnets if why_private(tables, subnet.id) is None)


def zones(subnets: Iterable[Subnet], ids: Iterable[str]) -> set[str]:
    """Return the availability zones of those `subnets` that `ids` name."""
    wanted = set(ids)
    return {subnet.zone for subnet in subnets if subnet.id in wanted}


def private_subnets(tables: tuple[RouteTable, ...], group: SubnetGroup) -> dict[str, str]:
    """Return the subnets of `group` that the internet cannot reach, each with the reason."""
    reasons = {subnet: why_private(tables, subnet) for subnet in group.subnets}
    return {subnet: reason for subnet, reason in reasons.items() if reason is not None}


def route_table_of(tables: tuple[RouteTable, ...], subnet: str) -> RouteTable | None:
    """Return the table that routes `subnet`: its own, or else the main one of the VPC."""
    own = next((table for table in tables if subnet in table.subnets), None)
    return own or next((table for table in tables if table.main), None)


def why_private(tables: tuple[RouteTable, ...], subnet: str) -> str | None:
    """Return why the internet cannot reach `subnet`, or ``None`` where it can."""
    table = route_table_of(tables, subnet)
    if table is None:
        return f"{subnet} has no route table that we can see"
    name = f"{subnet} ({'main route table' if table.main else 'route table'} {table.id})"
    route = next((route for route in table.routes if route.destination == "0.0.0.0/0"), None)
    if route is None:
        return f"{name} has no route to 0.0.0.0/0"
    if not route.target.startswith("igw-"):
        return f"{name} sends 0.0.0.0/0 to {route.target}, which lets nobody in"
    if not route.active:
        return f"{name} sends 0.0.0.0/0 to {route.target}, which is not attached"
    return None

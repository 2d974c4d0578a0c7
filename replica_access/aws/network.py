"""What a VPC lets through, worked out from what is known of it: pure, nothing is looked up here.

An instance is reachable from the internet when every subnet of its subnet group is public (RDS chooses the subnet),
and nothing beside the security groups stands in the way. Sources: RDS user guide, "Working with a DB instance in a
VPC"; VPC user guide, "Route table concepts".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from replica_access.aws.landscape import Landscape, NotChecked, PublicAccess, RouteTable, Subnet, SubnetGroup
from replica_access.aws.ownership import belongs_to, group_name, identifier
from replica_access.spec import Replica

MIN_ZONES = 2


MAX_SUBNETS = 20
"""So many a subnet group may have (RDS user guide, "Quotas and constraints")."""


@dataclass(frozen=True, slots=True)
class Placement:
    """The subnet group that the replica is in, or should be made in.

    :param group: ``None`` where there is none that fits, and `reason` says why.
    :param is_primarys: whether it is the group of the primary, which a replica gets unasked.
    :param first: what has to be done to the group before it is as it is here.
    """

    group: SubnetGroup | None
    is_primarys: bool
    reason: str
    first: Literal["", "create", "change"] = ""


def place(landscape: Landscape, wanted: Replica) -> Placement:
    """Find the subnet group for the replica: the one it is in, the one the spec names, or one that is public.

    ``auto`` is the primary's where that is public, or need not be, or where we may not look. Otherwise it is one of our
    own, of public subnets: a public group of somebody else is theirs to change, unless the spec names it.
    """
    source, replica, tables = landscape.source, landscape.replica, landscape.route_tables
    same = SubnetGroup(source.subnet_group or "", source.vpc or "", source.subnets)
    as_primary = Placement(same, True, f"{same.name}, as the primary")
    if replica is not None:
        current = SubnetGroup(replica.subnet_group or "", replica.vpc or "", replica.subnets)
        return Placement(current, current.name == same.name, f"{replica.identifier} is in {current.name}")
    name = wanted.subnet_group.lower()
    if landscape.crosses_regions:
        return _far(landscape, name)
    if name in {"same", same.name}:
        return as_primary
    if name != "auto":
        return _named(landscape, name)
    if not wanted.publicly_accessible or isinstance(tables, NotChecked):
        return as_primary
    if not (private := private_subnets(tables, same)):
        return as_primary
    why = f"not all subnets of the primary's {same.name} are public ({'; '.join(private.values())})"
    return _own(landscape, group_name(identifier(wanted.instance or "")), why)


def _far(landscape: Landscape, name: str) -> Placement:
    """Find the group for a replica in another Region than its source, where nothing is as it is at home."""
    if name in {"auto", "same"}:
        reason = (
            f"{landscape.source.identifier} is in {landscape.source.region}, and its subnets do not reach "
            f"{landscape.region}: name a subnet group of {landscape.region} in replica.subnet_group"
        )
        return Placement(None, False, reason)
    return _named(landscape, name)


def _named(landscape: Landscape, name: str) -> Placement:
    if isinstance(landscape.subnet_groups, NotChecked):
        return Placement(SubnetGroup(name, landscape.vpc or "", ()), False, f"{name}, as the spec says")
    group = next((group for group in landscape.subnet_groups if group.name == name), None)
    if group is None:
        others = ", ".join(sorted(group.name for group in landscape.subnet_groups)) or "none"
        where = landscape.region if landscape.crosses_regions else f"{landscape.vpc}, the primary's VPC"
        return Placement(
            None,
            False,
            f"there is no subnet group {name} in {where}; it has: {others}",
        )
    return Placement(group, False, f"{name}, as the spec says")


def _own(landscape: Landscape, name: str, why: str) -> Placement:
    """Find our own subnet group: the one there is, with other subnets where those no longer fit, or a new one."""
    if isinstance(landscape.subnets, NotChecked):
        return Placement(None, False, f"{why}, and other subnets cannot be seen: {landscape.subnets.why}")
    chosen = choose(landscape, landscape.subnets)
    wanted = SubnetGroup(name, landscape.source.vpc or "", tuple(subnet.id for subnet in chosen))
    told = ", ".join(f"{subnet.id} ({subnet.zone})" for subnet in chosen)
    groups = landscape.subnet_groups
    found = None if isinstance(groups, NotChecked) else next((group for group in groups if group.name == name), None)
    if found is not None and (refusal := _not_ours(found, name)):
        return Placement(None, False, refusal)
    unfit = _unfit(landscape, landscape.subnets, found) if found is not None else []
    if found is not None and not unfit:
        return Placement(found, False, f"{name}, which is ours; {why}")
    if not chosen:
        return Placement(None, False, f"{why}, and {_lacking(landscape, landscape.subnets)}")
    if found is not None:
        return Placement(wanted, False, f"{name}, which is ours, of {told} instead: {'; '.join(unfit)}", "change")
    return Placement(wanted, False, f"{name}, a new one of the public subnets {told}; {why}", "create")


def _not_ours(group: SubnetGroup, name: str) -> str | None:
    if isinstance(group.tags, NotChecked):
        return f"whether the subnet group {name} is ours cannot be seen: {group.tags.why}"
    if not belongs_to(name.removeprefix(group_name("")), group.tags):
        return f"there is a subnet group {name} that does not carry our tag"
    return None


def choose(landscape: Landscape, subnets: Iterable[Subnet]) -> tuple[Subnet, ...]:
    """Return the subnets that a public replica may land in, zone by zone; none where they are in too few zones."""
    fit = [subnet for subnet in sorted(subnets, key=lambda each: each.id) if why_unfit(landscape, subnet) is None]
    if len({subnet.zone for subnet in fit}) < MIN_ZONES:
        return ()
    by_zone: dict[str, int] = {}
    ranked = []
    for subnet in fit:  # the first of every zone before the second of any
        by_zone[subnet.zone] = by_zone.get(subnet.zone, 0) + 1
        ranked.append((by_zone[subnet.zone], subnet.zone, subnet))
    return tuple(subnet for *_, subnet in sorted(ranked, key=lambda each: each[:2])[:MAX_SUBNETS])


def why_unfit(landscape: Landscape, subnet: Subnet) -> str | None:
    """Return why a replica that the internet shall reach may not land in `subnet`, or ``None`` where it may."""
    tables, access = landscape.route_tables, landscape.public_access
    if not re.fullmatch(rf"{re.escape(landscape.region)}[a-z]", subnet.zone):
        return f"{subnet.id} is in {subnet.zone}, which is no zone of the Region itself"
    if subnet.oddity:
        return f"{subnet.id} {subnet.oddity}"
    if not isinstance(tables, NotChecked) and (private := why_private(tables, subnet.id)) is not None:
        return private
    if isinstance(access, PublicAccess) and access.mode != "off" and not is_open(subnet, landscape.vpc, access):
        return f"{subnet.id} is closed by VPC Block Public Access ({access.mode})"
    if not subnet.free_addresses:
        return f"{subnet.id} has no address left"
    return None


def _unfit(landscape: Landscape, subnets: Iterable[Subnet], group: SubnetGroup) -> list[str]:
    """Return what is wrong with the subnets of a group that is there."""
    known = {subnet.id: subnet for subnet in subnets}
    reasons = [
        why_unfit(landscape, known[each]) if each in known else f"{each} does not exist any more"
        for each in group.subnets
    ]
    found = [reason for reason in reasons if reason is not None]
    if not found and len(zones(known.values(), group.subnets)) < MIN_ZONES:
        found.append(f"it covers one zone, and has to cover {MIN_ZONES}")
    return found


def _lacking(landscape: Landscape, subnets: Iterable[Subnet]) -> str:
    """Return what keeps the VPC from having public subnets in two zones, subnet by subnet."""
    subnets = tuple(subnets)
    reasons = [reason for subnet in subnets if (reason := why_unfit(landscape, subnet)) is not None]
    fit = [f"{subnet.id} ({subnet.zone})" for subnet in subnets if why_unfit(landscape, subnet) is None]
    there = f"only {', '.join(fit)} of {landscape.vpc} could be used" if fit else f"no subnet of {landscape.vpc} is"
    return f"{there}: {'; '.join(reasons) or f'{MIN_ZONES} zones are needed'}"


def is_open(subnet: Subnet, vpc: str | None, access: PublicAccess) -> bool:
    """Whether connections from outside reach `subnet`: by what it says itself, or by an exclusion in force."""
    if subnet.public_access == "off":
        return True
    exclusions = () if isinstance(access.exclusions, NotChecked) else access.exclusions
    return any(each.covers(subnet.id, vpc) and each.both_ways and each.in_force for each in exclusions)


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

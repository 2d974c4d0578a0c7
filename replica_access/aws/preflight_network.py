"""Where the replica lands and who may reach it, each with the command that mends it: pure."""

from __future__ import annotations

from collections.abc import Iterator

from replica_access.aws.adoption import tag_word
from replica_access.aws.landscape import Landscape, NotChecked, Subnet, SubnetGroup
from replica_access.aws.network import MIN_ZONES, Placement, choose, zones
from replica_access.aws.ownership import belongs_to, group_name
from replica_access.aws_commands import Commands
from replica_access.model import Check


def not_checked(name: str, reason: NotChecked) -> Check:
    """Return what could not be looked at, as a check."""
    return Check(name, "not checked", reason.why, reason.fix)


def subnet_group(landscape: Landscape, replica: str, placement: Placement, commands: Commands) -> Iterator[Check]:
    """Check the subnet group that the replica is in, or would be made in."""
    if placement.group is None:
        yield Check("subnet group", "problem", placement.reason, way_out(landscape, replica, commands))
        return
    yield Check("subnet group", "ok", placement.reason)
    if landscape.replica is not None:
        return
    yield from _siblings(landscape, placement.group.vpc)
    group = placement.group
    if isinstance(landscape.subnets, NotChecked):
        yield not_checked("zones", landscape.subnets)
        yield not_checked("free addresses", landscape.subnets)
        return
    yield from _gone(landscape.subnets, group, commands)
    found = sorted(zones(landscape.subnets, group.subnets))
    enough = len(found) >= MIN_ZONES
    fix = "" if enough else f"Add a subnet in another zone, or use another group: {_by_hand(landscape, commands)}"
    yield Check("zones", "ok" if enough else "problem", f"{group.name} covers {', '.join(found) or 'no zone'}", fix)
    full = [each.id for each in landscape.subnets if each.id in group.subnets and not each.free_addresses]
    if full:
        fix = f"Free some addresses there, or use another group: {_by_hand(landscape, commands)}"
        yield Check("free addresses", "problem", f"{', '.join(full)} of {group.name} has no address left", fix)
    else:
        yield Check("free addresses", "ok", f"every subnet of {group.name} has some")


def _gone(subnets: tuple[Subnet, ...], group: SubnetGroup, commands: Commands) -> Iterator[Check]:
    """A group keeps the ids of subnets that somebody has deleted."""
    known = {each.id for each in subnets}
    if gone := [each for each in group.subnets if each not in known]:
        rest = [each for each in group.subnets if each in known] or ["SUBNET-ID"]
        fix = commands.rds("modify-db-subnet-group", "--db-subnet-group-name", group.name, "--subnet-ids", *rest)
        yield Check("subnets", "problem", f"{group.name} names subnets that do not exist: {', '.join(gone)}", fix)


def _siblings(landscape: Landscape, vpc: str) -> Iterator[Check]:
    """All replicas of one source in a Region have to be in one VPC (RDS API reference, DBSubnetGroupName)."""
    if isinstance(landscape.siblings, NotChecked):
        yield not_checked("other replicas", landscape.siblings)
    elif elsewhere := [f"{each.identifier} ({each.vpc})" for each in landscape.siblings if each.vpc not in {None, vpc}]:
        source = landscape.source.identifier
        detail = f"{', '.join(elsewhere)}: RDS wants all replicas of {source} in one VPC, and this one goes to {vpc}"
        fix = f"Delete what nobody needs in the other VPC, or move it to {vpc} (aws rds modify-db-instance)."
        yield Check("other replicas", "problem", detail, fix)


def way_out(landscape: Landscape, replica: str, commands: Commands) -> str:
    """Return what to do where the replica can be placed nowhere."""
    name, groups = group_name(replica), landscape.subnet_groups
    found = None if isinstance(groups, NotChecked) else next((each for each in groups if each.name == name), None)
    if found is not None:
        if isinstance(found.tags, NotChecked):
            return found.tags.fix
        if not belongs_to(replica, found.tags):
            tag = commands.rds("add-tags-to-resource", "--resource-name", found.arn, "--tags", tag_word(replica))
            return f"Delete it when nobody needs it, or hand it over: {tag}"
    if isinstance(landscape.subnets, NotChecked):
        return landscape.subnets.fix
    return another_group(landscape, commands)


def another_group(landscape: Landscape, commands: Commands) -> str:
    """Return what leads to a subnet group that serves: let us make it, or first make subnets that can be public."""
    subnets = landscape.subnets
    if not isinstance(subnets, NotChecked) and choose(landscape, subnets):
        return 'Write subnet_group = "auto" in [replica] of the spec: a group of public subnets is made.'
    return _needed(landscape, commands)


def _by_hand(landscape: Landscape, commands: Commands) -> str:
    """Return how to make a group that serves where the spec means the primary's, which is public and does not."""
    subnets = landscape.subnets
    chosen = () if isinstance(subnets, NotChecked) else choose(landscape, subnets)
    if not chosen:
        return _needed(landscape, commands)
    command = commands.rds(
        "create-db-subnet-group", "--db-subnet-group-name", f"{landscape.source.identifier}-public",
        "--db-subnet-group-description", "public subnets", "--subnet-ids", *(subnet.id for subnet in chosen),
    )  # fmt: skip
    return f"{command}  # then name it in replica.subnet_group"


def _needed(landscape: Landscape, commands: Commands) -> str:
    return (
        f"{landscape.vpc} needs public subnets in {MIN_ZONES} zones, with free addresses; for a route table of subnets "
        f"that may be public: {commands.route('RTB-ID', gateway(landscape))}"
    )


def gateway(landscape: Landscape) -> str:
    known = landscape.gateways if not isinstance(landscape.gateways, NotChecked) else ()
    return next(iter(known), "IGW-ID")

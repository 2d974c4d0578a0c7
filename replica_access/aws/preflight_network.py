"""Where the replica lands and who may reach it, each with the command that mends it: pure."""

from __future__ import annotations

from collections.abc import Iterator

from replica_access.aws.commands import Commands
from replica_access.aws.landscape import Landscape, NotChecked
from replica_access.aws.network import MIN_ZONES, Placement, public_subnets, zones
from replica_access.model import Check


def not_checked(name: str, reason: NotChecked) -> Check:
    """Return what could not be looked at, as a check."""
    return Check(name, "not checked", reason.why, reason.fix)


def subnet_group(landscape: Landscape, placement: Placement, commands: Commands) -> Iterator[Check]:
    """Check the subnet group that the replica is in, or would be made in."""
    if placement.group is None:
        yield Check("subnet group", "problem", placement.reason, another_group(landscape, commands))
        return
    yield Check("subnet group", "ok", placement.reason)
    if landscape.replica is not None:
        return
    group = placement.group
    if isinstance(landscape.subnets, NotChecked):
        yield not_checked("zones", landscape.subnets)
        yield not_checked("free addresses", landscape.subnets)
        return
    found = sorted(zones(landscape.subnets, group.subnets))
    enough = len(found) >= MIN_ZONES
    fix = "" if enough else f"Add a subnet in another zone: {another_group(landscape, commands)}"
    yield Check("zones", "ok" if enough else "problem", f"{group.name} covers {', '.join(found) or 'no zone'}", fix)
    full = [each.id for each in landscape.subnets if each.id in group.subnets and not each.free_addresses]
    if full:
        fix = f"Free some addresses there, or use another group: {another_group(landscape, commands)}"
        yield Check("free addresses", "problem", f"{', '.join(full)} of {group.name} has no address left", fix)
    else:
        yield Check("free addresses", "ok", f"every subnet of {group.name} has some")


def another_group(landscape: Landscape, commands: Commands) -> str:
    """Return how to make a subnet group that serves, from the public subnets that the VPC already has."""
    public = public_subnets(landscape)
    if len({subnet.zone for subnet in public}) < MIN_ZONES:
        return (
            f"{landscape.primary.vpc} needs public subnets in {MIN_ZONES} zones first; "
            f"for a route table of subnets that may be public: {commands.route('RTB-ID', gateway(landscape))}"
        )
    name = f"{landscape.primary.identifier}-public"
    return commands.rds(
        "create-db-subnet-group", "--db-subnet-group-name", name, "--db-subnet-group-description", "public subnets",
        "--subnet-ids", *(subnet.id for subnet in public),
    )  # fmt: skip


def gateway(landscape: Landscape) -> str:
    known = landscape.gateways if not isinstance(landscape.gateways, NotChecked) else ()
    return next(iter(known), "IGW-ID")

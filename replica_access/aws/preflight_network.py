"""What the network around the replica lacks, each with the command that mends it: pure."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

from replica_access.aws.adoption import namesake
from replica_access.aws.commands import Commands
from replica_access.aws.landscape import Landscape, NotChecked
from replica_access.aws.network import MIN_ZONES, Placement, acl_refusals, private_subnets, public_subnets, zones
from replica_access.model import Check
from replica_access.spec import Spec

MIN_PREFIX = {4: 16, 6: 32}
"""The widest network that may be allowed, as a prefix length: 65,536 addresses of IPv4."""


def not_checked(name: str, reason: NotChecked) -> Check:
    """Return what could not be looked at, as a check."""
    return Check(name, "not checked", reason.why, reason.fix)


def subnet_group(landscape: Landscape, placement: Placement, commands: Commands) -> Iterator[Check]:
    """Check the subnet group that the replica is in, or would be made in."""
    if placement.group is None:
        yield Check("subnet group", "problem", placement.reason, _another_group(landscape, commands))
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
    fix = "" if enough else f"Add a subnet in another zone: {_another_group(landscape, commands)}"
    yield Check("zones", "ok" if enough else "problem", f"{group.name} covers {', '.join(found) or 'no zone'}", fix)
    full = [each.id for each in landscape.subnets if each.id in group.subnets and not each.free_addresses]
    if full:
        fix = f"Free some addresses there, or use another group: {_another_group(landscape, commands)}"
        yield Check("free addresses", "problem", f"{', '.join(full)} of {group.name} has no address left", fix)
    else:
        yield Check("free addresses", "ok", f"every subnet of {group.name} has some")


def _another_group(landscape: Landscape, commands: Commands) -> str:
    """Return how to make a subnet group that serves, from the public subnets that the VPC already has."""
    public = public_subnets(landscape)
    if len({subnet.zone for subnet in public}) < MIN_ZONES:
        return (
            f"{landscape.primary.vpc} needs public subnets in {MIN_ZONES} zones first; "
            f"for a route table of subnets that may be public: {commands.route('RTB-ID', _gateway(landscape))}"
        )
    name = f"{landscape.primary.identifier}-public"
    return commands.rds(
        "create-db-subnet-group", "--db-subnet-group-name", name, "--db-subnet-group-description", "public subnets",
        "--subnet-ids", *(subnet.id for subnet in public),
    )  # fmt: skip


def _gateway(landscape: Landscape) -> str:
    known = landscape.gateways if not isinstance(landscape.gateways, NotChecked) else ()
    return next(iter(known), "IGW-ID")


def public(landscape: Landscape, spec: Spec, placement: Placement, commands: Commands) -> Iterator[Check]:
    """Check what a replica that is reachable from the internet needs."""
    vpc = landscape.primary.vpc or ""
    for name, value, option in (
        ("VPC DNS support", landscape.dns_support, "--enable-dns-support"),
        ("VPC DNS hostnames", landscape.dns_hostnames, "--enable-dns-hostnames"),
    ):
        if isinstance(value, NotChecked):
            yield not_checked(name, value)
        elif value:
            yield Check(name, "ok", f"on in {vpc}")
        else:
            fix = commands.ec2("modify-vpc-attribute", "--vpc-id", vpc, option, '{"Value":true}')
            yield Check(name, "problem", f"off in {vpc}: a public replica cannot be made there", fix)
    yield from _gateways(landscape, vpc, commands)
    yield _block_public_access(landscape, placement, commands)
    if placement.group is not None:
        yield _routes(landscape, placement, commands)
        yield _acls(landscape, spec, placement, commands)


def _gateways(landscape: Landscape, vpc: str, commands: Commands) -> Iterator[Check]:
    if isinstance(landscape.gateways, NotChecked):
        yield not_checked("internet gateway", landscape.gateways)
    elif landscape.gateways:
        yield Check("internet gateway", "ok", f"{', '.join(landscape.gateways)} is attached to {vpc}")
    else:
        attach = commands.ec2("attach-internet-gateway", "--vpc-id", vpc, "--internet-gateway-id", "IGW-ID")
        fix = f"`{commands.ec2('create-internet-gateway')}`, then `{attach}`"
        yield Check("internet gateway", "problem", f"none is attached to {vpc}", fix)


def _block_public_access(landscape: Landscape, placement: Placement, commands: Commands) -> Check:
    name, mode, subnets = "block public access", landscape.public_access, landscape.subnets
    if isinstance(mode, NotChecked):
        return not_checked(name, mode)
    if mode == "off":
        return Check(name, "ok", f"off in {landscape.region}")
    if isinstance(subnets, NotChecked):
        return not_checked(name, subnets)
    used = placement.group.subnets if placement.group else tuple(subnet.id for subnet in subnets)
    closed = [subnet.id for subnet in subnets if subnet.id in used and subnet.public_access != "off"]
    if not closed:
        return Check(name, "ok", f"{mode} in {landscape.region}, but not for these subnets")
    exclusion = commands.ec2(
        "create-vpc-block-public-access-exclusion", "--internet-gateway-exclusion-mode", "allow-bidirectional",
        "--subnet-id", closed[0],
    )  # fmt: skip
    fix = f"Ask who switched it on for an exclusion of each subnet: {exclusion}"
    return Check(name, "problem", f"{mode} in {landscape.region} closes {', '.join(closed)}", fix)


def _routes(landscape: Landscape, placement: Placement, commands: Commands) -> Check:
    group, tables = placement.group, landscape.route_tables
    if isinstance(tables, NotChecked):
        return not_checked("routes", tables)
    if group is None or not group.subnets:
        return Check(
            "routes", "not checked", "the subnets of the group are not known", "Ask for rds:DescribeDBSubnetGroups."
        )
    private = private_subnets(tables, group)
    if not private:
        return Check("routes", "ok", f"all {len(group.subnets)} subnets of {group.name} are public")
    if landscape.replica is not None:
        fix = f"Give each a route: {commands.route('RTB-ID', _gateway(landscape))}"
    else:
        fix = f"Use a group of public subnets only: {_another_group(landscape, commands)}"
    return Check("routes", "problem", f"{group.name} is not public: {'; '.join(private.values())}", fix)


def _acls(landscape: Landscape, spec: Spec, placement: Placement, commands: Commands) -> Check:
    if isinstance(landscape.acls, NotChecked):
        return not_checked("network ACL", landscape.acls)
    subnets = placement.group.subnets if placement.group else ()
    refusals = acl_refusals(landscape.acls, subnets, (allow.cidr for allow in spec.network.allow), landscape.port)
    if not refusals:
        return Check("network ACL", "ok", "lets the allowed addresses in, and the replies out")
    entry = commands.ec2(
        "create-network-acl-entry", "--network-acl-id", refusals[0].split()[0], "--rule-number", "NUMBER",
        "--ingress", "--protocol", "tcp", "--port-range", f"From={landscape.port},To={landscape.port}",
        "--cidr-block", "ADDRESS", "--rule-action", "allow",
    )  # fmt: skip
    return Check("network ACL", "problem", "; ".join(refusals), f"Allow it before the entry that denies it: {entry}")


def addresses(spec: Spec) -> Iterator[Check]:
    """Check how wide the allowed addresses are."""
    wide = [
        allow.cidr
        for allow in spec.network.allow
        if (network := ip_network(allow.cidr)).prefixlen < MIN_PREFIX[network.version]
    ]
    if wide:
        limits = f"/{MIN_PREFIX[4]} (IPv4) and /{MIN_PREFIX[6]} (IPv6) are the widest that may be allowed"
        fix = "Name the addresses that people come from; `curl https://checkip.amazonaws.com` shows yours."
        yield Check("allowed addresses", "problem", f"{', '.join(wide)} is too wide: {limits}", fix)
    else:
        count = len(spec.network.allow)
        yield Check("allowed addresses", "ok", f"{count} in the spec" if count else "none: nobody can connect yet")


def security_groups(landscape: Landscape, spec: Spec, replica: str, commands: Commands) -> Iterator[Check]:
    """Check our security group, and those that the spec names."""
    groups, vpc = landscape.security_groups, landscape.primary.vpc
    if isinstance(groups, NotChecked):
        yield not_checked("security group", groups)
        return
    if refusal := namesake(groups, replica, vpc, commands):
        yield Check("security group", "problem", refusal.reason, refusal.fix)
    for name in spec.network.security_groups:
        found = [group for group in groups if name in {group.id, group.name}]
        if any(group.vpc == vpc for group in found):
            yield Check("security group", "ok", f"{name} is in {vpc}")
        elif found:
            detail = f"{name} is in {found[0].vpc}, and the primary in {vpc}"
            yield Check("security group", "problem", detail, f"Name a group of {vpc} in network.security_groups.")
        else:
            fix = commands.ec2("describe-security-groups", "--filters", f"Name=vpc-id,Values={vpc}")
            yield Check(
                "security group", "problem", f"there is no security group {name}", f"See which there are: {fix}"
            )

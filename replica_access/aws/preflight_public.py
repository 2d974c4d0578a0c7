"""What a replica that is reachable from the internet needs of its VPC, each with the command that mends it: pure.

RDS itself refuses a public instance only where DNS or the internet gateway is missing. Routes, network ACLs and VPC
Block Public Access it does not look at: the replica is made, and nobody reaches it. Sources: RDS user guide, "Working
with a DB instance in a VPC"; VPC user guide, "Network ACL rules" and "Block public access to VPCs and subnets".
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

from replica_access.aws import addresses, network_acl
from replica_access.aws.landscape import Landscape, NotChecked, PublicAccess, RouteTable, Subnet
from replica_access.aws.network import Placement, is_open, private_subnets, route_table_of
from replica_access.aws.network_acl import Network
from replica_access.aws.preflight_network import another_group, gateway, not_checked
from replica_access.aws_commands import Commands
from replica_access.model import Call, Change, Check
from replica_access.spec import Spec

NOT_THE_INTERNET = tuple(
    map(ip_network, ("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"))
)
"""Whoever comes from there does not come through an internet gateway."""

UNKNOWN_SUBNETS = NotChecked("the subnets of the group are not known", "Ask for rds:DescribeDBSubnetGroups.")


def public(landscape: Landscape, spec: Spec, placement: Placement, commands: Commands) -> Iterator[Check]:
    """Check what lies between the internet and the replica."""
    vpc = landscape.vpc or ""
    yield from _dns(landscape, vpc, commands)
    yield _gateways(landscape, vpc, commands)
    yield _block_public_access(landscape, placement, commands)
    if placement.group is None:
        return
    if not placement.group.subnets:
        yield not_checked("routes", UNKNOWN_SUBNETS)
        yield not_checked("network ACL", UNKNOWN_SUBNETS)
        return
    yield from _ways(landscape, spec, placement, commands)


def is_dual_stack(landscape: Landscape) -> bool:
    """Whether the replica has IPv6 addresses too, as far as that can be known before it is made."""
    return (landscape.replica or landscape.primary).dual_stack


# --- the VPC ---------------------------------------------------------------------------------------------------------


def _dns(landscape: Landscape, vpc: str, commands: Commands) -> Iterator[Check]:
    # support first: hostnames cannot be switched on without it
    for name, value, attribute, option in (
        ("VPC DNS support", landscape.dns_support, "EnableDnsSupport", "--enable-dns-support"),
        ("VPC DNS hostnames", landscape.dns_hostnames, "EnableDnsHostnames", "--enable-dns-hostnames"),
    ):
        if isinstance(value, NotChecked):
            yield not_checked(name, value)
        elif value:
            yield Check(name, "ok", f"on in {vpc}")
        else:
            fix = commands.ec2("modify-vpc-attribute", "--vpc-id", vpc, option, '{"Value":true}')
            yield Check(
                name, "problem", f"off in {vpc}: a public replica cannot be made there", fix, (_enable(vpc, attribute),)
            )


def _enable(vpc: str, attribute: str) -> Change:
    """Plan to switch an attribute on: EC2 takes one of them a call."""
    asked = attribute[0].lower() + attribute[1:]
    summary = f"switch {asked} on in {vpc}; its instances lose nothing by it"
    call = Call("ec2", "ModifyVpcAttribute", {"VpcId": vpc, attribute: {"Value": True}})
    return Change("aws", "change VPC", vpc, summary, call=call)


def _gateways(landscape: Landscape, vpc: str, commands: Commands) -> Check:
    if isinstance(landscape.gateways, NotChecked):
        return not_checked("internet gateway", landscape.gateways)
    if landscape.gateways:
        return Check("internet gateway", "ok", f"{', '.join(landscape.gateways)} is attached to {vpc}")
    attach = commands.ec2("attach-internet-gateway", "--vpc-id", vpc, "--internet-gateway-id", "IGW-ID")
    fix = f"`{commands.ec2('create-internet-gateway')}`, then `{attach}`"
    return Check("internet gateway", "problem", f"none is attached to {vpc}", fix)


# --- VPC Block Public Access -----------------------------------------------------------------------------------------


def _block_public_access(landscape: Landscape, placement: Placement, commands: Commands) -> Check:
    name, access, subnets = "block public access", landscape.public_access, landscape.subnets
    if isinstance(access, NotChecked):
        return not_checked(name, access)
    where = f"{access.mode} in {landscape.region}"
    if access.mode == "off":
        return Check(name, "ok", where)
    if isinstance(subnets, NotChecked):
        return not_checked(name, subnets)
    used = placement.group.subnets if placement.group else tuple(subnet.id for subnet in subnets)
    closed = [each for each in subnets if each.id in used and not is_open(each, landscape.vpc, access)]
    if not closed:
        return Check(name, "ok", f"{where}, but not for these subnets")
    if isinstance(access.exclusions, NotChecked) and any(subnet.public_access is None for subnet in closed):
        return not_checked(name, access.exclusions)
    exclusion = commands.ec2(
        "create-vpc-block-public-access-exclusion", "--internet-gateway-exclusion-mode", "allow-bidirectional",
        "--subnet-id", closed[0].id,
    )  # fmt: skip
    fix = f"Ask who switched it on for an exclusion of each subnet: {exclusion}"
    reasons = "; ".join(filter(None, (_insufficient(subnet, landscape.vpc, access) for subnet in closed)))
    detail = f"{where} closes {', '.join(subnet.id for subnet in closed)}"
    return Check(name, "problem", f"{detail} ({reasons})" if reasons else detail, fix)


def _insufficient(subnet: Subnet, vpc: str | None, access: PublicAccess) -> str:
    """Return why an exclusion of `subnet` does not open it; empty where there is none."""
    for exclusion in () if isinstance(access.exclusions, NotChecked) else access.exclusions:
        if exclusion.covers(subnet.id, vpc):
            what = exclusion.resource.rpartition("/")[2]
            return f"{what} is excluded for {'both directions, but not yet' if exclusion.both_ways else 'egress only'}"
    return ""


# --- routes and network ACLs -----------------------------------------------------------------------------------------


def _ways(landscape: Landscape, spec: Spec, placement: Placement, commands: Commands) -> Iterator[Check]:
    # members of a security group come by their private addresses, and not from the internet
    sources = [allow.source for allow in spec.network.allow if allow.security_group is None]
    clients = [ip_network(net) for source in sources for net in addresses.networks(source, landscape.prefix_lists)]
    reachable = [client for client in clients if client.version == 4 or is_dual_stack(landscape)]
    yield _routes(landscape, placement, reachable, commands)
    yield from _acls(landscape, placement, reachable, commands)
    if unreachable := [str(client) for client in clients if client not in reachable]:
        detail = f"{', '.join(unreachable)}: the replica gets IPv4 addresses only, and nobody reaches it over IPv6"
        yield Check("IPv6", "note", detail)


def _routes(landscape: Landscape, placement: Placement, clients: list[Network], commands: Commands) -> Check:
    group, tables = placement.group, landscape.route_tables
    if isinstance(tables, NotChecked) or group is None:
        return not_checked("routes", tables if isinstance(tables, NotChecked) else UNKNOWN_SUBNETS)
    if private := private_subnets(tables, group):
        if landscape.replica is not None:
            route = commands.route("RTB-ID", gateway(landscape))
            anew = 'or delete the replica: with subnet_group = "auto" the next run makes it in public subnets'
            fix = f"Give each a route: {route}; {anew}"
        else:
            fix = f"Use a group of public subnets only: {another_group(landscape, commands)}"
        return Check("routes", "problem", f"{group.name} is not public: {'; '.join(private.values())}", fix)
    astray = list(dict.fromkeys(way for subnet in group.subnets for way in _astray(tables, subnet, clients)))
    if astray:
        return Check(
            "routes", "problem", "; ".join(astray), "Remove these routes, or use a group of subnets without them."
        )
    return Check("routes", "ok", f"all {len(group.subnets)} subnets of {group.name} are public")


def _astray(tables: tuple[RouteTable, ...], subnet: str, clients: list[Network]) -> Iterator[str]:
    """Yield what keeps replies from going back through the internet gateway: of all routes the longest match counts."""
    table = route_table_of(tables, subnet)
    if table is None:
        return
    for client in clients:
        if any(client.version == inside.version and client.overlaps(inside) for inside in NOT_THE_INTERNET):
            continue  # it comes another way: through the VPC, a peering, a VPN
        routes = {network: route for route in table.routes if (network := ip_network(route.destination)).version
                  == client.version and network.overlaps(client)}  # fmt: skip
        around = [network for network in routes if network.prefixlen <= client.prefixlen]
        if not around:
            yield f"{subnet} (route table {table.id}) has no route to {client}"
            continue
        widest = max(network.prefixlen for network in around)
        for network, route in routes.items():
            if network.prefixlen >= widest and not (route.target.startswith("igw-") and route.active):
                yield f"{table.id} sends {network} to {route.target}, and with it replies to {client}"


def _acls(landscape: Landscape, placement: Placement, clients: list[Network], commands: Commands) -> Iterator[Check]:
    acls, subnets = landscape.acls, placement.group.subnets if placement.group else ()
    if isinstance(acls, NotChecked):
        yield not_checked("network ACL", acls)
        return
    if unknown := network_acl.unguarded(acls, subnets):
        detail = f"the network ACL of {', '.join(unknown)} cannot be seen"
        yield Check("network ACL", "not checked", detail, "Ask for the permission ec2:DescribeNetworkAcls.")
    found = list(network_acl.refusals(acls, subnets, clients, landscape.port))
    if refused := [refusal for refusal in found if not refusal.is_partial]:
        fix = f"Allow it before the entry that denies it: {_entry(refused[0], commands)}"
        yield Check("network ACL", "problem", "; ".join(map(str, refused)), fix)
    elif not unknown:
        yield Check("network ACL", "ok", "lets the allowed addresses in, and the replies out")
    if partial := [refusal for refusal in found if refusal.is_partial]:
        detail = f"{'; '.join(map(str, partial))}: clients behind a NAT may get no answer"
        yield Check("network ACL replies", "note", detail)


def _entry(refusal: network_acl.Refusal, commands: Commands) -> str:
    first, last = refusal.ports
    return commands.ec2(
        "create-network-acl-entry", "--network-acl-id", refusal.acl, "--rule-number", "NUMBER",
        "--egress" if refusal.egress else "--ingress", "--protocol", "tcp", "--port-range", f"From={first},To={last}",
        "--cidr-block" if refusal.client.version == 4 else "--ipv6-cidr-block", str(refusal.client),
        "--rule-action", "allow",
    )  # fmt: skip

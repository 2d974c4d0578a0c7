"""The VPC that the sandbox starts with: two public and two private subnets, as a usual production account has them."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

from moto.ec2.models import EC2Backend
from moto.rds.models import RDSBackend

__all__ = ["PRIVATE_GROUP", "PUBLIC_GROUP", "Layout", "build"]

PUBLIC_GROUP, PRIVATE_GROUP = "sandbox-public", "sandbox-private"

VPC_RANGE = IPv4Network("10.20.0.0/16")
ZONES = ("a", "b")
EVERYWHERE = "0.0.0.0/0"


@dataclass(frozen=True, slots=True)
class Layout:
    """What was made, by identifier; ``database_group`` is the security group of the primary, without rules yet."""

    vpc: str
    public_subnets: tuple[str, ...]
    private_subnets: tuple[str, ...]
    database_group: str


def build(ec2: EC2Backend, rds: RDSBackend) -> Layout:
    """Make the VPC, its routes to the internet, the DB subnet groups and the primary's security group.

    The public subnets share a route table of their own with a route to the internet gateway; the private ones have the
    main route table of the VPC, which has none, and which no association names.
    """
    vpc = ec2.create_vpc(str(VPC_RANGE), tags=named("sandbox"))
    ec2.modify_vpc_attribute(vpc.id, "enable_dns_support", "true")
    ec2.modify_vpc_attribute(vpc.id, "enable_dns_hostnames", "true")
    gateway = ec2.create_internet_gateway(tags=named("sandbox"))
    ec2.attach_internet_gateway(gateway.id, vpc.id)

    ranges = iter(VPC_RANGE.subnets(new_prefix=24))
    public = [make_subnet(ec2, vpc.id, next(ranges), zone, "public") for zone in ZONES]
    private = [make_subnet(ec2, vpc.id, next(ranges), zone, "private") for zone in ZONES]
    table = ec2.create_route_table(vpc.id, tags=named("sandbox-public"))
    ec2.create_route(table.id, EVERYWHERE, gateway_id=gateway.id)
    for subnet in public:
        ec2.associate_route_table(table.id, subnet_id=subnet.id)

    rds.create_subnet_group(PUBLIC_GROUP, "public subnets, with a route to the internet", public, [])
    rds.create_subnet_group(PRIVATE_GROUP, "private subnets", private, [])
    group = ec2.create_security_group("sandbox-database", "who may reach the primary", vpc.id)
    return Layout(
        vpc=vpc.id,
        public_subnets=tuple(subnet.id for subnet in public),
        private_subnets=tuple(subnet.id for subnet in private),
        database_group=group.id,
    )


def make_subnet(ec2: EC2Backend, vpc: str, cidr: IPv4Network, zone: str, kind: str) -> Any:
    return ec2.create_subnet(
        vpc,
        str(cidr),
        availability_zone=f"{ec2.region_name}{zone}",
        tags={"subnet": tag_map(f"sandbox-{kind}-{zone}")},
    )


def named(name: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tag_map(name).items()]


def tag_map(name: str) -> dict[str, str]:
    return {"Name": name}

"""A landscape in which nothing is wrong, to be changed in the one place that a test is about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from replica_access.aws.engine import EngineVersion
from replica_access.aws.landscape import (
    Acl,
    AclEntry,
    Instance,
    Landscape,
    NotChecked,
    Offer,
    PublicAccess,
    Quota,
    Route,
    RouteTable,
    Subnet,
    SubnetGroup,
)
from replica_access.aws.preflight import checks
from replica_access.aws.rules import Ingress, SecurityGroup
from replica_access.model import Check
from replica_access.spec import Spec

VPC = "vpc-1"
ZONES = ("ap-southeast-2a", "ap-southeast-2b")
DENIED = NotChecked("AWS denied ec2:DescribeIt: no.", "Ask for the permission ec2:DescribeIt.")
OUR_TAGS = {"replica-access": "analytics", "managed-by": "replica-access"}

PUBLIC = SubnetGroup("public", VPC, ("subnet-1", "subnet-2"))
PRIVATE = SubnetGroup("private", VPC, ("subnet-3", "subnet-4"))
MIXED = SubnetGroup("mixed", VPC, ("subnet-1", "subnet-4"))

LOCAL = Route("10.0.0.0/16", "local", True)
PUBLIC_TABLE = RouteTable("rtb-public", False, ("subnet-1", "subnet-2"), (LOCAL, Route("0.0.0.0/0", "igw-1", True)))
MAIN_TABLE = RouteTable("rtb-main", True, (), (LOCAL, Route("0.0.0.0/0", "nat-1", True)))

OPEN_ACL = Acl(
    "acl-1",
    ("subnet-1", "subnet-2", "subnet-3", "subnet-4"),
    tuple(
        AclEntry(number, egress, number == 100, "-1", "0.0.0.0/0", 0, 65535)
        for number in (100, 32767)
        for egress in (False, True)
    ),
)

PRIMARY = Instance(
    identifier="prod",
    arn="arn:aws:rds:ap-southeast-2:123456789012:db:prod",
    engine="postgres",
    version="17.4",
    status="available",
    instance_class="db.r6g.large",
    host="prod.abc.rds.amazonaws.com",
    port=5432,
    master_user="master",
    backup_days=7,
    parameter_groups={"default.postgres17": "in-sync"},
    certificate_authority="rds-ca-rsa2048-g1",
    vpc=VPC,
    subnet_group="public",
    subnets=PUBLIC.subnets,
    security_groups={"sg-primary": "active"},
    storage_gib=100,
    storage_type="gp3",
)

REPLICA = replace(
    PRIMARY,
    identifier="analytics",
    arn="arn:aws:rds:ap-southeast-2:123456789012:db:analytics",
    host="analytics.abc.rds.amazonaws.com",
    backup_days=0,
    source="prod",
    publicly_accessible=True,
    deletion_protection=True,
    security_groups={"sg-ours": "active"},
    log_exports=("postgresql", "upgrade"),
    replication=("replicating",),
    tags=OUR_TAGS,
)

ENGINE = EngineVersion(
    "17.4",
    "postgres17",
    log_types=("postgresql", "upgrade", "iam-db-auth-error"),
    certificate_authorities=("rds-ca-rsa2048-g1", "rds-ca-ecc384-g1"),
)

OUR_GROUP = SecurityGroup(
    "sg-ours",
    "replica-access-analytics",
    VPC,
    OUR_TAGS,
    (
        Ingress(
            "203.0.113.7/32", "tcp", 5432, 5432, "Brisbane office", "sgr-1", {**OUR_TAGS, "note": "Brisbane office"}
        ),
        Ingress("2001:db8::/48", "tcp", 5432, 5432, "VPN", "sgr-2", {**OUR_TAGS, "note": "VPN"}),
    ),
)

EMPTY = Landscape(
    region="ap-southeast-2",
    account="123456789012",
    primary=PRIMARY,
    replica=None,
    dns_support=True,
    dns_hostnames=True,
    gateways=("igw-1",),
    public_access=PublicAccess("off"),
    subnet_groups=(PUBLIC,),
    subnets=tuple(Subnet(f"subnet-{number}", ZONES[(number - 1) % 2], 200) for number in (1, 2, 3, 4)),
    route_tables=(PUBLIC_TABLE, MAIN_TABLE),
    acls=(OPEN_ACL,),
    security_groups=(),
    caller="arn:aws:iam::123456789012:user/admin",
    quotas={"DBInstances": Quota(3, 40), "AllocatedStorage": Quota(300, 100_000)},
    offers=(Offer("db.r6g.large", frozenset(ZONES), "gp3"),),
    engine=ENGINE,
)
"""Nothing has been made yet."""

COMPLETE = replace(EMPTY, offers=None, replica=REPLICA, security_groups=(OUR_GROUP,))
"""Everything that the spec of `spec_of` wants is there."""


def spec_of(**changes: Any) -> Spec:
    """Return a spec with two addresses; `changes` go to the tables of that name, ``users`` and ``aws`` included."""
    document: dict[str, Any] = {
        "version": 1,
        "aws": {},
        "primary": {"instance": "prod"},
        "replica": {"instance": "analytics"},
        "network": {
            "allow": [{"cidr": "203.0.113.7/32", "note": "Brisbane office"}, {"cidr": "2001:db8::/48", "note": "VPN"}]
        },
    }
    for table, values in changes.items():
        document[table] = None if values is None else {**document.get(table, {}), **values}
    return Spec.model_validate(document)


def primary(**changes: Any) -> Landscape:
    return replace(EMPTY, primary=replace(PRIMARY, **changes))


def replica(**changes: Any) -> Landscape:
    return replace(COMPLETE, replica=replace(REPLICA, **changes))


def problems(landscape: Landscape, spec: Spec | None = None) -> dict[str, Check]:
    """Return what preflight has against `landscape`, by the name of the check."""
    return {check.name: check for check in checks(landscape, spec or spec_of()) if check.outcome == "problem"}

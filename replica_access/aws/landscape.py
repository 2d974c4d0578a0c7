"""What stands in AWS around the primary: frozen values, and nothing that can call or change anything.

`survey.read` fills them in. What the caller may not see is a `NotChecked` in the place of the value, so that whoever
looks at it cannot take it for an empty answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, Self

from replica_access.aws.engine import EngineVersion
from replica_access.aws.ownership import as_mapping, identifier, region_of
from replica_access.aws.parameters import ParameterGroups
from replica_access.aws.rules import GROUPS_PER_INSTANCE, RULES_PER_GROUP, PrefixList, SecurityGroup


@dataclass(frozen=True, slots=True)
class NotChecked:
    """Something that could not be looked at.

    :param why: one sentence.
    :param fix: what would let us look: usually a permission.
    """

    why: str
    fix: str


@dataclass(frozen=True, slots=True)
class Instance:
    """A DB instance, as DescribeDBInstances tells.

    :param status: ``available``, ``creating`` and so on (RDS user guide, "Viewing Amazon RDS DB instance status").
    :param host: of the endpoint; ``None`` until there is one.
    :param managed_secret: the ARN of the secret in which RDS keeps the master password, where it manages that.
    :param backup_days: the backup retention period; 0 where automated backups are off.
    :param source: the identifier of the instance that this one is a read replica of, and `source_region` the Region
        of that, where it is another.
    :param cluster: the Aurora or Multi-AZ DB cluster that it is a member of, or is a replica of.
    :param security_groups: group id -> ``active``, ``adding``, ``removing``.
    :param replication: the statuses of the read replication; empty on a primary, and early in a replica's creation.
    :param dual_stack: whether it has IPv6 addresses too.
    :param parameter_groups: name -> ``in-sync``, ``applying``, ``pending-reboot``.
    :param certificate_until: the last day of its server certificate, as a date of ISO 8601; empty where RDS is silent.
    :param monitoring_interval: of Enhanced Monitoring, in seconds; 0 where it is off.
    :param pending: what a modification has not yet brought about, by name: it may wait for the maintenance window.
    """

    identifier: str
    arn: str
    engine: str
    version: str
    status: str
    instance_class: str
    resource_id: str = ""
    host: str | None = None
    port: int | None = None
    master_user: str = ""
    managed_password: bool = False
    managed_secret: str = ""
    backup_days: int = 0
    cluster: str | None = None
    source: str | None = None
    source_region: str | None = None
    replicas: tuple[str, ...] = ()
    publicly_accessible: bool = False
    deletion_protection: bool = False
    iam_authentication: bool = False
    parameter_groups: Mapping[str, str] = field(default_factory=dict)
    certificate_authority: str | None = None
    certificate_until: str = ""
    log_exports: tuple[str, ...] = ()
    monitoring_interval: int = 0
    monitoring_role: str | None = None
    performance_insights: bool = False
    vpc: str | None = None
    subnet_group: str | None = None
    subnets: tuple[str, ...] = ()
    security_groups: Mapping[str, str] = field(default_factory=dict)
    replication: tuple[str, ...] = ()
    pending: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    storage_gib: int = 0
    storage_type: str = ""
    encrypted: bool = False
    dual_stack: bool = False

    @property
    def region(self) -> str:
        return self.arn.split(":")[3]

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Self:
        """Return the instance that an entry of ``DBInstances`` describes."""
        endpoint, group = found.get("Endpoint", {}), found.get("DBSubnetGroup", {})
        source = found.get("ReadReplicaSourceDBInstanceIdentifier")
        return cls(
            identifier=found["DBInstanceIdentifier"],
            arn=found.get("DBInstanceArn", ""),
            engine=found.get("Engine", ""),
            version=found.get("EngineVersion", ""),
            status=found.get("DBInstanceStatus", ""),
            instance_class=found.get("DBInstanceClass", ""),
            resource_id=found.get("DbiResourceId", ""),
            host=endpoint.get("Address"),
            port=endpoint.get("Port"),
            master_user=found.get("MasterUsername", ""),
            managed_password="MasterUserSecret" in found,
            managed_secret=found.get("MasterUserSecret", {}).get("SecretArn", ""),
            backup_days=found.get("BackupRetentionPeriod", 0),
            cluster=found.get("DBClusterIdentifier") or found.get("ReadReplicaSourceDBClusterIdentifier"),
            source=identifier(source) if source else None,
            source_region=region_of(source),
            replicas=tuple(identifier(name) for name in found.get("ReadReplicaDBInstanceIdentifiers", ())),
            publicly_accessible=found.get("PubliclyAccessible", False),
            deletion_protection=found.get("DeletionProtection", False),
            iam_authentication=found.get("IAMDatabaseAuthenticationEnabled", False),
            parameter_groups={
                entry["DBParameterGroupName"]: entry.get("ParameterApplyStatus", "")
                for entry in found.get("DBParameterGroups", ())
            },
            certificate_authority=found.get("CACertificateIdentifier"),
            certificate_until=str(found.get("CertificateDetails", {}).get("ValidTill", ""))[:10],
            log_exports=tuple(sorted(found.get("EnabledCloudwatchLogsExports", ()))),
            monitoring_interval=found.get("MonitoringInterval", 0),
            monitoring_role=found.get("MonitoringRoleArn"),
            performance_insights=found.get("PerformanceInsightsEnabled", False),
            vpc=group.get("VpcId"),
            subnet_group=group.get("DBSubnetGroupName"),
            subnets=tuple(subnet["SubnetIdentifier"] for subnet in group.get("Subnets", ())),
            security_groups={
                entry["VpcSecurityGroupId"]: entry.get("Status", "") for entry in found.get("VpcSecurityGroups", ())
            },
            replication=tuple(entry.get("Status", "") for entry in found.get("StatusInfos", ())),
            pending=found.get("PendingModifiedValues", {}),
            tags=as_mapping(found.get("TagList", ())),
            storage_gib=found.get("AllocatedStorage", 0),
            storage_type=found.get("StorageType", ""),
            encrypted=found.get("StorageEncrypted", False),
            dual_stack=found.get("NetworkType") == "DUAL",
        )


@dataclass(frozen=True, slots=True)
class SubnetGroup:
    """A DB subnet group: its name, its VPC and the ids of its subnets.

    :param tags: of the one that has our name; nobody asks for those of others.
    """

    name: str
    vpc: str
    subnets: tuple[str, ...]
    arn: str = ""
    tags: Mapping[str, str] | NotChecked = field(default_factory=dict)

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Self:
        return cls(
            found["DBSubnetGroupName"],
            found.get("VpcId", ""),
            tuple(subnet["SubnetIdentifier"] for subnet in found.get("Subnets", ())),
            found.get("DBSubnetGroupArn", ""),
        )


@dataclass(frozen=True, slots=True)
class Subnet:
    """A subnet.

    :param public_access: the mode of VPC Block Public Access that holds in it, where EC2 tells.
    :param oddity: why no instance of RDS should be put there, whatever its routes: an Outpost, IPv6 alone.
    """

    id: str
    zone: str
    free_addresses: int
    public_access: str | None = None
    oddity: str = ""

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Self:
        return cls(
            found["SubnetId"],
            found.get("AvailabilityZone", ""),
            found.get("AvailableIpAddressCount", 0),
            found.get("BlockPublicAccessStates", {}).get("InternetGatewayBlockMode"),
            "is on an Outpost" if found.get("OutpostArn") else "has no IPv4" if found.get("Ipv6Native") else "",
        )


@dataclass(frozen=True, slots=True)
class Route:
    """A route to a network; `target` is whatever the packets go to: an internet or NAT gateway, an interface.

    Routes to prefix lists are left out: what is on the list is not known.
    """

    destination: str
    target: str
    active: bool


@dataclass(frozen=True, slots=True)
class RouteTable:
    """A route table, and the subnets that it is explicitly associated with."""

    id: str
    main: bool
    subnets: tuple[str, ...]
    routes: tuple[Route, ...]

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Self:
        associations = found.get("Associations", ())
        return cls(
            found["RouteTableId"],
            any(association.get("Main") for association in associations),
            tuple(association["SubnetId"] for association in associations if "SubnetId" in association),
            tuple(
                Route(destination, _target(route), route.get("State") == "active")
                for route in found.get("Routes", ())
                if (destination := route.get("DestinationCidrBlock") or route.get("DestinationIpv6CidrBlock"))
            ),
        )


def _target(route: Mapping[str, Any]) -> str:
    return next(
        (str(value) for key, value in route.items() if key.endswith("Id") and key != "DestinationPrefixListId"), ""
    )


@dataclass(frozen=True, slots=True)
class AclEntry:
    """A rule of a network ACL; the first that matches, by `number`, decides. Protocol ``-1`` is every protocol."""

    number: int
    egress: bool
    allow: bool
    protocol: str
    cidr: str
    first_port: int
    last_port: int

    @property
    def network(self) -> IPv4Network | IPv6Network:
        return ip_network(self.cidr, strict=False)

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Self:
        ports = found.get("PortRange", {})
        return cls(
            found["RuleNumber"],
            found.get("Egress", False),
            found.get("RuleAction") == "allow",
            found.get("Protocol", ""),
            found.get("CidrBlock") or found.get("Ipv6CidrBlock", ""),
            ports.get("From", 0),
            ports.get("To", 65535),
        )


@dataclass(frozen=True, slots=True)
class Acl:
    """A network ACL, and the subnets that it guards."""

    id: str
    subnets: tuple[str, ...]
    entries: tuple[AclEntry, ...]

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Self:
        return cls(
            found["NetworkAclId"],
            tuple(
                association["SubnetId"] for association in found.get("Associations", ()) if "SubnetId" in association
            ),
            tuple(sorted(map(AclEntry.of, found.get("Entries", ())), key=lambda entry: entry.number)),
        )


@dataclass(frozen=True, slots=True)
class Exclusion:
    """What an administrator has excluded from VPC Block Public Access.

    :param resource: the ARN of a VPC or of a subnet.
    :param both_ways: whether connections from outside are let in; otherwise only those from inside get out.
    :param in_force: false while it is being made or taken away.
    """

    resource: str
    both_ways: bool
    in_force: bool

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Self:
        return cls(
            found.get("ResourceArn", ""),
            found.get("InternetGatewayExclusionMode") == "allow-bidirectional",
            found.get("State") in {"create-complete", "update-complete", "update-in-progress"},
        )

    def covers(self, subnet: str, vpc: str | None) -> bool:
        return self.resource.rpartition("/")[2] in {subnet, vpc}


@dataclass(frozen=True, slots=True)
class PublicAccess:
    """VPC Block Public Access, as it stands in an account and Region.

    :param mode: ``off``, ``block-ingress`` or ``block-bidirectional``.
    """

    mode: str
    exclusions: tuple[Exclusion, ...] | NotChecked = ()


@dataclass(frozen=True, slots=True)
class Quota:
    """How much of something the account has in this Region, and how much it may have."""

    used: int
    limit: int


@dataclass(frozen=True, slots=True)
class Offer:
    """One way in which RDS offers an instance class for an engine version.

    :param zones: the availability zones where it does.
    """

    instance_class: str
    zones: frozenset[str]
    storage_type: str = ""
    for_replicas: bool = True
    iam_authentication: bool = True

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Self:
        return cls(
            found["DBInstanceClass"],
            frozenset(zone["Name"] for zone in found.get("AvailabilityZones", ())),
            found.get("StorageType", ""),
            found.get("ReadReplicaCapable", True),
            found.get("SupportsIAMDatabaseAuthentication", True),
        )


@dataclass(frozen=True, slots=True)
class Landscape:
    """Everything that the checks and the plan look at.

    :param dns_support: and `dns_hostnames`: the attributes of the primary's VPC.
    :param gateways: the internet gateways attached to it.
    :param subnet_groups: all DB subnet groups of that VPC.
    :param security_groups: those that carry our tag or our name, those that the spec names, by id or name, and those
        that the replica has.
    :param prefix_lists: by id, those that the spec or a rule of these groups names; what is not there is not known.
    :param rule_quota: how many inbound rules a group may have, IPv4 and IPv6 each for themselves, and `group_quota`
        how many groups an instance: what every account has, unless more was needed and looked up.
    :param caller: the ARN of who we are.
    :param quotas: by RDS's name of each: ``DBInstances``, ``AllocatedStorage``.
    :param offers: of the class that the replica would get; ``None`` where there is none to get.
    :param siblings: the other replicas of the source, in this Region.
    :param landing_vpc: where the subnet group is that the spec names; known where the source is in another Region.
    :param upstreams: the replicas between the primary and ours, the nearest to ours first; for a cascading replica.
    :param engine: what RDS offers for the replica's version; ``None`` where there shall be no replica.
    :param parameter_groups: ``None`` where none of ours is wanted, and the replica has none.
    """

    region: str
    account: str
    primary: Instance
    replica: Instance | None
    dns_support: bool | NotChecked
    dns_hostnames: bool | NotChecked
    gateways: tuple[str, ...] | NotChecked
    public_access: PublicAccess | NotChecked
    subnet_groups: tuple[SubnetGroup, ...] | NotChecked
    subnets: tuple[Subnet, ...] | NotChecked
    route_tables: tuple[RouteTable, ...] | NotChecked
    acls: tuple[Acl, ...] | NotChecked
    security_groups: tuple[SecurityGroup, ...] | NotChecked
    caller: str | NotChecked
    quotas: Mapping[str, Quota] | NotChecked
    offers: tuple[Offer, ...] | NotChecked | None
    upstreams: tuple[Instance, ...] = ()
    landing_vpc: str | None = None
    siblings: tuple[Instance, ...] | NotChecked = ()
    prefix_lists: Mapping[str, PrefixList | NotChecked] = field(default_factory=dict)
    rule_quota: int | NotChecked = RULES_PER_GROUP
    group_quota: int | NotChecked = GROUPS_PER_INSTANCE
    engine: EngineVersion | NotChecked | None = None
    parameter_groups: ParameterGroups | NotChecked | None = None

    @property
    def crosses_regions(self) -> bool:
        """Whether the replica is in another Region than what it is a replica of."""
        return self.source.region != self.region

    @property
    def source(self) -> Instance:
        """What the replica is a replica of: the primary, or another replica."""
        return self.upstreams[0] if self.upstreams else self.primary

    @property
    def vpc(self) -> str | None:
        """Where the replica is, or will be."""
        if self.replica is not None:
            return self.replica.vpc
        return self.landing_vpc if self.crosses_regions else self.source.vpc

    @property
    def port(self) -> int:
        """Where primary and replica listen: a replica inherits the port of its source."""
        return self.primary.port or 5432

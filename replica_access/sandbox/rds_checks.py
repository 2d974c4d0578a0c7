"""What RDS refuses and moto accepts, with RDS's codes and messages.

Each function is named after what it refuses: it raises ``RDSClientError``, or returns. The rules are those of the RDS
API reference, the texts what people report from real calls; where no report of a text was found, it says the same in
our words.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NoReturn

from moto.ec2.models import EC2Backend
from moto.rds.exceptions import (
    DBInstanceNotFoundError,
    DBParameterGroupNotFoundError,
    DBSubnetGroupNotFoundError,
    RDSClientError,
)

MAX_REPLICAS_OF_REPLICA, MAX_LEVELS = 5, 3
VALID_IDENTIFIER = re.compile(r"[a-z](?!.*--)[a-z0-9-]{0,62}(?<!-)", re.IGNORECASE)
VALID_GROUP_NAME = re.compile(r"[a-z](?!.*--)[a-z0-9-]{0,254}(?<!-)", re.IGNORECASE)
VALID_FAMILY = re.compile(r"(postgres|aurora-postgresql)(9\.[3-6]|1[0-9])")
VALID_CLASS = re.compile(r"db\.[a-z]+[0-9]+[a-z0-9-]*\.(micro|small|medium|large|[0-9]*xlarge)")
VALID_PASSWORD = re.compile(r"[!#-.0-?A-~]{8,128}")  # printable ASCII without space, quotation mark, / and @
MODIFIABLE = ("available", "backing-up")
REBOOTABLE = (*MODIFIABLE, "incompatible-parameters")
NOT_MODELLED = (
    "new_db_instance_identifier",
    "db_subnet_group_name",
    "db_port_number",
    "engine",
    "rotate_master_user_password",
)


def taken_cluster(name: str, clusters: Collection[str]) -> None:
    if name in clusters:
        raise RDSClientError("DBClusterAlreadyExistsFault", "DB Cluster already exists")


def missing_resource(arn: str) -> NoReturn:
    """Nothing is there under this ARN, whose sixth part says what kind of thing it would be."""
    kind, name = arn.split(":")[5:7]
    missing = {"db": DBInstanceNotFoundError, "pg": DBParameterGroupNotFoundError, "subgrp": DBSubnetGroupNotFoundError}
    raise missing.get(kind, DBInstanceNotFoundError)(name)


def page_size(value: int) -> None:
    if not 20 <= value <= 100:
        raise RDSClientError(
            "InvalidParameterValue", f"Invalid value {value} for MaxRecords. Must be between 20 and 100"
        )


def invalid_identifier(value: str) -> None:
    if not VALID_IDENTIFIER.fullmatch(value):
        raise RDSClientError(
            "InvalidParameterValue",
            "The parameter DBInstanceIdentifier is not a valid identifier. Identifiers must begin with a letter; must "
            "contain only ASCII letters, digits, and hyphens; and must not end with a hyphen or contain two "
            "consecutive hyphens.",
        )


def taken_identifier(value: str, databases: Collection[str]) -> None:
    if value in databases:
        raise RDSClientError("DBInstanceAlreadyExists", "DB instance already exists")


def quota_reached(databases: Collection[str], limit: int) -> None:
    if len(databases) >= limit:
        raise RDSClientError("InstanceQuotaExceeded", "Instance quota exceeded")


def unknown_instance_class(value: str) -> None:
    if not VALID_CLASS.fullmatch(value):
        raise RDSClientError("InvalidParameterValue", f"Invalid DB Instance class: {value}")


def other_engine(call: Mapping[str, Any], version: str) -> None:
    """The sandbox has one version of one engine; a call may name it, its major version, or none."""
    if call["engine"] != "postgres":
        raise RDSClientError("InvalidParameterValue", f"Invalid DB engine: {call['engine']} (the sandbox has postgres)")
    wanted = call.get("engine_version")
    if wanted and wanted not in (version, version.split(".", maxsplit=1)[0]):
        raise RDSClientError("InvalidParameterCombination", f"Cannot find version {wanted} for postgres")


def missing_credentials(call: Mapping[str, Any]) -> None:
    for key, name in (("master_username", "MasterUsername"), ("master_user_password", "MasterUserPassword")):
        if not call.get(key):
            raise RDSClientError(
                "InvalidParameterValue", f"The parameter {name} must be provided and must not be blank."
            )


def unusable_credentials(call: Mapping[str, Any]) -> None:
    if call.get("master_username") in ("rdsadmin", "rds_superuser", "admin"):
        raise RDSClientError(
            "InvalidParameterValue",
            f"MasterUsername {call['master_username']} cannot be used as it is a reserved word used by the engine",
        )
    password = call.get("master_user_password")
    if password is not None and not VALID_PASSWORD.fullmatch(password):
        raise RDSClientError(
            "InvalidParameterValue",
            "The parameter MasterUserPassword is not a valid password. Only printable ASCII characters besides '/', "
            "'@', '\"', ' ' may be used, and it must have 8 to 128 of them.",
        )


def unavailable(instance: Any) -> None:
    if instance.status not in MODIFIABLE:
        raise RDSClientError("InvalidDBInstanceState", "Database instance is not in available state.")


def reboot_while_unavailable(instance: Any) -> None:
    if instance.status not in REBOOTABLE:
        raise RDSClientError("InvalidDBInstanceState", "Database instance is not in available state.")


def no_replica(instance: Any) -> None:
    if not instance.is_replica:
        raise RDSClientError("InvalidDBInstanceState", "DB Instance is not a read replica.")


def stop_with_replication(instance: Any) -> None:
    if instance.is_replica or instance.replicas:
        raise RDSClientError(
            "InvalidDBInstanceState", "Cannot stop a DB instance that is a read replica, or that has a read replica."
        )


def start_unless_stopped(instance: Any) -> None:
    if instance.status != "stopped":
        raise RDSClientError(
            "InvalidDBInstanceState",
            f"Instance {instance.db_instance_identifier} is not stopped, it cannot be started.",
        )


# -- replicas ----------------------------------------------------------------------------------------------------------


def parameter_group_for_replica(call: Mapping[str, Any]) -> None:
    if call.get("db_parameter_group_name"):
        raise RDSClientError(
            "InvalidParameterCombination",
            "A parameter group can't be specified during Read Replica creation for the following DB engine: postgres",
        )


def presigned_url(call: Mapping[str, Any]) -> None:
    if call.get("pre_signed_url"):
        raise RDSClientError("InvalidParameterCombination", "Your request does not require the preSignedUrl parameter")


def unfit_source(source: Any) -> None:
    unavailable(source)
    if not source.backup_retention_period:
        raise RDSClientError(
            "InvalidDBInstanceState",
            "Automated backups are not enabled for this database instance. To enable automated backups, use "
            "ModifyDBInstance to set the backup retention period to a non-zero value.",
        )
    if source.manage_master_user_password:
        raise RDSClientError(
            "InvalidParameterValue",
            f"Creating read replicas for source instance with engine {source.engine} where ManageMasterUserPassword is "
            "enabled is not supported.",
        )


def too_many_replicas(replicas: Sequence[str], level: int, limit: int) -> None:
    """:param level: of the replica to be: 1 for a replica of a primary, to which ``limit`` applies."""
    if level > MAX_LEVELS:
        raise RDSClientError(
            "InvalidDBInstanceState", f"The source is a read replica of level {MAX_LEVELS} and cannot have replicas."
        )
    limit = limit if level == 1 else MAX_REPLICAS_OF_REPLICA
    if len(replicas) >= limit:
        raise RDSClientError("InvalidDBInstanceState", f"The source already has {limit} read replicas.")


def subnet_group_for_replica(call: Mapping[str, Any], group: Any, siblings: Iterable[Any]) -> None:
    """:param group: the one that the call names, or None; ``siblings`` are the source's other replicas."""
    if group is None:
        return
    if not call["source_db_instance_identifier"].startswith("arn:"):
        raise RDSClientError(
            "DBSubnetGroupNotAllowedFault",
            "DbSubnetGroupName should not be specified for read replicas that are created in the same region as the "
            "master",
        )
    for sibling in siblings:
        if sibling.db_subnet_group.vpc_id != group.vpc_id:
            raise RDSClientError(
                "InvalidDBSubnetGroupFault",
                f"The DB subnet group must be in {sibling.db_subnet_group.vpc_id}, where the read replica "
                f"{sibling.db_instance_identifier} of the same source is.",
            )


def password_of_replica(call: Mapping[str, Any], instance: Any) -> None:
    if instance.is_replica and (call.get("master_user_password") or call.get("manage_master_user_password")):
        raise RDSClientError(
            "InvalidParameterCombination",
            "Cannot change master user password on an RDS postgres Read Replica because it uses physical replication "
            "and therefore cannot differ from its parent.",
        )


def backups_off_with_replicas(call: Mapping[str, Any], instance: Any) -> None:
    if call.get("backup_retention_period") == 0 and instance.replicas:
        raise RDSClientError(
            "InvalidParameterCombination",
            "Automated backups cannot be disabled on a DB instance that is the source of read replicas.",
        )


def unsupported_changes(call: Mapping[str, Any]) -> None:
    for name in NOT_MODELLED:
        if call.get(name) is not None:
            raise NotImplementedError(f"The sandbox cannot change {name} of an instance.")


# -- network -----------------------------------------------------------------------------------------------------------


def unusable_security_groups(ec2: EC2Backend, group_ids: Sequence[str], vpc_id: str) -> None:
    for group_id in group_ids:
        group = ec2.get_security_group_from_id(group_id)
        if group is None:
            raise RDSClientError("InvalidParameterValue", f"Invalid security group , groupId= {group_id}, groupName=.")
        if group.vpc_id != vpc_id:
            raise RDSClientError(
                "InvalidParameterCombination",
                "The DB instance and EC2 security group are in different VPCs. "
                f"The DB instance is in {vpc_id} and the EC2 security group is in {group.vpc_id}",
            )


def closed_vpc(ec2: EC2Backend, vpc_id: str) -> None:
    """A VPC in which nothing can be publicly accessible. RDS looks neither at routes nor at network ACLs."""
    vpc = ec2.get_vpc(vpc_id)
    if not (vpc.enable_dns_support and vpc.enable_dns_hostnames):
        raise RDSClientError(
            "InvalidVPCNetworkStateFault",
            "Cannot create a publicly accessible DBInstance. The specified VPC does not support DNS resolution, DNS "
            "hostnames, or both. Update the VPC and then try again",
        )
    if not any(gateway.vpc is vpc for gateway in ec2.internet_gateways.values()):
        raise RDSClientError(
            "InvalidVPCNetworkStateFault",
            "Cannot create a publicly accessible DBInstance. The specified VPC has no internet gateway attached."
            "Update the VPC and then try again",
        )


def zone_without_subnet(group: Any, zone: str) -> str:
    """:return: the subnet of the group in that zone."""
    for subnet in group.subnets:
        if subnet["SubnetAvailabilityZone"]["Name"] == zone:
            return str(subnet["SubnetIdentifier"])
    raise RDSClientError(
        "InvalidVPCNetworkStateFault", f"The DB subnet group '{group.name}' has no subnet in Availability Zone {zone}."
    )


def taken_subnet_group(name: str, groups: Collection[str]) -> None:
    if name in groups:
        raise RDSClientError("DBSubnetGroupAlreadyExists", f"The DB subnet group '{name}' already exists.")


def unusable_subnets(subnets: Sequence[Any]) -> None:
    if len({subnet.vpc_id for subnet in subnets}) > 1:
        raise RDSClientError("InvalidSubnet", "The subnets of a DB subnet group must be in one VPC.")
    zones = sorted({subnet.availability_zone for subnet in subnets})
    if len(zones) < 2:
        raise RDSClientError(
            "DBSubnetGroupDoesNotCoverEnoughAZs",
            "The DB subnet group doesn't meet Availability Zone (AZ) coverage requirement. Current AZ coverage: "
            f"{', '.join(zones)}. Add subnets to cover at least 2 AZs.",
        )


def other_vpc(group: Any, subnets: Sequence[Any]) -> None:
    if subnets and subnets[0].vpc_id != group.vpc_id:
        raise RDSClientError(
            "InvalidSubnet", f"The new Subnets are not in the same Vpc as the existing subnet group {group.name}."
        )


def subnets_in_use(group: Any, subnets: Sequence[Any], instances: Iterable[Any]) -> None:
    zones = {subnet.availability_zone for subnet in subnets}
    for instance in instances:
        if instance.db_subnet_group is group and instance.availability_zone not in zones:
            raise RDSClientError(
                "SubnetAlreadyInUse", f"Some of the subnets to be deleted are currently in use: {group.name}."
            )


def subnet_group_in_use(group: Any, instances: Iterable[Any]) -> None:
    for instance in instances:
        if instance.db_subnet_group is group:
            raise RDSClientError(
                "InvalidDBSubnetGroupStateFault",
                f"Cannot delete the subnet group '{group.name}' because at least one database instance: "
                f"{instance.db_instance_identifier} is still using it.",
            )


# -- parameter groups --------------------------------------------------------------------------------------------------


def other_family(group: Any, family: str) -> None:
    if group.family != family:
        raise RDSClientError(
            "InvalidParameterCombination",
            f"The parameter group {group.name} with DBParameterGroupFamily {group.family} can't be used for this "
            f"instance. Use a parameter group with DBParameterGroupFamily {family}.",
        )


def invalid_group_name(value: str) -> None:
    if not VALID_GROUP_NAME.fullmatch(value):
        raise RDSClientError(
            "InvalidParameterValue",
            "The parameter DBParameterGroupName is not a valid identifier. Identifiers must begin with a letter; must "
            "contain only ASCII letters, digits, and hyphens; and must not end with a hyphen or contain two "
            "consecutive hyphens.",
        )


def no_family(value: str) -> None:
    """A family that RDS has; the sandbox knows the parameters of its own only."""
    if not VALID_FAMILY.fullmatch(value):
        raise RDSClientError("InvalidParameterValue", f"Invalid DB parameter group family: {value}")


def unknown_family(family: str, known: str) -> None:
    if family != known:
        raise RDSClientError("InvalidParameterValue", f"Invalid DB parameter group family: {family}")


def default_parameter_group(group: Any) -> None:
    if group.name.startswith("default."):
        raise RDSClientError(
            "InvalidParameterValue", f"The parameter group {group.name} is a default group and cannot be modified."
        )


def reset_of_some_and_all(parameters: Sequence[Any], *, everything: bool) -> None:
    if bool(parameters) == everything:
        raise RDSClientError(
            "InvalidParameterCombination", "Name parameters to reset, or reset all of them, and not both."
        )


def parameter_group_in_use(group: Any, instances: Iterable[Any]) -> None:
    if any(group in instance.db_parameter_groups() for instance in instances):
        raise RDSClientError(
            "InvalidDBParameterGroupState",
            "One or more database instances are still members of this parameter group, so the group cannot be deleted",
        )


# -- deletion ----------------------------------------------------------------------------------------------------------


def deletion(instance: Any, snapshot: str | None, *, skip: bool) -> None:
    """:param snapshot: the final one, by name; ``skip`` says that there shall be none."""
    name = instance.db_instance_identifier
    if instance.is_leaving:
        raise RDSClientError("InvalidDBInstanceState", f"Instance {name} is already being deleted.")
    if instance.deletion_protection:
        raise RDSClientError(
            "InvalidParameterCombination",
            "Cannot delete protected DB Instance, please disable deletion protection and try again.",
        )
    if snapshot and (instance.is_replica or skip):
        case = "deleting a replica instance" if instance.is_replica else "SkipFinalSnapshot is specified"
        raise RDSClientError(
            "InvalidParameterCombination", f"FinalDBSnapshotIdentifier can not be specified when {case}"
        )
    if not snapshot and not skip:
        raise RDSClientError(
            "InvalidParameterCombination",
            "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified.",
        )

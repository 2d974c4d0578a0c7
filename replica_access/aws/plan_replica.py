"""The replica itself: made as declared, and mended where it differs. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from replica_access.aws import ownership, settings
from replica_access.aws.engine import EngineVersion
from replica_access.aws.landscape import Instance, Landscape, NotChecked
from replica_access.aws.network import place
from replica_access.model import BlockedObject, Call, Change, Pending, Takes
from replica_access.spec import Replica, Spec

_MOVE = "is in {}; RDS moves no instance within its VPC: delete the replica, and the next run makes it where it belongs"


def create_replica(landscape: Landscape, spec: Spec, wanted: Replica, name: str, group_ids: tuple[str, ...]) -> Change:
    """Plan the replica with everything explicit: what is left out here is inherited from the source, or refused.

    No parameter group (refused for PostgreSQL), no KMS key in one Region (it is the source's), no storage settings
    (inherited; RDS refuses many combinations), no port and no minor-version policy (inherited). Where the spec names no
    certificate authority, the account's default is the one that RDS keeps valid.
    """
    source, placement = landscape.source, place(landscape, wanted)
    parameters: dict[str, Any] = {
        "DBInstanceIdentifier": name,
        "SourceDBInstanceIdentifier": source.identifier,
        "DBInstanceClass": wanted.instance_class or source.instance_class,
        "PubliclyAccessible": wanted.publicly_accessible,
        "VpcSecurityGroupIds": list(group_ids),
        "EnableIAMDatabaseAuthentication": wants_iam(spec),
        "DeletionProtection": wanted.deletion_protection,
        "CopyTagsToSnapshot": True,
        "EnableCloudwatchLogsExports": list(wanted.log_exports),
        "Tags": ownership.as_list(ownership.tags(name, wanted.tags)),
    }
    if wanted.ca_certificate is not None:
        parameters["CACertificateIdentifier"] = wanted.ca_certificate
    if wanted.monitoring_interval:
        parameters["MonitoringInterval"] = wanted.monitoring_interval
        parameters["MonitoringRoleArn"] = wanted.monitoring_role
    if wanted.performance_insights:
        parameters["EnablePerformanceInsights"] = True
    if placement.group is not None and not placement.is_primarys:
        # Another group is taken only beside the ARN of the source, and the ARN only beside a group: with the ARN alone
        # the replica may land in the default VPC.
        parameters["SourceDBInstanceIdentifier"] = source.arn
        parameters["DBSubnetGroupName"] = placement.group.name
    if landscape.crosses_regions:
        # botocore makes the presigned URL of it that lets RDS read the source; for one Region RDS refuses that
        parameters["SourceRegion"] = source.region
        if source.encrypted and wanted.kms_key is not None:
            parameters["KmsKeyId"] = wanted.kms_key
    reach = "reachable from the internet" if wanted.publicly_accessible else "reachable inside the VPC only"
    where = placement.group.name if placement.group is not None else "the primary's subnets"
    return Change(
        "aws",
        "create replica",
        name,
        f"create {name}, a read replica of {source.identifier}: {parameters['DBInstanceClass']}, in {where}, {reach}",
        call=Call("rds", "CreateDBInstanceReadReplica", parameters),
    )


def wants_iam(spec: Spec) -> bool:
    """Whether IAM logins have to be on at the replica."""
    asked = spec.replica is not None and spec.replica.iam_authentication
    return asked or any(user.auth == "iam" for user in spec.users.values())


def wait(replica: Instance) -> Change:
    """Plan to wait for a replica that is not ready."""
    return Change(
        "aws",
        "wait for replica",
        replica.identifier,
        f"wait until {replica.identifier} is ready; it is {replica.status}",
        call=Call("rds", "DescribeDBInstances", {"DBInstanceIdentifier": replica.identifier}),
    )


def mend(
    replica: Instance,
    wanted: Replica,
    group_ids: tuple[str, ...],
    *,
    iam: bool,
    engine: EngineVersion | NotChecked | None,
) -> Iterator[Change]:
    """Plan what a replica of ours lacks: first what nobody notices, then what interrupts, then what takes away.

    What is done at once is one call, and what interrupts is one outage; each thing that is taken away stands alone.
    """
    found = list(settings.differences(replica, wanted, group_ids, iam=iam, engine=engine))
    yield from tag(replica, wanted)
    for effect in ("", "interrupts"):
        if alike := [each for each in found if each.effect == effect]:
            parameters = {key: value for each in alike for key, value in each.parameters.items()}
            what = ", ".join(each.phrase for each in alike)
            yield _modify(replica, "change replica", what, parameters, interrupts=effect == "interrupts")
    for each in found:
        if each.effect == "takes":
            yield _modify(replica, each.action, each.phrase, each.parameters, takes="revoke")


def tag(replica: Instance, wanted: Replica) -> Iterator[Change]:
    """Plan the tags that are missing or differ. Others stay: nobody can tell whose they are."""
    declared = ownership.tags(replica.identifier, wanted.tags)
    lacking = {key: value for key, value in declared.items() if replica.tags.get(key) != value}
    if lacking:
        what = ", ".join(
            f"{key} {replica.tags[key]!r} -> {value!r}" if key in replica.tags else f"{key} {value!r}"
            for key, value in lacking.items()
        )
        call = Call("rds", "AddTagsToResource", {"ResourceName": replica.arn, "Tags": ownership.as_list(lacking)})
        yield Change("aws", "tag replica", replica.identifier, f"{replica.identifier}: tag {what}", call=call)


def _modify(
    replica: Instance,
    action: str,
    what: str,
    parameters: Mapping[str, Any],
    *,
    takes: Takes = "",
    interrupts: bool = False,
) -> Change:
    call = Call(
        "rds",
        "ModifyDBInstance",
        {"DBInstanceIdentifier": replica.identifier, **parameters, "ApplyImmediately": True},
    )
    summary = f"{replica.identifier}: {what}"
    if beside := sorted(set(replica.pending) - set(parameters)) if replica.status == "available" else ():
        summary += f"; what waits for its maintenance window ({', '.join(beside)}) is applied with it"
    return Change("aws", action, replica.identifier, summary, call=call, takes=takes, interrupts=interrupts)


def blocked(landscape: Landscape, wanted: Replica) -> Iterator[BlockedObject]:
    """Yield what RDS would refuse of what the spec says about the replica."""
    engine = landscape.engine
    if wanted.ca_certificate is None or engine is None:
        return
    if isinstance(engine, NotChecked):
        yield BlockedObject("replica.ca_certificate", engine.why, engine.fix)
    elif (known := engine.certificate_authorities) and wanted.ca_certificate not in known:
        reason = f"{wanted.ca_certificate} is no certificate authority for PostgreSQL {engine.version} in this Region"
        yield BlockedObject("replica.ca_certificate", reason, f"Write one of {', '.join(known)}, or leave it out.")


def later(landscape: Landscape, wanted: Replica, name: str) -> Iterator[Pending]:
    """Yield what the spec asks and is not done, so that nobody takes silence for done."""
    replica = landscape.replica
    if replica is None:
        return
    group = wanted.subnet_group.lower()
    primarys = landscape.primary.subnet_group
    if group != "auto" and replica.subnet_group != (primarys if group == "same" else group):
        yield Pending("subnet group", name, _MOVE.format(replica.subnet_group))

"""The replica itself: made as declared, and mended where it differs. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from replica_access.aws import ownership
from replica_access.aws.landscape import Instance, Landscape
from replica_access.aws.network import place
from replica_access.model import Call, Change, Pending, Takes
from replica_access.spec import Replica, Spec

_MOVE = "is in {}; RDS moves no instance within its VPC: delete the replica, and the next run makes it where it belongs"

EXPORTED_LOGS = ("postgresql", "upgrade")


def create_replica(landscape: Landscape, spec: Spec, wanted: Replica, name: str, group_ids: tuple[str, ...]) -> Change:
    """Plan the replica with everything explicit: what is left out here is inherited from the source, or refused.

    No parameter group (refused for PostgreSQL), no KMS key (always the source's in one Region), no storage settings
    (inherited; RDS refuses many combinations), no port and no minor-version policy (inherited), and no certificate
    authority: the account's default is the one that RDS keeps valid.
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
        "EnableCloudwatchLogsExports": list(EXPORTED_LOGS),
        "Tags": ownership.as_list(ownership.tags(name, wanted.tags)),
    }
    if placement.group is not None and not placement.is_primarys:
        # Another group is taken only beside the ARN of the source, and the ARN only beside a group: with the ARN alone
        # the replica may land in the default VPC.
        parameters["SourceDBInstanceIdentifier"] = source.arn
        parameters["DBSubnetGroupName"] = placement.group.name
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


def mend(replica: Instance, wanted: Replica, group_ids: tuple[str, ...], iam: bool) -> Iterator[Change]:
    """Plan what a replica of ours lacks. Groups that somebody else attached stay attached."""
    attached = [group for group, status in replica.security_groups.items() if status != "removing"]
    parameters: dict[str, Any] = {}
    phrases = []
    if lacking := [group for group in group_ids if group not in attached]:
        parameters["VpcSecurityGroupIds"] = [*attached, *lacking]  # the call replaces the whole list
        phrases.append(f"attach {', '.join(lacking)}")
    if wanted.publicly_accessible and not replica.publicly_accessible:
        parameters["PubliclyAccessible"] = True
        phrases.append("make it reachable from the internet")
    if wanted.deletion_protection and not replica.deletion_protection:
        parameters["DeletionProtection"] = True
        phrases.append("protect it from deletion")
    if iam and not replica.iam_authentication:
        parameters["EnableIAMDatabaseAuthentication"] = True
        phrases.append("let users log in by IAM")
    if parameters:
        yield _modify(replica, "change replica", f"{replica.identifier}: {', '.join(phrases)}", parameters)
    if replica.publicly_accessible and not wanted.publicly_accessible:
        sentence = f"{replica.identifier}: close it to the internet; nobody outside the VPC can connect afterwards"
        yield _modify(replica, "close replica", sentence, {"PubliclyAccessible": False}, takes="revoke")


def _modify(replica: Instance, action: str, summary: str, parameters: dict[str, Any], *, takes: Takes = "") -> Change:
    call = Call(
        "rds",
        "ModifyDBInstance",
        {"DBInstanceIdentifier": replica.identifier, **parameters, "ApplyImmediately": True},
    )
    return Change("aws", action, replica.identifier, summary, call=call, takes=takes)


def later(landscape: Landscape, wanted: Replica, name: str) -> Iterator[Pending]:
    """Yield what the spec asks and this version does not do, so that nobody takes silence for done."""
    replica = landscape.replica
    if wanted.parameters:
        names = ", ".join(sorted(wanted.parameters))
        yield Pending("parameter group", name, f"replica.parameters ({names}) are not applied by this version")
    if replica is None:
        return
    if wanted.instance_class not in {None, replica.instance_class}:
        reason = f"is {replica.instance_class}; changing it to {wanted.instance_class} is not done by this version"
        yield Pending("instance class", name, reason)
    group = wanted.subnet_group.lower()
    primarys = landscape.primary.subnet_group
    if group != "auto" and replica.subnet_group != (primarys if group == "same" else group):
        yield Pending("subnet group", name, _MOVE.format(replica.subnet_group))
    if lacking := sorted(key for key, value in wanted.tags.items() if replica.tags.get(key) != value):
        yield Pending("tags", name, f"replica.tags ({', '.join(lacking)}) are only set when the replica is made")

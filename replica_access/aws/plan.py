"""What is missing in AWS for the spec, as calls in order: pure, nothing is looked up or changed here.

A replica and a security group that are ours are gone on with; what is not ours blocks the plan as a whole, so that
nothing is half made. Nothing is taken away: rules and groups that somebody added stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from ipaddress import ip_network
from typing import Any

from replica_access.aws import ownership
from replica_access.aws.adoption import namesake, not_ours, our_group
from replica_access.aws.commands import Commands
from replica_access.aws.landscape import Instance, Landscape, NotChecked, SecurityGroup
from replica_access.aws.network import place
from replica_access.aws.readiness import is_usable
from replica_access.model import BlockedObject, Call, Change, Pending, Plan, Takes
from replica_access.spec import Allow, Replica, Spec

SECURITY_GROUP = "${security_group}"
"""Stands in a call for the id of the group that an earlier call of the same plan makes."""

EXPORTED_LOGS = ("postgresql", "upgrade")


def plan(landscape: Landscape, spec: Spec, today: date) -> Plan:
    """Plan what `spec` lacks in `landscape`.

    :param today: addresses that expired before this day are not allowed any more.
    """
    wanted, name = spec.replica, ownership.replica_identifier(spec)
    if wanted is None or name is None:
        return Plan()
    pending = (*_expired(landscape, spec, name, today), *_later(landscape, wanted, name))
    if blocked := tuple(_blocked(landscape, spec, wanted, name)):
        return Plan((), pending, blocked)
    return Plan(tuple(_changes(landscape, spec, wanted, name, today)), pending)


def _blocked(landscape: Landscape, spec: Spec, wanted: Replica, name: str) -> Iterator[BlockedObject]:
    commands = Commands(landscape.region, spec.aws.profile)
    groups, vpc = landscape.security_groups, landscape.primary.vpc
    if landscape.replica is not None and (refusal := not_ours(landscape.replica, landscape.primary, commands)):
        yield refusal
    elif (placement := place(landscape, wanted)).group is None:
        yield BlockedObject(name, placement.reason, "`replica-access check` shows what would mend it.")
    if isinstance(groups, NotChecked):
        yield BlockedObject(ownership.group_name(name), groups.why, groups.fix)
        return
    if refusal := namesake(groups, name, vpc, commands):
        yield refusal
    for group in spec.network.security_groups:
        if _find(groups, group, vpc) is None:
            reason = f"there is no security group {group} in {vpc}, the primary's VPC"
            yield BlockedObject(group, reason, "Correct network.security_groups in the spec.")


def _find(groups: tuple[SecurityGroup, ...], name: str, vpc: str | None) -> SecurityGroup | None:
    return next((group for group in groups if group.vpc == vpc and name in {group.id, group.name}), None)


# --- changes ---------------------------------------------------------------------------------------------------------


def _changes(landscape: Landscape, spec: Spec, wanted: Replica, name: str, today: date) -> Iterator[Change]:
    known = landscape.security_groups if not isinstance(landscape.security_groups, NotChecked) else ()
    vpc = landscape.primary.vpc or ""
    ours = our_group(known, name, vpc)
    if ours is None:
        yield _create_group(name, vpc)
    group_id = ours.id if ours is not None else SECURITY_GROUP
    for allow in _missing(spec.network.allow, ours, landscape.port, today):
        yield _allow(group_id, allow, name, landscape.port)
    others = [found.id for each in spec.network.security_groups if (found := _find(known, each, vpc))]
    group_ids = tuple(dict.fromkeys((group_id, *others)))
    if landscape.replica is None:
        yield _create_replica(landscape, spec, wanted, name, group_ids)
        return
    if not is_usable(landscape.replica):
        yield _wait(landscape.replica)
    yield from _mend(landscape.replica, wanted, group_ids, _wants_iam(spec))


def _create_group(name: str, vpc: str) -> Change:
    # Egress stays as EC2 makes it, open: groups are stateful, so answers need no rule, and a replica begins no
    # connections of its own. Closing it would break what an administrator may add later (foreign servers, S3 import).
    group = ownership.group_name(name)
    parameters = {
        "GroupName": group,
        "Description": ownership.description(f"Who may reach the read replica {name}"),
        "VpcId": vpc,
        "TagSpecifications": _tagged("security-group", ownership.tags(name, {"Name": group})),
    }
    return Change(
        "aws",
        "create security group",
        group,
        f"create the security group {group} in {vpc}",
        call=Call("ec2", "CreateSecurityGroup", parameters),
    )


def _missing(wanted: Iterable[Allow], group: SecurityGroup | None, port: int, today: date) -> Iterator[Allow]:
    """Yield the addresses that no rule for `port` names yet, each once."""
    there = {ip_network(rule.cidr, strict=False) for rule in (group.ingress if group else ()) if rule.covers(port)}
    for allow in wanted:
        if not _is_expired(allow, today) and (network := ip_network(allow.cidr)) not in there:
            there.add(network)
            yield allow


def _is_expired(allow: Allow, today: date) -> bool:
    return allow.expires is not None and allow.expires < today


def _allow(group_id: str, allow: Allow, name: str, port: int) -> Change:
    about = ", ".join(part for part in (allow.note, f"until {allow.expires}" if allow.expires else "") if part)
    ranges, key = ("Ipv6Ranges", "CidrIpv6") if ip_network(allow.cidr).version == 6 else ("IpRanges", "CidrIp")
    source = {key: allow.cidr, "Description": ownership.description(about) or "replica-access"}
    parameters = {
        "GroupId": group_id,
        "IpPermissions": [{"IpProtocol": "tcp", "FromPort": port, "ToPort": port, ranges: [source]}],
        "TagSpecifications": _tagged("security-group-rule", ownership.rule_tags(name, allow)),
    }
    return Change(
        "aws",
        "allow address",
        allow.cidr,
        f"let {allow.cidr}{f' ({about})' if about else ''} connect to port {port} of {name}",
        call=Call("ec2", "AuthorizeSecurityGroupIngress", parameters),
    )


def _tagged(resource: str, tags: dict[str, str]) -> list[dict[str, Any]]:
    return [{"ResourceType": resource, "Tags": ownership.as_list(tags)}]


def _create_replica(landscape: Landscape, spec: Spec, wanted: Replica, name: str, group_ids: tuple[str, ...]) -> Change:
    """Plan the replica with everything explicit: what is left out here is inherited from the source, or refused.

    No parameter group (refused for PostgreSQL), no KMS key (always the source's in one Region), no storage settings
    (inherited; RDS refuses many combinations), no port and no minor-version policy (inherited), and no certificate
    authority: the account's default is the one that RDS keeps valid.
    """
    primary, placement = landscape.primary, place(landscape, wanted)
    parameters: dict[str, Any] = {
        "DBInstanceIdentifier": name,
        "SourceDBInstanceIdentifier": primary.identifier,
        "DBInstanceClass": wanted.instance_class or primary.instance_class,
        "PubliclyAccessible": wanted.publicly_accessible,
        "VpcSecurityGroupIds": list(group_ids),
        "EnableIAMDatabaseAuthentication": _wants_iam(spec),
        "DeletionProtection": wanted.deletion_protection,
        "CopyTagsToSnapshot": True,
        "EnableCloudwatchLogsExports": list(EXPORTED_LOGS),
        "Tags": ownership.as_list(ownership.tags(name, wanted.tags)),
    }
    if placement.group is not None and not placement.is_primarys:
        # Another group is taken only beside the ARN of the source, and the ARN only beside a group: with the ARN alone
        # the replica may land in the default VPC.
        parameters["SourceDBInstanceIdentifier"] = primary.arn
        parameters["DBSubnetGroupName"] = placement.group.name
    reach = "reachable from the internet" if wanted.publicly_accessible else "reachable inside the VPC only"
    where = placement.group.name if placement.group is not None else "the primary's subnets"
    return Change(
        "aws",
        "create replica",
        name,
        f"create {name}, a read replica of {primary.identifier}: {parameters['DBInstanceClass']}, in {where}, {reach}",
        call=Call("rds", "CreateDBInstanceReadReplica", parameters),
    )


def _wants_iam(spec: Spec) -> bool:
    asked = spec.replica is not None and spec.replica.iam_authentication
    return asked or any(user.auth == "iam" for user in spec.users.values())


def _wait(replica: Instance) -> Change:
    return Change(
        "aws",
        "wait for replica",
        replica.identifier,
        f"wait until {replica.identifier} is ready; it is {replica.status}",
        call=Call("rds", "DescribeDBInstances", {"DBInstanceIdentifier": replica.identifier}),
    )


def _mend(replica: Instance, wanted: Replica, group_ids: tuple[str, ...], iam: bool) -> Iterator[Change]:
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


# --- what this plan leaves -------------------------------------------------------------------------------------------


def _expired(landscape: Landscape, spec: Spec, name: str, today: date) -> Iterator[Pending]:
    known = landscape.security_groups if not isinstance(landscape.security_groups, NotChecked) else ()
    group = our_group(known, name, landscape.primary.vpc)
    for allow in spec.network.allow:
        if _is_expired(allow, today):
            network = ip_network(allow.cidr)
            still = group and any(ip_network(rule.cidr, strict=False) == network for rule in group.ingress)
            left = f"; {group.id} still lets it in, remove that rule" if group and still else ""
            yield Pending("address", allow.cidr, f"expired on {allow.expires} and is not allowed any more{left}")


def _later(landscape: Landscape, wanted: Replica, name: str) -> Iterator[Pending]:
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
        yield Pending("subnet group", name, f"is in {replica.subnet_group}; a replica is not moved by this version")
    if lacking := sorted(key for key, value in wanted.tags.items() if replica.tags.get(key) != value):
        yield Pending("tags", name, f"replica.tags ({', '.join(lacking)}) are only set when the replica is made")

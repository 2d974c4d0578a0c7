"""Carry out the removal of a replica and of what was made for it.

What is gone already is as good as deleted. What goes by its name alone is looked at once more right before: somebody
else may have made another of that name, or promoted the replica, since the plan was made.
"""

from __future__ import annotations

from collections.abc import Iterator

from replica_access.aws.execute_replica import call_when_free
from replica_access.aws.landscape import Instance
from replica_access.aws.ownership import REPLICA_TAG, as_mapping, belongs_to, group_name
from replica_access.aws.readiness import LEAVING
from replica_access.aws.replica import duration, wait_until_gone
from replica_access.aws.rules import SecurityGroup
from replica_access.aws.secret_store import waits_for_deletion
from replica_access.aws.session import Aws
from replica_access.aws.step import Step
from replica_access.aws.survey import instance as describe
from replica_access.aws_commands import Commands
from replica_access.errors import AccessDenied, AwsError, NotFound, NotOurs, WaitFailed

HELD_S = 600.0
"""How long a group may be held by the network interface of an instance that is gone."""

HELD_INTERVAL_S = 10.0
SETTLED_S = 120.0
"""How long RDS may take a group to be in use whose instance is gone."""


# --- the replica -----------------------------------------------------------------------------------------------------


def unprotect(step: Step) -> None:
    """Take the protection from deletion off the replica; whether it is ready does not matter."""
    name = step.parameters["DBInstanceIdentifier"]
    if _ours(step, name) is None:
        return
    try:
        call_when_free(step, "ModifyDBInstance", name)
    except AwsError as error:
        _require_changeable(step, name, error)
        return
    while (found := describe(step.aws, name)) is not None and found.deletion_protection:
        if not step.left_s:
            raise WaitFailed(f"{name} is still protected from deletion.", "Run the same command again.")
        step.pause(5)


def delete_replica(step: Step) -> None:
    """Delete the replica, in whatever state it is, and wait until it is gone.

    :raises NotOurs: it was promoted, or is another one by now.
    """
    name = step.parameters["DBInstanceIdentifier"]
    if (found := _ours(step, name)) is None:
        return
    if found.status not in LEAVING:
        try:
            call_when_free(step, "DeleteDBInstance", name)
        except AwsError as error:
            _require_leaving(step, name, error)
    wait_until_gone(step.aws, name, step.progress, step.left_s, sleep=step.sleep, now=step.now)


def _ours(step: Step, name: str) -> Instance | None:
    """Return the replica as it is now; ``None`` where it is gone."""
    found = describe(step.aws, name)
    if found is None or found.status in LEAVING:
        return found
    if not belongs_to(name, found.tags):
        raise NotOurs(f"{name} does not carry our tag any more.", "Look at the plan again.")
    if found.source is None:
        raise NotOurs(f"{name} was promoted meanwhile, and may hold what nobody else has.", "Look at the plan again.")
    return found


def _require_changeable(step: Step, name: str, error: AwsError) -> None:
    found = describe(step.aws, name)
    if found is None or found.status in LEAVING:
        return
    if error.code != "InvalidDBInstanceState":
        raise error
    events = Commands(step.aws.region).rds("describe-events", "--source-type", "db-instance", "--duration", "1440",
                                           "--source-identifier", name)  # fmt: skip
    raise AwsError(
        f"{name} is protected from deletion, and cannot be changed: it is {found.status}.",
        f"Mend what keeps it in that state, then run the same command again; what RDS says: {events}",
        call=error.call,
        code=error.code,
    )


def _require_leaving(step: Step, name: str, error: AwsError) -> None:
    """Take a refusal for success where somebody, or a call of ours whose answer was lost, has deleted it already."""
    if isinstance(error, NotFound):
        return
    found = describe(step.aws, name) if error.code == "InvalidDBInstanceState" else None
    if found is None or found.status not in LEAVING:
        raise error


# --- its groups ------------------------------------------------------------------------------------------------------


def delete_security_group(step: Step) -> None:
    """Delete the security group, again while the network interface of the replica lingers.

    :raises AwsError: something holds it that does not go by itself, or does not go in time; says what.
    """
    group, begin = step.parameters["GroupId"], step.now()
    while True:
        try:
            step.aws.call("ec2", "DeleteSecurityGroup", **step.parameters)
        except AwsError as error:
            if error.code == "InvalidGroup.NotFound":
                return
            if error.code != "DependencyViolation":
                raise
        else:
            return
        elapsed = step.now() - begin
        holders = list(_holders(step.aws, group))
        passing = [words for words, goes_by_itself in holders if goes_by_itself]
        lasting = [words for words, goes_by_itself in holders if not goes_by_itself]
        if lasting or elapsed > HELD_S or not step.left_s:
            held = "; ".join(lasting + passing) or "something that cannot be seen"
            raise AwsError(
                f"The security group {group} cannot be deleted after {duration(elapsed)}: it is held by {held}.",
                "Let go of it there, or wait until it is gone, then run the same command again.",
                call="ec2:DeleteSecurityGroup",
                code="DependencyViolation",
            )
        step.progress.waiting(f"{group} is held by {'; '.join(passing) or 'something'} ({duration(elapsed)})")
        step.pause(HELD_INTERVAL_S)


def _holders(aws: Aws, group: str) -> Iterator[tuple[str, bool]]:
    """Yield what holds `group`, each with whether it goes by itself: the interfaces of RDS do, when it has time."""
    try:
        yield from _interfaces(aws, group)
        yield from _references(aws, group)
    except AccessDenied as error:
        yield f"something that may not be looked at ({error.fix.rstrip('.')})", True


def _interfaces(aws: Aws, group: str) -> Iterator[tuple[str, bool]]:
    filters = [{"Name": "group-id", "Values": [group]}]
    for found in aws.pages("ec2", "DescribeNetworkInterfaces", "NetworkInterfaces", Filters=filters):
        about = found.get("Description") or found.get("InterfaceType") or "no description"
        holder = found.get("Attachment", {}).get("InstanceId")
        where = f", attached to {holder}" if holder else ""
        words = f"the network interface {found['NetworkInterfaceId']} ({about}{where})"
        yield words, bool(found.get("RequesterManaged")) or found.get("RequesterId") == "amazon-rds"


def _references(aws: Aws, group: str) -> Iterator[tuple[str, bool]]:
    """Yield the rules of other security groups that name `group`: EC2 finds the groups, and each tells its rules."""
    others = {
        entry["GroupId"]: SecurityGroup.of(entry).name
        for name in ("ip-permission.group-id", "egress.ip-permission.group-id")
        for entry in aws.pages(
            "ec2", "DescribeSecurityGroups", "SecurityGroups", Filters=[{"Name": name, "Values": [group]}]
        )
        if entry["GroupId"] != group
    }
    for other, called in others.items():
        filters = [{"Name": "group-id", "Values": [other]}]
        rules = aws.pages("ec2", "DescribeSecurityGroupRules", "SecurityGroupRules", Filters=filters)
        named = [
            rule["SecurityGroupRuleId"] for rule in rules if rule.get("ReferencedGroupInfo", {}).get("GroupId") == group
        ]
        rule = f"rule {', '.join(named)} of " if named else ""
        yield f"{rule}the security group {other} ({called})", False


def delete_subnet_group(step: Step) -> None:
    """Delete the DB subnet group, again while RDS still takes it to be in use."""
    _delete_group(step, "DBSubnetGroup")


def delete_parameter_group(step: Step) -> None:
    """Delete the DB parameter group, again while RDS still takes it to be in use."""
    _delete_group(step, "DBParameterGroup")


IN_USE = frozenset({"InvalidDBSubnetGroupStateFault", "InvalidDBParameterGroupState"})


def _delete_group(step: Step, kind: str) -> None:
    """:param kind: as the operations and parameters of RDS call it."""
    name, begin = step.parameters[f"{kind}Name"], step.now()
    try:
        found = step.aws.call("rds", f"Describe{kind}s", **step.parameters)[f"{kind}s"]
        for entry in found:
            _require_tag(step, name, entry[f"{kind}Arn"])
        while True:
            try:
                step.aws.call("rds", f"Delete{kind}", **step.parameters)
            except AwsError as error:
                elapsed = step.now() - begin
                if error.code not in IN_USE or elapsed > SETTLED_S or not step.left_s:
                    raise
                step.progress.waiting(f"{name} is in use ({duration(elapsed)})")
                step.pause(HELD_INTERVAL_S)
            else:
                return
    except NotFound:
        return


def _require_tag(step: Step, name: str, arn: str) -> None:
    tags = as_mapping(step.aws.call("rds", "ListTagsForResource", ResourceName=arn).get("TagList", ()))
    ours = group_name(tags.get(REPLICA_TAG, ""))
    if REPLICA_TAG not in tags or not f"{name}-".startswith(f"{ours}-"):
        raise NotOurs(f"{name} does not carry our tag any more.", "Look at the plan again.")


# --- secrets ---------------------------------------------------------------------------------------------------------


def delete_secret(step: Step) -> None:
    """Schedule the secret for its deletion."""
    try:
        step.aws.call("secretsmanager", "DeleteSecret", **step.parameters)
    except NotFound:
        return
    except AwsError as error:
        if error.code != "InvalidRequestException" or not waits_for_deletion(step.aws, step.parameters["SecretId"]):
            raise

"""Carry out what is planned for the security group of a replica.

A rule that is there already is as good as made, and one that is not there any more as good as revoked.
"""

from __future__ import annotations

from replica_access.aws.adoption import foreign_group
from replica_access.aws.ownership import REPLICA_TAG, as_mapping, belongs_to
from replica_access.aws.rules import SecurityGroup
from replica_access.aws.step import CONSISTENCY_S, Step
from replica_access.aws_commands import Commands
from replica_access.errors import AwsError, NotOurs

UNKNOWN = "InvalidGroup.NotFound"
"""What EC2 says of a group that it has not made, or just now."""


def create_security_group(step: Step) -> None:
    """Make the group, or take the one that an earlier call of ours made; its id is an output.

    :raises NotOurs: a group of that name is somebody else's.
    """
    try:
        group_id = str(step.aws.call("ec2", "CreateSecurityGroup", **step.parameters)["GroupId"])
    except AwsError as error:
        if error.code != "InvalidGroup.Duplicate":
            raise
        group_id = _adopted_group(step).id
    step.call_while(UNKNOWN, "ec2", "DescribeSecurityGroups", GroupIds=[group_id])
    step.outputs["security_group"] = group_id


def _adopted_group(step: Step) -> SecurityGroup:
    """Return the group whose name is taken, where it is ours: the answer to our own call was lost."""
    name, vpc = step.parameters["GroupName"], step.parameters["VpcId"]
    filters = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "group-name", "Values": [name]}]
    begin = step.now()
    while not (found := step.aws.call("ec2", "DescribeSecurityGroups", Filters=filters)["SecurityGroups"]):
        if step.now() - begin > min(CONSISTENCY_S, step.left_s):
            raise NotOurs(
                f"The name {name} is taken in {vpc} by a security group that cannot be seen.",
                "Look for it in the console, whatever its capitals, and rename or delete it.",
            )
        step.pause(2)
    group = SecurityGroup.of(found[0])
    replica = as_mapping(step.parameters["TagSpecifications"][0]["Tags"])[REPLICA_TAG]
    if not belongs_to(replica, group.tags):
        refusal = foreign_group(group, replica, Commands(step.aws.region))
        raise NotOurs(f"{refusal.reason}.", refusal.fix)
    return group


def allow(step: Step) -> None:
    """Let addresses in; those that are let in already are no error."""
    try:
        step.call_while(UNKNOWN, "ec2", "AuthorizeSecurityGroupIngress", **step.parameters)
    except AwsError as error:
        if error.code != "InvalidPermission.Duplicate":
            raise


GONE = frozenset({"InvalidPermission.NotFound", "InvalidSecurityGroupRuleId.NotFound"})
"""What EC2 says of a rule that is not there."""


def revoke(step: Step) -> None:
    """Let somebody in no more; a rule that is gone already is no error."""
    try:
        step.aws.call("ec2", "RevokeSecurityGroupIngress", **step.parameters)
    except AwsError as error:
        if error.code not in GONE:
            raise


def describe(step: Step) -> None:
    """Say of a rule what it is for."""
    step.aws.call("ec2", "UpdateSecurityGroupRuleDescriptionsIngress", **step.parameters)


def tag(step: Step) -> None:
    """Tag a rule."""
    step.aws.call("ec2", "CreateTags", **step.parameters)


def untag(step: Step) -> None:
    """Take tags from a rule."""
    step.aws.call("ec2", "DeleteTags", **step.parameters)

"""Carry out what is planned for the subnet group of a replica."""

from __future__ import annotations

from replica_access.aws.adoption import tag_word
from replica_access.aws.landscape import SubnetGroup
from replica_access.aws.ownership import REPLICA_TAG, as_mapping, belongs_to
from replica_access.aws.step import Step
from replica_access.aws_commands import Commands
from replica_access.errors import AwsError, NotOurs


def create(step: Step) -> None:
    """Make the group, or take the one that an earlier call of ours made.

    :raises NotOurs: a group of that name is somebody else's.
    :raises AwsError: it is ours, and has other subnets.
    """
    try:
        step.aws.call("rds", "CreateDBSubnetGroup", **step.parameters)
    except AwsError as error:
        if error.code != "DBSubnetGroupAlreadyExists":
            raise
        _adopt(step)


def _adopt(step: Step) -> None:
    name = step.parameters["DBSubnetGroupName"]
    answer = step.aws.call("rds", "DescribeDBSubnetGroups", DBSubnetGroupName=name)
    group = SubnetGroup.of(answer["DBSubnetGroups"][0])
    tags = as_mapping(step.aws.call("rds", "ListTagsForResource", ResourceName=group.arn)["TagList"])
    replica = as_mapping(step.parameters["Tags"])[REPLICA_TAG]
    if not belongs_to(replica, tags):
        tag = Commands(step.aws.region).rds(
            "add-tags-to-resource", "--resource-name", group.arn, "--tags", tag_word(replica)
        )
        raise NotOurs(
            f"There is a subnet group {name} that does not carry our tag.",
            f"Delete it when nobody needs it, or hand it over: {tag}",
        )
    if set(group.subnets) != set(step.parameters["SubnetIds"]):
        raise AwsError(
            f"The subnet group {name} is there, of {', '.join(group.subnets)}, and not of what was planned.",
            "Run the same command again: it plans what mends that.",
        )


def change(step: Step) -> None:
    """Give the group other subnets."""
    step.aws.call("rds", "ModifyDBSubnetGroup", **step.parameters)

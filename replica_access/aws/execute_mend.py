"""Carry out what `check --fix` does to a VPC. It is not ours: only what somebody has just asked for is changed."""

from __future__ import annotations

from replica_access.aws.step import Step
from replica_access.errors import WaitFailed

UNSEEN_S = 60.0
"""How long a change may not show yet."""


def modify_vpc(step: Step) -> None:
    """Switch an attribute of a VPC on, and wait until that shows.

    :raises WaitFailed: it does not.
    """
    step.aws.call("ec2", "ModifyVpcAttribute", **step.parameters)
    vpc = step.parameters["VpcId"]
    (attribute,) = (name for name in step.parameters if name != "VpcId")
    asked = attribute[0].lower() + attribute[1:]  # enableDnsSupport in the question, EnableDnsSupport in the answer
    begin = step.now()
    while (
        step.aws.call("ec2", "DescribeVpcAttribute", VpcId=vpc, Attribute=asked)[attribute]
        != step.parameters[attribute]
    ):
        if step.now() - begin > min(UNSEEN_S, step.left_s):
            raise WaitFailed(f"{asked} of {vpc} does not change.", "Run the same command again in a minute.")
        step.progress.waiting(f"{vpc}: {asked} does not show yet")
        step.pause(2)

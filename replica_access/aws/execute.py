"""Carry out one planned change, so that doing it twice is as good as once.

A run may have been stopped after AWS acted and before we heard of it, and botocore repeats a call whose answer was
lost. So what exists already is taken for ours when it carries our tag, and for somebody else's otherwise; and what AWS
does not know yet is asked for again.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from replica_access.aws import (
    execute_access,
    execute_mend,
    execute_parameters,
    execute_removal,
    execute_replica,
    execute_secrets,
    execute_subnets,
)
from replica_access.aws.session import Aws
from replica_access.aws.step import Step
from replica_access.errors import AwsError
from replica_access.model import Change
from replica_access.progress import Progress

CARRY_OUT: Mapping[str, Callable[[Step], None]] = {
    "CreateSecurityGroup": execute_access.create_security_group,
    "AuthorizeSecurityGroupIngress": execute_access.allow,
    "UpdateSecurityGroupRuleDescriptionsIngress": execute_access.describe,
    "CreateTags": execute_access.tag,
    "DeleteTags": execute_access.untag,
    "RevokeSecurityGroupIngress": execute_access.revoke,
    "CreateDBSubnetGroup": execute_subnets.create,
    "ModifyDBSubnetGroup": execute_subnets.change,
    "CreateDBInstanceReadReplica": execute_replica.create_replica,
    "ModifyDBInstance": execute_replica.modify,
    "DescribeDBInstances": execute_replica.wait,
    "ModifyVpcAttribute": execute_mend.modify_vpc,
    "AddTagsToResource": execute_replica.tag,
    "CreateDBParameterGroup": execute_parameters.create_group,
    "ModifyDBParameterGroup": execute_parameters.set_parameters,
    "ResetDBParameterGroup": execute_parameters.reset_parameters,
    "RebootDBInstance": execute_parameters.reboot,
    "DeleteDBInstance": execute_removal.delete_replica,
    "DeleteSecurityGroup": execute_removal.delete_security_group,
    "DeleteDBSubnetGroup": execute_removal.delete_subnet_group,
    "DeleteDBParameterGroup": execute_removal.delete_parameter_group,
    "DeleteSecret": execute_removal.delete_secret,
    "RestoreSecret": execute_secrets.restore,
    "TagResource": execute_secrets.tag,
}
"""How each operation that a plan may ask for is carried out."""

BY_ACTION: Mapping[str, Callable[[Step], None]] = {"unprotect replica": execute_removal.unprotect}
"""What is carried out in another way than its operation usually is."""


def execute(
    aws: Aws,
    change: Change,
    outputs: dict[str, str],
    progress: Progress,
    deadline_s: float,
    *,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.monotonic,
) -> None:
    """Carry out `change`, and wait until it has taken effect.

    :param outputs: what earlier changes of the same plan brought forth, for ``${name}``; added to.
    :param deadline_s: seconds for this change; creating a replica takes most of an hour at worst.
    :raises NotOurs: something of that name exists and is not ours.
    :raises WaitFailed: it did not take effect.
    :raises AwsError: AWS refused; everything done so far stays, and the same command goes on from there.
    """
    if change.call is None:
        raise AwsError(f"The change {change.summary!r} names no call.", "Please report this: it is a defect.")
    operation = change.call.operation
    if operation not in CARRY_OUT:
        raise AwsError(f"The plan asks for {operation}, which is not carried out here.", "Make the plan anew.")
    step = Step(aws, _resolved(change.call.parameters, outputs), outputs, progress, now() + deadline_s, sleep, now)
    BY_ACTION.get(change.action, CARRY_OUT[operation])(step)


def _resolved(value: Any, outputs: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _resolved(each, outputs) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_resolved(each, outputs) for each in value]
    if isinstance(value, str) and (reference := re.fullmatch(r"\$\{(\w+)\}", value)):
        if reference[1] not in outputs:
            raise AwsError(
                f"{value} stands for a change that was not carried out.", "Apply the plan from its beginning."
            )
        return outputs[reference[1]]
    return value

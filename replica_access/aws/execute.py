"""Carry out one planned change, so that doing it twice is as good as once.

A run may have been stopped after AWS acted and before we heard of it, and botocore repeats a call whose answer was
lost. So what exists already is taken for ours when it carries our tag, and for somebody else's otherwise; and what AWS
does not know yet is asked for again.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from replica_access.aws.adoption import foreign_group, not_ours
from replica_access.aws.commands import Commands
from replica_access.aws.landscape import Instance, SecurityGroup
from replica_access.aws.ownership import REPLICA_TAG, as_mapping, belongs_to, identifier
from replica_access.aws.readiness import TERMINAL, differences
from replica_access.aws.replica import duration, wait_until_ready
from replica_access.aws.session import Aws
from replica_access.aws.survey import instance as describe
from replica_access.errors import AwsError, NotOurs
from replica_access.model import Change
from replica_access.progress import Progress

CONSISTENCY_S = 60.0
"""How long EC2 may not know a security group that it has just made."""

BUSY_INTERVAL_S = 15.0
MAX_UNEXPLAINED = 3


@dataclass(frozen=True, slots=True)
class _Run:
    """One change under way. Times are seconds of `now`."""

    aws: Aws
    parameters: Mapping[str, Any]
    outputs: dict[str, str]
    progress: Progress
    deadline: float
    sleep: Callable[[float], None]
    now: Callable[[], float]

    @property
    def left_s(self) -> float:
        return max(0.0, self.deadline - self.now())

    def pause(self, seconds: float) -> None:
        self.sleep(min(0.3 if self.aws.is_local else seconds, self.left_s))

    def wait(self, identifier: str, wanted: Mapping[str, Any] | None = None) -> Instance:
        return wait_until_ready(
            self.aws, identifier, self.progress, self.left_s, wanted=wanted, sleep=self.sleep, now=self.now
        )


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
    run = _Run(aws, _resolved(change.call.parameters, outputs), outputs, progress, now() + deadline_s, sleep, now)
    match change.call.operation:
        case "CreateSecurityGroup":
            _create_security_group(run)
        case "AuthorizeSecurityGroupIngress":
            _allow(run)
        case "CreateDBInstanceReadReplica":
            _create_replica(run)
        case "ModifyDBInstance":
            _modify(run)
        case "DescribeDBInstances":
            run.wait(run.parameters["DBInstanceIdentifier"])
        case operation:
            raise AwsError(f"The plan asks for {operation}, which is not carried out here.", "Make the plan anew.")


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


# --- the security group ----------------------------------------------------------------------------------------------


def _create_security_group(run: _Run) -> None:
    try:
        group_id = str(run.aws.call("ec2", "CreateSecurityGroup", **run.parameters)["GroupId"])
    except AwsError as error:
        if error.code != "InvalidGroup.Duplicate":
            raise
        group_id = _adopted_group(run).id
    _until_known(run, "DescribeSecurityGroups", GroupIds=[group_id])
    run.outputs["security_group"] = group_id


def _adopted_group(run: _Run) -> SecurityGroup:
    """Return the group whose name is taken, where it is ours: the answer to our own call was lost."""
    name, vpc = run.parameters["GroupName"], run.parameters["VpcId"]
    filters = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "group-name", "Values": [name]}]
    begin = run.now()
    while not (found := run.aws.call("ec2", "DescribeSecurityGroups", Filters=filters)["SecurityGroups"]):
        if run.now() - begin > min(CONSISTENCY_S, run.left_s):
            raise NotOurs(
                f"The name {name} is taken in {vpc} by a security group that cannot be seen.",
                "Look for it in the console, whatever its capitals, and rename or delete it.",
            )
        run.pause(2)
    group = SecurityGroup.of(found[0])
    replica = as_mapping(run.parameters["TagSpecifications"][0]["Tags"])[REPLICA_TAG]
    if not belongs_to(replica, group.tags):
        refusal = foreign_group(group, replica, Commands(run.aws.region))
        raise NotOurs(f"{refusal.reason}.", refusal.fix)
    return group


def _allow(run: _Run) -> None:
    try:
        _until_known(run, "AuthorizeSecurityGroupIngress", **run.parameters)
    except AwsError as error:
        if error.code != "InvalidPermission.Duplicate":
            raise


def _until_known(run: _Run, operation: str, **parameters: Any) -> None:
    """Call `operation` on a group, again while EC2 does not know the group yet."""
    begin = run.now()
    while True:
        try:
            run.aws.call("ec2", operation, **parameters)
        except AwsError as error:
            if error.code != "InvalidGroup.NotFound" or run.now() - begin > min(CONSISTENCY_S, run.left_s):
                raise
            run.pause(2)
        else:
            return


# --- the replica -----------------------------------------------------------------------------------------------------


def _create_replica(run: _Run) -> None:
    name = run.parameters["DBInstanceIdentifier"]
    source = identifier(run.parameters["SourceDBInstanceIdentifier"])
    try:
        _when_free(run, "CreateDBInstanceReadReplica", source)
    except AwsError as error:
        if error.code != "DBInstanceAlreadyExists":
            raise
        _require_ours(run, name, source)
    made = run.wait(name)
    if wrong := differences(made, run.parameters):
        raise AwsError(
            f"{name} is there, but not as it was asked for: {'; '.join(wrong)}.",
            "Run the same command again: it plans what mends that.",
        )


def _require_ours(run: _Run, name: str, source: str) -> None:
    found, primary = describe(run.aws, name), describe(run.aws, source)
    if found is None or primary is None:
        return  # deleted meanwhile; the wait that follows says so
    if refusal := not_ours(found, primary, Commands(run.aws.region)):
        raise NotOurs(f"{refusal.reason}.", refusal.fix, code="DBInstanceAlreadyExists")


def _modify(run: _Run) -> None:
    name = run.parameters["DBInstanceIdentifier"]
    _when_free(run, "ModifyDBInstance", name)
    run.wait(name, wanted=run.parameters)


def _when_free(run: _Run, operation: str, instance: str) -> None:
    """Call `operation`, which needs `instance` to be available, again while that is busy with something else.

    RDS gives one code for an instance that is busy and for one that will never do, so its own state decides.
    """
    unexplained = 0
    while True:
        try:
            run.aws.call("rds", operation, **run.parameters)
        except AwsError as error:
            if error.code != "InvalidDBInstanceState" or not run.left_s:
                raise
            found = describe(run.aws, instance)
            if found is None or found.status in TERMINAL:
                raise
            if found.status == "available":
                unexplained += 1  # it may just have become free
            if unexplained > MAX_UNEXPLAINED:
                raise
            run.progress.waiting(f"{found.identifier} is {found.status}: waiting ({duration(run.left_s)} left)")
            run.pause(BUSY_INTERVAL_S)
        else:
            return

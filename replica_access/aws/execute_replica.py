"""Carry out what is planned for a replica."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from replica_access.aws import reboots
from replica_access.aws.adoption import not_ours
from replica_access.aws.landscape import Instance
from replica_access.aws.ownership import identifier
from replica_access.aws.readiness import TERMINAL, differences
from replica_access.aws.replica import duration
from replica_access.aws.session import Aws
from replica_access.aws.step import Step
from replica_access.aws.survey import instance as describe
from replica_access.aws_commands import Commands
from replica_access.errors import AwsError, NotOurs

BUSY_INTERVAL_S = 15.0
MAX_UNEXPLAINED = 3


def create_replica(step: Step) -> None:
    """Make the replica, or take the one that an earlier call of ours made, and wait until it is ready.

    :raises NotOurs: an instance of that name is somebody else's.
    """
    name = step.parameters["DBInstanceIdentifier"]
    source = identifier(step.parameters["SourceDBInstanceIdentifier"])
    try:
        home = step.aws.in_region(step.parameters.get("SourceRegion", step.aws.region))
        call_when_free(step, "CreateDBInstanceReadReplica", source, home=home)
    except AwsError as error:
        if error.code != "DBInstanceAlreadyExists":
            raise
        _require_ours(step, name, source)
    made = step.wait(name)
    if wrong := differences(made, step.parameters):
        raise AwsError(
            f"{name} is there, but not as it was asked for: {'; '.join(wrong)}.",
            "Run the same command again: it plans what mends that.",
        )


def _require_ours(step: Step, name: str, source: str) -> None:
    found = describe(step.aws, name)
    if found is None:
        return  # deleted meanwhile; the wait that follows says so
    if refusal := not_ours(found, source, Commands(step.aws.region)):
        raise NotOurs(f"{refusal.reason}.", refusal.fix, code="DBInstanceAlreadyExists")


def wait(step: Step) -> None:
    """Wait until the replica is ready."""
    step.wait(step.parameters["DBInstanceIdentifier"])


def modify(step: Step) -> None:
    """Change the replica, once it lets itself be changed, and wait until that shows."""
    name = step.parameters["DBInstanceIdentifier"]
    group = step.parameters.get("DBParameterGroupName")
    if group is not None and (found := describe(step.aws, name)) is not None and group in found.parameter_groups:
        step.wait(name)  # attached by an earlier call of ours, and perhaps rebooted already
        return
    call_when_free(step, "ModifyDBInstance", name)
    step.wait(name, lacks=partial(_first_difference, step.parameters), settling=True)
    if group is not None:
        reboots.wait_until_due(step, name)


def _first_difference(parameters: Mapping[str, Any], found: Instance) -> str | None:
    return next(iter(differences(found, parameters)), None)


def tag(step: Step) -> None:
    """Put tags on the replica. Others stay."""
    step.aws.call("rds", "AddTagsToResource", **step.parameters)


def never(instance: Instance) -> bool:
    """Say of no `instance` that a call has begun to show."""
    del instance
    return False


def call_when_free(
    step: Step,
    operation: str,
    instance: str,
    *,
    has_begun: Callable[[Instance], bool] = never,
    home: Aws | None = None,
) -> None:
    """Call `operation`, which needs `instance` to be available, again while that is busy with something else.

    RDS gives one code for an instance that is busy and for one that will never do, so its own state decides.

    :param home: the Region of `instance`, where it is another than that of the replica.
    :param has_begun: whether an earlier call, whose answer was lost, shows; then there is no other.
    """
    unexplained = 0
    while True:
        try:
            step.aws.call("rds", operation, **step.parameters)
        except AwsError as error:
            if error.code != "InvalidDBInstanceState" or not step.left_s:
                raise
            found = describe(home or step.aws, instance)
            if found is None:
                raise
            if found.status in TERMINAL | {"storage-full"}:
                raise AwsError(
                    f"{error.what.removesuffix('.')}: {found.identifier} is {found.status}.",
                    "It does not leave that state by itself: `replica-access check` shows what to do.",
                    call=error.call,
                    code=error.code,
                ) from None
            if has_begun(found):
                return
            if found.status == "available":
                unexplained += 1  # it may just have become free
            if unexplained > MAX_UNEXPLAINED:
                raise
            step.progress.waiting(f"{found.identifier} is {found.status}: waiting ({duration(step.left_s)} left)")
            step.pause(BUSY_INTERVAL_S)
        else:
            return

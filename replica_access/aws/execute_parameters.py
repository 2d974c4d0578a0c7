"""Carry out what is planned for the parameter group of a replica, and the reboot that brings it into force."""

from __future__ import annotations

from replica_access.aws import reboots
from replica_access.aws.adoption import foreign_parameter_group
from replica_access.aws.execute_replica import call_when_free
from replica_access.aws.failures import is_passing
from replica_access.aws.landscape import Instance
from replica_access.aws.ownership import REPLICA_TAG, as_mapping, belongs_to
from replica_access.aws.readiness import TERMINAL
from replica_access.aws.session import ATTEMPTS
from replica_access.aws.step import Step
from replica_access.aws.survey import instance as describe
from replica_access.aws.survey_parameters import tags_of
from replica_access.aws_commands import Commands
from replica_access.errors import AwsError, NotOurs


def create_group(step: Step) -> None:
    """Make the group, or take the one that an earlier call of ours made.

    :raises NotOurs: a group of that name is somebody else's.
    """
    try:
        step.aws.call("rds", "CreateDBParameterGroup", **step.parameters)
    except AwsError as error:
        if error.code != "DBParameterGroupAlreadyExists":
            raise
        _owner(step, as_mapping(step.parameters["Tags"])[REPLICA_TAG])


def set_parameters(step: Step) -> None:
    """Set parameters of a group of ours, as `_change_group` does."""
    _change_group(step, "ModifyDBParameterGroup")


def reset_parameters(step: Step) -> None:
    """Give parameters of a group of ours the engine's default again, as `_change_group` does."""
    _change_group(step, "ResetDBParameterGroup")


def _change_group(step: Step, operation: str) -> None:
    """Change parameters, and wait until a replica that follows the group has taken them up.

    :raises NotOurs: the group is somebody else's.
    """
    replica = describe(step.aws, _owner(step))
    step.call_while("InvalidDBParameterGroupState", "rds", operation, **step.parameters)
    if replica is None or step.parameters["DBParameterGroupName"] not in replica.parameter_groups:
        return
    if replica.status in TERMINAL:  # it does not run with what it had; a reboot shows whether it does now
        reboots.insist(step, replica.identifier)
        return
    step.wait(replica.identifier, settling=True, deferred=replica.pending)
    if any(each["ApplyMethod"] == reboots.PENDING_REBOOT for each in step.parameters["Parameters"]):
        reboots.wait_until_due(step, replica.identifier)


def reboot(step: Step) -> None:
    """Reboot the replica, unless somebody has done so meanwhile, and wait until its parameters are in force."""
    name = step.parameters["DBInstanceIdentifier"]
    before = describe(step.aws, name)
    deferred = before.pending if before is not None else ()
    if not reboots.is_due(step, before):
        step.wait(name, deferred=deferred)
        return
    shows_it = before is not None and reboots.why_not_in_sync(before) is not None
    _reboot_once(step, name, shows_it=shows_it)
    step.wait(name, lacks=reboots.why_not_in_sync, settling=True, deferred=deferred)


def _reboot_once(step: Step, name: str, *, shows_it: bool) -> None:
    """Call for a reboot until RDS has heard it: each that it hears is another interruption.

    :param shows_it: whether RDS shows that a reboot is due, and so, too, that it is done.
    """

    def has_begun(found: Instance) -> bool:
        return found.status == "rebooting" or (shows_it and reboots.why_not_in_sync(found) is None)

    for attempt in range(ATTEMPTS):
        try:
            call_when_free(step, "RebootDBInstance", name, has_begun=has_begun)
        except AwsError as error:
            if not is_passing(error) or attempt == ATTEMPTS - 1:
                raise
            step.pause(5)
            if (found := describe(step.aws, name)) is not None and has_begun(found):
                return
        else:
            return


def _owner(step: Step, replica: str | None = None) -> str:
    """Return the replica that the group of this step was made for.

    :param replica: the one that it has to have been made for; ``None``: any.
    :raises NotOurs: it was made by somebody else.
    """
    group = step.parameters["DBParameterGroupName"]
    unknown = "DBParameterGroupNotFound"
    answer = step.call_while(unknown, "rds", "DescribeDBParameterGroups", DBParameterGroupName=group)
    arn = answer["DBParameterGroups"][0]["DBParameterGroupArn"]
    tags = tags_of(step.aws, arn)
    owner = tags.get(REPLICA_TAG)
    if owner is None or not belongs_to(replica or owner, tags):
        refusal = foreign_parameter_group(group, arn, replica or "REPLICA", Commands(step.aws.region))
        raise NotOurs(f"{refusal.reason}.", refusal.fix, code="DBParameterGroupAlreadyExists")
    return owner

"""When a replica has to be rebooted, as far as RDS shows it.

RDS shows that a reboot is due by ``pending-reboot``, and that it is done by ``in-sync``. Not every version is known to
show the first: what has to be rebooted and never showed it is written down in the outputs of the plan, and rebooted all
the same.
"""

from __future__ import annotations

from replica_access.aws.landscape import Instance
from replica_access.aws.step import Step
from replica_access.aws.survey import instance as describe

PENDING_REBOOT = "pending-reboot"
SHOWN_S = 60.0
"""How long RDS may take to show that a reboot is due."""


def wait_until_due(step: Step, name: str) -> None:
    """Wait until RDS shows that `name` has to be rebooted; where it does not, see to it that it is."""
    begin = step.now()
    while (found := describe(step.aws, name)) is not None and PENDING_REBOOT not in found.parameter_groups.values():
        if step.now() - begin > min(step.patience_s(SHOWN_S), step.left_s):
            insist(step, name)
            return
        step.pause(5)


def insist(step: Step, name: str) -> None:
    """See to it that `name` is rebooted, whatever RDS shows by then."""
    step.outputs[_key(name)] = "insisted"


def is_due(step: Step, instance: Instance | None) -> bool:
    """Whether `instance` still has to be rebooted; somebody may have done it."""
    if instance is None or step.outputs.pop(_key(instance.identifier), None) is not None:
        return True
    return why_not_in_sync(instance) is not None


def why_not_in_sync(instance: Instance) -> str | None:
    """Return which parameter group `instance` does not follow yet, in a few words, or ``None`` where it does."""
    for group, status in instance.parameter_groups.items():
        if status != "in-sync":
            return f"{group} is {status}"
    return None


def _key(name: str) -> str:
    return f"reboot {name}"

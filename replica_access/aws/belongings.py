"""What belongs to a replica in AWS, whatever became of it: frozen values, and nothing that can call or change anything.

`survey_removal.read` fills them in. Neither the primary nor its VPC has to be there any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from replica_access.aws.landscape import Instance, NotChecked
from replica_access.aws.rules import SecurityGroup


@dataclass(frozen=True, slots=True)
class Tagged:
    """A DB subnet group, a DB parameter group or a secret: its name, its ARN and its tags."""

    name: str
    arn: str
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Belongings:
    """Everything that carries the tag of the replica `name`, or a name that only it would have.

    :param instances: the DB instances of the account and Region, as far as they may be seen: one of them may be the
        replica, others may use what was made for it.
    :param secrets: without those that wait for their deletion.
    """

    region: str
    account: str
    name: str
    instances: tuple[Instance, ...]
    security_groups: tuple[SecurityGroup, ...] | NotChecked
    subnet_groups: tuple[Tagged, ...] | NotChecked
    parameter_groups: tuple[Tagged, ...] | NotChecked
    secrets: tuple[Tagged, ...] | NotChecked

    @property
    def replica(self) -> Instance | None:
        """Whatever instance has the name of the replica: ours, or somebody else's."""
        return next((instance for instance in self.instances if instance.identifier == self.name), None)

    @property
    def others(self) -> tuple[Instance, ...]:
        return tuple(instance for instance in self.instances if instance.identifier != self.name)

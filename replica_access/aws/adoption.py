"""What exists already: which of it is ours to go on with, and why the rest is not. Pure."""

from __future__ import annotations

from dataclasses import replace

from replica_access.aws.landscape import Instance, Landscape, NotChecked
from replica_access.aws.ownership import REPLICA_TAG, belongs_to, group_name
from replica_access.aws.parameters import ParameterGroups
from replica_access.aws.rules import SecurityGroup
from replica_access.aws_commands import Commands
from replica_access.model import BlockedObject


def not_ours(replica: Instance, source: str, commands: Commands) -> BlockedObject | None:
    """Return why `replica` cannot be taken for the one that the spec wants, and what to do; ``None`` where it can.

    :param source: the identifier of the instance that it should be a replica of.
    """
    name = replica.identifier
    if replica.source is None and belongs_to(name, replica.tags):
        return BlockedObject(
            name,
            f"{name} is ours but no replica any more: it was promoted, and can be written to",
            "Choose another replica.instance, or delete it when nobody needs what it holds.",
        )
    if replica.source != source:
        kind = f"a replica of {replica.source}" if replica.source else "no replica"
        return BlockedObject(
            name,
            f"{name} exists already and is {kind}, not one of {source}",
            "Choose another replica.instance in the spec.",
        )
    if not belongs_to(name, replica.tags):
        tag = commands.rds("add-tags-to-resource", "--resource-name", replica.arn, "--tags", tag_word(name))
        return BlockedObject(
            name,
            f"{name} exists already and does not carry our tag",
            f"Choose another replica.instance, or hand this one over: {tag}",
            remedy=f"# choose another replica.instance in the spec, or hand this one over:\n{tag}",
        )
    return None


def our_group(groups: tuple[SecurityGroup, ...], replica: str, vpc: str | None) -> SecurityGroup | None:
    """Return the security group that was made for `replica`: by its tag, and by its name where several carry it."""
    ours = [group for group in groups if group.vpc == vpc and belongs_to(replica, group.tags)]
    return min(ours, key=lambda group: (group.name != group_name(replica), group.id), default=None)


def without_ours(landscape: Landscape, replica: str) -> Landscape:
    """Return `landscape` as it is without `replica` and all that was made for it: the plan there makes all of it."""
    groups = landscape.security_groups
    if not isinstance(groups, NotChecked):
        groups = tuple(group for group in groups if not belongs_to(replica, group.tags))
    places = landscape.subnet_groups
    if not isinstance(places, NotChecked):
        places = tuple(
            place for place in places if isinstance(place.tags, NotChecked) or not belongs_to(replica, place.tags)
        )
    parameters = landscape.parameter_groups
    if isinstance(parameters, ParameterGroups) and parameters.ours and belongs_to(replica, parameters.ours.tags):
        parameters = replace(parameters, ours=None)
    return replace(landscape, replica=None, security_groups=groups, subnet_groups=places, parameter_groups=parameters)


def namesake(
    groups: tuple[SecurityGroup, ...], replica: str, vpc: str | None, commands: Commands
) -> BlockedObject | None:
    """Return the security group that has the name ours would get, but not our tag."""
    found = next((group for group in groups if group.vpc == vpc and group.name == group_name(replica)), None)
    if found is None or our_group(groups, replica, vpc) is not None:
        return None
    return foreign_group(found, replica, commands)


def foreign_group(group: SecurityGroup, replica: str, commands: Commands) -> BlockedObject:
    tag = commands.ec2("create-tags", "--resources", group.id, "--tags", tag_word(replica))
    return BlockedObject(
        group.id,
        f"{group.id} is a security group called {group.name} that does not carry our tag",
        f"Delete it when nobody needs it, or hand it over: {tag}",
        remedy=f"# delete it when nobody needs it, or hand it over:\n{tag}",
    )


def foreign_parameter_group(group: str, arn: str, replica: str, commands: Commands) -> BlockedObject:
    tag = commands.rds("add-tags-to-resource", "--resource-name", arn, "--tags", tag_word(replica))
    return BlockedObject(
        group,
        f"{group} is a parameter group that does not carry our tag",
        f"Delete it when nobody needs it, or hand it over: {tag}",
        remedy=f"# delete it when nobody needs it, or hand it over:\n{tag}",
    )


def tag_word(replica: str) -> str:
    """Return our tag as commands take it."""
    return f"Key={REPLICA_TAG},Value={replica}"

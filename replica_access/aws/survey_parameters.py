"""Read the parameter groups that matter for a replica, and what RDS offers for its version."""

from __future__ import annotations

from dataclasses import replace

from replica_access.aws.engine import EngineVersion
from replica_access.aws.landscape import Instance, NotChecked
from replica_access.aws.ownership import BASE_TAG, as_mapping, belongs_to, group_name, replica_identifier
from replica_access.aws.parameters import Parameter, ParameterGroup, ParameterGroups
from replica_access.aws.session import Aws
from replica_access.errors import NotFound
from replica_access.spec import Spec


def engine_version(aws: Aws, instance: Instance) -> EngineVersion | NotChecked:
    """Return what RDS offers for the version of `instance`, whether or not new ones can still be made of it."""
    answer = aws.call(
        "rds",
        "DescribeDBEngineVersions",
        Engine=instance.engine,
        EngineVersion=instance.version,
        IncludeAll=True,
    )
    found = next(map(EngineVersion.of, answer["DBEngineVersions"]), None)
    if found is None:
        why = f"RDS says nothing about {instance.engine} {instance.version}"
        return NotChecked(why, "Upgrade to a version that `aws rds describe-db-engine-versions` lists.")
    return found


def parameter_groups(
    aws: Aws, spec: Spec, source: Instance, replica: Instance | None, engine: EngineVersion
) -> ParameterGroups | None:
    """Return the group that is ours and the one it is based on; ``None`` where nobody wants one of ours.

    Without us the replica would have the group that it has, and a new one that of its source, in the same Region.
    """
    name = replica_identifier(spec)
    if spec.replica is None or name is None:
        return None
    own = group_name(name)
    attached = tuple(replica.parameter_groups) if replica is not None else ()
    if not spec.replica.parameters and own not in attached:
        return None
    ours = _group(aws, own, engine.family)
    # in another Region it has the default one: RDS API reference, CreateDBInstanceReadReplica, DBParameterGroupName
    inherited = source.parameter_groups if source.region == aws.region else (f"default.{engine.family}",)
    base: str | None = next((group for group in (*attached, *inherited) if group != own), None)
    if ours is not None and belongs_to(name, ours.tags):
        base = ours.tags.get(BASE_TAG, base)
    return ParameterGroups(engine.family, _group(aws, base, engine.family) if base is not None else None, ours)


def _group(aws: Aws, name: str, family: str) -> ParameterGroup | None:
    try:
        (found,) = aws.call("rds", "DescribeDBParameterGroups", DBParameterGroupName=name)["DBParameterGroups"]
        entries = aws.pages("rds", "DescribeDBParameters", "Parameters", DBParameterGroupName=name)
        parameters = {each.name: each for each in map(Parameter.of, entries)}
    except NotFound:
        # RDS makes the default group of a family with the first instance in a Region that has it
        return ParameterGroup(name, family, "", _defaults(aws, family)) if name == f"default.{family}" else None
    group = ParameterGroup(
        found["DBParameterGroupName"], found["DBParameterGroupFamily"], found["DBParameterGroupArn"], parameters
    )
    if group.is_default:
        return group
    return replace(group, tags=tags_of(aws, group.arn))


def _defaults(aws: Aws, family: str) -> dict[str, Parameter]:
    """Return what a group of `family` has before anybody sets anything in it."""
    found: dict[str, Parameter] = {}
    marker: dict[str, str] = {}
    while True:
        answer = aws.call("rds", "DescribeEngineDefaultParameters", DBParameterGroupFamily=family, **marker)
        page = answer["EngineDefaults"]
        found |= {each.name: each for each in map(Parameter.of, page.get("Parameters", ()))}
        if not page.get("Marker"):
            return found
        marker = {"Marker": page["Marker"]}


def tags_of(aws: Aws, arn: str) -> dict[str, str]:
    """Return the tags of the resource `arn` of RDS."""
    return as_mapping(aws.call("rds", "ListTagsForResource", ResourceName=arn)["TagList"])

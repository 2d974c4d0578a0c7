"""The parameter group of the replica: made, filled, attached, and in force. Pure.

A replica begins with the parameter group of its source, which is not ours to change. Ours has what that one has set
(a standby with fewer connections than its primary does not start) and, above it, what the spec says. Nothing else stays
set in it: a parameter that leaves the spec goes back to what it would be without us.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from replica_access.aws import ownership
from replica_access.aws.adoption import foreign_parameter_group
from replica_access.aws.landscape import Instance, Landscape, NotChecked
from replica_access.aws.ownership import BASE_TAG, belongs_to
from replica_access.aws.parameters import ParameterGroup, ParameterGroups, too_small, wrong_parameters
from replica_access.aws_commands import Commands
from replica_access.model import BlockedObject, Call, Change, Pending
from replica_access.spec import Replica

PER_CALL = 20
"""RDS API reference, ModifyDBParameterGroup and ResetDBParameterGroup: so many parameters at most."""


def blocked(landscape: Landscape, wanted: Replica, name: str, commands: Commands) -> Iterator[BlockedObject]:
    """Yield what keeps the parameters from being as the spec says, before anything is made."""
    groups, own = landscape.parameter_groups, ownership.group_name(name)
    if groups is None:
        return
    if isinstance(groups, NotChecked):
        if wanted.parameters:
            yield BlockedObject(own, groups.why, groups.fix)
        return
    if (ours := groups.ours) is not None:
        if not belongs_to(name, ours.tags):
            yield foreign_parameter_group(ours.name, ours.arn, name, commands)
            return
        if ours.family != groups.family:
            fix = commands.rds("delete-db-parameter-group", "--db-parameter-group-name", own)
            yield BlockedObject(own, f"{own} is of {ours.family}, and {name} needs one of {groups.family}", fix)
            return
    list_them = commands.rds(
        "describe-engine-default-parameters", "--db-parameter-group-family", groups.family, "--output", "table"
    )
    on_primary = groups.base.values if groups.base is not None else {}
    for parameter, reason, fix in (
        *wrong_parameters(wanted.parameters, groups.known),
        *too_small(wanted.parameters, on_primary),
    ):
        yield BlockedObject(f"replica.parameters.{parameter}", reason, fix.format(list=list_them))


def fill(landscape: Landscape, wanted: Replica, name: str) -> Iterator[Change]:
    """Plan the group and what is set in it, before anything follows it, or at once where the replica does already."""
    groups = landscape.parameter_groups
    if not isinstance(groups, ParameterGroups) or not _is_needed(groups, wanted, landscape.replica, name):
        return
    own = ownership.group_name(name)
    if groups.ours is None:
        yield _create(groups, own, name)
    static = {each.name for each in groups.known.values() if each.static}
    is_attached = landscape.replica is not None and own in landscape.replica.parameter_groups
    to_set, to_reset = _differences(groups, wanted)
    carried = {key: value for key, value in to_set.items() if key not in wanted.parameters}
    declared = {key: value for key, value in to_set.items() if key in wanted.parameters}
    for values, origin in ((carried, groups.base), (declared, None)):
        for names in _chunks(sorted(values, key=lambda key: (key in static, key))):
            some = {key: values[key] for key in names}
            yield _set(own, some, groups, origin, static if is_attached else frozenset())
    for names in _chunks(sorted(to_reset)):
        yield _reset(own, names, groups, static if is_attached else frozenset())


def follow(landscape: Landscape, wanted: Replica, name: str) -> Iterator[Change]:
    """Plan to give the replica its group, once there are both."""
    groups, replica = landscape.parameter_groups, landscape.replica
    own = ownership.group_name(name)
    if not isinstance(groups, ParameterGroups) or not _is_needed(groups, wanted, replica, name):
        return
    if replica is None or own not in replica.parameter_groups:
        former = next(iter(replica.parameter_groups), None) if replica else groups.base.name if groups.base else None
        call = {"DBInstanceIdentifier": name, "DBParameterGroupName": own, "ApplyImmediately": True}
        yield Change(
            "aws",
            "attach parameter group",
            name,
            f"{name}: parameter group {former or 'unknown'} -> {own}, in force after a reboot",
            call=Call("rds", "ModifyDBInstance", call),
        )


def reboot(landscape: Landscape, wanted: Replica, name: str) -> Iterator[Change]:
    """Plan the reboot that brings into force what nothing else does."""
    groups, replica = landscape.parameter_groups, landscape.replica
    own = ownership.group_name(name)
    if not isinstance(groups, ParameterGroups) or not _is_needed(groups, wanted, replica, name):
        return
    call = Call("rds", "RebootDBInstance", {"DBInstanceIdentifier": name})
    if replica is None:
        why = "so that its parameters are in force; nobody uses it yet"
        yield Change("aws", "reboot replica", name, f"reboot {name}, {why}", call=call)
        return
    to_set, to_reset = _differences(groups, wanted)
    status = replica.parameter_groups.get(own)
    if any(groups.known[key].static for key in (*to_set, *to_reset)) or status not in {"in-sync", "applying"}:
        why = "so that its parameters are in force; its sessions end, and it is away for about a minute"
    elif status == "applying":  # nobody can tell yet what comes of it
        why = "if its parameters need that to be in force; its sessions end then"
    else:
        return
    yield Change("aws", "reboot replica", name, f"reboot {name}, {why}", call=call, interrupts=True)


def revives(landscape: Landscape, wanted: Replica, name: str) -> bool:
    """Whether the plan sets what may start a replica that does not start with its parameters."""
    replica = landscape.replica
    return replica is not None and replica.status == "incompatible-parameters" and any(fill(landscape, wanted, name))


def later(landscape: Landscape, name: str) -> Iterator[Pending]:
    """Yield what cannot be told about a group of ours."""
    groups = landscape.parameter_groups
    if isinstance(groups, ParameterGroups) and groups.ours is not None and groups.base is None:
        base = groups.ours.tags.get(BASE_TAG, "the group it was based on")
        reason = f"{base} is gone: what {groups.ours.name} has beyond the spec may come from there, and stays"
        yield Pending("parameter group", name, reason)


# --- what is wanted --------------------------------------------------------------------------------------------------


def _is_needed(groups: ParameterGroups, wanted: Replica, replica: Instance | None, name: str) -> bool:
    """Whether the replica shall have a group of ours: it has one already, or would be different without."""
    if replica is not None and ownership.group_name(name) in replica.parameter_groups:
        return True
    base = groups.base.parameters if groups.base is not None else {}
    return any(key not in base or base[key].value != value for key, value in wanted.parameters.items())


def _differences(groups: ParameterGroups, wanted: Replica) -> tuple[dict[str, str], set[str]]:
    """Return what has to be set in our group, and what to be reset."""
    ours = groups.ours.values if groups.ours is not None else {}
    if groups.base is None:
        desired = {**ours, **wanted.parameters}
    else:
        carried = {
            key: value
            for key, value in groups.base.values.items()
            if (parameter := groups.known.get(key)) is not None and parameter.modifiable
        }
        desired = {**carried, **wanted.parameters}
    there = _in_force(groups.ours) if groups.ours is not None else {}
    to_set = {key: value for key, value in desired.items() if there.get(key) != value}
    return to_set, set(ours) - set(desired)


def _in_force(group: ParameterGroup) -> dict[str, str]:
    """Return the values of `group`, defaults included: RDS need not mark as set what is set to the default."""
    return {each.name: each.value for each in group.parameters.values() if each.value is not None}


def _chunks(names: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(names), PER_CALL):
        yield names[start : start + PER_CALL]


# --- the calls -------------------------------------------------------------------------------------------------------


def _create(groups: ParameterGroups, own: str, name: str) -> Change:
    base = groups.base.name if groups.base is not None else f"default.{groups.family}"
    parameters = {
        "DBParameterGroupName": own,
        "DBParameterGroupFamily": groups.family,
        "Description": f"What the read replica {name} has set, based on {base}",
        "Tags": ownership.as_list(ownership.tags(name, {BASE_TAG: base})),
    }
    return Change(
        "aws",
        "create parameter group",
        own,
        f"create the parameter group {own} ({groups.family})",
        call=Call("rds", "CreateDBParameterGroup", parameters),
    )


def _set(
    own: str,
    chosen: Mapping[str, str],
    groups: ParameterGroups,
    origin: ParameterGroup | None,
    waiting: Iterable[str],
) -> Change:
    """:param waiting: those that take effect with a reboot, which is worth saying."""
    parameters = [
        {"ParameterName": key, "ParameterValue": value, "ApplyMethod": _method(groups, key)}
        for key, value in chosen.items()
    ]
    there = _in_force(group) if (group := groups.ours or groups.base) is not None else {}
    if origin is not None:
        what = ", ".join(f"{key} = {value}" for key, value in chosen.items())
        summary = f"{own}: {what}, as {origin.name} has it"
    else:
        what = ", ".join(f"{key} {there.get(key, 'default')} -> {value}" for key, value in chosen.items())
        summary = f"{own}: {what}"
    return Change(
        "aws",
        "set parameters",
        own,
        summary + _after_a_reboot(chosen, waiting),
        call=Call("rds", "ModifyDBParameterGroup", {"DBParameterGroupName": own, "Parameters": parameters}),
    )


def _reset(own: str, chosen: list[str], groups: ParameterGroups, waiting: Iterable[str]) -> Change:
    there = groups.ours.values if groups.ours is not None else {}
    parameters: list[Mapping[str, Any]] = [
        {"ParameterName": key, "ApplyMethod": _method(groups, key)} for key in chosen
    ]
    call = {"DBParameterGroupName": own, "ResetAllParameters": False, "Parameters": parameters}
    what = ", ".join(f"{key} {there[key]} -> the engine's default" for key in chosen)
    return Change(
        "aws",
        "reset parameters",
        own,
        f"{own}: {what}" + _after_a_reboot(chosen, waiting),
        call=Call("rds", "ResetDBParameterGroup", call),
    )


def _method(groups: ParameterGroups, name: str) -> str:
    return "pending-reboot" if groups.known[name].static else "immediate"


def _after_a_reboot(names: Iterable[str], waiting: Iterable[str]) -> str:
    late = [name for name in names if name in set(waiting)]
    return f"; {', '.join(late)} in force after a reboot" if late else ""

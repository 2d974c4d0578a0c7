"""What is missing in AWS for the spec, as calls in order: pure, nothing is looked up or changed here.

A replica and a security group that are ours are gone on with; what is not ours blocks the plan as a whole, so that
nothing is half made. Nothing is taken away: rules and groups that somebody added stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from replica_access.aws import ownership, plan_access, plan_replica
from replica_access.aws.adoption import namesake, not_ours, our_group
from replica_access.aws.commands import Commands
from replica_access.aws.landscape import Landscape, NotChecked
from replica_access.aws.network import place
from replica_access.aws.readiness import is_usable
from replica_access.model import BlockedObject, Change, Plan
from replica_access.spec import Replica, Spec


def plan(landscape: Landscape, spec: Spec, today: date) -> Plan:
    """Plan what `spec` lacks in `landscape`.

    :param today: addresses that expired before this day are not allowed any more.
    """
    wanted, name = spec.replica, ownership.replica_identifier(spec)
    if wanted is None or name is None:
        return Plan()
    pending = (*plan_access.expired(landscape, spec, name, today), *plan_replica.later(landscape, wanted, name))
    if blocked := tuple(_blocked(landscape, spec, wanted, name)):
        return Plan((), pending, blocked)
    return Plan(tuple(_changes(landscape, spec, wanted, name, today)), pending)


def _blocked(landscape: Landscape, spec: Spec, wanted: Replica, name: str) -> Iterator[BlockedObject]:
    commands = Commands(landscape.region, spec.aws.profile)
    groups, vpc = landscape.security_groups, landscape.source.vpc
    if landscape.replica is not None and (
        refusal := not_ours(landscape.replica, landscape.source.identifier, commands)
    ):
        yield refusal
    elif (placement := place(landscape, wanted)).group is None:
        yield BlockedObject(name, placement.reason, "`replica-access check` shows what would mend it.")
    if isinstance(groups, NotChecked):
        yield BlockedObject(ownership.group_name(name), groups.why, groups.fix)
        return
    if refusal := namesake(groups, name, vpc, commands):
        yield refusal
    for group in spec.network.security_groups:
        if plan_access.find(groups, group, vpc) is None:
            reason = f"there is no security group {group} in {vpc}, the primary's VPC"
            yield BlockedObject(group, reason, "Correct network.security_groups in the spec.")


def _changes(landscape: Landscape, spec: Spec, wanted: Replica, name: str, today: date) -> Iterator[Change]:
    known = landscape.security_groups if not isinstance(landscape.security_groups, NotChecked) else ()
    vpc = landscape.source.vpc or ""
    ours = our_group(known, name, vpc)
    if ours is None:
        yield plan_access.create_group(name, vpc)
    group_id = ours.id if ours is not None else plan_access.SECURITY_GROUP
    for allow in plan_access.missing(spec.network.allow, ours, landscape.port, today):
        yield plan_access.allow_rule(group_id, allow, name, landscape.port)
    others = [found.id for each in spec.network.security_groups if (found := plan_access.find(known, each, vpc))]
    group_ids = tuple(dict.fromkeys((group_id, *others)))
    if landscape.replica is None:
        yield plan_replica.create_replica(landscape, spec, wanted, name, group_ids)
        return
    if not is_usable(landscape.replica):
        yield plan_replica.wait(landscape.replica)
    yield from plan_replica.mend(landscape.replica, wanted, group_ids, plan_replica.wants_iam(spec))

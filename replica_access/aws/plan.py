"""What is missing in AWS for the spec, as calls in order: pure, nothing is looked up or changed here.

A replica and groups that are ours are gone on with; what is not ours blocks the plan as a whole, so that nothing is
half made. What is let in beyond the spec is taken away where that was asked for: after what the spec lets in, and
before anything is put behind it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from replica_access.aws import addresses, ownership, plan_access, plan_parameters, plan_replica, plan_subnets
from replica_access.aws.adoption import namesake, not_ours, our_group
from replica_access.aws.landscape import Landscape, NotChecked
from replica_access.aws.network import place
from replica_access.aws.preflight_network import way_out
from replica_access.aws.readiness import is_usable
from replica_access.aws.settings import is_under_way
from replica_access.aws_commands import Commands
from replica_access.model import UNASKED, BlockedObject, Change, Plan, Request
from replica_access.spec import Replica, Spec


def plan(landscape: Landscape, spec: Spec, today: date, request: Request = UNASKED) -> Plan:
    """Plan what `spec` lacks in `landscape`, and what is there beyond it.

    :param today: addresses that expired before this day are not allowed any more.
    """
    wanted, name = spec.replica, ownership.replica_identifier(spec)
    if wanted is None or name is None:
        return Plan()
    pending = (
        *plan_access.later(landscape, spec, name, today),
        *plan_replica.later(landscape, wanted, name),
        *plan_parameters.later(landscape, name),
    )
    if blocked := tuple(_blocked(landscape, spec, wanted, name, today=today, allow_wide=request.allow_wide)):
        return Plan((), pending, blocked)
    return Plan(tuple(_changes(landscape, spec, wanted, name, today)), pending)


def _blocked(
    landscape: Landscape, spec: Spec, wanted: Replica, name: str, *, today: date, allow_wide: bool
) -> Iterator[BlockedObject]:
    commands = Commands(landscape.region, spec.aws.profile)
    groups, vpc = landscape.security_groups, landscape.vpc
    if landscape.replica is not None and (
        refusal := not_ours(landscape.replica, landscape.source.identifier, commands)
    ):
        yield refusal
    elif (placement := place(landscape, wanted)).group is None:
        yield BlockedObject(name, placement.reason, way_out(landscape, name, commands))
    yield from plan_parameters.blocked(landscape, wanted, name, commands)
    yield from plan_replica.blocked(landscape, wanted)
    if isinstance(groups, NotChecked):
        yield BlockedObject(ownership.group_name(name), groups.why, groups.fix)
        return
    if refusal := namesake(groups, name, vpc, commands):
        yield refusal
    yield from plan_access.blocked(landscape, spec, today, allow_wide=allow_wide)


def _changes(landscape: Landscape, spec: Spec, wanted: Replica, name: str, today: date) -> Iterator[Change]:
    known, vpc = addresses.known_groups(landscape), landscape.vpc or ""
    ours = our_group(known, name, vpc)
    if ours is None:
        yield plan_access.create_group(name, vpc)
    group_id = ours.id if ours is not None else plan_access.SECURITY_GROUP
    sources = addresses.declared(landscape, spec, today)
    yield from plan_access.let_in(sources, ours, name, landscape.port, landscape.prefix_lists)
    others = [found.id for each in spec.network.security_groups if (found := addresses.find(known, each, vpc))]
    group_ids = tuple(dict.fromkeys((group_id, *others)))
    yield from plan_access.shut_out(landscape, spec, ours, today)  # nothing comes to be behind what is too wide
    yield from _replica(landscape, spec, wanted, name, group_ids)
    if (replica := landscape.replica) is not None:
        yield from plan_access.detach(landscape, replica, group_ids)


def _replica(
    landscape: Landscape, spec: Spec, wanted: Replica, name: str, group_ids: tuple[str, ...]
) -> Iterator[Change]:
    replica = landscape.replica
    if replica is None:
        yield from plan_subnets.prepare(place(landscape, wanted), name)
        yield from plan_parameters.fill(landscape, wanted, name)
        yield plan_replica.create_replica(landscape, spec, wanted, name, group_ids)
        yield from plan_parameters.follow(landscape, wanted, name)
        yield from plan_parameters.reboot(landscape, wanted, name)
        return
    if plan_parameters.revives(landscape, wanted, name):
        # nothing else can be changed before it runs again: the next run sees to that
        yield from plan_parameters.fill(landscape, wanted, name)
        yield from plan_parameters.reboot(landscape, wanted, name)
        return
    if not is_usable(replica) or is_under_way(replica) or "applying" in replica.parameter_groups.values():
        yield plan_replica.wait(replica)
    yield from plan_parameters.fill(landscape, wanted, name)
    yield from plan_parameters.follow(landscape, wanted, name)
    iam = plan_replica.wants_iam(spec)
    yield from plan_replica.mend(replica, wanted, group_ids, iam=iam, engine=landscape.engine)
    yield from plan_parameters.reboot(landscape, wanted, name)

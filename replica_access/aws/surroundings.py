"""What an audit has to know of AWS, from the landscape that the plan is made from. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date

from replica_access.aws import addresses, ownership
from replica_access.aws.adoption import our_group
from replica_access.aws.landscape import Instance, Landscape, NotChecked
from replica_access.aws.plan import plan
from replica_access.aws.rules import Ingress, SecurityGroup
from replica_access.aws_commands import Commands
from replica_access.findings import NotChecked as Unseen
from replica_access.model import Request
from replica_access.observed import Group, Machine, Opening, Surroundings
from replica_access.spec import Spec


def surroundings(landscape: Landscape, spec: Spec, today: date) -> Surroundings:
    """Return what stands around the servers of `spec`, and what a plan of today would change there."""
    name = ownership.replica_identifier(spec)
    groups = () if isinstance(landscape.security_groups, NotChecked) else landscape.security_groups
    ours = our_group(groups, name, landscape.vpc) if name is not None else None
    seen = not isinstance(landscape.security_groups, NotChecked)
    # Parameters that nobody may see would block all of the plan; how wide a network is, is a finding of its own.
    known = landscape
    if isinstance(landscape.parameter_groups, NotChecked):
        known = replace(landscape, parameter_groups=None)
    planned = plan(known, spec, today, Request(allow_wide=True))
    return Surroundings(
        commands=Commands(landscape.region, spec.aws.profile),
        port=landscape.port,
        primary=_machine(landscape.primary),
        wanted=name,
        replica=_machine(landscape.replica) if landscape.replica is not None else None,
        addresses=addresses.compare(landscape, spec, ours, today) if name is not None and seen else (),
        groups=tuple(_groups(landscape, spec, ours, today)),
        changes=planned.changes,
        blocked=planned.blocked if seen else (),
        unseen=tuple(_unseen(landscape, ours)),
    )


def _machine(instance: Instance) -> Machine:
    return Machine(
        identifier=instance.identifier,
        source=instance.source,
        status=instance.status,
        replication=instance.replication,
        publicly_accessible=instance.publicly_accessible,
        deletion_protection=instance.deletion_protection,
        encrypted=instance.encrypted,
        log_exports=instance.log_exports,
        security_groups=tuple(instance.security_groups),
        parameter_groups=instance.parameter_groups,
        certificate_authority=instance.certificate_authority or "",
        certificate_until=instance.certificate_until,
    )


def _groups(landscape: Landscape, spec: Spec, ours: SecurityGroup | None, today: date) -> Iterator[Group]:
    if landscape.replica is None:
        return
    wanted = addresses.declared(landscape, spec, today)
    for id_, status in landscape.replica.security_groups.items():
        if status == "removing":
            continue
        found = addresses.find(addresses.known_groups(landscape), id_, landscape.vpc)
        if found is None:
            continue
        beyond = addresses.beyond(found.ingress, wanted, landscape.port)
        openings = _openings((rule for rule in found.ingress if rule.covers(landscape.port)), landscape)
        narrow = [opening.source for opening in openings if not opening.wide]
        yield Group(
            id=found.id,
            name=found.name,
            ours=ours is not None and found.id == ours.id,
            declared=bool({found.id, found.name} & set(spec.network.security_groups)),
            on_primary=landscape.primary.security_groups.get(found.id, "removing") != "removing",
            openings=openings,
            beyond=_openings(beyond, landscape),
            together=tuple(addresses.too_wide(narrow, landscape.prefix_lists)),
        )


def _openings(rules: Iterable[Ingress], landscape: Landscape) -> tuple[Opening, ...]:
    return tuple(
        Opening(
            rule.source,
            addresses.ports(rule),
            rule.id,
            rule.description,
            tuple(addresses.too_wide([rule.source], landscape.prefix_lists)),
        )
        for rule in rules
    )


def _unseen(landscape: Landscape, ours: SecurityGroup | None) -> Iterator[Unseen]:
    """Yield what could not be looked at, of what the audit judges."""
    groups, replica = landscape.security_groups, landscape.replica
    if isinstance(groups, NotChecked):
        yield _not_checked("security groups of the replica, and its settings against the spec", groups)
    elif replica is not None:
        for id_ in replica.security_groups:
            if addresses.find(groups, id_, landscape.vpc) is None:
                yield Unseen(f"security group {id_}", "EC2 told nothing of it")
    if ours is not None and ours.unseen is not None:
        yield _not_checked(f"rules of {ours.id} one by one", ours.unseen)
    for source, found in landscape.prefix_lists.items():
        if isinstance(found, NotChecked):
            yield _not_checked(f"prefix list {source}", found)
    if isinstance(landscape.parameter_groups, NotChecked):
        yield _not_checked("parameters of the replica", landscape.parameter_groups)


def _not_checked(what: str, found: NotChecked) -> Unseen:
    return Unseen(what, f"{found.why} {found.fix}".strip())

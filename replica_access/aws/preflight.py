"""Everything in AWS that would stop `apply`, all at once, each with the command that mends it: pure.

Every check has a fixed name and is ``ok``, a ``problem``, ``not checked`` with the reason, or a ``note``. What only
matters while the replica is made is not asked of one that exists. Rules are those of the RDS API reference,
CreateDBInstanceReadReplica, and of the RDS user guide, "Working with DB instance read replicas".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

from replica_access.aws import (
    plan_parameters,
    preflight_access,
    preflight_account,
    preflight_network,
    preflight_public,
    preflight_settings,
    preflight_source,
)
from replica_access.aws.adoption import not_ours
from replica_access.aws.landscape import Instance, Landscape
from replica_access.aws.network import place
from replica_access.aws.ownership import replica_identifier
from replica_access.aws.plan_replica import wants_iam
from replica_access.aws.readiness import BROKEN
from replica_access.aws_commands import Commands
from replica_access.model import UNASKED, Check, Request
from replica_access.spec import Replica, Spec


def checks(landscape: Landscape, spec: Spec, today: date = date.min, request: Request = UNASKED) -> tuple[Check, ...]:
    """Check `landscape` for all that would stop the plan for `spec`.

    :param today: addresses that expired before this day do not count; unless one is named, all of them do.
    """
    return tuple(_checks(landscape, spec, Commands(landscape.region, spec.aws.profile), today, request))


def _checks(landscape: Landscape, spec: Spec, commands: Commands, today: date, request: Request) -> Iterator[Check]:
    replica = landscape.replica
    yield from preflight_account.account(landscape)
    yield from preflight_source.primary(landscape.primary, commands.in_region(landscape.primary.region))
    wanted, name = spec.replica, replica_identifier(spec)
    if wanted is None or name is None:
        return
    if replica is not None and (refusal := not_ours(replica, landscape.source.identifier, commands)):
        yield Check("replica name", "problem", refusal.reason, refusal.fix)
        landscape = replace(landscape, replica=None)  # what stands in the way of one by another name is worth knowing
    elif replica is not None:
        yield from _existing(replica, commands, revives=plan_parameters.revives(landscape, wanted, name))
    else:
        yield Check("replica name", "ok", f"{name} is free")
    placement = place(landscape, wanted)
    if landscape.replica is None:
        yield from preflight_source.source(landscape, name, wanted.kms_key, commands)
        yield from preflight_account.quotas(
            landscape, subnet_groups=int(placement.first == "create"), parameter_groups=int(bool(wanted.parameters))
        )
    yield from preflight_account.instance_class(
        landscape, _class(landscape, wanted), placement.group, commands, iam=wants_iam(spec)
    )
    yield from preflight_network.subnet_group(landscape, name, placement, commands)
    if wanted.publicly_accessible and landscape.vpc is not None:
        yield from preflight_public.public(landscape, spec, placement, commands)
    wide, revoke = request.allow_wide, request.allow_revoke
    yield from preflight_access.checks(landscape, spec, name, commands, today, allow_wide=wide, allow_revoke=revoke)
    yield from preflight_settings.settings(landscape, wanted, name, commands)


def _class(landscape: Landscape, wanted: Replica) -> str:
    return wanted.instance_class or landscape.source.instance_class


def _existing(replica: Instance, commands: Commands, *, revives: bool) -> Iterator[Check]:
    """:param revives: whether the plan has what gets it out of the status that it is in."""
    name = replica.identifier
    yield Check("replica name", "ok", f"{name} is ours")
    if revives:
        yield Check("replica status", "ok", f"{name} is {replica.status}, and the plan sets others")
    else:
        yield preflight_source.status("replica status", replica, commands)
    if broken := BROKEN & set(replica.replication):
        fix = f"Restart it, or replace it if that does not help: {commands.rds('reboot-db-instance', instance=name)}"
        yield Check("replication", "problem", f"the replication of {name} is in state {min(broken)}", fix)

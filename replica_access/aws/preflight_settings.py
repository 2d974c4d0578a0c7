"""What the spec says about the replica's settings, held against what RDS would take. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from replica_access.aws import plan_parameters, plan_replica
from replica_access.aws.landscape import Landscape, NotChecked
from replica_access.aws_commands import Commands
from replica_access.model import Check
from replica_access.spec import Replica


def settings(landscape: Landscape, wanted: Replica, name: str, commands: Commands) -> Iterator[Check]:
    """Check parameters and certificate authority, as far as the spec names any."""
    groups, engine = landscape.parameter_groups, landscape.engine
    if isinstance(groups, NotChecked):
        yield Check("parameters", "not checked", groups.why, groups.fix)
    elif wanted.parameters:
        if wrong := list(plan_parameters.blocked(landscape, wanted, name, commands)):
            yield from (Check(each.object, "problem", each.reason, each.fix) for each in wrong)
        elif groups is not None:
            yield Check("parameters", "ok", f"{groups.family} takes {', '.join(sorted(wanted.parameters))}")
    if wanted.ca_certificate is not None:
        if isinstance(engine, NotChecked):
            yield Check("certificate authority", "not checked", engine.why, engine.fix)
        elif wrong := list(plan_replica.blocked(landscape, wanted)):
            yield from (Check("certificate authority", "problem", each.reason, each.fix) for each in wrong)
        elif engine is not None:
            yield Check("certificate authority", "ok", f"{wanted.ca_certificate} is offered")

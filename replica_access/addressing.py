"""Who may reach the replica, apart from everything else: look, let in, shut out.

::

    look        what the spec lets in, and what the security group does
    carry_out   some of the changes of that plan

The rest of AWS, and the servers, are left alone: what an address is for, `apply` does.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING

from replica_access import executing, workflow
from replica_access.errors import UsageError
from replica_access.model import Change, Reached, Request
from replica_access.outlook import Applied
from replica_access.progress import Progress

if TYPE_CHECKING:
    from replica_access.spec import Spec

Network = IPv4Network | IPv6Network


def look(spec: Spec, request: Request, progress: Progress) -> Reached:
    """Look at the rules of the replica's security group.

    :raises UsageError: nothing of `spec` is on RDS.
    :raises AwsError: AWS does not let us see them.
    """
    from replica_access.aws.hosting import RdsHosting

    if not spec.on_rds:
        raise UsageError("This spec has nothing on RDS.", "Who may connect is said in pg_hba.conf there.")
    progress.stage("looking at AWS")
    with closing(RdsHosting.open(spec, timeout_s=workflow.REPLICA_TIMEOUT_S)) as hosting:
        return hosting.look_at_addresses(request)


def wider(found: Reached, source: str) -> list[str]:
    """Return the networks that are let in, and that `source` is a part of."""
    if "/" not in source:
        return []
    network = ip_network(source)
    others = [each.source for each in found.addresses if each.state in {"ok", "undeclared"} and "/" in each.source]
    return [each for each in others if each != source and _contains(ip_network(each), network)]


def _contains(wide: Network, narrow: Network) -> bool:
    same = wide.version == narrow.version
    return same and wide.prefixlen < narrow.prefixlen and wide.overlaps(narrow)


def carry_out(spec: Spec, changes: Iterable[Change], progress: Progress) -> Applied:
    """Carry out `changes` of a plan that `look` made, in order."""
    from replica_access.aws.hosting import RdsHosting

    with closing(RdsHosting.open(spec, timeout_s=workflow.REPLICA_TIMEOUT_S)) as hosting:
        return executing.carry_out(hosting, changes, progress)

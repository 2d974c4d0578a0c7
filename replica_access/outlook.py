"""What was found before anything is changed, and what became of it: what the stages of `workflow` hand on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from replica_access.catalog import Cluster
from replica_access.errors import Blocked, Error, PreflightFailed
from replica_access.model import UNASKED, Change, Check, Plan, Proof, Request

if TYPE_CHECKING:
    from replica_access.postgres.scene import Scene

EVERYTHING = UNASKED


@dataclass(frozen=True, slots=True)
class Outlook:
    """What was found, and what would be done about it.

    :param checks: what preflight looked at: AWS first, then the primary.
    :param around: changes around the servers: security group, rules, replica.
    :param cluster: roles, memberships, CONNECT; what is blocked here cannot be left out, unless it is optional.
    :param databases: by name; blocked here are objects that the admin may not grant on.
    :param system_identifier: of the primary; empty where it could not be read.
    :param request: what was asked for: `apply` makes the plan again by it.
    :param server: the primary's shared catalogs; ``None`` where it could not be read.
    :param scenes: how the databases that could be looked into look to each reader.
    """

    checks: tuple[Check, ...]
    around: Plan = field(default_factory=Plan)
    cluster: Plan = field(default_factory=Plan)
    databases: Mapping[str, Plan] = field(default_factory=dict)
    system_identifier: str = ""
    request: Request = EVERYTHING
    server: Cluster | None = None
    scenes: Mapping[str, tuple[Scene, ...]] = field(default_factory=dict)

    @property
    def plan(self) -> Plan:
        return sum(self.databases.values(), self.around + self.cluster)

    def allowed(self) -> Outlook:
        """Return the outlook without what takes more away than was allowed."""
        databases = {name: plan.allowed(self.request) for name, plan in self.databases.items()}
        around, cluster = self.around.allowed(self.request), self.cluster.allowed(self.request)
        return replace(self, around=around, cluster=cluster, databases=databases)

    @property
    def problems(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if check.outcome == "problem")

    @property
    def not_checked(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if check.outcome == "not checked")


@dataclass(frozen=True, slots=True)
class Applied:
    """What `apply` did.

    :param changes: what holds now, in order.
    :param failed: the change that did not work, where it was one in particular, and `error` what ended the run.
    :param proof: of each replica, by its name; ``None`` where it did not come to that, or the spec has no replica.
    :param notes: what else is worth a sentence, and is neither a change nor an error.
    """

    changes: tuple[Change, ...] = ()
    failed: str | None = None
    error: Error | None = None
    proof: Mapping[str, Proof] | None = None
    notes: tuple[str, ...] = ()


def refuse_what_stands_in_the_way(outlook: Outlook, *, skip_blocked: bool = False) -> None:
    """Stop before anything is changed.

    :param skip_blocked: what the admin may not grant, or take away, is left out, instead of stopping everything.
    :raises PreflightFailed: with every problem, each with its fix.
    :raises Blocked: the admin may not do a part of the plan, with the statements for who may.
    """
    blocked_objects = [b for plan in outlook.databases.values() for b in plan.blocked]
    explained = {b.object for b in blocked_objects} | {b.object for b in outlook.cluster.blocked}
    if problems := [check for check in outlook.problems if check.name not in explained]:
        raise PreflightFailed(_listed(_explained(c.name, c.detail, c.fix) for c in problems))
    if stuck := [b for b in (*outlook.around.blocked, *outlook.cluster.blocked) if not b.optional]:
        raise Blocked(_listed(_explained(b.object, b.reason, b.fix) for b in stuck))
    blocked_objects += outlook.cluster.blocked
    if blocked_objects and not skip_blocked:
        raise Blocked(
            _listed(_explained(b.object, b.reason, b.fix) for b in blocked_objects),
            "Nothing was changed. Have their owners run these, or apply the rest with --skip-blocked.",
        )


def _explained(what: str, why: str, fix: str) -> str:
    return "\n    ".join([f"{what}: {why}", *fix.splitlines()])


def _listed(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)

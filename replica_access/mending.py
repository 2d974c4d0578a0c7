"""What `check --fix` does about problems, and what it leaves to a person, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from replica_access.model import Change, Check

WHY_LEFT: Mapping[str, str] = {
    "allowed addresses": "who may come in is declared in the spec, and not guessed",
    "block public access": "whoever secures the account decided it",
    "free addresses": "subnets are planned by whoever runs the network",
    "instance class": "which class is worth its price is yours to say",
    "internet gateway": "it connects everything in the VPC with the internet",
    "master password": "everything that logs in with it has to learn a new one",
    "network ACL": "it guards everything else in these subnets too",
    "permissions": "only who administers IAM can give them",
    "quotas": "AWS raises them when asked",
    "routes": "a route table serves everything in its subnets",
    "subnet group": "where instances may stand is yours to say",
    "zones": "subnets are planned by whoever runs the network",
}
"""Why a problem is not mended here, by the name of its check."""

OTHERWISE = "it takes a decision, or rights, of yours"


def mends(checks: Iterable[Check]) -> tuple[Change, ...]:
    """Return what would be done about the problems among `checks`, in order: little, safe, and nothing else."""
    return tuple(change for check in checks if check.outcome == "problem" for change in check.mend)


def left(checks: Iterable[Check]) -> Iterable[tuple[str, str]]:
    """Yield the name of each problem among `checks` that is not mended here, once, with the reason."""
    names = dict.fromkeys(check.name for check in checks if check.outcome == "problem" and not check.mend)
    return ((name, WHY_LEFT.get(name, OTHERWISE)) for name in names)

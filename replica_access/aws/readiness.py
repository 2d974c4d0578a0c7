"""When a DB instance is as it should be, when it can be used, and when waiting is of no use. Pure.

``available`` is not enough: AWS's own CloudFormation handler also wants the read replication to run, no parameter group
to be applied, nothing pending, and every security group to be active.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from replica_access.aws.landscape import Instance

TERMINAL = frozenset(
    {
        "delete-precheck",
        "deleted",
        "deleting",
        "failed",
        "inaccessible-encryption-credentials",
        "inaccessible-encryption-credentials-recoverable",
        "incompatible-create",
        "incompatible-credentials",
        "incompatible-network",
        "incompatible-option-group",
        "incompatible-parameters",
        "incompatible-restore",
        "insufficient-capacity",
        "modify-failed",
        "restore-error",
        "stopped",
        "stopping",
        "upgrade-failed",
        "upgrade_failed",
    }
)
"""Statuses of a DB instance that it does not leave by itself (RDS user guide; AWS's own CloudFormation handler)."""

USABLE = frozenset(
    {"available", "backing-up", "maintenance", "modifying", "storage-initialization", "storage-optimization"}
)
"""Statuses in which an instance takes connections; those that begin with ``configuring-`` are further ones."""

BROKEN = frozenset({"error", "terminated"})
"""Statuses of the read replication that it does not leave by itself."""


def is_usable(instance: Instance) -> bool:
    """Whether `instance` has an endpoint that takes connections."""
    status = instance.status
    return instance.host is not None and (status in USABLE or status.startswith("configuring-"))


def why_unready(instance: Instance) -> str | None:
    """Return what `instance` still lacks, in a few words, or ``None`` when it lacks nothing."""
    if instance.status != "available":
        return instance.status
    if instance.host is None:
        return "has no endpoint yet"
    if waiting := [status for status in instance.replication if status != "replicating"]:
        return f"replication is {waiting[0]}"
    if instance.applying:
        return "applying parameters"
    if instance.pending:
        return f"changing {', '.join(instance.pending)}"
    if moving := [group for group, status in instance.security_groups.items() if status != "active"]:
        return f"{moving[0]} is {instance.security_groups[moving[0]]}"
    return None


def differences(instance: Instance, parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """Return how `instance` differs from what the `parameters` of a call asked for; more than that is none."""
    found = []
    there = set(instance.security_groups)
    asked = set(parameters.get("VpcSecurityGroupIds", there))
    found += [f"{group} is not attached" for group in sorted(asked - there)]
    found += [f"{group} is still attached" for group in sorted(there - asked)]
    for parameter, value, words in (
        ("PubliclyAccessible", instance.publicly_accessible, "publicly accessible"),
        ("DeletionProtection", instance.deletion_protection, "protected from deletion"),
        ("EnableIAMDatabaseAuthentication", instance.iam_authentication, "open to IAM logins"),
    ):
        if parameters.get(parameter, value) != value:
            found.append(f"it is {'' if value else 'not '}{words}")
    if parameters.get("BackupRetentionPeriod", instance.backup_days) != instance.backup_days:
        found.append(f"it keeps backups for {instance.backup_days} days")
    if parameters.get("DBSubnetGroupName", instance.subnet_group) != instance.subnet_group:
        found.append(f"it is in subnet group {instance.subnet_group}")
    return tuple(found)

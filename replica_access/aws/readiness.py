"""When a DB instance is as it should be, when it can be used, and when waiting is of no use. Pure.

``available`` is not enough: AWS's own CloudFormation handler also wants the read replication to run, no parameter group
to be applied, nothing pending, and every security group to be active.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
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

LEAVING = frozenset({"delete-precheck", "deleted", "deleting"})
"""Statuses of a DB instance that is on its way out."""

BROKEN = frozenset({"error", "terminated"})
"""Statuses of the read replication that it does not leave by itself."""


def is_usable(instance: Instance) -> bool:
    """Whether `instance` has an endpoint that takes connections."""
    status = instance.status
    return instance.host is not None and (status in USABLE or status.startswith("configuring-"))


def why_unready(instance: Instance, deferred: Collection[str] = ()) -> str | None:
    """Return what `instance` still lacks, in a few words, or ``None`` when it lacks nothing.

    :param deferred: pending values that wait for the maintenance window, and so are not waited for.
    """
    if instance.status != "available":
        return instance.status
    if instance.host is None:
        return "has no endpoint yet"
    if instance.source is not None and not instance.replication:
        return "replication has not begun"
    if waiting := [status for status in instance.replication if status != "replicating"]:
        return f"replication is {waiting[0]}"
    if "applying" in instance.parameter_groups.values():
        return "applying parameters"
    if changing := sorted(set(instance.pending) - set(deferred)):
        return f"changing {', '.join(changing)}"
    if moving := [group for group, status in instance.security_groups.items() if status != "active"]:
        return f"{moving[0]} is {instance.security_groups[moving[0]]}"
    return None


def differences(instance: Instance, parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """Return how `instance` differs from what the `parameters` of a call asked for; more than that is none."""
    return tuple(_differences(instance, parameters))


def _differences(instance: Instance, parameters: Mapping[str, Any]) -> Iterator[str]:
    there = set(instance.security_groups)
    asked = set(parameters.get("VpcSecurityGroupIds", there))
    yield from (f"{group} is not attached" for group in sorted(asked - there))
    yield from (f"{group} is still attached" for group in sorted(there - asked))
    for parameter, value, words in (
        ("PubliclyAccessible", instance.publicly_accessible, "publicly accessible"),
        ("DeletionProtection", instance.deletion_protection, "protected from deletion"),
        ("EnableIAMDatabaseAuthentication", instance.iam_authentication, "open to IAM logins"),
        ("EnablePerformanceInsights", instance.performance_insights, "watched by Performance Insights"),
    ):
        if parameters.get(parameter, value) != value:
            yield f"it is {'' if value else 'not '}{words}"
    for parameter, found, words in (
        ("DBSubnetGroupName", instance.subnet_group, "it is in subnet group"),
        ("BackupRetentionPeriod", instance.backup_days, "the days that it keeps backups for are"),
        ("DBInstanceClass", instance.instance_class, "its class is"),
        ("CACertificateIdentifier", instance.certificate_authority, "its certificate is of"),
        ("MonitoringInterval", instance.monitoring_interval, "the interval of its Enhanced Monitoring is"),
        ("MonitoringRoleArn", instance.monitoring_role, "the role of its Enhanced Monitoring is"),
    ):
        if parameters.get(parameter, found) != found:
            yield f"{words} {found}"
    group = parameters.get("DBParameterGroupName")
    if group is not None and group not in instance.parameter_groups:
        yield f"its parameter group is {', '.join(instance.parameter_groups)}"
    change = parameters.get("CloudwatchLogsExportConfiguration", {})
    exported = {*parameters.get("EnableCloudwatchLogsExports", ()), *change.get("EnableLogTypes", ())}
    if lacking := sorted(exported - set(instance.log_exports)):
        yield f"its logs {', '.join(lacking)} are not exported"
    if still := sorted(set(change.get("DisableLogTypes", ())) & set(instance.log_exports)):
        yield f"its logs {', '.join(still)} are exported"

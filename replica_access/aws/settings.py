"""How the settings of a replica of ours differ from what the spec declares: pure.

What the spec does not name is left as it is, and so are security groups that somebody else attached. A value that is
pending counts as there while RDS works on it. Where the instance is ``available`` it may as well wait for the
maintenance window, and is asked for again: with ApplyImmediately, which asks for everything that waits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from replica_access.aws.engine import EngineVersion
from replica_access.aws.landscape import Instance, NotChecked
from replica_access.spec import Replica

Effect = Literal["", "interrupts", "takes"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One setting that is not as declared.

    :param action: what mends it, for programs.
    :param phrase: the same for people, from what to what.
    :param parameters: of ModifyDBInstance.
    :param effect: sessions end while it is done; or it takes something away.
    """

    action: str
    phrase: str
    parameters: Mapping[str, Any]
    effect: Effect = ""


def is_under_way(replica: Instance) -> bool:
    """Whether RDS works on what is pending."""
    return bool(replica.pending) and replica.status != "available"


def differences(
    replica: Instance,
    wanted: Replica,
    group_ids: tuple[str, ...],
    *,
    iam: bool,
    engine: EngineVersion | NotChecked | None,
) -> Iterator[Difference]:
    """Yield what has to be changed about `replica`, in an order in which it can be done.

    :param iam: whether users of the spec log in by IAM.
    :param engine: tells what another certificate authority costs.
    """
    replica = _as_it_will_be(replica)
    yield from _security_groups(replica, group_ids)
    yield from _switches(replica, wanted, iam=iam)
    yield from _log_exports(replica, wanted)
    yield from _monitoring(replica, wanted)
    yield from _class(replica, wanted)
    yield from _certificate(replica, wanted, engine)


def _as_it_will_be(replica: Instance) -> Instance:
    if not is_under_way(replica):
        return replica
    pending, exports = replica.pending, replica.pending.get("PendingCloudwatchLogsExports", {})
    # RDS lists here what it is yet to enable or disable; the lists of the instance change when it is done.
    logs = (set(replica.log_exports) | set(exports.get("LogTypesToEnable", ()))) - set(
        exports.get("LogTypesToDisable", ())
    )
    return replace(
        replica,
        instance_class=pending.get("DBInstanceClass", replica.instance_class),
        certificate_authority=pending.get("CACertificateIdentifier", replica.certificate_authority),
        iam_authentication=pending.get("IAMDatabaseAuthenticationEnabled", replica.iam_authentication),
        log_exports=tuple(sorted(logs)),
    )


def _security_groups(replica: Instance, group_ids: tuple[str, ...]) -> Iterator[Difference]:
    attached = [group for group, status in replica.security_groups.items() if status != "removing"]
    if lacking := [group for group in group_ids if group not in attached]:
        # the call replaces the whole list
        parameters = {"VpcSecurityGroupIds": [*attached, *lacking]}
        yield Difference("change replica", f"attach {', '.join(lacking)}", parameters)


def _switches(replica: Instance, wanted: Replica, *, iam: bool) -> Iterator[Difference]:
    # Defaults turn things on, and only what was written down turns them off.
    declared = wanted.model_fields_set
    if wanted.publicly_accessible != replica.publicly_accessible:
        parameters = {"PubliclyAccessible": wanted.publicly_accessible}
        if wanted.publicly_accessible:
            yield Difference("change replica", "make it reachable from the internet", parameters)
        else:
            phrase = "close it to the internet; nobody outside the VPC can connect afterwards"
            yield Difference("close replica", phrase, parameters, "takes")
    if wanted.deletion_protection and not replica.deletion_protection:
        yield Difference("change replica", "protect it from deletion", {"DeletionProtection": True})
    elif replica.deletion_protection and not wanted.deletion_protection:
        phrase = "do not protect it from deletion any more"
        yield Difference("unprotect replica", phrase, {"DeletionProtection": False}, "takes")
    if iam and not replica.iam_authentication:
        phrase = "let users log in by IAM"
        yield Difference("change replica", phrase, {"EnableIAMDatabaseAuthentication": True})
    elif replica.iam_authentication and not iam and "iam_authentication" in declared:
        phrase = "let nobody log in by IAM any more"
        yield Difference("stop IAM logins", phrase, {"EnableIAMDatabaseAuthentication": False}, "takes")
    if wanted.performance_insights and not replica.performance_insights:
        phrase = "watch it with Performance Insights"
        yield Difference("change replica", phrase, {"EnablePerformanceInsights": True})
    elif replica.performance_insights and wanted.performance_insights is False:
        phrase = "do not watch it with Performance Insights any more"
        yield Difference("stop monitoring", phrase, {"EnablePerformanceInsights": False}, "takes")


def _log_exports(replica: Instance, wanted: Replica) -> Iterator[Difference]:
    declared: tuple[str, ...] = wanted.log_exports
    if lacking := [log for log in declared if log not in replica.log_exports]:
        parameters = {"CloudwatchLogsExportConfiguration": {"EnableLogTypes": lacking}}
        yield Difference("change replica", f"export its logs {', '.join(lacking)} to CloudWatch", parameters)
    if "log_exports" not in wanted.model_fields_set:
        return
    if extra := [log for log in replica.log_exports if log not in declared]:
        parameters = {"CloudwatchLogsExportConfiguration": {"DisableLogTypes": extra}}
        phrase = f"do not export its logs {', '.join(extra)} to CloudWatch any more"
        yield Difference("stop log exports", phrase, parameters, "takes")


def _monitoring(replica: Instance, wanted: Replica) -> Iterator[Difference]:
    interval, role = wanted.monitoring_interval, wanted.monitoring_role
    if interval == 0 and replica.monitoring_interval:
        phrase = f"stop Enhanced Monitoring, which looks every {replica.monitoring_interval} s"
        yield Difference("stop monitoring", phrase, {"MonitoringInterval": 0}, "takes")
    elif interval and (interval, role) != (replica.monitoring_interval, replica.monitoring_role):
        was = f"every {replica.monitoring_interval} s" if replica.monitoring_interval else "off"
        phrase = f"Enhanced Monitoring {was} -> every {interval} s, by {role}"
        yield Difference("change replica", phrase, {"MonitoringInterval": interval, "MonitoringRoleArn": role})


def _class(replica: Instance, wanted: Replica) -> Iterator[Difference]:
    if wanted.instance_class not in {None, replica.instance_class}:
        phrase = f"class {replica.instance_class} -> {wanted.instance_class}, which takes it down for some minutes"
        yield Difference("change replica", phrase, {"DBInstanceClass": wanted.instance_class}, "interrupts")


def _certificate(replica: Instance, wanted: Replica, engine: EngineVersion | NotChecked | None) -> Iterator[Difference]:
    if wanted.ca_certificate in {None, replica.certificate_authority}:
        return
    phrase = f"certificate of {replica.certificate_authority} -> {wanted.ca_certificate}"
    parameters = {"CACertificateIdentifier": wanted.ca_certificate}
    if isinstance(engine, EngineVersion) and engine.rotates_certificates_running:
        yield Difference("change replica", f"{phrase}, without a restart", parameters)
    else:
        yield Difference("change replica", f"{phrase}, which restarts it", parameters, "interrupts")

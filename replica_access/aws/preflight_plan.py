"""What can be said of a plan before it is carried out: whether we may do it, and what will cost money. Pure.

Prices are not named: they differ by Region and change. What drives them is in the call that makes the replica.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from replica_access.aws.landscape import Instance, NotChecked
from replica_access.errors import AwsError
from replica_access.model import Call, Change, Check, Plan

PRICES = "https://aws.amazon.com/rds/postgresql/pricing/"

Verdict = AwsError | NotChecked | None
"""What a dry run says of a call: refused, not to be tried, or (``None``) allowed."""

ALSO_NEEDED: Mapping[str, Mapping[str, str]] = {
    "CreateDBInstanceReadReplica": {"Tags": "rds:AddTagsToResource", "MonitoringRoleArn": "iam:PassRole"},
    "CreateDBSubnetGroup": {"Tags": "rds:AddTagsToResource"},
    "CreateDBParameterGroup": {"Tags": "rds:AddTagsToResource"},
}
"""Permissions that a call needs beside its own, by the parameter that makes it so."""


def triable(plan: Plan) -> tuple[Call, ...]:
    """Return one call of each operation of EC2 that a dry run can try: those that wait for no other call's output."""
    calls: dict[str, Call] = {}
    for call in _calls(plan):
        if call.service == "ec2" and not _waits(call.parameters):
            calls.setdefault(call.operation, call)
    return tuple(calls.values())


def permissions(plan: Plan, verdicts: Mapping[str, Verdict]) -> Iterator[Check]:
    """Check what the dry runs said, and name once what only doing it will tell.

    That no permission of RDS can be tried is no gap that anybody could close: a note, and not a thing left unchecked.

    :param verdicts: by operation.
    """
    allowed = [f"ec2:{operation}" for operation, verdict in verdicts.items() if verdict is None]
    if allowed:
        yield Check("permissions", "ok", f"{', '.join(allowed)} would be allowed (dry run)")
    for operation, verdict in verdicts.items():
        if isinstance(verdict, NotChecked):
            yield Check("permissions", "not checked", f"ec2:{operation}: {verdict.why}", verdict.fix)
        elif verdict is not None:
            yield Check("permissions", "problem", verdict.what, verdict.fix)
    if untried := list(dict.fromkeys(_untried(plan, verdicts))):
        detail = f"only doing it tells whether you may: {', '.join(untried)}; what is denied stops `apply` by its name"
        yield Check("untried permissions", "note", detail)


def _untried(plan: Plan, verdicts: Mapping[str, Verdict]) -> Iterator[str]:
    for call in _calls(plan):
        if call.operation not in verdicts and not call.operation.startswith("Describe"):
            yield f"{call.service}:{call.operation}"
            also = ALSO_NEEDED.get(call.operation, {})
            yield from (permission for parameter, permission in also.items() if call.parameters.get(parameter))


def _calls(plan: Plan) -> Iterable[Call]:
    return (change.call for change in plan.changes if change.call is not None)


def _waits(value: Any) -> bool:
    """Whether there is something in `value` that an earlier call brings forth."""
    if isinstance(value, Mapping):
        return any(map(_waits, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_waits, value))
    return isinstance(value, str) and value.startswith("${")


def cost(plan: Plan, source: Instance) -> Iterator[Check]:
    """Name what makes the replica cost what it costs, where the plan makes one."""
    for change in plan.changes:
        if change.call is not None and change.call.operation == "CreateDBInstanceReadReplica":
            yield Check("cost", "note", f"{'; '.join(_drivers(change, change.call, source))} ({PRICES})")


def _drivers(change: Change, call: Call, source: Instance) -> Iterator[str]:
    asked = call.parameters
    standby = " with a standby in another zone (Multi-AZ)" if asked.get("MultiAZ") else ""
    yield f"{change.object} costs a {asked.get('DBInstanceClass', source.instance_class)}{standby}, by the hour"
    size = asked.get("AllocatedStorage", source.storage_gib)
    storage = asked.get("StorageType", source.storage_type)
    if size:
        yield f"{size:,} GiB of {storage or 'storage'}, as {source.identifier} has"
    if asked.get("PubliclyAccessible"):
        yield "a public IPv4 address, and what is sent out to the internet"
    if "SourceRegion" in asked:
        yield f"the changes sent here from {asked['SourceRegion']}"
    if logs := asked.get("EnableCloudwatchLogsExports"):
        yield f"its logs in CloudWatch ({', '.join(logs)})"
    if asked.get("MonitoringInterval"):
        yield f"enhanced monitoring every {asked['MonitoringInterval']} s"
    if asked.get("PerformanceInsightsRetentionPeriod", 7) > 7:
        yield f"Performance Insights for {asked['PerformanceInsightsRetentionPeriod']} days"

"""The events of DB instances, as DescribeEvents returns them (RDS User Guide, "Amazon RDS event messages")."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from moto.core.utils import utcnow
from moto.rds.exceptions import RDSClientError

__all__ = ["InstanceEvent", "failure", "matching", "of_instance"]

CATEGORIES: Mapping[str, tuple[str, ...]] = {
    "Backing up DB instance": ("backup",),
    "Finished DB instance backup": ("backup",),
    "DB instance created": ("creation",),
    "DB instance deleted": ("deletion",),
    "DB instance shutdown": ("availability",),
    "DB instance restarted": ("availability",),
    "DB instance stopped": ("notification",),
    "DB instance started": ("notification",),
    "Reset master credentials": ("configuration change",),
    "Finished applying modification to DB instance class": ("configuration change",),
    "Finished applying modification to allocated storage": ("configuration change",),
    "Finished updating DB parameter group": ("configuration change",),
    "Replication for the Read Replica resumed": ("read replica",),
    "Replication for the Read Replica was terminated": ("read replica",),
    "Promoted read replica to a stand-alone database instance.": ("read replica",),
}

# How an instance ends up in a state that it does not leave by itself. The sentences behind the first are ours.
FAILURES: Mapping[str, str] = {
    "failed": "Database instance put into failed state. We recommend that you begin a point-in-time-restore.",
    "incompatible-network": (
        "Database instance in incompatible network. IP CHECK: none of the subnets of the DB subnet group has a free "
        "IP address."
    ),
    "incompatible-parameters": (
        "Database instance put into incompatible-parameters state. The server cannot start with the values of its "
        "parameter group."
    ),
    "insufficient-capacity": (
        "Database instance put into insufficient-capacity state. The Availability Zone has no capacity for this DB "
        "instance class now."
    ),
}
OTHER_FAILURE = "Database instance put into {status} state."

DEFAULT_DURATION = timedelta(minutes=60)
LONGEST_DURATION = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class InstanceEvent:
    source_identifier: str
    source_arn: str
    message: str
    event_categories: tuple[str, ...]
    date: datetime
    source_type: str = "db-instance"


def of_instance(instance: Any, message: str) -> InstanceEvent:
    """:param message: of ``CATEGORIES``, or of a failure."""
    categories = CATEGORIES.get(message, ("failure",))
    return InstanceEvent(instance.db_instance_identifier, instance.arn, message, categories, utcnow())


def failure(status: str) -> str:
    """The message of an instance that is in this terminal state now."""
    return FAILURES.get(status) or OTHER_FAILURE.format(status=status)


def matching(events: Iterable[Any], call: Mapping[str, Any]) -> list[Any]:
    """The events that DescribeEvents is asked for, which by default are those of the last hour."""
    source, kind = call.get("source_identifier"), call.get("source_type")
    if source is not None and kind is None:
        raise RDSClientError("InvalidParameterCombination", "Cannot specify source identifier without source type")
    duration = timedelta(minutes=call["duration"]) if call.get("duration") else DEFAULT_DURATION
    if duration > LONGEST_DURATION:
        raise RDSClientError("InvalidParameterValue", "Duration must not be greater than 20160 minutes.")
    until = call.get("end_time") or utcnow()
    since = call.get("start_time") or until - duration
    categories = set(call.get("event_categories") or ())
    return [
        event
        for event in events
        if source in (None, event.source_identifier)
        and kind in (None, event.source_type)
        and since.replace(tzinfo=None) <= event.date.replace(tzinfo=None) <= until.replace(tzinfo=None)
        and (not categories or categories & set(event.event_categories))
    ]

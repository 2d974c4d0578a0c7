"""What RDS says about an instance: its events."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from replica_access.aws.session import Aws
from replica_access.errors import AwsError

NEWS_MINUTES = 60
INTERVAL_S = 10.0
LOCAL_INTERVAL_S = 0.3


def events(aws: Aws, identifier: str, minutes: int) -> list[tuple[datetime, str]]:
    """Return when RDS said what about `identifier` in the last `minutes`, oldest first.

    :raises AwsError: as `Aws.call` does.
    """
    found = aws.pages(
        "rds", "DescribeEvents", "Events", SourceIdentifier=identifier, SourceType="db-instance", Duration=minutes
    )
    said = [(event["Date"], event["Message"].strip().rstrip(".")) for event in found if event.get("Message")]
    return sorted(said, key=lambda event: event[0])


class News:
    """The last thing that RDS said about an instance, for whoever watches it being changed.

    It is no more than company: what cannot be read is left out, and is not asked for again.

    :param only_new: what was said more than a minute ago is about something else.
    """

    def __init__(self, aws: Aws, identifier: str, *, only_new: bool) -> None:
        self._aws = aws
        self._identifier = identifier
        self._since = datetime.now(UTC) - timedelta(minutes=1 if only_new else NEWS_MINUTES)
        self._text = ""
        self._next_look = 0.0

    def last(self) -> str:
        """Return it as the end of a line, or nothing."""
        if time.monotonic() >= self._next_look:
            self._look()
        return f"; {self._text}" if self._text else ""

    def _look(self) -> None:
        try:
            found = events(self._aws, self._identifier, NEWS_MINUTES)
        except AwsError:
            self._next_look = float("inf")
            return
        self._next_look = time.monotonic() + (LOCAL_INTERVAL_S if self._aws.is_local else INTERVAL_S)
        self._text = next((message for when, message in reversed(found) if when >= self._since), "")

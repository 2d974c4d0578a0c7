"""One change under way, and what all of them need: the call's parameters, the time that is left, how to wait."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from replica_access.aws.landscape import Instance
from replica_access.aws.replica import nothing, wait_until_ready
from replica_access.aws.session import Aws
from replica_access.progress import Progress


@dataclass(frozen=True, slots=True)
class Step:
    """One change under way. Times are seconds of `now`."""

    aws: Aws
    parameters: Mapping[str, Any]
    outputs: dict[str, str]
    progress: Progress
    deadline: float
    sleep: Callable[[float], None]
    now: Callable[[], float]

    @property
    def left_s(self) -> float:
        return max(0.0, self.deadline - self.now())

    def pause(self, seconds: float) -> None:
        self.sleep(min(0.3 if self.aws.is_local else seconds, self.left_s))

    def patience_s(self, seconds: float) -> float:
        """Return how long to wait for what may take so many seconds: a stand-in is never that late."""
        return min(2.0, seconds) if self.aws.is_local else seconds

    def wait(
        self,
        identifier: str,
        *,
        lacks: Callable[[Instance], str | None] = nothing,
        settling: bool = False,
        deferred: Collection[str] = (),
    ) -> Instance:
        """Wait until the instance is ready, as `wait_until_ready` does."""
        return wait_until_ready(
            self.aws,
            identifier,
            self.progress,
            self.left_s,
            lacks=lacks,
            settling=settling,
            deferred=deferred,
            sleep=self.sleep,
            now=self.now,
        )

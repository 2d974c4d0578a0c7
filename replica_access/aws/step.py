"""One change under way, and what all of them need: the call's parameters, the time that is left, how to wait."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from replica_access.aws.landscape import Instance
from replica_access.aws.replica import wait_until_ready
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

    def wait(self, identifier: str, wanted: Mapping[str, Any] | None = None) -> Instance:
        return wait_until_ready(
            self.aws, identifier, self.progress, self.left_s, wanted=wanted, sleep=self.sleep, now=self.now
        )

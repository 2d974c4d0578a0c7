"""One change under way, and what all of them need: the call's parameters, the time that is left, how to wait."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from replica_access.aws.landscape import Instance
from replica_access.aws.replica import nothing, wait_until_ready
from replica_access.aws.session import Aws
from replica_access.errors import AwsError
from replica_access.progress import Progress

CONSISTENCY_S = 60.0
"""How long AWS may not know what it has just made, and how long a group may be busy."""


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

    def call_while(self, code: str, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """Call `operation`, again for a while where it is refused with `code`, which passes; return its answer.

        AWS answers from copies of its records, which may not know yet what it has just made.
        """
        begin = self.now()
        while True:
            try:
                return self.aws.call(service, operation, **parameters)
            except AwsError as error:
                if error.code != code or self.now() - begin > min(self.patience_s(CONSISTENCY_S), self.left_s):
                    raise
                self.pause(2)

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

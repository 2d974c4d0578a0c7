"""A run that loses answers, or ends, at any AWS call: the same state in the end as undisturbed, and nothing twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import botocore.session
import pytest

from replica_access.aws.session import Aws
from replica_access.model import Plan
from replica_access.sandbox.faults import LostAnswer
from replica_access.spec import Spec
from tests.sandbox_fixtures import Sandbox

from .stage import StoppableAws, Stopped, account, look, opened, remove, run, spec_of, state

SETTINGS = {"parameters": {"hot_standby_feedback": "1", "max_connections": "150"}, "tags": {"team": "data"}}

MAKING = (
    "CreateSecurityGroup", "AuthorizeSecurityGroupIngress", "CreateDBSubnetGroup", "CreateDBParameterGroup",
    "ModifyDBParameterGroup", "CreateDBInstanceReadReplica", "ModifyDBInstance", "RebootDBInstance",
)  # fmt: skip
"""The operations that it takes to make everything."""


class Unlucky(Aws):
    """Ends a run wherever none has ended yet: before AWS hears of an operation, read or not, or after it has acted."""

    def __init__(self, session: botocore.session.Session, region: str) -> None:
        super().__init__(session, region)
        self.ended_at: set[tuple[str, str]] = set()

    def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        self._end("before", operation)
        try:
            return super().call(service, operation, **parameters)
        finally:
            self._end("after", operation)

    def _end(self, moment: str, operation: str) -> None:
        if (moment, operation) not in self.ended_at:
            self.ended_at.add((moment, operation))
            raise Stopped


@pytest.fixture(scope="module")
def aws(sandbox: Sandbox) -> Iterator[StoppableAws]:
    with opened(sandbox) as aws:
        yield aws


@pytest.fixture(scope="module")
def undisturbed(sandbox: Sandbox, aws: StoppableAws, private: str) -> tuple[dict[str, Any], list[str]]:
    """What a run leaves behind that nothing disturbs, and every operation that it calls."""
    name = sandbox.name("calm")
    with sandbox.recording() as heard:
        run(aws, spec_for(name, private))
    left = left_behind(sandbox, name)
    remove(sandbox, name)
    return left, sorted({f"{call.service}:{call.operation}" for call in heard})


def spec_for(name: str, primary: str) -> Spec:
    """Return a spec for which every kind of thing has to be made."""
    return spec_of(name, primary={"instance": primary}, replica=SETTINGS)


def left_behind(sandbox: Sandbox, name: str) -> dict[str, Any]:
    """Return what stands for the replica, its name left out, and how much stands in the account."""
    sandbox.settle(name)
    found = repr(state(sandbox, name)).replace(name, "NAME")
    return {"replica": found, **{kind: len(there) for kind, there in account(sandbox).items()}}


@pytest.mark.parametrize("acts", [True, False], ids=["AWS had acted", "AWS had not heard"])
def test_every_answer_is_lost_once(
    sandbox: Sandbox, aws: StoppableAws, private: str, undisturbed: tuple[dict[str, Any], list[str]], acts: bool
) -> None:
    expected, operations = undisturbed
    assert set(MAKING) < {operation.partition(":")[2] for operation in operations}
    name = sandbox.name("unheard")
    try:
        with sandbox.faults(lose=tuple(LostAnswer(operation, acts=acts) for operation in operations)):
            run(aws, spec_for(name, private))
        assert left_behind(sandbox, name) == expected
        assert look(aws, spec_for(name, private))[1] == Plan()
    finally:
        remove(sandbox, name)


def test_run_after_run_ends_at_another_call(
    sandbox: Sandbox, aws: StoppableAws, private: str, undisturbed: tuple[dict[str, Any], list[str]]
) -> None:
    """What is made stays, so that each run goes on where the last one ended, until one comes to the end."""
    expected, _ = undisturbed
    name, spec = (name := sandbox.name("unlucky")), spec_for(name, private)
    unlucky = Unlucky(botocore.session.Session(), sandbox.status.region)
    try:
        for _ in range(100):
            with suppress(Stopped):
                run(unlucky, spec)
                break
        ends = {(moment, operation) for operation in MAKING for moment in ("before", "after")}
        assert ends < unlucky.ended_at
        assert left_behind(sandbox, name) == expected
        assert look(aws, spec)[1] == Plan()
    finally:
        unlucky.close()
        remove(sandbox, name)

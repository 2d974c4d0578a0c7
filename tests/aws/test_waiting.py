"""What comes between a call and its end: busy instances, lost answers, throttling, failure, and too long a wait."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from replica_access.aws.execute import execute
from replica_access.errors import WaitFailed
from replica_access.model import Plan
from replica_access.progress import SILENT
from replica_access.sandbox.faults import LostAnswer, Turn
from replica_access.spec import Spec
from tests.sandbox_fixtures import Sandbox

from .stage import Listener, StoppableAws, Stopped, carry_out, look, opened, remove, run, spec_of, state

pytestmark = pytest.mark.slow

CALLS = (
    "ec2:CreateSecurityGroup",
    "rds:CreateDBParameterGroup",
    "rds:ModifyDBParameterGroup",
    "rds:CreateDBInstanceReadReplica",
    "rds:ModifyDBInstance",
    "rds:RebootDBInstance",
)
VALUES = {"hot_standby_feedback": "1", "max_connections": "150"}


@pytest.fixture(scope="module")
def aws(sandbox: Sandbox) -> Iterator[StoppableAws]:
    with opened(sandbox) as aws:
        yield aws


@pytest.fixture
def name(sandbox: Sandbox) -> Iterator[str]:
    """A name for a replica, which is taken away again."""
    name = sandbox.name("waited")
    yield name
    remove(sandbox, name)


def wanted(name: str) -> Spec:
    return spec_of(name, replica={"parameters": VALUES, "deletion_protection": False})


def said(sandbox: Sandbox, name: str) -> list[str]:
    found = sandbox.rds.describe_events(SourceIdentifier=name, SourceType="db-instance", Duration=60)["Events"]
    return [event["Message"] for event in found]


def assert_made_once(sandbox: Sandbox, aws: StoppableAws, name: str) -> None:
    assert look(aws, wanted(name))[1] == Plan()
    assert state(sandbox, name)["parameters"] == [("in-sync", VALUES)]
    assert said(sandbox, name).count("DB instance created") == 1
    assert said(sandbox, name).count("DB instance restarted") == 1


@pytest.mark.parametrize("acts", [False, True], ids=["before it acts", "after it acted"])
def test_a_lost_answer_to_each_call_makes_nothing_twice(
    sandbox: Sandbox, aws: StoppableAws, name: str, acts: bool
) -> None:
    lost = tuple(LostAnswer(call, acts=acts) for call in CALLS)
    with sandbox.faults(lose=lost, by="replica-access/"):
        run(aws, wanted(name))
    assert_made_once(sandbox, aws, name)


def test_throttling_only_takes_longer(sandbox: Sandbox, aws: StoppableAws, name: str) -> None:
    with sandbox.faults(throttle=4, by="replica-access/"):
        run(aws, wanted(name))
    assert_made_once(sandbox, aws, name)


def test_a_source_and_a_replica_that_become_busy_midway_are_waited_for(
    sandbox: Sandbox, aws: StoppableAws, name: str
) -> None:
    listener = Listener()
    _, planned = look(aws, wanted(name))
    busy = (
        Turn("prod-db", "modifying", before="rds:CreateDBInstanceReadReplica", seconds=1),
        Turn(name, "maintenance", before="rds:ModifyDBInstance", seconds=1),
        Turn(name, "backing-up", before="rds:RebootDBInstance", seconds=1),
    )
    with sandbox.faults(turn=busy, by="replica-access/"):
        carry_out(aws, planned, listener)
    waits = {line.partition(": waiting")[0] for line in listener.heard if ": waiting (" in line}
    assert {"prod-db is modifying", f"{name} is maintenance"} <= waits
    assert_made_once(sandbox, aws, name)


def test_a_creation_that_fails_ends_with_what_rds_says(sandbox: Sandbox, aws: StoppableAws, name: str) -> None:
    with sandbox.faults(fail={name: "incompatible-network"}), pytest.raises(WaitFailed) as caught:
        run(aws, wanted(name))
    assert f"{name} does not get ready by itself: incompatible-network. RDS says: " in caught.value.what
    assert "describe-events" in caught.value.fix


def test_a_wait_that_is_too_long_says_how_to_go_on_and_the_next_run_does(
    sandbox: Sandbox, aws: StoppableAws, name: str
) -> None:
    *before, creation, attach, reboot = look(aws, wanted(name))[1].changes
    assert (creation.action, attach.action, reboot.action) == (
        "create replica",
        "attach parameter group",
        "reboot replica",
    )
    with sandbox.faults(hold={name: "creating"}):
        outputs: dict[str, str] = {}
        for change in before:
            execute(aws, change, outputs, SILENT, 30)
        began = time.monotonic()
        with pytest.raises(WaitFailed) as caught:
            execute(aws, creation, outputs, SILENT, 1)
        assert time.monotonic() - began < 10
    assert re.match(rf"{name} is not ready after \d s: creating\.", caught.value.what)
    assert "--timeout MINUTES" in caught.value.fix
    assert [change.action for change in run(aws, wanted(name)).changes][-2:] == [
        "attach parameter group",
        "reboot replica",
    ]
    assert_made_once(sandbox, aws, name)


@dataclass
class Impatient(Listener):
    """Ends the run as soon as it has heard enough."""

    enough: str = ""

    def waiting(self, sentence: str) -> None:
        super().waiting(sentence)
        if self.enough in sentence:
            raise Stopped


def test_what_rds_says_is_on_the_progress_line(sandbox: Sandbox, aws: StoppableAws, name: str) -> None:
    listener = Impatient(enough="; DB instance created")
    _, planned = look(aws, wanted(name))
    with sandbox.faults(hold={name: "modifying"}), pytest.raises(Stopped):
        carry_out(aws, planned, listener)
    assert re.match(rf"{name}: (creating|modifying) \(\d+ s\); DB instance created$", listener.heard[-1])

"""The poller: what it waits for, what it gives up on, and how often it asks.

No stand-in reaches most of these states, so the answers are botocore's Stubber's, checked against RDS's own model.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import botocore.session
import pytest
from botocore.stub import Stubber
from botocore.validate import ParamValidator

from replica_access.aws.landscape import Instance
from replica_access.aws.readiness import TERMINAL
from replica_access.aws.replica import wait_until_ready
from replica_access.aws.session import Aws
from replica_access.errors import AccessDenied, CredentialsError, NotFound, WaitFailed

from .stage import Listener

NAME = "prod-db-analytics"
ANSWERED = {"ResponseMetadata": {"RequestId": "1", "HTTPStatusCode": 200}}


@dataclass
class Clock:
    """Time that passes only while somebody sleeps."""

    time: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds


class TalkingAws(Aws):
    """Answers DescribeEvents, which the poller may ask whenever it likes, from a list; the rest is the Stubber's."""

    said: list[str] | None
    last_said: datetime
    asked: list[dict[str, Any]]

    def pages(self, service: str, operation: str, key: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        model = self.client(service).meta.service_model.operation_model(operation)
        assert not ParamValidator().validate(parameters, model.input_shape).has_errors()
        assert (operation, key) == ("DescribeEvents", "Events")
        self.asked.append(parameters)
        if self.said is None:
            raise AccessDenied("AWS denied rds:DescribeEvents: no.", "Ask for it.")
        events = [
            {"Message": text, "Date": self.last_said - timedelta(minutes=ago)}
            for ago, text in enumerate(reversed(self.said))
        ]
        yield from events  # in no order that is promised


@dataclass
class Script:
    """RDS's answers in order, and a run of the poller over them."""

    aws: TalkingAws
    stubber: Stubber
    clock: Clock = field(default_factory=Clock)
    progress: Listener = field(default_factory=Listener)

    def answer(self, status: str, **more: Any) -> Script:
        ready = {
            "Endpoint": {"Address": "replica.example", "Port": 5432},
            "StatusInfos": [{"StatusType": "read replication", "Normal": True, "Status": "replicating"}],
            "VpcSecurityGroups": [{"VpcSecurityGroupId": "sg-1", "Status": "active"}],
            "PendingModifiedValues": {},
        }
        instance = {"DBInstanceIdentifier": NAME, "DBInstanceStatus": status, **ready, **more}
        self.stubber.add_response(
            "describe_db_instances", {"DBInstances": [instance], **ANSWERED}, {"DBInstanceIdentifier": NAME}
        )
        return self

    def refuse(self, code: str) -> Script:
        self.stubber.add_client_error("describe_db_instances", code, "No.")
        return self

    def events(self, *messages: str) -> Script:
        self.aws.said = list(messages)
        return self

    def wait(self, deadline_s: float = 3600, **options: Any) -> Instance:
        found = wait_until_ready(
            self.aws, NAME, self.progress, deadline_s, **options, sleep=self.clock.sleep, now=self.clock.now
        )
        self.stubber.assert_no_pending_responses()
        return found


@pytest.fixture
def rds(monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_RDS", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    aws = TalkingAws(botocore.session.Session(), "eu-west-1")
    aws.said, aws.last_said, aws.asked = [], datetime.now(UTC), []
    with Stubber(aws.client("rds")) as stubber:
        yield Script(aws, stubber)
    aws.close()


def test_it_waits_until_everything_is_in_place(rds: Script) -> None:
    rds.answer("creating", Endpoint={}, StatusInfos=[])
    rds.answer("backing-up")
    rds.answer("available", Endpoint={})
    rds.answer("available", StatusInfos=[{"StatusType": "read replication", "Normal": False, "Status": "connecting"}])
    rds.answer("available", PendingModifiedValues={"DBInstanceClass": "db.r6g.large"})
    rds.answer("available", VpcSecurityGroups=[{"VpcSecurityGroupId": "sg-1", "Status": "adding"}])
    rds.answer("available", DBParameterGroups=[{"DBParameterGroupName": "x", "ParameterApplyStatus": "applying"}])
    rds.answer("available")
    assert rds.wait().host == "replica.example"
    states = [line.removeprefix(f"{NAME}: ").rpartition(" (")[0] for line in rds.progress.heard]
    assert states == [
        "creating",
        "backing-up",
        "has no endpoint yet",
        "replication is connecting",
        "changing DBInstanceClass",
        "sg-1 is adding",
        "applying parameters",
    ]


def test_the_progress_line_says_how_long_it_has_been(rds: Script) -> None:
    for _ in range(12):
        rds.answer("creating")
    rds.answer("available")
    rds.wait()
    assert rds.progress.heard[0] == f"{NAME}: creating (0 s)"
    assert rds.progress.heard[-1].startswith(f"{NAME}: creating (1 min ")


def test_amazon_is_asked_often_at_first_and_then_every_half_minute(rds: Script) -> None:
    for _ in range(60):
        rds.answer("creating")
    rds.answer("available")
    rds.wait()
    assert rds.clock.slept[0] <= 6
    assert all(24 <= seconds <= 36 for seconds in rds.clock.slept[-20:])
    assert len(set(rds.clock.slept)) > 30  # never in step with others


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_a_state_that_nothing_leaves_ends_it_with_what_rds_says(rds: Script, status: str) -> None:
    rds.answer("creating").answer(status).events("first", "older", "The subnet has no free IP addresses.", "Giving up.")
    with pytest.raises(WaitFailed) as caught:
        rds.wait()
    assert f"{NAME} does not get ready by itself: {status}." in caught.value.what
    assert "The subnet has no free IP addresses; Giving up." in caught.value.what
    assert "first" not in caught.value.what
    assert f"--source-identifier {NAME}" in caught.value.fix
    assert len(rds.clock.slept) == 1


def test_replication_that_is_over_ends_it_and_one_that_comes_back_does_not(rds: Script) -> None:
    over = [{"StatusType": "read replication", "Normal": False, "Status": "terminated"}]
    rds.answer("available", StatusInfos=over).answer("available", StatusInfos=over).answer("available")
    rds.wait()
    for _ in range(3):
        rds.answer("available", StatusInfos=over)
    rds.events()
    with pytest.raises(WaitFailed, match=r"replication is terminated\. RDS has no events about it\."):
        rds.wait()


def test_events_that_may_not_be_read_do_not_hide_the_failure(rds: Script) -> None:
    rds.answer("failed")
    rds.aws.said = None
    with pytest.raises(WaitFailed, match=r"failed.*events could not be read: AWS denied rds:DescribeEvents"):
        rds.wait()


def test_the_deadline_says_that_it_can_simply_be_run_again(rds: Script) -> None:
    for _ in range(5):
        rds.answer("creating")
    with pytest.raises(WaitFailed) as caught:
        rds.wait(deadline_s=20)
    assert f"{NAME} is not ready after 20 s: creating." in caught.value.what
    assert "run the same command again" in caught.value.fix
    assert rds.clock.time == pytest.approx(1020)


def test_an_instance_that_rds_does_not_know_yet_is_waited_for(rds: Script) -> None:
    rds.refuse("DBInstanceNotFound").refuse("DBInstanceNotFound").answer("creating").answer("available")
    rds.wait()
    assert rds.progress.heard[0] == f"{NAME}: not known yet (0 s)"


def test_an_instance_that_somebody_deletes_ends_it(rds: Script) -> None:
    rds.answer("creating").refuse("DBInstanceNotFound")
    with pytest.raises(NotFound, match="somebody deleted it"):
        rds.wait()


def test_an_instance_that_never_comes_ends_it(rds: Script) -> None:
    for _ in range(20):
        rds.refuse("DBInstanceNotFound")
    with pytest.raises(NotFound, match="is gone"):
        rds.wait()
    assert rds.clock.time < 1000 + 120


@pytest.mark.parametrize("code", ["Throttling", "ServiceUnavailable"])
def test_what_passes_does_not_end_a_wait_of_an_hour(rds: Script, code: str) -> None:
    rds.answer("creating").refuse(code).refuse(code).answer("available")
    rds.wait()
    assert f"{NAME}: AWS does not answer ({code})" in rds.progress.heard[1]


@pytest.mark.parametrize(("code", "kind"), [("ExpiredToken", CredentialsError), ("AccessDenied", AccessDenied)])
def test_what_does_not_pass_ends_it_at_once(rds: Script, code: str, kind: type[Exception]) -> None:
    rds.answer("creating").refuse(code)
    with pytest.raises(kind):
        rds.wait()


def test_a_modification_has_to_show_before_it_is_believed(rds: Script) -> None:
    rds.answer("available", PubliclyAccessible=False)
    rds.answer("modifying", PubliclyAccessible=False)
    rds.answer("available", PubliclyAccessible=True)
    assert rds.wait(lacks=closed, settling=True).publicly_accessible
    assert len(rds.clock.slept) == 2


def closed(instance: Instance) -> str | None:
    return None if instance.publicly_accessible else "is closed"


def test_what_looks_ready_right_after_a_call_is_believed_when_it_goes_on_looking_so(rds: Script) -> None:
    rds.answer("available").answer("available").answer("available")
    rds.wait(settling=True)
    assert rds.progress.heard[0] == f"{NAME}: ready, it seems (0 s)"


def test_what_looks_ready_right_after_a_call_may_not_have_begun(rds: Script) -> None:
    rds.answer("available").answer("available").answer("rebooting").answer("available")
    rds.wait(settling=True)


def test_a_state_that_a_call_was_to_end_is_given_a_moment(rds: Script) -> None:
    rds.answer("incompatible-parameters").answer("incompatible-parameters").answer("rebooting").answer("available")
    rds.wait(settling=True)
    for _ in range(3):
        rds.answer("incompatible-parameters")
    with pytest.raises(WaitFailed, match="incompatible-parameters"):
        rds.wait(settling=True)


def test_what_waits_for_the_maintenance_window_is_not_waited_for(rds: Script) -> None:
    rds.answer("available", PendingModifiedValues={"AllocatedStorage": 200})
    rds.wait(deferred=["AllocatedStorage"])


def test_what_stays_pending_waits_for_the_maintenance_window(rds: Script) -> None:
    pending = {"PendingModifiedValues": {"AllocatedStorage": 200}}
    rds.answer("modifying", **pending)
    for _ in range(40):  # how many it takes is left to chance
        rds.answer("available", **pending)
    wait_until_ready(rds.aws, NAME, rds.progress, 3600, sleep=rds.clock.sleep, now=rds.clock.now)
    assert 150 < rds.clock.time - 1000 < 250


# --- what RDS says meanwhile -----------------------------------------------------------------------------------------


def test_the_progress_line_ends_with_what_rds_said_last(rds: Script) -> None:
    rds.events("Restoring from snapshot", "Backing up DB instance.")
    rds.answer("creating").answer("available")
    rds.wait()
    assert rds.progress.heard == [f"{NAME}: creating (0 s); Backing up DB instance"]
    assert rds.aws.asked == [{"SourceIdentifier": NAME, "SourceType": "db-instance", "Duration": 60}]


def test_what_rds_said_before_a_call_is_not_about_it(rds: Script) -> None:
    rds.events("DB instance restarted")
    rds.aws.last_said -= timedelta(minutes=10)
    rds.answer("rebooting").answer("available")
    rds.wait(settling=True)
    rds.events("DB instance shutdown")
    rds.aws.last_said = datetime.now(UTC)
    rds.answer("rebooting").answer("available")
    rds.wait(settling=True)
    assert rds.progress.heard == [f"{NAME}: rebooting (0 s)", f"{NAME}: rebooting (0 s); DB instance shutdown"]


def test_events_that_may_not_be_read_are_asked_for_once(rds: Script) -> None:
    rds.aws.said = None
    rds.answer("creating").answer("creating").answer("available")
    rds.wait()
    assert [line.rpartition(" (")[0] for line in rds.progress.heard] == [f"{NAME}: creating"] * 2
    assert len(rds.aws.asked) == 1


def test_a_replica_whose_replication_has_not_begun_is_not_ready(rds: Script) -> None:
    source = {"ReadReplicaSourceDBInstanceIdentifier": "prod-db"}
    rds.answer("available", StatusInfos=[], **source).answer("available", **source)
    rds.wait()
    assert rds.progress.heard == [f"{NAME}: replication has not begun (0 s)"]

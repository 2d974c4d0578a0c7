"""When an instance is ready, usable, or stuck; and how calls and names are written."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replica_access.aws.landscape import Instance
from replica_access.aws.ownership import description, identifier, tags
from replica_access.aws.readiness import TERMINAL, USABLE, differences, is_usable, why_unready
from replica_access.aws.replica import duration
from replica_access.aws_commands import Commands

from .aws_landscapes import PRIMARY, REPLICA


def test_a_complete_replica_is_ready() -> None:
    assert why_unready(REPLICA) is None
    assert is_usable(REPLICA)


@pytest.mark.parametrize(
    ("instance", "words"),
    [
        (replace(REPLICA, status="creating"), "creating"),
        (replace(REPLICA, host=None), "no endpoint"),
        (replace(REPLICA, replication=("replicating", "connecting")), "replication is connecting"),
        (replace(REPLICA, replication=()), "replication has not begun"),
        (replace(REPLICA, parameter_groups={"a": "applying"}), "applying parameters"),
        (replace(REPLICA, pending={"DBInstanceClass": "db.r6g.xlarge"}), "changing DBInstanceClass"),
        (replace(REPLICA, security_groups={"sg-1": "active", "sg-2": "adding"}), "sg-2 is adding"),
    ],
)
def test_available_alone_is_not_ready(instance: Instance, words: str) -> None:
    assert words in (why_unready(instance) or "")


def test_a_primary_has_no_replication_to_wait_for() -> None:
    assert why_unready(PRIMARY) is None


def test_what_waits_for_the_maintenance_window_is_not_waited_for() -> None:
    waiting = replace(REPLICA, pending={"DBInstanceClass": "db.r6g.xlarge", "Iops": 3000})
    assert why_unready(waiting, ["DBInstanceClass", "Iops"]) is None
    assert why_unready(waiting, ["Iops"]) == "changing DBInstanceClass"


def test_no_status_is_both_usable_and_stuck() -> None:
    assert not USABLE & TERMINAL


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"VpcSecurityGroupIds": ["sg-ours", "sg-2"]}, "sg-2 is not attached"),
        ({"VpcSecurityGroupIds": []}, "sg-ours is still attached"),
        ({"PubliclyAccessible": False}, "it is publicly accessible"),
        ({"EnableIAMDatabaseAuthentication": True}, "it is not open to IAM logins"),
        ({"DBSubnetGroupName": "other"}, "it is in subnet group public"),
        ({"DBInstanceClass": "db.r6g.xlarge"}, "its class is db.r6g.large"),
        ({"CACertificateIdentifier": "rds-ca-ecc384-g1"}, "its certificate is of rds-ca-rsa2048-g1"),
        ({"MonitoringInterval": 60}, "the interval of its Enhanced Monitoring is 0"),
        ({"EnablePerformanceInsights": True}, "it is not watched by Performance Insights"),
        ({"DBParameterGroupName": "ours"}, "its parameter group is default.postgres17"),
        ({"EnableCloudwatchLogsExports": ["iam-db-auth-error"]}, "its logs iam-db-auth-error are not exported"),
        (
            {"CloudwatchLogsExportConfiguration": {"EnableLogTypes": ["iam-db-auth-error"]}},
            "its logs iam-db-auth-error are not exported",
        ),
        ({"CloudwatchLogsExportConfiguration": {"DisableLogTypes": ["upgrade"]}}, "its logs upgrade are exported"),
    ],
)
def test_what_came_out_differently_is_named(parameters: dict[str, object], words: str) -> None:
    assert differences(REPLICA, parameters) == (words,)


def test_what_came_out_as_asked_for_is_no_difference() -> None:
    assert not differences(REPLICA, {"PubliclyAccessible": True, "DeletionProtection": True, "AllocatedStorage": 20})
    assert not differences(REPLICA, {"VpcSecurityGroupIds": ["sg-ours"]})


def test_durations_are_written_for_people() -> None:
    assert [duration(seconds) for seconds in (0, 59.9, 80, 3600)] == ["0 s", "59 s", "1 min 20 s", "60 min 0 s"]


@given(st.text(max_size=400))
def test_any_note_becomes_a_description_that_ec2_takes(note: str) -> None:
    assert re.fullmatch(r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{0,255}", description(note))


def test_an_accent_is_dropped_and_a_quote_becomes_a_hyphen() -> None:
    assert description("O'Brien's café, 2nd floor") == "O-Brien-s cafe, 2nd floor"


@pytest.mark.parametrize("name", ["Prod-DB", "prod-db", "arn:aws:rds:eu-west-1:123456789012:db:prod-db"])
def test_an_instance_is_known_by_its_identifier(name: str) -> None:
    assert identifier(name) == "prod-db"


def test_our_tags_win() -> None:
    assert tags("a", {"replica-access": "b", "team": "data"}) == {
        "replica-access": "a",
        "team": "data",
        "managed-by": "replica-access",
    }


@given(st.text(min_size=1).filter(lambda text: "\0" not in text))
def test_a_command_survives_a_shell(word: str) -> None:
    assert shlex.split(Commands("r", word).ec2("describe-it", "--name", word)) == [
        "aws", "ec2", "describe-it", "--name", word, "--region", "r", "--profile", word,
    ]  # fmt: skip

"""How a replica's settings differ from the spec, and which change mends it: one by one, and none twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from replica_access.aws.landscape import Landscape
from replica_access.aws.plan import plan
from replica_access.model import Change
from replica_access.spec import Spec

from .aws_landscapes import COMPLETE, DENIED, EMPTY, ENGINE, OUR_TAGS, problems, replica, spec_of

ROLE = "arn:aws:iam::123456789012:role/rds-monitoring"
OTHER_ROLE = "arn:aws:iam::123456789012:role/other"


def changes(landscape: Landscape, spec: Spec) -> tuple[Change, ...]:
    found = plan(landscape, spec, date(2027, 1, 31))
    assert not found.blocked
    return found.changes


def asked(change: Change) -> dict[str, Any]:
    """Return what a change of the replica asks for, without what every one of them says."""
    assert change.call is not None
    assert change.call.operation == "ModifyDBInstance"
    assert change.call.parameters["DBInstanceIdentifier"] == "analytics"
    assert change.call.parameters["ApplyImmediately"] is True
    rest = ("DBInstanceIdentifier", "ApplyImmediately")
    return {key: value for key, value in change.call.parameters.items() if key not in rest}


@pytest.mark.parametrize(
    ("wanted", "found", "parameters", "words"),
    [
        ({"iam_authentication": True}, {}, {"EnableIAMDatabaseAuthentication": True}, "let users log in by IAM"),
        ({}, {"deletion_protection": False}, {"DeletionProtection": True}, "protect it from deletion"),
        ({}, {"publicly_accessible": False}, {"PubliclyAccessible": True}, "make it reachable from the internet"),
        ({"performance_insights": True}, {}, {"EnablePerformanceInsights": True}, "Performance Insights"),
        (
            {},
            {"log_exports": ("upgrade",)},
            {"CloudwatchLogsExportConfiguration": {"EnableLogTypes": ["postgresql"]}},
            "export its logs postgresql to CloudWatch",
        ),
        (
            {"monitoring_interval": 60, "monitoring_role": ROLE},
            {},
            {"MonitoringInterval": 60, "MonitoringRoleArn": ROLE},
            f"Enhanced Monitoring off -> every 60 s, by {ROLE}",
        ),
        (
            {"monitoring_interval": 60, "monitoring_role": ROLE},
            {"monitoring_interval": 60, "monitoring_role": OTHER_ROLE},
            {"MonitoringInterval": 60, "MonitoringRoleArn": ROLE},
            f"every 60 s -> every 60 s, by {ROLE}",
        ),
    ],
)
def test_what_nobody_notices_is_mended_by_one_call(
    wanted: dict[str, Any], found: dict[str, Any], parameters: dict[str, Any], words: str
) -> None:
    (change,) = changes(replica(**found), spec_of(replica=wanted))
    assert asked(change) == parameters
    assert words in change.summary
    assert not change.interrupts
    assert not change.takes


@pytest.mark.parametrize(
    ("wanted", "found", "parameters", "words"),
    [
        (
            {"class": "db.r6g.xlarge"},
            {},
            {"DBInstanceClass": "db.r6g.xlarge"},
            "class db.r6g.large -> db.r6g.xlarge, which takes it down for some minutes",
        ),
        (
            {"ca_certificate": "rds-ca-ecc384-g1"},
            {},
            {"CACertificateIdentifier": "rds-ca-ecc384-g1"},
            "certificate of rds-ca-rsa2048-g1 -> rds-ca-ecc384-g1, which restarts it",
        ),
    ],
)
def test_what_interrupts_says_so(
    wanted: dict[str, Any], found: dict[str, Any], parameters: dict[str, Any], words: str
) -> None:
    (change,) = changes(replica(**found), spec_of(replica=wanted))
    assert asked(change) == parameters
    assert words in change.summary
    assert change.interrupts


def test_all_that_interrupts_is_one_outage_beside_what_does_not() -> None:
    wanted = {"class": "db.r6g.xlarge", "ca_certificate": "rds-ca-ecc384-g1"}
    quiet, loud = changes(replica(deletion_protection=False), spec_of(replica=wanted))
    assert asked(quiet) == {"DeletionProtection": True}
    assert asked(loud) == {"DBInstanceClass": "db.r6g.xlarge", "CACertificateIdentifier": "rds-ca-ecc384-g1"}
    assert (quiet.interrupts, loud.interrupts) == (False, True)


def test_a_version_that_rotates_certificates_while_it_runs_is_not_interrupted() -> None:
    landscape = replace(COMPLETE, engine=replace(ENGINE, rotates_certificates_running=True))
    (change,) = changes(landscape, spec_of(replica={"ca_certificate": "rds-ca-ecc384-g1"}))
    assert not change.interrupts
    assert "without a restart" in change.summary


@pytest.mark.parametrize(
    ("wanted", "found", "parameters", "action"),
    [
        ({"publicly_accessible": False}, {}, {"PubliclyAccessible": False}, "close replica"),
        ({"deletion_protection": False}, {}, {"DeletionProtection": False}, "unprotect replica"),
        (
            {"iam_authentication": False},
            {"iam_authentication": True},
            {"EnableIAMDatabaseAuthentication": False},
            "stop IAM logins",
        ),
        (
            {"performance_insights": False},
            {"performance_insights": True},
            {"EnablePerformanceInsights": False},
            "stop monitoring",
        ),
        ({"monitoring_interval": 0}, {"monitoring_interval": 5}, {"MonitoringInterval": 0}, "stop monitoring"),
        (
            {"log_exports": ["postgresql"]},
            {},
            {"CloudwatchLogsExportConfiguration": {"DisableLogTypes": ["upgrade"]}},
            "stop log exports",
        ),
    ],
)
def test_what_is_turned_off_is_listed_apart(
    wanted: dict[str, Any], found: dict[str, Any], parameters: dict[str, Any], action: str
) -> None:
    (change,) = changes(replica(**found), spec_of(replica=wanted))
    assert asked(change) == parameters
    assert (change.action, change.takes) == (action, "revoke")


def test_what_the_spec_does_not_name_is_left_as_it_is() -> None:
    by_hand = replica(
        instance_class="db.r6g.16xlarge",
        certificate_authority="rds-ca-ecc384-g1",
        iam_authentication=True,
        monitoring_interval=5,
        monitoring_role=ROLE,
        performance_insights=True,
        log_exports=("iam-db-auth-error", "postgresql", "upgrade"),
        tags={**OUR_TAGS, "cost-centre": "42"},
        parameter_groups={"theirs": "pending-reboot"},
    )
    assert not changes(by_hand, spec_of())


def test_iam_stays_on_while_a_user_logs_in_by_it() -> None:
    spec = spec_of(replica={"iam_authentication": False}, users={"bi": {"auth": "iam"}})
    assert not changes(replica(iam_authentication=True), spec)


def test_tags_are_added_and_corrected_and_others_stay() -> None:
    landscape = replica(tags={"replica-access": "analytics", "team": "sales", "cost-centre": "42"})
    (change,) = changes(landscape, spec_of(replica={"tags": {"team": "data"}}))
    assert change.call is not None
    assert change.call.operation == "AddTagsToResource"
    assert change.call.parameters == {
        "ResourceName": "arn:aws:rds:ap-southeast-2:123456789012:db:analytics",
        "Tags": [{"Key": "team", "Value": "data"}, {"Key": "managed-by", "Value": "replica-access"}],
    }
    assert change.summary == "analytics: tag team 'sales' -> 'data', managed-by 'replica-access'"


# --- on its way ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "pending"),
    [
        ({"class": "db.r6g.xlarge"}, {"DBInstanceClass": "db.r6g.xlarge"}),
        ({"ca_certificate": "rds-ca-ecc384-g1"}, {"CACertificateIdentifier": "rds-ca-ecc384-g1"}),
        ({"iam_authentication": True}, {"IAMDatabaseAuthenticationEnabled": True}),
        (
            {"log_exports": ["postgresql", "upgrade", "iam-db-auth-error"]},
            {"PendingCloudwatchLogsExports": {"LogTypesToEnable": ["iam-db-auth-error"]}},
        ),
    ],
)
def test_what_rds_works_on_is_waited_for_and_what_waits_is_asked_for_again(
    wanted: dict[str, Any], pending: dict[str, Any]
) -> None:
    spec = spec_of(replica=wanted)
    (wait,) = changes(replica(status="modifying", pending=pending), spec)
    assert wait.action == "wait for replica"
    (change,) = changes(replica(status="available", pending=pending), spec)
    assert asked(change)


def test_another_value_on_its_way_is_waited_for_and_then_corrected() -> None:
    landscape = replica(status="modifying", pending={"DBInstanceClass": "db.r6g.16xlarge"})
    wait, change = changes(landscape, spec_of(replica={"class": "db.r6g.xlarge"}))
    assert wait.action == "wait for replica"
    assert "class db.r6g.16xlarge -> db.r6g.xlarge" in change.summary


def test_what_somebody_left_for_the_maintenance_window_is_said_to_be_applied_with_it() -> None:
    landscape = replica(deletion_protection=False, pending={"AllocatedStorage": 200})
    (change,) = changes(landscape, spec_of())
    assert change.summary.endswith("; what waits for its maintenance window (AllocatedStorage) is applied with it")
    assert not changes(replica(pending={"AllocatedStorage": 200}), spec_of())


# --- new -------------------------------------------------------------------------------------------------------------


def test_a_new_replica_has_all_of_it_from_the_beginning() -> None:
    spec = spec_of(
        replica={
            "ca_certificate": "rds-ca-ecc384-g1",
            "log_exports": ["postgresql"],
            "monitoring_interval": 30,
            "monitoring_role": ROLE,
            "performance_insights": True,
        }
    )
    *_, creation = changes(EMPTY, spec)
    assert creation.call is not None
    assert {
        "CACertificateIdentifier": "rds-ca-ecc384-g1",
        "EnableCloudwatchLogsExports": ["postgresql"],
        "MonitoringInterval": 30,
        "MonitoringRoleArn": ROLE,
        "EnablePerformanceInsights": True,
    }.items() <= creation.call.parameters.items()


# --- refused before anything is made ---------------------------------------------------------------------------------


def test_a_certificate_authority_that_is_not_offered_stops_it() -> None:
    spec = spec_of(replica={"ca_certificate": "rds-ca-2019"})
    found = plan(EMPTY, spec, date(2027, 1, 31))
    assert not found.changes
    problem = problems(EMPTY, spec)["certificate authority"]
    assert "rds-ca-2019 is no certificate authority for PostgreSQL 17.4" in problem.detail
    assert "rds-ca-rsa2048-g1, rds-ca-ecc384-g1" in problem.fix


def test_a_certificate_authority_that_could_not_be_looked_up_is_no_pass() -> None:
    spec, landscape = spec_of(replica={"ca_certificate": "rds-ca-ecc384-g1"}), replace(EMPTY, engine=DENIED)
    (blocked,) = plan(landscape, spec, date(2027, 1, 31)).blocked
    assert blocked.fix == DENIED.fix

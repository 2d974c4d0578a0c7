"""What the account may have and RDS offers, what may be tried before it is done, and what costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from replica_access.aws.landscape import Landscape, NotChecked, Offer, Quota
from replica_access.aws.plan import plan
from replica_access.aws.preflight import checks
from replica_access.aws.preflight_plan import Verdict, cost, permissions, triable
from replica_access.errors import AccessDenied
from replica_access.model import Check, Plan

from .aws_landscapes import COMPLETE, EMPTY, OUR_GROUP, PRIMARY, ZONES, primary, problems, replica, spec_of

TODAY = date(2026, 11, 23)
OFFER = Offer("db.r6g.large", frozenset(ZONES), "gp3")


def found(landscape: Landscape, name: str, **changes: Any) -> Check:
    (check,) = [check for check in checks(landscape, spec_of(**changes)) if check.name == name]
    return check


@pytest.mark.parametrize(
    ("quotas", "words"),
    [
        ({"DBInstances": Quota(40, 40)}, "40 of 40 DB instances are in use"),
        ({"DBInstances": Quota(39, 40), "AllocatedStorage": Quota(950, 1000)}, "950 of 1,000 GiB of storage"),
        ({"DBInstances": Quota(39, 40), "AllocatedStorage": Quota(900, 1000)}, None),
    ],
)
def test_quotas_must_have_room_for_one_more(quotas: Mapping[str, Quota], words: str | None) -> None:
    checked = problems(replace(EMPTY, quotas=quotas))
    assert (words is None) == (not checked)
    if words is not None:
        assert words in checked["quotas"].detail
        assert "Service Quotas" in checked["quotas"].fix


def test_the_quota_of_replicas_is_the_accounts() -> None:
    quotas = {"ReadReplicasPerMaster": Quota(15, 16), "DBInstances": Quota(1, 40)}
    sixteen = replace(primary(replicas=tuple(f"r{n}" for n in range(15))), quotas=quotas)
    assert not problems(sixteen)


def test_quotas_that_rds_does_not_name_are_not_taken_for_enough() -> None:
    assert found(replace(EMPTY, quotas={"DBClusters": Quota(0, 40)}), "quotas").outcome == "not checked"


def test_quotas_do_not_matter_to_a_replica_that_exists() -> None:
    assert not problems(replace(COMPLETE, quotas={"DBInstances": Quota(40, 40)}))


@pytest.mark.parametrize(
    ("offers", "name", "words"),
    [
        ((), "instance class", "db.r6g.large for a replica with PostgreSQL 17.4 is not offered in ap-southeast-2"),
        ((replace(OFFER, for_replicas=False),), "instance class", "is not offered in ap-southeast-2"),
        ((replace(OFFER, zones=frozenset({"ap-southeast-2c"})),), "instance class", "the zones of public"),
        ((replace(OFFER, storage_type="io1"),), "storage", "prod has gp3, and db.r6g.large takes io1 only"),
        ((replace(OFFER, iam_authentication=False),), "IAM authentication", "not offered with IAM logins"),
    ],
)
def test_a_class_that_rds_does_not_offer(offers: tuple[Offer, ...], name: str, words: str) -> None:
    check = found(replace(EMPTY, offers=offers), name, replica={"iam_authentication": True})
    assert check.outcome == "problem"
    assert words in check.detail
    assert "aws rds describe-orderable-db-instance-options --engine postgres --engine-version 17.4" in check.fix


def test_one_zone_of_the_group_is_enough_for_a_class() -> None:
    check = found(replace(EMPTY, offers=(replace(OFFER, zones=frozenset(ZONES[:1])),)), "instance class")
    assert (check.outcome, check.detail.endswith("is offered in ap-southeast-2a")) == ("ok", True)


@pytest.mark.parametrize(
    ("wanted", "smaller"),
    [("db.r6g.large", False), ("db.r7g.xlarge", False), ("db.t4g.medium", True), ("db.t4g.large", False)],
)
def test_a_smaller_class_than_the_source_is_a_note(wanted: str, smaller: bool) -> None:
    landscape = replace(EMPTY, offers=(replace(OFFER, instance_class=wanted),))
    names = {check.name for check in checks(landscape, spec_of(replica={"class": wanted}))}
    assert ("instance size" in names) == smaller


def test_sizes_are_numbers_and_not_words() -> None:
    landscape = replace(
        primary(instance_class="db.r6g.12xlarge"), offers=(replace(OFFER, instance_class="db.r6g.2xlarge"),)
    )
    assert found(landscape, "instance size", replica={"class": "db.r6g.2xlarge"}).outcome == "note"


def test_a_full_primary_is_not_waited_for() -> None:
    check = problems(primary(status="storage-full"))["status"]
    assert "--allocated-storage GIB" in check.fix


def test_backups_are_mended_and_the_pause_is_explained_before() -> None:
    (change,) = problems(primary(backup_days=0))["backups"].mend
    assert "I/O of a Single-AZ instance stops" in change.summary
    assert change.call is not None
    assert change.call.parameters == {
        "DBInstanceIdentifier": "prod",
        "BackupRetentionPeriod": 7,
        "ApplyImmediately": True,
    }


# --- what the plan needs and costs -----------------------------------------------------------------------------------


def planned(landscape: Landscape = EMPTY) -> Plan:
    return plan(landscape, spec_of(), TODAY)


def test_only_what_waits_for_nothing_is_tried() -> None:
    assert [call.operation for call in triable(planned())] == ["CreateSecurityGroup"]
    group = replace(OUR_GROUP, ingress=())
    calls = triable(planned(replace(EMPTY, security_groups=(group,))))
    assert [call.operation for call in calls] == ["AuthorizeSecurityGroupIngress"]  # for two addresses, once
    assert not triable(planned(COMPLETE))


def verdicts(**of: Verdict) -> dict[str, Check]:
    return {check.name: check for check in permissions(planned(), of)}


def test_what_cannot_be_tried_is_one_note() -> None:
    checked = verdicts(CreateSecurityGroup=None)
    assert {name: check.outcome for name, check in checked.items()} == {
        "permissions": "ok",
        "untried permissions": "note",
    }
    assert "ec2:CreateSecurityGroup" in checked["permissions"].detail
    told = checked["untried permissions"].detail
    for permission in (
        "rds:CreateDBInstanceReadReplica", "rds:AddTagsToResource", "ec2:AuthorizeSecurityGroupIngress",
    ):  # fmt: skip
        assert permission in told
    assert "CreateSecurityGroup," not in told


def test_a_dry_run_that_is_denied_is_a_problem_and_one_that_fails_is_not_checked() -> None:
    denied = verdicts(CreateSecurityGroup=AccessDenied("AWS denied it.", "Ask for ec2:CreateSecurityGroup."))
    assert denied["permissions"] == Check(
        "permissions", "problem", "AWS denied it.", "Ask for ec2:CreateSecurityGroup."
    )
    failed = verdicts(CreateSecurityGroup=NotChecked("AWS is unwell.", "Again."))
    assert failed["permissions"].outcome == "not checked"


def test_a_plan_without_changes_needs_no_permission_and_costs_nothing() -> None:
    done = planned(COMPLETE)
    assert not list(permissions(done, {}))
    assert not list(cost(done, PRIMARY))


def test_what_drives_the_cost_is_named_without_prices() -> None:
    (check,) = cost(planned(), PRIMARY)
    assert check.outcome == "note"
    for words in ("db.r6g.large", "100 GiB of gp3", "public IPv4 address", "logs in CloudWatch (postgresql, upgrade)"):
        assert words in check.detail
    assert "$" not in check.detail
    private = plan(EMPTY, spec_of(replica={"publicly_accessible": False}), TODAY)
    assert "IPv4" not in next(cost(private, PRIMARY)).detail


def test_a_replica_that_is_there_is_not_priced_again() -> None:
    assert not list(cost(planned(replica(publicly_accessible=False)), PRIMARY))

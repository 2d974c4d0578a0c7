"""What goes, what stays and what stops it: pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from replica_access.aws.belongings import Belongings, Tagged
from replica_access.aws.landscape import Instance
from replica_access.aws.plan_removal import checks, plan
from replica_access.model import Plan
from tests.unit.aws_landscapes import DENIED, OUR_GROUP, OUR_TAGS, PRIMARY, REPLICA

NAME = "replica-access-analytics"
THEIRS = {"team": "data"}
SUBNETS = Tagged(NAME, "arn:aws:rds:r:1:subgrp:x", OUR_TAGS)
PARAMETERS = Tagged(NAME, "arn:aws:rds:r:1:pg:x", OUR_TAGS)
SECRET = Tagged("replica-access/bi", "arn:aws:secretsmanager:r:1:secret:x", OUR_TAGS)

EVERYTHING = Belongings(
    region="ap-southeast-2",
    account="123456789012",
    name="analytics",
    instances=(PRIMARY, REPLICA),
    security_groups=(OUR_GROUP,),
    subnet_groups=(SUBNETS,),
    parameter_groups=(PARAMETERS,),
    secrets=(SECRET,),
)
NOTHING = Belongings("ap-southeast-2", "123456789012", "analytics", (PRIMARY,), (), (), (), ())


def with_replica(**changes: Any) -> Belongings:
    return replace(EVERYTHING, instances=(PRIMARY, replace(REPLICA, **changes)))


def with_other(**changes: Any) -> Belongings:
    other: Instance = replace(PRIMARY, identifier="other", **changes)
    return replace(EVERYTHING, instances=(PRIMARY, REPLICA, other))


def calls(found: Plan) -> list[str]:
    return [change.call.operation for change in found.changes if change.call is not None]


def test_everything_goes_in_the_order_of_dependence() -> None:
    found = plan(EVERYTHING, None)
    assert calls(found) == [
        "ModifyDBInstance",
        "DeleteDBInstance",
        "DeleteSecurityGroup",
        "DeleteDBSubnetGroup",
        "DeleteDBParameterGroup",
        "DeleteSecret",
    ]
    assert {change.takes for change in found.changes} == {"drop"}
    assert found.blocked == ()
    assert len({change.id for change in found.changes}) == len(found.changes)


def test_a_replica_has_no_final_snapshot() -> None:
    call = plan(EVERYTHING, None).changes[1].call
    assert call is not None
    assert call.parameters == {"DBInstanceIdentifier": "analytics", "SkipFinalSnapshot": True}


def test_nothing_left_is_nothing_to_do() -> None:
    assert plan(NOTHING, None) == Plan()


def test_what_is_not_protected_is_not_changed_first() -> None:
    assert calls(plan(with_replica(deletion_protection=False), None))[0] == "DeleteDBInstance"


@pytest.mark.parametrize("status", ["creating", "failed", "incompatible-network", "stopped", "available", "rebooting"])
def test_a_replica_goes_whatever_its_status(status: str) -> None:
    assert "DeleteDBInstance" in calls(plan(with_replica(status=status), None))


@pytest.mark.parametrize("source", ["prod", None])
@pytest.mark.parametrize("status", ["delete-precheck", "deleting"])
def test_a_replica_on_its_way_out_is_only_waited_for(status: str, source: str | None) -> None:
    found = plan(with_replica(status=status, source=source, replicas=("below",)), None)
    assert found.blocked == ()
    assert calls(found)[0] == "DeleteDBInstance"
    assert found.changes[0].summary == "wait until analytics is gone: it is being deleted already"


def test_a_replica_whose_source_is_gone_goes_as_well() -> None:
    found = plan(replace(EVERYTHING, instances=(replace(REPLICA, replication=("terminated",)),)), None)
    assert "DeleteDBInstance" in calls(found)


def test_a_promoted_instance_stops_everything() -> None:
    found = plan(with_replica(source=None, deletion_protection=False), "prod")
    assert found.changes == ()
    (blocked,) = found.blocked
    assert not blocked.optional
    assert "was promoted" in blocked.reason
    assert blocked.fix.endswith(
        "aws rds delete-db-instance --final-db-snapshot-identifier analytics-last "
        "--db-instance-identifier analytics --region ap-southeast-2 --profile prod"
    )
    assert "--no-deletion-protection" not in blocked.fix


def test_a_promoted_instance_that_is_protected_is_unprotected_first() -> None:
    (blocked,) = plan(with_replica(source=None, deletion_protection=True), None).blocked
    unprotect, delete = blocked.fix.splitlines()[1:]
    assert unprotect == (
        "aws rds modify-db-instance --db-instance-identifier analytics --no-deletion-protection "
        "--apply-immediately --region ap-southeast-2"
    )
    assert delete.startswith("aws rds delete-db-instance --final-db-snapshot-identifier analytics-last")


def test_replicas_of_the_replica_stop_everything() -> None:
    found = plan(with_replica(replicas=("below", "lower")), None)
    assert found.changes == ()
    assert "below, lower" in found.blocked[0].reason


# --- not ours --------------------------------------------------------------------------------------------------------


def test_without_our_tag_nothing_goes_and_all_is_named() -> None:
    found = plan(
        Belongings(
            region="ap-southeast-2",
            account="123456789012",
            name="analytics",
            instances=(PRIMARY, replace(REPLICA, tags=THEIRS)),
            security_groups=(replace(OUR_GROUP, tags=THEIRS),),
            subnet_groups=(replace(SUBNETS, tags=THEIRS),),
            parameter_groups=(replace(PARAMETERS, tags={}),),
            secrets=(replace(SECRET, tags={"managed-by": "replica-access", "replica-access": "another"}),),
        ),
        None,
    )
    assert (found.changes, found.blocked) == ((), ())
    assert [pending.kind for pending in found.pending] == [
        "instance",
        "security group",
        "subnet group",
        "parameter group",
        "secret",
    ]
    assert found.pending[-1].reason == "belongs to another"


def test_a_group_of_another_replica_whose_name_begins_the_same_is_not_even_named() -> None:
    others = replace(PARAMETERS, name=f"{NAME}-eu", tags={**OUR_TAGS, "replica-access": "analytics-eu"})
    found = plan(replace(NOTHING, parameter_groups=(others,)), None)
    assert found == Plan()


def test_every_group_with_our_tag_goes() -> None:
    second = replace(PARAMETERS, name=f"{NAME}-postgres18")
    found = plan(replace(NOTHING, parameter_groups=(PARAMETERS, second)), None)
    assert [change.object for change in found.changes] == [NAME, f"{NAME}-postgres18"]


# --- in use ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("use", "kept"),
    [
        ({"security_groups": {"sg-ours": "active"}}, "security group sg-ours"),
        ({"subnet_group": NAME}, f"subnet group {NAME}"),
        ({"parameter_groups": {NAME: "in-sync"}}, f"parameter group {NAME}"),
    ],
)
def test_what_another_instance_uses_stays_and_keeps_nothing_else(use: dict[str, Any], kept: str) -> None:
    found = plan(with_other(**use), None)
    assert [(blocked.object, blocked.optional) for blocked in found.blocked] == [(kept, True)]
    assert "in use by other" in found.blocked[0].reason
    assert ("--db-subnet-group-name" in found.blocked[0].fix) is False  # RDS moves no instance within its VPC
    assert len(found.changes) == len(plan(EVERYTHING, None).changes) - 1
    assert kept not in {f"{change.action.removeprefix('delete ')} {change.object}" for change in found.changes}


def test_what_the_foreign_instance_of_our_name_uses_stays() -> None:
    found = plan(with_replica(tags=THEIRS), None)
    assert "DeleteDBInstance" not in calls(found)
    assert [blocked.object for blocked in found.blocked] == ["security group sg-ours"]


def test_an_instance_that_is_going_holds_nothing_for_long() -> None:
    assert plan(with_other(status="deleting", security_groups={"sg-ours": "active"}), None).blocked == ()


# --- what could not be looked at -------------------------------------------------------------------------------------


def test_what_could_not_be_looked_at_is_no_empty_answer() -> None:
    found = replace(EVERYTHING, security_groups=DENIED, secrets=DENIED)
    account, *unseen = checks(found)
    assert (account.outcome, account.detail) == ("ok", "123456789012 in ap-southeast-2")
    assert [(check.name, check.outcome, check.fix) for check in unseen] == [
        ("security groups", "not checked", DENIED.fix),
        ("secrets", "not checked", DENIED.fix),
    ]
    assert calls(plan(found, None)) == [
        "ModifyDBInstance",
        "DeleteDBInstance",
        "DeleteDBSubnetGroup",
        "DeleteDBParameterGroup",
    ]

"""Where a public replica lands: in the primary's subnet group, in one of our own, or nowhere, and why."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from replica_access.aws.landscape import Landscape, PublicAccess, SubnetGroup
from replica_access.aws.plan import plan
from replica_access.aws.preflight import checks
from replica_access.model import Change, Check, Plan
from replica_access.spec import Spec

from .aws_landscapes import (
    DENIED,
    EMPTY,
    MAIN_TABLE,
    MIXED,
    OUR_TAGS,
    PRIMARY,
    PRIVATE,
    PUBLIC,
    REPLICA,
    VPC,
    primary,
    problems,
    replica,
    spec_of,
)

TODAY = date(2027, 1, 31)
OURS = "replica-access-analytics"
ARN = "arn:aws:rds:ap-southeast-2:123456789012:subgrp:replica-access-analytics"
PRIVATE_PRIMARY = replace(
    primary(subnet_group="private", subnets=PRIVATE.subnets, publicly_accessible=False), subnet_groups=(PRIVATE, PUBLIC)
)
"""A private primary, whose VPC has two public subnets, and a group of them that is somebody else's."""


def planned(landscape: Landscape, spec: Spec | None = None) -> Plan:
    return plan(landscape, spec or spec_of(), TODAY)


def of_group(found: Plan) -> list[Change]:
    return [change for change in found.changes if "subnet group" in change.action]


def parameters(change: Change) -> dict[str, Any]:
    assert change.call is not None
    return dict(change.call.parameters)


def creation(found: Plan) -> dict[str, Any]:
    (change,) = [change for change in found.changes if change.action == "create replica"]
    return parameters(change)


def with_ours(*subnets: str, **changes: Any) -> Landscape:
    group = SubnetGroup(OURS, VPC, subnets, ARN, changes.pop("tags", OUR_TAGS))
    return replace(PRIVATE_PRIMARY, subnet_groups=(PRIVATE, PUBLIC, group), **changes)


def check(landscape: Landscape, name: str, spec: Spec | None = None) -> Check:
    (found,) = [each for each in checks(landscape, spec or spec_of()) if each.name == name]
    return found


def with_subnet(number: int, **changes: Any) -> Landscape:
    assert isinstance(PRIVATE_PRIMARY.subnets, tuple)
    subnets = tuple(
        replace(each, **changes) if each.id == f"subnet-{number}" else each for each in PRIVATE_PRIMARY.subnets
    )
    return replace(PRIVATE_PRIMARY, subnets=subnets)


# --- which group -----------------------------------------------------------------------------------------------------


def test_a_primary_in_public_subnets_needs_no_other_group() -> None:
    found = planned(EMPTY)
    assert not of_group(found)
    assert "DBSubnetGroupName" not in creation(found)
    assert creation(found)["SourceDBInstanceIdentifier"] == "prod"


@pytest.mark.parametrize(
    "landscape",
    [PRIVATE_PRIMARY, replace(primary(subnet_group="mixed", subnets=MIXED.subnets), subnet_groups=(MIXED, PUBLIC))],
    ids=["private", "mixed"],
)
def test_a_primary_that_is_not_all_public_gets_a_group_beside_it(landscape: Landscape) -> None:
    found = planned(landscape)
    (change,) = of_group(found)
    assert change.call is not None
    assert (change.call.service, change.call.operation, change.takes) == ("rds", "CreateDBSubnetGroup", "")
    assert parameters(change) == {
        "DBSubnetGroupName": OURS,
        "DBSubnetGroupDescription": "Public subnets for the read replica analytics",
        "SubnetIds": ["subnet-1", "subnet-2"],
        "Tags": [{"Key": key, "Value": value} for key, value in OUR_TAGS.items()],
    }
    assert "of the public subnets subnet-1 (ap-southeast-2a), subnet-2 (ap-southeast-2b)" in change.summary
    assert "subnet-4 (main route table rtb-main) sends 0.0.0.0/0 to nat-1" in change.summary
    made = creation(found)
    assert (made["DBSubnetGroupName"], made["SourceDBInstanceIdentifier"]) == (OURS, PRIMARY.arn)
    assert found.changes.index(change) < [each.action for each in found.changes].index("create replica")
    assert not problems(landscape)


def test_a_replica_that_is_not_public_stays_with_the_primary() -> None:
    found = planned(PRIVATE_PRIMARY, spec_of(replica={"publicly_accessible": False}))
    assert not of_group(found)
    assert "DBSubnetGroupName" not in creation(found)


@pytest.mark.parametrize("name", ["same", "private"])
def test_the_spec_may_want_the_primarys_all_the_same(name: str) -> None:
    spec = spec_of(replica={"subnet_group": name})
    assert not of_group(planned(PRIVATE_PRIMARY, spec))
    found = problems(PRIVATE_PRIMARY, spec)
    assert set(found) == {"routes"}
    assert 'Write subnet_group = "auto"' in found["routes"].fix


def test_the_spec_may_name_a_group_of_somebody_else() -> None:
    found = planned(PRIVATE_PRIMARY, spec_of(replica={"subnet_group": "public"}))
    assert not of_group(found)
    assert creation(found)["DBSubnetGroupName"] == "public"


def test_where_groups_may_not_be_seen_ours_is_made_or_taken() -> None:
    landscape = replace(PRIVATE_PRIMARY, subnet_groups=DENIED)
    assert [change.action for change in of_group(planned(landscape))] == ["create subnet group"]


def test_where_subnets_may_not_be_seen_nothing_is_begun_and_the_permission_is_named() -> None:
    landscape = replace(PRIVATE_PRIMARY, subnets=DENIED)
    (blocked,) = planned(landscape).blocked
    assert "other subnets cannot be seen" in blocked.reason
    assert blocked.fix == DENIED.fix


# --- which subnets ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("landscape", "words"),
    [
        (with_subnet(2, free_addresses=0), "subnet-2 has no address left"),
        (with_subnet(2, zone="ap-southeast-2-akl-1a"), "subnet-2 is in ap-southeast-2-akl-1a, which is no zone"),
        (with_subnet(2, oddity="is on an Outpost"), "subnet-2 is on an Outpost"),
        (
            with_subnet(2, zone="ap-southeast-2a"),
            "only subnet-1 (ap-southeast-2a), subnet-2 (ap-southeast-2a) of vpc-1",
        ),
        (
            replace(with_subnet(1, public_access="off"), public_access=PublicAccess("block-ingress")),
            "subnet-2 is closed by VPC Block Public Access (block-ingress)",
        ),
        (replace(PRIVATE_PRIMARY, route_tables=(MAIN_TABLE,)), "no subnet of vpc-1 is: subnet-1 (main route table"),
    ],
)
def test_too_few_public_subnets_block_with_what_each_lacks(landscape: Landscape, words: str) -> None:
    found = planned(landscape)
    assert not found.changes
    (blocked,) = found.blocked
    assert words in blocked.reason
    assert "subnet-3 (main route table rtb-main) sends 0.0.0.0/0 to nat-1, which lets nobody in" in blocked.reason
    command = "aws ec2 create-route --route-table-id RTB-ID --destination-cidr-block 0.0.0.0/0 --gateway-id igw-1"
    assert command in blocked.fix
    assert problems(landscape)["subnet group"].fix == blocked.fix


def test_every_zone_has_its_turn_and_no_group_is_larger_than_rds_takes() -> None:
    assert isinstance(EMPTY.subnets, tuple)
    many = tuple(replace(EMPTY.subnets[0], id=f"subnet-a{n:02}") for n in range(30))
    table = replace(MAIN_TABLE, routes=(replace(MAIN_TABLE.routes[-1], target="igw-1"),))
    private = replace(MAIN_TABLE, id="rtb-3", main=False, subnets=PRIVATE.subnets)
    landscape = replace(PRIVATE_PRIMARY, subnets=(*many, *EMPTY.subnets), route_tables=(table, private))
    (change,) = of_group(planned(landscape))
    subnets = parameters(change)["SubnetIds"]
    assert len(subnets) == 20
    assert subnets[:2] == ["subnet-1", "subnet-2"]


# --- ours, when it is there ------------------------------------------------------------------------------------------


def test_a_group_that_a_run_has_made_is_gone_on_with() -> None:
    landscape = with_ours("subnet-1", "subnet-2")
    found = planned(landscape)
    assert not of_group(found)
    assert creation(found)["DBSubnetGroupName"] == OURS
    assert "which is ours" in check(landscape, "subnet group").detail


def test_ours_with_subnets_that_became_private_gets_others() -> None:
    landscape = with_ours("subnet-1", "subnet-3")
    (change,) = of_group(planned(landscape))
    assert change.call is not None
    assert change.call.operation == "ModifyDBSubnetGroup"
    assert parameters(change) == {"DBSubnetGroupName": OURS, "SubnetIds": ["subnet-1", "subnet-2"]}
    assert "instead: subnet-3 (main route table rtb-main) sends 0.0.0.0/0 to nat-1" in change.summary
    assert not problems(landscape)


def test_a_subnet_of_ours_that_is_gone_is_replaced() -> None:
    (change,) = of_group(planned(with_ours("subnet-1", "subnet-9")))
    assert "subnet-9 does not exist any more" in change.summary


def test_ours_that_nothing_mends_blocks() -> None:
    found = planned(replace(with_ours("subnet-1", "subnet-2"), route_tables=(MAIN_TABLE,)))
    assert not found.changes
    assert "no subnet of vpc-1 is" in found.blocked[0].reason


@pytest.mark.parametrize(("tags", "words"), [({}, "does not carry our tag"), (DENIED, "cannot be seen")])
def test_a_group_with_our_name_that_is_not_ours_blocks(tags: Any, words: str) -> None:
    landscape = with_ours("subnet-1", "subnet-2", tags=tags)
    found = planned(landscape)
    assert not found.changes
    (blocked,) = found.blocked
    assert words in blocked.reason
    expected = DENIED.fix if tags is DENIED else f"add-tags-to-resource --resource-name {ARN}"
    assert expected in blocked.fix
    assert problems(landscape)["subnet group"].fix == blocked.fix


def test_a_replica_in_a_group_whose_subnets_became_private_is_told_and_not_moved() -> None:
    landscape = replica(subnet_group=OURS, subnets=("subnet-1", "subnet-3"))
    assert "subnet-3" in problems(landscape)["routes"].detail
    assert "create-route" in problems(landscape)["routes"].fix
    assert not of_group(planned(landscape))


def test_a_replica_in_another_group_than_the_spec_wants_is_pending_with_what_to_do() -> None:
    (pending,) = planned(replica(), spec_of(replica={"subnet_group": "private"})).pending
    assert (pending.kind, pending.name) == ("subnet group", "analytics")
    assert "RDS moves no instance within its VPC: delete the replica" in pending.reason


# --- other replicas --------------------------------------------------------------------------------------------------


def test_replicas_of_one_source_are_in_one_vpc() -> None:
    here, there = replace(REPLICA, identifier="one"), replace(REPLICA, identifier="two", vpc="vpc-2")
    assert not problems(replace(EMPTY, siblings=(here,)))
    found = problems(replace(EMPTY, siblings=(here, there)))
    assert set(found) == {"other replicas"}
    assert "two (vpc-2): RDS wants all replicas of prod in one VPC, and this one goes to vpc-1" in (
        found["other replicas"].detail
    )
    assert check(replace(EMPTY, siblings=DENIED), "other replicas").outcome == "not checked"

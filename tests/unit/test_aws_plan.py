"""What is planned for what is there: calls as data, nothing twice, nothing that is not ours."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from replica_access.aws.landscape import Landscape
from replica_access.aws.plan import plan
from replica_access.aws.rules import SecurityGroup
from replica_access.model import Call, Change, Plan
from replica_access.spec import Spec

from .aws_landscapes import (
    COMPLETE,
    DENIED,
    EMPTY,
    MAIN_TABLE,
    MIXED,
    OUR_GROUP,
    OUR_TAGS,
    PRIMARY,
    PRIVATE,
    PUBLIC,
    VPC,
    primary,
    replica,
    spec_of,
)

TODAY = date(2027, 1, 31)


def planned(landscape: Landscape, spec: Spec | None = None) -> Plan:
    return plan(landscape, spec or spec_of(), TODAY)


def call_of(change: Change) -> Call:
    assert change.call is not None
    return change.call


def creation(landscape: Landscape, spec: Spec | None = None) -> dict[str, Any]:
    (change,) = (change for change in planned(landscape, spec).changes if change.action == "create replica")
    return dict(call_of(change).parameters)


def modification(landscape: Landscape, spec: Spec | None = None) -> dict[str, Any]:
    (change,) = planned(landscape, spec).changes
    assert call_of(change).operation == "ModifyDBInstance"
    return dict(call_of(change).parameters)


def test_from_nothing_everything_is_planned_in_order() -> None:
    changes = planned(EMPTY).changes
    assert [(change.action, change.object) for change in changes] == [
        ("create security group", "replica-access-analytics"),
        ("allow address", "203.0.113.7/32"),
        ("allow address", "2001:db8::/48"),
        ("create replica", "analytics"),
    ]
    assert {change.scope for change in changes} == {"aws"}
    assert not any(change.destructive for change in changes)
    assert len({change.id for change in changes}) == len(changes)


def test_when_all_is_there_nothing_is_planned() -> None:
    assert planned(COMPLETE) == Plan()


def test_without_a_replica_in_the_spec_nothing_is_planned() -> None:
    assert planned(EMPTY, spec_of(replica=None)) == Plan()


def test_the_group_is_made_with_our_tags_in_the_same_call() -> None:
    call = call_of(planned(EMPTY).changes[0])
    assert (call.service, call.operation) == ("ec2", "CreateSecurityGroup")
    (specification,) = call.parameters["TagSpecifications"]
    tags = {tag["Key"]: tag["Value"] for tag in specification["Tags"]}
    assert specification["ResourceType"] == "security-group"
    assert tags == {**OUR_TAGS, "Name": "replica-access-analytics"}
    assert call.parameters["VpcId"] == VPC


def test_a_rule_says_who_and_until_when() -> None:
    spec = spec_of(network={"allow": [{"cidr": "203.0.113.9/32", "note": "Zoë's café", "expires": "2027-01-31"}]})
    call = call_of(planned(EMPTY, spec).changes[1])
    (permission,) = call.parameters["IpPermissions"]
    assert permission == {
        "IpProtocol": "tcp",
        "FromPort": 5432,
        "ToPort": 5432,
        "IpRanges": [{"CidrIp": "203.0.113.9/32", "Description": "Zoe-s cafe, until 2027-01-31"}],
    }
    tags = {tag["Key"]: tag["Value"] for tag in call.parameters["TagSpecifications"][0]["Tags"]}
    assert tags == {**OUR_TAGS, "note": "Zoë's café", "expires": "2027-01-31"}
    assert call.parameters["GroupId"] == "${security_group}"


def test_ipv6_goes_where_ec2_wants_it() -> None:
    (permission,) = call_of(planned(EMPTY).changes[2]).parameters["IpPermissions"]
    assert permission["Ipv6Ranges"] == [{"CidrIpv6": "2001:db8::/48", "Description": "VPN"}]
    assert "IpRanges" not in permission


def test_the_same_address_twice_is_one_rule() -> None:
    spec = spec_of(network={"allow": [{"cidr": "203.0.113.7/32"}, {"cidr": "203.0.113.7", "note": "again"}]})
    assert [change.object for change in planned(EMPTY, spec).changes].count("203.0.113.7/32") == 1


def test_an_address_is_allowed_until_its_last_day_is_over() -> None:
    def spec(day: str) -> Spec:
        return spec_of(network={"allow": [{"cidr": "203.0.113.9/32", "expires": day}]})

    assert "allow address" in [change.action for change in planned(EMPTY, spec("2027-01-31")).changes]
    expired = planned(EMPTY, spec("2027-01-30"))
    assert "allow address" not in [change.action for change in expired.changes]
    assert [(pending.kind, pending.name) for pending in expired.pending] == [("address", "203.0.113.9/32")]


def test_a_non_standard_port_is_the_port_of_the_rules() -> None:
    call = call_of(planned(primary(port=6432)).changes[1])
    assert call.parameters["IpPermissions"][0]["FromPort"] == 6432


# --- the replica -----------------------------------------------------------------------------------------------------


def test_the_replica_is_made_with_everything_explicit() -> None:
    spec = spec_of(replica={"tags": {"team": "data"}})
    assert creation(EMPTY, spec) == {
        "DBInstanceIdentifier": "analytics",
        "SourceDBInstanceIdentifier": "prod",
        "DBInstanceClass": "db.r6g.large",
        "PubliclyAccessible": True,
        "VpcSecurityGroupIds": ["${security_group}"],
        "EnableIAMDatabaseAuthentication": False,
        "DeletionProtection": True,
        "CopyTagsToSnapshot": True,
        "EnableCloudwatchLogsExports": ["postgresql", "upgrade"],
        "Tags": [
            {"Key": "team", "Value": "data"},
            {"Key": "replica-access", "Value": "analytics"},
            {"Key": "managed-by", "Value": "replica-access"},
        ],
    }


def test_the_spec_decides_class_exposure_and_protection() -> None:
    spec = spec_of(
        replica={"class": "db.t4g.medium", "publicly_accessible": False, "deletion_protection": False},
        users={"bi": {"auth": "iam"}},
    )
    parameters = creation(EMPTY, spec)
    assert parameters["DBInstanceClass"] == "db.t4g.medium"
    assert not parameters["PubliclyAccessible"]
    assert not parameters["DeletionProtection"]
    assert parameters["EnableIAMDatabaseAuthentication"]


def test_another_subnet_group_goes_with_the_arn_of_the_source_and_only_then() -> None:
    landscape = replace(primary(subnet_group="mixed", subnets=MIXED.subnets), subnet_groups=(MIXED, PUBLIC))
    parameters = creation(landscape, spec_of(replica={"subnet_group": "public"}))
    assert parameters["DBSubnetGroupName"] == "public"
    assert parameters["SourceDBInstanceIdentifier"] == PRIMARY.arn
    same = creation(landscape, spec_of(replica={"subnet_group": "same"}))
    assert "DBSubnetGroupName" not in same
    assert same["SourceDBInstanceIdentifier"] == "prod"


def test_groups_of_the_spec_are_attached_beside_ours_by_id_or_name() -> None:
    others = (SecurityGroup("sg-a", "office", VPC, {}, ()), SecurityGroup("sg-b", "vpn", VPC, {}, ()))
    spec = spec_of(network={"security_groups": ["sg-a", "vpn"]})
    landscape = replace(EMPTY, security_groups=others)
    assert creation(landscape, spec)["VpcSecurityGroupIds"] == ["${security_group}", "sg-a", "sg-b"]


def test_a_group_that_exists_is_gone_on_with() -> None:
    changes = planned(replace(EMPTY, security_groups=(OUR_GROUP,))).changes
    assert [change.action for change in changes] == ["create replica"]
    assert call_of(changes[0]).parameters["VpcSecurityGroupIds"] == ["sg-ours"]


def test_our_group_is_found_by_its_tag_whatever_its_name() -> None:
    other_name = replace(OUR_GROUP, id="sg-0", name="made-elsewhere")
    landscape = replace(replica(security_groups={"sg-0": "active"}), security_groups=(other_name,))
    assert planned(landscape) == Plan()
    twice = replace(COMPLETE, security_groups=(other_name, OUR_GROUP))
    assert planned(twice) == Plan()


def test_a_group_of_ours_in_another_vpc_is_not_taken() -> None:
    elsewhere = replace(OUR_GROUP, vpc="vpc-2")
    assert planned(replace(EMPTY, security_groups=(elsewhere,))).changes[0].action == "create security group"


@pytest.mark.parametrize("status", ["creating", "rebooting", "starting"])
def test_a_replica_that_is_not_there_yet_is_waited_for(status: str) -> None:
    landscape = replica(status=status, host=None, port=None)
    (change,) = planned(landscape).changes
    assert change.action == "wait for replica"
    assert call_of(change) == Call("rds", "DescribeDBInstances", {"DBInstanceIdentifier": "analytics"})


@pytest.mark.parametrize("status", ["backing-up", "storage-optimization", "configuring-log-exports"])
def test_a_replica_that_can_be_used_is_not_waited_for(status: str) -> None:
    assert planned(replica(status=status)) == Plan()


# --- drift -----------------------------------------------------------------------------------------------------------


def test_a_group_that_is_not_attached_is_attached_beside_what_somebody_else_attached() -> None:
    landscape = replica(security_groups={"sg-theirs": "active", "sg-gone": "removing"})
    attach, detach = planned(landscape).changes
    assert (attach.takes, detach.takes) == ("", "revoke")
    assert call_of(attach).parameters == {
        "DBInstanceIdentifier": "analytics",
        "VpcSecurityGroupIds": ["sg-theirs", "sg-ours"],
        "ApplyImmediately": True,
    }
    assert call_of(detach).parameters["VpcSecurityGroupIds"] == ["sg-ours"]
    assert "detach sg-theirs, which the spec does not name" in detach.summary


def test_all_drift_is_mended_by_one_call() -> None:
    landscape = replica(publicly_accessible=False, deletion_protection=False, security_groups={})
    parameters = modification(landscape, spec_of(replica={"iam_authentication": True}))
    assert parameters == {
        "DBInstanceIdentifier": "analytics",
        "VpcSecurityGroupIds": ["sg-ours"],
        "PubliclyAccessible": True,
        "DeletionProtection": True,
        "EnableIAMDatabaseAuthentication": True,
        "ApplyImmediately": True,
    }


def test_closing_a_replica_to_the_internet_is_a_change_of_its_own_that_takes_something_away() -> None:
    (change,) = planned(COMPLETE, spec_of(replica={"publicly_accessible": False})).changes
    assert change.destructive
    assert call_of(change).parameters["PubliclyAccessible"] is False


def test_a_new_group_is_attached_to_a_replica_that_exists() -> None:
    changes = planned(replace(COMPLETE, security_groups=())).changes
    assert changes[0].action == "create security group"
    assert call_of(changes[-2]).parameters["VpcSecurityGroupIds"] == ["sg-ours", "${security_group}"]
    assert call_of(changes[-1]).parameters["VpcSecurityGroupIds"] == ["${security_group}"]


# --- what is not done ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "landscape",
    [
        replica(tags={}),
        replica(source="elsewhere"),
        replica(source=None),
        replace(EMPTY, security_groups=(replace(OUR_GROUP, tags={}),)),
        replace(EMPTY, security_groups=DENIED),
        replace(primary(subnet_group="private", subnets=PRIVATE.subnets), route_tables=(MAIN_TABLE,)),
    ],
    ids=["no tag", "another source", "promoted", "group without tag", "groups denied", "no public subnets"],
)
def test_what_cannot_be_done_whole_is_not_begun(landscape: Landscape) -> None:
    found = planned(landscape)
    assert not found.changes
    assert found.blocked
    assert all(blocked.reason and blocked.fix for blocked in found.blocked)


def test_a_group_of_the_spec_that_is_missing_blocks() -> None:
    (blocked,) = planned(EMPTY, spec_of(network={"security_groups": ["sg-a"]})).blocked
    assert blocked.object == "sg-a"


def test_what_this_version_does_not_do_is_said() -> None:
    found = planned(COMPLETE, spec_of(replica={"subnet_group": "private"}))
    assert not found.changes
    assert [pending.kind for pending in found.pending] == ["subnet group"]

"""The parameter groups and subnet groups of the sandbox: what is refused of them, and what servers make of them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from tests.sandbox_fixtures import Sandbox, refusal


@pytest.fixture(scope="module")
def family(sandbox: Sandbox) -> str:
    version: str = sandbox.instance()["EngineVersion"]
    return f"postgres{version.partition('.')[0]}"


@pytest.fixture
def settings(sandbox: Sandbox, family: str) -> Iterator[str]:
    """A parameter group that nobody uses."""
    name = sandbox.name("Settings")
    made = sandbox.rds.create_db_parameter_group(
        DBParameterGroupName=name,
        DBParameterGroupFamily=family,
        Description="test",
        Tags=[{"Key": "team", "Value": "data"}],
    )["DBParameterGroup"]
    assert made["DBParameterGroupName"] == name.lower()
    yield name.lower()
    sandbox.rds.delete_db_parameter_group(DBParameterGroupName=name)


def change(sandbox: Sandbox, settings: str, name: str, value: str, method: str = "immediate") -> None:
    sandbox.rds.modify_db_parameter_group(
        DBParameterGroupName=settings,
        Parameters=[{"ParameterName": name, "ParameterValue": value, "ApplyMethod": method}],
    )


def parameters(sandbox: Sandbox, settings: str, **call: Any) -> dict[str, dict[str, Any]]:
    pages = sandbox.rds.get_paginator("describe_db_parameters").paginate(DBParameterGroupName=settings, **call)
    return {parameter["ParameterName"]: parameter for page in pages for parameter in page["Parameters"]}


# --- what is refused


def test_default_groups_and_missing_ones_cannot_be_changed(sandbox: Sandbox, family: str) -> None:
    default = f"default.{family}"
    assert refusal(lambda: change(sandbox, default, "hot_standby_feedback", "1"))[0] == "InvalidParameterValue"
    assert refusal(lambda: sandbox.rds.delete_db_parameter_group(DBParameterGroupName=default)) == (
        "InvalidParameterValue",
        f"The parameter group {default} is a default group and cannot be modified.",
    )
    nowhere = {"DBParameterGroupName": "nowhere"}
    for call in (
        lambda: change(sandbox, "nowhere", "hot_standby_feedback", "1"),
        partial(sandbox.rds.describe_db_parameters, **nowhere),
        partial(sandbox.rds.describe_db_parameter_groups, **nowhere),
        partial(sandbox.rds.delete_db_parameter_group, **nowhere),
        partial(sandbox.rds.reset_db_parameter_group, **nowhere, ResetAllParameters=True),
    ):
        assert refusal(call)[0] == "DBParameterGroupNotFound"
    create = partial(sandbox.rds.create_db_parameter_group, Description="test")
    assert refusal(partial(create, DBParameterGroupName="new", DBParameterGroupFamily="postgres8")) == (
        "InvalidParameterValue",
        "Invalid DB parameter group family: postgres8",
    )
    assert refusal(partial(create, DBParameterGroupName="a_b", DBParameterGroupFamily=family))[0] == (
        "InvalidParameterValue"
    )


def test_a_name_is_taken_in_whatever_case(sandbox: Sandbox, settings: str, family: str) -> None:
    again = partial(sandbox.rds.create_db_parameter_group, Description="test", DBParameterGroupFamily=family)
    assert refusal(partial(again, DBParameterGroupName=settings.upper()))[0] == "DBParameterGroupAlreadyExists"


# --- what servers make of it


def test_what_waits_for_a_reboot_waits_and_what_is_reset_is_as_before(
    sandbox: Sandbox, family: str, replica: str
) -> None:
    name = sandbox.name("own")
    sandbox.rds.create_db_parameter_group(
        DBParameterGroupName=name, DBParameterGroupFamily=family, Description="of a replica"
    )
    former = sandbox.instance(replica)["DBParameterGroups"][0]["DBParameterGroupName"]
    attach(sandbox, replica, name)
    change(sandbox, name, "statement_timeout", "60000")
    assert (setting(sandbox, replica, "statement_timeout"), status(sandbox, replica)) == ("1min", "in-sync")
    change(sandbox, name, "hot_standby_feedback", "1", "pending-reboot")
    assert (setting(sandbox, replica, "hot_standby_feedback"), status(sandbox, replica)) == ("off", "pending-reboot")
    change(sandbox, name, "statement_timeout", "120000")
    assert (setting(sandbox, replica, "statement_timeout"), status(sandbox, replica)) == ("2min", "pending-reboot")
    reboot(sandbox, replica)
    assert (setting(sandbox, replica, "hot_standby_feedback"), status(sandbox, replica)) == ("on", "in-sync")
    assert setting(sandbox, replica, "statement_timeout") == "2min"

    change(sandbox, name, "max_connections", "150", "pending-reboot")
    reboot(sandbox, replica)
    assert setting(sandbox, replica, "max_connections") == "150"
    sandbox.rds.reset_db_parameter_group(
        DBParameterGroupName=name,
        Parameters=[{"ParameterName": "statement_timeout", "ApplyMethod": "immediate"}],
    )
    assert (setting(sandbox, replica, "statement_timeout"), status(sandbox, replica)) == ("0", "in-sync")
    sandbox.rds.reset_db_parameter_group(DBParameterGroupName=name, ResetAllParameters=True)
    assert parameters(sandbox, name, Source="user") == {}
    assert setting(sandbox, replica, "hot_standby_feedback") == "off"
    assert (setting(sandbox, replica, "max_connections"), status(sandbox, replica)) == ("150", "pending-reboot")
    reboot(sandbox, replica)
    assert (setting(sandbox, replica, "max_connections"), status(sandbox, replica)) == ("100", "in-sync")

    sandbox.rds.modify_db_instance(DBInstanceIdentifier=replica, DBParameterGroupName=former)
    sandbox.settle(replica)
    sandbox.rds.delete_db_parameter_group(DBParameterGroupName=name)


def attach(sandbox: Sandbox, instance: str, settings: str) -> None:
    sandbox.rds.modify_db_instance(DBInstanceIdentifier=instance, DBParameterGroupName=settings)
    sandbox.settle(instance)
    reboot(sandbox, instance)


def reboot(sandbox: Sandbox, instance: str) -> None:
    sandbox.rds.reboot_db_instance(DBInstanceIdentifier=instance)
    sandbox.follow(instance)


def status(sandbox: Sandbox, instance: str) -> str:
    return str(sandbox.instance(instance)["DBParameterGroups"][0]["ParameterApplyStatus"])


def setting(sandbox: Sandbox, instance: str, name: str) -> str:
    with sandbox.connect(instance) as connection:
        row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
    assert row is not None
    return str(row[0])


# --- subnet groups


def test_a_subnet_group_in_use_keeps_its_vpc_and_the_zones_of_its_instances(sandbox: Sandbox) -> None:
    group = sandbox.instance()["DBSubnetGroup"]
    ours = {one["SubnetAvailabilityZone"]["Name"]: one["SubnetIdentifier"] for one in group["Subnets"]}
    modify = partial(sandbox.rds.modify_db_subnet_group, DBSubnetGroupName=group["DBSubnetGroupName"])
    zone = sandbox.ec2.create_subnet(VpcId=sandbox.vpc, CidrBlock="10.20.200.0/24", AvailabilityZone="ap-southeast-2c")[
        "Subnet"
    ]["SubnetId"]
    assert refusal(partial(modify, SubnetIds=[zone, ours["ap-southeast-2b"]]))[0] == "SubnetAlreadyInUse"
    sandbox.ec2.delete_subnet(SubnetId=zone)
    others = [
        subnet["SubnetId"] for subnet in sandbox.ec2.describe_subnets()["Subnets"] if subnet["VpcId"] != sandbox.vpc
    ]
    assert refusal(partial(modify, SubnetIds=others))[0] == "InvalidSubnet"
    again = modify(SubnetIds=list(ours.values()))["DBSubnetGroup"]
    assert again["DBSubnetGroupDescription"] == group["DBSubnetGroupDescription"]


def test_pages_have_a_least_and_a_greatest_size(sandbox: Sandbox, settings: str) -> None:
    assert refusal(lambda: sandbox.rds.describe_db_parameters(DBParameterGroupName=settings, MaxRecords=5)) == (
        "InvalidParameterValue",
        "Invalid value 5 for MaxRecords. Must be between 20 and 100",
    )


# --- tags


def test_groups_have_tags_that_come_and_go(sandbox: Sandbox, settings: str) -> None:
    subnets = [one["SubnetIdentifier"] for one in sandbox.instance()["DBSubnetGroup"]["Subnets"]]
    name = sandbox.name("subnets")
    made = sandbox.rds.create_db_subnet_group(
        DBSubnetGroupName=name, DBSubnetGroupDescription="test", SubnetIds=subnets,
        Tags=[{"Key": "team", "Value": "data"}],
    )["DBSubnetGroup"]  # fmt: skip
    [found] = sandbox.rds.describe_db_parameter_groups(DBParameterGroupName=settings)["DBParameterGroups"]
    for arn in (made["DBSubnetGroupArn"], found["DBParameterGroupArn"]):
        assert tags(sandbox, arn) == {"team": "data"}
        sandbox.rds.add_tags_to_resource(ResourceName=arn, Tags=[{"Key": "managed-by", "Value": "us"}])
        assert tags(sandbox, arn) == {"team": "data", "managed-by": "us"}
        sandbox.rds.remove_tags_from_resource(ResourceName=arn, TagKeys=["team"])
        assert tags(sandbox, arn) == {"managed-by": "us"}
    sandbox.rds.delete_db_subnet_group(DBSubnetGroupName=name)
    missing = {
        made["DBSubnetGroupArn"]: "DBSubnetGroupNotFoundFault",
        found["DBParameterGroupArn"].replace(settings, "nowhere"): "DBParameterGroupNotFound",
        sandbox.instance()["DBInstanceArn"].replace("prod-db", "nowhere"): "DBInstanceNotFound",
    }
    for arn, code in missing.items():
        assert refusal(partial(tags, sandbox, arn))[0] == code


def tags(sandbox: Sandbox, arn: str) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in sandbox.rds.list_tags_for_resource(ResourceName=arn)["TagList"]}

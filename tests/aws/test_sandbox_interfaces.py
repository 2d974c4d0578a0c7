"""The network interfaces and addresses that RDS keeps in the account, and VPC Block Public Access."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from tests.sandbox_fixtures import Sandbox, refusal

# --- network interfaces


def test_every_instance_has_an_interface_in_its_subnet(sandbox: Sandbox) -> None:
    primary = sandbox.instance()
    group = primary["VpcSecurityGroups"][0]["VpcSecurityGroupId"]
    [found] = sandbox.interfaces(group_id=group)
    assert found["Description"] == "RDSNetworkInterface"
    assert (found["RequesterManaged"], found["RequesterId"], found["Status"]) == (True, "amazon-rds", "in-use")
    assert found["Attachment"]["InstanceOwnerId"] == "amazon-rds"
    assert found["AvailabilityZone"] == primary["AvailabilityZone"]
    assert found["SubnetId"] in {subnet["SubnetIdentifier"] for subnet in primary["DBSubnetGroup"]["Subnets"]}
    assert [one["GroupId"] for one in found["Groups"]] == [group]
    assert "Association" not in found
    assert refusal(lambda: sandbox.ec2.delete_network_interface(NetworkInterfaceId=found["NetworkInterfaceId"])) == (
        "InvalidParameterValue",
        f"Network interface '{found['NetworkInterfaceId']}' is currently in use.",
    )
    assert refusal(lambda: sandbox.ec2.delete_subnet(SubnetId=found["SubnetId"]))[0] == "DependencyViolation"


def test_the_interface_outlives_the_instance_and_holds_its_security_group(sandbox: Sandbox) -> None:
    group = sandbox.make_group()
    name = sandbox.make_replica(VpcSecurityGroupIds=[group])
    [interface] = sandbox.interfaces(group_id=group)
    with sandbox.faults(linger=60):
        sandbox.rds.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)
        deadline = time.monotonic() + 30
        while name in sandbox.names():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert sandbox.interfaces(group_id=group) == [interface]
        assert refusal(lambda: sandbox.ec2.delete_security_group(GroupId=group)) == (
            "DependencyViolation",
            f"resource {group} has a dependent object",
        )
    sandbox.gone(name)
    assert sandbox.interfaces(group_id=group) == []
    sandbox.ec2.delete_security_group(GroupId=group)


def test_the_interface_follows_the_groups_and_the_public_flag(sandbox: Sandbox) -> None:
    first = sandbox.make_group()
    with sandbox.group() as second, sandbox.group() as third, sandbox.replica(VpcSecurityGroupIds=[first]) as name:
        [interface] = sandbox.interfaces(group_id=first)
        assert managed_addresses(sandbox, interface) == []

        sandbox.rds.modify_db_instance(DBInstanceIdentifier=name, VpcSecurityGroupIds=[second], PubliclyAccessible=True)
        sandbox.settle(name)
        assert sandbox.interfaces(group_id=first) == []
        [moved] = sandbox.interfaces(group_id=second)
        assert moved["NetworkInterfaceId"] == interface["NetworkInterfaceId"]
        [address] = managed_addresses(sandbox, interface)
        assert address["ServiceManaged"] == "rds"
        assert address["PublicIp"] == moved["Association"]["PublicIp"]
        assert moved["Association"]["IpOwnerId"] == "amazon-rds"
        sandbox.ec2.delete_security_group(GroupId=first)

        sandbox.rds.modify_db_instance(DBInstanceIdentifier=name, VpcSecurityGroupIds=[third], PubliclyAccessible=False)
        sandbox.settle(name)
        assert managed_addresses(sandbox, interface) == []


def managed_addresses(sandbox: Sandbox, interface: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = sandbox.ec2.describe_addresses(
        Filters=[{"Name": "network-interface-id", "Values": [interface["NetworkInterfaceId"]]}]
    )["Addresses"]
    return found


def test_a_zone_of_no_subnet_is_refused(sandbox: Sandbox) -> None:
    code, message = refusal(
        lambda: sandbox.rds.create_db_instance_read_replica(
            DBInstanceIdentifier="never", SourceDBInstanceIdentifier="prod-db", AvailabilityZone="ap-southeast-2c"
        )
    )
    assert code == "InvalidVPCNetworkStateFault"
    assert "no subnet in Availability Zone ap-southeast-2c" in message


# --- Block Public Access


def block(sandbox: Sandbox, mode: str) -> None:
    sandbox.ec2.modify_vpc_block_public_access_options(InternetGatewayBlockMode=mode)


@pytest.fixture
def blocked(sandbox: Sandbox) -> Iterator[None]:
    answer = sandbox.ec2.modify_vpc_block_public_access_options(InternetGatewayBlockMode="block-bidirectional")
    assert answer["VpcBlockPublicAccessOptions"]["State"] == "update-in-progress"
    yield
    block(sandbox, "off")


def modes(sandbox: Sandbox) -> dict[str, str]:
    """What is in force for each subnet of the sandbox's VPC."""
    subnets = sandbox.ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [sandbox.vpc]}])["Subnets"]
    return {subnet["SubnetId"]: subnet["BlockPublicAccessStates"]["InternetGatewayBlockMode"] for subnet in subnets}


@contextmanager
def excluded(sandbox: Sandbox, mode: str, **resource: str) -> Iterator[dict[str, Any]]:
    exclusion = sandbox.ec2.create_vpc_block_public_access_exclusion(InternetGatewayExclusionMode=mode, **resource)[
        "VpcBlockPublicAccessExclusion"
    ]
    yield exclusion
    gone = sandbox.ec2.delete_vpc_block_public_access_exclusion(ExclusionId=exclusion["ExclusionId"])
    assert gone["VpcBlockPublicAccessExclusion"]["State"] == "delete-in-progress"


def test_the_switch_shows_in_the_options_and_in_every_subnet(sandbox: Sandbox, blocked: None) -> None:
    options = sandbox.ec2.describe_vpc_block_public_access_options()["VpcBlockPublicAccessOptions"]
    assert (options["InternetGatewayBlockMode"], options["State"]) == ("block-bidirectional", "update-complete")
    assert set(modes(sandbox).values()) == {"block-bidirectional"}
    block(sandbox, "block-ingress")
    assert set(modes(sandbox).values()) == {"block-ingress"}
    block(sandbox, "off")
    assert set(modes(sandbox).values()) == {"off"}


def test_an_exclusion_opens_a_subnet_or_a_vpc(sandbox: Sandbox, blocked: None) -> None:
    subnet, *others = modes(sandbox)
    with excluded(sandbox, "allow-bidirectional", SubnetId=subnet) as exclusion:
        assert exclusion["ResourceArn"].endswith(f"subnet/{subnet}")
        found = sandbox.ec2.describe_vpc_block_public_access_exclusions()["VpcBlockPublicAccessExclusions"]
        assert [one["ExclusionId"] for one in found] == [exclusion["ExclusionId"]]
        assert modes(sandbox) == {subnet: "off"} | dict.fromkeys(others, "block-bidirectional")
    with excluded(sandbox, "allow-egress", VpcId=sandbox.vpc) as exclusion:
        assert exclusion["State"] == "create-complete"
        assert set(modes(sandbox).values()) == {"block-ingress"}
    assert sandbox.ec2.describe_vpc_block_public_access_exclusions()["VpcBlockPublicAccessExclusions"] == []
    assert set(modes(sandbox).values()) == {"block-bidirectional"}


def test_what_makes_no_sense_is_refused(sandbox: Sandbox) -> None:
    create = sandbox.ec2.create_vpc_block_public_access_exclusion
    both = {"VpcId": sandbox.vpc, "SubnetId": next(iter(modes(sandbox)))}
    for resource in ({}, both):
        code, _ = refusal(partial(create, InternetGatewayExclusionMode="allow-egress", **resource))
        assert code == "InvalidParameterCombination"
    assert refusal(lambda: create(InternetGatewayExclusionMode="allow-all", VpcId=sandbox.vpc)) == (
        "InvalidParameterValue",
        "Value (allow-all) for parameter InternetGatewayExclusionMode is invalid.",
    )
    assert refusal(lambda: create(InternetGatewayExclusionMode="allow-egress", VpcId="vpc-0"))[0] == (
        "InvalidVpcID.NotFound"
    )
    code, _ = refusal(lambda: sandbox.ec2.delete_vpc_block_public_access_exclusion(ExclusionId="vpcbpa-exclude-0"))
    assert code == "InvalidVpcBlockPublicAccessExclusionId.NotFound"
    assert refusal(lambda: block(sandbox, "on"))[0] == "InvalidParameterValue"

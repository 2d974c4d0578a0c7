"""Looking around over the wire: what is there, what is wrong, and what may not be seen."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from replica_access.aws import survey
from replica_access.aws.landscape import NotChecked
from replica_access.errors import AccessDenied, NotFound, UsageError
from replica_access.model import Check
from tests.sandbox_fixtures import Sandbox

from .stage import StoppableAws, deny, look, opened, spec_of


@pytest.fixture(scope="module")
def aws(sandbox: Sandbox) -> Iterator[StoppableAws]:
    with opened(sandbox) as aws:
        yield aws


@pytest.fixture
def limited(sandbox: Sandbox) -> Iterator[StoppableAws]:
    """One of its own, for a test that takes rights away."""
    with opened(sandbox) as aws:
        yield aws


def outcomes(checks: tuple[Check, ...], outcome: str) -> dict[str, Check]:
    return {check.name: check for check in checks if check.outcome == outcome}


def test_the_landscape_of_the_sandbox_is_read_whole(sandbox: Sandbox, aws: StoppableAws) -> None:
    name = sandbox.name("fresh")
    found = survey.read(aws, spec_of(name))
    assert (found.account, found.region) == ("123456789012", "ap-southeast-2")
    assert found.primary.identifier == "prod-db"
    assert found.primary.master_user == "master"
    assert found.primary.backup_days > 0
    assert found.primary.port == sandbox.instance()["Endpoint"]["Port"]
    assert found.primary.vpc == sandbox.vpc
    assert found.replica is None
    unread = [field for field in found.__slots__ if isinstance(getattr(found, field), NotChecked)]
    assert not unread
    assert isinstance(found.route_tables, tuple)
    assert {table.main for table in found.route_tables} == {True, False}
    assert {"sandbox-public", "sandbox-private"} <= {group.name for group in found.subnet_groups}  # type: ignore[union-attr]


def test_the_sandbox_passes_every_check(sandbox: Sandbox, aws: StoppableAws) -> None:
    checks, _ = look(aws, spec_of(sandbox.name("fresh")))
    assert {check.name for check in checks if check.outcome != "ok"} == {"IPv6"}


def test_private_subnets_are_named_one_by_one(sandbox: Sandbox, aws: StoppableAws) -> None:
    checks, planned = look(aws, spec_of(sandbox.name("fresh"), replica={"subnet_group": "sandbox-private"}))
    problem = outcomes(checks, "problem")["routes"]
    groups = sandbox.rds.describe_db_subnet_groups(DBSubnetGroupName="sandbox-private")["DBSubnetGroups"]
    for subnet in groups[0]["Subnets"]:
        assert subnet["SubnetIdentifier"] in problem.detail
    (creation,) = [change for change in planned.changes if change.action == "create replica"]
    assert creation.call is not None
    assert creation.call.parameters["DBSubnetGroupName"] == "sandbox-private"
    assert creation.call.parameters["SourceDBInstanceIdentifier"].startswith("arn:aws:rds:")


def test_dns_and_gateway_are_seen_when_they_go(sandbox: Sandbox, aws: StoppableAws) -> None:
    vpc, spec = sandbox.vpc, spec_of(sandbox.name("fresh"))
    filters = [{"Name": "attachment.vpc-id", "Values": [vpc]}]
    gateway = sandbox.ec2.describe_internet_gateways(Filters=filters)["InternetGateways"][0]["InternetGatewayId"]
    sandbox.ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": False})
    sandbox.ec2.detach_internet_gateway(VpcId=vpc, InternetGatewayId=gateway)
    try:
        checks, _ = look(aws, spec)
    finally:
        sandbox.ec2.attach_internet_gateway(VpcId=vpc, InternetGatewayId=gateway)
        sandbox.ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    assert {"VPC DNS hostnames", "internet gateway"} <= set(outcomes(checks, "problem"))
    assert f"--vpc-id {vpc}" in outcomes(checks, "problem")["internet gateway"].fix
    assert not outcomes(look(aws, spec)[0], "problem")


def test_an_unknown_primary_names_one_that_is_close(aws: StoppableAws) -> None:
    with pytest.raises(NotFound, match="no DB instance prod-bd in ap-southeast-2 of account 123456789012") as caught:
        survey.read(aws, spec_of("fresh", primary={"instance": "prod-bd"}))
    assert "Did you mean prod-db?" in caught.value.fix


def test_an_unknown_primary_that_is_like_nothing_lists_what_there_is(aws: StoppableAws) -> None:
    with pytest.raises(NotFound) as caught:
        survey.read(aws, spec_of("fresh", primary={"instance": "zzz"}))
    assert "prod-db" in caught.value.fix


@pytest.mark.parametrize("name", ["PROD-DB", "arn:aws:rds:ap-southeast-2:123456789012:db:prod-db"])
def test_the_primary_is_found_by_arn_and_whatever_its_capitals(aws: StoppableAws, name: str) -> None:
    assert survey.read(aws, spec_of("fresh", primary={"instance": name})).primary.identifier == "prod-db"


def test_an_arn_of_another_region_is_refused(aws: StoppableAws) -> None:
    arn = "arn:aws:rds:eu-west-1:123456789012:db:prod-db"
    with pytest.raises(UsageError, match="is in eu-west-1, and this run works in ap-southeast-2"):
        survey.read(aws, spec_of("fresh", primary={"instance": arn}))


def test_what_is_denied_is_not_checked_and_everything_else_is(sandbox: Sandbox, limited: StoppableAws) -> None:
    reads = ("VpcAttribute", "RouteTables", "NetworkAcls", "InternetGateways", "VpcBlockPublicAccessOptions")
    deny(limited, "ec2", *(f"Describe{what}" for what in reads))
    checks, planned = look(limited, spec_of(sandbox.name("fresh")))
    unseen = outcomes(checks, "not checked")
    assert set(unseen) == {
        "VPC DNS support",
        "VPC DNS hostnames",
        "internet gateway",
        "routes",
        "network ACL",
        "block public access",
    }
    assert "ec2:DescribeRouteTables" in unseen["routes"].detail
    assert "Ask for the permission ec2:DescribeRouteTables" in unseen["routes"].fix
    assert not outcomes(checks, "problem")
    assert [change.action for change in planned.changes][-1] == "create replica"


def test_security_groups_that_may_not_be_seen_block_the_plan(sandbox: Sandbox, limited: StoppableAws) -> None:
    deny(limited, "ec2", "DescribeSecurityGroups")
    checks, planned = look(limited, spec_of(sandbox.name("fresh")))
    assert set(outcomes(checks, "not checked")) == {"security group"}
    assert not planned.changes
    assert "ec2:DescribeSecurityGroups" in planned.blocked[0].fix


def test_without_the_right_to_see_instances_nothing_can_be_said(sandbox: Sandbox, limited: StoppableAws) -> None:
    deny(limited, "rds", "DescribeDBInstances")
    with pytest.raises(AccessDenied) as caught:
        look(limited, spec_of(sandbox.name("fresh")))
    assert caught.value.call == "rds:DescribeDBInstances"
    assert "prod-db" in caught.value.what

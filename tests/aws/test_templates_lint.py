"""What CloudFormation's own linter says of our templates: nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cfnlint.api import lint
from cfnlint.config import ManualArgs

from replica_access.aws import templates
from replica_access.aws.landscape import Landscape, Route, RouteTable, Subnet, SubnetGroup
from replica_access.aws.rules import PrefixList, SecurityGroup
from replica_access.cli.as_yaml import written
from replica_access.model import Call
from replica_access.spec import Spec
from tests.unit.aws_landscapes import EMPTY, LOCAL, PRIMARY, spec_of
from tests.unit.test_aws_parameters import CUSTOM, with_groups
from tests.unit.test_aws_regions import FAR
from tests.unit.test_aws_regions import spec as spec_elsewhere
from tests.unit.test_templates import calls

# Ids as EC2 makes them: the linter knows their form.
VPC, PUBLIC, PRIVATE = (
    "vpc-0123456789abcdef0",
    ("subnet-0123456789abcde01", "subnet-0123456789abcde02"),
    "subnet-0123456789abcde03",
)
GROUP = SubnetGroup("public", VPC, PUBLIC)
ZONES = dict(zip((*PUBLIC, PRIVATE), "aba", strict=True))
OTHER = SecurityGroup("sg-0123456789abcdef0", "office", VPC, {}, ())
REAL = replace(
    EMPTY,
    primary=replace(PRIMARY, vpc=VPC, subnets=PUBLIC),
    subnet_groups=(GROUP,),
    subnets=tuple(Subnet(subnet, f"ap-southeast-2{zone}", 200) for subnet, zone in ZONES.items()),
    route_tables=(
        RouteTable("rtb-public", False, PUBLIC, (LOCAL, Route("0.0.0.0/0", "igw-1", True))),
        RouteTable("rtb-main", True, (), (LOCAL,)),
    ),
    security_groups=(OTHER,),
)
ELSEWHERE = replace(REAL, primary=replace(REAL.primary, subnet_group="private", subnets=(*PUBLIC, PRIVATE)))

LIST = "pl-0123456789abcdef0"
ALL = spec_of(
    network={"allow": [{"cidr": "203.0.113.7/32", "note": "office", "expires": "2099-12-31"}, {"prefix_list": LIST},
                       {"security_group": "office"}, {"cidr": "2001:db8::/48"}]},
    replica={
        "parameters": {"hot_standby_feedback": "1", "max_standby_streaming_delay": "900000"},
        "log_exports": ["postgresql", "upgrade", "iam-db-auth-error"],
        "monitoring_interval": 60,
        "monitoring_role": "arn:aws:iam::123456789012:role/rds-monitoring",
        "performance_insights": True,
        "ca_certificate": "rds-ca-ecc384-g1",
        "tags": {"team": "data"},
    },
)  # fmt: skip
FULL = replace(
    with_groups(ELSEWHERE, CUSTOM),
    prefix_lists={LIST: PrefixList(LIST, "staff", 1, 10, ("198.51.100.0/24",))},
)

WANTED: dict[str, tuple[Spec, Landscape]] = {
    "the least": (spec_of(network={"allow": []}, replica={"deletion_protection": False}), REAL),
    "addresses": (spec_of(), REAL),
    "inside the VPC": (spec_of(replica={"publicly_accessible": False}), REAL),
    "a subnet group of its own": (spec_of(), ELSEWHERE),
    "existing groups": (spec_of(network={"security_groups": ["office"]}), REAL),
    "logins by IAM": (spec_of(users={"bi": {"auth": "iam"}}), REAL),
    "tags": (spec_of(replica={"tags": {"team": "data", "cost centre": "Zürich: 42"}}), REAL),
    "all that there is": (ALL, FULL),
    "a replica of a replica": (
        spec_of(replica={"source": "other"}),
        replace(REAL, upstreams=(replace(REAL.primary, identifier="other", source="prod"),)),
    ),
    "another Region": (
        spec_elsewhere(kms_key="arn:aws:kms:ap-southeast-2:123456789012:key/01234567-89ab-cdef-0123-456789abcdef"),
        replace(REAL, primary=FAR, landing_vpc=VPC),
    ),
    "another class": (spec_of(replica={"class": "db.t4g.medium"}), REAL),
}
"""Specs, and what stands there already."""


@pytest.mark.parametrize("what", WANTED)
def test_the_linter_has_nothing_to_say(what: str) -> None:
    assert_clean(templates.cloudformation(calls(*WANTED[what])))


def test_nor_of_sources_that_are_no_addresses_and_of_groups_that_are_made() -> None:
    spec, landscape = WANTED["addresses"]
    group, replica = (c for c in calls(spec, landscape) if c.operation.startswith("Create"))
    permission = {
        "IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432,
        "PrefixListIds": [{"PrefixListId": "pl-0123456789abcdef0", "Description": "staff"}],
        "UserIdGroupPairs": [{"GroupId": OTHER.id, "UserId": "123456789012", "Description": "bastion"}],
    }  # fmt: skip
    values = [
        {"ParameterName": name, "ParameterValue": value, "ApplyMethod": "immediate"}
        for name, value in {"hot_standby_feedback": "1", "max_standby_streaming_delay": "900000"}.items()
    ]
    made = [
        group,
        Call("ec2", "AuthorizeSecurityGroupIngress", {"GroupId": "${security_group}", "IpPermissions": [permission]}),
        Call("rds", "CreateDBSubnetGroup", {"DBSubnetGroupName": "ours", "DBSubnetGroupDescription": "public",
                                            "SubnetIds": list(PUBLIC), "Tags": [{"Key": "a", "Value": "b"}]}),
        replace(replica, parameters={**replica.parameters, "DBSubnetGroupName": "ours",
                                     "SourceDBInstanceIdentifier": PRIMARY.arn}),
        Call("rds", "CreateDBParameterGroup", {"DBParameterGroupName": "params", "DBParameterGroupFamily": "postgres17",
                                               "Description": "ours", "Tags": [{"Key": "a", "Value": "b"}]}),
        Call("rds", "ModifyDBParameterGroup", {"DBParameterGroupName": "params", "Parameters": values}),
        Call("rds", "ModifyDBInstance", {"DBInstanceIdentifier": "analytics", "DBParameterGroupName": "params",
                                         "MonitoringInterval": 60, "ApplyImmediately": True,
                                         "MonitoringRoleArn": "arn:aws:iam::123456789012:role/monitor",
                                         "EnablePerformanceInsights": True, "PerformanceInsightsRetentionPeriod": 7,
                                         "CACertificateIdentifier": "rds-ca-rsa2048-g1"}),
        Call("rds", "RebootDBInstance", {"DBInstanceIdentifier": "analytics"}),
    ]  # fmt: skip
    assert_clean(templates.cloudformation(made))


def test_the_linter_would_say_what_is_wrong() -> None:
    document = templates.cloudformation(calls(*WANTED["addresses"]))
    document["Resources"]["Replica"]["Properties"] |= {"MasterUsername": "master", "NoSuchProperty": 1}
    assert {match.rule.id for match in linted(document)} >= {"E3002"}


def assert_clean(document: dict[str, Any]) -> None:
    assert [str(match) for match in linted(document)] == []


def linted(document: dict[str, Any]) -> list[Any]:
    config = ManualArgs(regions=["ap-southeast-2"])
    return list(lint(written(document), config=config))

"""A template says what the calls of a plan say, and nothing else."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from typing import Any

import botocore.session
import pytest

from replica_access.aws import templates
from replica_access.aws.adoption import without_ours
from replica_access.aws.execute import CARRY_OUT
from replica_access.aws.landscape import Landscape
from replica_access.aws.plan import plan
from replica_access.errors import AwsError
from replica_access.model import Call, Request
from replica_access.spec import Spec

from .aws_landscapes import COMPLETE, EMPTY, OUR_GROUP, PRIMARY, PRIVATE, PUBLIC, spec_of

TODAY = date(2026, 11, 23)


def calls(spec: Spec, landscape: Landscape = EMPTY) -> list[Call]:
    """What `apply` would call if nothing of what `spec` wants were there."""
    whole = plan(without_ours(landscape, "analytics"), spec, TODAY, Request(allow_wide=True))
    assert not whole.blocked
    return [change.call for change in whole.changes if change.call is not None]


def template(spec: Spec | None = None, landscape: Landscape = EMPTY) -> dict[str, Any]:
    return templates.cloudformation(calls(spec or spec_of(), landscape))


def properties(document: dict[str, Any], logical_id: str) -> dict[str, Any]:
    found: dict[str, Any] = document["Resources"][logical_id]["Properties"]
    return found


def test_the_replica_is_what_the_call_makes_under_the_names_of_cloudformation() -> None:
    (call,) = (c.call for c in plan(EMPTY, spec_of(), TODAY).changes if c.action == "create replica")
    assert call is not None
    expected = dict(call.parameters)
    del expected["VpcSecurityGroupIds"]
    expected["VPCSecurityGroups"] = [{"Fn::GetAtt": ["SecurityGroup", "GroupId"]}]
    assert properties(template(), "Replica") == expected


def test_what_exists_already_is_in_the_template_all_the_same() -> None:
    assert template(landscape=COMPLETE) == template()
    drifted = replace(COMPLETE, security_groups=(replace(OUR_GROUP, ingress=()),))
    assert template(landscape=drifted) == template()


def test_what_cloudformation_forbids_of_a_replica_is_not_there() -> None:
    forbidden = {"BackupRetentionPeriod", "DBName", "MasterUsername", "MasterUserPassword", "StorageEncrypted"}
    forbidden |= {"PreferredBackupWindow", "DBSnapshotIdentifier", "CharacterSetName", "KmsKeyId"}
    assert not forbidden & properties(template(), "Replica").keys()


def test_each_address_is_a_parameter_named_after_it() -> None:
    document = template()
    assert {name: each["Default"] for name, each in document["Parameters"].items()} == {
        "Address203x0x113x7x32": "203.0.113.7/32",
        "Address2001xdb8xxx48": "2001:db8::/48",
    }
    rules = properties(document, "SecurityGroup")["SecurityGroupIngress"]
    port = {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432}
    assert rules == [
        {**port, "CidrIp": {"Ref": "Address203x0x113x7x32"}, "Description": "Brisbane office"},
        {**port, "CidrIpv6": {"Ref": "Address2001xdb8xxx48"}, "Description": "VPN"},
    ]


@pytest.mark.parametrize(
    ("cidr", "good", "bad"),
    [
        ("203.0.113.7/32", ["10.0.0.0/16", "10.0.0.1/32"], ["0.0.0.0/0", "10.0.0.0/15", "10.0.0.0", "office", "::/32"]),
        ("10.0.0.0/8", ["10.0.0.0/9", "0.0.0.0/0", "10.0.0.1/32"], ["10.0.0.0/33"]),
        ("2001:db8::/48", ["2001:db8::/32", "2001:db8::1/128"], ["::/0", "2000::/31", "10.0.0.0/16", "2001:db8::/129"]),
        ("2000::/3", ["::/0", "2001:db8::/128"], ["::/129"]),
    ],
)
def test_another_address_has_to_be_as_narrow_as_the_program_wants_it(
    cidr: str, good: list[str], bad: list[str]
) -> None:
    document = template(spec_of(network={"allow": [{"cidr": cidr}]}))
    (parameter,) = document["Parameters"].values()
    for value in [cidr, *good]:
        assert re.match(parameter["AllowedPattern"], value), value
    for value in bad:
        assert not re.match(parameter["AllowedPattern"], value), value


def test_prefix_lists_and_groups_that_are_let_in_stand_as_they_are() -> None:
    group, allow, *_ = plan(EMPTY, spec_of(), TODAY).changes
    assert group.call is not None
    assert allow.call is not None
    permission = {
        "IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432,
        "PrefixListIds": [{"PrefixListId": "pl-1", "Description": "staff"}],
        "UserIdGroupPairs": [{"GroupId": "sg-bastion", "UserId": "123456789012"}, {"GroupId": "${security_group}"}],
    }  # fmt: skip
    draft = templates.Draft()
    templates.TRANSLATE[group.call.operation](draft, group.call.parameters)
    templates.TRANSLATE[allow.call.operation](draft, {"GroupId": "${security_group}", "IpPermissions": [permission]})
    port = {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432}
    assert draft.properties("SecurityGroup")["SecurityGroupIngress"] == [
        {**port, "SourcePrefixListId": "pl-1", "Description": "staff"},
        {**port, "SourceSecurityGroupId": "sg-bastion", "SourceSecurityGroupOwnerId": "123456789012"},
        {**port, "SourceSecurityGroupId": {"Fn::GetAtt": ["SecurityGroup", "GroupId"]}},
    ]
    assert draft.parameters == {}


def test_groups_and_parameters_that_the_plan_makes_are_referred_to() -> None:
    made = [
        Call("rds", "CreateDBSubnetGroup", {"DBSubnetGroupName": "ours", "DBSubnetGroupDescription": "public",
                                            "SubnetIds": ["subnet-1", "subnet-2"]}),
        Call("rds", "CreateDBInstanceReadReplica", {"DBInstanceIdentifier": "analytics", "DBSubnetGroupName": "ours",
                                                    "SourceDBInstanceIdentifier": PRIMARY.arn}),
        Call("rds", "CreateDBParameterGroup", {"DBParameterGroupName": "params", "Description": "ours",
                                               "DBParameterGroupFamily": "postgres17"}),
        Call("rds", "ModifyDBParameterGroup", {"DBParameterGroupName": "params", "Parameters": [
            {"ParameterName": "work_mem", "ParameterValue": "65536", "ApplyMethod": "immediate"}]}),
        Call("rds", "ModifyDBParameterGroup", {"DBParameterGroupName": "params", "Parameters": [
            {"ParameterName": "hot_standby_feedback", "ParameterValue": "1", "ApplyMethod": "immediate"}]}),
        Call("rds", "ModifyDBInstance", {"DBInstanceIdentifier": "analytics", "DBParameterGroupName": "params",
                                         "ApplyImmediately": True}),
        Call("rds", "RebootDBInstance", {"DBInstanceIdentifier": "analytics"}),
    ]  # fmt: skip
    document = templates.cloudformation(made)
    assert properties(document, "Replica") == {
        "DBInstanceIdentifier": "analytics",
        "DBSubnetGroupName": {"Ref": "SubnetGroup"},
        "SourceDBInstanceIdentifier": PRIMARY.arn,
        "DBParameterGroupName": {"Ref": "ParameterGroup"},
    }
    assert properties(document, "ParameterGroup")["Parameters"] == {"work_mem": "65536", "hot_standby_feedback": "1"}
    assert properties(document, "SubnetGroup")["SubnetIds"] == ["subnet-1", "subnet-2"]


def test_groups_of_one_name_are_told_apart() -> None:
    made = [
        Call("rds", "CreateDBSubnetGroup", {"DBSubnetGroupName": "ours", "DBSubnetGroupDescription": "public",
                                            "SubnetIds": ["subnet-1", "subnet-2"]}),
        Call("rds", "CreateDBParameterGroup", {"DBParameterGroupName": "ours", "Description": "ours",
                                               "DBParameterGroupFamily": "postgres17"}),
        Call("rds", "CreateDBInstanceReadReplica", {"DBInstanceIdentifier": "ours", "DBSubnetGroupName": "ours",
                                                    "SourceDBInstanceIdentifier": "ours"}),
        Call("rds", "ModifyDBInstance", {"DBInstanceIdentifier": "ours", "DBParameterGroupName": "ours"}),
    ]  # fmt: skip
    assert properties(templates.cloudformation(made), "Replica") == {
        "DBInstanceIdentifier": "ours",
        "SourceDBInstanceIdentifier": "ours",
        "DBSubnetGroupName": {"Ref": "SubnetGroup"},
        "DBParameterGroupName": {"Ref": "ParameterGroup"},
    }


def test_another_subnet_group_goes_with_the_arn_of_the_source() -> None:
    landscape = replace(
        EMPTY,
        primary=replace(PRIMARY, subnet_group="private", subnets=PRIVATE.subnets),
        subnet_groups=(PRIVATE, PUBLIC),
    )
    replica = properties(template(landscape=landscape), "Replica")
    assert (replica["SourceDBInstanceIdentifier"], replica["DBSubnetGroupName"]) == (
        PRIMARY.arn,
        {"Ref": "SubnetGroup"},
    )


def test_the_template_warns_of_what_would_promote_the_replica() -> None:
    document = template()
    assert "Never remove SourceDBInstanceIdentifier" in document["Description"]
    assert len(document["Description"].encode()) <= 1024
    assert "promote" in document["Metadata"]["ReplicaAccess"]["Warnings"][0]


def test_it_puts_out_where_the_replica_is_and_what_policies_name() -> None:
    assert {name: out["Value"]["Fn::GetAtt"] for name, out in template()["Outputs"].items()} == {
        "Endpoint": ["Replica", "Endpoint.Address"],
        "Port": ["Replica", "Endpoint.Port"],
        "DbiResourceId": ["Replica", "DbiResourceId"],
        "SecurityGroupId": ["SecurityGroup", "GroupId"],
    }


def test_whatever_a_plan_can_make_can_be_said_in_a_template() -> None:
    make = {operation for operation in CARRY_OUT if operation.startswith(("Create", "Authorize"))} - {"CreateTags"}
    assert make <= templates.TRANSLATE.keys(), "say it in replica_access/aws/templates.py, too"


def test_what_cannot_be_said_is_not_left_out_in_silence() -> None:
    with pytest.raises(AwsError, match="PromoteReadReplica cannot be said in a template"):
        templates.cloudformation([Call("rds", "PromoteReadReplica", {})])


def test_every_operation_is_one_of_aws() -> None:
    session = botocore.session.Session()
    known = {name for service in ("ec2", "rds") for name in session.get_service_model(service).operation_names}
    assert templates.TRANSLATE.keys() <= known

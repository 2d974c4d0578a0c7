"""What RDS refuses, the sandbox refuses: with the same code, and with RDS's message where it is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from moto.rds.exceptions import RDSClientError

from replica_access.sandbox import rds_checks
from tests.sandbox_fixtures import Sandbox, refusal


@pytest.fixture
def replicate(sandbox: Sandbox) -> Callable[..., Any]:
    """CreateDBInstanceReadReplica of the primary, under a new name."""
    return partial(
        sandbox.rds.create_db_instance_read_replica,
        DBInstanceIdentifier=sandbox.name("refused"),
        SourceDBInstanceIdentifier="prod-db",
    )


@pytest.fixture(scope="module")
def odd(sandbox: Sandbox) -> str:
    """An instance that nobody can replicate: no backups, and RDS manages its master user's password. It may not be
    available yet, and goes with the sandbox.
    """
    name = sandbox.name("odd")
    sandbox.rds.create_db_instance(
        DBInstanceIdentifier=name,
        DBInstanceClass="db.t4g.micro",
        Engine="postgres",
        AllocatedStorage=20,
        MasterUsername="boss",
        ManageMasterUserPassword=True,
        BackupRetentionPeriod=0,
        DBSubnetGroupName="sandbox-private",
    )
    return name


@pytest.fixture
def second_vpc(sandbox: Sandbox) -> Iterator[tuple[str, str]]:
    """A second VPC, and a subnet group in it."""
    vpc = sandbox.ec2.create_vpc(CidrBlock="10.99.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        sandbox.ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.99.{number}.0/24", AvailabilityZone=f"ap-southeast-2{zone}")
        for number, zone in enumerate("ab")
    ]
    ids = [subnet["Subnet"]["SubnetId"] for subnet in subnets]
    group = sandbox.name("elsewhere")
    sandbox.rds.create_db_subnet_group(DBSubnetGroupName=group, DBSubnetGroupDescription="test", SubnetIds=ids)
    yield vpc, group
    sandbox.rds.delete_db_subnet_group(DBSubnetGroupName=group)
    for subnet in ids:
        sandbox.ec2.delete_subnet(SubnetId=subnet)
    sandbox.ec2.delete_vpc(VpcId=vpc)


# --- creating a replica


def test_a_source_must_be_available_have_backups_and_an_own_password(sandbox: Sandbox, odd: str) -> None:
    replicate = partial(
        sandbox.rds.create_db_instance_read_replica, DBInstanceIdentifier="never", SourceDBInstanceIdentifier=odd
    )
    assert refusal(replicate) == ("InvalidDBInstanceState", "Database instance is not in available state.")
    sandbox.follow(odd)
    assert refusal(replicate) == (
        "InvalidDBInstanceState",
        (
            "Automated backups are not enabled for this database instance. To enable automated backups, use "
            "ModifyDBInstance to set the backup retention period to a non-zero value."
        ),
    )
    sandbox.rds.modify_db_instance(DBInstanceIdentifier=odd, BackupRetentionPeriod=1, ApplyImmediately=True)
    sandbox.settle(odd)
    assert refusal(replicate) == (
        "InvalidParameterValue",
        (
            "Creating read replicas for source instance with engine postgres where ManageMasterUserPassword is "
            "enabled is not supported."
        ),
    )


def test_an_unknown_source_is_not_found(replicate: Callable[..., Any]) -> None:
    assert refusal(partial(replicate, SourceDBInstanceIdentifier="nope")) == (
        "DBInstanceNotFound",
        "DBInstance nope not found.",
    )


def test_a_replica_takes_no_parameter_group(replicate: Callable[..., Any]) -> None:
    assert refusal(partial(replicate, DBParameterGroupName="default.postgres17")) == (
        "InvalidParameterCombination",
        "A parameter group can't be specified during Read Replica creation for the following DB engine: postgres",
    )


def test_a_replica_of_the_same_region_takes_no_presigned_url(replicate: Callable[..., Any]) -> None:
    assert refusal(partial(replicate, PreSignedUrl="https://example.com")) == (
        "InvalidParameterCombination",
        "Your request does not require the preSignedUrl parameter",
    )


def test_an_identifier_is_taken_in_whatever_case(replicate: Callable[..., Any]) -> None:
    code, _ = refusal(partial(replicate, DBInstanceIdentifier="PROD-db"))
    assert code == "DBInstanceAlreadyExists"


@pytest.mark.parametrize("name", ["1abc", "a--b", "ends-", "under_score", "dot.ted", "x" * 64, "é"])
def test_an_identifier_must_be_valid(replicate: Callable[..., Any], name: str) -> None:
    code, message = refusal(partial(replicate, DBInstanceIdentifier=name))
    assert code == "InvalidParameterValue"
    assert message.startswith("The parameter DBInstanceIdentifier is not a valid identifier.")


def test_an_instance_class_must_look_like_one(replicate: Callable[..., Any]) -> None:
    assert refusal(partial(replicate, DBInstanceClass="bogus")) == (
        "InvalidParameterValue",
        "Invalid DB Instance class: bogus",
    )


def test_a_security_group_must_exist(replicate: Callable[..., Any]) -> None:
    assert refusal(partial(replicate, VpcSecurityGroupIds=["sg-0123456789abcdef0"])) == (
        "InvalidParameterValue",
        "Invalid security group , groupId= sg-0123456789abcdef0, groupName=.",
    )


def test_a_security_group_must_be_of_the_same_vpc(
    sandbox: Sandbox, replicate: Callable[..., Any], second_vpc: tuple[str, str]
) -> None:
    other, _ = second_vpc
    group = sandbox.ec2.create_security_group(GroupName="foreign", Description="test", VpcId=other)["GroupId"]
    assert refusal(partial(replicate, VpcSecurityGroupIds=[group])) == (
        "InvalidParameterCombination",
        (
            "The DB instance and EC2 security group are in different VPCs. "
            f"The DB instance is in {sandbox.vpc} and the EC2 security group is in {other}"
        ),
    )
    sandbox.ec2.delete_security_group(GroupId=group)


def test_a_subnet_group_needs_the_arn_of_the_source(sandbox: Sandbox, replicate: Callable[..., Any]) -> None:
    assert refusal(partial(replicate, DBSubnetGroupName="sandbox-private")) == (
        "DBSubnetGroupNotAllowedFault",
        "DbSubnetGroupName should not be specified for read replicas that are created in the same region as the master",
    )
    code, _ = refusal(partial(replicate, DBSubnetGroupName="nope"))
    assert code == "DBSubnetGroupNotFoundFault"


def test_public_access_needs_dns(sandbox: Sandbox, replicate: Callable[..., Any]) -> None:
    for attribute in ("EnableDnsHostnames", "EnableDnsSupport"):
        sandbox.ec2.modify_vpc_attribute(VpcId=sandbox.vpc, **{attribute: {"Value": False}})
        try:
            assert refusal(partial(replicate, PubliclyAccessible=True)) == (
                "InvalidVPCNetworkStateFault",
                (
                    "Cannot create a publicly accessible DBInstance. The specified VPC does not support DNS "
                    "resolution, DNS hostnames, or both. Update the VPC and then try again"
                ),
            )
        finally:
            sandbox.ec2.modify_vpc_attribute(VpcId=sandbox.vpc, **{attribute: {"Value": True}})


def test_public_access_needs_an_internet_gateway(sandbox: Sandbox, replicate: Callable[..., Any]) -> None:
    in_vpc = [{"Name": "attachment.vpc-id", "Values": [sandbox.vpc]}]
    gateway = sandbox.ec2.describe_internet_gateways(Filters=in_vpc)["InternetGateways"][0]["InternetGatewayId"]
    sandbox.ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=sandbox.vpc)
    try:
        assert refusal(partial(replicate, PubliclyAccessible=True)) == (
            "InvalidVPCNetworkStateFault",
            (
                "Cannot create a publicly accessible DBInstance. The specified VPC has no internet gateway attached."
                "Update the VPC and then try again"
            ),
        )
    finally:
        sandbox.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=sandbox.vpc)


def test_all_replicas_of_a_source_are_in_one_vpc(
    sandbox: Sandbox, replicate: Callable[..., Any], replica: str, second_vpc: tuple[str, str]
) -> None:
    _, group = second_vpc
    arn = sandbox.instance()["DBInstanceArn"]
    code, message = refusal(partial(replicate, SourceDBInstanceIdentifier=arn, DBSubnetGroupName=group))
    assert code == "InvalidDBSubnetGroupFault"
    assert f"read replica {replica}" in message


def test_a_refused_replica_leaves_nothing(sandbox: Sandbox) -> None:
    assert not [name for name in sandbox.names() if name.startswith("refused")]
    assert not [name for name in sandbox.instance()["ReadReplicaDBInstanceIdentifiers"] if name.startswith("refused")]


@pytest.mark.parametrize(("replicas", "level"), [(15, 1), (5, 2), (0, 4)])
def test_replicas_have_a_limit_at_every_level(replicas: int, level: int) -> None:
    with pytest.raises(RDSClientError) as caught:
        rds_checks.too_many_replicas(["some"] * replicas, level, 15)
    assert caught.value.code == "InvalidDBInstanceState"
    if replicas:
        rds_checks.too_many_replicas(["some"] * (replicas - 1), level, 15)


# --- creating an instance


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"Engine": "mysql"}, "InvalidParameterValue"),
        ({"EngineVersion": "9.3.3"}, "InvalidParameterCombination"),
        ({"MasterUsername": "rdsadmin"}, "InvalidParameterValue"),
        ({"MasterUsername": ""}, "InvalidParameterValue"),
        ({"MasterUserPassword": ""}, "InvalidParameterValue"),
        ({"MasterUserPassword": "short"}, "InvalidParameterValue"),
        ({"MasterUserPassword": "has an @ in it"}, "InvalidParameterValue"),
        ({"DBSubnetGroupName": "nope"}, "DBSubnetGroupNotFoundFault"),
        ({"DBParameterGroupName": "nope"}, "DBParameterGroupNotFound"),
    ],
    ids=str,
)
def test_an_instance_that_cannot_be_is_refused(sandbox: Sandbox, change: dict[str, Any], code: str) -> None:
    call = {
        "DBInstanceIdentifier": sandbox.name("refused"),
        "DBInstanceClass": "db.t4g.micro",
        "Engine": "postgres",
        "AllocatedStorage": 20,
        "MasterUsername": "boss",
        "MasterUserPassword": "correct-horse",
        "DBSubnetGroupName": "sandbox-private",
        **change,
    }
    assert refusal(partial(sandbox.rds.create_db_instance, **call))[0] == code


# --- changing and deleting


def test_the_primary_is_protected(sandbox: Sandbox) -> None:
    assert refusal(partial(sandbox.rds.delete_db_instance, DBInstanceIdentifier="prod-db", SkipFinalSnapshot=True)) == (
        "InvalidParameterCombination",
        "Cannot delete protected DB Instance, please disable deletion protection and try again.",
    )


def test_a_parameter_group_must_be_of_the_family(sandbox: Sandbox) -> None:
    name = sandbox.name("family")
    sandbox.rds.create_db_parameter_group(
        DBParameterGroupName=name, DBParameterGroupFamily="postgres9.6", Description="test"
    )
    code, message = refusal(
        partial(sandbox.rds.modify_db_instance, DBInstanceIdentifier="prod-db", DBParameterGroupName=name)
    )
    assert code == "InvalidParameterCombination"
    assert "DBParameterGroupFamily postgres9.6 can't be used for this instance" in message
    sandbox.rds.delete_db_parameter_group(DBParameterGroupName=name)


def test_an_unknown_parameter_group_is_not_found(sandbox: Sandbox) -> None:
    for call in (
        partial(sandbox.rds.modify_db_instance, DBInstanceIdentifier="prod-db", DBParameterGroupName="nope"),
        partial(sandbox.rds.describe_db_parameter_groups, DBParameterGroupName="nope"),
    ):
        assert refusal(call)[0] == "DBParameterGroupNotFound"


def test_a_subnet_group_needs_two_zones_and_cannot_go_while_used(sandbox: Sandbox) -> None:
    subnet = sandbox.instance()["DBSubnetGroup"]["Subnets"][0]["SubnetIdentifier"]
    create = partial(
        sandbox.rds.create_db_subnet_group,
        DBSubnetGroupName="one-zone",
        DBSubnetGroupDescription="test",
        SubnetIds=[subnet],
    )
    assert refusal(create)[0] == "DBSubnetGroupDoesNotCoverEnoughAZs"
    assert refusal(partial(create, DBSubnetGroupName="sandbox-public"))[0] == "DBSubnetGroupAlreadyExists"
    delete = partial(sandbox.rds.delete_db_subnet_group, DBSubnetGroupName="sandbox-public")
    assert refusal(delete)[0] == "InvalidDBSubnetGroupStateFault"


def test_a_call_that_is_not_implemented_is_an_error_of_aws(sandbox: Sandbox) -> None:
    for call in (sandbox.rds.describe_source_regions, sandbox.ec2.describe_instance_topology):
        code, message = refusal(call)
        assert code == "NotImplemented"
        assert "has not been implemented" in message


def test_a_secret_that_waits_for_its_deletion_cannot_be_made_anew(sandbox: Sandbox) -> None:
    secrets = sandbox.client("secretsmanager")
    secrets.create_secret(Name="waiting", SecretString="x")
    secrets.delete_secret(SecretId="waiting", RecoveryWindowInDays=7)
    code, message = refusal(partial(secrets.create_secret, Name="waiting", SecretString="y"))
    assert code == "InvalidRequestException"
    assert "already scheduled for deletion" in message
    secrets.delete_secret(SecretId="waiting", ForceDeleteWithoutRecovery=True)

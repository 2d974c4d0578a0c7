"""A replica in another Region than its source, and the network that it finds there."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import pytest

from tests.sandbox_fixtures import PATIENCE, Sandbox, refusal

ELSEWHERE = "ap-southeast-4"


@pytest.fixture(scope="module")
def rds(sandbox: Sandbox) -> Any:
    return sandbox.client("rds", ELSEWHERE)


@pytest.fixture(scope="module")
def key(sandbox: Sandbox) -> str:
    """A KMS key of the other Region."""
    made: str = sandbox.client("kms", ELSEWHERE).create_key()["KeyMetadata"]["Arn"]
    return made


@pytest.fixture
def create(sandbox: Sandbox, rds: Any) -> Any:
    """CreateDBInstanceReadReplica of the primary, in the other Region."""
    return partial(
        rds.create_db_instance_read_replica,
        DBInstanceIdentifier="far",
        SourceDBInstanceIdentifier=sandbox.instance()["DBInstanceArn"],
        DBSubnetGroupName="sandbox-public",
    )


def described(rds: Any) -> dict[str, Any] | None:
    found = [one for one in rds.describe_db_instances()["DBInstances"] if one["DBInstanceIdentifier"] == "far"]
    return found[0] if found else None


def wait(rds: Any, status: str | None) -> dict[str, Any]:
    """Wait for a status of the replica; None waits until it is no more."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = described(rds) or {}
        if found.get("DBInstanceStatus") == status:
            return found
        assert time.monotonic() < deadline, f"never {status}: {found}"
        time.sleep(0.05)


def test_another_region_has_a_network_of_its_own(sandbox: Sandbox, rds: Any) -> None:
    assert rds.describe_db_instances()["DBInstances"] == []
    groups = {one["DBSubnetGroupName"]: one for one in rds.describe_db_subnet_groups()["DBSubnetGroups"]}
    assert {"sandbox-public", "sandbox-private"} <= set(groups)
    public = groups["sandbox-public"]
    assert public["VpcId"] != sandbox.vpc
    zones = {subnet["SubnetAvailabilityZone"]["Name"] for subnet in public["Subnets"]}
    assert zones == {f"{ELSEWHERE}a", f"{ELSEWHERE}b"}
    ec2 = sandbox.client("ec2", ELSEWHERE)
    [gateway] = ec2.describe_internet_gateways(Filters=[{"Name": "attachment.vpc-id", "Values": [public["VpcId"]]}])[
        "InternetGateways"
    ]
    assert gateway["Attachments"][0]["State"] == "available"


def test_a_replica_lives_in_its_own_region(sandbox: Sandbox, rds: Any, create: Any, key: str) -> None:
    create(KmsKeyId=key, PubliclyAccessible=True, SourceRegion=sandbox.status.region)
    found = wait(rds, "available")
    primary = sandbox.instance()
    assert found["ReadReplicaSourceDBInstanceIdentifier"] == primary["DBInstanceArn"]
    assert found["DBInstanceArn"].split(":")[3] == ELSEWHERE
    assert found["AvailabilityZone"].startswith(ELSEWHERE)
    assert found["KmsKeyId"] == key
    assert found["DBParameterGroups"][0]["DBParameterGroupName"].startswith("default.postgres")
    assert found["StatusInfos"][0]["Status"] == "replicating"
    assert primary["ReadReplicaDBInstanceIdentifiers"].count(found["DBInstanceArn"]) == 1
    assert "far" not in sandbox.names()
    with pytest.raises(sandbox.rds.exceptions.DBInstanceNotFoundFault):
        sandbox.instance("far")
    ec2 = sandbox.client("ec2", ELSEWHERE)
    [interface] = ec2.describe_network_interfaces(Filters=[{"Name": "description", "Values": ["RDSNetworkInterface"]}])[
        "NetworkInterfaces"
    ]
    assert interface["VpcId"] == found["DBSubnetGroup"]["VpcId"]

    with sandbox.connect() as connection:
        connection.execute("CREATE TABLE far_away AS SELECT 7 AS answer")
    ours = ec2.create_security_group(GroupName="ours", Description="test", VpcId=interface["VpcId"])["GroupId"]
    ec2.authorize_security_group_ingress(
        GroupId=ours, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "127.0.0.1/32"}]}]
    )
    rds.modify_db_instance(DBInstanceIdentifier="far", VpcSecurityGroupIds=[ours])
    endpoint = wait(rds, "available")["Endpoint"]
    with sandbox.connect(port=endpoint["Port"]) as connection:
        deadline = time.monotonic() + PATIENCE
        while connection.execute("SELECT to_regclass('far_away')").fetchone() == (None,):
            assert time.monotonic() < deadline
        assert connection.execute("SELECT answer FROM far_away").fetchone() == (7,)
    with sandbox.connect() as connection:
        connection.execute("DROP TABLE far_away")

    rds.delete_db_instance(DBInstanceIdentifier="far", SkipFinalSnapshot=True)
    wait(rds, None)
    assert found["DBInstanceArn"] not in sandbox.instance()["ReadReplicaDBInstanceIdentifiers"]


def test_the_same_name_may_be_taken_in_each_region(sandbox: Sandbox, rds: Any, create: Any, key: str) -> None:
    sandbox.rds.create_db_instance_read_replica(DBInstanceIdentifier="far", SourceDBInstanceIdentifier="prod-db")
    sandbox.follow("far")
    try:
        create(KmsKeyId=key)
        wait(rds, "available")
        replicas = sandbox.instance()["ReadReplicaDBInstanceIdentifiers"]
        assert [name for name in replicas if name.rpartition(":")[2] == "far"][:2] == [
            "far",
            f"arn:aws:rds:{ELSEWHERE}:123456789012:db:far",
        ]
        rds.delete_db_instance(DBInstanceIdentifier="far", SkipFinalSnapshot=True)
        wait(rds, None)
        assert "far" in sandbox.instance()["ReadReplicaDBInstanceIdentifiers"]
        assert sandbox.instance("far")["ReadReplicaSourceDBInstanceIdentifier"] == "prod-db"
    finally:
        sandbox.remove("far")


def test_a_key_of_the_region_is_needed(sandbox: Sandbox, create: Any, key: str) -> None:
    assert refusal(create) == (
        "InvalidParameterCombination",
        "Cannot create a cross region unencrypted read replica from encrypted source.",
    )
    kms = sandbox.client("kms", ELSEWHERE)
    other = kms.create_key()["KeyMetadata"]
    kms.disable_key(KeyId=other["KeyId"])
    unknown = key.rpartition("/")[0] + "/00000000-0000-0000-0000-000000000000"
    for wrong in (sandbox.instance()["KmsKeyId"], unknown, other["Arn"], "alias/nowhere"):
        assert refusal(partial(create, KmsKeyId=wrong)) == (
            "KMSKeyNotAccessibleFault",
            (
                f"The specified KMS key [{wrong}] does not exist, is not enabled or you do not have permissions to "
                "access it."
            ),
        )


def test_a_name_alone_is_of_the_region_itself(sandbox: Sandbox, rds: Any, create: Any, key: str) -> None:
    assert refusal(partial(create, SourceDBInstanceIdentifier="prod-db"))[0] == "DBInstanceNotFound"
    assert refusal(partial(create, DBSubnetGroupName="nowhere", KmsKeyId=key))[0] == "DBSubnetGroupNotFoundFault"
    group = sandbox.instance()["VpcSecurityGroups"][0]["VpcSecurityGroupId"]
    code, message = refusal(partial(create, KmsKeyId=key, VpcSecurityGroupIds=[group]))
    assert (code, group in message) == ("InvalidParameterValue", True)
    assert described(rds) is None


def test_an_unencrypted_source_has_unencrypted_replicas_which_outlive_it(
    sandbox: Sandbox, rds: Any, create: Any, key: str
) -> None:
    name = sandbox.name("plain")
    sandbox.rds.create_db_instance(
        DBInstanceIdentifier=name, DBInstanceClass="db.t4g.micro", Engine="postgres", AllocatedStorage=20,
        MasterUsername="boss", MasterUserPassword="correct-horse", DBSubnetGroupName="sandbox-private",
        BackupRetentionPeriod=1,
    )  # fmt: skip
    sandbox.follow(name)
    arn = sandbox.instance(name)["DBInstanceArn"]
    assert refusal(partial(create, SourceDBInstanceIdentifier=arn, KmsKeyId=key)) == (
        "InvalidParameterCombination",
        "Cannot create an encrypted read replica from unencrypted source.",
    )
    create(SourceDBInstanceIdentifier=arn)
    assert wait(rds, "available")["ReadReplicaSourceDBInstanceIdentifier"] == arn
    sandbox.remove(name)
    deadline = time.monotonic() + PATIENCE
    while "ReadReplicaSourceDBInstanceIdentifier" in (wait(rds, "available")):
        assert time.monotonic() < deadline
    rds.delete_db_instance(DBInstanceIdentifier="far", SkipFinalSnapshot=True)
    wait(rds, None)

"""A replica in another Region than the primary, and primaries that are members of clusters: by the real program."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from replica_access.aws.ownership import as_mapping
from replica_access.sandbox.record import RecordedCall
from tests.e2e.iam import asked_by, refused
from tests.sandbox_fixtures import PATIENCE

from .desk import SPEC, Desk, assert_told, desk

__all__ = ["desk"]

ELSEWHERE = "ap-southeast-4"


# --- another Region --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def key(desk: Desk) -> str:
    made: str = desk.sandbox.client("kms", ELSEWHERE).create_key()["KeyMetadata"]["Arn"]
    return made


def declare(desk: Desk, name: str, region: str = ELSEWHERE, **replica: str) -> None:
    more = "".join(f'{key} = "{value}"\n' for key, value in replica.items())
    text = SPEC.format(replica=name).replace("[[network.allow]]", f"{more}[[network.allow]]")
    text = text.replace('instance = "prod-db"', f'instance = "{desk.sandbox.instance()["DBInstanceArn"]}"')
    text += f'[aws]\nregion = "{region}"\n' if region else ""
    desk.program.spec.write_text(text, encoding="utf-8")


def remove_far(desk: Desk, name: str) -> None:
    rds, ec2 = (desk.sandbox.client(service, ELSEWHERE) for service in ("rds", "ec2"))
    try:
        rds.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)
    except rds.exceptions.DBInstanceNotFoundFault:
        return
    deadline = time.monotonic() + PATIENCE
    while any(each["DBInstanceIdentifier"] == name for each in rds.describe_db_instances()["DBInstances"]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    filters = [{"Name": "group-name", "Values": [f"replica-access-{name}"]}]
    for group in ec2.describe_security_groups(Filters=filters)["SecurityGroups"]:
        while True:
            try:
                ec2.delete_security_group(GroupId=group["GroupId"])
            except ClientError:  # its network interface lingers
                assert time.monotonic() < deadline
                time.sleep(0.05)
            else:
                break


def test_a_replica_in_another_region(desk: Desk, key: str) -> None:
    name = desk.sandbox.name("far")
    declare(desk, name, subnet_group="sandbox-public", kms_key=key)
    text = desk.program.spec.read_text(encoding="utf-8")
    desk.program.spec.write_text(f'{text}[replica.parameters]\nhot_standby_feedback = "1"\n', encoding="utf-8")
    try:
        with desk.sandbox.recording(by="replica-access/") as calls:
            assert_told(desk.run("check"), 0, f"✓ account: 123456789012 in {ELSEWHERE}", f"✓ KMS key: {key}")
            applied = desk.run("--format", "json", "apply", "--yes")
            assert_told(applied, 0)
        proof: dict[str, Any] = applied.document["proof"]
        assert (proof["ok"], proof["same_system"], proof["in_recovery"]) == (True, True, True)
        rds = desk.sandbox.client("rds", ELSEWHERE)
        made = rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]
        assert made["ReadReplicaSourceDBInstanceIdentifier"] == desk.sandbox.instance()["DBInstanceArn"]
        assert made["KmsKeyId"] == key
        assert name not in desk.sandbox.names()
        assert_told(desk.run("plan", "--check"), 0, "Nothing to do")
        assert_told(desk.run("verify"), 0)
        assert_allowed(desk, calls)
    finally:
        remove_far(desk, name)


def assert_allowed(desk: Desk, calls: list[RecordedCall]) -> None:
    """What is exported for whoever provisions holds in both Regions."""
    policy = desk.run("export", "iam-policy", "--for", "provision").document
    groups = desk.sandbox.client("ec2", ELSEWHERE).describe_security_groups()["SecurityGroups"]
    tags = {group["GroupId"]: as_mapping(group.get("Tags", ())) for group in groups}
    assert {call.region for call in calls} == {ELSEWHERE, desk.sandbox.status.region}
    assert refused(policy, [asked for call in calls for asked in asked_by(call, tags)]) == []


def test_what_another_region_needs_is_told_at_once(desk: Desk) -> None:
    declare(desk, desk.sandbox.name("far"))
    ran = desk.run("check")
    assert_told(ran, 1, "✗ KMS key: prod-db is encrypted, and its key does not leave ap-southeast-2",
                f"aws kms list-aliases --region {ELSEWHERE}", "✗ subnet group: prod-db is in ap-southeast-2",
                f"name a subnet group of {ELSEWHERE} in replica.subnet_group")  # fmt: skip


def test_another_region_is_never_meant_by_accident(desk: Desk) -> None:
    declare(desk, desk.sandbox.name("far"), region="")
    ran = desk.run("check", AWS_DEFAULT_REGION=ELSEWHERE, AWS_REGION=ELSEWHERE)
    assert_told(ran, 2, f"is in ap-southeast-2, and this run works in {ELSEWHERE}", "Set region in [aws] of the spec")


# --- clusters --------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["aurora-postgresql", "postgres"])
def member(request: pytest.FixtureRequest, desk: Desk) -> Iterator[tuple[str, str, str]]:
    """An engine, a cluster of it and one of the cluster's instances."""
    rds, engine, name = desk.sandbox.rds, str(request.param), desk.sandbox.name("cluster")
    known = {"DBClusterIdentifier": name, "Engine": engine, "DBSubnetGroupName": "sandbox-private"}
    master = {"MasterUsername": "boss", "MasterUserPassword": "correct-horse"}
    if engine == "postgres":
        size = {"DBClusterInstanceClass": "db.m6g.large", "AllocatedStorage": 100, "StorageType": "io1", "Iops": 1000}
        rds.create_db_cluster(**known, **master, **size)
        yield engine, name, f"{name}-instance-1"
    else:
        writer = {"DBInstanceIdentifier": f"{name}-writer", "DBInstanceClass": "db.r6g.large"}
        rds.create_db_cluster(**known, **master)
        rds.create_db_instance(**writer, DBClusterIdentifier=name, Engine=engine)
        yield engine, name, f"{name}-writer"
        rds.delete_db_instance(DBInstanceIdentifier=f"{name}-writer", SkipFinalSnapshot=True)
    rds.delete_db_cluster(DBClusterIdentifier=name, SkipFinalSnapshot=True)


DIFFERS = {
    "aurora-postgresql": ("an Aurora cluster", "a failover can make it the writer", "Aurora is not supported yet"),
    "postgres": (
        "a Multi-AZ DB cluster",
        "replicas are made of the cluster, not of its members",
        "Multi-AZ DB clusters are not supported yet",
    ),
}


def test_a_member_of_a_cluster_is_recognised_with_what_differs(desk: Desk, member: tuple[str, str, str]) -> None:
    engine, cluster, instance = member
    spec = SPEC.format(replica="x").replace('"prod-db"', f'"{instance}"')
    desk.program.spec.write_text(spec, encoding="utf-8")
    assert_told(desk.run("check"), 1, f"✗ cluster: {instance} belongs to {cluster}, ", *DIFFERS[engine])
    assert_told(desk.run("apply", "--yes"), 1, f"cluster: {instance} belongs to {cluster}, ")


def test_a_cluster_named_as_an_instance_is_told_by_its_members(desk: Desk, member: tuple[str, str, str]) -> None:
    _, cluster, instance = member
    spec = SPEC.format(replica="x").replace('"prod-db"', f'"{cluster}"')
    desk.program.spec.write_text(spec, encoding="utf-8")
    ran = desk.run("check")
    assert_told(ran, 1, f"{cluster} is a DB cluster", instance, "Only single DB instances are supported")

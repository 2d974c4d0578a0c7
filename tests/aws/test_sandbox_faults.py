"""Faults on request, over the wire: what a client of the sandbox meets, and what the sandbox records of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

from replica_access.errors import Error
from replica_access.sandbox import control, lifecycle
from replica_access.sandbox.faults import LostAnswer, NextError, Turn
from tests.sandbox_fixtures import PATIENCE, Sandbox, refusal, running_sandbox


def look_at(sandbox: Sandbox, service: str) -> Callable[[], object]:
    """A call that changes nothing, of each kind of service."""
    calls: dict[str, Callable[[], object]] = {
        "ec2": sandbox.ec2.describe_vpcs,
        "rds": sandbox.rds.describe_db_instances,
        "secretsmanager": lambda: sandbox.client("secretsmanager").describe_secret(SecretId="prod-db/master"),
        "sts": sandbox.client("sts").get_caller_identity,
    }
    return calls[service]


def answer(call: Callable[[], object]) -> tuple[str, str, int]:
    """The code, the message and the HTTP status of a refused call."""
    with pytest.raises(ClientError) as caught:
        call()
    error, about = caught.value.response["Error"], caught.value.response["ResponseMetadata"]
    return error["Code"], error["Message"], about["HTTPStatusCode"]


# --- refused calls


@pytest.mark.parametrize(
    ("service", "action", "code", "status"),
    [
        ("ec2", "ec2:DescribeVpcs", "UnauthorizedOperation", 403),
        ("rds", "rds:DescribeDBInstances", "AccessDenied", 403),
        ("secretsmanager", "secretsmanager:DescribeSecret", "AccessDeniedException", 400),
        ("sts", "sts:GetCallerIdentity", "AccessDenied", 403),
    ],
)
def test_a_denied_action_is_refused_as_its_service_refuses(
    sandbox: Sandbox, service: str, action: str, code: str, status: int
) -> None:
    call = look_at(sandbox, service)
    call()
    with sandbox.faults(deny=(action,)):
        got_code, message, got_status = answer(call)
        assert (got_code, got_status) == (code, status)
        assert f"is not authorized to perform: {action} because no identity-based policy allows" in message
        for other in {"ec2", "rds", "secretsmanager", "sts"} - {service}:
            look_at(sandbox, other)()
    call()


def test_a_pattern_denies_a_family_and_tags_take_a_permission_of_their_own(sandbox: Sandbox) -> None:
    with sandbox.faults(deny=("rds:Describe*", "ec2:CreateTags", "rds:AddTagsToResource")):
        assert refusal(sandbox.rds.describe_db_subnet_groups)[0] == "AccessDenied"
        make_group: dict[str, Any] = {"GroupName": sandbox.name("tagged"), "Description": "test", "VpcId": vpc(sandbox)}
        tags = [{"ResourceType": "security-group", "Tags": [{"Key": "a", "Value": "b"}]}]
        code, message = refusal(lambda: sandbox.ec2.create_security_group(**make_group, TagSpecifications=tags))
        assert code == "UnauthorizedOperation"
        assert "ec2:CreateTags" in message
        group = sandbox.ec2.create_security_group(**make_group)["GroupId"]
        sandbox.ec2.delete_security_group(GroupId=group)
        code, message = refusal(
            lambda: sandbox.rds.create_db_parameter_group(
                DBParameterGroupName="never", DBParameterGroupFamily="postgres17", Description="test",
                Tags=[{"Key": "a", "Value": "b"}],
            )
        )  # fmt: skip
        assert (code, "rds:AddTagsToResource" in message) == ("AccessDenied", True)


def vpc(sandbox: Sandbox) -> str:
    [found] = sandbox.ec2.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": ["sandbox"]}])["Vpcs"]
    return str(found["VpcId"])


def test_a_dry_run_tells_what_is_allowed_and_does_nothing(sandbox: Sandbox) -> None:
    create: dict[str, Any] = {
        "GroupName": sandbox.name("dry"), "Description": "test", "VpcId": vpc(sandbox), "DryRun": True
    }  # fmt: skip
    would = ("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)
    assert answer(lambda: sandbox.ec2.create_security_group(**create)) == would
    assert answer(lambda: sandbox.ec2.modify_vpc_block_public_access_options(
        InternetGatewayBlockMode="off", DryRun=True)) == would  # fmt: skip
    with sandbox.faults(deny=("ec2:CreateSecurityGroup",)):
        code, _, status = answer(lambda: sandbox.ec2.create_security_group(**create))
        assert (code, status) == ("UnauthorizedOperation", 403)
    found = sandbox.ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": [create["GroupName"]]}])
    assert found["SecurityGroups"] == []


@pytest.mark.parametrize(
    ("service", "code", "message", "status"),
    [
        ("ec2", "RequestLimitExceeded", "Request limit exceeded.", 503),
        ("rds", "Throttling", "Rate exceeded", 400),
        ("secretsmanager", "ThrottlingException", "Rate exceeded", 400),
        ("sts", "Throttling", "Rate exceeded", 400),
    ],
)
def test_every_third_call_is_throttled(sandbox: Sandbox, service: str, code: str, message: str, status: int) -> None:
    call = look_at(sandbox, service)
    with sandbox.faults(throttle=3):
        for _ in range(2):
            call()
            call()
            assert answer(call) == (code, message, status)


@pytest.mark.parametrize(
    ("service", "code", "status"),
    [
        ("ec2", "AuthFailure", 401),
        ("rds", "InvalidClientTokenId", 403),
        ("secretsmanager", "UnrecognizedClientException", 400),
        ("sts", "InvalidClientTokenId", 403),
    ],
)
def test_a_region_that_is_not_opted_in_knows_nobody(sandbox: Sandbox, service: str, code: str, status: int) -> None:
    calls = {
        "ec2": "describe_vpcs",
        "rds": "describe_db_instances",
        "secretsmanager": "list_secrets",
        "sts": "get_caller_identity",
    }
    there = getattr(sandbox.client(service, "ap-southeast-4"), calls[service])
    there()
    with sandbox.faults(opted_out=("ap-southeast-4",)):
        got_code, message, got_status = answer(there)
        assert (got_code, got_status) == (code, status)
        assert message
        look_at(sandbox, service)()
    there()


@pytest.mark.parametrize(
    ("service", "code", "message", "status"),
    [
        ("ec2", "RequestExpired", "Request has expired.", 400),
        ("rds", "ExpiredToken", "The security token included in the request is expired", 403),
        ("secretsmanager", "ExpiredTokenException", "The security token included in the request is expired", 400),
    ],
)
def test_credentials_expire_midway(sandbox: Sandbox, service: str, code: str, message: str, status: int) -> None:
    call = look_at(sandbox, service)
    with sandbox.faults(expire=1):
        call()
        for _ in range(2):
            assert answer(call) == (code, message, status)
    call()


def test_the_next_call_of_an_action_is_refused_once(sandbox: Sandbox) -> None:
    error = NextError("rds:CreateDBInstanceReadReplica", "InstanceQuotaExceeded", "Instance quota exceeded")
    create = {"DBInstanceIdentifier": sandbox.name("late"), "SourceDBInstanceIdentifier": "prod-db"}
    with sandbox.faults(next=(error,)):
        look_at(sandbox, "rds")()
        assert answer(lambda: sandbox.rds.create_db_instance_read_replica(**create)) == (
            "InstanceQuotaExceeded",
            "Instance quota exceeded",
            400,
        )
        with pytest.raises(sandbox.rds.exceptions.DBInstanceNotFoundFault):
            sandbox.instance(create["DBInstanceIdentifier"])
        sandbox.rds.create_db_instance_read_replica(**create)
    sandbox.follow(create["DBInstanceIdentifier"])
    sandbox.remove(create["DBInstanceIdentifier"])


# --- lost answers


def groups(sandbox: Sandbox, name: str) -> list[str]:
    found = sandbox.ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": [name]}])
    return [group["GroupId"] for group in found["SecurityGroups"]]


@pytest.mark.parametrize("acts", [True, False])
def test_the_answer_of_a_call_is_lost_whether_aws_acted_or_not(sandbox: Sandbox, acts: bool) -> None:
    name = sandbox.name("lost")
    create: dict[str, Any] = {"Description": "test", "VpcId": vpc(sandbox)}
    with sandbox.faults(lose=(LostAnswer("ec2:CreateSecurityGroup", call=2, acts=acts),)):
        first = sandbox.ec2.create_security_group(GroupName=f"{name}-first", **create)["GroupId"]
        with sandbox.recording() as heard, pytest.raises(ConnectionClosedError):
            sandbox.ec2.create_security_group(GroupName=name, **create)
        made = groups(sandbox, name)
        assert len(made) == int(acts)
        third = sandbox.ec2.create_security_group(GroupName=f"{name}-third", **create)["GroupId"]
    assert [(call.operation, call.answered, call.error) for call in heard] == [("CreateSecurityGroup", False, None)]
    for group in [first, *made, third]:
        sandbox.ec2.delete_security_group(GroupId=group)


def test_from_some_call_on_nothing_gets_through(sandbox: Sandbox) -> None:
    with sandbox.faults(lose=(LostAnswer("*", call=2, acts=False, onwards=True),)):
        look_at(sandbox, "rds")()
        for service in ("rds", "ec2", "secretsmanager"):
            with pytest.raises(ConnectionClosedError):
                look_at(sandbox, service)()
    look_at(sandbox, "rds")()


# --- instances


def test_a_creation_stays_where_it_is_held_until_it_is_released(sandbox: Sandbox) -> None:
    name = sandbox.name("held")
    with sandbox.faults(hold={name: "creating"}):
        sandbox.rds.create_db_instance_read_replica(DBInstanceIdentifier=name, SourceDBInstanceIdentifier="prod-db")
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            found = sandbox.instance(name)
            assert (found["DBInstanceStatus"], "Endpoint" in found) == ("creating", False)
            time.sleep(0.2)
    sandbox.follow(name)
    with sandbox.faults(hold={name: "modifying"}):
        sandbox.rds.modify_db_instance(DBInstanceIdentifier=name, DBInstanceClass="db.r6g.large", ApplyImmediately=True)
        sandbox.follow(name, "modifying")
        time.sleep(1)
        assert sandbox.instance(name)["DBInstanceStatus"] == "modifying"
        assert sandbox.instance(name)["PendingModifiedValues"] == {"DBInstanceClass": "db.r6g.large"}
    assert sandbox.settle(name)["DBInstanceClass"] == "db.r6g.large"
    sandbox.remove(name)


def test_the_source_turns_modifying_midway(sandbox: Sandbox) -> None:
    create = {"DBInstanceIdentifier": sandbox.name("midway"), "SourceDBInstanceIdentifier": "prod-db"}
    turn = Turn("prod-db", "modifying", before="rds:CreateDBInstanceReadReplica", seconds=2)
    with sandbox.faults(turn=(turn,)):
        assert sandbox.instance()["DBInstanceStatus"] == "available"
        assert refusal(lambda: sandbox.rds.create_db_instance_read_replica(**create)) == (
            "InvalidDBInstanceState",
            "Database instance is not in available state.",
        )
        assert sandbox.instance()["DBInstanceStatus"] == "modifying"
        sandbox.follow("prod-db")
    with sandbox.faults(turn=(Turn("prod-db", "storage-full"),)):
        assert sandbox.instance()["DBInstanceStatus"] == "storage-full"
        time.sleep(0.5)
        assert sandbox.instance()["DBInstanceStatus"] == "storage-full"
    sandbox.follow("prod-db")


@pytest.mark.parametrize(
    ("status", "telling"),
    [
        ("incompatible-network", "Database instance in incompatible network. IP CHECK"),
        ("insufficient-capacity", "has no capacity for this DB instance class"),
        ("incompatible-parameters", "Database instance put into incompatible-parameters state."),
        ("failed", "We recommend that you begin a point-in-time-restore."),
    ],
)
def test_the_creation_of_a_replica_fails_with_an_event(sandbox: Sandbox, status: str, telling: str) -> None:
    name = sandbox.name("doomed")
    with sandbox.faults(fail={name: status}):
        sandbox.rds.create_db_instance_read_replica(DBInstanceIdentifier=name, SourceDBInstanceIdentifier="prod-db")
        assert sandbox.follow(name, status) == ["creating", status]
    found = sandbox.instance(name)
    assert "Endpoint" not in found
    [event] = sandbox.rds.describe_events(SourceIdentifier=name, SourceType="db-instance")["Events"]
    assert event["EventCategories"] == ["failure"]
    assert telling in event["Message"]
    assert name in sandbox.instance()["ReadReplicaDBInstanceIdentifiers"]
    sandbox.remove(name)
    assert name not in sandbox.instance()["ReadReplicaDBInstanceIdentifiers"]


def test_no_fault_keeps_a_sandbox_from_its_end(tmp_path: Path) -> None:
    with running_sandbox(tmp_path / "held", empty=True) as own:
        control.ask(own.status.directory, control.FAULTS_PATH, "PUT", {"linger": 3600})
        own.rds.modify_db_instance(DBInstanceIdentifier="prod-db", DeletionProtection=False)
        own.rds.delete_db_instance(DBInstanceIdentifier="prod-db", SkipFinalSnapshot=True)
        deadline = time.monotonic() + PATIENCE
        while own.names():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert len(own.interfaces()) == 1
        begun = time.monotonic()
        lifecycle.stop(own.status.directory)
    assert time.monotonic() - begun < lifecycle.STOP_SECONDS  # after which it would have been killed
    assert not (tmp_path / "held").exists()


# --- the record


def test_calls_are_recorded_in_order_with_what_they_need_and_without_secrets(sandbox: Sandbox) -> None:
    secrets = sandbox.client("secretsmanager")
    name, password = sandbox.name("recorded"), "rather-secret-7"
    with sandbox.recording() as heard:
        made = secrets.create_secret(Name=name, SecretString=password, Tags=[{"Key": "a", "Value": "b"}])
        secrets.put_secret_value(SecretId=name, SecretString=password)
        secrets.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
        refusal(lambda: sandbox.instance("nowhere"))
        refusal(lambda: sandbox.ec2.describe_vpcs(DryRun=True, Filters=[{"Name": "vpc-id", "Values": ["vpc-1"]}]))
        refusal(lambda: sandbox.rds.modify_db_instance(DBInstanceIdentifier="nowhere", MasterUserPassword=password))
    assert [(call.service, call.operation, call.error, call.dry_run) for call in heard] == [
        ("secretsmanager", "CreateSecret", None, False),
        ("secretsmanager", "PutSecretValue", None, False),
        ("secretsmanager", "DeleteSecret", None, False),
        ("rds", "DescribeDBInstances", "DBInstanceNotFound", False),
        ("ec2", "DescribeVpcs", "DryRunOperation", True),
        ("rds", "ModifyDBInstance", "DBInstanceNotFound", False),
    ]
    assert {call.region for call in heard} == {sandbox.status.region}
    assert heard[0].actions == ("secretsmanager:CreateSecret", "secretsmanager:TagResource")
    assert heard[0].parameters["Name"] == name in made["Name"]
    assert heard[0].parameters["SecretString"] == "****"
    assert heard[4].parameters == {"Filters": [{"Name": "vpc-id", "Values": ["vpc-1"]}]}
    assert heard[5].parameters == {"DBInstanceIdentifier": "nowhere", "MasterUserPassword": "****"}
    assert password not in str([call.parameters for call in heard])
    assert password not in (sandbox.status.directory / "endpoint.log").read_text(encoding="utf-8")


def test_only_one_client_can_be_meant(sandbox: Sandbox) -> None:
    session: Any = boto3.Session("sandbox", "sandbox", region_name=sandbox.status.region)
    named = session.client(
        "rds",
        endpoint_url=sandbox.status.endpoint_url,
        config=Config(user_agent_extra="the-tool/1", retries={"total_max_attempts": 1}),
    )
    with sandbox.faults(deny=("rds:*",), by="the-tool/"), sandbox.recording(by="the-tool/") as heard:
        sandbox.rds.describe_db_instances()
        assert refusal(named.describe_db_instances)[0] == "AccessDenied"
    assert [call.error for call in heard] == ["AccessDenied"]
    named.close()


def test_faults_end_with_their_block_and_the_former_are_back(sandbox: Sandbox) -> None:
    with sandbox.faults(deny=("rds:DescribeDBInstances",)):
        with sandbox.faults(deny=("ec2:DescribeVpcs",)):
            look_at(sandbox, "rds")()
        assert refusal(look_at(sandbox, "rds"))[0] == "AccessDenied"
    look_at(sandbox, "rds")()


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ({"denied": []}, "unknown: denied; known: deny, throttle"),
        ({"throttle": 0}, "counts calls from one"),
        ({"lose": [{"when": 1}]}, "unknown: when"),
        ({"turn": [{"instance": "nowhere", "status": "modifying"}]}, "no instance nowhere"),
        ([], "no object"),
    ],
)
def test_a_document_that_is_wrong_is_refused_and_puts_nothing_in_force(
    sandbox: Sandbox, document: object, why: str
) -> None:
    with pytest.raises(Error, match=why):
        control.ask(sandbox.status.directory, control.FAULTS_PATH, "PUT", document)
    assert control.ask(sandbox.status.directory, control.FAULTS_PATH)["deny"] == []


@pytest.mark.parametrize("path", [control.FAULTS_PATH, control.CALLS_PATH])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_nobody_directs_the_sandbox_without_its_token(sandbox: Sandbox, path: str, method: str) -> None:
    connection = HTTPConnection(urlsplit(sandbox.status.endpoint_url).netloc, timeout=10)
    connection.request(method, path, "{}", headers={"Authorization": "Bearer guessed"})
    assert connection.getresponse().status == 403
    connection.close()

"""What AWS refuses, and how a person hears of it: over the wire, from the real program, with its exit status.

The rows are the errors of CreateDBInstanceReadReplica that the RDS API reference lists and that can be met here, then
what any call can meet: throttling, credentials, permissions, Regions, and answers that are not AWS's.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from replica_access.sandbox.faults import Faults, LostAnswer, NextError, Turn

from .desk import Desk, assert_told, desk
from .stage import remove

__all__ = ["desk"]

CREATE = "rds:CreateDBInstanceReadReplica"
# --- the errors of the call that makes the replica -------------------------------------------------------------------

REFUSED: Mapping[str, tuple[int, str]] = {
    "CertificateNotFound": (404, "describe-certificates"),
    "DBInstanceNotFound": (404, "Somebody has deleted or renamed it meanwhile. `replica-access check`"),
    "DBParameterGroupNotFound": (404, "Somebody has deleted it meanwhile"),
    "DBSubnetGroupDoesNotCoverEnoughAZs": (400, "it needs subnets in two availability zones"),
    "DBSubnetGroupNotAllowedFault": (400, "Correct replica.subnet_group in the spec; `same`"),
    "DBSubnetGroupNotFoundFault": (404, "aws rds describe-db-subnet-groups"),
    "InstanceQuotaExceeded": (400, "raise the quota in Service Quotas (rds)"),
    "InsufficientDBInstanceCapacity": (400, "Choose another replica.class, or run the same command again later"),
    "InvalidDBSubnetGroupFault": (400, "all replicas of a source are in one VPC"),
    "InvalidParameterCombination": (400, "RDS does not take these together: correct [replica] in the spec"),
    "InvalidParameterValue": (400, "Correct [replica] in the spec"),
    "InvalidSubnet": (400, "its subnets have to be there, and in one VPC"),
    "InvalidVPCNetworkStateFault": (400, "`replica-access check` shows what the VPC lacks"),
    "KMSKeyNotAccessibleFault": (400, "kms:DescribeKey and kms:CreateGrant"),
    "NetworkTypeNotSupported": (400, "it has no IPv6 addresses to give"),
    "OptionGroupNotFoundFault": (404, "option group of the source"),
    "ProvisionedIopsNotAvailableInAZFault": (400, "Use a subnet group in other zones"),
    "StorageQuotaExceeded": (400, "Raise the storage quota in Service Quotas (rds)"),
    "StorageTypeNotSupported": (400, "Choose a replica.class that takes the storage of the source"),
    "VpcEncryptionControlViolationException": (400, "choose a replica.class on Nitro"),
    "SomethingNew": (400, "the same command goes on from there"),
}


@pytest.mark.parametrize("code", REFUSED)
def test_what_rds_refuses_names_call_resource_code_and_what_to_do(desk: Desk, code: str) -> None:
    status, fix = REFUSED[code]
    faults = Faults(next=(NextError(CREATE, code, "Because it is so.", status),))
    ran = desk.run("apply", "--yes", faults=faults)
    assert_told(ran, 1, f"{CREATE} on {desk.replica} failed: Because it is so ({code}).", fix)
    assert desk.replica not in desk.sandbox.names()


def test_a_source_that_lets_no_replica_be_made_of_it(desk: Desk) -> None:
    """RDS has one code for a source that is busy and for one that never will do: its state decides, and patience."""
    error = NextError(CREATE, "InvalidDBInstanceState", "Not now.")
    ran = desk.run("apply", "--yes", faults=Faults(next=(error,) * 9))
    assert_told(ran, 1, f"{CREATE} on {desk.replica} failed: Not now (InvalidDBInstanceState).", "Wait until it is")


def test_a_source_in_a_state_that_it_does_not_leave(desk: Desk) -> None:
    try:
        turn = Turn("prod-db", "incompatible-network", before=CREATE)
        ran = desk.run("apply", "--yes", faults=Faults(turn=(turn,)))
        assert_told(ran, 1, CREATE, "(InvalidDBInstanceState): prod-db is incompatible-network.", "by itself")
    finally:
        desk.sandbox.follow("prod-db")


def test_a_source_that_is_busy_midway_is_waited_for(desk: Desk) -> None:
    turn = Turn("prod-db", "modifying", before=CREATE, seconds=2)
    ran = desk.run("apply", "--yes", "-v", faults=Faults(turn=(turn,)))
    assert_told(ran, 0, "prod-db is modifying: waiting")
    assert desk.sandbox.instance(desk.replica)["DBInstanceStatus"] == "available"
    remove(desk.sandbox, desk.replica)


def test_a_replica_whose_making_was_answered_by_nobody_is_taken_for_ours(desk: Desk) -> None:
    """The call is repeated, RDS says DBInstanceAlreadyExists, and the tag says whose it is."""
    ran = desk.run("apply", "--yes", faults=Faults(lose=(LostAnswer(CREATE),)))
    assert_told(ran, 0)
    remove(desk.sandbox, desk.replica)


# --- permissions -----------------------------------------------------------------------------------------------------

DENIED: Mapping[str, tuple[str, int, str]] = {
    "rds:DescribeDBInstances": ("check", 1, "AWS denied rds:DescribeDBInstances on prod-db"),
    "rds:DescribeDBSubnetGroups": ("check", 0, ""),
    "rds:DescribeAccountAttributes": ("check", 4, "? quotas: AWS denied rds:DescribeAccountAttributes"),
    "rds:DescribeOrderableDBInstanceOptions": (
        "check", 4, "? instance class: AWS denied rds:DescribeOrderableDBInstanceOptions",
    ),
    "ec2:DescribeInternetGateways": ("check", 4, "? internet gateway: AWS denied ec2:DescribeInternetGateways"),
    "ec2:DescribeNetworkAcls": ("check", 4, "? network ACL: AWS denied ec2:DescribeNetworkAcls"),
    "ec2:DescribeRouteTables": ("check", 4, "? routes: AWS denied ec2:DescribeRouteTables"),
    "ec2:DescribeSubnets": ("check", 4, "? zones: AWS denied ec2:DescribeSubnets"),
    "ec2:DescribeVpcAttribute": ("check", 4, "? VPC DNS support: AWS denied ec2:DescribeVpcAttribute"),
    "ec2:DescribeVpcBlockPublicAccessOptions": ("check", 4, "? block public access: AWS denied"),
    "ec2:CreateSecurityGroup": ("check", 1, "✗ permissions: AWS denied ec2:CreateSecurityGroup"),
    "ec2:CreateTags": ("check", 1, "and for ec2:CreateTags, which AWS names,"),
    "secretsmanager:GetSecretValue": ("check", 1, "✗ primary: AWS denied secretsmanager:GetSecretValue on prod-db"),
    "sts:GetCallerIdentity": ("check", 4, "? caller: AWS denied sts:GetCallerIdentity"),
}  # fmt: skip


@pytest.mark.parametrize("action", DENIED)
def test_what_is_denied_is_named_with_the_permission(desk: Desk, action: str) -> None:
    remove(desk.sandbox, desk.replica)  # with its security group, so that making one is in the plan
    command, status, words = DENIED[action]
    ran = desk.run(command, faults=Faults(deny=(action,)))
    assert_told(ran, status, words)
    if status:
        assert_told(ran, status, f"Ask for the permission {'ec2:CreateSecurityGroup' if 'Tags' in action else action}")


@pytest.mark.parametrize(("action", "words"), [
    (CREATE, f"Ask for the permission {CREATE}"),
    ("rds:AddTagsToResource", "and for rds:AddTagsToResource, which AWS names, and run the same command again"),
    ("ec2:AuthorizeSecurityGroupIngress", "Ask for the permission ec2:AuthorizeSecurityGroupIngress"),
])  # fmt: skip
def test_what_no_dry_run_could_tell_is_told_by_doing_it(desk: Desk, action: str, words: str) -> None:
    remove(desk.sandbox, desk.replica)
    ran = desk.run("apply", "--yes", faults=Faults(deny=(action,)))
    assert_told(ran, 1, "AWS denied", words)
    assert desk.replica not in desk.sandbox.names()


# --- throttling, credentials, Regions --------------------------------------------------------------------------------


def test_throttling_that_never_ends(desk: Desk) -> None:
    ran = desk.run("verify", faults=Faults(throttle=1))
    assert_told(
        ran,
        1,
        "AWS keeps throttling rds:DescribeDBInstances on ",
        "Run the same command again in a minute: it goes on where it stopped.",
    )


@pytest.mark.slow
def test_throttling_that_ends_is_not_noticed(desk: Desk) -> None:
    assert_told(desk.run("plan", faults=Faults(throttle=4)), 0, desk.replica)


@pytest.mark.slow
def test_a_read_that_is_throttled_for_ever_is_not_checked(desk: Desk) -> None:
    error = NextError("ec2:DescribeNetworkAcls", "RequestLimitExceeded", "Slower.", 503)
    ran = desk.run("check", faults=Faults(next=(error,) * 9))
    assert_told(ran, 4, "? network ACL: AWS keeps throttling ec2:DescribeNetworkAcls (RequestLimitExceeded).")


def test_a_dry_run_that_fails_otherwise_is_not_checked(desk: Desk) -> None:
    remove(desk.sandbox, desk.replica)  # with its security group, so that making one is in the plan
    error = NextError("ec2:CreateSecurityGroup", "InvalidParameterValue", "Not so.")
    ran = desk.run("check", faults=Faults(next=(error,)))
    assert_told(ran, 4, "? permissions: ec2:CreateSecurityGroup: ", "Not so (InvalidParameterValue).")


def test_aws_unwell(desk: Desk) -> None:
    error = NextError("rds:DescribeDBInstances", "InternalFailure", "Oh.", 500)
    ran = desk.run("plan", faults=Faults(next=(error,) * 20))
    assert_told(ran, 1, "AWS failed in rds:DescribeDBInstances on", "Oh (InternalFailure).", "in a minute")


def test_credentials_that_have_expired(desk: Desk) -> None:
    assert_told(desk.run("plan", faults=Faults(expire=0)), 1, "The AWS credentials have expired", "aws sso login")


@pytest.mark.parametrize(("service", "code"), [("rds:CreateDBInstanceReadReplica", "ExpiredToken"),
                                               ("ec2:DescribeSubnets", "RequestExpired"),
                                               ("secretsmanager:GetSecretValue", "ExpiredTokenException")])  # fmt: skip
def test_credentials_that_expire_midway(desk: Desk, service: str, code: str) -> None:
    ran = desk.run("apply", "--yes", faults=Faults(next=(NextError(service, code, "Too late.", 403),)))
    assert_told(ran, 1, f"The AWS credentials have expired ({code}).", "it goes on where it stopped")


@pytest.mark.parametrize("code", ["InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch"])
def test_credentials_that_aws_does_not_know(desk: Desk, code: str) -> None:
    ran = desk.run("plan", faults=Faults(next=(NextError("rds:DescribeDBInstances", code, "Who?", 403),)))
    assert_told(ran, 1, f"AWS in ap-southeast-2 does not accept these credentials: Who? ({code}).", "enabled")


def test_a_region_that_the_account_has_not_opted_into(desk: Desk) -> None:
    error = NextError("rds:DescribeDBInstances", "OptInRequired", "You are not subscribed to this service.", 403)
    ran = desk.run("plan", faults=Faults(next=(error,)))
    assert_told(ran, 1, "The Region ap-southeast-2", "is not enabled for the account", "aws account enable-region")


def test_no_region_at_all(desk: Desk) -> None:
    ran = desk.run("plan", AWS_REGION="", AWS_DEFAULT_REGION="")
    assert_told(ran, 1, "No AWS Region is set.", "Set region in [aws] of the spec, or AWS_REGION")


# --- answers that are not AWS's --------------------------------------------------------------------------------------


def test_an_endpoint_that_nobody_listens_on(desk: Desk) -> None:
    ran = desk.run("plan", AWS_ENDPOINT_URL="http://127.0.0.1:1")
    assert_told(ran, 1, "AWS in ap-southeast-2 does not answer", "AWS_ENDPOINT_URL")


def test_a_network_without_a_way_to_sts(desk: Desk) -> None:
    ran = desk.run("check", AWS_ENDPOINT_URL_STS="http://127.0.0.1:1")
    assert_told(ran, 4, "? caller: sts:GetCallerIdentity: AWS in ap-southeast-2 does not answer", "✓ engine: ")


LOGIN_PAGE = b"<!DOCTYPE html><html><body><form>Welcome to our network<br></form></body></html>"
ANSWERS = {
    "a login page": (200, LOGIN_PAGE, "is not AWS."),
    "well-formed XML": (200, b"<html><body>Welcome</body></html>", "is not AWS."),
    "nothing": (200, b"", "is not AWS."),
    "JSON": (200, b"{}", "is not AWS."),
    "a redirection": (302, b"", "is not AWS"),
    "a proxy that refuses": (403, b"<html/>", "is not AWS"),
    "a proxy that cannot": (503, b"<html>Wait<br>", "is not AWS, but HTTP 503."),
}


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """Something that answers every request in the same way; yields its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    serving = threading.Thread(target=server.serve_forever, args=(0.05,))
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


@pytest.mark.parametrize("what", ANSWERS)
def test_an_answer_that_is_not_awss(desk: Desk, what: str) -> None:
    status, body, words = ANSWERS[what]
    with answering(status, body) as url:
        ran = desk.run("plan", AWS_ENDPOINT_URL=url)
    assert_told(ran, 1, "what answers for AWS in ap-southeast-2", words, "AWS_ENDPOINT_URL and HTTPS_PROXY")


@pytest.mark.parametrize("service", ["EC2", "STS", "SECRETS_MANAGER"])
def test_one_service_that_is_not_aws_is_never_taken_for_an_empty_account(desk: Desk, service: str) -> None:
    """botocore reads an empty answer into a well-formed page: as if there were no subnet, no group, no secret."""
    with answering(200, b"<html><body>Welcome</body></html>") as url:
        ran = desk.program("check", **{f"AWS_ENDPOINT_URL_{service}": url})
    assert_told(ran, 1 if service == "SECRETS_MANAGER" else 4, "what answers for AWS in ap-southeast-2 is not AWS.")

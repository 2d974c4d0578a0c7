"""What botocore raises becomes one of our errors, by its code; and nothing of a secret gets into it."""

from __future__ import annotations

import pytest
from botocore import exceptions as boto
from botocore.exceptions import ClientError

from replica_access.aws.failures import explain, is_passing
from replica_access.errors import AccessDenied, AwsError, CredentialsError, NotFound

NAMED = {"DBInstanceIdentifier": "prod"}


def refused(code: str, message: str = "Because.", **parameters: str) -> AwsError:
    error = ClientError({"Error": {"Code": code, "Message": message}}, "ModifyDBInstance")
    return explain(error, "rds", "ModifyDBInstance", parameters or NAMED, "eu-west-1")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("AccessDenied", AccessDenied),
        ("AccessDeniedException", AccessDenied),
        ("UnauthorizedOperation", AccessDenied),
        ("ExpiredToken", CredentialsError),
        ("RequestExpired", CredentialsError),
        ("InvalidClientTokenId", CredentialsError),
        ("AuthFailure", CredentialsError),
        ("DBInstanceNotFound", NotFound),
        ("DBSubnetGroupNotFoundFault", NotFound),
        ("ResourceNotFoundException", NotFound),
        ("InvalidGroup.NotFound", NotFound),
        ("DBInstanceAlreadyExists", AwsError),
        ("SomethingNew", AwsError),
    ],
)
def test_the_code_decides(code: str, kind: type[AwsError]) -> None:
    error = refused(code)
    assert type(error) is kind
    assert (error.code, error.call) == (code, "rds:ModifyDBInstance")


def test_a_denied_call_names_call_resource_and_permission() -> None:
    error = refused("AccessDenied", "User x is not authorized to perform: rds:AddTagsToResource on resource: y.")
    assert "rds:ModifyDBInstance on prod" in error.what
    assert "rds:AddTagsToResource" in error.fix
    assert "rds:ModifyDBInstance" in refused("AccessDenied", "No.").fix


@pytest.mark.parametrize("code", ["503", "302", "Unknown", ""])
def test_an_error_without_a_code_of_awss_is_not_awss(code: str) -> None:
    error = refused(code, "<html>Welcome</html>")
    assert "what answers for AWS in eu-west-1 is not AWS" in error.what
    assert "html" not in str(error)
    assert is_passing(error) == (code == "503")


def test_a_region_that_is_not_enabled_is_named() -> None:
    error = refused("OptInRequired")
    assert isinstance(error, CredentialsError)
    assert "aws account enable-region --region-name eu-west-1" in error.fix


def test_a_code_is_never_read_out_of_the_words() -> None:
    words = "User x is not authorized to perform: rds:Y. Throttling. ExpiredToken. DBInstanceNotFound"
    assert type(refused("SomethingNew", words)) is AwsError


def test_the_encoded_half_of_a_message_is_left_out() -> None:
    error = refused("UnauthorizedOperation", "You may not. Encoded authorization failure message: aGVsbG8" + "x" * 900)
    assert error.what.endswith("You may not.")


@pytest.mark.parametrize(("code", "passing"), [
    ("Throttling", True), ("RequestLimitExceeded", True), ("ServiceUnavailable", True),
    ("AccessDenied", False), ("ExpiredToken", False), ("DBInstanceNotFound", False),
])  # fmt: skip
def test_what_passes_by_itself_is_told_apart(code: str, passing: bool) -> None:
    assert is_passing(refused(code)) == passing


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (boto.NoCredentialsError(), CredentialsError, "AWS_PROFILE"),
        (boto.PartialCredentialsError(provider="env", cred_var="x"), CredentialsError, "AWS_PROFILE"),
        (boto.SSOTokenLoadError(error_msg="gone"), CredentialsError, "aws sso login"),
        (boto.UnauthorizedSSOTokenError(), CredentialsError, "aws sso login"),
        (boto.CredentialRetrievalError(provider="p", error_msg="x"), CredentialsError, "get-caller-identity"),
        (boto.ProfileNotFound(profile="nope"), CredentialsError, "list-profiles"),
        (boto.NoRegionError(), CredentialsError, "AWS_REGION"),
        (boto.EndpointConnectionError(endpoint_url="https://x"), AwsError, "AWS_ENDPOINT_URL"),
        (boto.ReadTimeoutError(endpoint_url="https://x"), AwsError, "network"),
        (boto.SSLError(endpoint_url="https://x", error=OSError("bad")), AwsError, "AWS_CA_BUNDLE"),
    ],
)
def test_where_no_answer_came_the_way_on_is_named(error: boto.BotoCoreError, kind: type[AwsError], words: str) -> None:
    found = explain(error, "rds", "DescribeDBInstances", {}, "eu-west-1")
    assert type(found) is kind
    assert words in found.fix
    assert found.code == type(error).__name__


def test_connections_that_fail_pass_by_themselves() -> None:
    assert is_passing(explain(boto.ConnectTimeoutError(endpoint_url="https://x"), "rds", "X", {}, "r"))


def test_a_value_never_gets_into_an_error() -> None:
    report = "Invalid type for parameter SecretString, value: hunter2, type: <class 'int'>"
    error = explain(boto.ParamValidationError(report=report), "secretsmanager", "CreateSecret", {"Name": "n"}, "r")
    assert "hunter2" not in str(error)

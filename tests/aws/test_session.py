"""Opening an account and Region: what is missing or wrong is a sentence, and nothing secret is logged."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from replica_access.aws.accounts import Accounts
from replica_access.aws.session import Aws
from replica_access.errors import AccessDenied, AwsError, CredentialsError, NotFound
from replica_access.spec import Aws as Settings
from replica_access.spec import Spec, parse
from tests.sandbox_fixtures import Sandbox

from .stage import StoppableAws, deny, environment, opened


@pytest.fixture(scope="module")
def aws(sandbox: Sandbox) -> Iterator[Aws]:
    with opened(sandbox) as aws:
        yield aws


@pytest.fixture
def limited(sandbox: Sandbox) -> Iterator[StoppableAws]:
    """One of its own, for a test that takes rights away."""
    with opened(sandbox) as aws:
        yield aws


def settings(**values: str) -> Settings:
    return Settings.model_validate(values)


def test_the_account_and_the_caller_are_known(aws: Aws) -> None:
    assert aws.account == "123456789012"
    assert aws.arn.startswith("arn:aws:")


def test_the_right_account_opens_and_another_is_refused(sandbox: Sandbox) -> None:
    with environment(sandbox):
        Aws.open(settings(account="123456789012")).close()
        with pytest.raises(CredentialsError, match="of account 123456789012") as caught:
            Aws.open(settings(account="999999999999"))
    assert "999999999999 only" in caught.value.what
    assert "AWS_PROFILE" in caught.value.fix


def test_specs_of_one_account_share_its_session_and_its_refusal(sandbox: Sandbox) -> None:
    def spec(aws: str) -> Spec:
        return parse(f'version = 1\n[aws]\n{aws}\n[primary]\ninstance = "prod-db"')

    accounts = Accounts()
    here, there, wrong = (
        spec(aws) for aws in ('region = "us-east-1"', 'region = "us-east-2"', 'account = "999999999999"')
    )
    with environment(sandbox), ThreadPoolExecutor(8) as pool:
        opened = set(pool.map(lambda each: accounts.hosting(each, timeout_s=1).aws, [here] * 8))
        assert len(opened) == 1
        assert accounts.hosting(there, timeout_s=1).aws not in opened
        for _ in range(2):
            with pytest.raises(CredentialsError, match="999999999999 only"):
                accounts.hosting(wrong, timeout_s=1)


def test_the_region_comes_from_the_spec_or_else_from_the_environment(sandbox: Sandbox) -> None:
    with environment(sandbox, AWS_REGION="eu-west-1", AWS_DEFAULT_REGION="eu-north-1"):
        assert Aws.open(settings(region="us-east-1")).region == "us-east-1"
        assert Aws.open(settings()).region == "eu-west-1"
        del os.environ["AWS_REGION"]
        assert Aws.open(settings()).region == "eu-north-1"
        del os.environ["AWS_DEFAULT_REGION"]
        with pytest.raises(CredentialsError, match="No AWS Region") as caught:
            Aws.open(settings())
    assert "[aws]" in caught.value.fix
    assert "AWS_REGION" in caught.value.fix


def test_a_profile_that_does_not_exist_is_named(sandbox: Sandbox) -> None:
    with environment(sandbox), pytest.raises(CredentialsError, match="nope") as caught:
        Aws.open(settings(profile="nope", region="eu-west-1"))
    assert "aws configure list-profiles" in caught.value.fix


def test_a_profile_brings_its_region_and_keys(sandbox: Sandbox, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("[profile audit]\nregion = ap-southeast-2\naws_access_key_id = a\naws_secret_access_key = b\n")
    with environment(sandbox, AWS_CONFIG_FILE=str(config)):
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            del os.environ[name]
        aws = Aws.open(settings(profile="audit"))
        assert aws.region == "ap-southeast-2"
        assert aws.account == "123456789012"
        aws.close()


def test_no_credentials_at_all_are_told_before_any_call(sandbox: Sandbox) -> None:
    with environment(sandbox, AWS_EC2_METADATA_DISABLED="true", AWS_SHARED_CREDENTIALS_FILE=os.devnull):
        del os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
        aws = Aws.open(settings())
        with pytest.raises(CredentialsError, match="no AWS credentials"):
            aws.call("rds", "DescribeDBInstances")
        with pytest.raises(CredentialsError, match="no AWS credentials"):
            aws.database_token("localhost", 5432, "bi")


@pytest.mark.parametrize("url", ["not a url", "http://"])
def test_an_endpoint_that_is_no_url_is_told(sandbox: Sandbox, url: str) -> None:
    with environment(sandbox, AWS_ENDPOINT_URL=url), pytest.raises(AwsError, match="rds") as caught:
        Aws.open(settings()).call("rds", "DescribeDBInstances")
    assert "AWS_ENDPOINT_URL" in caught.value.fix


def test_an_endpoint_that_does_not_answer_is_told(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replica_access.aws.session.ATTEMPTS", 1)
    with environment(sandbox, AWS_ENDPOINT_URL="http://127.0.0.1:9"), pytest.raises(AwsError) as caught:
        Aws.open(settings()).call("rds", "DescribeDBInstances")
    assert caught.value.code == "EndpointConnectionError"
    assert "network" in caught.value.fix


def test_errors_over_the_wire_keep_their_codes(aws: Aws) -> None:
    with pytest.raises(NotFound) as caught:
        aws.call("rds", "DescribeDBInstances", DBInstanceIdentifier="no-such-instance")
    assert (caught.value.code, caught.value.call) == ("DBInstanceNotFound", "rds:DescribeDBInstances")
    assert "no-such-instance" in caught.value.what


def test_a_denied_call_and_a_denied_page_name_the_permission(limited: StoppableAws) -> None:
    deny(limited, "ec2", "DescribeSubnets")
    with pytest.raises(AccessDenied, match="ec2:DescribeSubnets"):
        limited.call("ec2", "DescribeSubnets")
    with pytest.raises(AccessDenied) as caught:
        list(limited.pages("ec2", "DescribeSubnets", "Subnets"))
    assert "ec2:DescribeSubnets" in caught.value.fix


def test_pages_are_followed_to_the_last(aws: Aws, sandbox: Sandbox) -> None:
    found = list(aws.pages("ec2", "DescribeSubnets", "Subnets", PaginationConfig={"PageSize": 5}))
    assert len(found) == len(sandbox.ec2.describe_subnets()["Subnets"]) > 0


def test_a_stand_in_on_this_machine_is_recognised(aws: Aws) -> None:
    assert aws.is_local


def test_amazon_itself_is_not_on_this_machine(sandbox: Sandbox) -> None:
    with environment(sandbox):
        del os.environ["AWS_ENDPOINT_URL"]
        assert not Aws.open(settings(region="eu-west-1")).is_local


def test_a_secret_is_in_no_log_even_at_the_lowest_level(
    aws: Aws, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    name, value = sandbox.name("secret"), "correct-horse-battery"
    aws.call("secretsmanager", "CreateSecret", Name=name, SecretString=value)
    assert aws.call("secretsmanager", "GetSecretValue", SecretId=name)["SecretString"] == value
    with pytest.raises(AwsError) as caught:
        aws.call("secretsmanager", "CreateSecret", Name=7, SecretString=value)
    aws.call("secretsmanager", "DeleteSecret", SecretId=name, ForceDeleteWithoutRecovery=True)
    assert value not in caplog.text
    assert value not in f"{caught.value!r} {caught.value.__context__!r}"

"""Logging in, and where passwords are kept: Secrets Manager over the wire, real servers behind the logins."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from replica_access.aws import survey
from replica_access.aws.credentials import primary_login, replica_login, with_iam_token
from replica_access.aws.landscape import Instance
from replica_access.aws.secret_store import read_password, store_password, written_on
from replica_access.errors import AccessDenied, AwsError, CredentialsError, NotFound, NotOurs, UsageError
from replica_access.model import Login, Secret
from replica_access.postgres.connect import connect
from replica_access.sandbox.faults import LostAnswer
from tests.sandbox_fixtures import Sandbox

from .stage import StoppableAws, deny, opened, spec_of

OURS = {"replica-access": "x", "managed-by": "replica-access"}


@pytest.fixture(scope="module")
def aws(sandbox: Sandbox) -> Iterator[StoppableAws]:
    with opened(sandbox) as aws:
        yield aws


@pytest.fixture
def limited(sandbox: Sandbox) -> Iterator[StoppableAws]:
    """One of its own, for a test that takes rights away."""
    with opened(sandbox) as aws:
        yield aws


@pytest.fixture
def primary(aws: StoppableAws) -> Instance:
    return survey.primary_instance(aws, spec_of("x"))


@pytest.fixture
def secret(sandbox: Sandbox) -> Iterator[str]:
    """A name for a secret; whatever gets it is deleted afterwards."""
    name = f"replica-access/{sandbox.name('user')}"
    yield name
    manager = sandbox.client("secretsmanager")
    with suppress(manager.exceptions.ResourceNotFoundException):
        manager.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)


def keep(aws: StoppableAws, secret: str, password: str, **changes: Any) -> None:
    known: dict[str, Any] = {"host": "replica.example", "port": 5432, "database": "app", "instance": "x", "tags": OURS}
    store_password(aws, secret, "bi", Secret(password), **{**known, **changes})


def versions(sandbox: Sandbox, secret: str) -> int:
    return len(
        sandbox.client("secretsmanager").list_secret_version_ids(SecretId=secret, IncludeDeprecated=True)["Versions"]
    )


# --- logging in ------------------------------------------------------------------------------------------------------


def test_the_admin_logs_in_with_the_secret_and_verified_tls(aws: StoppableAws, primary: Instance) -> None:
    login = primary_login(aws, spec_of("x"), primary)
    assert login.parameters["user"] == "master"
    assert login.parameters["sslmode"] == "verify-full"
    with connect(login) as connection:
        row = connection.execute(
            "SELECT current_user, ssl FROM pg_catalog.pg_stat_ssl WHERE pid = pg_catalog.pg_backend_pid()"
        ).fetchone()
    assert row == ("master", True)


def test_the_password_is_in_no_repr(aws: StoppableAws, sandbox: Sandbox, primary: Instance) -> None:
    assert sandbox.password not in repr(primary_login(aws, spec_of("x"), primary))


def test_a_secret_that_is_not_there_is_named(aws: StoppableAws, primary: Instance) -> None:
    with pytest.raises(CredentialsError, match="no secret nowhere in ap-southeast-2") as caught:
        primary_login(aws, spec_of("x", primary={"admin_secret": "nowhere"}), primary)
    assert "primary.admin_secret" in caught.value.fix


def test_a_secret_that_may_not_be_read_names_the_permission(limited: StoppableAws, primary: Instance) -> None:
    deny(limited, "secretsmanager", "GetSecretValue")
    with pytest.raises(AccessDenied, match="secretsmanager:GetSecretValue on prod-db/master"):
        primary_login(limited, spec_of("x"), primary)


def test_without_a_secret_libpq_looks_for_itself(aws: StoppableAws, primary: Instance) -> None:
    spec = spec_of("x", primary={"admin_secret": None})
    login = primary_login(aws, spec, primary)
    assert login.password is None
    assert login.parameters["user"] == "master"
    assert "user" not in primary_login(aws, spec, primary, environment={**os.environ, "PGUSER": "dba"}).parameters


def test_iam_signs_a_token_for_each_endpoint(aws: StoppableAws, primary: Instance) -> None:
    spec = spec_of("x", primary={"admin_secret": None, "auth": "iam"})
    replica = replace(primary, identifier="x", host="replica.example", port=6432)
    login = primary_login(aws, spec, primary)
    on_replica = replica_login(aws, spec, replica, login)
    assert on_replica.parameters["host"] == "replica.example"
    assert on_replica.password is not None
    address, _, query = on_replica.password.reveal().partition("/?")
    assert address == "replica.example:6432"
    assert parse_qs(query)["DBUser"] == ["master"]
    assert parse_qs(query)["X-Amz-Expires"] == ["900"]


def test_a_user_gets_a_token_of_their_own(aws: StoppableAws) -> None:
    login = with_iam_token(aws, Login("x", {"host": "h", "port": "5432", "user": "bi"}))
    assert login.password is not None
    assert "DBUser=bi" in login.password.reveal()


def test_an_instance_without_an_endpoint_is_told(aws: StoppableAws, primary: Instance) -> None:
    with pytest.raises(AwsError, match="prod-db has no endpoint yet: it is creating"):
        primary_login(aws, spec_of("x"), replace(primary, host=None, status="creating"))


# --- the certificate to trust ----------------------------------------------------------------------------------------


def root_of(aws: StoppableAws, primary: Instance, directory: Path, environment: dict[str, str], **spec: Any) -> str:
    login = primary_login(aws, spec_of("x", primary=spec), primary, directory=directory, environment=environment)
    return login.parameters.get("sslrootcert", "")


def test_the_certificates_are_the_ones_that_are_named_or_that_are_found(
    aws: StoppableAws, sandbox: Sandbox, primary: Instance, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    (home / ".postgresql").mkdir(parents=True)
    usual, beside, named = home / ".postgresql" / "root.crt", tmp_path / "global-bundle.pem", tmp_path / "own.pem"
    certificates = sandbox.status.ca_bundle.read_bytes()
    surroundings = {"HOME": str(home)}
    with pytest.raises(UsageError, match="no file of certificates to verify prod-db with") as caught:
        root_of(aws, primary, tmp_path, surroundings)
    bundle = tmp_path / "rds-global-bundle.pem"
    url = "https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem"
    assert caught.value.fix == f"Get Amazon's: curl -o {bundle} {url}"
    usual.write_bytes(certificates)
    assert root_of(aws, primary, tmp_path, surroundings) == str(usual)
    beside.write_bytes(certificates)
    assert root_of(aws, primary, tmp_path, surroundings) == str(beside)
    of_region = home / ".postgresql" / f"{aws.region}-bundle.pem"
    of_region.write_bytes(certificates)
    beside.unlink()
    assert root_of(aws, primary, tmp_path, surroundings) == str(of_region)
    named_by_shell = {**surroundings, "PGSSLROOTCERT": str(usual)}
    assert root_of(aws, primary, tmp_path, named_by_shell) == str(usual)
    assert root_of(aws, primary, tmp_path, {**surroundings, "PGSSLROOTCERT": "system"}) == "system"
    with pytest.raises(UsageError, match=r"no file /pg\.pem, which PGSSLROOTCERT names"):
        root_of(aws, primary, tmp_path, {**surroundings, "PGSSLROOTCERT": "/pg.pem"})
    with pytest.raises(UsageError, match=r"own\.pem, which primary.sslrootcert names"):
        root_of(aws, primary, tmp_path, surroundings, sslrootcert="own.pem")
    named.write_bytes(certificates)
    assert root_of(aws, primary, tmp_path, named_by_shell, sslrootcert="own.pem") == str(named)
    assert root_of(aws, primary, tmp_path, surroundings, sslrootcert="system") == "system"


def test_a_mode_that_verifies_nothing_needs_no_certificate(
    aws: StoppableAws, primary: Instance, tmp_path: Path
) -> None:
    assert root_of(aws, primary, tmp_path, {"HOME": str(tmp_path)}, sslmode="require") == ""


# --- passwords of users ----------------------------------------------------------------------------------------------


def test_a_password_is_kept_in_the_form_of_rds_and_read_back(aws: StoppableAws, sandbox: Sandbox, secret: str) -> None:
    assert read_password(aws, secret) is None
    keep(aws, secret, "first")
    assert read_password(aws, secret) == Secret("first")
    manager = sandbox.client("secretsmanager")
    assert json.loads(manager.get_secret_value(SecretId=secret)["SecretString"]) == {
        "engine": "postgres",
        "host": "replica.example",
        "port": 5432,
        "dbname": "app",
        "username": "bi",
        "password": "first",
        "dbInstanceIdentifier": "x",
    }
    assert {tag["Key"]: tag["Value"] for tag in manager.describe_secret(SecretId=secret)["Tags"]} == OURS


def test_keeping_it_twice_makes_no_second_version_and_another_password_does(
    aws: StoppableAws, sandbox: Sandbox, secret: str
) -> None:
    keep(aws, secret, "first")
    keep(aws, secret, "first")
    assert versions(sandbox, secret) == 1
    keep(aws, secret, "second")
    assert read_password(aws, secret) == Secret("second")
    assert versions(sandbox, secret) == 2


def test_a_new_endpoint_is_written_beside_the_same_password(aws: StoppableAws, sandbox: Sandbox, secret: str) -> None:
    keep(aws, secret, "first")
    keep(aws, secret, "first", host="moved.example")
    found = sandbox.client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"]
    assert json.loads(found)["host"] == "moved.example"


def test_a_value_that_was_kept_before_can_be_kept_again(aws: StoppableAws, sandbox: Sandbox, secret: str) -> None:
    for password, host in (("first", "a"), ("second", "a"), ("first", "a"), ("first", "b"), ("first", "a")):
        keep(aws, secret, password, host=host)
        found = json.loads(sandbox.client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"])
        assert (found["password"], found["host"]) == (password, host)
    assert versions(sandbox, secret) == 5


@pytest.mark.parametrize("acts", [True, False], ids=["acted", "did nothing"])
def test_no_lost_answer_makes_a_second_version(aws: StoppableAws, sandbox: Sandbox, secret: str, acts: bool) -> None:
    """botocore repeats the call by itself; so may a run that was stopped, which reads first."""
    for operation, password, number in (("CreateSecret", "first", 1), ("PutSecretValue", "second", 2)):
        lost = LostAnswer(f"secretsmanager:{operation}", acts=acts)
        with sandbox.faults(lose=(lost,)), sandbox.recording() as heard:
            keep(aws, secret, password)
        assert [call.answered for call in heard if call.operation == operation] == [False, True]
        assert versions(sandbox, secret) == number
        assert read_password(aws, secret) == Secret(password)


def test_a_call_whose_answer_was_lost_is_repeated_without_harm(
    aws: StoppableAws, sandbox: Sandbox, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(aws, secret, "first")
    monkeypatch.setattr(
        "replica_access.aws.secret_store.read", lambda *_: None
    )  # as a run saw it that knew nothing yet
    keep(aws, secret, "first")
    assert versions(sandbox, secret) == 1


def test_a_secret_of_somebody_else_is_read_but_never_written(aws: StoppableAws, sandbox: Sandbox, secret: str) -> None:
    theirs = json.dumps({"username": "bi", "password": "theirs"})
    sandbox.client("secretsmanager").create_secret(Name=secret, SecretString=theirs)
    keep(aws, secret, "theirs")
    assert versions(sandbox, secret) == 1
    with pytest.raises(NotOurs, match=secret) as caught:
        keep(aws, secret, "ours")
    assert "aws secretsmanager tag-resource" in caught.value.fix
    assert read_password(aws, secret) == Secret("theirs")


def test_an_empty_secret_of_somebody_else_is_not_filled(aws: StoppableAws, sandbox: Sandbox, secret: str) -> None:
    sandbox.client("secretsmanager").create_secret(Name=secret)
    assert read_password(aws, secret) is None
    with pytest.raises(NotOurs):
        keep(aws, secret, "ours")


def test_a_secret_that_is_about_to_be_deleted_says_how_to_get_it_back(
    aws: StoppableAws, sandbox: Sandbox, secret: str
) -> None:
    keep(aws, secret, "first")
    sandbox.client("secretsmanager").delete_secret(SecretId=secret, RecoveryWindowInDays=7)
    for attempt in (partial(read_password, aws, secret), partial(keep, aws, secret, "second")):
        with pytest.raises(AwsError, match="scheduled for deletion") as caught:
            attempt()
        assert f"aws secretsmanager restore-secret --secret-id {secret}" in caught.value.fix


@pytest.mark.parametrize("content", ["just a password", "[]", '{"username": "bi"}', '"text"'])
def test_a_secret_of_another_form_is_told_without_its_content(
    aws: StoppableAws, sandbox: Sandbox, secret: str, content: str
) -> None:
    sandbox.client("secretsmanager").create_secret(Name=secret, SecretString=content)
    with pytest.raises(AwsError, match="not of RDS's form") as caught:
        read_password(aws, secret)
    assert content not in str(caught.value)


def test_how_old_a_password_is_is_asked_of_the_version_that_counts(
    aws: StoppableAws, limited: StoppableAws, secret: str
) -> None:
    with pytest.raises(NotFound, match=secret):
        written_on(aws, secret)
    keep(aws, secret, "first")
    keep(aws, secret, "second")
    assert written_on(aws, secret) == datetime.now(UTC).date()
    deny(limited, "secretsmanager", "ListSecretVersionIds")
    with pytest.raises(AccessDenied, match=f"secretsmanager:ListSecretVersionIds on {secret}"):
        written_on(limited, secret)

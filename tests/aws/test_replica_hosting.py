"""RDS as the workflow sees it: one replica from nothing to a user's stored password."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from replica_access.aws.hosting import RdsHosting
from replica_access.errors import CredentialsError, NotOurs
from replica_access.model import Plan, Secret
from replica_access.postgres.connect import connect
from replica_access.progress import SILENT
from replica_access.spec import Spec, load
from tests.sandbox_fixtures import Sandbox

from .stage import environment, remove, spec_of


@pytest.fixture
def in_sandbox(sandbox: Sandbox) -> Iterator[None]:
    with environment(sandbox):
        yield


def opened(spec: Spec) -> RdsHosting:
    return RdsHosting.open(spec, timeout_s=60)


@pytest.mark.usefixtures("in_sandbox")
def test_from_nothing_to_a_stored_password(sandbox: Sandbox, tmp_path: Path) -> None:
    name = sandbox.name("hosted")
    kept, file = f"replica-access/{name}", tmp_path / "etl.password"
    spec = spec_of(
        name,
        roles={"analytics": {}},
        users={
            "bi": {"member_of": ["analytics"], "secret": kept},
            "etl": {"secret": f"file:{file}"},
            "iam": {"auth": "iam"},
        },
        grants=[{"to": "analytics", "databases": ["*", "app"]}],
    )
    hosting = opened(spec)
    assert hosting.replicas() == {}
    assert hosting.endpoints() == {}
    _, planned = hosting.look()
    try:
        for change in planned.changes:
            hosting.execute(change, SILENT)
        checks, planned = hosting.look()
        assert planned == Plan()
        assert not [check for check in checks if check.outcome not in {"ok", "note"}]
        ((identifier, login),) = hosting.replicas().items()
        assert identifier == name
        with connect(login) as connection:
            assert connection.execute("SELECT pg_catalog.pg_is_in_recovery()").fetchone() == (True,)

        for user in ("bi", "etl"):
            assert hosting.password(user) is None
            hosting.store_password(user, Secret("generated"))
            assert hosting.password(user) == Secret("generated")
        value = json.loads(sandbox.client("secretsmanager").get_secret_value(SecretId=kept)["SecretString"])
        assert value == {
            "engine": "postgres",
            "host": login.parameters["host"],
            "port": int(login.parameters["port"]),
            "dbname": "app",
            "username": "bi",
            "password": "generated",
            "dbInstanceIdentifier": name,
        }
        assert file.read_text() == "generated\n"
        as_iam = hosting.as_user(hosting.endpoints()[name], "iam")
        assert as_iam is not None
        assert as_iam.password is not None
        assert f"{login.parameters['host']}:{login.parameters['port']}/?" in as_iam.password.reveal()
    finally:
        remove(sandbox, name)
        sandbox.client("secretsmanager").delete_secret(SecretId=kept, ForceDeleteWithoutRecovery=True)
        hosting.close()


def test_relative_names_mean_files_beside_the_spec(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "certificates.pem").write_bytes(sandbox.status.ca_bundle.read_bytes())
    text = """
version = 1
primary = { instance = "prod-db", admin_secret = "prod-db/master", sslrootcert = "certificates.pem" }
replica = { instance = "not-there" }
users.bi.secret = "file:bi.password"
"""
    (tmp_path / "spec.toml").write_text(text, encoding="utf-8")
    with environment(sandbox):
        hosting = opened(load(tmp_path / "spec.toml"))
        assert hosting.primary().parameters["sslrootcert"] == str(tmp_path / "certificates.pem")
        hosting.store_password("bi", Secret("generated"))
        assert (tmp_path / "bi.password").read_text(encoding="utf-8") == "generated\n"
        assert hosting.password("bi") == Secret("generated")
        hosting.close()


def test_whoever_connects_needs_no_right_to_the_admins_secret(sandbox: Sandbox, replica: str) -> None:
    spec = spec_of(
        replica, primary={"admin_secret": "not-there"}, users={"bi": {"secret": f"replica-access/{replica}"}}
    )
    endpoint = sandbox.instance(replica)
    tags = [{"Key": "replica-access", "Value": replica}, {"Key": "managed-by", "Value": "replica-access"}]
    sandbox.rds.add_tags_to_resource(ResourceName=endpoint["DBInstanceArn"], Tags=tags)
    with environment(sandbox):
        hosting = opened(spec)
        hosting.store_password("bi", Secret("generated"))
        login = hosting.as_user(hosting.endpoints()[replica], "bi")
        with pytest.raises(CredentialsError, match="no secret not-there"):
            hosting.replicas()
        hosting.close()
    assert login is not None
    assert (login.password, login.parameters["user"]) == (Secret("generated"), "bi")
    assert login.parameters["port"] == str(endpoint["Endpoint"]["Port"])
    assert login.parameters["sslmode"] == "verify-full"


@pytest.mark.usefixtures("in_sandbox")
def test_nobody_logs_in_to_an_instance_that_is_not_ours(sandbox: Sandbox) -> None:
    with sandbox.replica() as theirs:
        hosting = opened(spec_of(theirs))
        with pytest.raises(NotOurs, match="does not carry our tag"):
            hosting.replicas()
        hosting.close()

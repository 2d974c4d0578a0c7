"""RDS as the workflow sees it: one replica from nothing to a user's stored password."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from replica_access.aws.hosting import RdsHosting
from replica_access.errors import NotOurs
from replica_access.model import Plan, Secret
from replica_access.postgres.connect import connect
from replica_access.progress import SILENT
from replica_access.spec import Spec
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
    assert hosting.password("iam") is None
    _, planned = hosting.look()
    try:
        for change in planned.changes:
            hosting.execute(change, SILENT)
        checks, planned = hosting.look()
        assert planned == Plan()
        assert not [check for check in checks if check.outcome != "ok"]
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
        token = hosting.password("iam")
        assert token is not None
        assert f"{login.parameters['host']}:{login.parameters['port']}/?" in token.reveal()
    finally:
        remove(sandbox, name)
        sandbox.client("secretsmanager").delete_secret(SecretId=kept, ForceDeleteWithoutRecovery=True)
        hosting.close()


@pytest.mark.usefixtures("in_sandbox")
def test_nobody_logs_in_to_an_instance_that_is_not_ours(sandbox: Sandbox) -> None:
    with sandbox.replica() as theirs:
        hosting = opened(spec_of(theirs))
        with pytest.raises(NotOurs, match="does not carry our tag"):
            hosting.replicas()
        hosting.close()

"""An account with a production database in it, and the program pointed at it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg import conninfo, sql

from replica_access.sandbox import lifecycle
from replica_access.sandbox.binaries import find_installation
from tests.aws.stage import remove
from tests.cli.catalogs import facts
from tests.cli.nursery import Nursery
from tests.cli.program import Program
from tests.e2e.wire import Wire, wire_to
from tests.sandbox_fixtures import Sandbox, running_sandbox

PRIMARY, REPLICA = "prod-db", "prod-db-analytics"
ROLES = ("analytics", "bi")
SECRET = "replica-access/bi"
PROVISION = (
    *("provision", "--instance", PRIMARY, "--admin-secret", "prod-db/master", "--allow", "127.0.0.1/32"),
    *("--exclude", "vault", "--exclude", "public.user_passwords"),
)


@dataclass(frozen=True, slots=True)
class Account:
    """The sandbox, the wire to its endpoint, and a directory to run the program in."""

    sandbox: Sandbox
    wire: Wire
    run: Program

    def superuser(self, instance: str = PRIMARY) -> dict[str, str]:
        """libpq parameters, without a database."""
        status = self.sandbox.status
        endpoint = self.sandbox.instance(instance)["Endpoint"]
        return {
            "host": endpoint["Address"],
            "port": str(endpoint["Port"]),
            "user": status.superuser,
            "password": status.superuser_password,
            "sslmode": "disable",
        }

    def sql(self, script: str, database: str = "app") -> None:
        """Run as the superuser on the primary."""
        where = conninfo.make_conninfo("", **self.superuser(), dbname=database)
        with closing(psycopg.connect(where, autocommit=True)) as connection:
            connection.execute(script.encode())

    def psql(self, *what: str, given: str = "") -> str:
        """What psql prints on the primary, as the admin, who is no superuser; it reads what it needs from `given`."""
        installation, endpoint = find_installation(), self.sandbox.instance(PRIMARY)["Endpoint"]
        where = conninfo.make_conninfo(
            host=endpoint["Address"], port=endpoint["Port"], user="master", dbname="postgres",
            sslmode="verify-full", sslrootcert=str(self.sandbox.status.ca_bundle),
        )  # fmt: skip
        ran = subprocess.run(
            [installation.tool("psql"), "-X", "-q", "-d", where, *what],
            input=given,
            env={**installation.environment(), "PGPASSWORD": self.sandbox.password},
            capture_output=True,
            text=True,
            check=False,
            start_new_session=True,  # without a terminal psql reads passwords from its input
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    @property
    def password(self) -> str:
        """Of ``bi``, as Secrets Manager has it."""
        secret = self.sandbox.client("secretsmanager").get_secret_value(SecretId=SECRET)["SecretString"]
        return str(json.loads(secret)["password"])

    @contextmanager
    def as_reader(self, database: str, **parameters: Any) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        """A session of ``bi`` on the replica, as a tool of theirs would open it."""
        given = {"user": "bi", "password": self.password, "dbname": database, **parameters}
        with closing(self.sandbox.connect(REPLICA, **given)) as connection:
            yield connection

    def facts(self) -> list[str]:
        return self.facts_of(PRIMARY)

    def facts_of(self, instance: str) -> list[str]:
        """What the catalogs of an instance say of roles and privileges."""
        return facts(self.superuser(instance))

    def forget_roles(self) -> None:
        """Take away everything that a run has made on the primary."""
        for role in ROLES:
            name = sql.Identifier(role).as_string()
            for database in ("app", "reporting", "postgres"):
                self.sql(
                    f"""DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN
                        DROP OWNED BY {name}; END IF; END $$""",
                    database,
                )
            self.sql(f"DROP ROLE IF EXISTS {name}")

    def forget(self) -> None:
        """Take away everything that a run has made, in AWS and on the primary."""
        remove(self.sandbox, REPLICA)
        secrets = self.sandbox.client("secretsmanager")
        if any(entry["Name"] == SECRET for entry in secrets.list_secrets(IncludePlannedDeletion=True)["SecretList"]):
            secrets.delete_secret(SecretId=SECRET, ForceDeleteWithoutRecovery=True)
        self.forget_roles()


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running_sandbox(tmp_path_factory.mktemp("e2e") / "sandbox") as running:
        yield running


@pytest.fixture(scope="session")
def wire(sandbox: Sandbox) -> Iterator[Wire]:
    with wire_to(sandbox.status.endpoint_url) as wire:
        yield wire


@pytest.fixture(scope="module")
def account(
    sandbox: Sandbox, wire: Wire, nursery: Nursery, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Account]:
    """The account as it is before anybody has run the program; it is so again after the tests of a module."""
    known = lifecycle.environment(sandbox.status.directory)
    environment = {**known, "AWS_ENDPOINT_URL": wire.url, "AWS_CONFIG_FILE": os.devnull}
    account = Account(sandbox, wire, Program(nursery, tmp_path_factory.mktemp("run"), environment))
    yield account
    account.forget()

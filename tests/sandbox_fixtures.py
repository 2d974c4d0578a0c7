"""A sandbox to test against, shared by all tests of a session; used by tests/aws and tests/e2e.

What a test makes in it, it makes under names of its own (``sandbox.name()``) and leaves the primary as it was.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from replica_access.sandbox import control, lifecycle
from replica_access.sandbox.faults import Faults
from replica_access.sandbox.lifecycle import SandboxStatus
from replica_access.sandbox.record import RecordedCall

numbers = itertools.count(1)
PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A running sandbox, and clients that talk to it over the wire."""

    status: SandboxStatus
    clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str, region: str | None = None) -> Any:
        """:param region: another than the sandbox's own."""
        key = f"{service} {region}" if region else service
        if key not in self.clients:
            session: Any = boto3.Session("sandbox", "sandbox", region_name=region or self.status.region)
            once = Config(retries={"total_max_attempts": 1})
            self.clients[key] = session.client(service, endpoint_url=self.status.endpoint_url, config=once)
        return self.clients[key]

    @property
    def rds(self) -> Any:
        return self.client("rds")

    @property
    def ec2(self) -> Any:
        return self.client("ec2")

    def faults(self, **wanted: Any) -> AbstractContextManager[None]:
        """Put faults in force for the length of a block; the arguments are the fields of ``Faults``."""
        return control.faults(self.status.directory, Faults(**wanted))

    @contextmanager
    def recording(self, by: str = "") -> Iterator[list[RecordedCall]]:
        """The AWS calls made during the block, there once it has ended; ``by`` is a part of the caller's User-Agent."""
        heard: list[RecordedCall] = []
        control.forget_calls(self.status.directory)
        try:
            yield heard
        finally:
            heard += [call for call in control.calls(self.status.directory) if by in call.user_agent]

    def close(self) -> None:
        for client in self.clients.values():
            client.close()

    def name(self, stem: str = "x") -> str:
        return f"{stem}{next(numbers)}"

    def instance(self, name: str = "prod-db") -> dict[str, Any]:
        found: dict[str, Any] = self.rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]
        return found

    def follow(self, name: str, until: str = "available") -> list[str]:
        """The statuses that an instance passes through, up to and with ``until``."""
        seen: list[str] = []
        deadline = time.monotonic() + PATIENCE
        while not seen or seen[-1] != until:
            assert time.monotonic() < deadline, f"{name} never became {until}: {seen}"
            status = self.instance(name)["DBInstanceStatus"]
            if status not in seen[-1:]:
                seen.append(status)
            time.sleep(0.05)
        return seen

    def settle(self, name: str) -> dict[str, Any]:
        """The instance once it is available and has nothing to do any more, whatever its status says."""
        deadline = time.monotonic() + PATIENCE
        while True:
            is_busy = name in control.busy(self.status.directory)
            found = self.instance(name)
            if found["DBInstanceStatus"] == "available" and not is_busy:
                return found
            assert time.monotonic() < deadline, f"{name} never settled: {found}"
            time.sleep(0.05)

    def change(self, name: str, **values: Any) -> dict[str, Any]:
        """Modify an instance at once, as soon as it lets itself be modified; return it when that is done."""
        self.settle(name)
        self.rds.modify_db_instance(DBInstanceIdentifier=name, ApplyImmediately=True, **values)
        return self.settle(name)

    def gone(self, name: str) -> None:
        """Wait until the instance is no more, nor its network interface, which holds its security groups."""
        deadline = time.monotonic() + PATIENCE
        while name in (names := self.names()) or len(self.interfaces()) > len(names):
            assert time.monotonic() < deadline, f"{name} is still there"
            time.sleep(0.05)

    def interfaces(self, **values: str) -> list[dict[str, Any]]:
        """The network interfaces of RDS; filters are by name, with underscores for hyphens."""
        filters = [{"Name": name.replace("_", "-"), "Values": [value]} for name, value in values.items()]
        mine = {"Name": "requester-id", "Values": ["amazon-rds"]}
        found: list[dict[str, Any]] = self.ec2.describe_network_interfaces(Filters=[mine, *filters])[
            "NetworkInterfaces"
        ]
        return found

    def names(self) -> set[str]:
        """Of all instances."""
        return {found["DBInstanceIdentifier"] for found in self.rds.describe_db_instances()["DBInstances"]}

    def remove(self, name: str) -> None:
        """Delete an instance, protected or not, and wait until it is no more; no harm if it is not there."""
        if name not in self.names():
            return
        if self.instance(name)["DeletionProtection"]:
            self.rds.modify_db_instance(DBInstanceIdentifier=name, DeletionProtection=False)
        self.rds.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)
        self.gone(name)

    @property
    def vpc(self) -> str:
        vpc: str = self.instance()["DBSubnetGroup"]["VpcId"]
        return vpc

    @property
    def password(self) -> str:
        """The master user's, from Secrets Manager."""
        secret = self.client("secretsmanager").get_secret_value(SecretId="prod-db/master")["SecretString"]
        return str(json.loads(secret)["password"])

    def make_group(self, *cidrs: str, port: int | None = None) -> str:
        """A security group that lets these networks in to the primary's port, or to another."""
        made = self.ec2.create_security_group(GroupName=self.name("group"), Description="test", VpcId=self.vpc)
        group: str = made["GroupId"]
        if cidrs:
            permission = tcp(port or self.instance()["Endpoint"]["Port"], *cidrs)
            self.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])
        return group

    @contextmanager
    def group(self, *cidrs: str, port: int | None = None) -> Iterator[str]:
        """The same for the length of a block."""
        group = self.make_group(*cidrs, port=port)
        try:
            yield group
        finally:
            self.ec2.delete_security_group(GroupId=group)

    def make_replica(self, **call: Any) -> str:
        """A replica of the primary, available."""
        name = self.name("replica")
        self.rds.create_db_instance_read_replica(
            **{"DBInstanceIdentifier": name, "SourceDBInstanceIdentifier": "prod-db", **call}
        )
        self.follow(name)
        return name

    @contextmanager
    def replica(self, **call: Any) -> Iterator[str]:
        """The same for the length of a block."""
        name = self.make_replica(**call)
        try:
            yield name
        finally:
            self.remove(name)

    def connect(self, instance: str = "prod-db", **params: Any) -> psycopg.Connection[tuple[Any, ...]]:
        """Log in as the master user, with verified TLS; ``params`` are libpq's and override."""
        endpoint = self.instance(instance)["Endpoint"]
        known = {
            "host": endpoint["Address"],
            "port": endpoint["Port"],
            "user": "master",
            "password": self.password,
            "dbname": "postgres",
            "sslmode": "verify-full",
            "sslrootcert": self.status.ca_bundle,
        }
        return psycopg.connect(autocommit=True, **{**known, **params})


def tcp(port: int, *cidrs: str, note: str = "") -> dict[str, Any]:
    """An IpPermission for these IPv4 networks."""
    described = {"Description": note} if note else {}
    return {
        "IpProtocol": "tcp",
        "FromPort": port,
        "ToPort": port,
        "IpRanges": [{"CidrIp": cidr, **described} for cidr in cidrs],
    }


def refusal(call: Callable[[], object]) -> tuple[str, str]:
    """The code and the message with which AWS refuses a call."""
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


@contextmanager
def running_sandbox(directory: Path, **options: Any) -> Iterator[Sandbox]:
    running = Sandbox(lifecycle.start(directory, **options))
    try:
        yield running
    finally:
        running.close()
        lifecycle.stop(directory)


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """The sandbox of this session, with its sample."""
    with running_sandbox(tmp_path_factory.mktemp("sandbox") / "sandbox") as running:
        yield running

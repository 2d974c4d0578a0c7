"""Where the servers of one sandbox live, and what they have in common."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from threading import RLock
from typing import Any

from replica_access.sandbox import rds_like
from replica_access.sandbox.binaries import Installation
from replica_access.sandbox.certificates import Authority, ServerCertificate, create_authority, issue
from replica_access.sandbox.faults import Injector
from replica_access.sandbox.gate import Gatekeeper
from replica_access.sandbox.hba import IamUsers, hba_lines
from replica_access.sandbox.server import PostgresServer

__all__ = [
    "HOME_REGION",
    "Site",
    "create_database",
    "make_primary",
    "make_replica",
    "open_to",
    "prepare",
    "set_password",
]


HOME_REGION = "ap-southeast-2"  # where the primary is


@dataclass(frozen=True, slots=True)
class Site:
    """All servers run the same PostgreSQL, under the same superuser, with one certificate for their common name.

    :ivar lock: held by whoever reads or changes the state of the AWS side.
    :ivar faults: what shall go wrong, for tests.
    :ivar gates: what takes IAM tokens; None where servers have no TLS.
    """

    instances: Path
    installation: Installation
    authority: Authority
    certificate: ServerCertificate | None
    superuser_password: str = field(repr=False)
    lock: AbstractContextManager[Any] = field(default_factory=RLock, repr=False)
    faults: Injector = field(default_factory=Injector, repr=False)
    gates: Gatekeeper | None = field(default=None, repr=False)

    @property
    def family(self) -> str:
        return f"postgres{self.installation.major}"


def prepare(instances: Path, tls: Path, installation: Installation, superuser_password: str) -> Site:
    """A site without servers; makes its certificate authority in ``tls``."""
    authority = create_authority(tls)
    certificate = issue(authority, tls / "server") if installation.tls else None
    gates = None
    if certificate is not None:
        gates = Gatekeeper(certificate, create_authority(tls / "gates"), tls / "vouching")
    return Site(instances, installation, authority, certificate, superuser_password, gates=gates)


def make_primary(site: Site, name: str, *, master: str, password: str) -> PostgresServer:
    """A server as RDS delivers it: its roles, and a master user who is not a superuser. It lets nobody in yet."""
    server = PostgresServer.create(
        site.installation,
        site.instances / name,
        superuser=rds_like.SUPERUSER,
        superuser_password=site.superuser_password,
        certificate=site.certificate,
        hba=hba_lines(allowed=[], tls=site.installation.tls, superuser=rds_like.SUPERUSER),
        settings=rds_like.settings(tls=site.installation.tls),
    )
    rds_like.make_rds_like(server, master=master, password=password)
    return server


def make_replica(site: Site, name: str, source: PostgresServer) -> PostgresServer:
    """A server that streams from the source and lets nobody in yet."""
    return PostgresServer.create_replica(
        source,
        site.instances / name,
        certificate=site.certificate,
        hba=hba_lines(allowed=[], tls=site.installation.tls, superuser=rds_like.SUPERUSER),
    )


def open_to(
    server: PostgresServer,
    allowed: Sequence[IPv4Network | IPv6Network],
    *,
    force_tls: bool,
    iam_users: IamUsers,
    master: str | None,
) -> None:
    """Let in these networks and no others; in force on return. See ``hba_lines``."""
    lines = hba_lines(allowed=allowed, tls=force_tls, superuser=server.superuser, iam_users=iam_users, master=master)
    server.write_hba(lines)


def set_password(server: PostgresServer, user: str, password: str) -> None:
    server.psql(
        "SET log_statement = 'none'; ALTER ROLE :\"name\" PASSWORD :'verifier';",
        variables={"name": user, "verifier": rds_like.scram_verifier(password)},
    )


def create_database(server: PostgresServer, name: str, owner: str) -> None:
    server.psql('CREATE DATABASE :"name" OWNER :"owner";', variables={"name": name, "owner": owner})

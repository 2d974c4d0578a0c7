"""The certificates that a server is verified with: what is wrong with a file, and what with a server."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Self

import pytest

from replica_access import trust
from replica_access.errors import ConnectionFailed, UsageError
from replica_access.model import Login
from replica_access.sandbox import certificates
from replica_access.sandbox.certificates import Authority, ServerCertificate, create_authority, issue
from tests.sandbox_fixtures import Sandbox

PAST, FUTURE = -timedelta(days=400), timedelta(days=400)


@pytest.fixture
def shifted(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """Certificates that are made from now on are valid that much earlier or later."""

    def shift(by: timedelta) -> None:
        class Clock(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> Self:
                return super().now(tz) + by

        monkeypatch.setattr(certificates, "datetime", Clock)

    return shift


# --- the file --------------------------------------------------------------------------------------------------------


def bundle(named: Path) -> str:
    return trust.bundle(str(named), "prod-db", environment={})


def test_a_file_that_is_no_pem_is_told(tmp_path: Path) -> None:
    file = tmp_path / "bundle.pem"
    for content in (b"", b"<html>Not Found</html>", b"-----BEGIN CERTIFICATE-----\nrubbish\n", b"\x30\x82\x03"):
        file.write_bytes(content)
        with pytest.raises(UsageError, match=f"{file}, which primary.sslrootcert names, holds no certificates") as told:
            bundle(file)
        assert told.value.fix == f"Get Amazon's: curl -o {file} {trust.BUNDLE_URL}"


def test_a_file_of_which_everything_has_expired_is_told(tmp_path: Path, shifted: Callable[[timedelta], None]) -> None:
    shifted(PAST)
    old = create_authority(tmp_path / "old").bundle
    with pytest.raises(
        UsageError, match=f"{old}, which primary.sslrootcert names, holds only certificates that have expired"
    ):
        bundle(old)
    shifted(timedelta())
    both = tmp_path / "both.pem"
    both.write_bytes(old.read_bytes() + create_authority(tmp_path / "new").bundle.read_bytes())
    assert bundle(both) == str(both)


# --- the server ------------------------------------------------------------------------------------------------------


def login_to(port: int, root: Path | str, **parameters: str) -> Login:
    known = {"host": "localhost", "port": str(port), "sslmode": "verify-full", "sslrootcert": str(root)}
    return Login("prod-db", {**known, **parameters})


@pytest.fixture
def at(sandbox: Sandbox) -> int:
    return int(sandbox.instance()["Endpoint"]["Port"])


def test_the_right_authority_is_trusted(sandbox: Sandbox, at: int) -> None:
    trust.require_trusted(login_to(at, sandbox.status.ca_bundle))
    trust.require_trusted(login_to(at, sandbox.status.ca_bundle, sslmode="verify-ca"))


def test_another_authority_is_not_even_where_its_name_is_the_same(at: int, tmp_path: Path) -> None:
    other = create_authority(tmp_path / "other").bundle
    for mode in trust.VERIFIED:
        with pytest.raises(ConnectionFailed, match=f"prod-db: its certificate is .* that is in {other}") as told:
            trust.require_trusted(login_to(at, other, sslmode=mode))
        assert f"curl -o rds-global-bundle.pem {trust.BUNDLE_URL}" in told.value.fix
    trust.require_trusted(login_to(at, other, sslmode="require"))
    with pytest.raises(ConnectionFailed, match="that is in the system's certificates"):
        trust.require_trusted(login_to(at, "system"))


def test_another_name_is_told(sandbox: Sandbox, at: int) -> None:
    login = login_to(at, sandbox.status.ca_bundle, host="db.example", hostaddr="127.0.0.1")
    with pytest.raises(ConnectionFailed, match=r"its certificate is of another name than db\.example") as told:
        trust.require_trusted(login)
    assert told.value.fix.startswith("Connect by the endpoint's own name")
    login = login_to(at, sandbox.status.ca_bundle, host="db.example", hostaddr="127.0.0.1", sslmode="verify-ca")
    trust.require_trusted(login)


@contextmanager
def serving(certificate: ServerCertificate) -> Iterator[int]:
    """A server that begins TLS as PostgreSQL does; its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError), listener.accept()[0] as client:
                client.recv(8)
                client.sendall(b"S")
                with context.wrap_socket(client, server_side=True) as session:
                    session.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize(
    ("authoritys", "servers", "told"),
    [
        (timedelta(), PAST, r"has expired, or its authority's in .*authority\.pem\."),
        (PAST, timedelta(), "there has expired: replica-access sandbox authority"),
        (timedelta(), FUTURE, "not valid yet: is the clock of this machine right"),
    ],
)
def test_a_time_that_is_over_or_has_not_come_is_told(
    tmp_path: Path, shifted: Callable[[timedelta], None], authoritys: timedelta, servers: timedelta, told: str
) -> None:
    shifted(authoritys)
    authority: Authority = create_authority(tmp_path / "authority")
    shifted(servers)
    with serving(issue(authority, tmp_path / "server")) as port, pytest.raises(ConnectionFailed, match=told):
        trust.require_trusted(login_to(port, authority.bundle))


def test_nobody_answers() -> None:
    with pytest.raises(ConnectionFailed, match="nobody answers at localhost: Connection refused") as told:
        trust.require_trusted(login_to(1, "system"))
    assert "network.allow" in told.value.fix

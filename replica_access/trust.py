"""The certificates that servers are verified with: found, looked into, and held against the server itself.

libpq says "certificate verify failed" whatever is wrong. What is wrong has a code in OpenSSL, so the handshake is done
once more here, as libpq does it, to tell which.
"""

from __future__ import annotations

import os
import shlex
import socket
import ssl
import struct
import time
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from replica_access.errors import ConnectionFailed, UsageError
from replica_access.model import Login
from replica_access.names import legible

BUNDLE_URL = "https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem"
"""All authorities of RDS in all Regions but GovCloud's and China's (RDS user guide, "Using SSL/TLS")."""

BUNDLE_NAMES = ("rds-global-bundle.pem", "global-bundle.pem", "rds-combined-ca-bundle.pem")

VERIFIED = frozenset({"verify-ca", "verify-full"})
"""The values of ``sslmode`` with which libpq looks at the server's certificate."""

HANDSHAKE_S = 10.0

_SSL_REQUEST = struct.pack("!ii", 8, 80877103)

# X509_V_ERR_… of OpenSSL's x509_vfy.h
_NOT_YET_VALID, _EXPIRED = 9, 10
_UNKNOWN_AUTHORITY = frozenset({2, 18, 19, 20, 21})
_OTHER_NAME = frozenset({62, 64})


# --- the file --------------------------------------------------------------------------------------------------------


def bundle(
    named: str | None,
    server: str,
    *,
    region: str = "",
    directory: Path = Path(),
    environment: Mapping[str, str] = os.environ,
) -> str:
    """Return the file of certificates to verify `server` with: the one that is named, or one where they usually are.

    :param named: ``primary.sslrootcert`` of the spec; ``system`` is what libpq takes for OpenSSL's own.
    :param directory: where the spec is.
    :raises UsageError: there is none, or it cannot be used: says why, and how to get one.
    """
    if named == "system":
        return named
    if named is not None:
        return _usable(directory / Path(named).expanduser(), "primary.sslrootcert")
    if set_by := environment.get("PGSSLROOTCERT"):
        return set_by if set_by == "system" else _usable(Path(set_by), "PGSSLROOTCERT")
    for path in _usual(region, directory, environment):
        if path.is_file():
            return _usable(path, "")
    raise UsageError(
        f"There is no file of certificates to verify {server} with.", how_to_get_it(directory / BUNDLE_NAMES[0])
    )


def _usual(region: str, directory: Path, environment: Mapping[str, str]) -> Iterator[Path]:
    """Yield where people keep it: beside the spec, where libpq looks, and where the system's certificates are."""
    names = (*BUNDLE_NAMES, *([f"{region}-bundle.pem"] if region else []))
    home = Path(environment.get("HOME", "~")).expanduser() / ".postgresql"
    yield from (directory / name for name in names)
    yield from (home / name for name in (*names, "root.crt"))
    yield from (Path("/etc/ssl/certs") / name for name in names)


def how_to_get_it(path: Path) -> str:
    return f"Get Amazon's: curl -o {shlex.quote(str(path))} {BUNDLE_URL}"


def _usable(path: Path, named_by: str) -> str:
    """Return `path`, which holds certificates, and not only such that have expired.

    :raises UsageError: it does not.
    """
    which = f"{path}, which {named_by} names," if named_by else str(path)
    if not path.is_file():
        raise UsageError(f"There is no file {which.rstrip(',')}.", how_to_get_it(path))
    try:
        authorities = _authorities(path)
    except ssl.SSLError:
        raise UsageError(f"{which} holds no certificates in PEM.", how_to_get_it(path)) from None
    except OSError as error:
        raise UsageError(f"{which} cannot be read: {error.strerror}.", "Check who may read it.") from None
    if authorities and all(end < time.time() for end in authorities.values()):
        raise UsageError(f"{which} holds only certificates that have expired.", how_to_get_it(path))
    return str(path)


@lru_cache  # asked for at every login of a run
def _authorities(path: Path) -> Mapping[str, float]:
    """Return the authorities in a file, each with the end of its validity in seconds since 1970.

    :raises OSError: it cannot be read; ``ssl.SSLError``: it holds no certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(path)
    return {
        _common_name(found): float(ssl.cert_time_to_seconds(str(found["notAfter"]))) for found in context.get_ca_certs()
    }


def _common_name(certificate: Mapping[str, object]) -> str:
    subject = certificate.get("subject", ())
    assert isinstance(subject, tuple)  # noqa: S101  (so `ssl` describes it)
    return ", ".join(value for part in subject for key, value in part if key == "commonName")


# --- the server ------------------------------------------------------------------------------------------------------


def require_trusted(login: Login) -> None:
    """Shake hands with the server that `login` leads to, as libpq will, where that verifies its certificate.

    A server that is not one host and port, or that answers in a way that libpq will know better, is left to libpq.

    :raises ConnectionFailed: nobody answers, there is nothing to verify with, or the certificate is not the one to
        expect: says what of it.
    """
    parameters = login.parameters
    host, mode = parameters.get("host", ""), parameters.get("sslmode", "")
    if mode not in VERIFIED or not host or host.startswith(("/", "@")) or "," in host:
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = mode == "verify-full"
    root = parameters.get("sslrootcert") or str(Path("~/.postgresql/root.crt").expanduser())
    try:
        if root == "system":
            context.load_default_certs()
        else:
            context.load_verify_locations(root)
    except ssl.SSLError:
        raise _unusable(login, f"{root} holds no certificates in PEM") from None
    except OSError as error:
        raise _unusable(login, f"{root}, to verify it with, cannot be read: {error.strerror}") from None
    try:
        _shake_hands(parameters.get("hostaddr") or host, int(parameters.get("port") or 5432), host, context)
    except ssl.SSLCertVerificationError as error:
        raise ConnectionFailed(f"{legible(login.server)}: {_verdict(error, host, root)}", _way_out(error)) from None
    except (ssl.SSLError, ConnectionResetError):
        return
    except OSError as error:
        raise ConnectionFailed(
            f"{legible(login.server)}: nobody answers at {legible(host)}: {error.strerror or error}.",
            "Check that this machine's address is allowed (network.allow of the spec), and that it may get out there.",
        ) from None


def _unusable(login: Login, why: str) -> ConnectionFailed:
    fix = "Name the file with the certificate of the server's authority: sslrootcert of the dsn or of [primary]."
    return ConnectionFailed(f"{legible(login.server)}: {why}.", fix)


def _shake_hands(address: str, port: int, name: str, context: ssl.SSLContext) -> None:
    with socket.create_connection((address, port), HANDSHAKE_S) as connection:
        connection.sendall(_SSL_REQUEST)
        if connection.recv(1) == b"S":
            with context.wrap_socket(connection, server_hostname=name):
                return


def _verdict(error: ssl.SSLCertVerificationError, host: str, root: str) -> str:
    where = "the system's certificates" if root == "system" else root
    if error.verify_code in _UNKNOWN_AUTHORITY:
        return f"its certificate is signed by no authority that is in {where}."
    if error.verify_code == _EXPIRED:
        return f"its certificate has expired, or its authority's in {where}{_expired_in(root)}."
    if error.verify_code == _NOT_YET_VALID:
        return "its certificate is not valid yet: is the clock of this machine right?"
    if error.verify_code in _OTHER_NAME:
        return f"its certificate is of another name than {legible(host)}."
    return f"its certificate is refused: {error.verify_message}."


def _expired_in(root: str) -> str:
    if root == "system":
        return ""
    expired = [name for name, end in _authorities(Path(root)).items() if end < time.time()]
    return f" (there has expired: {legible('; '.join(expired[:3]))})" if expired else ""


def _way_out(error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code in _OTHER_NAME:
        return "Connect by the endpoint's own name, not by an alias or an address."
    return (
        f"Name the right file with primary.sslrootcert or PGSSLROOTCERT; for RDS: "
        f"curl -o {BUNDLE_NAMES[0]} {BUNDLE_URL}"
    )

"""A certificate authority of the sandbox's own, and certificates for its servers.

It stands for the bundle that AWS publishes for RDS: clients verify a server in full against ``authority.pem``. Keys lie
beside their certificates, readable by nobody else, and go with the sandbox.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

__all__ = ["Authority", "ServerCertificate", "create_authority", "issue", "issue_for_client", "open_authority"]

LIFETIME = timedelta(days=397)
CLOCK_SKEW = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Authority:
    """``bundle`` is what clients trust (libpq's ``sslrootcert``)."""

    bundle: Path
    key: Path


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """A server's certificate and key, in PEM, and the bundle that verifies it."""

    certificate: Path
    key: Path
    bundle: Path


def create_authority(directory: Path) -> Authority:
    """Make an authority in ``directory``, which is made if need be."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    authority = open_authority(directory)
    key = ec.generate_private_key(ec.SECP256R1())
    name = common_name("replica-access sandbox authority")
    usage = key_usage(signs_certificates=True)
    certificate = (
        builder(subject=name, issuer=name, key=key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    write_pair(certificate, key, authority.bundle, authority.key)
    return authority


def open_authority(directory: Path) -> Authority:
    """The authority that was made in ``directory``."""
    return Authority(directory / "authority.pem", directory / "authority.key")


def issue_for_client(authority: Authority, directory: Path, user: str) -> ServerCertificate:
    """A certificate by which somebody may log in as ``user``, written to ``directory`` unless it is there."""
    name = hashlib.sha256(user.encode()).hexdigest()
    made = ServerCertificate(directory / f"{name}.crt", directory / f"{name}.key", authority.bundle)
    if not made.certificate.exists():
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_pair(*signed(authority, user, alternative_names=[], server=False), made.certificate, made.key)
    return made


def issue(
    authority: Authority,
    directory: Path,
    *,
    names: Sequence[str] = ("localhost",),
    addresses: Sequence[str] = ("127.0.0.1", "::1"),
) -> ServerCertificate:
    """A certificate for a server that is known by these names and addresses, written to ``directory``."""
    from cryptography import x509

    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    known_as = [
        *(x509.DNSName(name) for name in names),
        *(x509.IPAddress(ipaddress.ip_address(address)) for address in addresses),
    ]
    issued = ServerCertificate(directory / "server.crt", directory / "server.key", authority.bundle)
    write_pair(*signed(authority, names[0], alternative_names=known_as, server=True), issued.certificate, issued.key)
    return issued


def signed(
    authority: Authority, name: str, *, alternative_names: Sequence[x509.GeneralName], server: bool
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """A certificate of that common name, for a server or else for a client, and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID

    issuer = x509.load_pem_x509_certificate(authority.bundle.read_bytes())
    issuer_key = serialization.load_pem_private_key(authority.key.read_bytes(), password=None)
    assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)  # noqa: S101  (create_authority makes no other)
    key = ec.generate_private_key(ec.SECP256R1())
    usage = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
    certificate = builder(subject=common_name(name), issuer=issuer.subject, key=key)
    if alternative_names:
        certificate = certificate.add_extension(x509.SubjectAlternativeName(alternative_names), critical=False)
    certificate = (
        certificate.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    return certificate.sign(issuer_key, hashes.SHA256()), key


def builder(*, subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    from cryptography import x509

    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def common_name(text: str) -> x509.Name:
    from cryptography import x509

    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    """An authority signs certificates, a server signs handshakes. Python verifies this strictly from 3.13 on."""
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def write_pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey, public: Path, private: Path) -> None:
    from cryptography.hazmat.primitives import serialization

    public.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    descriptor = os.open(private, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )

"""How to log in to an instance as the admin: the password, the endpoint, and the certificate to trust."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from replica_access.aws.landscape import Instance
from replica_access.aws.secret_store import read
from replica_access.aws.session import Aws
from replica_access.errors import AwsError, CredentialsError, UsageError
from replica_access.model import Login
from replica_access.spec import Spec

BUNDLE_URL = "https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem"
BUNDLE_NAMES = ("rds-global-bundle.pem", "global-bundle.pem", "rds-combined-ca-bundle.pem")

VERIFIED = frozenset({"verify-ca", "verify-full"})


def primary_login(
    aws: Aws,
    spec: Spec,
    primary: Instance,
    *,
    directory: Path = Path(),
    environment: Mapping[str, str] = os.environ,
) -> Login:
    """Return how to log in to `primary` as the admin.

    The password comes from ``primary.admin_secret`` (Secrets Manager, in RDS's own form), from IAM, or else from
    libpq's own sources: PGPASSWORD, pgpass file, service file.

    :param directory: where the spec is: relative file names in it mean files there.
    :raises NotFound: there is no such secret.
    :raises UsageError: no root certificate to verify the server with.
    """
    parameters = endpoint(primary) | _tls(spec, primary.identifier, directory, environment)
    if spec.primary.admin_secret is not None:
        kept = read(aws, spec.primary.admin_secret)
        if kept is None:
            raise CredentialsError(
                f"There is no secret {spec.primary.admin_secret} in {aws.region} for the admin's password.",
                'Correct primary.admin_secret in the spec; it holds {"username": …, "password": …}, as RDS writes it.',
            )
        user, password = kept.user or primary.master_user, kept.password
        return Login(primary.identifier, {**parameters, "user": user}, spec.primary.database, password)
    if spec.primary.auth == "iam":
        user = environment.get("PGUSER") or primary.master_user
        login = Login(primary.identifier, {**parameters, "user": user}, spec.primary.database)
        return with_iam_token(aws, login)
    if "PGUSER" not in environment and "PGSERVICE" not in environment:
        parameters["user"] = primary.master_user
    return Login(primary.identifier, parameters, spec.primary.database)


def replica_login(aws: Aws, spec: Spec, replica: Instance, admin: Login) -> Login:
    """Return how to log in to `replica` as the `admin` of its primary: roles and passwords are the same there.

    :raises AwsError: the replica has no endpoint yet.
    """
    login = Login(replica.identifier, {**admin.parameters, **endpoint(replica)}, admin.database, admin.password)
    return with_iam_token(aws, login) if spec.primary.auth == "iam" and spec.primary.admin_secret is None else login


def with_iam_token(aws: Aws, login: Login) -> Login:
    """Return `login` with an IAM token for a password: good for fifteen minutes, signed here without any call."""
    host, port, user = (login.parameters[key] for key in ("host", "port", "user"))
    return Login(login.server, login.parameters, login.database, aws.database_token(host, int(port), user))


def endpoint(instance: Instance) -> dict[str, str]:
    """Return host and port of `instance`, as libpq takes them.

    :raises AwsError: it has none yet.
    """
    if instance.host is None or instance.port is None:
        raise AwsError(
            f"{instance.identifier} has no endpoint yet: it is {instance.status}.", "Run the same command again later."
        )
    return {"host": instance.host, "port": str(instance.port)}


# --- TLS -------------------------------------------------------------------------------------------------------------


def _tls(spec: Spec, server: str, directory: Path, environment: Mapping[str, str]) -> dict[str, str]:
    mode = spec.primary.sslmode or "verify-full"
    named = spec.primary.sslrootcert
    if named is None and mode not in VERIFIED:
        return {"sslmode": mode}
    return {"sslmode": mode, "sslrootcert": _root_certificate(named, server, directory, environment)}


def _root_certificate(named: str | None, server: str, directory: Path, environment: Mapping[str, str]) -> str:
    """Return the file of certificates to trust: the one that is named, or one that lies where it usually does."""
    if named == "system":
        return named
    if named is not None:
        path = directory / Path(named).expanduser()
        if not path.is_file():
            raise UsageError(f"There is no file {path}, which primary.sslrootcert names.", _where_to_get_it(path))
        return str(path)
    if environment.get("PGSSLROOTCERT"):
        return environment["PGSSLROOTCERT"]
    usual = [directory / name for name in BUNDLE_NAMES]
    usual.append(Path(environment.get("HOME", "~")).expanduser() / ".postgresql" / "root.crt")
    for path in usual:
        if path.is_file():
            return str(path)
    raise UsageError(
        f"There is no root certificate to verify {server} with.", _where_to_get_it(directory / BUNDLE_NAMES[0])
    )


def _where_to_get_it(path: Path) -> str:
    return f"Get Amazon's: curl -o {path} {BUNDLE_URL}"

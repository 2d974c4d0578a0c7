"""How to log in to an instance as the admin: the password, the endpoint, and the certificate to trust."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from replica_access import trust
from replica_access.aws.landscape import Instance
from replica_access.aws.secret_store import read
from replica_access.aws.session import Aws
from replica_access.errors import AwsError, CredentialsError
from replica_access.model import Login
from replica_access.spec import Spec

OWN_SOURCES = frozenset({"PGPASSWORD", "PGPASSFILE", "PGSERVICE"})
"""libpq's variables by which somebody says that they have a password of their own."""


def primary_login(
    aws: Aws,
    spec: Spec,
    primary: Instance,
    *,
    directory: Path = Path(),
    environment: Mapping[str, str] = os.environ,
) -> Login:
    """Return how to log in to `primary` as the admin.

    The password comes from ``primary.admin_secret`` (Secrets Manager, in RDS's own form), from IAM, from libpq's own
    sources where the environment names one, from the secret in which RDS keeps a password that it manages, or else
    from the pgpass file in its usual place.

    :param directory: where the spec is: relative file names in it mean files there.
    :raises NotFound: there is no such secret.
    :raises UsageError: no certificates to verify the server with.
    """
    parameters = dict(login_to(aws, spec, primary, directory=directory, environment=environment).parameters)
    if secret := _admin_secret(spec, primary, environment):
        kept = read(aws, secret)
        if kept is None:
            raise CredentialsError(
                f"There is no secret {secret} in {aws.region} for the admin's password.",
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


def _admin_secret(spec: Spec, primary: Instance, environment: Mapping[str, str]) -> str | None:
    """Return the secret that has the admin's password, if one has; by default RDS's own, where RDS manages it."""
    if spec.primary.admin_secret is not None or spec.primary.auth == "iam":
        return spec.primary.admin_secret
    return None if OWN_SOURCES & environment.keys() else primary.managed_secret or None


def login_to(
    aws: Aws,
    spec: Spec,
    instance: Instance,
    *,
    directory: Path = Path(),
    environment: Mapping[str, str] = os.environ,
) -> Login:
    """Return where `instance` is and how its certificate is verified, with no user and no password.

    :raises UsageError: no certificates to verify the server with.
    :raises AwsError: it has no endpoint yet.
    """
    parameters = endpoint(instance) | _tls(aws, spec, instance.identifier, directory, environment)
    return Login(instance.identifier, parameters, spec.primary.database)


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


def _tls(aws: Aws, spec: Spec, server: str, directory: Path, environment: Mapping[str, str]) -> dict[str, str]:
    mode = spec.primary.sslmode or "verify-full"
    if spec.primary.sslrootcert is None and mode not in trust.VERIFIED:
        return {"sslmode": mode}
    bundle = trust.bundle(
        spec.primary.sslrootcert, server, region=aws.region, directory=directory, environment=environment
    )
    return {"sslmode": mode, "sslrootcert": bundle}

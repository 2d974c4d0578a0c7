"""Passwords in Secrets Manager, in the form that RDS itself uses and other tools read.

The form: a JSON object with ``engine``, ``host``, ``port``, ``dbname``, ``username``, ``password`` and
``dbInstanceIdentifier`` (Secrets Manager user guide, "JSON structure of AWS Secrets Manager database credential
secrets").
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from replica_access.aws.ownership import MANAGED_TAG, MANAGED_VALUE, REPLICA_TAG, as_list, as_mapping, is_managed
from replica_access.aws.plan_removal import RECOVERY_DAYS
from replica_access.aws.session import Aws
from replica_access.aws_commands import Commands
from replica_access.errors import AccessDenied, AwsError, NotFound, NotOurs
from replica_access.model import Secret

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_OID, "replica-access")


@dataclass(frozen=True, slots=True)
class Kept:
    """What a secret holds; `user`, `host` and `port` are empty where it names none.

    :param version: the id of the version that holds it.
    """

    user: str
    password: Secret
    host: str = ""
    port: int | None = None
    version: str = ""


def read(aws: Aws, secret_id: str) -> Kept | None:
    """Return what `secret_id` holds, or ``None`` where there is no such secret, or nothing in it yet.

    :raises AwsError: it is about to be deleted, or holds something else than a login.
    """
    try:
        answer = aws.call("secretsmanager", "GetSecretValue", SecretId=secret_id)
    except NotFound:
        return None
    except AwsError as error:
        raise _doomed(aws, secret_id, error) from None
    try:
        value = json.loads(answer["SecretString"])
        password, port = value["password"], value.get("port")
        if not isinstance(password, str):
            raise TypeError
        return Kept(
            str(value.get("username", "")),
            Secret(password),
            str(value.get("host", "")),
            int(port) if port is not None else None,
            str(answer.get("VersionId", "")),
        )
    except (KeyError, ValueError, AttributeError, TypeError):
        raise AwsError(
            f'The secret {secret_id} is not of RDS\'s form: {{"username": …, "password": …}}.',
            "Name another one in the spec, or bring it into that form.",
        ) from None


def read_password(aws: Aws, secret_id: str) -> Secret | None:
    """Return the password in `secret_id`, or ``None`` where there is no such secret.

    :raises AwsError: as `read` does.
    """
    kept = read(aws, secret_id)
    return kept.password if kept is not None else None


def written_on(aws: Aws, secret_id: str) -> date:
    """Return the day, in UTC, on which what `secret_id` holds now was put into it.

    That of the version, because tags and descriptions change a secret, too (LastChangedDate of DescribeSecret), and
    LastRotatedDate knows Secrets Manager's own rotation only. The password may be older: it is put there again with
    another endpoint.

    :raises NotFound: there is no such secret, or nothing in it.
    """
    answer = aws.call("secretsmanager", "ListSecretVersionIds", SecretId=secret_id, MaxResults=100)  # it has 20 at most
    for version in answer.get("Versions", ()):
        if "AWSCURRENT" in version.get("VersionStages", ()):
            when: datetime = version["CreatedDate"]
            return when.astimezone(UTC).date()
    raise NotFound(f"There is nothing in the secret {secret_id}.", call="secretsmanager:ListSecretVersionIds")


def store_password(
    aws: Aws,
    secret_id: str,
    user: str,
    password: Secret,
    *,
    host: str,
    port: int,
    database: str,
    instance: str,
    tags: Mapping[str, str],
) -> None:
    """Keep the `password` of `user` in `secret_id`; doing it twice changes nothing.

    The token of each call follows from its content and from the version that it replaces, so that a call whose answer
    was lost can be repeated; by its content alone, going back to a former value would count as a repetition too.

    :raises NotOurs: there is a secret of that name, with another content and without our tag.
    """
    value = json.dumps(
        {
            "engine": "postgres",
            "host": host,
            "port": port,
            "dbname": database,
            "username": user,
            "password": password.reveal(),
            "dbInstanceIdentifier": instance,
        }
    )
    kept = read(aws, secret_id)
    creation = {
        **_version(secret_id, value),
        "Description": f"PostgreSQL login {user} on {instance}, made by replica-access",
        "Tags": as_list(tags),
    }
    if kept is not None and (kept.user, kept.password) == (user, password):
        # somebody else's secret that serves is left alone; ours follows the replica to a new endpoint
        if (kept.host, kept.port) == (host, port) or not is_ours(aws, secret_id):
            return
    elif kept is None and _create(aws, secret_id, creation):
        return
    elif not is_ours(aws, secret_id):
        tag = Commands(aws.region).secret(
            "tag-resource", "--secret-id", secret_id, "--tags", f"Key={MANAGED_TAG},Value={MANAGED_VALUE}"
        )
        raise NotOurs(
            f"The secret {secret_id} exists already and does not carry our tag.",
            f"Name another one in the spec (users.NAME.secret), or hand this one over: {tag}",
        )
    version = _version(secret_id, value, kept.version if kept is not None else "")
    aws.call("secretsmanager", "PutSecretValue", SecretId=secret_id, **version)


def _version(secret_id: str, value: str, replaced: str = "") -> dict[str, str]:
    token = uuid.uuid5(_NAMESPACE, "\0".join((secret_id, value, *([replaced] if replaced else []))))
    return {"SecretString": value, "ClientRequestToken": str(token)}


def _create(aws: Aws, secret_id: str, creation: Mapping[str, Any]) -> bool:
    """Create the secret, and return whether it is there now with our value; it may exist with none, or with another."""
    try:
        aws.call("secretsmanager", "CreateSecret", Name=secret_id, **creation)
    except AwsError as error:
        if error.code != "ResourceExistsException":
            raise _doomed(aws, secret_id, error) from None
        return False
    return True


def delete(aws: Aws, secret_id: str, owners: Collection[str | None]) -> str:
    """Delete `secret_id` where it was made for one of `owners`; return what came of it, if anything."""
    try:
        found = aws.call("secretsmanager", "DescribeSecret", SecretId=secret_id)
    except NotFound:
        return ""
    tags = as_mapping(found.get("Tags", ()))
    if "DeletedDate" in found:
        return ""
    if not is_managed(tags):
        return f"the secret {secret_id} stays: it does not carry our tag"
    if tags.get(REPLICA_TAG) not in owners:
        return f"the secret {secret_id} stays: it belongs to {tags.get(REPLICA_TAG)}"
    aws.call("secretsmanager", "DeleteSecret", SecretId=found["ARN"], RecoveryWindowInDays=RECOVERY_DAYS)
    return f"deleted the secret {secret_id}; it can be restored for {RECOVERY_DAYS} days"


def is_ours(aws: Aws, secret_id: str) -> bool:
    """Whether `secret_id`, which exists, carries our tag."""
    return is_managed(tags_of(aws, secret_id))


def tags_of(aws: Aws, secret_id: str) -> Mapping[str, str]:
    """Return the tags of `secret_id`, which exists."""
    return as_mapping(aws.call("secretsmanager", "DescribeSecret", SecretId=secret_id).get("Tags", ()))


def waits_for_deletion(aws: Aws, secret_id: str) -> bool:
    """Return whether `secret_id` is deleted and can still be restored."""
    return "DeletedDate" in aws.call("secretsmanager", "DescribeSecret", SecretId=secret_id)


def restorable(aws: Aws, secret_id: str) -> Mapping[str, str] | None:
    """Return the tags of `secret_id` where it is ours, deleted, and can still be restored.

    Where it cannot be looked at, whoever reads it is told why.
    """
    try:
        found = aws.call("secretsmanager", "DescribeSecret", SecretId=secret_id)
    except (AccessDenied, NotFound):
        return None
    tags = as_mapping(found.get("Tags", ()))
    return tags if "DeletedDate" in found and is_managed(tags) else None


def _doomed(aws: Aws, secret_id: str, error: AwsError) -> AwsError:
    """Return that `secret_id` is about to be deleted, where that is the reason of `error`; its code has several."""
    if error.code != "InvalidRequestException" or not waits_for_deletion(aws, secret_id):
        return error
    restore = Commands(aws.region).secret("restore-secret", "--secret-id", secret_id)
    return AwsError(
        f"The secret {secret_id} is scheduled for deletion.",
        f"Name another one in the spec, or restore it: {restore}",
        call=error.call,
        code=error.code,
    )

"""IAM tokens for databases, judged as RDS judges them.

A token is a presigned request that nobody ever sends: its signature proves who asked, and IAM says whether they may
connect (IAM user guide, "Signing AWS API requests"; RDS user guide, "IAM database authentication").
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote

__all__ = ["Target", "why_refused"]

MADE_UP = "sandbox"
"""The key, and its secret, that `sandbox env` prints; it may do everything, like the other calls made with it."""

LONGEST = timedelta(minutes=15)
CLOCK_SKEW = timedelta(minutes=5)
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class Target:
    """Where somebody wants to log in, and as whom: what a token has to be signed for."""

    account: str
    region: str
    resource_id: str
    host: str
    port: int
    user: str


def why_refused(token: str, target: Target, now: datetime) -> str | None:
    """Why ``token`` does not let in, ``None`` where it does.

    :param now: with a time zone.
    """
    where, _, query = token.partition("/?")
    signed = dict(parse_qsl(query, keep_blank_values=True))
    try:
        key, date, region, service, terminator = signed["X-Amz-Credential"].split("/")
        begin = datetime.strptime(signed["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        lifetime = timedelta(seconds=int(signed["X-Amz-Expires"]))
        signature = signed.pop("X-Amz-Signature")
    except (KeyError, ValueError):
        return "it is no token"
    if where != f"{target.host}:{target.port}":
        return f"it was signed for {where}"
    if (signed.get("Action"), signed.get("DBUser")) != ("connect", target.user):
        return "it was signed for another user"
    if (region, service, terminator) != (target.region, "rds-db", "aws4_request"):
        return "it was signed for another Region or service"
    if not begin - CLOCK_SKEW <= now < begin + min(lifetime, LONGEST):
        return "it has expired"
    if (secret := _secret_of(key, signed.get("X-Amz-Security-Token"), target)) is None:
        return "it was signed with a key that nobody knows"
    if not hmac.compare_digest(signature, _signature(secret, date, where, signed)):
        return "its signature is wrong"
    return None if _may_connect(key, signed.get("X-Amz-Security-Token"), target) else "rds-db:connect is not allowed"


def _signature(secret: str, date: str, host: str, signed: dict[str, str]) -> str:
    """The signature of the presigned request, by Signature Version 4."""
    query = "&".join(f"{quote(name, safe='-_.~')}={quote(signed[name], safe='-_.~')}" for name in sorted(signed))
    request = "\n".join(("GET", "/", query, f"host:{host}", "", "host", EMPTY_SHA256))
    scope = signed["X-Amz-Credential"].partition("/")[2]
    text = "\n".join(("AWS4-HMAC-SHA256", signed["X-Amz-Date"], scope, hashlib.sha256(request.encode()).hexdigest()))
    key = f"AWS4{secret}".encode()
    for part in (date, *scope.split("/")[1:]):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


# --- what IAM says ----------------------------------------------------------------------------------------------------


def _access_key(key: str, session: str | None, target: Target) -> object:
    from moto.iam.access_control import CreateAccessKeyFailure, create_access_key

    try:
        return create_access_key(target.account, "aws", key, {"X-Amz-Security-Token": session} if session else {})
    except CreateAccessKeyFailure:
        return None


def _secret_of(key: str, session: str | None, target: Target) -> str | None:
    if key == MADE_UP:
        return MADE_UP
    found = _access_key(key, session, target)
    return str(found.create_credentials().secret_key) if found is not None else None  # type: ignore[attr-defined]


def _may_connect(key: str, session: str | None, target: Target) -> bool:
    from moto.iam.access_control import IAMPolicy, PermissionResult

    if key == MADE_UP:
        return True
    resource = f"arn:aws:rds-db:{target.region}:{target.account}:dbuser:{target.resource_id}/{target.user}"
    policies = _access_key(key, session, target).collect_policies()  # type: ignore[attr-defined]
    said = [IAMPolicy(policy).is_action_permitted("rds-db:connect", resource) for policy in policies]
    return PermissionResult.PERMITTED in said and PermissionResult.DENIED not in said

"""What is ours: the names and tags by which everything that this program makes is found again.

A resource that lacks our tag is never changed nor deleted, whatever its name.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping

from replica_access.spec import Allow, Spec

REPLICA_TAG = "replica-access"
"""On the replica, its groups and the rules of its security group; the value is the replica's identifier."""

MANAGED_TAG = "managed-by"
MANAGED_VALUE = "replica-access"
"""On everything that we make, secrets included; IAM policies can condition on it."""

BASE_TAG = "based-on"
"""On our parameter group: the one that the replica would have without us, and whose values ours has too."""

MAX_DESCRIPTION = 255

_DESCRIPTION_ALPHABET = frozenset(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ._-:/()#,@[]+=&;{}!$*"
)
"""EC2 API reference, CreateSecurityGroup and IpRange: what a description may be made of."""


def identifier(name: str) -> str:
    """Return the identifier of a DB instance as RDS stores it, from an identifier or an ARN in any case.

    >>> identifier("arn:aws:rds:eu-west-1:123456789012:db:Prod-DB")
    'prod-db'
    """
    return name.rpartition(":")[2].lower()


def replica_identifier(spec: Spec) -> str | None:
    """Return the identifier of the replica that `spec` wants, if it wants one on RDS."""
    if spec.replica is None or spec.replica.instance is None:
        return None
    return identifier(spec.replica.instance)


def region_of(name: str | None) -> str | None:
    """Return the Region in an ARN, or ``None`` for an identifier, which is where one asks.

    >>> region_of("arn:aws:rds:eu-west-1:123456789012:db:prod-db")
    'eu-west-1'
    """
    return name.split(":")[3] if name is not None and name.startswith("arn:") else None


def source_identifier(spec: Spec) -> str:
    """Return the identifier of what the replica of `spec` is to be a replica of: the primary, or another replica."""
    named = spec.replica.source if spec.replica is not None else None
    return identifier(named or spec.primary.instance or "")


def group_name(replica: str) -> str:
    """Return the name of the security group of `replica`, and of its own subnet group and parameter group."""
    return f"replica-access-{replica}"


def tags(replica: str, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the tags of what belongs to `replica`; ours win over `extra`."""
    return {**(extra or {}), REPLICA_TAG: replica, MANAGED_TAG: MANAGED_VALUE}


def belongs_to(replica: str, found: Mapping[str, str]) -> bool:
    """Whether a resource with the tags `found` was made for `replica`."""
    return found.get(REPLICA_TAG) == replica


def is_managed(found: Mapping[str, str]) -> bool:
    """Whether a resource with the tags `found` was made by this program, for whatever replica."""
    return found.get(MANAGED_TAG) == MANAGED_VALUE


def as_list(values: Mapping[str, str]) -> list[dict[str, str]]:
    """Return tags as the APIs take them."""
    return [{"Key": key, "Value": value} for key, value in values.items()]


def as_mapping(values: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return tags from the form in which the APIs give them."""
    return {tag["Key"]: tag["Value"] for tag in values}


def description(text: str) -> str:
    """Return `text` in EC2's alphabet for descriptions: accents dropped, anything else foreign a hyphen.

    >>> description("O'Brien's café")
    'O-Brien-s cafe'
    """
    plain = "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
    return "".join(char if char in _DESCRIPTION_ALPHABET else "-" for char in plain)[:MAX_DESCRIPTION]


def rule_tags(replica: str, allow: Allow) -> dict[str, str]:
    """Return the tags of the rule that lets `allow` in: why, and until when."""
    about = {"note": allow.note} if allow.note else {}
    if allow.expires is not None:
        about["expires"] = allow.expires.isoformat()
    return tags(replica, about)

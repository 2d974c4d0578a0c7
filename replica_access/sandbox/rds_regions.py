"""Replicas in another Region than their source: what RDS wants of them, and refuses (RDS API reference)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moto.rds.exceptions import RDSClientError

__all__ = ["NOT_INHERITED", "refuse_unusable_key"]

# What a replica has from its source in the same Region only.
NOT_INHERITED = ("db_parameter_group_name", "db_subnet_group_name", "kms_key_id")


def refuse_unusable_key(call: Mapping[str, Any], source: Any, account: str, region: str) -> None:
    """An encrypted source has encrypted replicas only, and a key does not leave its Region."""
    key = call.get("kms_key_id")
    if source.storage_encrypted and not key:
        raise RDSClientError(
            "InvalidParameterCombination",
            "Cannot create a cross region unencrypted read replica from encrypted source.",
        )
    if key and not source.storage_encrypted:
        raise RDSClientError(
            "InvalidParameterCombination", "Cannot create an encrypted read replica from unencrypted source."
        )
    if key and not _is_usable(key, account, region):
        raise RDSClientError(
            "KMSKeyNotAccessibleFault",
            f"The specified KMS key [{key}] does not exist, is not enabled or you do not have permissions to access "
            "it.",
        )


def _is_usable(key: str, account: str, region: str) -> bool:
    from moto.kms.models import kms_backends

    if key.startswith("arn:") and key.split(":")[3] != region:
        return False
    keys = kms_backends[account][region]
    try:
        return bool(keys.describe_key(key).enabled)
    except (KeyError, AttributeError):  # as moto says that there is no such key, or no such alias
        return False

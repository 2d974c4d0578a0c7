"""One AWS call as the sandbox records it: enough to compare it with an IAM policy, without secret values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["RecordedCall"]


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """
    :ivar service: its prefix in IAM: ``ec2``, ``rds``, ``secretsmanager``, ``sts``, ``cloudwatch`` ...
    :ivar actions: what the caller has to be allowed: the operation itself first, then what its parameters need beside
        it, such as ``ec2:CreateTags``.
    :ivar parameters: by botocore's names; ``****`` stands for a secret.
    :ivar error: the code of the answer; None if it was no error, or there was no answer, which `answered` says.
    """

    service: str
    operation: str
    region: str
    parameters: Mapping[str, Any]
    actions: tuple[str, ...]
    dry_run: bool = False
    user_agent: str = field(default="", repr=False)
    error: str | None = None
    answered: bool = True

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> RecordedCall:
        return cls(**{**document, "actions": tuple(document["actions"])})

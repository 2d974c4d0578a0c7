"""What RDS offers for one version of PostgreSQL: a frozen value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class EngineVersion:
    """A version of the engine, as DescribeDBEngineVersions tells.

    :param family: of the parameter groups that fit it.
    :param log_types: what can be exported to CloudWatch Logs; empty where RDS does not say, as the next is.
    :param rotates_certificates_running: whether another certificate authority needs no restart.
    """

    version: str
    family: str
    log_types: tuple[str, ...] = ()
    certificate_authorities: tuple[str, ...] = ()
    rotates_certificates_running: bool = False

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Self:
        """Return the version that an entry of ``DBEngineVersions`` describes."""
        return cls(
            found["EngineVersion"],
            found["DBParameterGroupFamily"],
            tuple(found.get("ExportableLogTypes", ())),
            tuple(found.get("SupportedCACertificateIdentifiers", ())),
            found.get("SupportsCertificateRotationWithoutRestart", False),
        )

"""What RDS offers for PostgreSQL: instance classes, certificate authorities, log types, monitoring; and refuses else.

Each function is named after what it refuses: it raises ``RDSClientError``, or returns.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from moto.rds.exceptions import RDSClientError

__all__ = [
    "CERTIFICATE_AUTHORITIES",
    "INSTANCE_CLASSES",
    "LICENSE",
    "LOG_TYPES",
    "not_orderable",
    "unknown_certificate_authority",
    "unknown_log_types",
    "unusable_monitoring",
]

LICENSE = "postgresql-license"
VALID_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/.+")
MONITORING_INTERVALS = (0, 1, 5, 10, 15, 30, 60)
CERTIFICATE_AUTHORITIES = ("rds-ca-rsa2048-g1", "rds-ca-rsa4096-g1", "rds-ca-ecc384-g1")
LOG_TYPES = ("postgresql", "upgrade", "iam-db-auth-error")
SIZES = ("large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge")
INSTANCE_CLASSES = (
    *(f"db.{family}.{size}" for family in ("t3", "t4g") for size in ("micro", "small", "medium", *SIZES[:3])),
    *(f"db.{family}.{size}" for family in ("m5", "m6g", "m6i", "m7g", "r5", "r6g", "r6i", "r7g") for size in SIZES),
)


def not_orderable(call: Mapping[str, Any]) -> None:
    if call["db_instance_class"] not in INSTANCE_CLASSES:
        raise RDSClientError(
            "InvalidParameterCombination",
            "RDS does not support creating a DB instance with the following combination: "
            f"DBInstanceClass={call['db_instance_class']}, Engine=postgres, EngineVersion={call['engine_version']}, "
            f"LicenseModel={LICENSE}. For supported combinations of instance class and database engine "
            "version, see the documentation.",
        )


def unknown_certificate_authority(call: Mapping[str, Any]) -> None:
    name = call.get("ca_certificate_identifier")
    if name is not None and name not in CERTIFICATE_AUTHORITIES:
        raise RDSClientError("CertificateNotFound", f"Certificate not found: {name}")


def unusable_monitoring(call: Mapping[str, Any], former_role: str | None) -> None:
    """Enhanced monitoring takes an interval and a role that it may write logs with; 0 switches it off."""
    interval, role = call.get("monitoring_interval"), call.get("monitoring_role_arn")
    if interval is not None and interval not in MONITORING_INTERVALS:
        raise RDSClientError("InvalidParameterValue", f"Invalid monitoring interval: {interval}.")
    if interval and not (role or former_role):
        raise RDSClientError(
            "InvalidParameterCombination",
            "A MonitoringRoleARN value is required if you specify a MonitoringInterval value other than 0.",
        )
    if role and not interval:
        raise RDSClientError(
            "InvalidParameterCombination",
            "You must specify a MonitoringInterval value other than 0 when you specify a MonitoringRoleARN value.",
        )
    if role and not VALID_ROLE.fullmatch(role):
        raise RDSClientError(
            "InvalidParameterValue",
            "IAM role ARN value is invalid or does not include the required permissions for: ENHANCED_MONITORING",
        )


def unknown_log_types(change: Mapping[str, Any], version: str) -> None:
    """:param change: a CloudwatchLogsExportConfiguration."""
    wanted = [name for key in ("EnableLogTypes", "DisableLogTypes") for name in change.get(key) or []]
    if unknown := [name for name in wanted if name not in LOG_TYPES]:
        raise RDSClientError(
            "InvalidParameterCombination",
            f"You cannot use the log types '{', '.join(unknown)}' with engine version postgres {version}. For "
            "supported log types, see the documentation.",
        )

"""The RDS calls that moto does not know, or answers with nothing, as far as a replica's preflight asks them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from moto.core.responses import ActionResult, PaginatedResult
from moto.core.utils import utcnow
from moto.rds import urls as moto_urls
from moto.rds.responses import RDSResponse

from replica_access.sandbox.rds import SandboxRDS
from replica_access.sandbox.site import Site

__all__ = ["Urls"]

INSTANCE_CLASSES = (
    *(f"db.t4g.{size}" for size in ("micro", "small", "medium", "large", "xlarge", "2xlarge")),
    *(f"db.{family}.{size}" for family in ("m6g", "m7g", "r6g", "r7g") for size in ("large", "xlarge", "2xlarge")),
)
CERTIFICATE_AUTHORITIES = ("rds-ca-rsa2048-g1", "rds-ca-rsa4096-g1", "rds-ca-ecc384-g1")
LOG_TYPES = ("postgresql", "upgrade", "iam-db-auth-error")


class Responses(RDSResponse):
    @property
    def site(self) -> Site:
        backend = self.backend
        assert isinstance(backend, SandboxRDS)  # noqa: S101  (rds.install has seen to it)
        return backend.site

    def describe_db_engine_versions(self) -> ActionResult:
        installation = self.site.installation
        versions = [
            {
                "Engine": "postgres",
                "MajorEngineVersion": str(installation.major),
                "EngineVersion": installation.version,
                "DBParameterGroupFamily": self.site.family,
                "DBEngineDescription": "PostgreSQL",
                "DBEngineVersionDescription": f"PostgreSQL {installation.version}",
                "ExportableLogTypes": list(LOG_TYPES),
                "SupportsLogExportsToCloudwatchLogs": True,
                "SupportsReadReplica": True,
                "SupportedCACertificateIdentifiers": list(CERTIFICATE_AUTHORITIES),
                "Status": "available",
            }
        ]
        wanted = {"Engine": "postgres"} | {
            key: self.params[key] for key in ("Engine", "EngineVersion", "DBParameterGroupFamily") if key in self.params
        }
        matching = [
            version for version in versions if all(str(version[key]).startswith(value) for key, value in wanted.items())
        ]
        return ActionResult({"DBEngineVersions": matching})

    def describe_orderable_db_instance_options(self) -> ActionResult:
        wanted_class = self.params.get("DBInstanceClass")
        matches = self.params.get("Engine") == "postgres" and self.params.get("EngineVersion") in (
            None,
            self.site.installation.version,
        )
        options = [
            {
                "Engine": "postgres",
                "EngineVersion": self.site.installation.version,
                "DBInstanceClass": name,
                "LicenseModel": "postgresql-license",
                "AvailabilityZones": [{"Name": f"{self.region}{zone}"} for zone in "abc"],
                "MultiAZCapable": True,
                "ReadReplicaCapable": True,
                "Vpc": True,
                "StorageType": "gp3",
                "SupportsIAMDatabaseAuthentication": True,
                "SupportedNetworkTypes": ["IPV4"],
            }
            for name in INSTANCE_CLASSES
            if matches and wanted_class in (None, name)
        ]
        return PaginatedResult({"OrderableDBInstanceOptions": options})

    def describe_certificates(self) -> ActionResult:
        today = utcnow()
        certificates = [
            {
                "CertificateIdentifier": name,
                "CertificateType": "CA",
                "ValidFrom": today,
                "ValidTill": today + timedelta(days=365),
                "CertificateArn": f"arn:aws:rds:{self.region}::cert:{name}",
                "CustomerOverride": False,
            }
            for name in CERTIFICATE_AUTHORITIES
            if self.params.get("CertificateIdentifier") in (None, name)
        ]
        return ActionResult(
            {"DefaultCertificateForNewLaunches": CERTIFICATE_AUTHORITIES[0], "Certificates": certificates}
        )

    def describe_pending_maintenance_actions(self) -> ActionResult:
        return ActionResult({"PendingMaintenanceActions": []})

    def describe_account_attributes(self) -> ActionResult:
        used = len(self.backend.databases)
        return ActionResult({"AccountQuotas": [{"AccountQuotaName": "DBInstances", "Used": used, "Max": 40}]})


class Urls:
    """What moto looks for in a service's urls module."""

    url_bases = moto_urls.url_bases
    url_paths: ClassVar[dict[str, Any]] = dict.fromkeys(moto_urls.url_paths, Responses.dispatch)

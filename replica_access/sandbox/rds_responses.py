"""The RDS calls that moto does not know, or answers with nothing, as far as a replica's preflight asks them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, ClassVar

from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.rds import urls as moto_urls
from moto.rds.responses import RDSResponse

from replica_access.sandbox import quotas, rds_logs
from replica_access.sandbox import rds_checks as refuse
from replica_access.sandbox.rds import SandboxRDS
from replica_access.sandbox.rds_offers import CERTIFICATE_AUTHORITIES, INSTANCE_CLASSES, LICENSE, LOG_TYPES
from replica_access.sandbox.site import Site

__all__ = ["Urls"]


class Responses(RDSResponse):
    @property
    def rds(self) -> SandboxRDS:
        backend = self.backend
        assert isinstance(backend, SandboxRDS)  # noqa: S101  (rds.install has seen to it)
        return backend

    @property
    def site(self) -> Site:
        return self.rds.site

    def _page(self, key: str, items: Sequence[Any]) -> dict[str, Any]:
        """The part of a long answer that the call asks for, and the marker of the next, if there is more."""
        begin, most = int(self.params.get("Marker") or 0), int(self.params.get("MaxRecords") or 100)
        refuse.page_size(most)
        marker = {"Marker": str(begin + most)} if begin + most < len(items) else {}
        return {key: items[begin : begin + most], **marker}

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
                "SupportsCertificateRotationWithoutRestart": True,
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
        license_model, vpc = self.params.get("LicenseModel"), self.params.get("Vpc")
        matches = self.params.get("Engine") == "postgres" and self.params.get("EngineVersion") in (
            None,
            self.site.installation.version,
        )
        matches = matches and license_model in (None, LICENSE) and vpc in (None, True)
        options = [
            {
                "Engine": "postgres",
                "EngineVersion": self.site.installation.version,
                "DBInstanceClass": name,
                "LicenseModel": LICENSE,
                "AvailabilityZones": [{"Name": f"{self.region}{zone}"} for zone in "abc"],
                "MultiAZCapable": True,
                "ReadReplicaCapable": True,
                "Vpc": True,
                "StorageType": "gp3",
                "SupportsEnhancedMonitoring": True,
                "SupportsIAMDatabaseAuthentication": True,
                "SupportsPerformanceInsights": True,
                "SupportsStorageEncryption": True,
                "SupportedNetworkTypes": ["IPV4"],
            }
            for name in INSTANCE_CLASSES
            if matches and wanted_class in (None, name)
        ]
        return ActionResult(self._page("OrderableDBInstanceOptions", options))

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

    def describe_db_parameters(self) -> ActionResult:
        group = self.rds.parameter_group(self.params["DBParameterGroupName"])
        return ActionResult(
            self._page("Parameters", list(self.rds.parameters.of_group(group.parameters, self.params.get("Source"))))
        )

    def describe_engine_default_parameters(self) -> ActionResult:
        refuse.unknown_family(self.params["DBParameterGroupFamily"], self.site.family)
        page = self._page("Parameters", list(self.rds.parameters.known.values()))
        return ActionResult({"EngineDefaults": {"DBParameterGroupFamily": self.site.family, **page}})

    def reset_db_parameter_group(self) -> ActionResult:
        wanted = [each.original_dict() for each in self.params.get("Parameters", [])]
        everything = bool(self.params.get("ResetAllParameters", not wanted))
        group = self.rds.reset_db_parameter_group(self.params["DBParameterGroupName"], wanted, everything=everything)
        return ActionResult({"DBParameterGroupName": group.name})

    def describe_db_log_files(self) -> ActionResult:
        server = self.rds.instance(self.params["DBInstanceIdentifier"]).server
        return ActionResult(self._page("DescribeDBLogFiles", rds_logs.summary(server, self.params)))

    def download_db_log_file_portion(self) -> ActionResult:
        server = self.rds.instance(self.params["DBInstanceIdentifier"]).server
        return ActionResult(rds_logs.portion(server, self.params))

    def describe_events(self) -> ActionResult:
        return ActionResult(self._page("Events", self.rds.describe_events(**self.params)))

    def describe_pending_maintenance_actions(self) -> ActionResult:
        return ActionResult({"PendingMaintenanceActions": []})

    def describe_account_attributes(self) -> ActionResult:
        used = {
            "AllocatedStorage": sum(instance.allocated_storage for instance in self.rds.instances),
            "DBClusters": len(self.rds.clusters),
            "DBInstances": len(self.rds.databases),
            "DBParameterGroups": sum(not name.startswith("default.") for name in self.rds.db_parameter_groups),
            "DBSubnetGroups": len(self.rds.subnet_groups),
            "ReadReplicasPerMaster": max((len(instance.replicas) for instance in self.rds.instances), default=0),
        }
        found = [
            {
                "AccountQuotaName": quota.attribute,
                "Used": used[quota.attribute],
                "Max": self.site.faults.quota(quota.code),
            }
            for quota in quotas.ALL.values()
            if quota.attribute is not None
        ]
        return ActionResult({"AccountQuotas": found})


class Urls:
    """What moto looks for in a service's urls module."""

    url_bases = moto_urls.url_bases
    url_paths: ClassVar[dict[str, Any]] = dict.fromkeys(moto_urls.url_paths, Responses.dispatch)

"""moto's Service Quotas, with those of RDS, and with what a test has changed."""

from __future__ import annotations

import json
from functools import partial
from typing import Any, ClassVar

from moto.servicequotas import urls as moto_urls
from moto.servicequotas.exceptions import NoSuchResource
from moto.servicequotas.models import ServiceQuotasBackend, servicequotas_backends
from moto.servicequotas.responses import ServiceQuotasResponse

from replica_access.sandbox import quotas
from replica_access.sandbox.site import Site

__all__ = ["install"]

SERVICES = {"rds": "Amazon Relational Database Service (Amazon RDS)"}


def install(site: Site) -> None:
    """Make moto use this backend; must come before anything asks for a backend."""
    servicequotas_backends.clear()
    servicequotas_backends.backend = partial(SandboxQuotas, site)  # type: ignore[assignment]  # moto only ever calls it


class SandboxQuotas(ServiceQuotasBackend):
    def __init__(self, site: Site, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.site = site

    @property
    def _url_module(self) -> Any:
        return Urls

    def list_service_quotas(self, service_code: str) -> list[dict[str, Any]]:
        if service_code == "rds":
            known = [self._of_rds(quota) for quota in quotas.ALL.values() if quota.service == "rds"]
        else:
            known = super().list_aws_default_service_quotas(service_code)
        changed = self.site.faults.faults.quota
        return [
            quota
            | {
                "QuotaArn": f"arn:aws:servicequotas:{self.region_name}:{self.account_id}:"
                f"{service_code}/{quota['QuotaCode']}",
                "Value": float(changed.get(quota["QuotaCode"], quota["Value"])),
            }
            for quota in known
        ]

    def get_service_quota(self, service_code: str, quota_code: str) -> dict[str, Any]:
        for quota in self.list_service_quotas(service_code):
            if quota["QuotaCode"] == quota_code:
                return quota
        raise NoSuchResource

    def _of_rds(self, quota: quotas.Quota) -> dict[str, Any]:
        return {
            "Adjustable": True,
            "GlobalQuota": False,
            "QuotaCode": quota.code,
            "QuotaName": quota.name,
            "ServiceCode": quota.service,
            "ServiceName": SERVICES[quota.service],
            "Unit": "None",
            "Value": quota.value,
        }


class Responses(ServiceQuotasResponse):
    def list_service_quotas(self) -> str:
        backend = self.backend
        assert isinstance(backend, SandboxQuotas)  # noqa: S101  (install has seen to it)
        return json.dumps({"Quotas": backend.list_service_quotas(json.loads(self.body)["ServiceCode"])})


class Urls:
    """What moto looks for in a service's urls module."""

    url_bases = moto_urls.url_bases
    url_paths: ClassVar[dict[str, Any]] = dict.fromkeys(moto_urls.url_paths, Responses.dispatch)

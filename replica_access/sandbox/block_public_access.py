"""VPC Block Public Access: the switch of an account and Region that closes internet gateways, and its exclusions.

moto has none of it. After the VPC User Guide, "Block public access to VPCs and subnets", and the EC2 API reference.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.responses._base_response import EC2BaseResponse

__all__ = ["BlockPublicAccess", "Calls"]

MODES = ("off", "block-bidirectional", "block-ingress")
EXCLUSION_MODES = {"allow-bidirectional": "off", "allow-egress": "block-ingress"}


@dataclass
class Exclusion:
    exclusion_id: str
    resource_arn: str
    resource_id: str = field(repr=False)
    internet_gateway_exclusion_mode: str
    tags: list[dict[str, str]]
    state: str = "create-complete"
    creation_timestamp: datetime = field(default_factory=utcnow)
    last_update_timestamp: datetime = field(default_factory=utcnow)
    deletion_timestamp: datetime | None = None


@dataclass
class BlockPublicAccess:
    """What is blocked in one account and Region."""

    mode: str = "off"
    state: str = "default-state"
    changed: datetime | None = None
    exclusions: dict[str, Exclusion] = field(default_factory=dict)

    def of_subnet(self, subnet: Any) -> str:
        """The mode that is in force for a subnet."""
        if self.mode == "off":
            return "off"
        excluded = {
            EXCLUSION_MODES[exclusion.internet_gateway_exclusion_mode]
            for exclusion in self.exclusions.values()
            if exclusion.resource_id in (subnet.id, subnet.vpc_id)
        }
        return "off" if "off" in excluded else next(iter(excluded), self.mode)


class Calls(EC2BaseResponse):
    """The calls of EC2 about it."""

    @property
    def blocked(self) -> BlockPublicAccess:
        found: BlockPublicAccess = self.ec2_backend.block_public_access
        return found

    def describe_vpc_block_public_access_options(self) -> ActionResult:
        return self._options(self.blocked.state)

    def modify_vpc_block_public_access_options(self) -> ActionResult:
        mode = self._get_param("InternetGatewayBlockMode")
        _refuse_unknown("InternetGatewayBlockMode", mode, MODES)
        self.blocked.mode, self.blocked.state, self.blocked.changed = mode, "update-complete", utcnow()
        return self._options("update-in-progress")

    def _options(self, state: str) -> ActionResult:
        options = {
            "AwsAccountId": self.current_account,
            "AwsRegion": self.region,
            "State": state,
            "InternetGatewayBlockMode": self.blocked.mode,
            "LastUpdateTimestamp": self.blocked.changed,
            "ManagedBy": "account",
            "ExclusionsAllowed": "allowed",
        }
        return ActionResult({"VpcBlockPublicAccessOptions": options})

    def create_vpc_block_public_access_exclusion(self) -> ActionResult:
        vpc, subnet = self._get_param("VpcId"), self._get_param("SubnetId")
        if bool(vpc) == bool(subnet):
            raise EC2ClientError("InvalidParameterCombination", "Specify either a VpcId or a SubnetId.")
        mode = self._get_param("InternetGatewayExclusionMode")
        _refuse_unknown("InternetGatewayExclusionMode", mode, EXCLUSION_MODES)
        kind, resource = (
            ("vpc", self.ec2_backend.get_vpc(vpc)) if vpc else ("subnet", self.ec2_backend.get_subnet(subnet))
        )
        exclusion = Exclusion(
            exclusion_id=f"vpcbpa-exclude-{secrets.token_hex(8)}1",
            resource_arn=f"arn:aws:ec2:{self.region}:{self.current_account}:{kind}/{resource.id}",
            resource_id=resource.id,
            internet_gateway_exclusion_mode=mode,
            tags=[tag for one in self._get_param("TagSpecifications", []) for tag in one.get("Tags", [])],
        )
        self.blocked.exclusions[exclusion.exclusion_id] = exclusion
        return ActionResult({"VpcBlockPublicAccessExclusion": exclusion})

    def modify_vpc_block_public_access_exclusion(self) -> ActionResult:
        exclusion = self._exclusion(self._get_param("ExclusionId"))
        mode = self._get_param("InternetGatewayExclusionMode")
        _refuse_unknown("InternetGatewayExclusionMode", mode, EXCLUSION_MODES)
        exclusion.internet_gateway_exclusion_mode, exclusion.last_update_timestamp = mode, utcnow()
        exclusion.state = "update-complete"
        return ActionResult({"VpcBlockPublicAccessExclusion": exclusion})

    def delete_vpc_block_public_access_exclusion(self) -> ActionResult:
        exclusion = self._exclusion(self._get_param("ExclusionId"))
        del self.blocked.exclusions[exclusion.exclusion_id]
        exclusion.state, exclusion.deletion_timestamp = "delete-in-progress", utcnow()
        return ActionResult({"VpcBlockPublicAccessExclusion": exclusion})

    def describe_vpc_block_public_access_exclusions(self) -> ActionResult:
        wanted = self._get_param("ExclusionIds", [])
        found = [self._exclusion(name) for name in wanted] if wanted else list(self.blocked.exclusions.values())
        filters = self._filters_from_querystring()
        for name, values in filters.items():
            attribute = name.replace("-", "_")
            found = [exclusion for exclusion in found if getattr(exclusion, attribute) in values]
        return ActionResult({"VpcBlockPublicAccessExclusions": found})

    def _exclusion(self, name: str) -> Exclusion:
        if name not in self.blocked.exclusions:
            raise EC2ClientError(
                "InvalidVpcBlockPublicAccessExclusionId.NotFound", f"The exclusion '{name}' does not exist."
            )
        return self.blocked.exclusions[name]


def _refuse_unknown(name: str, value: Any, known: Any) -> None:
    if value not in known:
        raise EC2ClientError("InvalidParameterValue", f"Value ({value}) for parameter {name} is invalid.")

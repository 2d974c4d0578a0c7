"""moto's EC2, made to refuse what EC2 refuses about security groups.

moto keeps host bits in a CIDR, takes any description, forgets all but the last of several permissions, and deletes a
group that an instance uses. The rules here follow the EC2 API reference (AuthorizeSecurityGroupIngress,
CreateSecurityGroup, DeleteSecurityGroup).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any, ClassVar

from moto.core.responses import ActionResult
from moto.ec2 import urls as moto_urls
from moto.ec2.exceptions import DependencyViolationError, EC2ClientError
from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.models.security_groups import SecurityGroup, SecurityGroupRule
from moto.ec2.responses import EC2Response
from moto.rds.models import rds_backends

__all__ = ["SandboxEC2", "install"]

DESCRIPTION_ALPHABET = "a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*"
VALID_DESCRIPTION = re.compile(r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{0,255}")


def install() -> None:
    """Make moto use this backend; must come before anything asks for a backend."""
    ec2_backends.clear()
    ec2_backends.backend = SandboxEC2


class Rule(SecurityGroupRule):
    """A rule as EC2 stores it: canonical CIDR, an ARN, and the description of a prefix list kept."""

    def __init__(self, ec2: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(ec2, *args, **kwargs)
        self.ip_range = canonical(self.ip_range)

    @property
    def group_owner_id(self) -> str:
        return str(self.ec2_backend.account_id)

    @property
    def security_group_rule_arn(self) -> str:
        ec2 = self.ec2_backend
        return f"arn:{ec2.partition}:ec2:{ec2.region_name}:{ec2.account_id}:security-group-rule/{self.id}"


def canonical(ip_range: dict[str, str]) -> dict[str, str]:
    """The range with its host bits cleared, as EC2 does: 100.68.0.18/18 is stored as 100.68.0.0/18."""
    return {
        key: str(ip_network(value, strict=False)) if key in ("CidrIp", "CidrIpv6") else value
        for key, value in ip_range.items()
    }


class SandboxEC2(EC2Backend):
    @property
    def _url_module(self) -> Any:
        return Urls

    def create_security_group(
        self, name: str, description: str, vpc_id: str | None = None, *args: Any, **kwargs: Any
    ) -> SecurityGroup:
        if name.lower().startswith("sg-"):
            raise EC2ClientError("InvalidParameterValue", "Group names may not be in the format sg-*.")
        _refuse_characters("security group", description)
        vpc_id = vpc_id or self.default_vpc.id
        if name.lower() in {group.name.lower() for group in self.groups[vpc_id].values()}:
            raise EC2ClientError(
                "InvalidGroup.Duplicate", f"The security group '{name}' already exists for VPC '{vpc_id}'"
            )
        return super().create_security_group(name, description, vpc_id, *args, **kwargs)

    def delete_security_group(self, name: str | None = None, group_id: str | None = None) -> None:
        group = self.get_security_group_by_name_or_id(group_id or name or "")
        if group is not None:
            _refuse_deletion_in_use(self, group)
        super().delete_security_group(name, group_id)

    def authorize_security_group_ingress(self, *args: Any, **kwargs: Any) -> Any:
        _refuse_rule_descriptions(kwargs)
        return super().authorize_security_group_ingress(*args, **kwargs)

    def authorize_security_group_egress(self, *args: Any, **kwargs: Any) -> Any:
        _refuse_rule_descriptions(kwargs)
        return super().authorize_security_group_egress(*args, **kwargs)

    def update_security_group_rule_descriptions_ingress(self, *args: Any, **kwargs: Any) -> Any:
        _refuse_rule_descriptions(kwargs)
        return super().update_security_group_rule_descriptions_ingress(*args, **kwargs)

    def modify_security_group_rules(self, group_id: str, rules: dict[str, dict[str, Any]]) -> None:
        for wanted in rules.values():
            _refuse_characters("rule", wanted.get("Description"))
            if "CidrIpv4" in wanted:
                wanted["CidrIpv4"] = canonical({"CidrIp": wanted["CidrIpv4"]})["CidrIp"]
        super().modify_security_group_rules(group_id, rules)
        group = self.get_security_group_by_name_or_id(group_id)
        for rule in group.ingress_rules if group else []:
            if "CidrIpv6" in rules.get(rule.id, ()) and rule.cidr_ipv6:  # moto leaves IPv6 as it was
                rule.ip_range |= canonical({"CidrIpv6": rules[rule.id]["CidrIpv6"]})

    def _iterate_security_rules(  # noqa: PLR0917  (as moto calls it)
        self,
        ip_protocol: str,
        group_id: str,
        from_port: str,
        to_port: str,
        ip_ranges: list[Any],
        source_groups: list[dict[str, Any]],
        prefix_list_ids: list[dict[str, str]],
        is_egress: bool = False,
        tags: dict[str, str] | None = None,
    ) -> Iterator[Rule]:
        sources: list[tuple[Any, Any, Any]] = [
            *((ip_range, None, None) for ip_range in ip_ranges),
            *((None, group, None) for group in source_groups),
            *(({"Description": entry.get("Description", "")}, None, entry) for entry in prefix_list_ids),
        ]
        for ip_range, source_group, prefix_list in sources:
            yield Rule(
                self, ip_protocol, group_id, from_port, to_port, ip_range, source_group, prefix_list, is_egress, tags
            )


def _refuse_characters(kind: str, description: str | None) -> None:
    if description is not None and not VALID_DESCRIPTION.fullmatch(description):
        raise EC2ClientError(
            "InvalidParameterValue",
            f"Invalid {kind} description. Valid descriptions are strings less than 256 characters"
            f" from the following set: {DESCRIPTION_ALPHABET}",
        )


def _refuse_rule_descriptions(permission: dict[str, Any]) -> None:
    for key in ("ip_ranges", "source_groups", "prefix_list_ids"):
        for source in permission.get(key) or []:
            if isinstance(source, dict):
                _refuse_characters("rule", source.get("Description"))


def _refuse_deletion_in_use(ec2: SandboxEC2, group: SecurityGroup) -> None:
    databases = rds_backends[ec2.account_id][ec2.region_name].databases.values()
    attached = any(group.id in database.vpc_security_group_ids for database in databases)
    referenced = any(
        rule.source_group.get("GroupId") == group.id
        for groups in ec2.groups.values()
        for other in groups.values()
        if other is not group
        for rule in (*other.ingress_rules, *other.egress_rules)
    )
    if attached or referenced:
        raise DependencyViolationError(f"resource {group.id} has a dependent object")


class Responses(EC2Response):
    """The calls that moto answers wrongly or not at all."""

    def authorize_security_group_ingress(self) -> ActionResult:
        return self._authorize("ingress")

    def authorize_security_group_egress(self) -> ActionResult:
        return self._authorize("egress")

    def _authorize(self, direction: str) -> ActionResult:
        """Every permission of the call or none, and every rule in the answer."""
        self.error_on_dryrun()
        authorize = getattr(self.ec2_backend, f"authorize_security_group_{direction}")
        name_or_id = self._get_param("GroupId") or self._get_param("GroupName")
        group = self.ec2_backend.get_security_group_by_name_or_id(name_or_id)
        before = list(getattr(group, f"{direction}_rules", []))
        added: list[Rule] = []
        try:
            for permission in self._process_rules_from_querystring():
                rules, _ = authorize(**permission)
                added += rules
        except Exception:
            if group is not None:
                setattr(group, f"{direction}_rules", before)
            raise
        return ActionResult({"Return": True, "SecurityGroupRules": added})

    def update_security_group_rule_descriptions_ingress(self) -> ActionResult:
        super().update_security_group_rule_descriptions_ingress()
        return ActionResult({"Return": True})

    def delete_security_group(self) -> ActionResult:
        group = self.ec2_backend.get_security_group_from_id(self._get_param("GroupId"))
        if group is not None and group.is_default:  # by a call; with its VPC it does go
            raise EC2ClientError(
                "CannotDelete", f'the specified group: "{group.id}" name: "default" cannot be deleted by a user'
            )
        super().delete_security_group()
        return ActionResult({"Return": True, "GroupId": self._get_param("GroupId")})

    def describe_vpc_block_public_access_options(self) -> ActionResult:
        self.error_on_dryrun()
        return ActionResult(
            {
                "VpcBlockPublicAccessOptions": {
                    "AwsAccountId": self.current_account,
                    "AwsRegion": self.region,
                    "State": "default-state",
                    "InternetGatewayBlockMode": "off",
                    "ManagedBy": "account",
                    "ExclusionsAllowed": "allowed",
                }
            }
        )

    def describe_vpc_block_public_access_exclusions(self) -> ActionResult:
        self.error_on_dryrun()
        return ActionResult({"VpcBlockPublicAccessExclusions": []})


class Urls:
    """What moto looks for in a service's urls module."""

    url_bases = moto_urls.url_bases
    url_paths: ClassVar[dict[str, Any]] = dict.fromkeys(moto_urls.url_paths, Responses.dispatch)

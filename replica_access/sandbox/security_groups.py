"""Security groups by EC2's rules, where moto has none or others.

moto keeps host bits in a CIDR, takes any description, forgets that of a prefix list or of another group, and counts
rules whatever they cost. The rules here follow the EC2 API reference (AuthorizeSecurityGroupIngress,
CreateSecurityGroup) and the quotas of the VPC User Guide.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from ipaddress import ip_network
from typing import Any

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.security_groups import SecurityGroup, SecurityGroupRule

__all__ = ["Rule", "canonical", "refuse_characters", "refuse_rule_descriptions", "refuse_too_many_rules"]

DESCRIPTION_ALPHABET = "a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*"
VALID_DESCRIPTION = re.compile(r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{0,255}")
AWS_WEIGHTS = {"com.amazonaws.global.cloudfront.origin-facing": 55}  # what a rule for AWS's own lists costs, if not 1


class Rule(SecurityGroupRule):
    """A rule as EC2 stores it: canonical CIDR, an ARN, and the description of whatever its source is."""

    def __init__(self, ec2: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(ec2, *args, **kwargs)
        self.ip_range = canonical(self.ip_range)

    @property
    def description(self) -> str | None:
        return (self.source_group or self.ip_range).get("Description") or None

    def describe(self, text: str) -> None:
        """Give it a description, or take it away with an empty one."""
        (self.source_group or self.ip_range)["Description"] = text

    @property
    def group_owner_id(self) -> str:
        return str(self.ec2_backend.account_id)

    @property
    def security_group_rule_arn(self) -> str:
        ec2 = self.ec2_backend
        return f"arn:{ec2.partition}:ec2:{ec2.region_name}:{ec2.account_id}:security-group-rule/{self.id}"

    def __eq__(self, other: object) -> bool:
        """Whether EC2 takes one for a duplicate of the other, which the description has no part in."""
        return isinstance(other, SecurityGroupRule) and _identity(self) == _identity(other)

    __hash__ = None  # type: ignore[assignment]


def _identity(rule: SecurityGroupRule) -> tuple[Any, ...]:
    ports = (None, None) if rule.ip_protocol == "-1" else (rule.from_port, rule.to_port)
    group = rule.source_group.get("GroupId")
    return (rule.ip_protocol, *ports, rule.cidr_ipv4, rule.cidr_ipv6, group, rule.prefix_list_id)


def canonical(ip_range: Mapping[str, str]) -> dict[str, str]:
    """The range with its host bits cleared, as EC2 does: 100.68.0.18/18 is stored as 100.68.0.0/18."""
    return {
        key: str(ip_network(value, strict=False)) if key in ("CidrIp", "CidrIpv6") else value
        for key, value in ip_range.items()
    }


def refuse_characters(kind: str, description: str | None) -> None:
    if description is not None and not VALID_DESCRIPTION.fullmatch(description):
        raise EC2ClientError(
            "InvalidParameterValue",
            f"Invalid {kind} description. Valid descriptions are strings less than 256 characters"
            f" from the following set: {DESCRIPTION_ALPHABET}",
        )


def refuse_rule_descriptions(permission: Mapping[str, Any]) -> None:
    for key in ("ip_ranges", "source_groups", "prefix_list_ids"):
        for source in permission.get(key) or []:
            if isinstance(source, dict):
                refuse_characters("rule", source.get("Description"))


def refuse_too_many_rules(group: SecurityGroup, rules: Collection[SecurityGroupRule], limit: int) -> None:
    """The quota counts IPv4 and IPv6 apart; another group, or a list of AWS's own, counts as one rule of both.

    A list of the customer costs as many rules as it may have entries, however few it has.
    """
    lists = group.ec2_backend.managed_prefix_lists
    for family in ("IPv4", "IPv6"):
        if sum(_cost(rules, lists, family)) > limit:
            raise EC2ClientError(
                "RulesPerSecurityGroupLimitExceeded",
                "The maximum number of rules per security group has been reached.",
            )


def _cost(rules: Iterable[SecurityGroupRule], lists: Mapping[str, Any], family: str) -> Iterable[int]:
    for rule in rules:
        if rule.prefix_list_id:
            found = lists[rule.prefix_list_id]
            if found.owner_id == "AWS":
                yield AWS_WEIGHTS.get(found.prefix_list_name, 1)
            elif found.address_family == family:
                yield int(found.max_entries)
        elif rule.source_group or (rule.cidr_ipv4 if family == "IPv4" else rule.cidr_ipv6):
            yield 1

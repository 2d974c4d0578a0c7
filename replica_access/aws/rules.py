"""Security groups, their rules, and the prefix lists that rules name: frozen values, as EC2 tells of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING, Any, Self

from replica_access.aws.ownership import as_mapping

if TYPE_CHECKING:
    from replica_access.aws.landscape import NotChecked

RULES_PER_GROUP, GROUPS_PER_INSTANCE = 60, 5
"""The quotas that every account has (VPC user guide, "Amazon VPC quotas"); they can be raised, not lowered."""

AWS_WEIGHTS = {"com.amazonaws.global.cloudfront.origin-facing": 55}
"""How many rules a list of AWS's own counts as, where that is not 1 (VPC user guide, "AWS-managed prefix lists")."""

RULES_QUOTA, GROUPS_QUOTA = "L-0EA8095F", "L-2AFB9258"
"""What Service Quotas calls them, in its service ``vpc``."""


@dataclass(frozen=True, slots=True)
class Ingress:
    """One rule by which a security group lets somebody in.

    :param source: a network in CIDR notation, or the id of a prefix list (``pl-…``) or of another group (``sg-…``).
    :param protocol: ``tcp``, or another one; ``-1`` is every protocol, on every port.
    :param id: of the rule (``sgr-…``); empty where rules could not be seen one by one.
    """

    source: str
    protocol: str
    first_port: int
    last_port: int
    description: str = ""
    id: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def network(self) -> IPv4Network | IPv6Network | None:
        return ip_network(self.source, strict=False) if "/" in self.source else None

    def covers(self, port: int) -> bool:
        return self.protocol == "-1" or (self.protocol == "tcp" and self.first_port <= port <= self.last_port)

    def is_exactly(self, port: int) -> bool:
        return (self.protocol, self.first_port, self.last_port) == ("tcp", port, port)

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Self:
        """Return what an entry of ``SecurityGroupRules`` describes."""
        return cls(
            found.get("CidrIpv4")
            or found.get("CidrIpv6")
            or found.get("PrefixListId")
            or found.get("ReferencedGroupInfo", {}).get("GroupId", ""),
            found.get("IpProtocol", ""),
            found.get("FromPort", -1),
            found.get("ToPort", -1),
            found.get("Description", ""),
            found["SecurityGroupRuleId"],
            as_mapping(found.get("Tags", ())),
        )


@dataclass(frozen=True, slots=True)
class SecurityGroup:
    """A security group and whom it lets in.

    :param unseen: why its rules are known without their ids and tags, as far as the group itself tells.
    """

    id: str
    name: str
    vpc: str
    tags: Mapping[str, str]
    ingress: tuple[Ingress, ...]
    unseen: NotChecked | None = None

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Self:
        return cls(
            found["GroupId"],
            found.get("GroupName", ""),
            found.get("VpcId", ""),
            as_mapping(found.get("Tags", ())),
            tuple(
                Ingress(
                    source,
                    permission.get("IpProtocol", ""),
                    permission.get("FromPort", -1),
                    permission.get("ToPort", -1),
                    entry.get("Description", ""),
                )
                for permission in found.get("IpPermissions", ())
                for key, name in _SOURCES
                for entry in permission.get(key, ())
                if (source := entry.get(name))
            ),
        )


_SOURCES = (
    ("IpRanges", "CidrIp"),
    ("Ipv6Ranges", "CidrIpv6"),
    ("PrefixListIds", "PrefixListId"),
    ("UserIdGroupPairs", "GroupId"),
)
"""Where an ``IpPermission`` says whom it lets in."""


@dataclass(frozen=True, slots=True)
class PrefixList:
    """A managed prefix list.

    :param max_entries: how many entries it may have, which is what a rule that names it costs; ``None`` for one of
        AWS's own, which does not tell.
    :param networks: what is in it.
    """

    id: str
    name: str
    version: int
    max_entries: int | None
    networks: tuple[str, ...]

    @property
    def is_of_aws(self) -> bool:
        return self.max_entries is None

    @property
    def cost(self) -> int:
        return AWS_WEIGHTS.get(self.name, 1) if self.max_entries is None else self.max_entries

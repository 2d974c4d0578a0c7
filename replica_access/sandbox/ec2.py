"""moto's EC2, made to refuse what EC2 refuses, as far as databases in a VPC are concerned.

moto forgets all but the last of several permissions, deletes a security group that an instance uses, and lets a new
network ACL be open. The rules here follow the EC2 API reference.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar

from moto.core.responses import ActionResult
from moto.ec2 import urls as moto_urls
from moto.ec2.exceptions import (
    DependencyViolationError,
    EC2ClientError,
    InvalidSecurityGroupRuleIdNotFoundError,
)
from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.models.security_groups import SecurityGroup
from moto.ec2.models.subnets import Subnet
from moto.ec2.responses import EC2Response

from replica_access.sandbox import block_public_access, interfaces, quotas
from replica_access.sandbox.block_public_access import BlockPublicAccess
from replica_access.sandbox.security_groups import (
    Rule,
    canonical,
    refuse_characters,
    refuse_rule_descriptions,
    refuse_too_many_rules,
)
from replica_access.sandbox.site import Site

__all__ = ["SandboxEC2", "install"]

LAST_RULE = 32767  # of a network ACL; its asterisk


def install(site: Site) -> None:
    """Make moto use this backend; must come before anything asks for a backend."""
    ec2_backends.clear()
    ec2_backends.backend = partial(SandboxEC2, site)  # type: ignore[assignment]  # moto only ever calls it
    # DescribeSubnets shows every attribute that is called like a member of its answer
    subnets: Any = Subnet
    subnets.block_public_access_states = property(
        lambda subnet: {"InternetGatewayBlockMode": subnet.ec2_backend.block_public_access.of_subnet(subnet)}
    )


class SandboxEC2(EC2Backend):
    def __init__(self, site: Site, region_name: str, account_id: str) -> None:
        self.site = site
        self.block_public_access = BlockPublicAccess()
        super().__init__(region_name, account_id)

    @property
    def _url_module(self) -> Any:
        return Urls

    def create_security_group(
        self, name: str, description: str, vpc_id: str | None = None, *args: Any, **kwargs: Any
    ) -> SecurityGroup:
        if name.lower().startswith("sg-"):
            raise EC2ClientError("InvalidParameterValue", "Group names may not be in the format sg-*.")
        refuse_characters("security group", description)
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
        refuse_rule_descriptions(kwargs)
        return super().authorize_security_group_ingress(*args, **kwargs)

    def authorize_security_group_egress(self, *args: Any, **kwargs: Any) -> Any:
        refuse_rule_descriptions(kwargs)
        return super().authorize_security_group_egress(*args, **kwargs)

    def update_security_group_rule_descriptions_ingress(self, *args: Any, **kwargs: Any) -> Any:
        refuse_rule_descriptions(kwargs)
        return super().update_security_group_rule_descriptions_ingress(*args, **kwargs)

    def modify_security_group_rules(self, group_id: str, rules: dict[str, dict[str, Any]]) -> None:
        for wanted in rules.values():
            refuse_characters("rule", wanted.get("Description"))
            if "CidrIpv4" in wanted:
                wanted["CidrIpv4"] = canonical({"CidrIp": wanted["CidrIpv4"]})["CidrIp"]
        super().modify_security_group_rules(group_id, rules)
        group = self.get_security_group_by_name_or_id(group_id)
        for rule in (*group.ingress_rules, *group.egress_rules) if group else ():
            wanted = rules.get(rule.id, {})
            if "CidrIpv6" in wanted and rule.cidr_ipv6:  # moto leaves IPv6 as it was
                rule.ip_range |= canonical({"CidrIpv6": wanted["CidrIpv6"]})
            if isinstance(rule, Rule) and "Description" in wanted:
                rule.describe(wanted["Description"])

    def _sg_update_description(self, security_rule: Any, rule: Any) -> None:
        rule.describe(security_rule.description or "")

    def _verify_group_will_respect_rule_count_limit(self, *_: Any, **__: Any) -> None:
        """moto's count, for which ``refuse_too_many_rules`` counts once the whole call is known."""

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

    # -- network interfaces, addresses, prefix lists, ACLs -------------------------------------------------------------

    def delete_network_interface(self, eni_id: str) -> None:
        found = self.get_network_interface(eni_id)
        if isinstance(found, interfaces.InstanceInterface):
            raise EC2ClientError("InvalidParameterValue", f"Network interface '{eni_id}' is currently in use.")
        super().delete_network_interface(eni_id)

    def delete_subnet(self, subnet_id: str) -> Any:
        if any(interface.subnet.id == subnet_id for interface in self.enis.values()):
            raise DependencyViolationError(f"The subnet '{subnet_id}' has dependencies and cannot be deleted.")
        return super().delete_subnet(subnet_id)

    def describe_addresses(self, *args: Any, **kwargs: Any) -> Any:
        own = self.addresses
        self.addresses = [*own, *interfaces.managed_addresses(self)]
        try:
            return super().describe_addresses(*args, **kwargs)
        finally:
            self.addresses = own

    def create_managed_prefix_list(self, *args: Any, **kwargs: Any) -> Any:
        made = super().create_managed_prefix_list(*args, **kwargs)
        if made.owner_id != "AWS" and len(made.entries.get(1, ())) > int(made.max_entries or 0):
            del self.managed_prefix_lists[made.id]
            _refuse_entries()
        return made

    def modify_managed_prefix_list(
        self,
        add_entry: list[dict[str, str]],
        remove_entry: list[dict[str, str]],
        prefix_list_id: str | None = None,
        current_version: str | None = None,
        prefix_list_name: str | None = None,
    ) -> Any:
        found: Any = self.managed_prefix_lists.get(prefix_list_id or "")
        if found is None:
            raise EC2ClientError(
                "InvalidPrefixListID.NotFound", f"The prefix list ID '{prefix_list_id}' does not exist"
            )
        if current_version is not None and int(current_version) != found.version:
            raise EC2ClientError(
                "PrefixListVersionMismatch", f"The prefix list has the version {found.version}, not {current_version}."
            )
        before = found.entries.get(found.version, [])
        removed = {entry["Cidr"] for entry in remove_entry}
        kept = [entry for entry in before if entry["Cidr"] not in removed]
        if len({entry["Cidr"] for entry in (*kept, *add_entry)}) > int(found.max_entries):
            _refuse_entries()
        name = prefix_list_name or found.prefix_list_name  # which moto forgets
        return super().modify_managed_prefix_list(add_entry, remove_entry, prefix_list_id, found.version, name)

    def create_network_acl(self, vpc_id: str, *args: Any, **kwargs: Any) -> Any:
        """A new ACL denies everything until it has entries; moto's has not even that one."""
        made = super().create_network_acl(vpc_id, *args, **kwargs)
        for egress in () if made.default else (False, True):
            self.create_network_acl_entry(
                made.id, LAST_RULE, "-1", "deny", egress, "0.0.0.0/0", None, None, None, None, None
            )
        return made


def _refuse_entries() -> None:
    raise EC2ClientError(
        "PrefixListMaxEntriesExceeded", "You've reached the maximum number of entries for the prefix list."
    )


def _refuse_deletion_in_use(ec2: SandboxEC2, group: SecurityGroup) -> None:
    attached = any(group in interface.group_set for interface in ec2.enis.values())
    referenced = any(
        rule.source_group.get("GroupId") == group.id
        for groups in ec2.groups.values()
        for other in groups.values()
        if other is not group
        for rule in (*other.ingress_rules, *other.egress_rules)
    )
    if attached or referenced:
        raise DependencyViolationError(f"resource {group.id} has a dependent object")


class Responses(block_public_access.Calls, EC2Response):
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
            if group is not None:
                limit = self.ec2_backend.site.faults.quota(quotas.RULES)
                refuse_too_many_rules(group, getattr(group, f"{direction}_rules"), limit)
        except Exception:
            if group is not None:
                setattr(group, f"{direction}_rules", before)
            raise
        return ActionResult({"Return": True, "SecurityGroupRules": added})

    def update_security_group_rule_descriptions_ingress(self) -> ActionResult:
        """By the ids of rules, which moto does not know, or by permissions."""
        described = self._get_param("SecurityGroupRuleDescriptions", [])
        if not described:
            super().update_security_group_rule_descriptions_ingress()
            return ActionResult({"Return": True})
        self.error_on_dryrun()
        group = self.ec2_backend.get_security_group_from_id(self._get_param("GroupId"))
        rules = {rule.id: rule for rule in (group.ingress_rules if group is not None else ())}
        for each in described:
            refuse_characters("rule", each.get("Description"))
            if each["SecurityGroupRuleId"] not in rules:
                raise InvalidSecurityGroupRuleIdNotFoundError(each["SecurityGroupRuleId"])
        for each in described:
            rules[each["SecurityGroupRuleId"]].describe(each.get("Description", ""))
        return ActionResult({"Return": True})

    def delete_security_group(self) -> ActionResult:
        group = self.ec2_backend.get_security_group_from_id(self._get_param("GroupId"))
        if group is not None and group.is_default:  # by a call; with its VPC it does go
            raise EC2ClientError(
                "CannotDelete", f'the specified group: "{group.id}" name: "default" cannot be deleted by a user'
            )
        super().delete_security_group()
        return ActionResult({"Return": True, "GroupId": self._get_param("GroupId")})


class Urls:
    """What moto looks for in a service's urls module."""

    url_bases = moto_urls.url_bases
    url_paths: ClassVar[dict[str, Any]] = dict.fromkeys(moto_urls.url_paths, Responses.dispatch)

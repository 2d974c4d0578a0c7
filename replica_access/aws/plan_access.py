"""Who may reach the replica: its security group and the rules of that, as far as they are missing. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from ipaddress import ip_network
from typing import Any

from replica_access.aws import ownership
from replica_access.aws.adoption import our_group
from replica_access.aws.landscape import Landscape, NotChecked, SecurityGroup
from replica_access.model import Call, Change, Pending
from replica_access.spec import Allow, Spec

SECURITY_GROUP = "${security_group}"
"""Stands in a call for the id of the group that an earlier call of the same plan makes."""


def find(groups: tuple[SecurityGroup, ...], name: str, vpc: str | None) -> SecurityGroup | None:
    """Return the group that the spec calls `name`, by id or name."""
    return next((group for group in groups if group.vpc == vpc and name in {group.id, group.name}), None)


def create_group(name: str, vpc: str) -> Change:
    """Plan the security group of the replica `name`."""
    # Egress stays as EC2 makes it, open: groups are stateful, so answers need no rule, and a replica begins no
    # connections of its own. Closing it would break what an administrator may add later (foreign servers, S3 import).
    group = ownership.group_name(name)
    parameters = {
        "GroupName": group,
        "Description": ownership.description(f"Who may reach the read replica {name}"),
        "VpcId": vpc,
        "TagSpecifications": tagged("security-group", ownership.tags(name, {"Name": group})),
    }
    return Change(
        "aws",
        "create security group",
        group,
        f"create the security group {group} in {vpc}",
        call=Call("ec2", "CreateSecurityGroup", parameters),
    )


def missing(wanted: Iterable[Allow], group: SecurityGroup | None, port: int, today: date) -> Iterator[Allow]:
    """Yield the addresses that no rule for `port` names yet, each once."""
    there = {ip_network(rule.cidr, strict=False) for rule in (group.ingress if group else ()) if rule.covers(port)}
    for allow in wanted:
        if not is_expired(allow, today) and (network := ip_network(allow.cidr)) not in there:
            there.add(network)
            yield allow


def is_expired(allow: Allow, today: date) -> bool:
    """Whether the last day of `allow` is over."""
    return allow.expires is not None and allow.expires < today


def allow_rule(group_id: str, allow: Allow, name: str, port: int) -> Change:
    """Plan the rule that lets `allow` in."""
    about = ", ".join(part for part in (allow.note, f"until {allow.expires}" if allow.expires else "") if part)
    ranges, key = ("Ipv6Ranges", "CidrIpv6") if ip_network(allow.cidr).version == 6 else ("IpRanges", "CidrIp")
    source = {key: allow.cidr, "Description": ownership.description(about) or "replica-access"}
    parameters = {
        "GroupId": group_id,
        "IpPermissions": [{"IpProtocol": "tcp", "FromPort": port, "ToPort": port, ranges: [source]}],
        "TagSpecifications": tagged("security-group-rule", ownership.rule_tags(name, allow)),
    }
    return Change(
        "aws",
        "allow address",
        allow.cidr,
        f"let {allow.cidr}{f' ({about})' if about else ''} connect to port {port} of {name}",
        call=Call("ec2", "AuthorizeSecurityGroupIngress", parameters),
    )


def tagged(resource: str, tags: dict[str, str]) -> list[dict[str, Any]]:
    """Return `tags` as a call that makes a `resource` takes them."""
    return [{"ResourceType": resource, "Tags": ownership.as_list(tags)}]


def expired(landscape: Landscape, spec: Spec, name: str, today: date) -> Iterator[Pending]:
    """Yield the addresses that the spec names, and that are not allowed any more."""
    known = landscape.security_groups if not isinstance(landscape.security_groups, NotChecked) else ()
    group = our_group(known, name, landscape.primary.vpc)
    for allow in spec.network.allow:
        if is_expired(allow, today):
            network = ip_network(allow.cidr)
            still = group and any(ip_network(rule.cidr, strict=False) == network for rule in group.ingress)
            left = f"; {group.id} still lets it in, remove that rule" if group and still else ""
            yield Pending("address", allow.cidr, f"expired on {allow.expires} and is not allowed any more{left}")

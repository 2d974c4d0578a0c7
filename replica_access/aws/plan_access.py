"""Who may reach the replica: its security group, the rules of that, and the groups beside it. Pure.

What the spec lets in is let in before anything is taken away. The group carries our tag, so that all of its rules are
ours to take away, whoever added them; what other groups let in is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from ipaddress import ip_network
from typing import Any

from replica_access.aws import addresses, ownership
from replica_access.aws.addresses import Declared, find
from replica_access.aws.adoption import our_group
from replica_access.aws.landscape import Instance, Landscape, NotChecked
from replica_access.aws.rules import Ingress, PrefixList, SecurityGroup
from replica_access.aws_commands import Commands
from replica_access.model import BlockedObject, Call, Change, Pending, Plan
from replica_access.spec import Spec

SECURITY_GROUP = "${security_group}"
"""Stands in a call for the id of the group that an earlier call of the same plan makes."""

WIDE_FIX = (
    "Name the addresses that people come from; `curl https://checkip.amazonaws.com` shows yours. Or --allow-wide."
)


def blocked(landscape: Landscape, spec: Spec, today: date, *, allow_wide: bool) -> Iterator[BlockedObject]:
    """Yield what the spec names and is not there, and what is too wide to be let in unasked."""
    groups, vpc = addresses.known_groups(landscape), landscape.vpc
    for name in spec.network.security_groups:
        if find(groups, name, vpc) is None:
            reason = f"there is no security group {name} in {vpc}, the primary's VPC"
            yield BlockedObject(name, reason, "Correct network.security_groups in the spec.")
    for allow in spec.network.allow:
        if addresses.source_of(allow, groups, vpc) is None:
            reason = f"there is no security group {allow.source} in {vpc}, the primary's VPC"
            yield BlockedObject(allow.source, reason, "Correct network.allow in the spec.")
    wanted = [each.source for each in addresses.declared(landscape, spec, today)]
    for source in wanted:
        if source.startswith("pl-"):
            yield from _unknown_list(landscape, source, spec.aws.profile, allow_wide=allow_wide)
    if not allow_wide:
        for wide in addresses.too_wide(wanted, landscape.prefix_lists):
            yield BlockedObject(wide.partition(",")[0], f"{wide} is too wide to be let in", WIDE_FIX)


def _unknown_list(
    landscape: Landscape, source: str, profile: str | None, *, allow_wide: bool
) -> Iterator[BlockedObject]:
    found = landscape.prefix_lists.get(source)
    if found is None:
        fix = Commands(landscape.region, profile).ec2("describe-managed-prefix-lists")
        reason = f"there is no prefix list {source} in {landscape.region}"
        yield BlockedObject(source, reason, f"See which there are: {fix}")
    elif isinstance(found, NotChecked) and not allow_wide:
        yield BlockedObject(source, f"nobody knows how wide {source} is: {found.why}", f"{found.fix} Or --allow-wide.")


def alone(
    landscape: Landscape, spec: Spec, name: str, group: SecurityGroup | None, today: date, *, allow_wide: bool
) -> Plan:
    """Plan what the rules of `group` lack, and have beyond the spec, and nothing else; without a group, nothing."""
    stuck = tuple(blocked(landscape, spec, today, allow_wide=allow_wide))
    if group is None:
        return Plan(blocked=stuck)
    wanted = addresses.declared(landscape, spec, today)
    return Plan(
        (
            *let_in(wanted, group, name, landscape.port, landscape.prefix_lists),
            *shut_out(landscape, spec, group, today),
        ),
        tuple(later(landscape, spec, name, today)),
        stuck,
    )


# --- what is let in --------------------------------------------------------------------------------------------------


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


def let_in(
    wanted: Iterable[Declared],
    group: SecurityGroup | None,
    name: str,
    port: int,
    lists: Mapping[str, PrefixList | NotChecked],
) -> Iterator[Change]:
    """Plan the rules that are missing, and what those that are there should say of themselves.

    A rule counts for its source on this very port: what is wider than that is taken away, and must not be needed then.
    """
    there = {rule.source: rule for rule in (group.ingress if group else ()) if rule.is_exactly(port)}
    for each in wanted:
        rule = there.get(each.source)
        if rule is None:
            yield allow_rule(group.id if group else SECURITY_GROUP, each, name, port, lists.get(each.source))
        elif group is not None and rule.id:
            yield from _describe(group, rule, each, name)


def allow_rule(group_id: str, each: Declared, name: str, port: int, found: PrefixList | NotChecked | None) -> Change:
    """Plan the rule that lets one source in.

    :param found: the prefix list that it names.
    """
    ranges, key = _place(each.source)
    source = {key: each.source, "Description": addresses.description(each.allow)}
    parameters = {
        "GroupId": group_id,
        "IpPermissions": [{"IpProtocol": "tcp", "FromPort": port, "ToPort": port, ranges: [source]}],
        "TagSpecifications": tagged("security-group-rule", ownership.rule_tags(name, each.allow)),
    }
    about = addresses.about(each.allow)
    return Change(
        "aws",
        "allow address",
        each.source,
        f"let {_who(each, found)}{f' ({about})' if about else ''} connect to port {port} of {name}",
        call=Call("ec2", "AuthorizeSecurityGroupIngress", parameters),
    )


def _place(source: str) -> tuple[str, str]:
    """Return where an ``IpPermission`` has `source`."""
    if source.startswith("pl-"):
        return "PrefixListIds", "PrefixListId"
    if source.startswith("sg-"):
        return "UserIdGroupPairs", "GroupId"
    return ("Ipv6Ranges", "CidrIpv6") if ":" in source else ("IpRanges", "CidrIp")


def _who(each: Declared, found: PrefixList | NotChecked | None) -> str:
    if each.source.startswith("sg-"):
        name = each.allow.source
        return f"members of {each.source}" + (f", {name}," if name != each.source else "")
    if isinstance(found, PrefixList):
        return f"the {len(found.networks)} networks of the prefix list {each.source} ({found.name})"
    if each.source.startswith("pl-"):
        return f"the prefix list {each.source}"
    network = ip_network(each.source)
    if not network.prefixlen:
        return f"EVERYBODY ON THE INTERNET, {each.source},"
    if network.prefixlen < addresses.MIN_PREFIX[network.version]:
        return f"ALL OF {each.source}"
    return each.source


def _describe(group: SecurityGroup, rule: Ingress, each: Declared, name: str) -> Iterator[Change]:
    """Plan what a rule that is there should say: its description, and the tags with note and expiry."""
    described, tags = addresses.description(each.allow), ownership.rule_tags(name, each.allow)
    if rule.description != described:
        parameters: dict[str, Any] = {
            "GroupId": group.id,
            "SecurityGroupRuleDescriptions": [{"SecurityGroupRuleId": rule.id, "Description": described}],
        }
        call = Call("ec2", "UpdateSecurityGroupRuleDescriptionsIngress", parameters)
        yield Change("aws", "describe address", each.source, f'describe {each.source} as "{described}"', call=call)
    if lacking := {key: value for key, value in tags.items() if rule.tags.get(key) != value}:
        call = Call("ec2", "CreateTags", {"Resources": [rule.id], "Tags": ownership.as_list(lacking)})
        said = ", ".join(f"{key}: {value}" for key, value in lacking.items())
        yield Change("aws", "tag address", each.source, f"tag the rule for {each.source} with {said}", call=call)
    if stale := [key for key in ("note", "expires") if key in rule.tags and key not in tags]:
        call = Call("ec2", "DeleteTags", {"Resources": [rule.id], "Tags": [{"Key": key} for key in stale]})
        sentence = f"take the tag {' and '.join(stale)} from the rule for {each.source}"
        yield Change("aws", "tag address", each.source, sentence, call=call)


def tagged(resource: str, tags: dict[str, str]) -> list[dict[str, Any]]:
    """Return `tags` as a call that makes a `resource` takes them."""
    return [{"ResourceType": resource, "Tags": ownership.as_list(tags)}]


# --- what is taken away ----------------------------------------------------------------------------------------------


def shut_out(landscape: Landscape, spec: Spec, group: SecurityGroup | None, today: date) -> Iterator[Change]:
    """Plan to revoke every rule of our group that is not exactly what the spec has."""
    if group is None:
        return
    wanted, over = addresses.declared(landscape, spec, today), addresses.expired(landscape, spec, today)
    for rule in group.ingress:
        reason = addresses.excess(rule, wanted, over, landscape.port)
        if reason is None or not rule.id:
            continue
        by_hand = "" if ownership.is_managed(rule.tags) else f"; somebody added it by hand to {group.id}, which is ours"
        yield Change(
            "aws",
            "revoke address",
            rule.source,
            f"let {rule.source} in no more to {addresses.ports(rule)}: {reason}{by_hand}",
            call=Call("ec2", "RevokeSecurityGroupIngress", {"GroupId": group.id, "SecurityGroupRuleIds": [rule.id]}),
            takes="revoke",
        )


def detach(landscape: Landscape, replica: Instance, group_ids: tuple[str, ...]) -> Iterator[Change]:
    """Plan to take away from `replica` the groups that the spec does not name.

    :param group_ids: those that it should have; attached before.
    """
    extra = [id_ for id_, status in replica.security_groups.items() if status != "removing" and id_ not in group_ids]
    if not extra:
        return
    known = {group.id: group for group in addresses.known_groups(landscape)}
    told = ", ".join(_group(id_, known.get(id_), landscape.port) for id_ in extra)
    call = Call(
        "rds",
        "ModifyDBInstance",
        {
            "DBInstanceIdentifier": replica.identifier,
            "VpcSecurityGroupIds": list(group_ids),  # the call replaces the whole list
            "ApplyImmediately": True,
        },
    )
    sentence = f"{replica.identifier}: detach {told}, which the spec does not name"
    yield Change("aws", "detach security group", replica.identifier, sentence, call=call, takes="revoke")


def _group(id_: str, found: SecurityGroup | None, port: int) -> str:
    if found is None:
        return id_
    sources = [rule.source for rule in found.ingress if rule.covers(port)]
    return f"{id_} ({found.name}; lets in {', '.join(sources) or 'nobody'})"


def later(landscape: Landscape, spec: Spec, name: str, today: date) -> Iterator[Pending]:
    """Yield what expired, as far as nothing lets it in any more, and what could not be looked at."""
    group = our_group(addresses.known_groups(landscape), name, landscape.vpc)
    there = {rule.source: rule for rule in (group.ingress if group is not None else ())}
    for source, allow in addresses.expired(landscape, spec, today).items():
        if source not in there:
            yield Pending("address", allow.source, f"expired on {allow.expires} and is not allowed any more")
        elif not there[source].id:
            yield Pending("address", allow.source, f"expired on {allow.expires}, and is still let in")
    if group is not None and group.unseen is not None:
        reason = f"its rules could not be seen one by one, so nothing is taken away: {group.unseen.why}"
        yield Pending("security group", group.id, reason)

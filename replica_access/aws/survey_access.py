"""Read who may reach the replica: security groups with their rules, the prefix lists that those name, the quotas."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from replica_access.aws import addresses
from replica_access.aws.landscape import Instance, NotChecked
from replica_access.aws.ownership import REPLICA_TAG, belongs_to, group_name, replica_identifier
from replica_access.aws.rules import (
    GROUPS_PER_INSTANCE,
    GROUPS_QUOTA,
    RULES_PER_GROUP,
    RULES_QUOTA,
    Ingress,
    PrefixList,
    SecurityGroup,
)
from replica_access.aws.session import Aws
from replica_access.errors import AccessDenied, AwsError, CredentialsError, NotFound
from replica_access.spec import Spec


def security_groups(aws: Aws, spec: Spec, replica: Future[Instance | None]) -> tuple[SecurityGroup, ...]:
    """Return our group, those that `spec` names, and those that the replica has, each with its rules.

    :raises AccessDenied: the caller may see no groups.
    """
    name, found = replica_identifier(spec), replica.result()
    sources = [allow.security_group for allow in spec.network.allow if allow.security_group is not None]
    named = [*spec.network.security_groups, *sources]
    ids = [each for each in named if each.startswith("sg-")] + list(found.security_groups if found is not None else ())
    names = [each for each in named if not each.startswith("sg-")]
    filters = {"group-id": list(dict.fromkeys(ids)), "group-name": names}
    if name is not None:
        filters["group-name"] = [group_name(name), *names]
        filters[f"tag:{REPLICA_TAG}"] = [name]
    groups = {
        group.id: group
        for key, values in filters.items()
        if values
        for group in map(SecurityGroup.of, _pages(aws, "DescribeSecurityGroups", "SecurityGroups", key, values))
    }
    return tuple(_with_rules(aws, [groups[group_id] for group_id in sorted(groups)]))


def _with_rules(aws: Aws, groups: list[SecurityGroup]) -> list[SecurityGroup]:
    """Return `groups` with rules that have ids and tags; where those may not be seen, with what the groups tell."""
    if not groups:
        return groups
    rules: dict[str, list[Ingress]] = {group.id: [] for group in groups}
    try:
        for rule in _pages(aws, "DescribeSecurityGroupRules", "SecurityGroupRules", "group-id", list(rules)):
            if not rule.get("IsEgress"):
                rules[rule["GroupId"]].append(Ingress.of(rule))
    except AccessDenied as error:
        return [replace(group, unseen=NotChecked(error.what, error.fix)) for group in groups]
    return [replace(group, ingress=tuple(rules[group.id])) for group in groups]


def _pages(aws: Aws, operation: str, key: str, name: str, values: list[str]) -> Any:
    return aws.pages("ec2", operation, key, Filters=[{"Name": name, "Values": values}])


def prefix_lists(
    aws: Aws, spec: Spec, groups: tuple[SecurityGroup, ...] | NotChecked
) -> dict[str, PrefixList | NotChecked]:
    """Return the prefix lists that `spec` or a rule of `groups` names, by id, as far as they exist."""
    known = () if isinstance(groups, NotChecked) else groups
    wanted = [allow.prefix_list for allow in spec.network.allow if allow.prefix_list is not None]
    wanted += [rule.source for group in known for rule in group.ingress if rule.source.startswith("pl-")]
    found: dict[str, PrefixList | NotChecked] = {}
    for id_ in dict.fromkeys(wanted):
        try:
            for entry in _pages(aws, "DescribeManagedPrefixLists", "PrefixLists", "prefix-list-id", [id_]):
                found[id_] = _prefix_list(aws, entry)
        except NotFound:
            continue
        except AccessDenied as error:
            found[id_] = NotChecked(error.what, error.fix)
    return found


def _prefix_list(aws: Aws, entry: Mapping[str, Any]) -> PrefixList:
    id_ = str(entry["PrefixListId"])
    entries = aws.pages("ec2", "GetManagedPrefixListEntries", "Entries", PrefixListId=id_)
    return PrefixList(
        id_,
        entry.get("PrefixListName", ""),
        entry.get("Version", 0),
        entry.get("MaxEntries"),
        tuple(each["Cidr"] for each in entries),
    )


def quotas(
    aws: Aws,
    spec: Spec,
    groups: tuple[SecurityGroup, ...] | NotChecked,
    lists: Mapping[str, PrefixList | NotChecked],
    replica: Instance | None,
) -> tuple[int | NotChecked, int | NotChecked]:
    """Return how many inbound rules a group may have, and how many groups an instance.

    What every account has is not asked for: only where more may be needed, it matters how much more this one has.
    """
    name = replica_identifier(spec) or ""
    known = () if isinstance(groups, NotChecked) else groups
    there = [rule.source for group in known if belongs_to(name, group.tags) for rule in group.ingress]
    wanted = [allow.source for allow in spec.network.allow]
    rules = addresses.cost([*there, *wanted], lists)
    attached = 1 + len(spec.network.security_groups) + len(replica.security_groups if replica is not None else ())
    return (
        _quota(aws, RULES_QUOTA) if rules > RULES_PER_GROUP else RULES_PER_GROUP,
        _quota(aws, GROUPS_QUOTA) if attached > GROUPS_PER_INSTANCE else GROUPS_PER_INSTANCE,
    )


def _quota(aws: Aws, code: str) -> int | NotChecked:
    try:
        answer = aws.call("service-quotas", "GetServiceQuota", ServiceCode="vpc", QuotaCode=code)
    except CredentialsError:
        raise
    except AwsError as error:  # not every partition and stand-in knows the service
        fix = error.fix or f"Look at the quota {code} of vpc in the console of Service Quotas."
        return NotChecked(error.what, fix)
    return int(answer["Quota"]["Value"])

"""Whom the replica would let in: how wide that is, what other groups let in beside it, and the quotas. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date

from replica_access.aws import addresses
from replica_access.aws.adoption import namesake, our_group
from replica_access.aws.landscape import Landscape, NotChecked
from replica_access.aws.plan_access import WIDE_FIX
from replica_access.aws.preflight_network import not_checked
from replica_access.aws.rules import PrefixList, SecurityGroup
from replica_access.aws_commands import Commands
from replica_access.model import Check, Outcome
from replica_access.spec import Spec


def checks(
    landscape: Landscape,
    spec: Spec,
    replica: str,
    commands: Commands,
    today: date,
    *,
    allow_wide: bool,
    allow_revoke: bool = False,
) -> Iterator[Check]:
    """Check the addresses of the spec, our security group, and those that the spec names.

    :param allow_revoke: what our group lets in beyond the spec is about to be taken away.
    """
    wanted = [each.source for each in addresses.declared(landscape, spec, today)]
    yield from _prefix_lists(landscape, wanted, commands)
    yield _width(landscape, spec, wanted, allow_wide=allow_wide)
    groups, vpc = landscape.security_groups, landscape.vpc
    if isinstance(groups, NotChecked):
        yield not_checked("security group", groups)
        return
    if refusal := namesake(groups, replica, vpc, commands):
        yield Check("security group", "problem", refusal.reason, refusal.fix)
    ours = our_group(groups, replica, vpc)
    if ours is not None and ours.unseen is not None:
        yield not_checked("rules", ours.unseen)
    if ours is not None:
        yield from _on_the_source(landscape, ours, commands)
    if ours is not None and not (allow_wide or allow_revoke):
        yield from _wide_by_hand(landscape, spec, ours, today)
    named = [(name, "network.security_groups") for name in spec.network.security_groups]
    named += [(allow.source, "network.allow") for allow in spec.network.allow if allow.security_group]
    for name, key in named:
        yield from _named_group(groups, name, key, vpc, commands)
    for name in spec.network.security_groups:
        if (group := addresses.find(groups, name, vpc)) is not None:
            yield from _beside(landscape, spec, group, commands, today, allow_wide=allow_wide)
    yield from _quotas(landscape, spec, ours, wanted)


# --- addresses -------------------------------------------------------------------------------------------------------


def _prefix_lists(landscape: Landscape, wanted: Iterable[str], commands: Commands) -> Iterator[Check]:
    for source in wanted:
        if not source.startswith("pl-"):
            continue
        found = landscape.prefix_lists.get(source)
        if isinstance(found, NotChecked):
            yield not_checked("prefix list", found)
        elif found is None:
            fix = f"See which there are: {commands.ec2('describe-managed-prefix-lists')}"
            yield Check("prefix list", "problem", f"there is no prefix list {source} in {landscape.region}", fix)
        else:
            held = ", ".join(found.networks[:4]) + (" …" if len(found.networks) > 4 else "")
            detail = f"{source} is {found.name}, version {found.version}: {held or 'nothing'}"
            yield Check("prefix list", "ok", detail)


def _width(landscape: Landscape, spec: Spec, wanted: list[str], *, allow_wide: bool) -> Check:
    name, wide = "allowed addresses", addresses.too_wide(wanted, landscape.prefix_lists)
    v4, v6 = addresses.MIN_PREFIX[4], addresses.MIN_PREFIX[6]
    if wide and allow_wide:
        return Check(name, "ok", f"LET IN BY --allow-wide, wider than /{v4} or IPv6 /{v6}: {'; '.join(wide)}")
    if wide:
        limits = f"/{v4} (IPv4) and /{v6} (IPv6) are the widest that may be allowed"
        return Check(name, "problem", f"{'; '.join(wide)} is too wide: {limits}", WIDE_FIX)
    count = len(spec.network.allow)
    return Check(name, "ok", f"{count} in the spec" if count else "none: nobody can connect yet")


# --- groups ----------------------------------------------------------------------------------------------------------


def _on_the_source(landscape: Landscape, ours: SecurityGroup, commands: Commands) -> Iterator[Check]:
    """Say where our group opens what it was not made for: whoever may reach the replica would reach the primary."""
    for instance in (landscape.primary, *landscape.upstreams):
        attached = [id_ for id_, status in instance.security_groups.items() if status != "removing"]
        if ours.id in attached:
            rest = [id_ for id_ in attached if id_ != ours.id] or ["ITS-OTHER-GROUPS"]
            where = f"{ours.id} ({ours.name}) is attached to {instance.identifier}, too"
            fix = commands.in_region(instance.region).modify(instance.identifier, "--vpc-security-group-ids", *rest)
            yield Check(
                "security group", "problem", f"{where}, and lets the same addresses in there", f"Detach it: {fix}"
            )


def _wide_by_hand(landscape: Landscape, spec: Spec, ours: SecurityGroup, today: date) -> Iterator[Check]:
    """Say what our group lets in that the spec does not have, where it is more than the spec could have unasked."""
    rules = addresses.beyond(ours.ingress, addresses.declared(landscape, spec, today), landscape.port)
    if wide := addresses.too_wide(dict.fromkeys(rule.source for rule in rules), landscape.prefix_lists):
        detail = f"{ours.id} ({ours.name}) lets in, beyond the spec: {'; '.join(wide)}; that is too wide"
        fix = "`replica-access apply --allow-revoke` takes it away. Or --allow-wide."
        yield Check("security group", "problem", detail, fix)


def _named_group(
    groups: tuple[SecurityGroup, ...], name: str, key: str, vpc: str | None, commands: Commands
) -> Iterator[Check]:
    found = [group for group in groups if name in {group.id, group.name}]
    if any(group.vpc == vpc for group in found):
        yield Check("security group", "ok", f"{name} is in {vpc}")
    elif found:
        detail = f"{name} is in {found[0].vpc}, and the primary in {vpc}"
        yield Check("security group", "problem", detail, f"Name a group of {vpc} in {key}.")
    else:
        fix = commands.ec2("describe-security-groups", "--filters", f"Name=vpc-id,Values={vpc}")
        yield Check("security group", "problem", f"there is no security group {name}", f"See which there are: {fix}")


def _beside(
    landscape: Landscape, spec: Spec, group: SecurityGroup, commands: Commands, today: date, *, allow_wide: bool
) -> Iterator[Check]:
    """Say what a group that is not ours lets in beyond the spec: on AWS what any group lets in, is let in."""
    rules = list(addresses.beyond(group.ingress, addresses.declared(landscape, spec, today), landscape.port))
    if not rules:
        return
    sources = list(dict.fromkeys(rule.source for rule in rules))
    told = f"{group.id} ({group.name}) lets in, beyond network.allow: {', '.join(sources)}"
    unknown = [found for source in sources if isinstance(found := landscape.prefix_lists.get(source), NotChecked)]
    if wide := addresses.too_wide(sources, landscape.prefix_lists):
        if allow_wide:
            yield Check("other groups", "ok", f"{told}; LET IN BY --allow-wide: {'; '.join(wide)}")
            return
        words = {word for text in wide for word in text.replace(",", " ").split()}
        lists = [rule for rule in rules if rule.source.startswith("pl-")]  # whose networks add up, names no rule
        rule = next((rule for rule in rules if rule.source in words), *lists[:1])
        revoke = commands.ec2("revoke-security-group-ingress", "--group-id", group.id, "--security-group-rule-ids",
                              rule.id or "SGR-ID")  # fmt: skip
        fix = f"Leave it out of network.security_groups, or have its owner close it: {revoke}. Or --allow-wide."
        yield Check("other groups", "problem", f"{told}; that is too wide: {'; '.join(wide)}", fix)
    elif unknown:
        yield Check("other groups", "not checked", f"{told}; {unknown[0].why}", unknown[0].fix)
    else:
        yield Check("other groups", "ok", told)


# --- quotas ----------------------------------------------------------------------------------------------------------


def _quotas(landscape: Landscape, spec: Spec, ours: SecurityGroup | None, wanted: list[str]) -> Iterator[Check]:
    """Count what the group would hold while what is too much has not been taken away: that comes last."""
    port, lists = landscape.port, landscape.prefix_lists
    there = ours.ingress if ours is not None else ()
    exact = {rule.source for rule in there if rule.is_exactly(port)}
    rules = addresses.cost([*(rule.source for rule in there), *(s for s in wanted if s not in exact)], lists)
    biggest = [f"{found.id} may have {found.cost} entries, and counts as so many" for found in lists.values()
               if isinstance(found, PrefixList) and found.cost > 1]  # fmt: skip
    way_out = "Name fewer, wider networks or a smaller prefix list; or raise the quota L-0EA8095F in Service Quotas."
    why = f" ({'; '.join(biggest)})" if biggest else ""
    yield _quota("rules", f"inbound rules: {rules}{why}", rules, landscape.rule_quota, way_out)
    attached = landscape.replica.security_groups if landscape.replica is not None else {}
    others = {*spec.network.security_groups, *(id_ for id_ in attached if ours is None or id_ != ours.id)}
    groups = len({*_ids(landscape, others), ours.id if ours is not None else "ours"})
    way_out = "Name fewer groups in network.security_groups; or raise the quota L-2AFB9258 in Service Quotas."
    yield _quota("groups", f"security groups: {groups}", groups, landscape.group_quota, way_out)


def _ids(landscape: Landscape, names: Iterable[str]) -> Iterator[str]:
    for name in names:
        found = addresses.find(addresses.known_groups(landscape), name, landscape.vpc)
        yield found.id if found is not None else name


def _quota(name: str, things: str, needed: int, quota: int | NotChecked, way_out: str) -> Check:
    if isinstance(quota, NotChecked):
        detail = f"{things} are more than every account may have, and what this one may is not known: {quota.why}"
        return Check(f"quota of {name}", "not checked", detail, quota.fix)
    outcome: Outcome = "ok" if needed <= quota else "problem"
    return Check(f"quota of {name}", outcome, f"{things}, of at most {quota}", "" if outcome == "ok" else way_out)

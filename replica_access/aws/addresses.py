"""Whom the spec lets in, held against whom a security group lets in. Pure.

A source is what a rule names: a network, a prefix list, or another security group, each by what EC2 knows it by.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network

from replica_access.aws import ownership
from replica_access.aws.landscape import Landscape, NotChecked
from replica_access.aws.rules import Ingress, PrefixList, SecurityGroup
from replica_access.model import Address, AddressState
from replica_access.spec import Allow, Spec

MIN_PREFIX = {4: 16, 6: 32}
"""The widest network that may be allowed without --allow-wide, as a prefix length: 65,536 addresses of IPv4."""

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Declared:
    """An entry of the spec that counts today, and the source that EC2 knows it by."""

    allow: Allow
    source: str


def find(groups: Iterable[SecurityGroup], name: str, vpc: str | None) -> SecurityGroup | None:
    """Return the group that the spec calls `name`, by id or name."""
    return next((group for group in groups if group.vpc == vpc and name in {group.id, group.name}), None)


def is_expired(allow: Allow, today: date) -> bool:
    """Whether the last day of `allow` is over."""
    return allow.expires is not None and allow.expires < today


def source_of(allow: Allow, groups: Iterable[SecurityGroup], vpc: str | None) -> str | None:
    """Return the source that `allow` means; ``None`` where it names a group that is not in `vpc`."""
    if allow.security_group is None:
        return allow.source
    group = find(groups, allow.security_group, vpc)
    return group.id if group is not None else None


def declared(landscape: Landscape, spec: Spec, today: date) -> tuple[Declared, ...]:
    """Return what `spec` lets in today, each source once; without those that cannot be found."""
    found: dict[str, Declared] = {}
    for allow in spec.network.allow:
        source = source_of(allow, known_groups(landscape), landscape.vpc)
        if source is not None and not is_expired(allow, today):
            found.setdefault(source, Declared(allow, source))
    return tuple(found.values())


def expired(landscape: Landscape, spec: Spec, today: date) -> dict[str, Allow]:
    """Return what `spec` let in until some day that is over, by source; without what another entry still lets in."""
    still = {each.source for each in declared(landscape, spec, today)}
    found: dict[str, Allow] = {}
    for allow in spec.network.allow:
        source = source_of(allow, known_groups(landscape), landscape.vpc)
        if source is not None and source not in still:
            found.setdefault(source, allow)
    return found


def known_groups(landscape: Landscape) -> tuple[SecurityGroup, ...]:
    groups = landscape.security_groups
    return () if isinstance(groups, NotChecked) else groups


# --- what is beyond the spec -----------------------------------------------------------------------------------------


def excess(rule: Ingress, wanted: Iterable[Declared], over: Mapping[str, Allow], port: int) -> str | None:
    """Return in what `rule` lets in more than is wanted; ``None`` where it is exactly that.

    :param over: what is no longer wanted, by source.
    """
    sources = [each.source for each in wanted]
    if rule.source in sources:
        return None if rule.is_exactly(port) else f"the spec lets it in to port {port} alone"
    if rule.source in over:
        return f"it expired on {over[rule.source].expires}"
    if (network := rule.network) is not None:
        others = [(source, ip_network(source)) for source in sources if "/" in source]
        if narrower := [source for source, other in others if _contains(network, other)]:
            return f"it is wider than the spec, which has {', '.join(narrower)}"
        if wider := [source for source, other in others if _contains(other, network)]:
            return f"the spec has it only as a part of {wider[0]}"
    return "it is not in the spec"


def beyond(rules: Iterable[Ingress], wanted: Collection[Declared], port: int) -> Iterator[Ingress]:
    """Yield the `rules` that let somebody in to `port` whom nothing `wanted` lets in."""
    networks = [ip_network(each.source) for each in wanted if "/" in each.source]
    sources = {each.source for each in wanted}
    for rule in rules:
        network = rule.network
        inside = network is not None and any(_contains(other, network) for other in networks)
        if rule.covers(port) and not inside and rule.source not in sources:
            yield rule


def _contains(wider: Network, narrower: Network) -> bool:
    if isinstance(wider, IPv4Network) and isinstance(narrower, IPv4Network):
        return narrower.subnet_of(wider)
    if isinstance(wider, IPv6Network) and isinstance(narrower, IPv6Network):
        return narrower.subnet_of(wider)
    return False


def ports(rule: Ingress) -> str:
    """Return where `rule` lets in to, in words.

    >>> ports(Ingress("203.0.113.7/32", "tcp", 5000, 6000))
    'ports 5000 to 6000'
    """
    if rule.protocol == "-1":
        return "every port"
    kind = "" if rule.protocol == "tcp" else f"{rule.protocol} "
    if rule.first_port == rule.last_port:
        return f"{kind}port {rule.first_port}"
    return f"{kind}ports {rule.first_port} to {rule.last_port}"


# --- entry by entry --------------------------------------------------------------------------------------------------


def compare(landscape: Landscape, spec: Spec, group: SecurityGroup | None, today: date) -> tuple[Address, ...]:
    """Return every entry of `spec`, and every rule of `group` beyond it, each with how it stands.

    :param group: that of the replica, where there is one.
    """
    wanted, over = declared(landscape, spec, today), expired(landscape, spec, today)
    rules = group.ingress if group is not None else ()
    exact = {rule.source for rule in rules if rule.is_exactly(landscape.port)}
    beyond_spec = [(rule, why) for rule in rules if (why := excess(rule, wanted, over, landscape.port)) is not None]
    found = []
    for allow in spec.network.allow:
        source = source_of(allow, known_groups(landscape), landscape.vpc)
        if is_expired(allow, today):
            still = [rule for rule, _ in beyond_spec if rule.source == source]
            if source in over:
                detail = f"is still let in to {ports(still[0])}" if still else "is not let in any more"
            else:
                detail = "another entry of the spec lets it in" if source else "there is no such group"
            found.append(_address(allow, "expired", detail, *(rule.id for rule in still)))
        elif source in exact:
            found.append(_address(allow, "ok", ""))
        else:
            lacks = "there is no such group" if source is None else "no rule lets it in"
            found.append(_address(allow, "missing", lacks))
    for rule, why in beyond_spec:
        if rule.source in over:
            continue
        day = rule.tags.get("expires", "")
        state: AddressState = "expired" if day and day < today.isoformat() else "undeclared"
        note = rule.tags.get("note", rule.description)
        found.append(Address(rule.source, note, day, state, f"is let in to {ports(rule)}: {why}", (rule.id,)))
    return tuple(found)


def _address(allow: Allow, state: AddressState, detail: str, *rules: str) -> Address:
    return Address(allow.source, allow.note, str(allow.expires or ""), state, detail, rules)


# --- how wide it is --------------------------------------------------------------------------------------------------


def networks(source: str, lists: Mapping[str, PrefixList | NotChecked]) -> tuple[str, ...]:
    """Return the networks that `source` stands for; none for a group, and for a list that cannot be looked into."""
    if "/" in source:
        return (source,)
    found = lists.get(source)
    return found.networks if isinstance(found, PrefixList) else ()


def too_wide(sources: Iterable[str], lists: Mapping[str, PrefixList | NotChecked]) -> list[str]:
    """Return which of `sources` let in more than may be let in unasked: one alone, or several that adjoin, together."""
    found: list[str] = []
    rest: list[Network] = []
    for source in sources:
        for text in networks(source, lists):
            network = ip_network(text, strict=False)
            if network.prefixlen >= MIN_PREFIX[network.version]:
                rest.append(network)
            else:
                found.append(text if text == source else f"{text} of {source}")
    return [*found, *_together(rest)]


def _together(narrow: list[Network]) -> Iterator[str]:
    """Yield what networks add up to, each of them narrow enough by itself."""
    v4 = collapse_addresses(network for network in narrow if isinstance(network, IPv4Network))
    v6 = collapse_addresses(network for network in narrow if isinstance(network, IPv6Network))
    wholes: list[Network] = [*v4, *v6]
    for whole in wholes:
        if whole.prefixlen < MIN_PREFIX[whole.version]:
            parts = [str(network) for network in narrow if _contains(whole, network)]
            more = " …" if len(parts) > 4 else ""
            yield f"{whole}, which is what {', '.join(parts[:4])}{more} add up to"


# --- what it costs ---------------------------------------------------------------------------------------------------


def cost(sources: Iterable[str], lists: Mapping[str, PrefixList | NotChecked]) -> int:
    """Return how much of a group's quota for inbound rules is used, in the family that has more of them.

    A rule that names a group counts in both, as does one for a list of AWS's own; one that names another prefix list
    counts as often as that may have entries.
    """
    used = {4: 0, 6: 0}
    for source in sources:
        if "/" in source:
            used[ip_network(source).version] += 1
        elif isinstance(found := lists.get(source), PrefixList) and not found.is_of_aws:
            used[6 if any(":" in network for network in found.networks) else 4] += found.cost
        else:
            more = found.cost if isinstance(found, PrefixList) else 1
            used = {version: number + more for version, number in used.items()}
    return max(used.values())


# --- what a rule says of itself --------------------------------------------------------------------------------------


def description(allow: Allow) -> str:
    """Return the description of the rule that lets `allow` in."""
    return ownership.description(about(allow)).strip() or "replica-access"


def about(allow: Allow) -> str:
    return ", ".join(part for part in (allow.note, f"until {allow.expires}" if allow.expires else "") if part)

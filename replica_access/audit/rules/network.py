"""Who can reach the servers: addresses against the spec, groups beside ours, TLS."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from datetime import date, timedelta
from ipaddress import ip_network

from replica_access.audit.facts import Facts
from replica_access.audit.rules.rule import Hit, Rule
from replica_access.model import Address
from replica_access.names import legible
from replica_access.observed import Group, Opening, Server, Surroundings

CERTIFICATE_DAYS = 90
"""So long before a certificate ends it is time to change it: maintenance windows and trust stores take a while."""

CERTIFICATE_AUTHORITY = "rds-ca-rsa2048-g1"
"""What RDS takes itself. Those that end in -g1 are good until 2061 and later; those before them have ended."""

APPLY, PRUNE = "replica-access apply --yes", "replica-access access prune --yes"


def _undeclared(facts: Facts) -> Iterator[Hit]:
    for around, each in _addresses(facts, "undeclared"):
        yield _hit(around, each, f"{each.source} {each.detail}.", _deny(each.source))


def _expired(facts: Facts) -> Iterator[Hit]:
    for around, each in _addresses(facts, "expired"):
        if each.rules:
            message = f"{each.source} was let in until {each.expires} and {each.detail}."
            yield _hit(around, each, message, PRUNE)


def _stale(facts: Facts) -> Iterator[Hit]:
    for around, each in _addresses(facts, "expired"):
        if not each.rules:
            message = f"The entry for {each.source} in the spec ended on {each.expires}."
            yield _hit(around, each, message, PRUNE)


def _missing(facts: Facts) -> Iterator[Hit]:
    for around, each in _addresses(facts, "missing"):
        message = f"The spec lets in {each.source}, but {each.detail}."
        yield _hit(around, each, message, APPLY)


def _wide(facts: Facts) -> Iterator[Hit]:
    for around, group, opening in _openings(facts):
        if opening.wide and not opening.to_everybody:
            message = f"{group.id} lets in {opening.source}, which is too wide: {'; '.join(opening.wide)}."
            yield _opening(around, group, opening, message)
    for around, group in _groups(facts):
        for each in group.together:
            yield Hit(
                server=around.wanted or "",
                subject=group.id,
                object=f"port {around.port}",
                message=f"{group.id} lets in {each}: together that is too wide.",
                remedy="\n".join(
                    ["# whichever of these nobody needs:", *(f"# {each}" for each in _closing(around, group, each))]
                ),
                evidence=each,
            )


def _everybody(facts: Facts) -> Iterator[Hit]:
    for around, group, opening in _openings(facts):
        if opening.to_everybody:
            yield _opening(around, group, opening, f"{group.id} lets in everybody on the internet.")


def _other_group(facts: Facts) -> Iterator[Hit]:
    for around, group in _groups(facts):
        if not (group.ours or group.declared):
            rest = [each.id for _, each in _groups(facts) if each.id != group.id]
            name = around.replica.identifier if around.replica is not None else ""
            yield Hit(
                server=name,
                subject=group.id,
                object=name,
                message=f"{name} has the security group {group.id} ({legible(group.name)}), which is not declared.",
                remedy=around.commands.modify(name, "--vpc-security-group-ids", *rest),
                evidence=_listed(group.openings) or "it lets nobody in to the port of the replica now",
            )


def _beyond(facts: Facts) -> Iterator[Hit]:
    for around, group in _groups(facts):
        for opening in () if group.ours else group.beyond:
            message = f"{group.id} ({legible(group.name)}) lets in {opening.source}, which the spec does not."
            yield _opening(around, group, opening, message)


def _shared(facts: Facts) -> Iterator[Hit]:
    for around, group in _groups(facts):
        if group.on_primary:
            name, primary = around.wanted or "", around.primary.identifier
            its = "the replica's own" if group.ours else legible(group.name)
            yield Hit(
                server=primary,
                subject=group.id,
                object=primary,
                message=f"{primary} and {name} share {group.id} ({its}): whom it lets in, it lets in to both.",
                remedy=_without(around, group, [each.id for _, each in _groups(facts) if each.id != group.id]),
                evidence=_listed(group.openings) or "it lets nobody in to their port now",
            )


def _public_primary(facts: Facts) -> Iterator[Hit]:
    around = facts.surroundings
    if around is not None and around.primary.publicly_accessible:
        name = around.primary.identifier
        yield Hit(
            server=name,
            subject=name,
            object="PubliclyAccessible",
            message=f"The primary {name} has an address on the internet; readers need none there.",
            remedy=around.commands.modify(name, "--no-publicly-accessible"),
            evidence="PubliclyAccessible is true",
        )


def _plain(facts: Facts) -> Iterator[Hit]:
    for server in facts.servers:
        if server.refuses_plain is False:
            yield Hit(
                server=legible(server.name),
                subject=legible(server.name),
                object="TLS",
                message=f"{legible(server.name)} takes connections without TLS: they can be read on the way.",
                remedy=_force_tls(facts, server),
                evidence=server.plain_detail,
            )


def _certificate(facts: Facts) -> Iterator[Hit]:
    around = facts.surroundings
    if around is None:
        return
    limit = (facts.today + timedelta(days=CERTIFICATE_DAYS)).isoformat()
    for machine in filter(None, (around.replica, around.primary)):
        if machine.certificate_until and machine.certificate_until < limit:
            current = machine.certificate_authority.endswith("-g1")
            authority = machine.certificate_authority if current else CERTIFICATE_AUTHORITY
            over = date.fromisoformat(machine.certificate_until) < facts.today
            yield Hit(
                server=machine.identifier,
                subject=machine.identifier,
                object="certificate",
                message=f"The server certificate of {machine.identifier} {'ended' if over else 'ends'} on"
                f" {machine.certificate_until}: then clients that verify it are refused.",
                remedy=around.commands.modify(machine.identifier, "--ca-certificate-identifier", authority),
                evidence=f"of {machine.certificate_authority or 'an unknown authority'}, valid until"
                f" {machine.certificate_until}",
            )


# --- what the rules share --------------------------------------------------------------------------------------------


def _addresses(facts: Facts, state: str) -> Iterator[tuple[Surroundings, Address]]:
    around = facts.surroundings
    if around is not None and around.replica is not None:
        yield from ((around, each) for each in around.addresses if each.state == state)


def _groups(facts: Facts) -> Iterator[tuple[Surroundings, Group]]:
    if facts.surroundings is not None:
        yield from ((facts.surroundings, group) for group in facts.surroundings.groups)


def _openings(facts: Facts) -> Iterator[tuple[Surroundings, Group, Opening]]:
    for around, group in _groups(facts):
        yield from ((around, group, opening) for opening in group.openings)


def _hit(around: Surroundings, each: Address, message: str, remedy: str) -> Hit:
    about = f" ({legible(each.note)})" if each.note else ""
    rules = ", ".join(filter(None, each.rules))
    evidence = f"rule {rules or 'not seen one by one'}{about}" if each.rules else f"no rule has it{about}"
    return Hit(around.wanted or "", each.source, f"port {around.port}", message, remedy, evidence)


def _deny(source: str) -> str:
    return f"replica-access access deny {shlex.quote(source)} --yes"


def _opening(around: Surroundings, group: Group, opening: Opening, message: str) -> Hit:
    return Hit(
        server=around.wanted or "",
        subject=opening.source,
        object=group.id,
        message=message,
        remedy=_close(around, group, opening),
        evidence=_listed((opening,)),
    )


def _close(around: Surroundings, group: Group, opening: Opening) -> str:
    rule = ("--security-group-rule-ids", opening.rule) if opening.rule else ()
    close = around.commands.ec2("revoke-security-group-ingress", "--group-id", group.id, *rule)
    return _deny(opening.source) if group.ours else close


def _closing(around: Surroundings, group: Group, together: str) -> Iterator[str]:
    """Yield what takes away each of the narrow openings that add up to the network which `together` begins with."""
    whole = together.partition(",")[0]
    for opening in group.openings:
        if not opening.wide and ("/" not in opening.source or _overlap(opening.source, whole)):
            yield _close(around, group, opening)


def _overlap(one: str, other: str) -> bool:
    networks = ip_network(one, strict=False), ip_network(other, strict=False)
    return networks[0].version == networks[1].version and networks[0].overlaps(networks[1])


def _listed(openings: tuple[Opening, ...]) -> str:
    return "; ".join(
        f"{each.source} to {each.ports}{f' ({legible(each.about)})' if each.about else ''}"
        f"{f', {each.rule}' if each.rule else ''}"
        for each in openings
    )


def _without(around: Surroundings, group: Group, rest: list[str]) -> str:
    """Return what parts the two: what is the replica's own goes from the primary, all else from the replica.

    Production may need what is attached there. What stays attached: others of the primary, or `rest` of the replica.
    """
    if not group.ours and around.replica is not None and rest:
        command = around.commands.modify(around.replica.identifier, "--vpc-security-group-ids", *rest)
        said = f"# and take {legible(group.name)} out of [network] security_groups, or apply attaches it again"
        return f"{command}\n{said}" if group.declared else command
    others = [each for each in around.primary.security_groups if each != group.id]
    if not others:
        return f"# give {around.primary.identifier} a security group of its own: an instance has one at least"
    return around.commands.modify(around.primary.identifier, "--vpc-security-group-ids", *others)


def _force_tls(facts: Facts, server: Server) -> str:
    around = facts.surroundings
    if around is None:
        return _force_tls_by_hand(server)
    machine = next((m for m in (around.replica, around.primary) if m is not None and m.identifier == server.name), None)
    group = next(iter(machine.parameter_groups), "") if machine is not None else ""
    parameter = "ParameterName=rds.force_ssl,ParameterValue=1,ApplyMethod=immediate"
    words = ("modify-db-parameter-group", "--db-parameter-group-name", group, "--parameters", parameter)
    return around.commands.rds(*words)


def _force_tls_by_hand(server: Server) -> str:
    settings, name = server.settings, legible(server.name)
    if settings.get("ssl") != "on":
        return f"# get a certificate for {name}: ssl_cert_file, ssl_key_file, and then ssl = on"
    file = shlex.quote(settings["hba_file"]) if settings.get("hba_file") else '"$PGDATA/pg_hba.conf"'
    plain = "s/^(host|hostnossl|hostnogssenc)([[:space:]])/hostssl\\2/"
    return (
        f"# on the machine of {name}, as the user that runs the server\n"
        f"sed -i.before -E '{plain}' {file}\npsql -d postgres -c 'SELECT pg_reload_conf()'"
    )


RULES = (
    Rule(
        "network-everybody",
        "high",
        "A rule lets in the whole internet: everybody can try passwords on the replica.",
        _everybody,
    ),
    Rule("network-undeclared", "high", "The replica lets in somebody whom the spec does not.", _undeclared),
    Rule("network-expired", "high", "The replica still lets in somebody whose time is over.", _expired),
    Rule("network-beyond", "high", "Another security group of the replica lets in whom the spec does not.", _beyond),
    Rule("network-shared", "high", "Primary and replica share a security group: it opens production too.", _shared),
    Rule("network-primary-public", "high", "The primary has an address on the internet.", _public_primary),
    Rule("network-plain", "high", "A server takes connections without TLS.", _plain),
    Rule("network-wide", "medium", "A rule lets in more addresses than any office has.", _wide),
    Rule("network-group", "medium", "A security group that nobody declared is attached to the replica.", _other_group),
    Rule("network-missing", "medium", "The spec lets somebody in, and the replica does not.", _missing),
    Rule("network-certificate", "medium", "A server certificate ends within 90 days.", _certificate),
    Rule("network-stale", "info", "An entry of the spec has expired: it can go.", _stale),
)

"""Security groups as pg_hba.conf: which networks a server answers, and nobody else.

AWS drops the packets of an address that no ingress rule names; a server on loopback cannot, so its pg_hba.conf refuses
the connection instead. A rule counts when it is for TCP, or for every protocol, and covers a port of the instance.
Rules that name another security group open nothing: no client of the sandbox has one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from typing import Any

__all__ = ["Network", "allowed_networks"]

EVERY_PROTOCOL = "-1"

Network = IPv4Network | IPv6Network


def allowed_networks(groups: Iterable[Any], ports: Collection[int]) -> list[Network]:
    """The networks that any ingress rule of moto's security groups lets in to one of the ports, without overlaps.

    :param ports: more than one, because all instances of the sandbox share one address and so cannot share the port
        that a replica on RDS has in common with its source.
    """
    networks = {
        network
        for group in groups
        for rule in group.ingress_rules
        if _covers(rule, ports)
        for network in _networks(group.ec2_backend, rule)
    }
    ipv4 = collapse_addresses(network for network in networks if isinstance(network, IPv4Network))
    ipv6 = collapse_addresses(network for network in networks if isinstance(network, IPv6Network))
    return [*ipv4, *ipv6]


def _covers(rule: Any, ports: Collection[int]) -> bool:
    if rule.ip_protocol == EVERY_PROTOCOL:
        return True
    return rule.ip_protocol == "tcp" and any(int(rule.from_port) <= port <= int(rule.to_port) for port in ports)


def _networks(ec2: Any, rule: Any) -> Iterator[Network]:
    cidr = rule.cidr_ipv4 or rule.cidr_ipv6
    if cidr:
        yield ip_network(cidr)
    if rule.prefix_list_id:
        prefix_list = ec2.managed_prefix_lists[rule.prefix_list_id]
        for entry in prefix_list.entries.get(prefix_list.version, []):
            yield ip_network(entry["Cidr"], strict=False)

"""What network ACLs let through, worked out from their entries: pure.

Unlike a security group, a network ACL is asked both ways: for what comes in, and for the replies that go out. Source:
VPC user guide, "Network ACL rules" and "Ephemeral ports".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from replica_access.aws.landscape import Acl, AclEntry

Network = IPv4Network | IPv6Network

REPLY_PORTS = (32768, 65535)
"""Where most clients wait for replies; what AWS recommends a public subnet's network ACL to let out."""

NAT_PORTS = (1024, 65535)
"""Where clients behind a NAT, and some others, wait for them."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a network ACL keeps from a client.

    :param egress: it is the replies, to some of `ports`; otherwise connections to them.
    """

    acl: str
    client: Network
    egress: bool
    ports: tuple[int, int]

    @property
    def is_partial(self) -> bool:
        """Whether it only concerns those clients that wait for replies where few do."""
        return self.ports == NAT_PORTS

    def __str__(self) -> str:
        if self.egress:
            return f"{self.acl} keeps replies (ports {self.ports[0]} to {self.ports[1]}) from {self.client}"
        return f"{self.acl} keeps {self.client} from port {self.ports[0]}"


def refusals(acls: Iterable[Acl], subnets: Iterable[str], clients: Iterable[Network], port: int) -> Iterator[Refusal]:
    """Yield what the network ACLs of `subnets` keep from each of `clients`: their connections, or the replies."""
    guarded, networks = set(subnets), tuple(clients)
    for acl in acls:
        if guarded & set(acl.subnets):
            for client in networks:
                yield from _refusals(acl, client, port)


def unguarded(acls: Iterable[Acl], subnets: Iterable[str]) -> tuple[str, ...]:
    """Return those of `subnets` whose network ACL is not among `acls`: each has one, so it cannot be seen."""
    known = {subnet for acl in acls for subnet in acl.subnets}
    return tuple(subnet for subnet in subnets if subnet not in known)


def _refusals(acl: Acl, client: Network, port: int) -> Iterator[Refusal]:
    if not _lets(acl, client, egress=False, ports=(port, port)):
        yield Refusal(acl.id, client, False, (port, port))
        return
    for ports in (REPLY_PORTS, NAT_PORTS):
        if not _lets(acl, client, egress=True, ports=ports):
            yield Refusal(acl.id, client, True, ports)
            return


def _lets(acl: Acl, client: Network, *, egress: bool, ports: tuple[int, int]) -> bool:
    """Whether all of `client` and of `ports` is let through: the first entry that matches decides.

    Entries that share the work between them (two halves of a network, two ranges of ports) are followed one by one.
    """
    left: list[tuple[Network, tuple[int, int]]] = [(client, ports)]
    for entry in acl.entries:
        if entry.egress != egress or entry.protocol not in {"-1", "6"} or not entry.cidr:
            continue
        rest: list[tuple[Network, tuple[int, int]]] = []
        for part in left:
            matched, others = _split(entry, part)
            if matched and not entry.allow:
                return False
            rest += others
        left = rest
        if not left:
            return True
    return False


def _split(
    entry: AclEntry, part: tuple[Network, tuple[int, int]]
) -> tuple[bool, list[tuple[Network, tuple[int, int]]]]:
    """Return whether `entry` decides about some of `part`, and what is left for the entries after it."""
    network, (first, last) = part
    low, high = (0, 65535) if entry.protocol == "-1" else (entry.first_port, entry.last_port)
    about = entry.network
    if about.version != network.version or not about.overlaps(network) or high < first or last < low:
        return False, [part]
    outside: list[Network] = []
    if about.prefixlen > network.prefixlen:
        outside += network.address_exclude(about)  # type: ignore[arg-type]  # of one version, as seen above
    inside = network if about.prefixlen <= network.prefixlen else about
    others: list[tuple[Network, tuple[int, int]]] = [(each, (first, last)) for each in outside]
    if first < low:
        others.append((inside, (first, low - 1)))
    if high < last:
        others.append((inside, (high + 1, last)))
    return True, others

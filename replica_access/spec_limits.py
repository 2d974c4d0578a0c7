"""What AWS takes of what a spec says, as far as a spec alone tells: pure.

RDS says no to most of this only once other things have been made, and some of it never works and nobody says why.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from ipaddress import IPv6Network, ip_network

MAX_IDENTIFIER = 63
"""RDS user guide, "Quotas and constraints": characters of the identifier of a DB instance."""

MAX_TAGS, MAX_TAG_KEY, MAX_TAG_VALUE = 50, 128, 256
"""RDS user guide, "Tagging Amazon RDS resources"."""

OUR_TAGS = ("replica-access", "managed-by")
"""What `aws.ownership` writes on a replica by itself."""

_TAG_MARKS = frozenset("_.:/=+-@")
"""RDS API reference, Tag: what a tag may have beside letters, digits and white space."""

_MAPPED = IPv6Network("::ffff:0:0/96")


def identifier(value: str) -> str:
    """Return `value`, the identifier or ARN of an instance.

    :raises ValueError: RDS knows no instance of such a name.
    """
    if (length := len(value.rpartition(":")[2])) > MAX_IDENTIFIER:
        raise ValueError(f"RDS takes {MAX_IDENTIFIER} characters in the name of an instance, and this has {length}")
    return value


def identifier_alone(value: str) -> str:
    """Return `value`, the identifier of an instance that is made here.

    :raises ValueError: it is an ARN, whose account and Region could only contradict those that it is made in.
    """
    if ":" in value:
        raise ValueError(f"write {value.rpartition(':')[2]} alone: it is made in the account and Region of [aws]")
    return value


def network(value: str) -> str:
    """Return the network `value` as EC2 stores it: without host bits.

    :raises ValueError: it is none, or none that anybody comes from.
    """
    try:
        if "%" in value:  # an interface of this machine, which means nothing elsewhere
            raise ValueError
        found = ip_network(value, strict=False)
    except ValueError:
        raise ValueError("not an address or network; write 203.0.113.7/32 or 2001:db8::/48") from None
    if isinstance(found, IPv6Network) and found.subnet_of(_MAPPED):
        mapped = found.network_address.ipv4_mapped
        raise ValueError(f"whoever has this address comes by IPv4; write {mapped}/{found.prefixlen - 96}")
    return str(found)


def note(value: str) -> str:
    """Return `value`, a line of text.

    :raises ValueError: it is more than a line, or has what no terminal should be sent.
    """
    if any(unicodedata.category(char) == "Cc" for char in value):
        raise ValueError("a note is one line, without control characters")
    return value


def tags(values: Mapping[str, str]) -> Mapping[str, str]:
    """Return `values`, the tags for a replica beside ours.

    :raises ValueError: RDS does not take them, or one of them is ours.
    """
    if (more := len(values) + len(OUR_TAGS) - MAX_TAGS) > 0:
        raise ValueError(f"{more} too many: RDS takes {MAX_TAGS} a resource, and {len(OUR_TAGS)} of them are ours")
    for key, value in values.items():
        if key in OUR_TAGS:
            raise ValueError(f"{key} is the tag by which we find again what is ours; choose another key")
        for what, text, longest in (("key", key, MAX_TAG_KEY), ("value", value, MAX_TAG_VALUE)):
            if wrong := _wrong_tag(text, longest, may_be_empty=what == "value"):
                shown = text if len(text) <= 40 else f"{text[:40]}…"
                raise ValueError(f"the {what} {shown!r} {wrong}")
    return values


def _wrong_tag(text: str, longest: int, *, may_be_empty: bool) -> str | None:
    if not text and not may_be_empty:
        return "is empty"
    if len(text) > longest:
        return f"is too long: RDS takes {longest} characters"
    if text.lower().startswith(("aws:", "rds:")):
        return "begins with what AWS keeps for itself"
    if other := next(
        (char for char in text if unicodedata.category(char)[0] not in "LZN" and char not in _TAG_MARKS), ""
    ):
        return f"has {other!r}: RDS takes letters, digits, spaces and {' '.join(sorted(_TAG_MARKS))}"
    return None

"""What lies between the internet and the replica: network ACLs both ways, IPv6, routes that lead astray."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest

from replica_access.aws.landscape import Acl, AclEntry, Landscape, Route, RouteTable
from replica_access.aws.network_acl import refusals
from replica_access.aws.preflight import checks
from replica_access.model import Call, Check

from .aws_landscapes import COMPLETE, EMPTY, LOCAL, OPEN_ACL, PUBLIC_TABLE, REPLICA, problems, spec_of

V4, V6 = "203.0.113.7/32", "2001:db8::/48"
WORLD = Route("0.0.0.0/0", "igw-1", True)
WORLD_V6 = Route("::/0", "igw-1", True)
ALL_V6 = tuple(AclEntry(101, egress, True, "-1", "::/0", 0, 65535) for egress in (False, True))
DUAL = replace(
    COMPLETE,
    replica=replace(REPLICA, dual_stack=True),
    acls=(replace(OPEN_ACL, entries=(*OPEN_ACL.entries[:2], *ALL_V6)),),
    route_tables=(replace(PUBLIC_TABLE, routes=(LOCAL, WORLD, WORLD_V6)),),
)
"""A replica that has IPv6 addresses, and nothing in their way."""


def found(landscape: Landscape, name: str, **changes: Any) -> Check:
    (check,) = [check for check in checks(landscape, spec_of(**changes)) if check.name == name]
    return check


def acl(*entries: tuple[int, bool, bool, str, int, int]) -> Acl:
    """:param entries: number, egress, allow, network, first and last port; of TCP."""
    made = (AclEntry(number, egress, allow, "6", cidr, low, high) for number, egress, allow, cidr, low, high in entries)
    return replace(OPEN_ACL, entries=tuple(sorted(made, key=lambda entry: entry.number)))


IN = (100, False, True, "0.0.0.0/0", 5432, 5432)
OUT = (100, True, True, "0.0.0.0/0", 1024, 65535)


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ((IN, OUT), []),
        ((IN,), ["acl-1 keeps replies (ports 32768 to 65535) from 203.0.113.7/32"]),
        ((OUT,), ["acl-1 keeps 203.0.113.7/32 from port 5432"]),
        ((IN, (100, True, True, "0.0.0.0/0", 32768, 65535)), ["acl-1 keeps replies (ports 1024 to 65535)"]),
        ((IN, (100, True, True, "0.0.0.0/0", 1024, 40000), (110, True, True, "0.0.0.0/0", 40001, 65535)), []),
        ((IN, (100, True, True, "0.0.0.0/0", 1024, 40000), (110, True, True, "0.0.0.0/0", 40002, 65535)), ["32768"]),
        ((IN, OUT, (90, True, False, "203.0.113.0/24", 50000, 50000)), ["keeps replies (ports 32768 to 65535)"]),
        ((IN, OUT, (90, False, False, "203.0.113.8/32", 5432, 5432)), []),
    ],
)
def test_a_network_acl_is_asked_both_ways(entries: tuple[Any, ...], words: list[str]) -> None:
    said = [str(each) for each in refusals([acl(*entries)], ["subnet-1"], [ip_network(V4)], 5432)]
    assert len(said) == len(words)
    assert all(expected in sentence for expected, sentence in zip(words, said, strict=True))


def test_halves_of_a_network_may_be_allowed_by_entries_of_their_own() -> None:
    halves = acl(
        (100, False, True, "203.0.112.0/25", 5432, 5432), (110, False, True, "203.0.112.128/25", 5432, 5432), OUT
    )
    assert not list(refusals([halves], ["subnet-1"], [ip_network("203.0.112.0/24")], 5432))
    one = replace(halves, entries=(halves.entries[0], *halves.entries[2:]))
    assert list(refusals([one], ["subnet-1"], [ip_network("203.0.112.0/24")], 5432))


def test_every_subnet_of_the_group_is_guarded_by_its_own_acl() -> None:
    closed = replace(acl(OUT), id="acl-2", subnets=("subnet-2",))
    check = problems(replace(EMPTY, acls=(replace(OPEN_ACL, subnets=("subnet-1",)), closed)))["network ACL"]
    assert check.detail == f"acl-2 keeps {V4} from port 5432"
    assert "--network-acl-id acl-2" in check.fix
    assert "--ingress --protocol tcp --port-range From=5432,To=5432 --cidr-block 203.0.113.7/32" in check.fix


def test_the_fix_for_replies_is_an_egress_entry() -> None:
    fix = problems(replace(EMPTY, acls=(acl(IN),)))["network ACL"].fix
    assert "--egress --protocol tcp --port-range From=32768,To=65535" in fix


def test_a_subnet_whose_acl_is_not_seen_is_not_checked() -> None:
    check = found(replace(EMPTY, acls=(replace(OPEN_ACL, subnets=("subnet-1",)),)), "network ACL")
    assert (check.outcome, check.detail) == ("not checked", "the network ACL of subnet-2 cannot be seen")


def test_replies_to_clients_behind_a_nat_are_a_note() -> None:
    landscape = replace(EMPTY, acls=(acl(IN, (100, True, True, "0.0.0.0/0", 32768, 65535)),))
    assert not problems(landscape)
    assert found(landscape, "network ACL").outcome == "ok"
    assert found(landscape, "network ACL replies").outcome == "note"


# --- IPv6 ------------------------------------------------------------------------------------------------------------


def test_a_replica_with_ipv4_only_says_whom_nobody_reaches() -> None:
    check = found(EMPTY, "IPv6")
    assert check.outcome == "note"
    assert V6 in check.detail
    assert V4 not in check.detail


def test_a_dual_stack_replica_needs_routes_and_acls_for_ipv6() -> None:
    assert not problems(DUAL)
    assert "IPv6" not in {check.name for check in checks(DUAL, spec_of())}
    without_route = replace(DUAL, route_tables=(PUBLIC_TABLE,))
    assert f"(route table rtb-public) has no route to {V6}" in problems(without_route)["routes"].detail
    egress_only = replace(PUBLIC_TABLE, routes=(LOCAL, WORLD, Route("::/0", "eigw-1", True)))
    assert "sends ::/0 to eigw-1" in problems(replace(DUAL, route_tables=(egress_only,)))["routes"].detail
    closed = problems(replace(DUAL, acls=(OPEN_ACL,)))["network ACL"]
    assert closed.detail == f"acl-1 keeps {V6} from port 5432"
    assert f"--ipv6-cidr-block {V6}" in closed.fix


# --- routes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("route", "words"),
    [
        (Route("203.0.113.0/24", "tgw-1", True), "rtb-public sends 203.0.113.0/24 to tgw-1"),
        (Route("203.0.113.7/32", "igw-1", False), "rtb-public sends 203.0.113.7/32 to igw-1"),
        (Route("203.0.114.0/24", "tgw-1", True), None),
        (Route("203.0.113.0/24", "igw-1", True), None),
    ],
)
def test_a_narrower_route_that_takes_the_replies_elsewhere(route: Route, words: str | None) -> None:
    table = RouteTable("rtb-public", False, ("subnet-1", "subnet-2"), (LOCAL, WORLD, route))
    checked = problems(replace(EMPTY, route_tables=(table,)))
    assert (words is None) == (not checked)
    if words is not None:
        assert words in checked["routes"].detail


def test_the_longest_match_counts() -> None:
    wide, narrow = Route("203.0.112.0/22", "tgw-1", True), Route("203.0.113.0/24", "igw-1", True)
    table = replace(PUBLIC_TABLE, routes=(LOCAL, WORLD, wide, narrow))
    assert not problems(replace(EMPTY, route_tables=(table,)))


def test_who_comes_from_a_private_network_does_not_come_over_the_internet() -> None:
    table = replace(PUBLIC_TABLE, routes=(LOCAL, WORLD, Route("10.9.0.0/16", "tgw-1", True)))
    spec = spec_of(network={"allow": [{"cidr": "10.9.1.0/24"}]})
    assert not problems(replace(EMPTY, route_tables=(table,)), spec)


# --- what can be mended ----------------------------------------------------------------------------------------------


def test_both_dns_attributes_are_mended_support_first() -> None:
    off = problems(replace(EMPTY, dns_support=False, dns_hostnames=False))
    calls = [change.call for name in off for change in off[name].mend]
    assert calls == [
        Call("ec2", "ModifyVpcAttribute", {"VpcId": "vpc-1", "EnableDnsSupport": {"Value": True}}),
        Call("ec2", "ModifyVpcAttribute", {"VpcId": "vpc-1", "EnableDnsHostnames": {"Value": True}}),
    ]


def test_what_others_rely_on_is_not_mended() -> None:
    landscape = replace(EMPTY, gateways=(), acls=(acl(),))
    assert set(problems(landscape)) == {"internet gateway", "network ACL"}
    assert not any(check.mend for check in problems(landscape).values())

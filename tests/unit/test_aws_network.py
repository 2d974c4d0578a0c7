"""Which subnets the internet reaches, and what else stands in the way: routes, zones, network ACLs, DNS, gateway."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replica_access.aws.landscape import Acl, AclEntry, Exclusion, Landscape, PublicAccess, Route, RouteTable, Subnet
from replica_access.aws.preflight import checks
from replica_access.aws.rules import PrefixList

from .aws_landscapes import (
    DENIED,
    EMPTY,
    MAIN_TABLE,
    OPEN_ACL,
    PRIVATE,
    PUBLIC,
    PUBLIC_TABLE,
    ZONES,
    problems,
    spec_of,
)

REGION = " --region ap-southeast-2"


@pytest.mark.parametrize(
    ("landscape", "name", "option"),
    [
        (replace(EMPTY, dns_support=False), "VPC DNS support", "--enable-dns-support"),
        (replace(EMPTY, dns_hostnames=False), "VPC DNS hostnames", "--enable-dns-hostnames"),
    ],
)
def test_dns_that_is_off_names_the_command(landscape: Landscape, name: str, option: str) -> None:
    found = problems(landscape)
    assert set(found) == {name}
    assert found[name].fix == f"aws ec2 modify-vpc-attribute --vpc-id vpc-1 {option} '{{\"Value\":true}}'{REGION}"


def test_no_internet_gateway_names_both_commands() -> None:
    fix = problems(replace(EMPTY, gateways=()))["internet gateway"].fix
    assert f"aws ec2 create-internet-gateway{REGION}" in fix
    assert "aws ec2 attach-internet-gateway --vpc-id vpc-1" in fix


@pytest.mark.parametrize(
    ("route", "words"),
    [
        (Route("0.0.0.0/0", "nat-1", True), "subnet-1 (route table rtb-public) sends 0.0.0.0/0 to nat-1"),
        (Route("0.0.0.0/0", "igw-1", False), "igw-1, which is not attached"),
        (Route("10.0.0.0/8", "igw-1", True), "has no route to 0.0.0.0/0"),
    ],
)
def test_a_route_table_of_its_own_that_leads_nowhere_is_a_problem(route: Route, words: str) -> None:
    landscape = replace(EMPTY, route_tables=(replace(PUBLIC_TABLE, routes=(route,)), MAIN_TABLE))
    found = problems(landscape, spec_of(replica={"subnet_group": "same"}))
    assert words in found["routes"].detail
    assert "subnet-2" in found["routes"].detail


def test_a_subnet_without_a_table_of_its_own_uses_the_main_one() -> None:
    public_main = replace(PUBLIC_TABLE, id="rtb-main", main=True, subnets=())
    assert not problems(replace(EMPTY, route_tables=(public_main,)))
    landscape = replace(EMPTY, route_tables=(replace(PUBLIC_TABLE, subnets=("subnet-1",)), MAIN_TABLE))
    detail = problems(landscape, spec_of(replica={"subnet_group": "same"}))["routes"].detail
    assert "subnet-2 (main route table rtb-main)" in detail
    assert "subnet-1" not in detail


def test_a_group_that_is_named_but_missing_lists_those_that_exist() -> None:
    check = problems(EMPTY, spec_of(replica={"subnet_group": "elsewhere"}))["subnet group"]
    assert "no subnet group elsewhere in vpc-1" in check.detail
    assert check.detail.endswith("it has: public")


def test_a_named_group_is_checked_like_any_other() -> None:
    landscape = replace(EMPTY, subnet_groups=(PUBLIC, PRIVATE))
    assert "routes" in problems(landscape, spec_of(replica={"subnet_group": "private"}))


def test_one_zone_and_a_full_subnet_are_problems() -> None:
    subnets = (Subnet("subnet-1", "ap-southeast-2a", 0), Subnet("subnet-2", "ap-southeast-2a", 5))
    found = problems(replace(EMPTY, subnets=subnets))
    assert set(found) == {"zones", "free addresses"}
    assert "subnet-1 of public has no address left" in found["free addresses"].detail
    assert "vpc-1 needs public subnets in 2 zones" in found["zones"].fix


def test_a_full_subnet_of_a_public_group_names_the_command_for_another_group() -> None:
    assert isinstance(EMPTY.subnets, tuple)
    full, other = (
        replace(EMPTY.subnets[0], free_addresses=free, id=name) for free, name in ((0, "subnet-1"), (9, "x"))
    )
    landscape = replace(
        EMPTY,
        subnets=(full, other, *EMPTY.subnets[1:]),
        route_tables=(replace(PUBLIC_TABLE, subnets=("subnet-1", "subnet-2", "x")), MAIN_TABLE),
    )
    fix = problems(landscape)["free addresses"].fix
    assert "aws rds create-db-subnet-group --db-subnet-group-name prod-public" in fix
    assert "--subnet-ids x subnet-2" in fix
    assert fix.endswith("# then name it in replica.subnet_group")


def test_the_networks_of_a_prefix_list_have_to_pass_the_network_acl() -> None:
    spec = spec_of(network={"allow": [{"prefix_list": "pl-1"}]})
    landscape = replace(EMPTY, prefix_lists={"pl-1": PrefixList("pl-1", "office", 1, 2, ("198.51.100.0/24",))})
    assert not problems(landscape, spec)
    closed = replace(landscape, acls=(_acl(DATABASE, REPLIES),))
    assert "198.51.100.0/24" in problems(closed, spec)["network ACL"].detail


def test_blocked_public_access_is_a_problem_unless_the_subnets_are_excluded() -> None:
    blocked = replace(EMPTY, public_access=PublicAccess("block-ingress"))
    assert "subnet-1, subnet-2" in problems(blocked)["block public access"].detail
    excluded = replace(
        blocked, subnets=tuple(Subnet(f"subnet-{n}", z, 9, "off") for n, z in zip((1, 2), ZONES, strict=True))
    )
    assert not problems(excluded)


@pytest.mark.parametrize(
    ("exclusions", "words"),
    [
        ((Exclusion("arn:aws:ec2:r:a:vpc/vpc-1", True, True),), None),
        (tuple(Exclusion(f"arn:aws:ec2:r:a:subnet/subnet-{n}", True, True) for n in (1, 2)), None),
        ((Exclusion("arn:aws:ec2:r:a:subnet/subnet-1", True, True),), "closes subnet-2"),
        ((Exclusion("arn:aws:ec2:r:a:vpc/vpc-2", True, True),), "closes subnet-1, subnet-2"),
        ((Exclusion("arn:aws:ec2:r:a:vpc/vpc-1", False, True),), "vpc-1 is excluded for egress only"),
        ((Exclusion("arn:aws:ec2:r:a:vpc/vpc-1", True, False),), "both directions, but not yet"),
    ],
)
def test_exclusions_from_block_public_access(exclusions: tuple[Exclusion, ...], words: str | None) -> None:
    found = problems(replace(EMPTY, public_access=PublicAccess("block-bidirectional", exclusions)))
    assert (words is None) == (not found)
    if words is not None:
        assert words in found["block public access"].detail


def test_exclusions_that_cannot_be_read_leave_it_open() -> None:
    found = checks(replace(EMPTY, public_access=PublicAccess("block-ingress", DENIED)), spec_of())
    assert {check.outcome for check in found if check.name == "block public access"} == {"not checked"}


def _acl(*entries: AclEntry) -> Acl:
    return replace(OPEN_ACL, entries=tuple(sorted(entries, key=lambda entry: entry.number)))


REPLIES = AclEntry(100, True, True, "6", "0.0.0.0/0", 32768, 65535)
DATABASE = AclEntry(100, False, True, "6", "203.0.113.0/24", 5432, 5432)


@pytest.mark.parametrize(
    ("acl", "words"),
    [
        (_acl(REPLIES), "acl-1 keeps 203.0.113.7/32 from port 5432"),
        (_acl(DATABASE), "keeps replies (ports 32768 to 65535) from 203.0.113.7/32"),
        (_acl(DATABASE, REPLIES), None),
        (_acl(DATABASE, replace(REPLIES, first_port=60000)), "keeps replies"),
        (_acl(DATABASE, REPLIES, AclEntry(90, False, False, "-1", "203.0.113.0/28", 0, 65535)), "from port 5432"),
        (_acl(DATABASE, REPLIES, AclEntry(110, False, False, "-1", "0.0.0.0/0", 0, 65535)), None),
        (_acl(DATABASE, REPLIES, AclEntry(90, False, False, "17", "0.0.0.0/0", 0, 65535)), None),
        (_acl(DATABASE, REPLIES, AclEntry(90, False, False, "6", "0.0.0.0/0", 22, 22)), None),
    ],
)
def test_a_network_acl_is_read_as_ec2_reads_it(acl: Acl, words: str | None) -> None:
    spec = spec_of(network={"allow": [{"cidr": "203.0.113.7/32"}]})
    found = problems(replace(EMPTY, acls=(acl,)), spec)
    if words is None:
        assert not found
    else:
        assert words in found["network ACL"].detail


def test_the_main_table_alone_is_a_table() -> None:
    lonely = RouteTable("rtb-x", False, (), ())
    landscape = replace(EMPTY, route_tables=(lonely,))
    detail = problems(landscape, spec_of(replica={"subnet_group": "same"}))["routes"].detail
    assert "subnet-1 has no route table that we can see" in detail

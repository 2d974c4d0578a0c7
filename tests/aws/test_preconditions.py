"""Every precondition of a replica, broken in the account and found by the real `check`, with its exit status.

What cannot be broken over the wire (IPv6, the levels of a cascade) is in tests/unit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import pytest

from replica_access.sandbox.faults import Faults
from tests.sandbox_fixtures import Sandbox

from .desk import SPEC, Desk, assert_told, desk
from .stage import private_primary

__all__ = ["desk"]

Broken = Callable[[Sandbox], AbstractContextManager[str]]
"""Breaks something for the length of the block; yields the id of what is broken."""


def declare(desk: Desk, **replica: str) -> None:
    more = "".join(f'{key} = "{value}"\n' for key, value in replica.items())
    text = SPEC.format(replica=desk.replica).replace("[[network.allow]]", f"{more}[[network.allow]]")
    desk.program.spec.write_text(text, encoding="utf-8")


@pytest.fixture(autouse=True)
def declared(desk: Desk) -> None:
    declare(desk, subnet_group="same")


def test_nothing_stands_in_the_way_of_an_account_that_is_in_order(desk: Desk) -> None:
    assert_told(desk.run("check"), 0, "Nothing stands in the way", "· cost: ", "· untried permissions: ")


# --- the VPC -------------------------------------------------------------------------------------------------------


@contextmanager
def without(sandbox: Sandbox, attribute: str) -> Iterator[str]:
    sandbox.ec2.modify_vpc_attribute(VpcId=sandbox.vpc, **{attribute: {"Value": False}})
    try:
        yield sandbox.vpc
    finally:
        sandbox.ec2.modify_vpc_attribute(VpcId=sandbox.vpc, **{attribute: {"Value": True}})


def gateway_of(sandbox: Sandbox) -> str:
    filters = [{"Name": "attachment.vpc-id", "Values": [sandbox.vpc]}]
    return str(sandbox.ec2.describe_internet_gateways(Filters=filters)["InternetGateways"][0]["InternetGatewayId"])


@contextmanager
def without_gateway(sandbox: Sandbox) -> Iterator[str]:
    gateway = gateway_of(sandbox)
    sandbox.ec2.detach_internet_gateway(VpcId=sandbox.vpc, InternetGatewayId=gateway)
    try:
        yield sandbox.vpc
    finally:
        sandbox.ec2.attach_internet_gateway(VpcId=sandbox.vpc, InternetGatewayId=gateway)


def public_table(sandbox: Sandbox) -> str:
    subnet = sandbox.instance()["DBSubnetGroup"]["Subnets"][0]["SubnetIdentifier"]
    filters = [{"Name": "association.subnet-id", "Values": [subnet]}]
    return str(sandbox.ec2.describe_route_tables(Filters=filters)["RouteTables"][0]["RouteTableId"])


@contextmanager
def without_route(sandbox: Sandbox) -> Iterator[str]:
    table, everywhere = public_table(sandbox), "0.0.0.0/0"
    sandbox.ec2.delete_route(RouteTableId=table, DestinationCidrBlock=everywhere)
    try:
        yield table
    finally:
        sandbox.ec2.create_route(RouteTableId=table, DestinationCidrBlock=everywhere, GatewayId=gateway_of(sandbox))


@contextmanager
def through_an_interface(sandbox: Sandbox) -> Iterator[str]:
    """The default route leads to a network interface: a NAT instance, say."""
    subnet = sandbox.instance()["DBSubnetGroup"]["Subnets"][0]["SubnetIdentifier"]
    interface = sandbox.ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    with without_route(sandbox) as table:
        where = {"RouteTableId": table, "DestinationCidrBlock": "0.0.0.0/0"}
        sandbox.ec2.create_route(**where, NetworkInterfaceId=interface)
        try:
            yield interface
        finally:
            sandbox.ec2.delete_route(**where)
            sandbox.ec2.delete_network_interface(NetworkInterfaceId=interface)


def acl_of(sandbox: Sandbox) -> str:
    subnet = sandbox.instance()["DBSubnetGroup"]["Subnets"][0]["SubnetIdentifier"]
    filters = [{"Name": "association.subnet-id", "Values": [subnet]}]
    return str(sandbox.ec2.describe_network_acls(Filters=filters)["NetworkAcls"][0]["NetworkAclId"])


def closed(*, egress: bool, first: int | None = None, last: int = 65535, cidr: str = "127.0.0.0/8") -> Broken:
    """An entry of the network ACL that denies these ports, the replica's by default, before all others."""

    @contextmanager
    def broken(sandbox: Sandbox) -> Iterator[str]:
        port = sandbox.instance()["Endpoint"]["Port"]
        ports = {"From": first or port, "To": last if first else port}
        acl = acl_of(sandbox)
        entry = {"NetworkAclId": acl, "RuleNumber": 50, "Egress": egress}
        sandbox.ec2.create_network_acl_entry(**entry, Protocol="6", RuleAction="deny", CidrBlock=cidr, PortRange=ports)
        try:
            yield acl
        finally:
            sandbox.ec2.delete_network_acl_entry(**entry)

    return broken


def blocked(mode: str, *exclusions: str) -> Broken:
    """VPC Block Public Access, with the VPC excluded in these modes."""

    @contextmanager
    def broken(sandbox: Sandbox) -> Iterator[str]:
        ec2 = sandbox.ec2
        ec2.modify_vpc_block_public_access_options(InternetGatewayBlockMode=mode)
        made = [
            ec2.create_vpc_block_public_access_exclusion(VpcId=sandbox.vpc, InternetGatewayExclusionMode=exclusion)
            for exclusion in exclusions
        ]
        try:
            yield sandbox.instance()["DBSubnetGroup"]["Subnets"][0]["SubnetIdentifier"]
        finally:
            for each in made:
                ec2.delete_vpc_block_public_access_exclusion(
                    ExclusionId=each["VpcBlockPublicAccessExclusion"]["ExclusionId"]
                )
            ec2.modify_vpc_block_public_access_options(InternetGatewayBlockMode="off")

    return broken


VPC: dict[str, tuple[Broken, int, tuple[str, ...]]] = {
    "DNS support": (
        lambda sandbox: without(sandbox, "EnableDnsSupport"),
        1,
        ("✗ VPC DNS support: off in {0}", "aws ec2 modify-vpc-attribute --vpc-id {0} --enable-dns-support"),
    ),
    "DNS hostnames": (
        lambda sandbox: without(sandbox, "EnableDnsHostnames"),
        1,
        ("✗ VPC DNS hostnames: off in {0}", "aws ec2 modify-vpc-attribute --vpc-id {0} --enable-dns-hostnames"),
    ),
    "internet gateway": (
        without_gateway,
        1,
        ("✗ internet gateway: none is attached to {0}", "aws ec2 create-internet-gateway", "--vpc-id {0}"),
    ),
    "no route": (without_route, 1, ("✗ routes: ", "(route table {0}) has no route to 0.0.0.0/0")),
    "a route to a NAT": (through_an_interface, 1, ("✗ routes: ", "sends 0.0.0.0/0 to {0}, which lets nobody in")),
    "network ACL, in": (closed(egress=False), 1, ("✗ network ACL: {0} keeps 127.0.0.1/32 from port", "--ingress")),
    "network ACL, out": (
        closed(egress=True, first=40000),
        1,
        ("✗ network ACL: {0} keeps replies (ports 32768 to 65535) from 127.0.0.1/32", "--egress"),
    ),
    "network ACL, out to a NAT": (
        closed(egress=True, first=1024, last=2000),
        0,
        ("· network ACL replies: {0} keeps replies (ports 1024 to 65535)", "✓ network ACL"),
    ),
    "network ACL, others": (closed(egress=False, cidr="198.51.100.0/24"), 0, ("✓ network ACL",)),
    "block ingress": (
        blocked("block-ingress"),
        1,
        ("✗ block public access: block-ingress in ap-southeast-2 closes", "{0}",
         "aws ec2 create-vpc-block-public-access-exclusion"),
    ),
    "block both ways": (blocked("block-bidirectional"), 1, ("✗ block public access: block-bidirectional",)),
    "block, excluded": (blocked("block-bidirectional", "allow-bidirectional"), 0, ("but not for these subnets",)),
    "block, excluded for egress": (blocked("block-bidirectional", "allow-egress"), 1, ("✗ block public access: ",)),
}  # fmt: skip


@pytest.mark.parametrize("what", VPC)
def test_the_vpc(desk: Desk, what: str) -> None:
    broken, status, words = VPC[what]
    with broken(desk.sandbox) as found:
        ran = desk.run("check")
    assert_told(ran, status, *(each.format(found) for each in words))


def test_everything_at_once(desk: Desk) -> None:
    rows = ("DNS support", "internet gateway", "network ACL, in", "block ingress")
    with ExitStack() as stack:
        for row in rows:
            stack.enter_context(VPC[row][0](desk.sandbox))
        ran = desk.run("--format", "json", "check")
        stopped = desk.run("apply", "--yes")
    names = {check["name"] for check in ran.document["checks"] if check["outcome"] == "problem"}
    assert names == {"VPC DNS support", "internet gateway", "network ACL", "block public access"}
    assert_told(stopped, 1, *names)
    assert desk.replica not in desk.sandbox.names()


# --- where it lands --------------------------------------------------------------------------------------------------


@contextmanager
def made_group(sandbox: Sandbox, *subnets: str) -> Iterator[str]:
    name = sandbox.name("group")
    sandbox.rds.create_db_subnet_group(DBSubnetGroupName=name, DBSubnetGroupDescription="test", SubnetIds=list(subnets))
    try:
        yield name
    finally:
        sandbox.rds.delete_db_subnet_group(DBSubnetGroupName=name)


def subnets_of(sandbox: Sandbox, group: str) -> dict[str, str]:
    """By zone, the subnets of a subnet group."""
    (found,) = sandbox.rds.describe_db_subnet_groups(DBSubnetGroupName=group)["DBSubnetGroups"]
    return {each["SubnetAvailabilityZone"]["Name"][-1]: each["SubnetIdentifier"] for each in found["Subnets"]}


def test_a_group_in_which_one_subnet_is_private(desk: Desk) -> None:
    public, private = (subnets_of(desk.sandbox, f"sandbox-{kind}") for kind in ("public", "private"))
    with made_group(desk.sandbox, public["a"], private["b"]) as group:
        declare(desk, subnet_group=group)
        assert_told(desk.run("check"), 1, f"✗ routes: {group} is not public: {private['b']}")


def test_a_subnet_without_a_free_address(desk: Desk) -> None:
    ec2, sandbox = desk.sandbox.ec2, desk.sandbox
    tiny = ec2.create_subnet(VpcId=sandbox.vpc, CidrBlock="10.20.250.0/28", AvailabilityZone="ap-southeast-2a")
    subnet = tiny["Subnet"]["SubnetId"]
    association = ec2.associate_route_table(RouteTableId=public_table(sandbox), SubnetId=subnet)["AssociationId"]
    interfaces: list[Any] = []
    try:
        interfaces.extend(  # of sixteen addresses AWS keeps five
            ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"] for _ in range(11)
        )
        with made_group(sandbox, subnet, subnets_of(sandbox, "sandbox-public")["b"]) as group:
            declare(desk, subnet_group=group)
            assert_told(desk.run("check"), 1, f"✗ free addresses: {subnet} of {group} has no address left")
    finally:
        for interface in interfaces:
            ec2.delete_network_interface(NetworkInterfaceId=interface)
        ec2.disassociate_route_table(AssociationId=association)
        ec2.delete_subnet(SubnetId=subnet)


def test_a_subnet_that_somebody_has_deleted(desk: Desk) -> None:
    ec2, sandbox = desk.sandbox.ec2, desk.sandbox
    made = ec2.create_subnet(VpcId=sandbox.vpc, CidrBlock="10.20.251.0/28", AvailabilityZone="ap-southeast-2a")
    subnet, kept = made["Subnet"]["SubnetId"], subnets_of(sandbox, "sandbox-public")["b"]
    with made_group(sandbox, subnet, kept) as group:
        ec2.delete_subnet(SubnetId=subnet)
        declare(desk, subnet_group=group)
        ran = desk.run("check")
    assert_told(ran, 1, f"✗ subnets: {group} names subnets that do not exist: {subnet}", f"--subnet-ids {kept}")


def test_a_group_that_does_not_exist(desk: Desk) -> None:
    declare(desk, subnet_group="elsewhere")
    assert_told(desk.run("check"), 1, "✗ subnet group: there is no subnet group elsewhere in")


# --- the source and what RDS offers ----------------------------------------------------------------------------------


@contextmanager
def changed(sandbox: Sandbox, there: dict[str, Any], back: dict[str, Any]) -> Iterator[None]:
    sandbox.change("prod-db", **there)
    try:
        yield
    finally:
        sandbox.change("prod-db", **back)


def test_a_source_without_backups(desk: Desk) -> None:
    with private_primary(desk.sandbox) as name:  # prod-db may have replicas of other tests, and keeps its backups then
        desk.sandbox.change(name, BackupRetentionPeriod=0)
        text = desk.program.spec.read_text(encoding="utf-8")
        desk.program.spec.write_text(text.replace('"prod-db"', f'"{name}"'), encoding="utf-8")
        ran = desk.run("check")
    assert_told(ran, 1, f"✗ backups: {name} has no automated backups", "--backup-retention-period 7", "quiet moment")


def test_a_password_that_rds_manages(desk: Desk) -> None:
    password = desk.sandbox.password
    back = {"ManageMasterUserPassword": False, "MasterUserPassword": password}
    with changed(desk.sandbox, {"ManageMasterUserPassword": True}, back):
        ran = desk.run("check")
    assert_told(
        ran, 1, "✗ master password: RDS manages the master password of prod-db", "--no-manage-master-user-password"
    )


def test_a_class_that_rds_does_not_offer(desk: Desk) -> None:
    declare(desk, **{"class": "db.z9.large"})
    ran = desk.run("check")
    assert_told(ran, 1, "✗ instance class: db.z9.large for a replica", "describe-orderable-db-instance-options")


def test_a_class_that_is_smaller_than_the_sources(desk: Desk) -> None:
    declare(desk, **{"class": "db.t4g.micro"})
    assert_told(desk.run("check"), 0, "· instance size: db.t4g.micro is smaller than the db.t4g.medium of prod-db")


@pytest.mark.parametrize(
    ("code", "name", "words"),
    [
        ("L-7B6409FD", "quotas", "DB instances are in use"),
        ("L-7ADDB58A", "quotas", "GiB of storage are in use"),
        ("L-5BC124EF", "replica count", "which is the limit"),
    ],
)
def test_a_quota_that_is_used_up(desk: Desk, code: str, name: str, words: str) -> None:
    with desk.sandbox.replica():
        most = {"L-7B6409FD": len(desk.sandbox.names()), "L-7ADDB58A": 50, "L-5BC124EF": 1}[code]
        ran = desk.run("check", faults=Faults(quota={code: most}))
    assert_told(ran, 1, f"✗ {name}: ", words)


def test_a_primary_of_another_account(desk: Desk) -> None:
    arn = desk.sandbox.instance()["DBInstanceArn"].replace("123456789012", "210987654321")
    text = SPEC.format(replica=desk.replica).replace('"prod-db"', f'"{arn}"')
    desk.program.spec.write_text(text, encoding="utf-8")
    assert_told(desk.run("check"), 1, "is of account 210987654321, and these credentials are of 123456789012")


def test_a_name_that_is_taken(desk: Desk) -> None:
    with private_primary(desk.sandbox) as name:
        desk.program.spec.write_text(SPEC.format(replica=name), encoding="utf-8")
        assert_told(desk.run("check"), 1, f"✗ replica name: {name} exists already and is no replica")


def test_another_account(desk: Desk) -> None:
    declare(desk)
    text = desk.program.spec.read_text(encoding="utf-8")
    desk.program.spec.write_text(f'{text}[aws]\naccount = "210987654321"\n', encoding="utf-8")
    assert_told(desk.run("check"), 1, "These credentials are of account 123456789012", "210987654321")

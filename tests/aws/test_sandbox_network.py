"""The network of the sandbox: the VPC it starts with, EC2's rules about security groups, and their enforcement."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from ipaddress import ip_network
from types import SimpleNamespace

import psycopg
import pytest

from replica_access.sandbox.elsewhere import from_elsewhere
from replica_access.sandbox.firewall import allowed_networks
from tests.sandbox_fixtures import Sandbox, refusal, tcp

Lets = Callable[[str], bool]


@pytest.fixture
def empty(sandbox: Sandbox) -> Iterator[str]:
    """A security group without rules."""
    with sandbox.group() as group:
        yield group


@pytest.fixture(scope="module")
def closed(sandbox: Sandbox) -> Iterator[str]:
    """The security group of ``guarded``; without rules, unless a test is opening it."""
    with sandbox.group() as group:
        yield group


@pytest.fixture(scope="module")
def guarded(sandbox: Sandbox, replica: str, group: str, closed: str) -> Iterator[str]:
    """The replica, in a security group without rules."""
    sandbox.rds.modify_db_instance(DBInstanceIdentifier=replica, VpcSecurityGroupIds=[closed])
    sandbox.settle(replica)
    yield replica
    sandbox.settle(replica)
    sandbox.rds.modify_db_instance(DBInstanceIdentifier=replica, VpcSecurityGroupIds=[group])
    sandbox.settle(replica)


@pytest.fixture
def lets(sandbox: Sandbox, guarded: str) -> Lets:
    """Whether the instance lets in a connection from an address."""
    port = sandbox.instance(guarded)["Endpoint"]["Port"]
    password = sandbox.password

    def lets(address: str) -> bool:
        with from_elsewhere(port, source=address) as detour:
            try:
                sandbox.connect(guarded, port=detour, password=password).close()
            except psycopg.OperationalError as error:
                if f'no pg_hba.conf entry for host "{address}"' in str(error):
                    return False
                raise
            return True

    return lets


# --- the VPC


def test_the_vpc_has_dns_and_an_internet_gateway(sandbox: Sandbox) -> None:
    for attribute in ("enableDnsSupport", "enableDnsHostnames"):
        answer = sandbox.ec2.describe_vpc_attribute(VpcId=sandbox.vpc, Attribute=attribute)
        assert answer[attribute[0].upper() + attribute[1:]] == {"Value": True}
    gateways = sandbox.ec2.describe_internet_gateways(Filters=[{"Name": "attachment.vpc-id", "Values": [sandbox.vpc]}])
    assert [gateway["Attachments"][0]["State"] for gateway in gateways["InternetGateways"]] == ["available"]
    options = sandbox.ec2.describe_vpc_block_public_access_options()["VpcBlockPublicAccessOptions"]
    assert options["InternetGatewayBlockMode"] == "off"
    assert sandbox.ec2.describe_vpc_block_public_access_exclusions()["VpcBlockPublicAccessExclusions"] == []


@pytest.mark.parametrize(("group", "is_public"), [("sandbox-public", True), ("sandbox-private", False)])
def test_subnets_are_public_by_their_routes(sandbox: Sandbox, group: str, is_public: bool) -> None:
    subnets = sandbox.rds.describe_db_subnet_groups(DBSubnetGroupName=group)["DBSubnetGroups"][0]["Subnets"]
    assert {subnet["SubnetAvailabilityZone"]["Name"] for subnet in subnets} == {"ap-southeast-2a", "ap-southeast-2b"}
    for subnet in subnets:
        by_subnet = [{"Name": "association.subnet-id", "Values": [subnet["SubnetIdentifier"]]}]
        main = [
            {"Name": "vpc-id", "Values": [sandbox.vpc]},
            {"Name": "association.main", "Values": ["true"]},
        ]
        tables = sandbox.ec2.describe_route_tables(Filters=by_subnet)["RouteTables"]
        assert bool(tables) is is_public  # an association with the main route table is never returned
        tables = tables or sandbox.ec2.describe_route_tables(Filters=main)["RouteTables"]
        to_internet = [
            route
            for route in tables[0]["Routes"]
            if route["DestinationCidrBlock"] == "0.0.0.0/0" and route.get("GatewayId", "").startswith("igw-")
        ]
        assert [route["State"] for route in to_internet] == ["active"] * is_public


# --- what EC2 does and refuses


def test_a_cidr_is_stored_without_host_bits_and_known_again(sandbox: Sandbox, empty: str) -> None:
    authorize = partial(sandbox.ec2.authorize_security_group_ingress, GroupId=empty)
    [rule] = authorize(IpPermissions=[tcp(5432, "100.68.0.18/18", note="office")])["SecurityGroupRules"]
    assert rule["CidrIpv4"] == "100.68.0.0/18"
    assert rule["SecurityGroupRuleArn"].endswith(f"security-group-rule/{rule['SecurityGroupRuleId']}")
    assert refusal(lambda: authorize(IpPermissions=[tcp(5432, "100.68.63.1/18")]))[0] == "InvalidPermission.Duplicate"
    sandbox.ec2.revoke_security_group_ingress(GroupId=empty, IpPermissions=[tcp(5432, "100.68.9.9/18")])
    assert rules(sandbox, empty) == []


def rules(sandbox: Sandbox, group: str) -> list[str]:
    found = sandbox.ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])
    return sorted(rule["CidrIpv4"] for rule in found["SecurityGroupRules"] if not rule["IsEgress"])


def test_all_permissions_of_a_call_are_made_and_answered_or_none(sandbox: Sandbox, empty: str) -> None:
    authorize = partial(sandbox.ec2.authorize_security_group_ingress, GroupId=empty)
    made = authorize(
        IpPermissions=[tcp(5432, "203.0.113.7/32"), tcp(5433, "203.0.113.8/32")],
        TagSpecifications=[{"ResourceType": "security-group-rule", "Tags": [{"Key": "note", "Value": "a"}]}],
    )["SecurityGroupRules"]
    assert [rule["CidrIpv4"] for rule in made] == ["203.0.113.7/32", "203.0.113.8/32"]
    assert [rule["Tags"] for rule in made] == [[{"Key": "note", "Value": "a"}]] * 2

    partly_new = [tcp(5432, "203.0.113.9/32", "203.0.113.7/32"), tcp(5434, "203.0.113.1/32")]
    assert refusal(lambda: authorize(IpPermissions=partly_new))[0] == "InvalidPermission.Duplicate"
    assert rules(sandbox, empty) == ["203.0.113.7/32", "203.0.113.8/32"]
    unknown = partial(sandbox.ec2.revoke_security_group_ingress, GroupId=empty)
    assert refusal(lambda: unknown(IpPermissions=[tcp(1, "203.0.113.7/32")]))[0] == "InvalidPermission.NotFound"


@pytest.mark.parametrize("text", ["Zoë's office", "it's", "x" * 256, "a\nb"])
def test_a_description_has_an_alphabet(sandbox: Sandbox, empty: str, text: str) -> None:
    alphabet = "a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*"
    calls = {
        "security group": partial(sandbox.ec2.create_security_group, GroupName="never", VpcId=sandbox.vpc),
        "rule": partial(sandbox.ec2.authorize_security_group_ingress, GroupId=empty),
    }
    arguments: dict[str, dict[str, object]] = {
        "security group": {"Description": text},
        "rule": {"IpPermissions": [tcp(5432, "203.0.113.7/32", note=text)]},
    }
    for kind, call in calls.items():
        assert refusal(partial(call, **arguments[kind])) == (
            "InvalidParameterValue",
            (
                f"Invalid {kind} description. Valid descriptions are strings less than 256 characters from the "
                f"following set: {alphabet}"
            ),
        )


def test_a_name_is_taken_in_whatever_case_and_not_an_id(sandbox: Sandbox) -> None:
    create = partial(sandbox.ec2.create_security_group, Description="test", VpcId=sandbox.vpc)
    assert refusal(partial(create, GroupName="Sandbox-Database"))[0] == "InvalidGroup.Duplicate"
    assert refusal(partial(create, GroupName="sg-mine"))[0] == "InvalidParameterValue"


def test_a_group_in_use_stays(sandbox: Sandbox, empty: str) -> None:
    in_use = sandbox.instance()["VpcSecurityGroups"][0]["VpcSecurityGroupId"]
    assert refusal(partial(sandbox.ec2.delete_security_group, GroupId=in_use)) == (
        "DependencyViolation",
        f"resource {in_use} has a dependent object",
    )
    with sandbox.group() as other:
        permission = {
            "IpProtocol": "tcp",
            "FromPort": 1,
            "ToPort": 1,
            "UserIdGroupPairs": [{"GroupId": empty}],
        }
        sandbox.ec2.authorize_security_group_ingress(GroupId=other, IpPermissions=[permission])
        assert refusal(partial(sandbox.ec2.delete_security_group, GroupId=empty))[0] == "DependencyViolation"


# --- what the servers make of it


@pytest.fixture
def opened(sandbox: Sandbox, guarded: str, closed: str) -> Callable[[dict[str, object]], AbstractContextManager[None]]:
    """A permission in the security group of the instance, for the length of a block."""

    @contextmanager
    def opened(permission: dict[str, object]) -> Iterator[None]:
        sandbox.ec2.authorize_security_group_ingress(GroupId=closed, IpPermissions=[permission])
        yield
        sandbox.ec2.revoke_security_group_ingress(GroupId=closed, IpPermissions=[permission])

    return opened


def test_only_allowed_addresses_get_in_and_at_once(
    sandbox: Sandbox, guarded: str, lets: Lets, opened: Callable[[dict[str, object]], AbstractContextManager[None]]
) -> None:
    source, own = (sandbox.instance(name)["Endpoint"]["Port"] for name in ("prod-db", guarded))
    assert not lets("127.0.0.1")
    with opened(tcp(own, "127.0.0.1/32")):
        assert lets("127.0.0.1")
        assert not lets("127.0.0.2")
        with opened(tcp(source, "127.0.0.2/32")):  # on RDS the replica has its source's port
            assert lets("127.0.0.2")
    assert not lets("127.0.0.1")
    assert not lets("127.0.0.2")
    with opened(tcp(1, "127.0.0.0/8")):
        assert not lets("127.0.0.1")
    with opened({"IpProtocol": "-1", "IpRanges": [{"CidrIp": "127.0.0.0/30"}]}):
        assert lets("127.0.0.3")
        assert not lets("127.0.0.4")


def test_a_modified_rule_and_other_groups_count_at_once(
    sandbox: Sandbox, guarded: str, closed: str, lets: Lets
) -> None:
    port = sandbox.instance(guarded)["Endpoint"]["Port"]
    with sandbox.group("127.0.0.2/32", port=port) as other:
        answer = sandbox.rds.modify_db_instance(DBInstanceIdentifier=guarded, VpcSecurityGroupIds=[closed, other])
        assert lets("127.0.0.2")
        assert {
            group["VpcSecurityGroupId"]: group["Status"] for group in answer["DBInstance"]["VpcSecurityGroups"]
        } == {
            closed: "active",
            other: "adding",
        }
        [rule] = sandbox.ec2.describe_security_group_rules(
            Filters=[{"Name": "group-id", "Values": [other]}],
        )["SecurityGroupRules"][1:]
        change = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "CidrIpv4": "127.0.0.9/30"}
        sandbox.ec2.modify_security_group_rules(
            GroupId=other,
            SecurityGroupRules=[{"SecurityGroupRuleId": rule["SecurityGroupRuleId"], "SecurityGroupRule": change}],
        )
        assert rules(sandbox, other) == ["127.0.0.8/30"]
        assert lets("127.0.0.9")
        assert not lets("127.0.0.2")
        sandbox.settle(guarded)
        sandbox.rds.modify_db_instance(DBInstanceIdentifier=guarded, VpcSecurityGroupIds=[closed])
        assert not lets("127.0.0.9")
        sandbox.settle(guarded)


def test_a_prefix_list_counts(
    sandbox: Sandbox, lets: Lets, opened: Callable[[dict[str, object]], AbstractContextManager[None]]
) -> None:
    made = sandbox.ec2.create_managed_prefix_list(
        PrefixListName="offices", MaxEntries=2, AddressFamily="IPv4", Entries=[{"Cidr": "127.0.0.2/32"}]
    )["PrefixList"]["PrefixListId"]
    with opened({"IpProtocol": "-1", "PrefixListIds": [{"PrefixListId": made, "Description": "offices"}]}):
        assert lets("127.0.0.2")
        assert not lets("127.0.0.3")
    sandbox.ec2.delete_managed_prefix_list(PrefixListId=made)


def rule(protocol: str = "tcp", ports: tuple[int, int] = (0, 65535), **source: str) -> SimpleNamespace:
    known = {"cidr_ipv4": None, "cidr_ipv6": None, "prefix_list_id": None, **source}
    return SimpleNamespace(ip_protocol=protocol, from_port=ports[0], to_port=ports[1], **known)


@pytest.mark.parametrize(
    ("found", "networks"),
    [
        ([], []),
        ([rule(cidr_ipv4="10.0.0.0/8"), rule(cidr_ipv4="10.1.0.0/16")], ["10.0.0.0/8"]),
        ([rule(cidr_ipv4="10.0.0.0/8", ports=(5432, 5433))], ["10.0.0.0/8"]),
        ([rule(cidr_ipv4="10.0.0.0/8", ports=(5434, 9999))], []),
        ([rule("udp", cidr_ipv4="10.0.0.0/8")], []),
        ([rule("-1", cidr_ipv4="10.0.0.0/8", ports=(1, 1))], ["10.0.0.0/8"]),
        ([rule(cidr_ipv6="2001:db8::/32"), rule(cidr_ipv4="10.0.0.0/8")], ["10.0.0.0/8", "2001:db8::/32"]),
        ([rule()], []),
    ],
)
def test_networks_of_rules(found: list[SimpleNamespace], networks: list[str]) -> None:
    group = SimpleNamespace(ec2_backend=None, ingress_rules=found)
    assert allowed_networks([group], {5433}) == [ip_network(network) for network in networks]

"""Security group rules, prefix lists and network ACLs, by EC2's rules."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from tests.sandbox_fixtures import Sandbox, refusal, tcp

TOO_MANY = ("RulesPerSecurityGroupLimitExceeded", "The maximum number of rules per security group has been reached.")


@pytest.fixture
def empty(sandbox: Sandbox) -> Iterator[str]:
    """A security group without rules."""
    with sandbox.group() as group:
        yield group


@pytest.fixture
def offices(sandbox: Sandbox) -> Iterator[str]:
    """A prefix list for ten networks, with two in it."""
    made = sandbox.ec2.create_managed_prefix_list(
        PrefixListName="offices",
        MaxEntries=10,
        AddressFamily="IPv4",
        Entries=[{"Cidr": "198.51.100.0/25", "Description": "Brisbane"}, {"Cidr": "198.51.100.128/25"}],
    )["PrefixList"]["PrefixListId"]
    yield made
    sandbox.ec2.delete_managed_prefix_list(PrefixListId=made)


def ingress(sandbox: Sandbox, group: str, *more: dict[str, Any]) -> list[dict[str, Any]]:
    filters = [{"Name": "group-id", "Values": [group]}, *more]
    found = sandbox.ec2.describe_security_group_rules(Filters=filters)["SecurityGroupRules"]
    return [rule for rule in found if not rule["IsEgress"]]


def ipv6(*cidrs: str) -> dict[str, Any]:
    return {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "Ipv6Ranges": [{"CidrIpv6": one} for one in cidrs]}


def by_list(prefix_list: str, **more: str) -> dict[str, Any]:
    return {
        "IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432,
        "PrefixListIds": [{"PrefixListId": prefix_list, **more}],
    }  # fmt: skip


def by_group(group: str, **more: str) -> dict[str, Any]:
    return {
        "IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "UserIdGroupPairs": [{"GroupId": group, **more}]
    }  # fmt: skip


# --- the quota


def test_sixty_rules_of_each_family_fit_into_a_group(sandbox: Sandbox, empty: str) -> None:
    authorize = partial(sandbox.ec2.authorize_security_group_ingress, GroupId=empty)
    authorize(IpPermissions=[tcp(5432, *(f"203.0.113.{host}/32" for host in range(59)))])
    authorize(IpPermissions=[ipv6(*(f"2001:db8::{host:x}/128" for host in range(60)))])
    assert refusal(lambda: authorize(IpPermissions=[ipv6("2001:db8:1::/64")])) == TOO_MANY
    two = [tcp(5432, "203.0.113.100/32"), tcp(5433, "203.0.113.100/32")]
    assert refusal(lambda: authorize(IpPermissions=two)) == TOO_MANY
    assert len(ingress(sandbox, empty)) == 59 + 60
    authorize(IpPermissions=two[:1])
    assert len(ingress(sandbox, empty)) == 60 + 60


def test_a_prefix_list_costs_what_it_may_hold(sandbox: Sandbox, empty: str, offices: str) -> None:
    authorize = partial(sandbox.ec2.authorize_security_group_ingress, GroupId=empty)
    authorize(IpPermissions=[tcp(5432, *(f"203.0.113.{host}/32" for host in range(51)))])
    assert refusal(lambda: authorize(IpPermissions=[by_list(offices)])) == TOO_MANY
    sandbox.ec2.revoke_security_group_ingress(GroupId=empty, IpPermissions=[tcp(5432, "203.0.113.0/32")])
    authorize(IpPermissions=[by_list(offices)])
    assert refusal(lambda: authorize(IpPermissions=[tcp(5432, "203.0.113.0/32")])) == TOO_MANY
    authorize(IpPermissions=[ipv6("2001:db8::/64")])


def test_another_group_counts_in_both_families(sandbox: Sandbox, empty: str) -> None:
    authorize = partial(sandbox.ec2.authorize_security_group_ingress, GroupId=empty)
    authorize(IpPermissions=[ipv6(*(f"2001:db8::{host:x}/128" for host in range(60)))])
    with sandbox.group() as other:
        assert refusal(lambda: authorize(IpPermissions=[by_group(other)])) == TOO_MANY


# --- sources and their descriptions


def test_groups_and_prefix_lists_keep_their_descriptions(sandbox: Sandbox, empty: str, offices: str) -> None:
    authorize = partial(sandbox.ec2.authorize_security_group_ingress, GroupId=empty)
    with sandbox.group() as other:
        made = authorize(
            IpPermissions=[by_group(other, Description="the bastion"), by_list(offices, Description="our offices")],
            TagSpecifications=[{"ResourceType": "security-group-rule", "Tags": [{"Key": "note", "Value": "ours"}]}],
        )["SecurityGroupRules"]
        assert [rule["Description"] for rule in made] == ["the bastion", "our offices"]
        group_rule, list_rule = ingress(sandbox, empty, {"Name": "tag:note", "Values": ["ours"]})
        assert group_rule["ReferencedGroupInfo"] == {"GroupId": other, "UserId": "123456789012"}
        assert (group_rule["Description"], "CidrIpv4" in group_rule) == ("the bastion", False)
        assert (list_rule["PrefixListId"], list_rule["Description"]) == (offices, "our offices")
        assert ingress(sandbox, empty, {"Name": "tag:note", "Values": ["theirs"]}) == []

        # the description is no part of what a rule is
        for again in (by_group(other, Description="else"), by_list(offices)):
            code, message = refusal(partial(authorize, IpPermissions=[again]))
            assert (code, message) == ("InvalidPermission.Duplicate", "The specified rule already exists")
        sandbox.ec2.update_security_group_rule_descriptions_ingress(
            GroupId=empty,
            IpPermissions=[by_group(other, Description="another"), by_list(offices, Description="all offices")],
        )
        assert [rule["Description"] for rule in ingress(sandbox, empty)] == ["another", "all offices"]
        sandbox.ec2.revoke_security_group_ingress(
            GroupId=empty, SecurityGroupRuleIds=[group_rule["SecurityGroupRuleId"]]
        )
        sandbox.ec2.revoke_security_group_ingress(GroupId=empty, IpPermissions=[by_list(offices)])
        assert ingress(sandbox, empty) == []


def test_a_description_can_be_changed_and_taken_away(sandbox: Sandbox, empty: str) -> None:
    [rule] = sandbox.ec2.authorize_security_group_ingress(
        GroupId=empty, IpPermissions=[tcp(5432, "203.0.113.7/32", note="office")]
    )["SecurityGroupRules"]
    [bare] = sandbox.ec2.authorize_security_group_ingress(GroupId=empty, IpPermissions=[tcp(5432, "203.0.113.8/32")])[
        "SecurityGroupRules"
    ]
    assert "Description" not in bare
    change = {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "CidrIpv4": "203.0.113.7/32"}
    for text, shown in (("the new office", "the new office"), ("", None)):
        sandbox.ec2.modify_security_group_rules(
            GroupId=empty,
            SecurityGroupRules=[
                {
                    "SecurityGroupRuleId": rule["SecurityGroupRuleId"],
                    "SecurityGroupRule": change | {"Description": text},
                }
            ],
        )
        assert ingress(sandbox, empty)[0].get("Description") == shown


# --- prefix lists


def test_a_prefix_list_is_described_with_its_entries_and_versions(sandbox: Sandbox, offices: str) -> None:
    [found] = sandbox.ec2.describe_managed_prefix_lists(PrefixListIds=[offices])["PrefixLists"]
    assert (found["PrefixListName"], found["MaxEntries"], found["Version"]) == ("offices", 10, 1)
    assert found["AddressFamily"] == "IPv4"
    assert entries(sandbox, offices) == {"198.51.100.0/25": "Brisbane", "198.51.100.128/25": None}
    modify = partial(sandbox.ec2.modify_managed_prefix_list, PrefixListId=offices)
    modify(CurrentVersion=1, AddEntries=[{"Cidr": "192.0.2.0/24"}], RemoveEntries=[{"Cidr": "198.51.100.0/25"}])
    [found] = sandbox.ec2.describe_managed_prefix_lists(PrefixListIds=[offices])["PrefixLists"]
    assert (found["PrefixListName"], found["Version"]) == ("offices", 2)
    assert set(entries(sandbox, offices)) == {"198.51.100.128/25", "192.0.2.0/24"}

    many = [{"Cidr": f"192.0.2.{host}/32"} for host in range(9)]
    assert refusal(lambda: modify(CurrentVersion=2, AddEntries=many)) == (
        "PrefixListMaxEntriesExceeded",
        "You've reached the maximum number of entries for the prefix list.",
    )
    assert refusal(lambda: modify(CurrentVersion=1, AddEntries=many[:1]))[0] == "PrefixListVersionMismatch"
    nowhere = partial(sandbox.ec2.modify_managed_prefix_list, PrefixListId="pl-0", CurrentVersion=1)
    assert refusal(nowhere)[0] == "InvalidPrefixListID.NotFound"


def entries(sandbox: Sandbox, prefix_list: str) -> dict[str, str | None]:
    found = sandbox.ec2.get_managed_prefix_list_entries(PrefixListId=prefix_list)["Entries"]
    return {entry["Cidr"]: entry.get("Description") for entry in found}


# --- network ACLs


def test_subnets_have_the_default_network_acl_until_another_is_put_there(sandbox: Sandbox) -> None:
    subnet = sandbox.instance()["DBSubnetGroup"]["Subnets"][0]["SubnetIdentifier"]
    default = acl_of(sandbox, subnet)
    assert default["IsDefault"] is True
    assert rules(default) == [
        (100, "allow", False), (100, "allow", True), (32767, "deny", False), (32767, "deny", True)
    ]  # fmt: skip

    own = sandbox.ec2.create_network_acl(VpcId=sandbox.vpc)["NetworkAcl"]["NetworkAclId"]
    sandbox.ec2.create_network_acl_entry(
        NetworkAclId=own, RuleNumber=90, Protocol="6", RuleAction="allow", Egress=False,
        CidrBlock="203.0.113.0/24", PortRange={"From": 5432, "To": 5432},
    )  # fmt: skip
    [association] = [one for one in default["Associations"] if one["SubnetId"] == subnet]
    replaced = sandbox.ec2.replace_network_acl_association(
        AssociationId=association["NetworkAclAssociationId"], NetworkAclId=own
    )["NewAssociationId"]
    found = acl_of(sandbox, subnet)
    assert (found["NetworkAclId"], found["IsDefault"]) == (own, False)
    assert rules(found) == [(90, "allow", False), (32767, "deny", False), (32767, "deny", True)]
    [entry] = [entry for entry in found["Entries"] if entry["RuleNumber"] == 90]
    assert (entry["Protocol"], entry["PortRange"], entry["CidrBlock"]) == (
        "6", {"From": 5432, "To": 5432}, "203.0.113.0/24"
    )  # fmt: skip
    assert refusal(lambda: sandbox.ec2.delete_network_acl(NetworkAclId=own))[0] == "DependencyViolation"
    sandbox.ec2.replace_network_acl_association(AssociationId=replaced, NetworkAclId=default["NetworkAclId"])
    sandbox.ec2.delete_network_acl(NetworkAclId=own)


def acl_of(sandbox: Sandbox, subnet: str) -> dict[str, Any]:
    filters = [{"Name": "association.subnet-id", "Values": [subnet]}]
    [found] = sandbox.ec2.describe_network_acls(Filters=filters)["NetworkAcls"]
    return dict(found)


def rules(acl: dict[str, Any]) -> list[tuple[int, str, bool]]:
    return sorted((entry["RuleNumber"], entry["RuleAction"], entry["Egress"]) for entry in acl["Entries"])

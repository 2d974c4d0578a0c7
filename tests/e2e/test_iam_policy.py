"""The exported policies against the calls of whole runs: every call is allowed, and nothing that no call needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from replica_access.aws.ownership import MANAGED_TAG, MANAGED_VALUE, as_list, as_mapping, tags
from replica_access.aws.permissions import LOOKED_AT_BY_RDS
from tests.cli.program import Ran
from tests.e2e.conftest import PROVISION, REPLICA, SECRET, Account
from tests.e2e.iam import Asked, Tags, allowing, asked_by, refused
from tests.sandbox_fixtures import tcp

ADDRESSES = ("127.0.0.1/32", "203.0.113.7/32", "203.0.113.8/32")

NOT_PROVOKED = {
    # RDS looks at these itself, with the rights of whoever makes the replica; the sandbox's does not.
    *((action, "*") for action in LOOKED_AT_BY_RDS),
}
"""What is in the policy to provision though nothing here calls it: (action, resource), with the reason."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What was asked of IAM in all, and what of that by whoever only looks.

    Whether one might change something is tried with dry runs: who only looks is told no, and sees all the same.
    """

    changing: list[Asked] = field(default_factory=list)
    looking: list[Asked] = field(default_factory=list)


@pytest.fixture(scope="module")
def heard(account: Account) -> Iterator[Heard]:
    with half_private(account):
        yield whole_runs(account)
        account.forget()


def whole_runs(account: Account) -> Heard:
    """Whole runs: from nothing, drift and its repair, looking at it, and what fails on the way."""
    heard = Heard()
    run, secrets = account.run, account.sandbox.client("secretsmanager")
    more = (word for address in ADDRESSES[1:] for word in ("--allow", address))
    with listening(account, heard.changing, heard.looking):
        done(run("init", *PROVISION[1:], *more))
        done(run("check"))
    secrets.create_secret(
        Name=SECRET, Tags=[{"Key": MANAGED_TAG, "Value": MANAGED_VALUE}]
    )  # a stopped run left it empty
    with listening(account, heard.changing):
        done(run("provision", "--yes"))
    with crowded(account), listening(account, heard.changing, heard.looking):
        assert "rules" in str(run("check"))
    drift(account)
    with listening(account, heard.changing, heard.looking):
        assert run("plan", "--check").status == 3
    with listening(account, heard.changing):
        done(run("apply", "--yes", "--allow-revoke"))
        done(run("grant", "--yes"))
        done(run("user", "rotate", "bi", "--yes"))
        done(run("access", "allow", "203.0.113.9/32", "--yes"))
        done(run("access", "deny", "203.0.113.9/32", "--yes"))
    with listening(account, heard.changing, heard.looking):
        for command in (["check"], ["plan"], ["verify"], ["audit"], ["access", "list"], ["user", "list"]):
            done(run(*command))
        secrets.delete_secret(SecretId="prod-db/master", RecoveryWindowInDays=7)
        assert "scheduled for deletion" in str(run("check"))
        secrets.restore_secret(SecretId="prod-db/master")
    secrets.delete_secret(SecretId=SECRET, RecoveryWindowInDays=7)
    with listening(account, heard.changing, heard.looking):
        assert f"restore the secret {SECRET}" in run("plan").out
    with listening(account, heard.changing):
        done(run("apply", "--yes"))
    account.sandbox.remove(REPLICA)
    spoil_subnet_group(account)
    spec = account.run.spec.read_text(encoding="utf-8")
    account.run.spec.write_text(
        spec.replace("deletion_protection = true", "deletion_protection = false"), encoding="utf-8"
    )
    with account.sandbox.faults(fail={REPLICA: "incompatible-network"}), listening(account, heard.changing):
        assert "does not get ready by itself" in run("apply", "--yes").err
    whole = account.run.spec.read_bytes()
    with listening(account, heard.changing):
        done(run("user", "drop", "bi", "--yes"))
    assert "DeletedDate" in secrets.describe_secret(SecretId=SECRET)
    account.run.spec.write_bytes(whole)  # the policies are for this one
    with leftovers(account), listening(account, heard.changing):
        done(run("destroy", "--confirm", REPLICA))
    return heard


@contextmanager
def leftovers(account: Account) -> Iterator[None]:
    """There are groups whose names go on from those of ours, and the secret of a user who has left the spec."""
    secrets = account.sandbox.client("secretsmanager")
    secrets.create_secret(Name="replica-access/gone", SecretString="{}", Tags=as_list(tags(REPLICA)))
    rds, name = account.sandbox.rds, f"replica-access-{REPLICA}-2"
    subnets = [subnet["SubnetIdentifier"] for subnet in public_subnets(account)]
    rds.create_db_subnet_group(DBSubnetGroupName=name, DBSubnetGroupDescription="another's", SubnetIds=subnets)
    rds.create_db_parameter_group(
        DBParameterGroupName=name, DBParameterGroupFamily="postgres17", Description="another's"
    )
    try:
        yield
    finally:
        rds.delete_db_subnet_group(DBSubnetGroupName=name)
        rds.delete_db_parameter_group(DBParameterGroupName=name)
        secrets.delete_secret(SecretId="replica-access/gone", ForceDeleteWithoutRecovery=True)


@contextmanager
def half_private(account: Account) -> Iterator[None]:
    """The primary's subnets are no longer all public, and there is another one that is."""
    ec2 = account.sandbox.ec2
    closed = public_subnets(account)[0]
    filters = [{"Name": "association.subnet-id", "Values": [closed["SubnetIdentifier"]]}]
    (table,) = ec2.describe_route_tables(Filters=filters)["RouteTables"]
    (association,) = [each for each in table["Associations"] if each.get("SubnetId") == closed["SubnetIdentifier"]]
    zone = closed["SubnetAvailabilityZone"]["Name"]
    made = ec2.create_subnet(VpcId=account.sandbox.vpc, CidrBlock="10.20.200.0/24", AvailabilityZone=zone)
    subnet = made["Subnet"]["SubnetId"]
    another = ec2.associate_route_table(RouteTableId=table["RouteTableId"], SubnetId=subnet)["AssociationId"]
    ec2.disassociate_route_table(AssociationId=association["RouteTableAssociationId"])
    try:
        yield
    finally:
        ec2.associate_route_table(RouteTableId=table["RouteTableId"], SubnetId=closed["SubnetIdentifier"])
        ec2.disassociate_route_table(AssociationId=another)
        ec2.delete_subnet(SubnetId=subnet)


def public_subnets(account: Account) -> list[dict[str, Any]]:
    found = account.sandbox.rds.describe_db_subnet_groups(DBSubnetGroupName="sandbox-public")["DBSubnetGroups"]
    return list(found[0]["Subnets"])


def spoil_subnet_group(account: Account) -> None:
    """Let somebody put the subnets of the primary into the group that was made for the replica."""
    subnets = [subnet["SubnetIdentifier"] for subnet in public_subnets(account)]
    account.sandbox.rds.modify_db_subnet_group(DBSubnetGroupName=f"replica-access-{REPLICA}", SubnetIds=subnets)


def done(ran: Ran) -> None:
    assert ran.status == 0, ran


def group_of(account: Account) -> str:
    (group,) = [each["VpcSecurityGroupId"] for each in account.sandbox.instance(REPLICA)["VpcSecurityGroups"]]
    return str(group)


def port(account: Account) -> int:
    return int(account.sandbox.instance()["Endpoint"]["Port"])


@contextmanager
def crowded(account: Account) -> Iterator[None]:
    """As many rules and groups as there may be, and no way in from the internet for any VPC."""
    sandbox, ec2, group = account.sandbox, account.sandbox.ec2, group_of(account)
    entries = [{"Cidr": "198.51.100.0/24"}]
    made = ec2.create_managed_prefix_list(PrefixListName="staff", MaxEntries=1, AddressFamily="IPv4", Entries=entries)
    permission = tcp(port(account), *(f"192.0.2.{number}/32" for number in range(56)))
    permission["PrefixListIds"] = [{"PrefixListId": made["PrefixList"]["PrefixListId"]}]
    others = [sandbox.make_group() for _ in range(4)]
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])
    sandbox.settle(REPLICA)
    sandbox.rds.modify_db_instance(DBInstanceIdentifier=REPLICA, VpcSecurityGroupIds=[group, *others])
    sandbox.settle(REPLICA)
    ec2.modify_vpc_block_public_access_options(InternetGatewayBlockMode="block-bidirectional")
    try:
        yield
    finally:
        ec2.modify_vpc_block_public_access_options(InternetGatewayBlockMode="off")
        ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[permission])
        sandbox.rds.modify_db_instance(DBInstanceIdentifier=REPLICA, VpcSecurityGroupIds=[group])
        sandbox.settle(REPLICA)
        for other in others:
            ec2.delete_security_group(GroupId=other)


def drift(account: Account) -> None:
    """Let somebody take one rule away, make one by hand, change what one says, add one, unprotect it, and tune it."""
    ec2, group = account.sandbox.ec2, group_of(account)
    found = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])["SecurityGroupRules"]
    taken, by_hand, described = (
        {rule.get("CidrIpv4"): rule for rule in found if not rule["IsEgress"]}[a] for a in ADDRESSES
    )
    gone = [rule["SecurityGroupRuleId"] for rule in (taken, by_hand)]
    ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=gone)
    added = tcp(port(account), by_hand["CidrIpv4"], "198.51.100.7/32")
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[added])
    named = described["SecurityGroupRuleId"]
    descriptions = [{"SecurityGroupRuleId": named, "Description": "nobody knows"}]
    ec2.update_security_group_rule_descriptions_ingress(GroupId=group, SecurityGroupRuleDescriptions=descriptions)
    ec2.create_tags(Resources=[named], Tags=[{"Key": "note", "Value": "stale"}])
    ec2.delete_tags(Resources=[named], Tags=[{"Key": MANAGED_TAG}])
    account.sandbox.settle(REPLICA)
    account.sandbox.rds.modify_db_instance(DBInstanceIdentifier=REPLICA, DeletionProtection=False)
    account.sandbox.settle(REPLICA)
    tuned = {"ParameterName": "work_mem", "ParameterValue": "65536", "ApplyMethod": "immediate"}
    parameters = f"replica-access-{REPLICA}"
    account.sandbox.rds.modify_db_parameter_group(DBParameterGroupName=parameters, Parameters=[tuned])


@contextmanager
def listening(account: Account, asked: list[Asked], looking: list[Asked] | None = None) -> Iterator[None]:
    """Add to `asked` what the program asks of IAM in the block, and to `looking` all of that but for dry runs."""
    known = tags_now(account)
    with account.sandbox.recording(by="replica-access/") as calls:
        yield
        known |= tags_now(account)
    assert calls
    asked += [each for call in calls for each in asked_by(call, known)]
    if looking is not None:
        looking += [each for call in calls if not call.dry_run for each in asked_by(call, known)]


def tags_now(account: Account) -> dict[str, Tags]:
    """Of every security group and rule that there is, by its id, and of every secret, by its ARN."""
    ec2 = account.sandbox.ec2
    groups = ec2.describe_security_groups()["SecurityGroups"]
    rules = ec2.describe_security_group_rules()["SecurityGroupRules"]
    secrets = account.sandbox.client("secretsmanager").list_secrets(IncludePlannedDeletion=True)["SecretList"]
    return {
        **{secret["ARN"]: as_mapping(secret.get("Tags", ())) for secret in secrets},
        **{group["GroupId"]: as_mapping(group.get("Tags", ())) for group in groups},
        **{rule["SecurityGroupRuleId"]: as_mapping(rule.get("Tags", ())) for rule in rules},
    }


def policy(account: Account, purpose: str) -> dict[str, Any]:
    ran = account.run("export", "iam-policy", "--for", purpose)
    done(ran)
    assert ran.err == ""
    return ran.document


def unneeded(policy: dict[str, Any], asked: Iterable[Asked]) -> set[tuple[str, str]]:
    """What the policy has, and nothing has asked for, as (action, the end of the resource)."""
    everything = {
        (action, resource)
        for statement in policy["Statement"]
        for action in statement["Action"]
        for resource in statement["Resource"]
    }
    needed = {allowed for each in asked for allowed in allowing(policy, each)}
    return {(action, resource.split(":", 5)[-1]) for action, resource in everything - needed}


def test_whoever_provisions_may_do_what_that_takes_and_no_more(account: Account, heard: Heard) -> None:
    exported = policy(account, "provision")
    assert refused(exported, heard.changing) == [], "allow it in replica_access/aws/permissions.py"
    assert unneeded(exported, heard.changing) == NOT_PROVOKED


def test_whoever_audits_may_look_and_do_nothing_else(account: Account, heard: Heard) -> None:
    exported = policy(account, "audit")
    assert refused(exported, heard.looking) == [], "allow it in replica_access/aws/permissions.py"
    assert unneeded(exported, heard.looking) == set()
    assert refused(exported, heard.changing) != []


def test_a_policy_for_another_replica_allows_none_of_it(account: Account, heard: Heard) -> None:
    ours = account.run.spec.read_text(encoding="utf-8")
    account.run.spec.write_text(ours.replace(REPLICA, "another"), encoding="utf-8")
    try:
        exported = policy(account, "provision")
    finally:
        account.run.spec.write_text(ours, encoding="utf-8")
    changing = {each for each in refused(exported, heard.changing) if "Describe" not in each}
    for action in (
        "rds:ModifyDBInstance",
        "ec2:AuthorizeSecurityGroupIngress",
        "ec2:CreateSecurityGroup",
        "ec2:CreateTags",
    ):
        assert any(action in each for each in changing), action

"""Every check: ok where nothing is wrong, a problem with its command where something is, not checked when denied."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replica_access.aws.landscape import Landscape, PublicAccess
from replica_access.aws.preflight import checks
from replica_access.aws.rules import SecurityGroup
from replica_access.model import Check

from .aws_landscapes import (
    COMPLETE,
    DENIED,
    EMPTY,
    OUR_GROUP,
    PRIVATE,
    VPC,
    primary,
    problems,
    replica,
    spec_of,
)

REGION = " --region ap-southeast-2"


def not_checked(landscape: Landscape) -> set[str]:
    return {check.name for check in checks(landscape, spec_of()) if check.outcome == "not checked"}


@pytest.mark.parametrize("landscape", [EMPTY, COMPLETE], ids=["nothing made yet", "all made"])
def test_nothing_wrong_is_all_ok(landscape: Landscape) -> None:
    found = checks(landscape, spec_of())
    assert {check.name for check in found if check.outcome != "ok"} == {"IPv6"}
    assert {check.outcome for check in found} == {"ok", "note"}
    expected = "123456789012 in ap-southeast-2, as arn:aws:iam::123456789012:user/admin"
    assert found[0] == Check("account", "ok", expected)
    assert len({check.name for check in found}) == len(found) >= 13
    assert not [check for check in found if check.fix]


def test_everything_that_is_wrong_is_told_at_once() -> None:
    landscape = replace(
        primary(engine="mysql", backup_days=0, managed_password=True, replicas=tuple(f"r{n}" for n in range(15))),
        dns_support=False,
        dns_hostnames=False,
        gateways=(),
    )
    assert set(problems(landscape)) == {
        "engine",
        "backups",
        "master password",
        "replica count",
        "VPC DNS support",
        "VPC DNS hostnames",
        "internet gateway",
    }


def test_a_private_replica_needs_nothing_public() -> None:
    landscape = replace(
        primary(subnet_group="private", subnets=PRIVATE.subnets), dns_support=False, dns_hostnames=False, gateways=()
    )
    names = {check.name for check in checks(landscape, spec_of(replica={"publicly_accessible": False}))}
    assert not problems(landscape, spec_of(replica={"publicly_accessible": False}))
    assert not names & {"VPC DNS support", "internet gateway", "routes", "network ACL", "block public access"}


def test_without_a_replica_in_the_spec_only_the_primary_is_looked_at() -> None:
    found = checks(replace(EMPTY, gateways=()), spec_of(replica=None))
    assert [check.name for check in found] == ["account", "engine", "status"]


# --- the primary -----------------------------------------------------------------------------------------------------


def test_backups_off_names_the_command_and_its_cost() -> None:
    check = problems(primary(backup_days=0))["backups"]
    assert check.fix.startswith(
        "aws rds modify-db-instance --db-instance-identifier prod --backup-retention-period 7 --apply-immediately"
        + REGION
    )
    assert "quiet moment" in check.fix


def test_commands_carry_the_profile_of_the_spec() -> None:
    check = problems(primary(backup_days=0), spec_of(aws={"profile": "prod"}))["backups"]
    assert f"{REGION} --profile prod" in check.fix


@pytest.mark.parametrize(
    ("engine", "kind", "differs"),
    [
        ("aurora-postgresql", "an Aurora cluster", "a failover can make it the writer"),
        ("postgres", "a Multi-AZ DB cluster", "replicas are made of the cluster"),
    ],
)
def test_a_member_of_a_cluster_is_recognised(engine: str, kind: str, differs: str) -> None:
    found = problems(primary(engine=engine, cluster="prod-cluster"))
    assert set(found) == {"cluster"}
    assert kind in found["cluster"].detail
    assert differs in found["cluster"].detail
    assert "not supported yet" in found["cluster"].fix


def test_a_replica_is_no_primary() -> None:
    fix = problems(primary(source="origin"))["primary"].fix
    assert "set primary.instance to origin" in fix
    assert "set replica.source to prod" in fix


@pytest.mark.parametrize("status", ["available", "backing-up", "modifying", "storage-optimization"])
def test_a_primary_that_is_busy_is_waited_for(status: str) -> None:
    assert not problems(primary(status=status))


def test_a_stopped_primary_is_started_by_the_command_shown() -> None:
    check = problems(primary(status="stopped"))["status"]
    assert check.fix == f"aws rds start-db-instance --db-instance-identifier prod{REGION}"


def test_a_primary_with_fourteen_replicas_takes_one_more() -> None:
    assert not problems(primary(replicas=tuple(f"r{n}" for n in range(14))))
    assert "r14" in problems(primary(replicas=tuple(f"r{n}" for n in range(15))))["replica count"].fix


def test_what_only_matters_for_the_creation_is_not_held_against_a_replica_that_exists() -> None:
    landscape = replace(replica(), primary=replace(COMPLETE.primary, replicas=tuple(f"r{n}" for n in range(15))))
    assert not problems(landscape)


# --- the replica, where there is one ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("landscape", "words"),
    [
        (replica(tags={}), "does not carry our tag"),
        (replica(tags={"replica-access": "another"}), "does not carry our tag"),
        (replica(source="elsewhere"), "a replica of elsewhere"),
        (replica(source=None, tags={}), "is no replica"),
        (replica(source=None), "was promoted"),
    ],
)
def test_an_instance_that_is_not_ours_is_refused(landscape: Landscape, words: str) -> None:
    assert words in problems(landscape)["replica name"].detail


def test_a_name_that_is_taken_does_not_hide_what_else_is_wrong() -> None:
    landscape = replace(replica(tags={}), gateways=(), primary=replace(COMPLETE.primary, backup_days=0))
    assert set(problems(landscape)) == {"replica name", "internet gateway", "backups"}


def test_a_replica_of_the_right_primary_can_be_handed_over() -> None:
    fix = problems(replica(tags={}))["replica name"].fix
    assert "aws rds add-tags-to-resource --resource-name arn:aws:rds:ap-southeast-2:123456789012:db:analytics" in fix
    assert "Key=replica-access,Value=analytics" in fix


@pytest.mark.parametrize("status", ["incompatible-network", "failed", "deleting", "stopped"])
def test_a_replica_in_a_state_that_it_does_not_leave_is_a_problem(status: str) -> None:
    assert set(problems(replica(status=status))) == {"replica status"}


def test_a_replica_that_is_being_made_is_none() -> None:
    assert not problems(replica(status="creating", host=None, port=None, replication=()))


def test_broken_replication_is_a_problem() -> None:
    check = problems(replica(replication=("terminated",)))["replication"]
    assert "aws rds reboot-db-instance --db-instance-identifier analytics" in check.fix


# --- security groups -------------------------------------------------------------------------------------------------


def test_a_group_with_our_name_and_without_our_tag_is_refused() -> None:
    check = problems(replace(EMPTY, security_groups=(replace(OUR_GROUP, tags={}),)))["security group"]
    assert "sg-ours" in check.detail
    assert "aws ec2 create-tags --resources sg-ours --tags Key=replica-access,Value=analytics" in check.fix


def test_named_groups_must_be_in_the_vpc_of_the_primary() -> None:
    here, there = SecurityGroup("sg-a", "office", VPC, {}, ()), SecurityGroup("sg-b", "other", "vpc-2", {}, ())
    landscape = replace(EMPTY, security_groups=(here, there))
    assert not problems(landscape, spec_of(network={"security_groups": ["sg-a", "office"]}))
    assert (
        "sg-b is in vpc-2"
        in problems(landscape, spec_of(network={"security_groups": ["sg-b"]}))["security group"].detail
    )
    assert "no security group sg-c" in (
        problems(landscape, spec_of(network={"security_groups": ["sg-c"]}))["security group"].detail
    )


# --- what we may not look at -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("landscape", "names"),
    [
        (replace(EMPTY, dns_support=DENIED), {"VPC DNS support"}),
        (replace(EMPTY, dns_hostnames=DENIED), {"VPC DNS hostnames"}),
        (replace(EMPTY, gateways=DENIED), {"internet gateway"}),
        (replace(EMPTY, public_access=DENIED), {"block public access"}),
        (replace(EMPTY, subnets=DENIED), {"zones", "free addresses"}),
        (
            replace(EMPTY, subnets=DENIED, public_access=PublicAccess("block-ingress")),
            {"zones", "free addresses", "block public access"},
        ),
        (replace(EMPTY, route_tables=DENIED), {"routes"}),
        (replace(EMPTY, acls=DENIED), {"network ACL"}),
        (replace(EMPTY, caller=DENIED), {"caller"}),
        (replace(EMPTY, quotas=DENIED), {"quotas"}),
        (replace(EMPTY, offers=DENIED), {"instance class"}),
        (replace(EMPTY, security_groups=DENIED), {"security group"}),
        (replace(EMPTY, subnet_groups=DENIED), set()),
    ],
)
def test_what_is_denied_is_not_checked_and_never_ok(landscape: Landscape, names: set[str]) -> None:
    assert not_checked(landscape) == names
    assert not problems(landscape)
    reasons = {check.fix for check in checks(landscape, spec_of()) if check.outcome == "not checked"}
    assert reasons == ({DENIED.fix} if names else set())


def test_a_named_group_that_we_may_not_look_at_has_routes_that_are_not_checked() -> None:
    landscape = replace(EMPTY, subnet_groups=DENIED)
    found = {check.name: check.outcome for check in checks(landscape, spec_of(replica={"subnet_group": "elsewhere"}))}
    assert found["routes"] == "not checked"


@pytest.mark.parametrize(
    ("status", "fix"),
    [
        (
            "storage-full",
            "Give it more: aws rds modify-db-instance --db-instance-identifier analytics --allocated",
        ),
        ("stopping", "Once it is stopped, start it: aws rds start-db-instance --db-instance-identifier analytics"),
        ("stopped", "aws rds start-db-instance --db-instance-identifier analytics"),
    ],
)
def test_a_replica_that_waits_for_somebody_is_a_problem(status: str, fix: str) -> None:
    found = problems(replica(status=status))["replica status"]
    assert found.detail == f"analytics is {status}"
    assert found.fix.startswith(fix)

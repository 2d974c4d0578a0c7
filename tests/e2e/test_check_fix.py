"""`check --fix`: the little that is safe is put right after a question, and the rest is left with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from replica_access.sandbox import control
from replica_access.sandbox.faults import Faults, NextError
from tests.e2e.conftest import Account
from tests.e2e.test_refused import declare


@pytest.fixture
def broken(account: Account) -> Iterator[Account]:
    """The account without DNS in the VPC and without backups of the primary; as it was afterwards."""
    declare(account)
    sandbox = account.sandbox
    set_dns(account, on=False)
    set_backups(account, 0)
    yield account
    set_dns(account, on=True)
    set_backups(account, 7)
    assert sandbox.settle("prod-db")["BackupRetentionPeriod"] == 7


def set_dns(account: Account, *, on: bool) -> None:
    names = ("EnableDnsSupport", "EnableDnsHostnames")
    for name in names if on else reversed(names):
        account.sandbox.ec2.modify_vpc_attribute(VpcId=account.sandbox.vpc, **{name: {"Value": on}})


def set_backups(account: Account, days: int) -> None:
    account.sandbox.settle("prod-db")
    account.sandbox.rds.modify_db_instance(
        DBInstanceIdentifier="prod-db", BackupRetentionPeriod=days, ApplyImmediately=True
    )
    account.sandbox.settle("prod-db")


def outcomes(document: dict[str, object]) -> dict[str, str]:
    checks = document["checks"]
    assert isinstance(checks, list)
    return {check["name"]: check["outcome"] for check in checks}


def test_what_is_safe_is_put_right_and_checked_again(broken: Account) -> None:
    before = broken.run("--format", "json", "check")
    assert before.status == 1
    assert {name for name, outcome in outcomes(before.document).items() if outcome == "problem"} == {
        "VPC DNS support", "VPC DNS hostnames", "backups",
    }  # fmt: skip
    broken.wire.calls.clear()
    ran = broken.run("check", "--fix", "--yes")
    assert ran.status == 0, ran
    assert broken.wire.writes == ["ModifyDBInstance", "ModifyVpcAttribute", "ModifyVpcAttribute"]
    assert "I/O of a Single-AZ instance stops" in ran.out
    assert "✓ backups: prod-db keeps backups for 7 days" in ran.out
    assert "Nothing stands in the way" in ran.out
    assert broken.sandbox.instance()["BackupRetentionPeriod"] == 7


def test_nothing_is_done_without_a_yes(broken: Account) -> None:
    broken.wire.calls.clear()
    refused = broken.run("check", "--fix")
    assert (refused.status, refused.has_traceback) == (2, False)
    assert "There is no terminal to ask on.\nSay --yes" in refused.err
    assert broken.wire.writes == []
    declined = broken.run.on_terminal("check", "--fix", answer=lambda: "n")
    assert declined.status == 1
    assert "Do these 3?" in declined.out
    assert broken.wire.writes == []


def test_what_was_fixed_is_in_the_document(broken: Account) -> None:
    document = broken.run("--format", "json", "check", "--fix", "--yes").document
    assert document["ok"]
    assert [change["call"]["operation"] for change in document["fixed"]] == [
        "ModifyDBInstance", "ModifyVpcAttribute", "ModifyVpcAttribute",
    ]  # fmt: skip
    assert document["failed"] == []


@contextmanager
def without_gateway(account: Account) -> Iterator[None]:
    ec2, vpc = account.sandbox.ec2, account.sandbox.vpc
    found = ec2.describe_internet_gateways(Filters=[{"Name": "attachment.vpc-id", "Values": [vpc]}])
    gateway = found["InternetGateways"][0]["InternetGatewayId"]
    ec2.detach_internet_gateway(VpcId=vpc, InternetGatewayId=gateway)
    try:
        yield
    finally:
        ec2.attach_internet_gateway(VpcId=vpc, InternetGatewayId=gateway)


def test_what_is_not_safe_is_left_with_the_reason(account: Account) -> None:
    declare(account)
    with without_gateway(account):
        account.wire.calls.clear()
        ran = account.run("check", "--fix", "--yes")
    assert ran.status == 1
    assert account.wire.writes == []
    assert "internet gateway is left to you: it connects everything in the VPC with the internet" in ran.out


def test_a_fix_that_aws_refuses_says_what_was_done(broken: Account) -> None:
    faults = Faults(next=(NextError("ec2:ModifyVpcAttribute", "UnauthorizedOperation", "You may not.", 403),))
    with control.faults(broken.sandbox.status.directory, faults):
        ran = broken.run("--format", "json", "check", "--fix", "--yes")
    assert ran.status == 1
    assert [change["action"] for change in ran.document["fixed"]] == ["keep backups"]
    assert "AWS denied ec2:ModifyVpcAttribute" in ran.document["failed"][0]["error"]
    assert "Ask for the permission ec2:ModifyVpcAttribute" in ran.err
    assert broken.run("check", "--fix", "--yes").status == 0

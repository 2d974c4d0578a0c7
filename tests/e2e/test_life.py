"""The life of a replica: of a private primary, checked, mended, made, drifted from, changed, and gone again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any

import psycopg
import pytest
from psycopg import conninfo

from tests.aws.stage import account as everything
from tests.e2e.conftest import Account
from tests.sandbox_fixtures import tcp

PRIMARY, REPLICA, GROUP = "ledger", "ledger-analytics", "replica-access-ledger-analytics"
SECRET = "ledger/master"
OFFICE = "127.0.0.1/32"

SPEC = f"""version = 1

[primary]
instance     = "{PRIMARY}"
admin_secret = "{SECRET}"

[replica]
instance   = "{REPLICA}"
class      = "db.t4g.medium"
parameters = {{ hot_standby_feedback = "1", max_standby_streaming_delay = "900000", max_connections = "150" }}
tags       = {{ team = "data" }}

[[network.allow]]
cidr = "{OFFICE}"
note = "office"

[[network.allow]]
cidr    = "2001:db8::/48"
expires = 2099-12-31

[roles.books]
[users.bookkeeper]
member_of = ["books"]

[[grants]]
to        = "books"
databases = ["books"]
"""


@pytest.fixture(scope="module")
def company(account: Account) -> Iterator[Account]:
    """An account with a private primary without backups, in a VPC without DNS hostnames."""
    sandbox = account.sandbox
    group = sandbox.make_group()
    sandbox.rds.create_db_instance(
        DBInstanceIdentifier=PRIMARY, DBInstanceClass="db.t4g.medium", Engine="postgres",
        AllocatedStorage=20, StorageType="gp3", DBName="books",
        MasterUsername="master", MasterUserPassword="correct-horse-battery",
        DBSubnetGroupName="sandbox-private", VpcSecurityGroupIds=[group], BackupRetentionPeriod=0,
    )  # fmt: skip
    sandbox.follow(PRIMARY)
    port = sandbox.instance(PRIMARY)["Endpoint"]["Port"]
    sandbox.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[tcp(port, OFFICE)])
    sandbox.client("secretsmanager").create_secret(
        Name=SECRET, SecretString='{"username": "master", "password": "correct-horse-battery"}'
    )
    sandbox.ec2.modify_vpc_attribute(VpcId=sandbox.vpc, EnableDnsHostnames={"Value": False})
    account.run.spec.write_text(SPEC, encoding="utf-8")
    yield account
    sandbox.ec2.modify_vpc_attribute(VpcId=sandbox.vpc, EnableDnsHostnames={"Value": True})
    sandbox.remove(REPLICA)
    sandbox.remove(PRIMARY)
    sandbox.client("secretsmanager").delete_secret(SecretId=SECRET, ForceDeleteWithoutRecovery=True)
    with suppress(sandbox.ec2.exceptions.ClientError):
        sandbox.ec2.delete_security_group(GroupId=group)


def planned(company: Account) -> list[dict[str, Any]]:
    ran = company.run("--format", "json", "plan")
    assert ran.status == 0, ran
    found: list[dict[str, Any]] = ran.document["changes"]
    return found


def group(company: Account) -> str:
    found = company.sandbox.ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": [GROUP]}])
    return str(found["SecurityGroups"][0]["GroupId"])


def rule_for(company: Account, cidr: str) -> str:
    filters = [{"Name": "group-id", "Values": [group(company)]}]
    rules = company.sandbox.ec2.describe_security_group_rules(Filters=filters)["SecurityGroupRules"]
    return next(str(rule["SecurityGroupRuleId"]) for rule in rules if rule.get("CidrIpv4") == cidr)


# --- what somebody does by hand, and what the next plan has for it ---------------------------------------------------


def open_to_a_neighbour(company: Account) -> None:
    port = company.sandbox.instance(PRIMARY)["Endpoint"]["Port"]
    company.sandbox.ec2.authorize_security_group_ingress(
        GroupId=group(company), IpPermissions=[tcp(port, "198.51.100.0/24")]
    )


def shut_the_office_out(company: Account) -> None:
    company.sandbox.ec2.revoke_security_group_ingress(
        GroupId=group(company), SecurityGroupRuleIds=[rule_for(company, OFFICE)]
    )


def unprotect(company: Account) -> None:
    company.sandbox.rds.modify_db_instance(
        DBInstanceIdentifier=REPLICA, DeletionProtection=False, ApplyImmediately=True
    )


def change_a_parameter(company: Account) -> None:
    company.sandbox.rds.modify_db_parameter_group(
        DBParameterGroupName=GROUP,
        Parameters=[
            {"ParameterName": "hot_standby_feedback", "ParameterValue": "0", "ApplyMethod": "immediate"},
        ],
    )


def export_no_logs(company: Account) -> None:
    company.sandbox.rds.modify_db_instance(
        DBInstanceIdentifier=REPLICA,
        CloudwatchLogsExportConfiguration={"DisableLogTypes": ["upgrade"]},
        ApplyImmediately=True,
    )


def attach_a_group(company: Account) -> None:
    attached = company.sandbox.instance(REPLICA)["VpcSecurityGroups"]
    others = company.sandbox.instance(PRIMARY)["VpcSecurityGroups"]
    company.sandbox.rds.modify_db_instance(
        DBInstanceIdentifier=REPLICA,
        VpcSecurityGroupIds=[each["VpcSecurityGroupId"] for each in (*attached, *others)],
        ApplyImmediately=True,
    )


DRIFT: list[tuple[Callable[[Account], None], list[tuple[str, str]]]] = [
    (open_to_a_neighbour, [("revoke address", "198.51.100.0/24")]),
    (shut_the_office_out, [("allow address", OFFICE)]),
    (unprotect, [("change replica", REPLICA)]),
    (change_a_parameter, [("set parameters", GROUP)]),
    (export_no_logs, [("change replica", REPLICA)]),
    (attach_a_group, [("detach security group", REPLICA)]),
]


def test_from_the_first_check_to_the_last_trace(company: Account) -> None:
    sandbox, run = company.sandbox, company.run
    sandbox.rds.describe_db_parameter_groups()  # makes the default group, as the first use does

    # what stands in the way is said, all of it, and mended where that is safe
    checked = run("--format", "json", "check")
    assert checked.status == 1, checked
    problems = {check["name"]: check["detail"] for check in checked.document["checks"] if check["outcome"] == "problem"}
    assert set(problems) == {"backups", "VPC DNS hostnames"}, problems
    assert run("check", "--fix", "--yes").status == 0
    sandbox.settle(PRIMARY)
    before, roles = everything(sandbox), company.facts_of(PRIMARY)

    # made as declared: public, though the primary is private
    first = planned(company)
    assert [change["action"] for change in first if change["scope"] == "aws"] == [
        "create security group", "allow address", "allow address", "create subnet group", "create parameter group",
        "set parameters", "create replica", "attach parameter group", "reboot replica",
    ]  # fmt: skip
    made = run("apply", "--yes")
    assert made.status == 0, made
    assert planned(company) == []
    replica = sandbox.instance(REPLICA)
    assert replica["DBSubnetGroup"]["DBSubnetGroupName"] == GROUP
    assert sandbox.instance(PRIMARY)["DBSubnetGroup"]["DBSubnetGroupName"] == "sandbox-private"
    assert show(company, "max_standby_streaming_delay", "max_connections") == ["15min", "150"]

    # changed by hand: each drift is shown as what it is, and mended
    for drift, expected in DRIFT:
        drift(company)
        sandbox.settle(REPLICA)
        assert [(change["action"], change["object"]) for change in planned(company)] == expected, drift.__name__
        mended = run("apply", "--yes", "--allow-revoke")
        assert mended.status == 0, mended
        assert planned(company) == [], drift.__name__
    assert show(company, "hot_standby_feedback") == ["on"]

    # another class, which interrupts and says so
    run.spec.write_text(SPEC.replace("db.t4g.medium", "db.t4g.large"), encoding="utf-8")
    (grown,) = planned(company)
    assert grown["interrupts"]
    assert "db.t4g.medium -> db.t4g.large" in grown["summary"]
    assert run("apply", "--yes").status == 0
    assert sandbox.instance(REPLICA)["DBInstanceClass"] == "db.t4g.large"
    assert planned(company) == []

    # and gone: the account is as it was, and with --with-users the primary is, too
    gone = run("destroy", "--with-users", "--confirm", REPLICA)
    assert gone.status == 0, gone
    assert everything(sandbox) == before
    assert company.facts_of(PRIMARY) == roles


def show(company: Account, *parameters: str) -> list[str]:
    """What is in force on the replica."""
    where = conninfo.make_conninfo("", **company.superuser(REPLICA), dbname="books")
    with closing(psycopg.connect(where, autocommit=True)) as connection:
        return [str(row[0]) for name in parameters if (row := connection.execute(f"SHOW {name}".encode()).fetchone())]

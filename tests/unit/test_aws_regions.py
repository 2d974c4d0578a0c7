"""A replica in another Region than its source: what the spec has to say more, and the plan."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from replica_access.aws.landscape import Instance, Landscape
from replica_access.aws.plan import plan
from replica_access.aws.preflight import checks
from replica_access.aws.survey import NOWHERE
from replica_access.spec import Spec

from .aws_landscapes import EMPTY, PRIMARY, REPLICA, problems, spec_of

FAR = replace(
    PRIMARY,
    arn="arn:aws:rds:eu-west-1:123456789012:db:prod",
    vpc="vpc-far",
    subnet_group="public",  # by chance, as one here is called
    encrypted=True,
)
CROSSING = replace(EMPTY, primary=FAR, landing_vpc="vpc-1")
KEY = "arn:aws:kms:ap-southeast-2:123456789012:key/1"


def spec(**replica: Any) -> Spec:
    return spec_of(
        aws={"region": "ap-southeast-2"},
        primary={"instance": FAR.arn},
        replica={"subnet_group": "public", "kms_key": KEY, **replica},
    )


def creation(landscape: Landscape, wanted: Spec) -> dict[str, Any]:
    (found,) = [each for each in plan(landscape, wanted, date(2026, 1, 1)).changes if each.action == "create replica"]
    assert found.call is not None
    return dict(found.call.parameters)


def test_the_call_names_the_source_its_region_and_a_key_of_here() -> None:
    assert not problems(CROSSING, spec())
    parameters = creation(CROSSING, spec())
    assert parameters["SourceDBInstanceIdentifier"] == FAR.arn
    assert parameters["SourceRegion"] == "eu-west-1"
    assert parameters["KmsKeyId"] == KEY
    assert parameters["DBSubnetGroupName"] == "public"


def test_in_one_region_neither_region_nor_key_is_sent() -> None:
    near = spec_of(replica={"kms_key": KEY})
    assert not {"SourceRegion", "KmsKeyId"} & creation(EMPTY, near).keys()
    (check,) = [check for check in checks(EMPTY, near) if check.name == "KMS key"]
    assert check.outcome == "note"


@pytest.mark.parametrize("group", ["auto", "same"])
def test_the_subnets_of_the_source_do_not_reach_here(group: str) -> None:
    nowhere = replace(
        CROSSING, landing_vpc=None, dns_support=NOWHERE, dns_hostnames=NOWHERE, gateways=NOWHERE, subnets=NOWHERE,
        route_tables=NOWHERE, acls=NOWHERE,
    )  # fmt: skip
    check = problems(nowhere, spec(subnet_group=group))["subnet group"]
    assert "prod is in eu-west-1, and its subnets do not reach ap-southeast-2" in check.detail
    assert plan(nowhere, spec(subnet_group=group), date(2026, 1, 1)).blocked


@pytest.mark.parametrize(
    ("source", "key", "words"),
    [
        (FAR, None, "its key does not leave eu-west-1"),
        (FAR, "arn:aws:kms:eu-west-1:123456789012:key/1", "is a key of eu-west-1"),
        (replace(FAR, encrypted=False), KEY, "RDS makes no encrypted replica of it"),
    ],
)
def test_the_key_is_one_of_here_and_only_where_the_source_is_encrypted(
    source: Instance, key: str | None, words: str
) -> None:
    check = problems(replace(CROSSING, primary=source), spec(kms_key=key))["KMS key"]
    assert words in check.detail
    assert "replica.kms_key" in check.fix


def test_commands_for_the_source_are_for_its_region() -> None:
    check = problems(replace(CROSSING, primary=replace(FAR, backup_days=0)), spec())["backups"]
    assert "--region eu-west-1" in check.fix
    assert not check.mend  # changes are made in the Region of the replica


def test_a_replica_that_is_there_is_gone_on_with() -> None:
    ours = replace(REPLICA, source_region="eu-west-1")
    landscape = replace(CROSSING, replica=ours, offers=None)
    assert "replica name" not in problems(landscape, spec())
    assert not [each for each in plan(landscape, spec(), date(2026, 1, 1)).changes if each.action == "create replica"]

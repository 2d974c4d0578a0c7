"""The quotas of the sandbox's account: what they are, and that they hold."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from tests.sandbox_fixtures import Sandbox, refusal, tcp

RULES, INSTANCES, REPLICAS = ("vpc", "L-0EA8095F"), ("rds", "L-7B6409FD"), ("rds", "L-5BC124EF")


def value(sandbox: Sandbox, service: str, code: str) -> float:
    quota = sandbox.client("service-quotas").get_service_quota(ServiceCode=service, QuotaCode=code)["Quota"]
    assert quota["QuotaCode"] == code
    assert quota["QuotaArn"] == f"arn:aws:servicequotas:{sandbox.status.region}:123456789012:{service}/{code}"
    return float(quota["Value"])


def attribute(sandbox: Sandbox, name: str) -> dict[str, Any]:
    quotas = sandbox.rds.describe_account_attributes()["AccountQuotas"]
    [found] = [quota for quota in quotas if quota["AccountQuotaName"] == name]
    return dict(found)


@pytest.mark.parametrize(("quota", "most"), [(RULES, 60), (INSTANCES, 40), (REPLICAS, 15)])
def test_quotas_are_those_of_a_new_account(sandbox: Sandbox, quota: tuple[str, str], most: int) -> None:
    assert value(sandbox, *quota) == most
    service, code = quota
    listed = sandbox.client("service-quotas").list_service_quotas(ServiceCode=service)["Quotas"]
    assert {one["QuotaCode"]: one["Value"] for one in listed}[code] == most


def test_what_has_no_quota_is_not_found(sandbox: Sandbox) -> None:
    for service, code in (("rds", "L-00000000"), ("nothing", "L-7B6409FD")):
        code_of_error, _ = refusal(partial(value, sandbox, service, code))
        assert code_of_error == "NoSuchResourceException"


def test_what_is_used_is_counted(sandbox: Sandbox) -> None:
    assert attribute(sandbox, "DBInstances")["Used"] == len(sandbox.names())
    before = attribute(sandbox, "DBParameterGroups")["Used"]
    version: str = sandbox.instance()["EngineVersion"]
    sandbox.rds.create_db_parameter_group(
        DBParameterGroupName="counted", DBParameterGroupFamily=f"postgres{version.partition('.')[0]}", Description="x"
    )
    assert attribute(sandbox, "DBParameterGroups")["Used"] == before + 1
    sandbox.rds.delete_db_parameter_group(DBParameterGroupName="counted")


def test_a_quota_can_be_another_and_holds(sandbox: Sandbox) -> None:
    create = partial(
        sandbox.rds.create_db_instance_read_replica,
        DBInstanceIdentifier="never",
        SourceDBInstanceIdentifier="prod-db",
    )
    with sandbox.faults(quota={INSTANCES[1]: len(sandbox.names()), RULES[1]: 2}):
        assert attribute(sandbox, "DBInstances")["Max"] == value(sandbox, *INSTANCES) == len(sandbox.names())
        assert refusal(create) == ("InstanceQuotaExceeded", "Instance quota exceeded")
        with sandbox.group("203.0.113.1/32", "203.0.113.2/32") as group:
            code, _ = refusal(
                partial(
                    sandbox.ec2.authorize_security_group_ingress,
                    GroupId=group,
                    IpPermissions=[tcp(5432, "203.0.113.3/32")],
                )
            )
            assert code == "RulesPerSecurityGroupLimitExceeded"
    replicas = len(sandbox.instance()["ReadReplicaDBInstanceIdentifiers"])
    with sandbox.faults(quota={REPLICAS[1]: replicas}):
        assert refusal(create) == ("InvalidDBInstanceState", f"The source already has {replicas} read replicas.")
    assert value(sandbox, *INSTANCES) == 40

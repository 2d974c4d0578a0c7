"""What the tests of the AWS half share: a spec for the sandbox, a run of the stage, and what it leaves behind."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any
from unittest.mock import patch

import botocore.session

from replica_access.aws import preflight, survey
from replica_access.aws.execute import execute
from replica_access.aws.ownership import as_mapping
from replica_access.aws.plan import plan
from replica_access.aws.session import Aws
from replica_access.model import UNASKED, Check, Plan, Request
from replica_access.progress import SILENT, Progress, Silent
from replica_access.sandbox import control, lifecycle
from replica_access.sandbox.faults import Faults
from replica_access.spec import Spec
from tests.sandbox_fixtures import Sandbox

TODAY = date(2026, 11, 23)
DEADLINE_S = 60.0


class Stopped(BaseException):
    """Stands for Ctrl-C: nothing catches it."""


@dataclass
class Stop:
    """Ends a run just before, or just after, its first call that changes something."""

    after: bool
    calls: list[str] = field(default_factory=list)


class StoppableAws(Aws):
    """Ends the run where `stop` says, as a kill would: AWS may have acted, and we do not know."""

    stop: Stop | None = None
    directory: Path
    until_closed: ExitStack

    def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        changes = not operation.startswith(("Describe", "Get", "List"))
        if changes and self.stop is not None:
            self.stop.calls.append(operation)
            if self.stop.after:
                super().call(service, operation, **parameters)
            raise Stopped
        return super().call(service, operation, **parameters)


@contextmanager
def environment(sandbox: Sandbox, **more: str) -> Iterator[None]:
    """Send botocore to the sandbox; nothing of the machine's own AWS settings is left."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PG"))}
    known = lifecycle.environment(sandbox.status.directory)
    with patch.dict(os.environ, {**kept, **known, "AWS_CONFIG_FILE": os.devnull, **more}, clear=True):
        yield


@contextmanager
def opened(sandbox: Sandbox) -> Iterator[StoppableAws]:
    with environment(sandbox), ExitStack() as stack:
        aws = StoppableAws(botocore.session.Session(), sandbox.status.region)
        aws.directory, aws.until_closed = sandbox.status.directory, stack
        yield aws
        aws.close()


def spec_of(name: str, **changes: Any) -> Spec:
    """Return a spec for the sandbox's primary and a replica called `name`."""
    document: dict[str, Any] = {
        "version": 1,
        "primary": {"instance": "prod-db", "admin_secret": "prod-db/master"},
        "replica": {"instance": name},
        "network": {
            "allow": [
                {"cidr": "127.0.0.1/32", "note": "Zoë's laptop", "expires": "2099-12-31"},
                {"cidr": "2001:db8::/48", "note": "VPN"},
            ]
        },
    }
    for table, values in changes.items():
        document[table] = {**document.get(table, {}), **values} if isinstance(values, Mapping) else values
    return Spec.model_validate(document)


@contextmanager
def private_primary(sandbox: Sandbox) -> Iterator[str]:
    """A primary in private subnets, for the length of a block."""
    name = sandbox.name("private")
    sandbox.rds.create_db_instance(
        DBInstanceIdentifier=name,
        DBInstanceClass="db.t4g.micro",
        Engine="postgres",
        AllocatedStorage=20,
        StorageType="gp3",
        MasterUsername="boss",
        MasterUserPassword="correct-horse",
        DBSubnetGroupName="sandbox-private",
        BackupRetentionPeriod=1,
        PubliclyAccessible=False,
    )
    sandbox.follow(name)
    yield name
    sandbox.remove(name)


def look(aws: Aws, spec: Spec, request: Request = UNASKED) -> tuple[tuple[Check, ...], Plan]:
    landscape = survey.read(aws, spec)
    return preflight.checks(landscape, spec, TODAY, request), plan(landscape, spec, TODAY, request)


def run(aws: Aws, spec: Spec, request: Request = UNASKED) -> Plan:
    """Look, and carry out what is planned, as far as `request` allows; return that."""
    _, found = look(aws, spec, request)
    carry_out(aws, allowed := found.allowed(request))
    return allowed


def carry_out(aws: Aws, found: Plan, progress: Progress = SILENT) -> None:
    outputs: dict[str, str] = {}
    for change in found.changes:
        execute(aws, change, outputs, progress, DEADLINE_S)


@dataclass
class Listener(Silent):
    """Keeps the waiting lines."""

    heard: list[str] = field(default_factory=list)

    def waiting(self, sentence: str) -> None:
        self.heard.append(sentence)


def deny(aws: StoppableAws, service: str, *operations: str) -> None:
    """Make the sandbox deny these operations to the program, until `aws` is closed."""
    prefix = "servicequotas" if service == "service-quotas" else service
    wanted = Faults(deny=tuple(f"{prefix}:{operation}" for operation in operations), by="replica-access/")
    aws.until_closed.enter_context(control.faults(aws.directory, wanted))


def state(sandbox: Sandbox, replica: str) -> dict[str, Any]:
    """Return what stands in AWS for `replica`, without ids, so that two runs can be compared."""
    found = sandbox.instance(replica)
    groups = {
        group["GroupId"]: group
        for group in sandbox.ec2.describe_security_groups(
            Filters=[{"Name": "group-name", "Values": [f"replica-access-{replica}"]}]
        )["SecurityGroups"]
    }
    rules = sandbox.ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": list(groups)}])
    return {
        "groups": [as_mapping(group["Tags"]) for group in groups.values()],
        "rules": sorted(
            (
                rule.get("CidrIpv4") or rule["CidrIpv6"],
                rule["FromPort"],
                rule.get("Description"),
                sorted(as_mapping(rule["Tags"]).items()),
            )
            for rule in rules["SecurityGroupRules"]
            if not rule["IsEgress"]
        ),
        "attached": sorted(entry["VpcSecurityGroupId"] in groups for entry in found["VpcSecurityGroups"]),
        "source": found["ReadReplicaSourceDBInstanceIdentifier"],
        "tags": as_mapping(found["TagList"]),
        "parameters": [
            (group["ParameterApplyStatus"], values_set_in(sandbox, group["DBParameterGroupName"]))
            for group in found["DBParameterGroups"]
        ],
        **{
            key: found[key]
            for key in ("DBInstanceClass", "PubliclyAccessible", "DeletionProtection", "CopyTagsToSnapshot",
                        "IAMDatabaseAuthenticationEnabled", "EnabledCloudwatchLogsExports", "DBInstanceStatus")
        },
    }  # fmt: skip


def values_set_in(sandbox: Sandbox, group: str) -> dict[str, str]:
    found = sandbox.rds.describe_db_parameters(DBParameterGroupName=group, Source="user")["Parameters"]
    return {each["ParameterName"]: each["ParameterValue"] for each in found}


def remove(sandbox: Sandbox, replica: str) -> None:
    """Take the replica and its groups away, whatever there is of them."""
    sandbox.remove(replica)
    filters = [{"Name": "group-name", "Values": [f"replica-access-{replica}"]}]
    for group in sandbox.ec2.describe_security_groups(Filters=filters)["SecurityGroups"]:
        sandbox.ec2.delete_security_group(GroupId=group["GroupId"])
    with suppress(sandbox.rds.exceptions.DBSubnetGroupNotFoundFault):
        sandbox.rds.delete_db_subnet_group(DBSubnetGroupName=f"replica-access-{replica}")
    with suppress(sandbox.rds.exceptions.DBParameterGroupNotFoundFault):
        sandbox.rds.delete_db_parameter_group(DBParameterGroupName=f"replica-access-{replica}")


def names(found: list[dict[str, Any]], key: str) -> list[str]:
    return sorted(entry[key] for entry in found)


def account(sandbox: Sandbox) -> dict[str, Any]:
    """Return everything that stands in the account, for comparison; deleted secrets do not stand any more."""
    ec2, rds = sandbox.ec2, sandbox.rds
    vpcs = names(ec2.describe_vpcs()["Vpcs"], "VpcId")
    return {
        "instances": sorted(
            (
                found["DBInstanceIdentifier"], found["DBInstanceStatus"], found["DeletionProtection"],
                found["PubliclyAccessible"], found["BackupRetentionPeriod"],
                tuple(found["ReadReplicaDBInstanceIdentifiers"]), repr(found["VpcSecurityGroups"]),
                repr(found["DBParameterGroups"]), found["DBSubnetGroup"]["DBSubnetGroupName"], repr(found["TagList"]),
            )
            for found in rds.describe_db_instances()["DBInstances"]
        ),
        "groups": sorted(map(repr, ec2.describe_security_groups()["SecurityGroups"])),
        "rules": sorted(map(repr, ec2.describe_security_group_rules()["SecurityGroupRules"])),
        "subnet groups": names(rds.describe_db_subnet_groups()["DBSubnetGroups"], "DBSubnetGroupName"),
        "parameter groups": names(rds.describe_db_parameter_groups()["DBParameterGroups"], "DBParameterGroupName"),
        "secrets": names(sandbox.client("secretsmanager").list_secrets()["SecretList"], "Name"),
        "vpc attributes": [
            ec2.describe_vpc_attribute(VpcId=vpc, Attribute=attribute)[attribute[0].upper() + attribute[1:]]["Value"]
            for vpc in vpcs
            for attribute in ("enableDnsSupport", "enableDnsHostnames")
        ],
        "vpcs": vpcs,
        "subnets": names(ec2.describe_subnets()["Subnets"], "SubnetId"),
        "interfaces": names(ec2.describe_network_interfaces()["NetworkInterfaces"], "NetworkInterfaceId"),
    }  # fmt: skip

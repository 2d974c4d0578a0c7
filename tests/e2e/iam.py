"""IAM as far as our policies go: what a call asks for, and whether a policy allows it.

What a call is judged on is from the Service Authorization Reference: each of its actions on each of its resources, all
of which have to be allowed. Where that leaves a choice, all of it is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from replica_access.aws.ownership import as_mapping
from replica_access.sandbox.record import RecordedCall

ACCOUNT = "123456789012"

Tags = Mapping[str, str]
Parameters = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """One action on one resource; `context` has the values of the condition keys."""

    action: str
    resource: str
    context: Tags = field(default_factory=dict)


# --- the policy ------------------------------------------------------------------------------------------------------


def allows(policy: Mapping[str, Any], asked: Asked) -> bool:
    """Whether some statement allows it; our policies deny nothing."""
    return any(True for _ in allowing(policy, asked))


def allowing(policy: Mapping[str, Any], asked: Asked) -> Iterator[tuple[str, str]]:
    """Yield each (action, resource) of the policy by which it is allowed."""
    for statement in policy["Statement"]:
        assert statement["Effect"] == "Allow"
        assert statement.keys() <= {"Sid", "Effect", "Action", "Resource", "Condition"}
        if not _holds(statement.get("Condition", {}), asked.context):
            continue
        for action in statement["Action"]:
            for resource in statement["Resource"]:
                if _fits(action, asked.action) and _fits(resource, asked.resource):
                    yield action, resource


def _holds(condition: Mapping[str, Any], context: Tags) -> bool:
    assert condition.keys() <= {"StringEquals"}, "this is more than what is understood here"
    wanted = condition.get("StringEquals", {})
    return all(context.get(key) in ([values] if isinstance(values, str) else values) for key, values in wanted.items())


def _fits(pattern: str, text: str) -> bool:
    """Only a star and a question mark stand for anything else than themselves."""
    form = "".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in pattern)
    return re.fullmatch(form, text) is not None


def refused(policy: Mapping[str, Any], asked: Iterable[Asked]) -> list[str]:
    """Return what of `asked` the policy does not allow."""
    return sorted({str(each) for each in asked if not allows(policy, each)})


# --- what a call asks for --------------------------------------------------------------------------------------------


def asked_by(call: RecordedCall, tags: Mapping[str, Tags]) -> Iterator[Asked]:
    """Yield everything that has to be allowed for `call`.

    :param tags: of each security group and rule by its id, and of each secret by its ARN.
    """
    if call.service == "sts":
        return  # GetCallerIdentity needs no permission
    general = {"aws:RequestedRegion": call.region}
    for action in call.actions:
        for resource, context in _resources(action, call, tags):
            yield Asked(action, resource, {**general, **context})


def _resources(action: str, call: RecordedCall, tags: Mapping[str, Tags]) -> Iterator[tuple[str, Tags]]:
    service, _, operation = action.partition(":")
    if service == "ec2":
        yield from _in_ec2(operation, call, tags)
    elif service == "rds" and operation in IN_RDS:
        for resource in IN_RDS[operation](call.parameters):
            yield resource if resource.startswith("arn:") else _arn(call, "rds", resource), {}
    elif service == "secretsmanager":
        yield from _in_secrets_manager(operation, call, tags)
    elif service == "kms":
        key = call.parameters["KmsKeyId" if "KmsKeyId" in call.parameters else "KeyId"]
        yield key if key.startswith("arn:") else _arn(call, "kms", f"key/{key}"), {}
    elif action == "servicequotas:GetServiceQuota":
        yield _arn(call, "servicequotas", f"{call.parameters['ServiceCode']}/{call.parameters['QuotaCode']}"), {}
    else:
        yield "*", {}


def _in_secrets_manager(operation: str, call: RecordedCall, tags: Mapping[str, Tags]) -> Iterator[tuple[str, Tags]]:
    if operation == "ListSecrets":
        yield "*", {}
        return
    name = call.parameters.get("SecretId") or call.parameters["Name"]
    context = {**_resource_tags(tags.get(name, {})), **_request_tags(call.parameters)}
    if name.startswith("arn:"):
        yield name, context
        return
    for suffix in ("", "-AbCdEf"):  # one that is not there is judged by its name alone
        yield _arn(call, "secretsmanager", f"secret:{name}{suffix}"), context


def _arn(call: RecordedCall, service: str, resource: str) -> str:
    return f"arn:aws:{service}:{call.region}:{ACCOUNT}:{resource}"


def _replica(call: Parameters) -> Iterator[str]:
    source = call["SourceDBInstanceIdentifier"]
    yield source if source.startswith("arn:") else f"db:{source}"
    yield f"db:{call['DBInstanceIdentifier']}"
    yield f"subgrp:{call.get('DBSubnetGroupName', 'default')}"
    yield "og:default:postgres-17"
    yield "pg:default.postgres17"


def _instance(call: Parameters) -> Iterator[str]:
    yield f"db:{call.get('DBInstanceIdentifier', '*')}"
    if "DBParameterGroupName" in call:
        yield f"pg:{call['DBParameterGroupName']}"


def _tagged(call: Parameters) -> Iterator[str]:
    """Yield what is tagged, by a call of its own or as it is made."""
    if "ResourceName" in call:
        yield call["ResourceName"]
    for key, kind in (("DBInstanceIdentifier", "db"), ("DBParameterGroupName", "pg"), ("DBSubnetGroupName", "subgrp")):
        if key in call:
            yield f"{kind}:{call[key]}"
            return  # a replica is made in a subnet group, which is not tagged with it


def _named(kind: str, key: str) -> Callable[[Parameters], Iterator[str]]:
    return lambda call: iter([f"{kind}:{call.get(key, '*')}"])


IN_RDS: Mapping[str, Callable[[Parameters], Iterator[str]]] = {
    "CreateDBInstanceReadReplica": _replica,
    **dict.fromkeys(
        ("DescribeDBInstances", "ModifyDBInstance", "RebootDBInstance", "DeleteDBInstance"), _instance
    ),
    **dict.fromkeys(("AddTagsToResource", "RemoveTagsFromResource", "ListTagsForResource"), _tagged),
    **dict.fromkeys(
        ("CreateDBSubnetGroup", "DeleteDBSubnetGroup", "ModifyDBSubnetGroup", "DescribeDBSubnetGroups"),
        _named("subgrp", "DBSubnetGroupName"),
    ),
    **dict.fromkeys(
        ("CreateDBParameterGroup", "ModifyDBParameterGroup", "ResetDBParameterGroup", "DeleteDBParameterGroup",
         "DescribeDBParameterGroups", "DescribeDBParameters"),
        _named("pg", "DBParameterGroupName"),
    ),
}  # fmt: skip
"""The operations of RDS that can be allowed on some resources alone, and which those are."""


def _in_ec2(operation: str, call: RecordedCall, tags: Mapping[str, Tags]) -> Iterator[tuple[str, Tags]]:
    parameters = call.parameters
    groups, rules = _arn(call, "ec2", "security-group/"), _arn(call, "ec2", "security-group-rule/")
    asked = _request_tags(parameters)
    if operation == "DescribeVpcAttribute":
        yield _arn(call, "ec2", f"vpc/{parameters['VpcId']}"), {}
    elif operation == "CreateSecurityGroup":
        yield _arn(call, "ec2", f"vpc/{parameters['VpcId']}"), {}
        yield f"{groups}*", asked
    elif operation == "CreateTags" and call.operation != "CreateTags":
        made = groups if call.operation == "CreateSecurityGroup" else rules
        yield f"{made}*", {**asked, "ec2:CreateAction": call.operation}
    elif operation in {"CreateTags", "DeleteTags"}:
        for resource in parameters["Resources"]:
            yield (
                (rules if resource.startswith("sgr-") else groups) + resource,
                {**_resource_tags(tags[resource]), **asked},
            )
    elif "GroupId" in parameters:
        group = parameters["GroupId"]
        yield groups + group, _resource_tags(tags[group])
        if operation == "AuthorizeSecurityGroupIngress":
            yield f"{rules}*", asked
    elif operation == "GetManagedPrefixListEntries":
        yield _arn(call, "ec2", f"prefix-list/{parameters['PrefixListId']}"), {}
    else:
        assert operation.startswith("Describe"), f"what {operation} is judged on has to be said here"
        yield "*", {}


def _request_tags(parameters: Parameters) -> Tags:
    listed = parameters.get("Tags") or [tag for made in parameters.get("TagSpecifications", ()) for tag in made["Tags"]]
    return {f"aws:RequestTag/{key}": value for key, value in as_mapping({"Value": "", **tag} for tag in listed).items()}


def _resource_tags(tags: Tags) -> Tags:
    return {f"aws:ResourceTag/{key}": value for key, value in tags.items()}

"""What IAM has to allow, and no more: policies for who provisions, who audits, and who connects. Pure.

Every call of this package that takes a permission has it here, beside the resources that it is made on. Which resources
and conditions an action knows, the Service Authorization Reference tells; `tests/e2e/test_iam_policy.py` holds the
policies against the calls of whole runs.

Not in any policy: ``iam:CreateServiceLinkedRole``, because an account with a primary has the role of RDS already, and
what `check --fix` mends: a VPC and a primary that are not ours.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from replica_access import passwords
from replica_access.aws.ownership import (
    MANAGED_TAG,
    MANAGED_VALUE,
    REPLICA_TAG,
    group_name,
    identifier,
    region_of,
    replica_identifier,
)
from replica_access.aws.rules import GROUPS_QUOTA, RULES_QUOTA
from replica_access.errors import UsageError
from replica_access.names import shown
from replica_access.spec import Spec

MAX_CHARACTERS = 6_144
"""What a managed policy may be long, white space left out (IAM user guide, "IAM and AWS STS quotas")."""

UNKNOWN = "*"

Statement = dict[str, Any]
Policy = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Account:
    """Where the policy holds, and what of it no spec tells.

    :param primary_id: and `replica_id`: the DbiResourceIds; ``*`` where they are not known.
    :param admin: the user that logs in to the primary by IAM.
    """

    partition: str
    region: str
    number: str
    primary_id: str = UNKNOWN
    replica_id: str = UNKNOWN
    admin: str = UNKNOWN

    def arn(self, service: str, resource: str) -> str:
        return f"arn:{self.partition}:{service}:{self.region}:{self.number}:{resource}"

    def login(self, instance_id: str, user: str) -> str:
        """Return the resource that ``rds-db:connect`` names."""
        return self.arn("rds-db", f"dbuser:{instance_id}/{user if user == UNKNOWN else _literal(user)}")

    def secrets(self, name: str) -> tuple[str, ...]:
        """Return the resources that a secret is, by its name or ARN: AWS adds six characters to the name that it has.

        A secret that is not there yet has none of them, and is asked for before it is made.
        """
        if name.startswith("arn:"):
            return (name,)
        return self.arn("secretsmanager", f"secret:{name}"), self.arn("secretsmanager", f"secret:{name}-??????")


def _literal(text: str) -> str:
    """Return `text` for a resource, where a star, a question mark and a dollar would stand for something else.

    >>> _literal("b*")
    'b${*}'
    """
    return re.sub(r"[*?$]", r"${\g<0>}", text)


def provision(spec: Spec, account: Account) -> Policy:
    """Return what everything needs that the program does, but for `check --fix`.

    :raises UsageError: it is longer than IAM takes.
    """
    return _policy(spec, account, chain(_look(spec, account), _change(spec, account)))


def audit(spec: Spec, account: Account) -> Policy:
    """Return what `check`, `plan`, `verify`, `audit`, `access list` and `user list` need: nothing that changes things.

    :raises UsageError: it is longer than IAM takes.
    """
    return _policy(spec, account, _look(spec, account))


def connect(spec: Spec, user: str, account: Callable[[], Account]) -> Policy:
    """Return what lets somebody log in to the replica as `user`, and nowhere else: the primary has another id.

    :param account: asked only for a user who needs a policy.
    :raises UsageError: the user is none of the spec, or logs in with a password.
    """
    if user not in spec.users:
        known = ", ".join(map(shown, spec.users)) or "none"
        raise UsageError(f"{shown(user)} is no user of the spec.", f"There are: {known}.")
    if spec.users[user].auth != "iam":
        raise UsageError(
            f"{shown(user)} logs in with a password, which no policy is asked about.",
            f'Write auth = "iam" in users.{shown(user)}; or hand out {spec.secret_of(user)}, where the password is.',
        )
    where = account()
    return _document([_statement("LogIn", "rds-db:connect", where.login(where.replica_id, user))])


# --- looking ---------------------------------------------------------------------------------------------------------

SEEN_ANYWHERE = (
    "ec2:DescribeInternetGateways",
    "ec2:DescribeManagedPrefixLists",
    "ec2:DescribeNetworkAcls",
    "ec2:DescribeRouteTables",
    "ec2:DescribeSecurityGroupRules",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcBlockPublicAccessExclusions",
    "ec2:DescribeVpcBlockPublicAccessOptions",
    "rds:DescribeAccountAttributes",
    "rds:DescribeDBEngineVersions",
    "rds:DescribeOrderableDBInstanceOptions",
)
"""None of these can be allowed for some resources only; they are allowed in one Region."""

LOOKED_AT_BY_RDS = (
    "ec2:DescribeAccountAttributes",
    "ec2:DescribeAvailabilityZones",
    "ec2:DescribeVpcs",
)
"""What RDS looks at with the rights of whoever makes or changes an instance; nothing here calls these.

Source: the permissions that AWS's own CloudFormation handler of AWS::RDS::DBInstance declares; the others are above.
"""


def _look(spec: Spec, account: Account) -> Iterator[Statement]:
    # All of them: a cascading replica may have others between it and the primary, and the primary other replicas,
    # whose VPC ours has to share. The spec names none of these.
    homes = {each.region: each.arn("rds", "db:*") for each in (account, _home(spec, account))}
    yield _statement("SeeInstances", "rds:DescribeDBInstances", *homes.values())
    yield _statement("SeeSubnetGroups", "rds:DescribeDBSubnetGroups", account.arn("rds", "subgrp:*"))
    if own := _own_subnet_group(spec, account):
        yield _statement("SubnetGroup", "rds:ListTagsForResource", own)
    yield _in_region(account, *SEEN_ANYWHERE)
    if spec.replica is not None and spec.replica.parameters:
        if _home(spec, account).region != account.region:  # where its default group need not exist yet
            yield _in_region(account, "rds:DescribeEngineDefaultParameters")
        # of our group, and of the one that it is based on, whatever its name
        actions = ("rds:DescribeDBParameterGroups", "rds:DescribeDBParameters", "rds:ListTagsForResource")
        yield _statement("SeeParameters", actions, account.arn("rds", "pg:*"))
    yield _statement("SeeVpc", "ec2:DescribeVpcAttribute", account.arn("ec2", "vpc/*"))
    # A rule that somebody adds may name any list: one of AWS's own, too, or one that another account shares.
    lists = f"arn:{account.partition}:ec2:{account.region}:*:prefix-list/*"
    yield _statement("SeePrefixLists", "ec2:GetManagedPrefixListEntries", lists)
    quotas = (account.arn("servicequotas", f"vpc/{code}") for code in (GROUPS_QUOTA, RULES_QUOTA))
    yield _statement("SeeQuotas", "servicequotas:GetServiceQuota", *quotas)
    if spec.primary.admin_secret is not None:
        yield _statement(
            "LogInAsAdmin",
            ("secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"),
            *_home(spec, account).secrets(spec.primary.admin_secret),
        )
    elif spec.primary.auth == "iam":
        primary = _home(spec, account).login(account.primary_id, account.admin)
        yield _statement("LogInAsAdmin", "rds-db:connect", primary, account.login(account.replica_id, account.admin))
    if kept := _kept_passwords(spec):
        yield _passwords(account, kept, "GetSecretValue", "DescribeSecret", "ListSecretVersionIds")
    if by_iam := [name for name, user in spec.users.items() if user.auth == "iam"]:
        logins = (account.login(account.replica_id, name) for name in by_iam)
        yield _statement("ProveLogins", "rds-db:connect", *logins)


def _home(spec: Spec, account: Account) -> Account:
    """Return where the primary is, and the admin's secret: another Region, if the ARN says so."""
    return replace(account, region=region_of(spec.primary.instance) or account.region)


def _instances(spec: Spec, account: Account) -> Iterator[str]:
    wanted = spec.replica
    named = (spec.primary.instance, *((wanted.source, wanted.instance) if wanted is not None else ()))
    for name in dict.fromkeys(name for name in named if name is not None):
        region = region_of(name) or account.region
        yield replace(account, region=region).arn("rds", f"db:{identifier(name)}")


def _kept_passwords(spec: Spec) -> list[str]:
    secrets = (spec.secret_of(name) for name, user in spec.users.items() if user.auth == "password")
    return sorted({secret for secret in secrets if not passwords.is_file(secret)})


# --- changing --------------------------------------------------------------------------------------------------------


def _change(spec: Spec, account: Account) -> Iterator[Statement]:
    name = replica_identifier(spec)
    if name is not None:
        yield from _change_replica(spec, account, name)
        yield from _change_network(account, name)
        yield from _remove(account, name)
    else:  # then the secrets of users are those of the primary
        yield _remove_secrets(account, identifier(spec.primary.instance or ""))
    if kept := _kept_passwords(spec):
        yield _passwords(account, kept, "CreateSecret", "PutSecretValue", "RestoreSecret", "TagResource")


def _change_replica(spec: Spec, account: Account, name: str) -> Iterator[Statement]:
    replica = account.arn("rds", f"db:{name}")
    # The option group and the parameter group are the primary's, whatever their names.
    inherited = (account.arn("rds", "og:*"), account.arn("rds", "pg:*"), account.arn("rds", _subnet_group(spec)))
    yield _statement("MakeReplica", "rds:CreateDBInstanceReadReplica", *_instances(spec, account), *inherited)
    yield from _keys(spec, account)
    yield _statement("Replica", ("rds:AddTagsToResource", "rds:ModifyDBInstance"), replica)
    if own := _own_subnet_group(spec, account):
        actions = ("rds:AddTagsToResource", "rds:CreateDBSubnetGroup", "rds:ModifyDBSubnetGroup")
        yield _statement("SubnetGroup", actions, own)
    if spec.replica is not None and spec.replica.parameters:
        group = account.arn("rds", f"pg:{group_name(name)}")
        changes = ("rds:CreateDBParameterGroup", "rds:ModifyDBParameterGroup", "rds:ResetDBParameterGroup")
        yield _statement("ParameterGroup", (*changes, "rds:AddTagsToResource", "rds:ModifyDBInstance"), group)
        yield _statement("Replica", "rds:RebootDBInstance", replica)
    if spec.replica is not None and spec.replica.monitoring_role is not None:
        to_whom = {"iam:PassedToService": "monitoring.rds.amazonaws.com"}
        yield _statement("LetRdsMonitor", "iam:PassRole", spec.replica.monitoring_role, equal=to_whom)
    yield _in_region(account, "rds:DescribeEvents", *LOOKED_AT_BY_RDS)


def _own_subnet_group(spec: Spec, account: Account) -> str | None:
    """Return the subnet group that is made where the primary's is not public, if the spec leaves that to us."""
    name = replica_identifier(spec)
    if name is None or spec.replica is None or spec.replica.subnet_group.lower() != "auto":
        return None
    return account.arn("rds", f"subgrp:{group_name(name)}") if spec.replica.publicly_accessible else None


def _keys(spec: Spec, account: Account) -> Iterator[Statement]:
    """Yield what a replica that is encrypted with a key of its own needs: of a source in another Region."""
    key = spec.replica.kms_key if spec.replica is not None else None
    if key is not None:
        resource = key if ":key/" in key else account.arn("kms", "key/*" if "alias/" in key else f"key/{key}")
        yield _statement("EncryptReplica", ("kms:CreateGrant", "kms:DescribeKey"), resource)


def _subnet_group(spec: Spec) -> str:
    named = spec.replica.subnet_group.lower() if spec.replica is not None else "auto"
    return "subgrp:*" if named in {"auto", "same"} else f"subgrp:{named}"


def _change_network(account: Account, name: str) -> Iterator[Statement]:
    groups, rules = account.arn("ec2", "security-group/*"), account.arn("ec2", "security-group-rule/*")
    asked, there = {f"aws:RequestTag/{REPLICA_TAG}": name}, {f"aws:ResourceTag/{REPLICA_TAG}": name}
    yield _statement("MakeSecurityGroupInVpc", "ec2:CreateSecurityGroup", account.arn("ec2", "vpc/*"))
    yield _statement("MakeSecurityGroup", "ec2:CreateSecurityGroup", groups, equal=asked)
    # A group is tagged as it is made, and never afterwards: our tag is what lets us change it.
    yield _statement(
        "TagSecurityGroup", "ec2:CreateTags", groups, equal={"ec2:CreateAction": "CreateSecurityGroup", **asked}
    )
    changes = (
        "ec2:AuthorizeSecurityGroupIngress",
        "ec2:RevokeSecurityGroupIngress",
        "ec2:UpdateSecurityGroupRuleDescriptionsIngress",
    )
    yield _statement("SecurityGroup", changes, groups, equal=there)
    yield _statement("MakeRules", ("ec2:AuthorizeSecurityGroupIngress", "ec2:CreateTags"), rules, equal=asked)
    yield _statement("TagRules", ("ec2:CreateTags", "ec2:DeleteTags"), rules, equal=there)


# --- taking away -----------------------------------------------------------------------------------------------------


def _remove(account: Account, name: str) -> Iterator[Statement]:
    """Yield what `destroy` needs beside."""
    own, ours = group_name(name), {f"aws:ResourceTag/{REPLICA_TAG}": name}
    yield _in_region(account, "ec2:DescribeNetworkInterfaces", "secretsmanager:ListSecrets")
    # A group of another replica may go on from the name of ours: its tags tell.
    yield _statement(
        "SeeParameters", ("rds:DescribeDBParameterGroups", "rds:ListTagsForResource"), account.arn("rds", "pg:*")
    )
    yield _statement("SeeSubnetGroups", "rds:ListTagsForResource", account.arn("rds", "subgrp:*"))
    yield _statement("Replica", "rds:DeleteDBInstance", account.arn("rds", f"db:{name}"))
    yield _statement("SecurityGroup", "ec2:DeleteSecurityGroup", account.arn("ec2", "security-group/*"), equal=ours)
    yield _statement("ParameterGroup", "rds:DeleteDBParameterGroup", account.arn("rds", f"pg:{own}"))
    yield _statement("SubnetGroup", "rds:DeleteDBSubnetGroup", account.arn("rds", f"subgrp:{own}"))
    # Secrets are found by their tag: of users, too, that have left the spec.
    secrets, managed = account.arn("secretsmanager", "secret:*"), {f"aws:ResourceTag/{MANAGED_TAG}": MANAGED_VALUE}
    yield _statement("SeeSecrets", "secretsmanager:DescribeSecret", secrets, equal=managed)
    yield _remove_secrets(account, name)


def _remove_secrets(account: Account, owner: str) -> Statement:
    secrets, ours = account.arn("secretsmanager", "secret:*"), {f"aws:ResourceTag/{REPLICA_TAG}": owner}
    return _statement("RemoveSecrets", "secretsmanager:DeleteSecret", secrets, equal=ours)


# --- documents -------------------------------------------------------------------------------------------------------


def _statement(
    sid: str, actions: str | tuple[str, ...], *resources: str, equal: Mapping[str, Any] | None = None
) -> Statement:
    """:param equal: condition keys, each with its value, or with those that are allowed."""
    allowed = [actions] if isinstance(actions, str) else sorted(actions)
    condition = {"Condition": {"StringEquals": dict(equal)}} if equal else {}
    return {"Sid": sid, "Effect": "Allow", "Action": allowed, "Resource": list(dict.fromkeys(resources)), **condition}


def _in_region(account: Account, *actions: str) -> Statement:
    return _statement("SeeInRegion", actions, "*", equal={"aws:RequestedRegion": account.region})


def _passwords(account: Account, names: list[str], *operations: str) -> Statement:
    resources = (resource for name in names for resource in account.secrets(name))
    return _statement("Passwords", tuple(f"secretsmanager:{operation}" for operation in operations), *resources)


def _document(statements: Iterable[Statement]) -> Policy:
    """Return the policy; statements of one Sid are about the same resources, and become one."""
    found: dict[str, Statement] = {}
    for statement in statements:
        first = found.setdefault(statement["Sid"], statement)
        first["Action"] = sorted({*first["Action"], *statement["Action"]})
    return {"Version": "2012-10-17", "Statement": list(found.values())}


def _policy(spec: Spec, account: Account, statements: Iterable[Statement]) -> Policy:
    """Return the policy; where it would be too long, with one pattern for all secrets that have our prefix."""
    policy = _document(statements)
    if length(policy) > MAX_CHARACTERS:
        common = account.arn("secretsmanager", "secret:replica-access/*")
        prefix = common.removesuffix("*")
        for statement in policy["Statement"]:
            resources = (common if each.startswith(prefix) else each for each in statement["Resource"])
            statement["Resource"] = list(dict.fromkeys(resources))
    if (long := length(policy)) > MAX_CHARACTERS:
        raise UsageError(
            f"The policy for {len(spec.users)} users has {long:,} characters, and IAM takes {MAX_CHARACTERS:,}.",
            "Leave out `secret` of users, so that all are below replica-access/; or split the spec.",
        )
    return policy


def length(policy: Policy) -> int:
    """Return the characters of `policy` as IAM counts them."""
    return len(json.dumps(policy, separators=(",", ":"), ensure_ascii=False))

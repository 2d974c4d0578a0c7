"""Policies name what the spec names, in the words that IAM knows."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import Any

import pytest

from replica_access.aws import permissions
from replica_access.aws.permissions import MAX_CHARACTERS, Account, length
from replica_access.errors import UsageError
from replica_access.spec import Spec

from .aws_landscapes import spec_of

REGION, NUMBER = "ap-southeast-2", "123456789012"
ACCOUNT = Account("aws", REGION, NUMBER, "db-PRIMARY", "db-REPLICA", "master")
SERVICES: dict[str, Any] = json.loads(
    files("cfnlint").joinpath("data/AdditionalSpecs/Policies.json").read_text(encoding="utf-8")
)
"""The Service Authorization Reference, as the linter of CloudFormation has it."""

EVERYTHING = spec_of(
    primary={"instance": "prod", "admin_secret": "prod/master"},
    users={"bi": {}, "etl": {"auth": "iam"}, "old": {"secret": "elsewhere/old"}, "local": {"secret": "file:x"}},
)
BY_IAM = spec_of(
    primary={"instance": "prod", "auth": "iam"},
    users={"etl": {"auth": "iam"}},
    network={"allow": [{"prefix_list": "pl-0123456789abcdef0"}]},
)
WITH_SETTINGS = spec_of(
    replica={
        "parameters": {"hot_standby_feedback": "1"},
        "monitoring_interval": 60,
        "monitoring_role": "arn:aws:iam::123456789012:role/rds-monitoring",
    },
    users={"etl": {"auth": "iam"}},
)
POLICIES: dict[str, Callable[[Spec], dict[str, Any]]] = {
    "provision": lambda spec: permissions.provision(spec, ACCOUNT),
    "audit": lambda spec: permissions.audit(spec, ACCOUNT),
    "connect": lambda spec: permissions.connect(spec, "etl", lambda: ACCOUNT),
}


def allowed(policy: dict[str, Any]) -> dict[str, set[str]]:
    """By action, the resources that it is allowed on, without what all ARNs have in common."""
    found: dict[str, set[str]] = {}
    for statement in policy["Statement"]:
        for action in statement["Action"]:
            found.setdefault(action, set()).update(each.split(":", 5)[-1] for each in statement["Resource"])
    return found


def test_what_is_made_is_made_by_its_name() -> None:
    found = allowed(permissions.provision(EVERYTHING, ACCOUNT))
    assert found["rds:DescribeDBInstances"] == {"db:*"}
    assert found["rds:ModifyDBInstance"] == {"db:analytics"}
    assert found["rds:AddTagsToResource"] == {"db:analytics", "subgrp:replica-access-analytics"}
    assert found["rds:CreateDBInstanceReadReplica"] == {"db:prod", "db:analytics", "og:*", "pg:*", "subgrp:*"}


def test_parameters_are_set_in_our_group_alone_and_only_where_the_spec_has_any() -> None:
    found = allowed(permissions.provision(WITH_SETTINGS, ACCOUNT))
    for action in ("CreateDBParameterGroup", "ModifyDBParameterGroup", "ResetDBParameterGroup"):
        assert found[f"rds:{action}"] == {"pg:replica-access-analytics"}
    assert found["rds:ModifyDBInstance"] == {"db:analytics", "pg:replica-access-analytics"}
    assert found["rds:RebootDBInstance"] == {"db:analytics"}
    assert found["rds:DescribeDBParameters"] == {"pg:*"}
    assert found["iam:PassRole"] == {"role/rds-monitoring"}
    without = allowed(permissions.provision(EVERYTHING, ACCOUNT))
    assert not {"rds:CreateDBParameterGroup", "rds:DescribeDBParameters", "iam:PassRole"} & set(without)


def test_secrets_are_named_before_and_after_they_are_made() -> None:
    found = allowed(permissions.provision(EVERYTHING, ACCOUNT))
    users = {f"secret:{name}{six}" for name in ("replica-access/bi", "elsewhere/old") for six in ("", "-??????")}
    assert found["secretsmanager:CreateSecret"] == users
    assert found["secretsmanager:PutSecretValue"] == users
    assert found["secretsmanager:GetSecretValue"] == {*users, "secret:prod/master", "secret:prod/master-??????"}


def test_a_secret_by_its_arn_is_that_one() -> None:
    arn = f"arn:aws:secretsmanager:{REGION}:{NUMBER}:secret:prod/master-AbCdEf"
    policy = permissions.audit(spec_of(primary={"instance": "prod", "admin_secret": arn}), ACCOUNT)
    assert allowed(policy)["secretsmanager:GetSecretValue"] == {"secret:prod/master-AbCdEf"}


def test_groups_are_ours_by_their_tag() -> None:
    statements = {each["Sid"]: each for each in permissions.provision(EVERYTHING, ACCOUNT)["Statement"]}
    assert statements["MakeSecurityGroup"]["Condition"] == {
        "StringEquals": {"aws:RequestTag/replica-access": "analytics"}
    }
    assert statements["SecurityGroup"]["Condition"] == {"StringEquals": {"aws:ResourceTag/replica-access": "analytics"}}


def test_only_what_is_ours_by_name_or_tag_can_be_taken_away() -> None:
    deleting = {
        (action, resource.split(":", 5)[-1], *conditions.items())
        for action, resource, conditions in parts(permissions.provision(EVERYTHING, ACCOUNT))
        if ":Delete" in action and action != "ec2:DeleteTags"
    }
    ours = ("aws:ResourceTag/replica-access", "analytics")
    assert deleting == {
        ("rds:DeleteDBInstance", "db:analytics"),
        ("rds:DeleteDBParameterGroup", "pg:replica-access-analytics"),
        ("rds:DeleteDBSubnetGroup", "subgrp:replica-access-analytics"),
        ("ec2:DeleteSecurityGroup", "security-group/*", ours),
        ("secretsmanager:DeleteSecret", "secret:*", ours),
    }


def test_nobody_makes_a_group_ours_by_tagging_it() -> None:
    tagging = [
        statement["Condition"]["StringEquals"]
        for statement in permissions.provision(EVERYTHING, ACCOUNT)["Statement"]
        if "ec2:CreateTags" in statement["Action"] and any("security-group/" in each for each in statement["Resource"])
    ]
    assert tagging == [{"ec2:CreateAction": "CreateSecurityGroup", "aws:RequestTag/replica-access": "analytics"}]


def test_lists_of_aws_and_of_other_accounts_can_be_looked_into() -> None:
    statements = {each["Sid"]: each for each in permissions.audit(EVERYTHING, ACCOUNT)["Statement"]}
    assert statements["SeePrefixLists"]["Resource"] == [f"arn:aws:ec2:{REGION}:*:prefix-list/*"]


def test_all_that_may_be_between_a_cascading_replica_and_the_primary_can_be_seen() -> None:
    found = allowed(permissions.provision(spec_of(replica={"instance": "analytics", "source": "other"}), ACCOUNT))
    assert found["rds:DescribeDBInstances"] == {"db:*"}
    assert {"db:other", "db:analytics", "db:prod"} < found["rds:CreateDBInstanceReadReplica"]
    assert found["rds:ModifyDBInstance"] == {"db:analytics"}


def test_of_another_region_the_policy_names_the_primary_and_where_its_admin_logs_in() -> None:
    far = "arn:aws:rds:eu-west-1:123456789012:db:prod"
    for primary in ({"instance": far, "admin_secret": "prod/master"}, {"instance": far, "auth": "iam"}):
        policy = permissions.provision(spec_of(aws={"region": REGION}, primary=primary), ACCOUNT)
        elsewhere = {each for _, each, _ in parts(policy) if ":eu-west-1:" in each}
        assert {each.split(":", 5)[-1] for each in elsewhere} == {
            "db:*",
            "db:prod",
            *(
                ("dbuser:db-PRIMARY/master",)
                if "auth" in primary
                else ("secret:prod/master", "secret:prod/master-??????")
            ),
        }


def test_whoever_audits_changes_nothing() -> None:
    actions = allowed(permissions.audit(EVERYTHING, ACCOUNT)).keys()
    assert {action.partition(":")[2][:4] for action in actions} <= {"Desc", "Get", "GetS", "GetM", "List", "conn"}
    assert actions < allowed(permissions.provision(EVERYTHING, ACCOUNT)).keys()


def test_logins_by_iam_are_on_one_instance() -> None:
    found = allowed(permissions.provision(BY_IAM, ACCOUNT))
    assert found["rds-db:connect"] == {
        "dbuser:db-PRIMARY/master", "dbuser:db-REPLICA/master", "dbuser:db-REPLICA/etl",
    }  # fmt: skip
    assert not {"secretsmanager:GetSecretValue", "secretsmanager:CreateSecret"} & found.keys()


def test_whoever_connects_may_do_that_on_the_replica_and_nothing_else() -> None:
    assert permissions.connect(EVERYTHING, "etl", lambda: ACCOUNT) == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "LogIn",
                "Effect": "Allow",
                "Action": ["rds-db:connect"],
                "Resource": [f"arn:aws:rds-db:{REGION}:{NUMBER}:dbuser:db-REPLICA/etl"],
            }
        ],
    }


def test_a_user_with_a_star_is_no_pattern() -> None:
    spec = spec_of(users={"b*": {"auth": "iam"}})
    policy = permissions.connect(spec, "b*", lambda: ACCOUNT)
    assert allowed(policy)["rds-db:connect"] == {"dbuser:db-REPLICA/b${*}"}


@pytest.mark.parametrize(
    ("user", "sentence"), [("bi", "logs in with a password"), ("nobody", "is no user of the spec")]
)
def test_who_needs_no_policy_is_told_before_aws_is_asked(user: str, sentence: str) -> None:
    def unasked() -> Account:
        raise AssertionError("AWS was asked")

    with pytest.raises(UsageError, match=sentence):
        permissions.connect(EVERYTHING, user, unasked)


OF_ANY_RESOURCE = {"aws:RequestedRegion", "ec2:CreateAction", "iam:PassedToService"}
"""Condition keys that the reference lists beside the action, and not beside its resources."""

# --- IAM's own rules -------------------------------------------------------------------------------------------------


def parts(policy: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for statement in policy["Statement"]:
        for action in statement["Action"]:
            for resource in statement["Resource"]:
                yield action, resource, statement.get("Condition", {}).get("StringEquals", {})


@pytest.mark.parametrize("purpose", POLICIES)
@pytest.mark.parametrize("spec", [EVERYTHING, BY_IAM, WITH_SETTINGS], ids=["by password", "by iam", "with settings"])
def test_every_action_exists_and_knows_its_resources_and_conditions(purpose: str, spec: Spec) -> None:
    for action, resource, conditions in parts(POLICIES[purpose](spec)):
        service, _, name = action.partition(":")
        assert name.lower() in SERVICES[service]["Actions"], action
        kinds = SERVICES[service]["Actions"][name.lower()].get("Resources", [])
        known = {each.lower(): kind for each, kind in SERVICES[service]["Resources"].items()}
        fitting = [kind for kind in (known[each.lower()] for each in kinds) if of_kind(resource, kind)]
        if resource == "*":
            assert not kinds, f"{action} could be allowed on {kinds} alone"
        else:
            assert fitting, f"{action} is never asked for {resource}"
        keys = {key.partition("/")[0] for kind in fitting for key in kind.get("ConditionKeys", ())}
        for key in conditions:
            assert key.partition("/")[0] in keys | OF_ANY_RESOURCE, (action, key)


def of_kind(resource: str, kind: dict[str, Any]) -> bool:
    forms = (re.sub(r"\\?\$\{(Partition|Region|Account)\}", "[^:]*", form) for form in kind["ARNFormats"])
    return any(re.fullmatch(form, resource) for form in forms)


@pytest.mark.parametrize("purpose", POLICIES)
def test_no_policy_is_longer_than_iam_takes(purpose: str) -> None:
    for spec in (EVERYTHING, BY_IAM):
        policy = POLICIES[purpose](spec)
        assert length(policy) <= MAX_CHARACTERS
        assert len({statement["Sid"] for statement in policy["Statement"]}) == len(policy["Statement"])
        assert all(re.fullmatch("[A-Za-z0-9]+", statement["Sid"]) for statement in policy["Statement"])


def test_very_many_users_are_named_by_what_their_secrets_have_in_common() -> None:
    spec = spec_of(users={f"a_user_with_a_long_name_{number}": {} for number in range(100)})
    policy = permissions.provision(spec, ACCOUNT)
    assert length(policy) <= MAX_CHARACTERS
    assert allowed(policy)["secretsmanager:CreateSecret"] == {"secret:replica-access/*"}


def test_what_cannot_be_said_in_one_policy_is_refused() -> None:
    users = {f"a_user_with_a_long_name_{number}": {"secret": f"somewhere/else/{number}"} for number in range(100)}
    with pytest.raises(UsageError, match=r"The policy for 100 users has [\d,]+ characters, and IAM takes 6,144"):
        permissions.provision(spec_of(users=users), ACCOUNT)

"""The small IAM of these tests refuses what it should."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.iam import Asked, allows

STATEMENT: dict[str, Any] = {
    "Effect": "Allow",
    "Action": ["ec2:CreateTags", "rds:Describe*"],
    "Resource": ["arn:aws:rds:r:1:db:prod", "arn:aws:sm:r:1:secret:x-??????", "arn:aws:ec2:r:1:security-group/*"],
}
GUARDED = {**STATEMENT, "Condition": {"StringEquals": {"aws:ResourceTag/k": "v", "ec2:CreateAction": ["A", "B"]}}}


@pytest.mark.parametrize(
    ("action", "resource", "expected"),
    [
        ("rds:DescribeDBInstances", "arn:aws:rds:r:1:db:prod", True),
        ("rds:DeleteDBInstance", "arn:aws:rds:r:1:db:prod", False),
        ("rds:DescribeDBInstances", "arn:aws:rds:r:1:db:prod2", False),
        ("rds:DescribeDBInstances", "arn:aws:rds:r:1:db:*", False),
        ("ec2:CreateTags", "arn:aws:ec2:r:1:security-group/sg-1", True),
        ("ec2:CreateTags", "arn:aws:ec2:r:2:security-group/sg-1", False),
        ("ec2:CreateTags", "arn:aws:sm:r:1:secret:x-AbCdEf", True),
        ("ec2:CreateTags", "arn:aws:sm:r:1:secret:x-AbCdEfG", False),
        ("ec2:CreateTags", "arn:aws:sm:r:1:secret:x", False),
    ],
)
def test_an_action_is_allowed_on_the_resources_of_its_statement(action: str, resource: str, expected: bool) -> None:
    assert allows({"Statement": [STATEMENT]}, Asked(action, resource)) is expected


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        ({"aws:ResourceTag/k": "v", "ec2:CreateAction": "B"}, True),
        ({"aws:ResourceTag/k": "V", "ec2:CreateAction": "B"}, False),
        ({"aws:ResourceTag/k": "v", "ec2:CreateAction": "C"}, False),
        ({"aws:ResourceTag/k": "v"}, False),
        ({}, False),
    ],
)
def test_every_condition_has_to_hold(context: dict[str, str], expected: bool) -> None:
    asked = Asked("ec2:CreateTags", "arn:aws:ec2:r:1:security-group/sg-1", context)
    assert allows({"Statement": [GUARDED]}, asked) is expected


def test_one_statement_that_does_not_fit_takes_nothing_from_another() -> None:
    asked = Asked("ec2:CreateTags", "arn:aws:ec2:r:1:security-group/sg-1")
    assert allows({"Statement": [GUARDED, STATEMENT]}, asked)
    assert not allows({"Statement": []}, asked)


def test_what_it_does_not_understand_it_does_not_judge() -> None:
    with pytest.raises(AssertionError):
        allows({"Statement": [{**STATEMENT, "Effect": "Deny"}]}, Asked("a:B", "*"))
    with pytest.raises(AssertionError):
        allows({"Statement": [{**STATEMENT, "Condition": {"Bool": {}}}]}, Asked("a:B", "*"))

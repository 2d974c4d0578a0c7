"""Look for what belongs to a replica: by its tag where AWS can search for that, else by its name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TypeVar

from replica_access.aws.belongings import Belongings, Tagged
from replica_access.aws.landscape import Instance, NotChecked
from replica_access.aws.ownership import REPLICA_TAG, as_mapping, belongs_to, group_name
from replica_access.aws.rules import SecurityGroup
from replica_access.aws.session import Aws
from replica_access.aws.survey import instance as describe
from replica_access.errors import AccessDenied, NotFound

T = TypeVar("T")


def read(aws: Aws, replica: str, secret_ids: Iterable[str]) -> Belongings:
    """Read what belongs to `replica`. What the caller may not see is `NotChecked` in its place.

    :param secret_ids: the names that secrets of ours would have, whoever's they are.
    :raises AccessDenied: the caller may not even see DB instances.
    """
    aws.client("rds")  # before EC2's, whose making then overlaps with RDS's answers
    with ThreadPoolExecutor(5) as pool:

        def begin(read_it: Callable[[Aws, str], tuple[T, ...]]) -> Callable[[], tuple[T, ...] | NotChecked]:
            return pool.submit(_or_not_checked, read_it, aws, replica).result

        instances = pool.submit(_instances, aws, replica)
        subnets, parameters = begin(_subnet_groups), begin(_parameter_groups)
        kept, security = begin(partial(_secrets, names=tuple(secret_ids))), begin(_security_groups)
        return Belongings(
            region=aws.region,
            account=aws.account,
            name=replica,
            instances=instances.result(),
            security_groups=security(),
            subnet_groups=subnets(),
            parameter_groups=parameters(),
            secrets=kept(),
        )


def _or_not_checked(read_it: Callable[[Aws, str], tuple[T, ...]], aws: Aws, replica: str) -> tuple[T, ...] | NotChecked:
    try:
        return read_it(aws, replica)
    except AccessDenied as error:
        return NotChecked(error.what, error.fix)


def _instances(aws: Aws, replica: str) -> tuple[Instance, ...]:
    """Return all instances, or the replica alone for whoever may see no more: then AWS refuses what others use."""
    try:
        return tuple(map(Instance.of, aws.pages("rds", "DescribeDBInstances", "DBInstances")))
    except AccessDenied:
        found = describe(aws, replica)
        return (found,) if found is not None else ()


def _security_groups(aws: Aws, replica: str) -> tuple[SecurityGroup, ...]:
    """Return those with the tag or the name of `replica`, in whatever VPC."""
    found = {
        entry["GroupId"]: SecurityGroup.of(entry)
        for name, value in ((f"tag:{REPLICA_TAG}", replica), ("group-name", group_name(replica)))
        for entry in aws.pages(
            "ec2", "DescribeSecurityGroups", "SecurityGroups", Filters=[{"Name": name, "Values": [value]}]
        )
    }
    return tuple(found[group] for group in sorted(found))


def _subnet_groups(aws: Aws, replica: str) -> tuple[Tagged, ...]:
    """Return the DB subnet groups that have the name of ours, or one that goes on from it."""
    found = ((entry["DBSubnetGroupName"], entry["DBSubnetGroupArn"])
             for entry in aws.pages("rds", "DescribeDBSubnetGroups", "DBSubnetGroups"))  # fmt: skip
    return tuple(_tagged(aws, replica, found))


def _parameter_groups(aws: Aws, replica: str) -> tuple[Tagged, ...]:
    """Return the DB parameter groups that have the name of ours, or one that goes on from it."""
    found = ((entry["DBParameterGroupName"], entry["DBParameterGroupArn"])
             for entry in aws.pages("rds", "DescribeDBParameterGroups", "DBParameterGroups"))  # fmt: skip
    return tuple(_tagged(aws, replica, found))


def _tagged(aws: Aws, replica: str, found: Iterator[tuple[str, str]]) -> Iterator[Tagged]:
    """RDS describes these groups without their tags, and cannot search for them."""
    ours = group_name(replica)
    for name, arn in found:
        if name == ours or name.startswith(f"{ours}-"):
            tags = aws.call("rds", "ListTagsForResource", ResourceName=arn).get("TagList", ())
            yield Tagged(name, arn, as_mapping(tags))


def _secrets(aws: Aws, replica: str, *, names: tuple[str, ...]) -> tuple[Tagged, ...]:
    """Return the secrets with the tag of `replica`, and those called `names`, but for deleted ones.

    The list may be five minutes old (Secrets Manager API reference, ListSecrets), compares beginnings of values, and a
    key with any value: so each that it names is looked at.
    """
    filters = [{"Key": "tag-key", "Values": [REPLICA_TAG]}, {"Key": "tag-value", "Values": [replica]}]
    listed = [entry["ARN"] for entry in aws.pages("secretsmanager", "ListSecrets", "SecretList", Filters=filters)]
    found: dict[str, Tagged] = {}
    for secret_id in (*names, *listed):
        if secret_id in found:
            continue
        with suppress(NotFound):
            secret = aws.call("secretsmanager", "DescribeSecret", SecretId=secret_id)
            each = Tagged(secret["Name"], secret["ARN"], as_mapping(secret.get("Tags", ())))
            if "DeletedDate" not in secret and (secret_id in names or belongs_to(replica, each.tags)):
                found[each.arn] = each
    return tuple(sorted(found.values(), key=lambda each: each.name))

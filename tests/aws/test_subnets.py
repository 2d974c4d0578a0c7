"""A public replica of a private primary, over the wire: made in a subnet group of its own, and never in another's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from replica_access.aws import survey
from replica_access.aws.landscape import NotChecked
from replica_access.aws.ownership import as_mapping
from replica_access.errors import AwsError, NotOurs
from replica_access.model import Change, Plan
from replica_access.spec import Spec
from tests.sandbox_fixtures import Sandbox

from .stage import Stop, StoppableAws, Stopped, carry_out, deny, look, opened, remove, run, spec_of


@pytest.fixture(scope="module")
def aws(sandbox: Sandbox) -> Iterator[StoppableAws]:
    with opened(sandbox) as aws:
        yield aws


@pytest.fixture
def spec(sandbox: Sandbox, private: str) -> Iterator[Spec]:
    """A spec for a replica of it that is not there yet; what was made is taken away."""
    name = sandbox.name("placed")
    yield spec_of(name, primary={"instance": private})
    remove(sandbox, name)


def own(spec: Spec) -> str:
    assert spec.replica is not None
    return f"replica-access-{spec.replica.instance}"


def groups(sandbox: Sandbox, name: str) -> list[dict[str, Any]]:
    found = sandbox.rds.describe_db_subnet_groups()["DBSubnetGroups"]
    return [group for group in found if group["DBSubnetGroupName"] == name]


def subnets(sandbox: Sandbox, name: str) -> set[str]:
    (group,) = groups(sandbox, name)
    return {subnet["SubnetIdentifier"] for subnet in group["Subnets"]}


def of_group(planned: Plan) -> list[Change]:
    return [change for change in planned.changes if "subnet group" in change.action]


@contextmanager
def private_route(sandbox: Sandbox, subnet: str) -> Iterator[None]:
    """Somebody takes the way to the internet from a subnet."""
    filters = [{"Name": "association.subnet-id", "Values": [subnet]}]
    (table,) = sandbox.ec2.describe_route_tables(Filters=filters)["RouteTables"]
    (association,) = [each for each in table["Associations"] if each.get("SubnetId") == subnet]
    sandbox.ec2.disassociate_route_table(AssociationId=association["RouteTableAssociationId"])
    try:
        yield
    finally:
        sandbox.ec2.associate_route_table(RouteTableId=table["RouteTableId"], SubnetId=subnet)


def test_it_lands_in_public_subnets_of_the_same_vpc(sandbox: Sandbox, aws: StoppableAws, spec: Spec) -> None:
    checks, planned = look(aws, spec)
    assert not [check for check in checks if check.outcome == "problem"]
    (change,) = of_group(planned)
    assert change.action == "create subnet group"
    for subnet in subnets(sandbox, "sandbox-public"):
        assert subnet in change.summary
    carry_out(aws, planned)
    assert spec.replica is not None
    made = sandbox.instance(spec.replica.instance or "")
    assert made["DBSubnetGroup"]["DBSubnetGroupName"] == own(spec)
    assert made["PubliclyAccessible"]
    assert subnets(sandbox, own(spec)) == subnets(sandbox, "sandbox-public")
    (group,) = groups(sandbox, own(spec))
    tags = as_mapping(sandbox.rds.list_tags_for_resource(ResourceName=group["DBSubnetGroupArn"])["TagList"])
    assert tags == {"replica-access": spec.replica.instance, "managed-by": "replica-access"}
    assert look(aws, spec)[1] == Plan()
    carry_out(aws, planned)
    assert len(groups(sandbox, own(spec))) == 1
    with private_route(sandbox, min(subnets(sandbox, own(spec)))):
        checks, planned = look(aws, spec)
        (routes,) = [check for check in checks if check.name == "routes"]
        assert routes.outcome == "problem"
        assert "aws ec2 create-route" in routes.fix
        assert planned == Plan()


def test_stopped_before_and_after_the_group_is_made_it_ends_the_same(
    sandbox: Sandbox, aws: StoppableAws, spec: Spec
) -> None:
    _, planned = look(aws, spec)
    before = [change for change in planned.changes if change.action not in {"create subnet group", "create replica"}]
    carry_out(aws, Plan(tuple(before)))
    try:
        for after in (False, True):
            aws.stop = Stop(after)
            with pytest.raises(Stopped):
                run(aws, spec)
            assert aws.stop.calls == ["CreateDBSubnetGroup"]
    finally:
        aws.stop = None
    assert [change.action for change in look(aws, spec)[1].changes] == ["create replica"]
    carry_out(aws, Plan(tuple(of_group(planned))))  # the answer to the call was lost, and it is repeated
    assert len(groups(sandbox, own(spec))) == 1


def test_ours_with_other_subnets_by_now_is_planned_and_mended(sandbox: Sandbox, aws: StoppableAws, spec: Spec) -> None:
    (creation,) = of_group(look(aws, spec)[1])
    carry_out(aws, Plan((creation,)))
    mixed = [min(subnets(sandbox, "sandbox-public")), *subnets(sandbox, "sandbox-private")]
    sandbox.rds.modify_db_subnet_group(DBSubnetGroupName=own(spec), SubnetIds=mixed)
    with pytest.raises(AwsError, match="and not of what was planned"):
        carry_out(aws, Plan((creation,)))
    (change,) = of_group(look(aws, spec)[1])
    assert change.action == "change subnet group"
    carry_out(aws, Plan((change,)))
    assert subnets(sandbox, own(spec)) == subnets(sandbox, "sandbox-public")
    assert not of_group(look(aws, spec)[1])


def test_a_group_of_that_name_that_is_not_ours_is_left_alone(sandbox: Sandbox, aws: StoppableAws, spec: Spec) -> None:
    (creation,) = of_group(look(aws, spec)[1])
    theirs = sorted(subnets(sandbox, "sandbox-private"))
    sandbox.rds.create_db_subnet_group(DBSubnetGroupName=own(spec), DBSubnetGroupDescription="theirs", SubnetIds=theirs)
    checks, planned = look(aws, spec)
    assert not planned.changes
    assert "does not carry our tag" in planned.blocked[0].reason
    assert "add-tags-to-resource" in planned.blocked[0].fix
    assert "subnet group" in {check.name for check in checks if check.outcome == "problem"}
    with pytest.raises(NotOurs, match="does not carry our tag"):
        carry_out(aws, Plan((creation,)))
    assert sorted(subnets(sandbox, own(spec))) == theirs


def test_no_public_subnets_in_two_zones_stop_everything_and_say_which_lack_what(
    sandbox: Sandbox, aws: StoppableAws, spec: Spec
) -> None:
    closed, still = sorted(subnets(sandbox, "sandbox-public"))
    with private_route(sandbox, closed):
        _, planned = look(aws, spec)
    assert not planned.changes
    (blocked,) = planned.blocked
    assert f"only {still} (" in blocked.reason
    for subnet in (closed, *subnets(sandbox, "sandbox-private")):
        assert f"{subnet} (main route table" in blocked.reason
    assert "aws ec2 create-route --route-table-id RTB-ID" in blocked.fix


def test_tags_that_may_not_be_seen_are_no_proof_that_it_is_ours(
    sandbox: Sandbox, aws: StoppableAws, spec: Spec
) -> None:
    carry_out(aws, Plan(tuple(of_group(look(aws, spec)[1]))))
    with opened(sandbox) as limited:
        deny(limited, "rds", "ListTagsForResource")
        (blocked,) = look(limited, spec)[1].blocked
        assert "cannot be seen" in blocked.reason
        assert "rds:ListTagsForResource" in blocked.fix


def test_other_replicas_of_the_primary_are_looked_at(sandbox: Sandbox, aws: StoppableAws) -> None:
    with sandbox.replica() as other:
        spec = spec_of(sandbox.name("fresh"))
        found = survey.read(aws, spec).siblings
        assert not isinstance(found, NotChecked)
        assert other in {each.identifier for each in found}
        assert "other replicas" not in {check.name for check in look(aws, spec)[0]}

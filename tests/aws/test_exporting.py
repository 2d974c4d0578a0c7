"""What is exported of an account: the whole set-up, whatever of it is there; and what has to be known for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from replica_access import exporting
from replica_access.aws.ownership import replica_identifier
from replica_access.errors import Blocked, CredentialsError, NotFound, NotOurs, UsageError
from replica_access.model import UNASKED
from replica_access.progress import SILENT
from replica_access.spec import Replica, Spec
from tests.aws.stage import carry_out, environment, look, opened, remove, spec_of
from tests.sandbox_fixtures import Sandbox


@dataclass(frozen=True, slots=True)
class Made:
    """A replica that is there, and the template as it was before."""

    spec: Spec
    before: exporting.Exported


@pytest.fixture(autouse=True)
def here(sandbox: Sandbox) -> Iterator[None]:
    with environment(sandbox):
        yield


def spec_with_iam(sandbox: Sandbox, **changes: Any) -> Spec:
    """A spec for a replica that is not there."""
    wanted = {"replica": {"deletion_protection": False}, "users": {"bi": {"auth": "iam"}}, **changes}
    return spec_of(sandbox.name("exported"), aws={"region": sandbox.status.region}, **wanted)


@pytest.fixture
def spec(sandbox: Sandbox) -> Spec:
    return spec_with_iam(sandbox)


@pytest.fixture(scope="module")
def made(sandbox: Sandbox) -> Iterator[Made]:
    parameters = {"hot_standby_feedback": "1"}
    spec = spec_with_iam(sandbox, replica={"deletion_protection": False, "parameters": parameters})
    with opened(sandbox) as aws:
        before = exporting.template(spec, SILENT, UNASKED)
        carry_out(aws, look(aws, spec)[1])
    yield Made(spec, before)
    remove(sandbox, replica_of(spec))


def replica_of(spec: Spec) -> str:
    name = replica_identifier(spec)
    assert name is not None
    return name


def replica(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["Resources"]["Replica"]["Properties"]
    return found


def test_the_template_is_the_same_before_and_after(made: Made) -> None:
    document, notes = made.before
    assert notes == ()
    assert replica(document)["SourceDBInstanceIdentifier"] == "prod-db"
    assert document["Resources"]["ParameterGroup"]["Properties"]["Parameters"] == {"hot_standby_feedback": "1"}
    assert [each["Default"] for each in document["Parameters"].values()] == ["127.0.0.1/32", "2001:db8::/48"]
    again, (note,) = exporting.template(made.spec, SILENT, UNASKED)
    assert again == document
    assert note == (
        f"replica name: {replica_of(made.spec)} is there already, and no stack makes it a second time. "
        "Import it into a stack, or deploy the template where it is not."
    )


def test_what_stands_in_its_way_is_said(sandbox: Sandbox, spec: Spec) -> None:
    sandbox.ec2.modify_vpc_attribute(VpcId=sandbox.vpc, EnableDnsHostnames={"Value": False})
    try:
        document, notes = exporting.template(spec, SILENT, UNASKED)
    finally:
        sandbox.ec2.modify_vpc_attribute(VpcId=sandbox.vpc, EnableDnsHostnames={"Value": True})
    assert replica(document)["PubliclyAccessible"] is True
    (note,) = notes
    assert note.startswith(f"VPC DNS hostnames: off in {sandbox.vpc}")
    assert "aws ec2 modify-vpc-attribute" in note


def test_a_plan_that_cannot_be_carried_out_is_not_exported(spec: Spec) -> None:
    wrong = spec.model_copy(update={"network": spec.network.model_copy(update={"security_groups": ("nowhere",)})})
    with pytest.raises(Blocked, match="there is no security group nowhere"):
        exporting.template(wrong, SILENT, UNASKED)


def test_a_spec_without_a_replica_has_no_template(spec: Spec) -> None:
    with pytest.raises(UsageError, match=r"The spec has no \[replica\]"):
        exporting.template(spec.model_copy(update={"replica": None}), SILENT, UNASKED)


def test_whoever_connects_gets_the_id_of_the_replica_and_not_of_the_primary(sandbox: Sandbox, made: Made) -> None:
    policy, notes = exporting.policy(made.spec, "connect", "bi")
    ids = [sandbox.instance(name)["DbiResourceId"] for name in (replica_of(made.spec), "prod-db")]
    assert ids[0] != ids[1]
    (statement,) = policy["Statement"]
    assert statement["Action"] == ["rds-db:connect"]
    assert statement["Resource"] == [f"arn:aws:rds-db:{sandbox.status.region}:123456789012:dbuser:{ids[0]}/bi"]
    assert notes == ()


def test_before_there_is_a_replica_nobody_can_be_let_in_to_it(spec: Spec) -> None:
    with pytest.raises(NotFound, match="There is no replica exported") as caught:
        exporting.policy(spec, "connect", "bi")
    assert "replica-access apply" in caught.value.fix


def test_the_id_of_somebody_elses_replica_is_handed_to_nobody(sandbox: Sandbox, spec: Spec) -> None:
    with sandbox.replica() as theirs:
        taken = spec.model_copy(update={"replica": Replica.model_validate({"instance": theirs})})
        with pytest.raises(NotOurs, match="does not carry our tag"):
            exporting.policy(taken, "connect", "bi")


def test_where_there_is_a_replica_its_users_may_log_in_to_that_alone(sandbox: Sandbox, made: Made) -> None:
    found = exporting.policy(made.spec, "audit", None)
    assert logins(found) == [f"dbuser:{sandbox.instance(replica_of(made.spec))['DbiResourceId']}/bi"]
    assert found[1] == ()


def test_until_then_they_may_log_in_anywhere_and_that_is_said(spec: Spec) -> None:
    found = exporting.policy(spec, "audit", None)
    assert logins(found) == ["dbuser:*/bi"]
    (note,) = found[1]
    assert note.endswith("is not there yet: the policy lets its users log in to any instance by IAM.")


def test_an_admin_who_logs_in_by_iam_may_do_so_on_both(sandbox: Sandbox, made: Made) -> None:
    primary = made.spec.primary.model_copy(update={"admin_secret": None, "auth": "iam"})
    by_iam = made.spec.model_copy(update={"primary": primary})
    of_primary, of_replica = (sandbox.instance(name)["DbiResourceId"] for name in ("prod-db", replica_of(made.spec)))
    assert logins(exporting.policy(by_iam, "provision", None)) == [
        f"dbuser:{of_primary}/master", f"dbuser:{of_replica}/master", f"dbuser:{of_replica}/bi",
    ]  # fmt: skip


def test_where_nobody_may_look_the_policy_is_wider_and_that_is_said(sandbox: Sandbox, spec: Spec) -> None:
    with sandbox.faults(deny=("rds:DescribeDBInstances",)):
        found = exporting.policy(spec, "audit", None)
    assert logins(found) == ["dbuser:*/bi"]
    (note,) = found[1]
    assert "rds:DescribeDBInstances" in note


def test_with_region_and_account_in_the_spec_nothing_is_asked_of_aws(sandbox: Sandbox) -> None:
    known = spec_of("analytics", aws={"region": "eu-west-1", "account": "999999999999"}, users={"bi": {}})
    with sandbox.recording() as calls, environment(sandbox, AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY=""):
        policy, notes = exporting.policy(known, "provision", None)
    assert (calls, notes) == ([], ())
    resources = {each for statement in policy["Statement"] for each in statement["Resource"]} - {"*"}
    assert {tuple(each.split(":")[3:5]) for each in resources} == {("eu-west-1", "999999999999"), ("eu-west-1", "*")}


def test_the_account_is_that_of_the_primary_where_the_spec_has_its_arn(sandbox: Sandbox) -> None:
    arn = "arn:aws-cn:rds:cn-north-1:111122223333:db:prod-db"
    spec = spec_of("analytics", aws={"region": "cn-north-1"}, primary={"instance": arn})
    policy, _ = exporting.policy(spec, "audit", None)
    assert policy["Statement"][0]["Resource"] == ["arn:aws-cn:rds:cn-north-1:111122223333:db:*"]


def test_without_an_account_anywhere_somebody_has_to_be_logged_in(sandbox: Sandbox, spec: Spec) -> None:
    with sandbox.faults(expire=0), pytest.raises(CredentialsError, match="expired"):
        exporting.policy(spec, "audit", None)


def logins(found: exporting.Exported) -> list[str]:
    return [
        resource.split(":", 5)[-1]
        for statement in found[0]["Statement"]
        for resource in statement["Resource"]
        if statement["Action"] == ["rds-db:connect"]
    ]

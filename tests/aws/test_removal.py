"""Taking it all away over the wire: nothing of ours is left, nothing else is touched, wherever it was interrupted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from replica_access import removal
from replica_access.aws import execute_removal, ownership
from replica_access.aws.hosting import RdsHosting
from replica_access.errors import AwsError, CredentialsError, NotOurs, WaitFailed
from replica_access.model import Plan, Secret
from replica_access.outlook import Outlook
from replica_access.progress import SILENT
from replica_access.sandbox.faults import LostAnswer, Turn
from replica_access.sandbox.process import polls
from replica_access.spec import Spec
from tests.sandbox_fixtures import Sandbox, tcp

from .stage import DEADLINE_S, Listener, Stop, StoppableAws, Stopped, account, names, opened, remove, run, spec_of

ALL = [
    "unprotect replica",
    "delete replica",
    "delete security group",
    "delete subnet group",
    "delete parameter group",
    "delete secret",
]


@pytest.fixture(scope="module")
def aws(sandbox: Sandbox) -> Iterator[StoppableAws]:
    with opened(sandbox) as aws:
        yield aws


def spec_for(name: str, **changes: Any) -> Spec:
    """Return a spec with a user, whose secret is named after the replica: tests share one account."""
    users = {"bi": {"secret": f"replica-access/{name}-bi"}}
    return spec_of(name, users=users, **changes)


def groups_of(sandbox: Sandbox, name: str, *, tagged: bool = True) -> None:
    """Make the subnet group and the parameter group that a replica of ours may have."""
    known = {"Tags": ownership.as_list(ownership.tags(name))} if tagged else {}
    group = ownership.group_name(name)
    subnets = [subnet["SubnetIdentifier"] for subnet in sandbox.instance()["DBSubnetGroup"]["Subnets"]]
    sandbox.rds.create_db_subnet_group(
        DBSubnetGroupName=group, DBSubnetGroupDescription="test", SubnetIds=subnets, **known
    )
    family = sandbox.rds.describe_db_parameter_groups()["DBParameterGroups"][0]["DBParameterGroupFamily"]
    sandbox.rds.create_db_parameter_group(
        DBParameterGroupName=group, DBParameterGroupFamily=family, Description="test", **known
    )


@contextmanager
def made(sandbox: Sandbox, aws: StoppableAws, *, replica: bool = True) -> Iterator[tuple[Spec, RdsHosting]]:
    """Everything that can belong to a replica, under a name of its own; whatever is left of it goes in the end."""
    name = sandbox.name("going")
    spec = spec_for(name)
    hosting = RdsHosting(aws, spec, DEADLINE_S)
    try:
        if replica:
            run(aws, spec)
            hosting.store_password("bi", Secret("a password of this test"))
        groups_of(sandbox, name)
        yield spec, hosting
    finally:
        aws.stop = None
        forget(sandbox, name)


def forget(sandbox: Sandbox, name: str) -> None:
    remove(sandbox, name)
    group, rds = ownership.group_name(name), sandbox.rds
    if group in names(rds.describe_db_subnet_groups()["DBSubnetGroups"], "DBSubnetGroupName"):
        rds.delete_db_subnet_group(DBSubnetGroupName=group)
    if group in names(rds.describe_db_parameter_groups()["DBParameterGroups"], "DBParameterGroupName"):
        rds.delete_db_parameter_group(DBParameterGroupName=group)
    secrets = sandbox.client("secretsmanager")
    for secret in secrets.list_secrets(IncludePlannedDeletion=True)["SecretList"]:
        if secret["Name"].startswith(f"replica-access/{name}-"):
            secrets.delete_secret(SecretId=secret["ARN"], ForceDeleteWithoutRecovery=True)


def planned(hosting: RdsHosting) -> Plan:
    return hosting.look_for_removal()[1]


def take_away(hosting: RdsHosting, plan: Plan | None = None) -> removal.Removed:
    outlook = Outlook((), planned(hosting) if plan is None else plan)
    return removal.destroy(hosting.spec, hosting, outlook, SILENT)


def actions(plan: Plan) -> list[str]:
    return [change.action for change in plan.changes]


# --- undisturbed, and interrupted ------------------------------------------------------------------------------------


def test_the_account_is_as_it_was_before(sandbox: Sandbox, aws: StoppableAws) -> None:
    sandbox.rds.describe_db_parameter_groups()  # makes the default group, as the first use does
    before = account(sandbox)
    with made(sandbox, aws) as (_, hosting):
        assert account(sandbox) != before
        assert actions(planned(hosting)) == ALL
        removed = take_away(hosting)
        assert removed.failures == []
        assert [change.action for change in removed.changes] == ALL
        assert account(sandbox) == before
        assert planned(hosting) == Plan()


def test_interrupted_before_and_after_every_call_it_ends_the_same(sandbox: Sandbox, aws: StoppableAws) -> None:
    before, stopped_at = account(sandbox), []
    with made(sandbox, aws) as (_, hosting):
        operations = [change.call.operation for change in planned(hosting).changes if change.call]
        for _ in operations:
            for after in (False, True):
                aws.stop = Stop(after)
                with pytest.raises(Stopped):
                    take_away(hosting)
                stopped_at.append((aws.stop.calls[-1], after))
        aws.stop = None
        assert planned(hosting) == Plan()
        assert account(sandbox) == before
    assert stopped_at == [(operation, after) for operation in operations for after in (False, True)]


@pytest.mark.parametrize("acts", [False, True], ids=["before it acted", "after it acted"])
def test_a_lost_answer_to_each_call_changes_nothing(sandbox: Sandbox, aws: StoppableAws, acts: bool) -> None:
    """botocore sends the same call again, and what it asks for has happened already, or has not."""
    before = account(sandbox)
    with made(sandbox, aws) as (_, hosting):
        calls = [change.call for change in planned(hosting).changes if change.call]
        lost = tuple(LostAnswer(f"{call.service}:{call.operation}", acts=acts) for call in calls)
        with sandbox.faults(lose=lost):
            assert take_away(hosting).failures == []
        assert account(sandbox) == before


# --- a replica in whatever state -------------------------------------------------------------------------------------


def test_a_replica_that_is_being_made_goes_as_soon_as_it_can(sandbox: Sandbox, aws: StoppableAws) -> None:
    with made(sandbox, aws, replica=False) as (spec, hosting):
        aws.stop = Stop(after=True)
        for _ in range(4):  # the group, two addresses, the replica
            with pytest.raises(Stopped):
                run(aws, spec)
        aws.stop = None
        assert sandbox.instance(replica_of(spec))["DBInstanceStatus"] == "creating"
        assert take_away(hosting).failures == []
        assert planned(hosting) == Plan()


def test_a_replica_that_somebody_deletes_already_is_waited_for(sandbox: Sandbox, aws: StoppableAws) -> None:
    with made(sandbox, aws) as (spec, hosting):
        name = replica_of(spec)
        before = planned(hosting)
        sandbox.rds.modify_db_instance(DBInstanceIdentifier=name, DeletionProtection=False)
        with sandbox.faults(hold={name: "deleting"}):
            sandbox.rds.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)
            sandbox.follow(name, until="deleting")
            now = planned(hosting)
            assert now.changes[0].summary == f"wait until {name} is gone: it is being deleted already"
            removed = removal.destroy(spec, RdsHosting(aws, spec, 0.5), Outlook((), now), SILENT)
            (failure,) = removed.failures
            assert removed.changes == []  # its groups are not even tried
            assert isinstance(failure.error, WaitFailed)
            assert f"{name} is not gone after" in failure.error.what
        assert take_away(hosting, before).failures == []  # a plan of before it does it, too
        assert planned(hosting) == Plan()


def test_a_replica_whose_creation_failed_goes(sandbox: Sandbox, aws: StoppableAws) -> None:
    with failed(sandbox, aws, deletion_protection=False) as hosting:
        assert actions(planned(hosting)) == ["delete replica", "delete security group"]
        assert take_away(hosting).failures == []
        assert planned(hosting) == Plan()


def test_a_replica_that_cannot_be_changed_and_is_protected_stays_and_that_is_said(
    sandbox: Sandbox, aws: StoppableAws
) -> None:
    with failed(sandbox, aws, deletion_protection=True) as hosting:
        name = replica_of(hosting.spec)
        removed = take_away(hosting)
        assert removed.changes == []
        (failure,) = removed.failures
        assert (
            failure.error.what
            == f"{name} is protected from deletion, and cannot be changed: it is incompatible-network."
        )
        assert f"--source-identifier {name}" in failure.error.fix


@contextmanager
def failed(sandbox: Sandbox, aws: StoppableAws, *, deletion_protection: bool) -> Iterator[RdsHosting]:
    name = sandbox.name("failed")
    spec = spec_of(name, replica={"deletion_protection": deletion_protection})
    try:
        with sandbox.faults(fail={name: "incompatible-network"}), pytest.raises(WaitFailed):
            run(aws, spec)
        yield RdsHosting(aws, spec, DEADLINE_S)
    finally:
        with sandbox.faults(turn=(Turn(name, "available", seconds=0.1),) if name in sandbox.names() else ()):
            forget(sandbox, name)


def test_a_replica_that_was_promoted_is_never_deleted(sandbox: Sandbox, aws: StoppableAws) -> None:
    with made(sandbox, aws) as (spec, hosting):
        name, before = replica_of(spec), planned(hosting)
        sandbox.rds.promote_read_replica(DBInstanceIdentifier=name)
        for _ in polls(DEADLINE_S):
            if "ReadReplicaSourceDBInstanceIdentifier" not in sandbox.settle(name):
                break
        plan = planned(hosting)
        assert plan.changes == ()
        (blocked,) = plan.blocked
        assert not blocked.optional
        assert "it was promoted, and may hold what nobody else has" in blocked.reason
        (failure,) = take_away(hosting, before).failures  # a plan of before it must not, either
        assert isinstance(failure.error, NotOurs)
        assert "promoted meanwhile" in failure.error.what
        assert sandbox.instance(name)["DeletionProtection"]


def test_a_replica_with_replicas_of_its_own_stays(sandbox: Sandbox, aws: StoppableAws) -> None:
    with made(sandbox, aws) as (spec, hosting):
        name = replica_of(spec)
        sandbox.rds.modify_db_instance(DBInstanceIdentifier=name, BackupRetentionPeriod=1, ApplyImmediately=True)
        sandbox.settle(name)
        with sandbox.replica(SourceDBInstanceIdentifier=name) as below:
            plan = planned(hosting)
            assert plan.changes == ()
            assert below in plan.blocked[0].reason
        assert actions(planned(hosting)) == ALL


def replica_of(spec: Spec) -> str:
    name = ownership.replica_identifier(spec)
    assert name is not None
    return name


# --- what holds a group ----------------------------------------------------------------------------------------------


def test_the_interface_of_the_replica_is_waited_for(
    sandbox: Sandbox, aws: StoppableAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener = Listener()
    with made(sandbox, aws) as (spec, hosting):
        with monkeypatch.context() as patch, sandbox.faults(linger=60):
            patch.setattr(execute_removal, "HELD_S", 1.0)
            (failure,) = take_away(hosting).failures
            (interface,) = sandbox.interfaces(group_id=group_of(sandbox, spec))
            named = f"the network interface {interface['NetworkInterfaceId']} (RDSNetworkInterface)"
            assert f"it is held by {named}" in failure.error.what
            assert actions(planned(hosting)) == ["delete security group"]
        outlook = Outlook((), planned(hosting))
        with sandbox.faults(linger=0):  # the interface goes when the sandbox looks again
            assert removal.destroy(spec, hosting, outlook, listener).failures == []
        assert planned(hosting) == Plan()


def test_an_interface_that_lingers_is_no_failure(sandbox: Sandbox, aws: StoppableAws) -> None:
    listener = Listener()
    with made(sandbox, aws) as (spec, hosting), sandbox.faults(linger=3):
        outlook = Outlook((), planned(hosting))
        assert removal.destroy(spec, hosting, outlook, listener).failures == []
        assert any("is held by the network interface eni-" in line for line in listener.heard), listener.heard
        assert planned(hosting) == Plan()


def test_a_dependency_that_stays_is_named_and_keeps_nothing_else(sandbox: Sandbox, aws: StoppableAws) -> None:
    with made(sandbox, aws, replica=False) as (spec, hosting), sandbox.group() as other:
        ours = make_group(sandbox, spec)
        port = sandbox.instance()["Endpoint"]["Port"]
        permission = {**tcp(port), "UserIdGroupPairs": [{"GroupId": ours}]}
        rule = sandbox.ec2.authorize_security_group_ingress(GroupId=other, IpPermissions=[permission])
        rule_id = rule["SecurityGroupRules"][0]["SecurityGroupRuleId"]
        removed = take_away(hosting)
        (failure,) = removed.failures
        assert isinstance(failure.error, AwsError)
        assert failure.error.code == "DependencyViolation"
        assert f"it is held by rule {rule_id} of the security group {other}" in failure.error.what
        assert "run the same command again" in failure.error.fix
        assert [change.action for change in removed.changes] == ["delete subnet group", "delete parameter group"]
        assert actions(planned(hosting)) == ["delete security group"]
        sandbox.ec2.revoke_security_group_ingress(GroupId=other, SecurityGroupRuleIds=[rule_id])
        assert take_away(hosting).failures == []


def test_an_interface_of_somebody_else_is_named_at_once(sandbox: Sandbox, aws: StoppableAws) -> None:
    with made(sandbox, aws, replica=False) as (spec, hosting):
        ours, listener = make_group(sandbox, spec), Listener()
        subnet = sandbox.instance()["DBSubnetGroup"]["Subnets"][0]["SubnetIdentifier"]
        interface = sandbox.ec2.create_network_interface(SubnetId=subnet, Groups=[ours], Description="a bastion")
        interface_id = interface["NetworkInterface"]["NetworkInterfaceId"]
        try:
            removed = removal.destroy(spec, hosting, Outlook((), planned(hosting)), listener)
        finally:
            sandbox.ec2.delete_network_interface(NetworkInterfaceId=interface_id)
        (failure,) = removed.failures
        assert f"held by the network interface {interface_id} (a bastion)" in failure.error.what
        assert listener.heard == []  # nobody waits for what does not go by itself
        assert take_away(hosting).failures == []


def group_of(sandbox: Sandbox, spec: Spec) -> str:
    filters = [{"Name": "group-name", "Values": [ownership.group_name(replica_of(spec))]}]
    (group,) = sandbox.ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
    return str(group["GroupId"])


def test_a_group_that_another_instance_uses_stays_and_is_named(sandbox: Sandbox, aws: StoppableAws) -> None:
    with made(sandbox, aws, replica=False) as (spec, hosting):
        ours = make_group(sandbox, spec)
        with sandbox.replica(VpcSecurityGroupIds=[ours]) as other:
            plan = planned(hosting)
            assert actions(plan) == ["delete subnet group", "delete parameter group"]
            (blocked,) = plan.blocked
            assert (blocked.object, blocked.optional) == (f"security group {ours}", True)
            assert other in blocked.reason
            assert take_away(hosting).failures == []
            assert actions(planned(hosting)) == []
        assert actions(planned(hosting)) == ["delete security group"]


def make_group(sandbox: Sandbox, spec: Spec) -> str:
    """The security group of a replica that is gone already."""
    name = replica_of(spec)
    tags = [{"ResourceType": "security-group", "Tags": ownership.as_list(ownership.tags(name))}]
    return str(
        sandbox.ec2.create_security_group(
            GroupName=ownership.group_name(name), Description="test", VpcId=sandbox.vpc, TagSpecifications=tags
        )["GroupId"]
    )


# --- not ours --------------------------------------------------------------------------------------------------------


def test_what_has_our_names_and_not_our_tag_is_named_and_left(sandbox: Sandbox, aws: StoppableAws) -> None:
    name = sandbox.name("theirs")
    spec = spec_for(name)
    hosting, secrets = RdsHosting(aws, spec, DEADLINE_S), sandbox.client("secretsmanager")
    group = sandbox.ec2.create_security_group(
        GroupName=ownership.group_name(name), Description="theirs", VpcId=sandbox.vpc
    )["GroupId"]
    try:
        sandbox.rds.create_db_instance_read_replica(
            DBInstanceIdentifier=name, SourceDBInstanceIdentifier="prod-db", VpcSecurityGroupIds=[group]
        )
        groups_of(sandbox, name, tagged=False)
        secrets.create_secret(Name=f"replica-access/{name}-bi", SecretString="theirs")
        sandbox.follow(name)
        before, plan = account(sandbox), planned(hosting)
        assert (plan.changes, plan.blocked) == ((), ())
        assert [(left.kind, left.name) for left in plan.pending] == [
            ("instance", name),
            ("security group", f"{ownership.group_name(name)} ({group})"),
            ("subnet group", ownership.group_name(name)),
            ("parameter group", ownership.group_name(name)),
            ("secret", f"replica-access/{name}-bi"),
        ]
        assert all("does not carry our tag" in left.reason for left in plan.pending)
        assert take_away(hosting).changes == []
        assert account(sandbox) == before
    finally:
        forget(sandbox, name)


def test_what_lost_our_tag_after_the_plan_was_made_stays(sandbox: Sandbox, aws: StoppableAws) -> None:
    with made(sandbox, aws) as (spec, hosting):
        name, plan = replica_of(spec), planned(hosting)
        rds, group = sandbox.rds, ownership.group_name(replica_of(spec))
        arns = [
            sandbox.instance(name)["DBInstanceArn"],
            rds.describe_db_subnet_groups(DBSubnetGroupName=group)["DBSubnetGroups"][0]["DBSubnetGroupArn"],
            rds.describe_db_parameter_groups(DBParameterGroupName=group)["DBParameterGroups"][0]["DBParameterGroupArn"],
        ]
        for arn in arns:
            rds.remove_tags_from_resource(ResourceName=arn, TagKeys=[ownership.REPLICA_TAG])
        before = account(sandbox)
        (failure,) = take_away(hosting, plan).failures
        assert isinstance(failure.error, NotOurs)
        assert account(sandbox) == before
        groups = Plan(tuple(change for change in plan.changes if "subnet" in change.action or "param" in change.action))
        assert [type(failure.error) for failure in take_away(hosting, groups).failures] == [NotOurs, NotOurs]
        assert account(sandbox) == before


# --- what cannot be seen or done -------------------------------------------------------------------------------------


def test_what_may_not_be_looked_at_is_said_and_the_rest_goes(sandbox: Sandbox, aws: StoppableAws) -> None:
    denied = ("secretsmanager:ListSecrets", "ec2:DescribeSecurityGroups")
    with made(sandbox, aws, replica=False) as (_, hosting), sandbox.faults(deny=denied):
        checks, plan = hosting.look_for_removal()
        unseen = [check for check in checks if check.outcome == "not checked"]
        assert [check.name for check in unseen] == ["security groups", "secrets"]
        assert "ec2:DescribeSecurityGroups" in unseen[0].fix
        assert actions(plan) == ["delete subnet group", "delete parameter group"]
        assert take_away(hosting, plan).failures == []


def test_credentials_that_expire_end_the_run_at_once(sandbox: Sandbox, aws: StoppableAws) -> None:
    with made(sandbox, aws, replica=False) as (_, hosting):
        plan = planned(hosting)
        with sandbox.faults(expire=0):
            removed = take_away(hosting, plan)
        assert removed.changes == []
        assert [type(failure.error) for failure in removed.failures] == [CredentialsError]
        assert take_away(hosting).failures == []


def test_a_call_that_is_denied_keeps_nothing_else_from_going(sandbox: Sandbox, aws: StoppableAws) -> None:
    with made(sandbox, aws, replica=False) as (_, hosting):
        with sandbox.faults(deny=("rds:DeleteDBSubnetGroup",)):
            removed = take_away(hosting)
        assert [failure.error.what for failure in removed.failures if "rds:DeleteDBSubnetGroup" in failure.error.what]
        assert [change.action for change in removed.changes] == ["delete parameter group"]
        assert take_away(hosting).failures == []


# --- secrets ---------------------------------------------------------------------------------------------------------


def test_a_deleted_secret_of_ours_is_restored_by_the_next_plan(sandbox: Sandbox, aws: StoppableAws) -> None:
    with made(sandbox, aws) as (spec, hosting):
        secret = spec.secret_of("bi")
        assert take_away(hosting).failures == []
        assert hosting.keeps_password("bi")
        with pytest.raises(AwsError, match="is scheduled for deletion"):
            hosting.password("bi")
        restored = [change for change in hosting.look()[1].changes if change.action == "restore secret"]
        assert [change.object for change in restored] == [secret]
        for _ in range(2):  # twice is as good as once
            hosting.execute(restored[0], SILENT)
            assert hosting.password("bi") == Secret("a password of this test")
        assert not [change for change in hosting.look()[1].changes if change.action == "restore secret"]


def test_a_deleted_secret_of_somebody_else_is_said_to_be_in_the_way(sandbox: Sandbox, aws: StoppableAws) -> None:
    with made(sandbox, aws, replica=False) as (spec, hosting):
        secrets = sandbox.client("secretsmanager")
        secrets.create_secret(Name=spec.secret_of("bi"), SecretString="theirs")
        secrets.delete_secret(SecretId=spec.secret_of("bi"))
        with pytest.raises(AwsError, match="is scheduled for deletion"):
            hosting.password("bi")
        with pytest.raises(AwsError, match="is scheduled for deletion"):
            hosting.store_password("bi", Secret("ours"))

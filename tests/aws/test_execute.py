"""The AWS stage over the wire: made once, made again, interrupted everywhere, and never on what is not ours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from replica_access.aws import survey
from replica_access.aws.credentials import primary_login, replica_login
from replica_access.aws.execute import execute
from replica_access.errors import AwsError, ConnectionFailed, NotOurs, WaitFailed
from replica_access.model import Call, Change, Plan, Request
from replica_access.postgres.connect import connect
from replica_access.progress import SILENT
from replica_access.sandbox.elsewhere import from_elsewhere
from replica_access.spec import Spec
from tests.sandbox_fixtures import Sandbox, tcp

from .stage import (
    Listener,
    Stop,
    StoppableAws,
    Stopped,
    carry_out,
    look,
    opened,
    remove,
    run,
    spec_of,
    state,
)


@pytest.fixture(scope="module")
def aws(sandbox: Sandbox) -> Iterator[StoppableAws]:
    with opened(sandbox) as aws:
        yield aws


@pytest.fixture(scope="module")
def made(sandbox: Sandbox) -> Iterator[tuple[str, Plan]]:
    """A replica that an undisturbed run made, and the plan of that run; the tests of it put back what they change."""
    name = sandbox.name("made")
    with opened(sandbox) as aws:
        planned = run(aws, spec_of(name))
    yield name, planned
    remove(sandbox, name)


@pytest.fixture
def spec(made: tuple[str, Plan]) -> Spec:
    return spec_of(made[0])


def group_id(sandbox: Sandbox, name: str) -> str:
    filters = [{"Name": "group-name", "Values": [f"replica-access-{name}"]}]
    (group,) = sandbox.ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
    return str(group["GroupId"])


# --- undisturbed -----------------------------------------------------------------------------------------------------


def test_a_run_leaves_what_the_spec_says(sandbox: Sandbox, made: tuple[str, Plan]) -> None:
    name, planned = made
    ours = {"replica-access": name, "managed-by": "replica-access"}
    port = sandbox.instance()["Endpoint"]["Port"]
    assert [change.action for change in planned.changes] == [
        "create security group",
        "allow address",
        "allow address",
        "create replica",
    ]
    assert state(sandbox, name) == {
        "groups": [{**ours, "Name": f"replica-access-{name}"}],
        "rules": [
            (
                "127.0.0.1/32",
                port,
                "Zoe-s laptop, until 2099-12-31",
                sorted({**ours, "note": "Zoë's laptop", "expires": "2099-12-31"}.items()),
            ),
            ("2001:db8::/48", port, "VPN", sorted({**ours, "note": "VPN"}.items())),
        ],
        "attached": [True],
        "source": "prod-db",
        "tags": ours,
        "parameters": [("in-sync", {})],
        "DBInstanceClass": sandbox.instance()["DBInstanceClass"],
        "PubliclyAccessible": True,
        "DeletionProtection": True,
        "CopyTagsToSnapshot": True,
        "IAMDatabaseAuthenticationEnabled": False,
        "EnabledCloudwatchLogsExports": ["postgresql", "upgrade"],
        "DBInstanceStatus": "available",
    }


def test_a_second_run_plans_nothing(aws: StoppableAws, spec: Spec) -> None:
    checks, planned = look(aws, spec)
    assert planned == Plan()
    assert {check.outcome for check in checks} <= {"ok", "note"}


def test_the_same_plan_carried_out_twice_changes_nothing(
    sandbox: Sandbox, aws: StoppableAws, made: tuple[str, Plan]
) -> None:
    name, planned = made
    before = state(sandbox, name)
    carry_out(aws, planned)
    assert state(sandbox, name) == before


def test_the_allowed_address_gets_in_and_another_does_not(aws: StoppableAws, spec: Spec) -> None:
    landscape = survey.read(aws, spec)
    assert landscape.replica is not None
    login = replica_login(aws, spec, landscape.replica, primary_login(aws, spec, landscape.primary))
    with connect(login) as connection:
        assert connection.execute("SELECT pg_catalog.pg_is_in_recovery()").fetchone() == (True,)
    with from_elsewhere(int(login.parameters["port"])) as port:
        stranger = replace(login, parameters={**login.parameters, "host": "localhost", "port": str(port)})
        with pytest.raises(ConnectionFailed, match="pg_hba"):
            connect(stranger)


# --- interrupted -----------------------------------------------------------------------------------------------------


def test_interrupted_before_and_after_every_call_it_ends_the_same(
    sandbox: Sandbox, aws: StoppableAws, made: tuple[str, Plan]
) -> None:
    undisturbed, planned = made
    name = sandbox.name("stopped")
    spec = spec_of(name)
    stopped_at = []
    try:
        for _ in planned.changes:
            for after in (False, True):
                aws.stop = Stop(after)
                with pytest.raises(Stopped):
                    run(aws, spec)
                stopped_at.append((aws.stop.calls[-1], after))
        aws.stop = None
        (last,) = run(aws, spec).changes
        assert last.action == "wait for replica"
        assert look(aws, spec)[1] == Plan()
        expected = repr(state(sandbox, undisturbed)).replace(undisturbed, name)
        assert repr(state(sandbox, name)) == expected
    finally:
        aws.stop = None
        remove(sandbox, name)
    operations = [change.call.operation for change in planned.changes if change.call]
    assert stopped_at == [(operation, after) for operation in operations for after in (False, True)]


# --- drift -----------------------------------------------------------------------------------------------------------


def test_what_was_changed_by_hand_is_mended_and_what_was_added_stays(
    sandbox: Sandbox, aws: StoppableAws, spec: Spec, made: tuple[str, Plan]
) -> None:
    name, ours = made[0], group_id(sandbox, made[0])
    port = sandbox.instance()["Endpoint"]["Port"]
    with sandbox.group("198.51.100.0/24") as theirs:
        sandbox.rds.modify_db_instance(
            DBInstanceIdentifier=name,
            VpcSecurityGroupIds=[theirs],
            DeletionProtection=False,
            PubliclyAccessible=False,
            ApplyImmediately=True,
        )
        sandbox.settle(name)
        sandbox.ec2.revoke_security_group_ingress(GroupId=ours, IpPermissions=[tcp(port, "127.0.0.1/32")])
        sandbox.ec2.authorize_security_group_ingress(GroupId=ours, IpPermissions=[tcp(port, "198.51.100.7/32")])
        planned = run(aws, spec)
        assert [(change.action, change.object) for change in planned.changes] == [  # without what is taken away
            ("allow address", "127.0.0.1/32"),
            ("change replica", name),
        ]
        mended = sandbox.instance(name)
        assert {entry["VpcSecurityGroupId"] for entry in mended["VpcSecurityGroups"]} == {theirs, ours}
        assert mended["DeletionProtection"]
        assert mended["PubliclyAccessible"]
        cidrs = [rule[0] for rule in state(sandbox, name)["rules"]]
        assert cidrs == ["127.0.0.1/32", "198.51.100.7/32", "2001:db8::/48"]
        beyond = run(aws, spec, Request(allow_revoke=True))
        assert [(change.action, change.object) for change in beyond.changes] == [
            ("revoke address", "198.51.100.7/32"),
            ("detach security group", name),
        ]
        assert [entry["VpcSecurityGroupId"] for entry in sandbox.instance(name)["VpcSecurityGroups"]] == [ours]
        assert [rule[0] for rule in state(sandbox, name)["rules"]] == ["127.0.0.1/32", "2001:db8::/48"]
        assert look(aws, spec)[1] == Plan()


def test_a_replica_that_a_person_keeps_busy_is_waited_for(
    sandbox: Sandbox, aws: StoppableAws, made: tuple[str, Plan]
) -> None:
    name, listener = made[0], Listener()
    for wanted in (True, False, True, False, True, False):  # a busy machine may have rebooted it before we come
        _, planned = look(aws, spec_of(name, replica={"iam_authentication": wanted}))
        sandbox.settle(name)
        sandbox.rds.reboot_db_instance(DBInstanceIdentifier=name)
        carry_out(aws, planned, listener)
        assert sandbox.instance(name)["IAMDatabaseAuthenticationEnabled"] is wanted
        if any(line.startswith(f"{name} is rebooting: waiting") for line in listener.heard):
            break
    else:
        raise AssertionError(listener.heard)
    sandbox.settle(name)
    sandbox.rds.modify_db_instance(
        DBInstanceIdentifier=name, EnableIAMDatabaseAuthentication=False, ApplyImmediately=True
    )
    sandbox.settle(name)


# --- not ours --------------------------------------------------------------------------------------------------------


def test_a_replica_without_our_tag_is_refused_by_plan_and_by_a_plan_made_before(
    sandbox: Sandbox, aws: StoppableAws
) -> None:
    name = sandbox.name("theirs")
    spec = spec_of(name)
    _, before = look(aws, spec)
    sandbox.rds.create_db_instance_read_replica(
        DBInstanceIdentifier=name, SourceDBInstanceIdentifier="prod-db", PubliclyAccessible=False
    )
    try:
        sandbox.follow(name)
        checks, planned = look(aws, spec)
        assert not planned.changes
        assert "does not carry our tag" in planned.blocked[0].reason
        assert [check.name for check in checks if check.outcome == "problem"] == ["replica name"]
        with pytest.raises(NotOurs, match="does not carry our tag"):
            carry_out(aws, before)
        assert not sandbox.instance(name)["PubliclyAccessible"]
    finally:
        remove(sandbox, name)


def test_a_group_without_our_tag_is_refused_by_plan_and_by_a_plan_made_before(
    sandbox: Sandbox, aws: StoppableAws
) -> None:
    name = sandbox.name("theirs")
    spec = spec_of(name)
    _, before = look(aws, spec)
    theirs = sandbox.ec2.create_security_group(
        GroupName=f"replica-access-{name}", Description="theirs", VpcId=sandbox.vpc
    )["GroupId"]
    try:
        _, planned = look(aws, spec)
        assert not planned.changes
        assert planned.blocked[0].object == theirs
        with pytest.raises(NotOurs, match=theirs):
            carry_out(aws, before)
        assert not sandbox.ec2.describe_security_groups(GroupIds=[theirs])["SecurityGroups"][0]["IpPermissions"]
        assert name not in sandbox.names()
    finally:
        remove(sandbox, name)


# --- what AWS refuses ------------------------------------------------------------------------------------------------


def test_a_refusal_keeps_its_code_and_leaves_nothing_waiting(sandbox: Sandbox, aws: StoppableAws) -> None:
    call = Call(
        "rds",
        "CreateDBInstanceReadReplica",
        {"DBInstanceIdentifier": sandbox.name("never"), "SourceDBInstanceIdentifier": "no-such-source"},
    )
    with pytest.raises(AwsError) as caught:
        execute(aws, Change("aws", "create replica", "never", "create it", call=call), {}, SILENT, 5)
    assert caught.value.code == "DBInstanceNotFound"


def test_a_reference_to_a_change_that_was_not_made_is_refused(aws: StoppableAws) -> None:
    call = Call("ec2", "AuthorizeSecurityGroupIngress", {"GroupId": "${security_group}"})
    with pytest.raises(AwsError, match=r"\$\{security_group\} stands for a change that was not carried out"):
        execute(aws, Change("aws", "allow address", "x", "let x in", call=call), {}, SILENT, 5)


def test_a_call_that_is_none_of_ours_is_refused(sandbox: Sandbox, aws: StoppableAws) -> None:
    call = Call("rds", "StopDBInstance", {"DBInstanceIdentifier": "prod-db"})
    with pytest.raises(AwsError, match="not carried out here"):
        execute(aws, Change("aws", "stop", "prod-db", "stop it", call=call), {}, SILENT, 5)
    assert sandbox.instance()["DBInstanceStatus"] == "available"


def test_a_deadline_says_that_the_same_command_goes_on(sandbox: Sandbox, aws: StoppableAws) -> None:
    name = sandbox.name("slow")
    _, planned = look(aws, spec_of(name))
    outputs: dict[str, str] = {}
    try:
        *before, creation = planned.changes
        for change in before:
            execute(aws, change, outputs, SILENT, 30)
        with pytest.raises(WaitFailed) as caught:
            execute(aws, creation, outputs, SILENT, 0.1)
        assert f"{name} is not ready after" in caught.value.what
        assert "run the same command again" in caught.value.fix
    finally:
        sandbox.follow(name)
        remove(sandbox, name)

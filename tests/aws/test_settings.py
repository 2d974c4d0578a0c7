"""A replica's settings over the wire: as declared, changed by hand one by one, and as declared again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from replica_access.aws import survey, survey_parameters
from replica_access.aws.engine import EngineVersion
from replica_access.aws.ownership import as_mapping
from replica_access.errors import NotOurs
from replica_access.model import Plan, Request
from replica_access.sandbox.faults import NextError
from replica_access.spec import Spec
from tests.sandbox_fixtures import Sandbox

from .stage import Stop, StoppableAws, Stopped, carry_out, look, opened, remove, run, spec_of

ROLE = "arn:aws:iam::123456789012:role/rds-monitoring"
PARAMETERS = {"hot_standby_feedback": "1", "max_standby_streaming_delay": "900000", "max_connections": "150"}
SETTINGS = {
    "class": "db.t4g.large",
    "iam_authentication": True,
    "ca_certificate": "rds-ca-ecc384-g1",
    "log_exports": ["postgresql", "upgrade"],
    "monitoring_interval": 60,
    "monitoring_role": ROLE,
    "performance_insights": True,
    "tags": {"team": "data"},
    "parameters": PARAMETERS,
}


@pytest.fixture(scope="module")
def aws(sandbox: Sandbox) -> Iterator[StoppableAws]:
    with opened(sandbox) as aws:
        yield aws


@pytest.fixture(scope="module")
def made(sandbox: Sandbox, aws: StoppableAws) -> Iterator[tuple[str, Plan]]:
    """A replica with all of these settings, and the plan by which it was made."""
    name = sandbox.name("set")
    yield name, run(aws, spec_of(name, replica=SETTINGS))
    remove(sandbox, name)


@pytest.fixture
def spec(made: tuple[str, Plan]) -> Spec:
    return spec_of(made[0], replica=SETTINGS)


def shown(sandbox: Sandbox, name: str, setting: str) -> str:
    """What PostgreSQL itself says."""
    with sandbox.connect(name) as connection:
        row = connection.execute("SELECT setting FROM pg_catalog.pg_settings WHERE name = %s", [setting]).fetchone()
    assert row is not None
    return str(row[0])


def in_force(sandbox: Sandbox, name: str) -> dict[str, str]:
    return {setting: shown(sandbox, name, setting) for setting in PARAMETERS}


WANTED = {"hot_standby_feedback": "on", "max_standby_streaming_delay": "900000", "max_connections": "150"}


def settings_of(sandbox: Sandbox, name: str) -> dict[str, Any]:
    found = sandbox.settle(name)
    return {
        "class": found["DBInstanceClass"],
        "iam": found["IAMDatabaseAuthenticationEnabled"],
        "authority": found["CACertificateIdentifier"],
        "logs": sorted(found["EnabledCloudwatchLogsExports"]),
        "monitoring": (found["MonitoringInterval"], found.get("MonitoringRoleArn")),
        "insights": found["PerformanceInsightsEnabled"],
        "tags": as_mapping(found["TagList"]),
        "groups": found["DBParameterGroups"],
        "protected": found["DeletionProtection"],
        "public": found["PubliclyAccessible"],
    }


def as_declared(name: str) -> dict[str, Any]:
    return {
        "class": "db.t4g.large",
        "iam": True,
        "authority": "rds-ca-ecc384-g1",
        "logs": ["postgresql", "upgrade"],
        "monitoring": (60, ROLE),
        "insights": True,
        "tags": {"team": "data", "replica-access": name, "managed-by": "replica-access"},
        "groups": [{"DBParameterGroupName": f"replica-access-{name}", "ParameterApplyStatus": "in-sync"}],
        "protected": True,
        "public": True,
    }


# --- made ------------------------------------------------------------------------------------------------------------


def test_one_run_makes_it_as_declared(sandbox: Sandbox, aws: StoppableAws, made: tuple[str, Plan], spec: Spec) -> None:
    name, planned = made
    assert [change.action for change in planned.changes][3:] == [
        "create parameter group",
        "set parameters",
        "create replica",
        "attach parameter group",
        "reboot replica",
    ]
    assert settings_of(sandbox, name) == as_declared(name)
    assert in_force(sandbox, name) == WANTED
    assert shown(sandbox, "prod-db", "hot_standby_feedback") == "off"
    assert look(aws, spec)[1] == Plan()


# --- changed by hand -------------------------------------------------------------------------------------------------


def modified(**call: Any) -> Callable[[Sandbox, str], None]:
    def change(sandbox: Sandbox, name: str) -> None:
        sandbox.rds.modify_db_instance(DBInstanceIdentifier=name, ApplyImmediately=True, **call)

    return change


def regrouped(name: str, value: str, method: str) -> Callable[[Sandbox, str], None]:
    def change(sandbox: Sandbox, replica: str) -> None:
        parameter = {"ParameterName": name, "ParameterValue": value, "ApplyMethod": method}
        sandbox.rds.modify_db_parameter_group(DBParameterGroupName=f"replica-access-{replica}", Parameters=[parameter])

    return change


def retagged(sandbox: Sandbox, name: str) -> None:
    arn = sandbox.instance(name)["DBInstanceArn"]
    sandbox.rds.add_tags_to_resource(ResourceName=arn, Tags=[{"Key": "team", "Value": "sales"}])


def ungrouped(sandbox: Sandbox, name: str) -> None:
    default = sandbox.instance()["DBParameterGroups"][0]["DBParameterGroupName"]
    modified(DBParameterGroupName=default)(sandbox, name)


NO_LOGS = {"CloudwatchLogsExportConfiguration": {"DisableLogTypes": ["postgresql"]}}


@pytest.mark.parametrize(
    ("change_by_hand", "words"),
    [
        (modified(DBInstanceClass="db.t4g.medium"), ["class db.t4g.medium -> db.t4g.large"]),
        (modified(EnableIAMDatabaseAuthentication=False), ["let users log in by IAM"]),
        (
            modified(CACertificateIdentifier="rds-ca-rsa2048-g1"),
            ["certificate of rds-ca-rsa2048-g1 -> rds-ca-ecc384-g1, without a restart"],
        ),
        (modified(**NO_LOGS), ["export its logs postgresql"]),
        (modified(MonitoringInterval=5), ["Enhanced Monitoring every 5 s -> every 60 s"]),
        (modified(EnablePerformanceInsights=False), ["watch it with Performance Insights"]),
        (modified(DeletionProtection=False), ["protect it from deletion"]),
        (modified(PubliclyAccessible=False), ["make it reachable from the internet"]),
        (retagged, ["tag team 'sales' -> 'data'"]),
        (regrouped("max_standby_streaming_delay", "1000", "immediate"), ["max_standby_streaming_delay 1000 -> 900000"]),
        (
            regrouped("max_connections", "170", "pending-reboot"),
            ["max_connections 170 -> 150; max_connections in force after a reboot", "reboot"],
        ),
        (regrouped("work_mem", "65536", "immediate"), ["work_mem 65536 -> the engine's default"]),
        (ungrouped, ["parameter group default.postgres", "reboot"]),
    ],
    ids=lambda value: value[0][:30] if isinstance(value, list) else "",
)
def test_each_change_by_hand_is_planned_and_mended_alone(
    sandbox: Sandbox,
    aws: StoppableAws,
    made: tuple[str, Plan],
    spec: Spec,
    change_by_hand: Callable[[Sandbox, str], None],
    words: list[str],
) -> None:
    name = made[0]
    change_by_hand(sandbox, name)
    sandbox.settle(name)
    planned = run(aws, spec)
    assert len(planned.changes) == len(words), [change.summary for change in planned.changes]
    for change, expected in zip(planned.changes, words, strict=True):
        assert expected in change.summary
    assert look(aws, spec)[1] == Plan()
    assert settings_of(sandbox, name) == as_declared(name)
    assert in_force(sandbox, name) == WANTED


def test_a_dynamic_value_needs_no_reboot_and_what_leaves_the_spec_goes_back(
    sandbox: Sandbox, aws: StoppableAws, made: tuple[str, Plan], spec: Spec
) -> None:
    name = made[0]
    with sandbox.connect(name) as session:
        changed = spec_of(name, replica={**SETTINGS, "parameters": {**PARAMETERS, "work_mem": "65536"}})
        (change,) = run(aws, changed).changes
        assert change.action == "set parameters"
        assert shown(sandbox, name, "work_mem") == "65536"
        (change,) = run(aws, spec).changes
        assert change.action == "reset parameters"
        assert shown(sandbox, name, "work_mem") == shown(sandbox, "prod-db", "work_mem")
        session.execute("SELECT 1")  # nobody has rebooted it


def test_what_is_turned_off_needs_to_be_allowed(
    sandbox: Sandbox, aws: StoppableAws, made: tuple[str, Plan], spec: Spec
) -> None:
    name = made[0]
    off = {
        "iam_authentication": False,
        "deletion_protection": False,
        "performance_insights": False,
        "log_exports": ["postgresql"],
        "monitoring_interval": 0,
        "monitoring_role": None,
    }
    less = spec_of(name, replica={**SETTINGS, **off})
    _, planned = look(aws, less)
    assert {change.takes for change in planned.changes} == {"revoke"}
    assert not planned.allowed(Request()).changes
    carry_out(aws, planned)
    found = settings_of(sandbox, name)
    assert (found["iam"], found["protected"], found["insights"]) == (False, False, False)
    assert (found["logs"], found["monitoring"][0]) == (["postgresql"], 0)
    assert look(aws, less)[1] == Plan()
    run(aws, spec)
    assert settings_of(sandbox, name) == as_declared(name)


def test_what_waits_for_the_maintenance_window_is_applied_now(
    sandbox: Sandbox, aws: StoppableAws, made: tuple[str, Plan], spec: Spec
) -> None:
    name = made[0]
    larger = spec_of(name, replica={**SETTINGS, "class": "db.t4g.xlarge"})
    sandbox.rds.modify_db_instance(DBInstanceIdentifier=name, DBInstanceClass="db.t4g.xlarge")
    assert sandbox.instance(name)["PendingModifiedValues"] == {"DBInstanceClass": "db.t4g.xlarge"}
    (change,) = run(aws, larger).changes
    assert "class db.t4g.large -> db.t4g.xlarge" in change.summary
    assert settings_of(sandbox, name)["class"] == "db.t4g.xlarge"
    run(aws, spec)


def test_what_waits_for_the_maintenance_window_holds_no_reboot_up(
    sandbox: Sandbox, aws: StoppableAws, made: tuple[str, Plan], spec: Spec
) -> None:
    name = made[0]
    sandbox.rds.modify_db_instance(DBInstanceIdentifier=name, DBInstanceClass="db.t4g.xlarge")
    of_any_class = {key: value for key, value in SETTINGS.items() if key != "class"}
    more = spec_of(name, replica={**of_any_class, "parameters": {**PARAMETERS, "max_connections": "160"}})
    assert [change.action for change in run(aws, more).changes] == ["set parameters", "reboot replica"]
    assert shown(sandbox, name, "max_connections") == "160"
    assert sandbox.instance(name)["PendingModifiedValues"] == {"DBInstanceClass": "db.t4g.xlarge"}
    assert look(aws, more)[1] == Plan()
    sandbox.rds.modify_db_instance(DBInstanceIdentifier=name, ApplyImmediately=True)
    sandbox.settle(name)
    run(aws, spec)
    assert settings_of(sandbox, name) == as_declared(name)


# --- interrupted, and not ours ---------------------------------------------------------------------------------------


def test_stopped_before_and_after_every_call_it_ends_as_declared(sandbox: Sandbox, aws: StoppableAws) -> None:
    name = sandbox.name("stopped")
    spec = spec_of(name, replica=SETTINGS)
    stopped_at = []
    try:
        for _ in range(20):
            for after in (False, True):
                aws.stop = Stop(after)
                try:
                    run(aws, spec)
                except Stopped:
                    stopped_at.append((aws.stop.calls[-1], after))
            if not aws.stop or not aws.stop.calls:
                break
        assert look(aws, spec)[1] == Plan()
        assert settings_of(sandbox, name) == as_declared(name)
        assert in_force(sandbox, name) == WANTED
    finally:
        aws.stop = None
        remove(sandbox, name)
    operations = ["CreateDBParameterGroup", "ModifyDBParameterGroup", "CreateDBInstanceReadReplica"]
    operations += ["ModifyDBInstance", "RebootDBInstance"]
    assert stopped_at[-10:] == [(operation, after) for operation in operations for after in (False, True)]


def test_a_parameter_group_without_our_tag_is_refused_by_plan_and_by_a_plan_made_before(
    sandbox: Sandbox, aws: StoppableAws
) -> None:
    name = sandbox.name("theirs")
    spec = spec_of(name, replica={"parameters": {"hot_standby_feedback": "1"}})
    _, before = look(aws, spec)
    family = sandbox.rds.describe_db_engine_versions(Engine="postgres")["DBEngineVersions"][0]["DBParameterGroupFamily"]
    group = f"replica-access-{name}"
    sandbox.rds.create_db_parameter_group(
        DBParameterGroupName=group, DBParameterGroupFamily=family, Description="theirs"
    )
    try:
        checks, planned = look(aws, spec)
        assert not planned.changes
        assert [check.name for check in checks if check.outcome == "problem"] == [group]
        with pytest.raises(NotOurs, match=f"{group} is a parameter group that does not carry our tag"):
            carry_out(aws, before)
        set_by_somebody = sandbox.rds.describe_db_parameters(DBParameterGroupName=group, Source="user")
        assert not set_by_somebody["Parameters"]
        assert name not in sandbox.names()
    finally:
        remove(sandbox, name)


def test_a_replica_that_does_not_start_with_its_parameters_is_got_going_by_others(
    sandbox: Sandbox, aws: StoppableAws, made: tuple[str, Plan], spec: Spec
) -> None:
    name = made[0]
    regrouped("max_connections", "50", "pending-reboot")(sandbox, name)
    sandbox.rds.reboot_db_instance(DBInstanceIdentifier=name)
    sandbox.follow(name, "incompatible-parameters")
    checks, _ = look(aws, spec)
    assert not [check for check in checks if check.outcome == "problem"]
    assert [change.action for change in run(aws, spec).changes] == ["set parameters", "reboot replica"]
    assert look(aws, spec)[1] == Plan()
    assert in_force(sandbox, name) == WANTED


def test_wrong_parameters_stop_it_before_anything_is_made(sandbox: Sandbox, aws: StoppableAws) -> None:
    name = sandbox.name("wrong")
    checks, planned = look(aws, spec_of(name, replica={"parameters": {"hot_standby_feedbak": "1", "work_mem": "4MB"}}))
    assert not planned.changes
    problems = {check.name: check for check in checks if check.outcome == "problem"}
    assert "Did you mean hot_standby_feedback?" in problems["replica.parameters.hot_standby_feedbak"].fix
    assert "(kB)" in problems["replica.parameters.work_mem"].detail


def test_a_default_group_that_is_not_there_yet_is_known_all_the_same(sandbox: Sandbox, aws: StoppableAws) -> None:
    """RDS makes it with the first instance of that family in a Region; the sandbox has it at once."""
    primary = survey.instance(aws, "prod-db")
    assert primary is not None
    engine = survey_parameters.engine_version(aws, primary)
    assert isinstance(engine, EngineVersion)
    spec = spec_of(sandbox.name("new"), replica={"parameters": PARAMETERS})
    there = survey_parameters.parameter_groups(aws, spec, primary, None, engine)
    with sandbox.faults(next=(NextError("rds:DescribeDBParameterGroups", "DBParameterGroupNotFound", status=404),) * 2):
        absent = survey_parameters.parameter_groups(aws, spec, primary, None, engine)
    assert there is not None
    assert absent is not None
    assert absent.known == there.known

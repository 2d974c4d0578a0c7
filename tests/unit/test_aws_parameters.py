"""The parameter group of a replica: what is made, set, reset, attached and rebooted for what is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from replica_access.aws.landscape import Landscape
from replica_access.aws.parameters import Parameter, ParameterGroup, ParameterGroups, is_allowed
from replica_access.aws.plan import plan
from replica_access.model import Change, Check, Plan
from replica_access.spec import Spec

from .aws_landscapes import COMPLETE, DENIED, EMPTY, OUR_TAGS, problems, replica, spec_of

OURS = "replica-access-analytics"
FAMILY = "postgres17"
KNOWN = (
    Parameter("hot_standby_feedback", allowed="0,1", data_type="boolean"),
    Parameter(
        "max_standby_streaming_delay",
        "30000",
        allowed="-1-2147483647",
        data_type="integer",
        about="(ms) Sets the maximum delay before canceling queries.",
    ),
    Parameter("max_connections", "LEAST({DBInstanceClassMemory/9531392},5000)", static=True, allowed="6-262143"),
    Parameter("shared_preload_libraries", "pgaudit", static=True, data_type="list", allowed="auto_explain,pgaudit"),
    Parameter("log_min_messages", allowed="debug1,log,warning,error"),
    Parameter("wal_level", "replica", static=True, modifiable=False),
    Parameter("work_mem", allowed="64-2147483647", data_type="integer"),
    Parameter("application_name"),
    *(Parameter(f"many_{number:02}", allowed="0-100", static=number % 2 == 0) for number in range(41)),
)
SPEC = {"hot_standby_feedback": "1", "max_standby_streaming_delay": "900000"}


def group(name: str, tags: Mapping[str, str] | None = None, **values: str) -> ParameterGroup:
    """Return a group in which `values` were set by somebody."""
    parameters = {
        known.name: replace(known, value=values[known.name], is_set=True) if known.name in values else known
        for known in KNOWN
    }
    return ParameterGroup(name, FAMILY, f"arn:aws:rds:ap-southeast-2:123456789012:pg:{name}", parameters, tags or {})


DEFAULT = group("default.postgres17")
CUSTOM = group("prod-tuned", max_connections="400", work_mem="65536")


def ours(**values: str) -> ParameterGroup:
    return group(OURS, {**OUR_TAGS, "based-on": "prod-tuned"}, **values)


def with_groups(landscape: Landscape, base: ParameterGroup | None, own: ParameterGroup | None = None) -> Landscape:
    return replace(landscape, parameter_groups=ParameterGroups(FAMILY, base, own))


def attached(status: str = "in-sync", **values: str) -> Landscape:
    """Return a landscape in which the replica has our group, based on CUSTOM, with these values."""
    return with_groups(replica(parameter_groups={OURS: status}), CUSTOM, ours(**values))


def spec_with(parameters: Mapping[str, str]) -> Spec:
    return spec_of(replica={"parameters": dict(parameters)})


def planned(landscape: Landscape, parameters: Mapping[str, str]) -> Plan:
    return plan(landscape, spec_with(parameters), date(2027, 1, 31))


def about_parameters(landscape: Landscape, parameters: Mapping[str, str]) -> list[Change]:
    found = planned(landscape, parameters)
    assert not found.blocked
    return [change for change in found.changes if change.action not in {"create security group", "allow address"}]


def values_of(change: Change) -> dict[str, str]:
    assert change.call is not None
    return {each["ParameterName"]: each.get("ParameterValue", "") for each in change.call.parameters["Parameters"]}


def call_of(change: Change) -> tuple[str, Mapping[str, Any]]:
    assert change.call is not None
    return change.call.operation, change.call.parameters


CARRIED = CUSTOM.values


# --- from nothing ----------------------------------------------------------------------------------------------------


def test_a_new_replica_gets_its_group_in_one_go() -> None:
    create, fill, make, attach, reboot = about_parameters(with_groups(EMPTY, DEFAULT), SPEC)
    operation, parameters = call_of(create)
    assert operation == "CreateDBParameterGroup"
    tags = {tag["Key"]: tag["Value"] for tag in parameters["Tags"]}
    assert tags == {**OUR_TAGS, "based-on": "default.postgres17"}
    assert (parameters["DBParameterGroupName"], parameters["DBParameterGroupFamily"]) == (OURS, FAMILY)
    assert call_of(fill) == (
        "ModifyDBParameterGroup",
        {
            "DBParameterGroupName": OURS,
            "Parameters": [
                {"ParameterName": "hot_standby_feedback", "ParameterValue": "1", "ApplyMethod": "immediate"},
                {
                    "ParameterName": "max_standby_streaming_delay",
                    "ParameterValue": "900000",
                    "ApplyMethod": "immediate",
                },
            ],
        },
    )
    assert fill.summary == f"{OURS}: hot_standby_feedback default -> 1, max_standby_streaming_delay 30000 -> 900000"
    assert make.action == "create replica"
    assert call_of(attach) == (
        "ModifyDBInstance",
        {"DBInstanceIdentifier": "analytics", "DBParameterGroupName": OURS, "ApplyImmediately": True},
    )
    assert call_of(reboot) == ("RebootDBInstance", {"DBInstanceIdentifier": "analytics"})
    assert not any(change.interrupts or change.takes for change in (create, fill, make, attach, reboot))


def test_what_the_sources_group_has_set_is_carried_over() -> None:
    _, carried, declared, *_ = about_parameters(with_groups(EMPTY, CUSTOM), {**SPEC, "work_mem": "131072"})
    assert values_of(carried) == {"max_connections": "400"}
    assert carried.summary == f"{OURS}: max_connections = 400, as prod-tuned has it"
    assert values_of(declared) == {**SPEC, "work_mem": "131072"}
    assert "work_mem 65536 -> 131072" in declared.summary


def test_a_replica_that_exists_follows_after_a_reboot_that_is_said_to_interrupt() -> None:
    landscape = with_groups(replica(parameter_groups={"default.postgres17": "in-sync"}), DEFAULT)
    create, fill, attach, reboot = about_parameters(landscape, SPEC)
    assert [change.action for change in (create, fill, attach, reboot)] == [
        "create parameter group",
        "set parameters",
        "attach parameter group",
        "reboot replica",
    ]
    assert "default.postgres17 -> replica-access-analytics, in force after a reboot" in attach.summary
    assert [change.interrupts for change in (create, fill, attach, reboot)] == [False, False, False, True]
    assert "its sessions end" in reboot.summary


def test_twenty_parameters_go_into_a_call_and_those_that_need_no_reboot_go_first() -> None:
    wanted = {f"many_{number:02}": "50" for number in range(41)}
    fills = [each for each in about_parameters(with_groups(EMPTY, DEFAULT), wanted) if each.action == "set parameters"]
    assert [len(values_of(change)) for change in fills] == [20, 20, 1]
    methods = [each["ApplyMethod"] for change in fills for each in call_of(change)[1]["Parameters"]]
    assert methods == ["immediate"] * 20 + ["pending-reboot"] * 21
    assert {name for change in fills for name in values_of(change)} == set(wanted)


def test_without_parameters_there_is_no_group() -> None:
    assert [change.action for change in about_parameters(EMPTY, {})] == ["create replica"]
    assert not about_parameters(COMPLETE, {})


def test_what_the_sources_group_has_anyway_needs_none_of_ours() -> None:
    assert [each.action for each in about_parameters(with_groups(EMPTY, CUSTOM), {"work_mem": "65536"})] == [
        "create replica"
    ]


# --- gone on with ----------------------------------------------------------------------------------------------------


def test_all_in_place_is_no_change() -> None:
    assert planned(attached(**CARRIED, **SPEC), SPEC) == Plan()


def test_a_group_that_a_stopped_run_left_is_gone_on_with() -> None:
    landscape = with_groups(EMPTY, CUSTOM, ours(max_connections="400"))
    carried, declared, *rest = about_parameters(landscape, SPEC)
    assert values_of(carried) == {"work_mem": "65536"}
    assert values_of(declared) == SPEC
    assert [change.action for change in rest] == ["create replica", "attach parameter group", "reboot replica"]


def test_an_attached_group_only_lacks_the_reboot() -> None:
    (reboot,) = about_parameters(attached("pending-reboot", **CARRIED, **SPEC), SPEC)
    assert (reboot.action, reboot.interrupts) == ("reboot replica", True)


def test_a_group_that_is_just_being_applied_is_waited_for_and_then_rebooted_for_if_it_has_to_be() -> None:
    wait, reboot = about_parameters(attached("applying", **CARRIED, **SPEC), SPEC)
    assert wait.action == "wait for replica"
    assert "if its parameters need that" in reboot.summary


def test_another_group_attached_by_hand_is_replaced_by_ours() -> None:
    landscape = with_groups(replica(parameter_groups={"theirs": "in-sync"}), CUSTOM, ours(**CARRIED, **SPEC))
    attach, reboot = about_parameters(landscape, SPEC)
    assert "parameter group theirs -> replica-access-analytics" in attach.summary
    assert reboot.interrupts


# --- drift -----------------------------------------------------------------------------------------------------------


def test_a_dynamic_value_is_set_without_a_reboot() -> None:
    (change,) = about_parameters(attached(**CARRIED, **{**SPEC, "max_standby_streaming_delay": "30000"}), SPEC)
    assert values_of(change) == {"max_standby_streaming_delay": "900000"}
    assert change.summary == f"{OURS}: max_standby_streaming_delay 30000 -> 900000"
    assert not change.interrupts


def test_a_static_value_says_that_it_needs_a_reboot_and_gets_one() -> None:
    change, reboot = about_parameters(attached(**CARRIED, **SPEC), {**SPEC, "max_connections": "500"})
    assert change.summary == f"{OURS}: max_connections 400 -> 500; max_connections in force after a reboot"
    assert reboot.interrupts


def test_a_value_that_changes_in_the_sources_group_follows() -> None:
    landscape = with_groups(
        replica(parameter_groups={OURS: "in-sync"}),
        group("prod-tuned", max_connections="600", work_mem="65536"),
        ours(**CARRIED, **SPEC),
    )
    change, reboot = about_parameters(landscape, SPEC)
    assert values_of(change) == {"max_connections": "600"}
    assert reboot.interrupts


def test_what_leaves_the_spec_goes_back_to_what_it_would_be_without_us() -> None:
    landscape = attached(**{**CARRIED, "work_mem": "131072"}, hot_standby_feedback="1", log_min_messages="log")
    carried, reset = about_parameters(landscape, {"hot_standby_feedback": "1"})
    assert values_of(carried) == {"work_mem": "65536"}
    assert call_of(reset) == (
        "ResetDBParameterGroup",
        {
            "DBParameterGroupName": OURS,
            "ResetAllParameters": False,
            "Parameters": [{"ParameterName": "log_min_messages", "ApplyMethod": "immediate"}],
        },
    )
    assert reset.summary == f"{OURS}: log_min_messages log -> the engine's default"
    assert not reset.takes


def test_when_all_leave_the_spec_the_group_stays_with_what_it_is_based_on() -> None:
    (reset,) = about_parameters(attached(**CARRIED, **SPEC), {})
    assert set(values_of(reset)) == set(SPEC)


def test_when_the_group_it_was_based_on_is_gone_nothing_is_reset_and_that_is_said() -> None:
    landscape = with_groups(replica(parameter_groups={OURS: "in-sync"}), None, ours(**CARRIED, **SPEC))
    found = planned(landscape, {"hot_standby_feedback": "1"})
    assert not found.changes
    (pending,) = found.pending
    assert pending.reason.startswith("prod-tuned is gone")


def test_a_replica_that_does_not_start_with_its_parameters_gets_others_and_a_reboot() -> None:
    landscape = with_groups(
        replica(parameter_groups={OURS: "pending-reboot"}, status="incompatible-parameters", deletion_protection=False),
        CUSTOM,
        ours(**{**CARRIED, "max_connections": "40"}, **SPEC),
    )
    change, reboot = about_parameters(landscape, SPEC)
    assert values_of(change) == {"max_connections": "400"}
    assert reboot.action == "reboot replica"
    assert "replica status" not in problems(landscape, spec_with(SPEC))
    as_it_is = with_groups(landscape, CUSTOM, ours(**CARRIED, **SPEC))
    assert "replica status" in problems(as_it_is, spec_with(SPEC))


# --- refused before anything is made ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "why", "fix"),
    [
        ("hot_standby_feedbck", "1", "there is no parameter hot_standby_feedbck", "Did you mean hot_standby_feedback?"),
        ("nonsense", "1", "there is no parameter nonsense", "--db-parameter-group-family postgres17"),
        ("wal_level", "logical", "RDS lets nobody change wal_level", "Take it out"),
        ("hot_standby_feedback", "on", "hot_standby_feedback cannot be 'on'", "Write 1."),
        ("hot_standby_feedback", "2", "hot_standby_feedback cannot be '2'", "Write 0 or 1."),
        ("max_standby_streaming_delay", "15min", "(ms) Sets the maximum delay", "a plain number"),
        ("work_mem", "1", "work_mem cannot be '1'", "64 to 2147483647"),
        ("log_min_messages", "warnings", "cannot be 'warnings'", "Did you mean warning?"),
        ("shared_preload_libraries", "pgaudit,nothing", "cannot be 'pgaudit,nothing'", "auto_explain"),
        ("max_connections", "100", "max_connections is 400 on the primary", "Write 400 or more"),
    ],
)
def test_what_rds_would_refuse_stops_it_with_what_is_allowed(name: str, value: str, why: str, fix: str) -> None:
    landscape = with_groups(EMPTY, CUSTOM)
    found = planned(landscape, {**SPEC, name: value})
    assert not found.changes
    (blocked,) = found.blocked
    assert blocked.object == f"replica.parameters.{name}"
    assert why in blocked.reason
    assert fix in blocked.fix
    assert problems(landscape, spec_with({**SPEC, name: value})) == {
        blocked.object: Check(blocked.object, "problem", blocked.reason, blocked.fix)
    }


def test_a_group_of_that_name_that_is_somebody_elses_is_never_touched() -> None:
    (blocked,) = planned(with_groups(EMPTY, CUSTOM, group(OURS)), SPEC).blocked
    assert "does not carry our tag" in blocked.reason
    assert "add-tags-to-resource" in blocked.fix


def test_a_group_of_another_major_version_stops_it() -> None:
    own = replace(ours(**SPEC), family="postgres16")
    (blocked,) = planned(with_groups(COMPLETE, CUSTOM, own), SPEC).blocked
    assert f"{OURS} is of postgres16, and analytics needs one of postgres17" in blocked.reason


def test_parameters_that_could_not_be_looked_up_are_no_pass() -> None:
    (blocked,) = planned(replace(EMPTY, parameter_groups=DENIED), SPEC).blocked
    assert blocked.fix == DENIED.fix
    assert not planned(replace(COMPLETE, parameter_groups=DENIED), {}).blocked


@pytest.mark.parametrize(
    ("allowed", "value", "is_it"),
    [
        ("0,1", "1", True),
        ("0,1", "2", False),
        ("-1-2147483647", "-1", True),
        ("-1-2147483647", "-2", False),
        ("0-1.79769e+308", "0.5", True),
        ("0, 30-3600", "0", True),
        ("0, 30-3600", "60", True),
        ("0, 30-3600", "20", False),
        ("1-100", "{DBInstanceClassMemory/1024}", True),
        ("", "anything", True),
        ("serializable,read committed", "read committed", True),
    ],
)
def test_allowed_values_are_read_as_rds_writes_them(allowed: str, value: str, is_it: bool) -> None:
    assert is_allowed(value, Parameter("p", allowed=allowed)) is is_it

"""The sandbox knows the parameters of its PostgreSQL, and refuses what RDS refuses to set."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from tests.sandbox_fixtures import Sandbox, refusal


@pytest.fixture
def group(sandbox: Sandbox) -> Iterator[str]:
    name = sandbox.name("parameters")
    sandbox.rds.create_db_parameter_group(
        DBParameterGroupName=name, DBParameterGroupFamily=family(sandbox), Description="test"
    )
    yield name
    sandbox.rds.delete_db_parameter_group(DBParameterGroupName=name)


def family(sandbox: Sandbox) -> str:
    return "postgres" + str(sandbox.instance()["EngineVersion"]).split(".", maxsplit=1)[0]


def described(sandbox: Sandbox, group: str, **more: str) -> dict[str, dict[str, Any]]:
    pages = sandbox.rds.get_paginator("describe_db_parameters").paginate(DBParameterGroupName=group, **more)
    return {each["ParameterName"]: each for page in pages for each in page["Parameters"]}


def change(sandbox: Sandbox, group: str, name: str, value: str, method: str = "immediate") -> Any:
    parameter = {"ParameterName": name, "ParameterValue": value, "ApplyMethod": method}
    return sandbox.rds.modify_db_parameter_group(DBParameterGroupName=group, Parameters=[parameter])


def test_every_parameter_is_described_in_whatever_group(sandbox: Sandbox, group: str) -> None:
    default = described(sandbox, f"default.{family(sandbox)}")
    assert len(default) > 250
    assert default["hot_standby_feedback"]["AllowedValues"] == "0,1"
    assert default["hot_standby_feedback"]["Source"] == "engine-default"
    assert "ParameterValue" not in default["hot_standby_feedback"]
    assert default["max_connections"] | {"Description": ""} == {
        "ParameterName": "max_connections",
        "ParameterValue": "LEAST({DBInstanceClassMemory/9531392},5000)",
        "Description": "",
        "Source": "system",
        "ApplyType": "static",
        "DataType": "integer",
        "AllowedValues": "1-262143",
        "IsModifiable": True,
        "ApplyMethod": "pending-reboot",
    }
    assert default["max_standby_streaming_delay"]["Description"].startswith("(ms) ")
    assert not default["wal_level"]["IsModifiable"]
    assert described(sandbox, group) == default


def test_what_somebody_has_set_is_told_apart_from_the_rest_until_it_is_reset(sandbox: Sandbox, group: str) -> None:
    change(sandbox, group, "max_standby_streaming_delay", "900000")
    change(sandbox, group, "max_connections", "200", "pending-reboot")
    found = described(sandbox, group, Source="user")
    assert {name: each["ParameterValue"] for name, each in found.items()} == {
        "max_connections": "200",
        "max_standby_streaming_delay": "900000",
    }
    one = [{"ParameterName": "max_connections", "ApplyMethod": "pending-reboot"}]
    sandbox.rds.reset_db_parameter_group(DBParameterGroupName=group, ResetAllParameters=False, Parameters=one)
    assert set(described(sandbox, group, Source="user")) == {"max_standby_streaming_delay"}
    sandbox.rds.reset_db_parameter_group(DBParameterGroupName=group, ResetAllParameters=True)
    assert not described(sandbox, group, Source="user")


def test_the_defaults_of_a_family_come_in_pages(sandbox: Sandbox) -> None:
    pages = sandbox.rds.get_paginator("describe_engine_default_parameters").paginate(
        DBParameterGroupFamily=family(sandbox)
    )
    found = [each["ParameterName"] for page in pages for each in page["EngineDefaults"]["Parameters"]]
    assert found == list(described(sandbox, f"default.{family(sandbox)}"))


@pytest.mark.parametrize(
    ("name", "value", "method", "code", "words"),
    [
        ("no_such_thing", "1", "immediate", "InvalidParameterValue", "Could not find parameter"),
        ("wal_level", "logical", "pending-reboot", "InvalidParameterValue", "cannot be modified"),
        ("hot_standby_feedback", "on", "immediate", "InvalidParameterValue", "allowed values are: 0,1"),
        ("max_standby_streaming_delay", "15min", "immediate", "InvalidParameterValue", "-1-2147483647"),
        ("max_connections", "0", "pending-reboot", "InvalidParameterValue", "allowed values are"),
        ("max_connections", "200", "immediate", "InvalidParameterCombination", "cannot use immediate apply method"),
    ],
)
def test_what_cannot_be_set_is_refused(
    sandbox: Sandbox, group: str, name: str, value: str, method: str, code: str, words: str
) -> None:
    found, message = refusal(partial(change, sandbox, group, name, value, method))
    assert found == code
    assert words in message
    assert not described(sandbox, group, Source="user")


def test_no_more_than_twenty_at_once(sandbox: Sandbox, group: str) -> None:
    names = [name for name, each in described(sandbox, group).items() if each["IsModifiable"]][:21]
    parameters = [{"ParameterName": name, "ApplyMethod": "pending-reboot"} for name in names]
    reset = partial(sandbox.rds.reset_db_parameter_group, DBParameterGroupName=group, ResetAllParameters=False)
    assert refusal(partial(reset, Parameters=parameters))[0] == "InvalidParameterValue"
    reset(Parameters=parameters[:20])


def test_a_default_group_is_nobodys_to_change(sandbox: Sandbox) -> None:
    default = f"default.{family(sandbox)}"
    assert refusal(partial(change, sandbox, default, "work_mem", "65536"))[0] == "InvalidParameterValue"

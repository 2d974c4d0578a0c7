"""What is written as YAML is read as the same values, by a library that reads YAML 1.1 as CloudFormation does."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from replica_access.cli.as_yaml import written

VALUES: dict[str, dict[str, Any]] = {
    "texts that look like something else": {
        "a": ["on", "No", "null", "~", "1", "1.5", "1e3", "0x10", "0o7", "2010-09-09", "1:30", ".inf", "y", ""],
    },
    "texts with marks of YAML's own": {
        "a": ["a: b", "a #b", "- a", "'", '"', "&a", "*a", "!Ref a", "{}", "[", "%", "a:"]
    },
    "names of AWS": {
        "a": ["AWS::EC2::SecurityGroup", "sg-1", "Endpoint.Address", "a/b", "arn:aws:rds:eu-west-1:1:db:x"]
    },
    "other characters": {"a": ["Zoë", "日本", "🙂", "\x00\x1f\x7f\x85\u2028\ufeff", "a\nb\tc\\"]},
    "keys": {"on": 1, "1": 2, "a b": 3, "": 4, "Fn::GetAtt": ["a", "b"]},
    "empty ones": {"a": {}, "b": [], "c": [[], {}], "d": None},
    "nested ones": {"a": [{"b": [1, 2, {"c": "d"}], "e": {"f": True}}, [[1], [2]]], "g": {"h": {"i": False}}},
}  # fmt: skip


@pytest.mark.parametrize("what", VALUES)
def test_what_is_written_is_read_again(what: str) -> None:
    assert yaml.safe_load(written(VALUES[what])) == VALUES[what]


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(TEXT, ANY, min_size=1, max_size=4))
def test_whatever_is_written_is_read_again(values: dict[str, Any]) -> None:
    assert yaml.safe_load(written(values)) == values

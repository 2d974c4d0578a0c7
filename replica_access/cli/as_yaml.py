"""Plain values as YAML: enough for a document that people read and keep, without a library for it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_BARE = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*(?:::?[A-Za-z0-9_]+)*")
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
_OTHER_THAN_TEXT = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
"""What a reader of YAML 1.1, which CloudFormation's is, may take for something else than text."""


def written(document: Mapping[str, Any]) -> str:
    """Return `document` as YAML: mappings with text for keys, lists, text, numbers, truth values.

    >>> print(written({"Tags": [{"Key": "team", "Value": "on"}], "Port": 5432, "Rules": []}), end="")
    Tags:
      - Key: team
        Value: "on"
    Port: 5432
    Rules: []
    """
    return "\n".join(_mapping(document)) + "\n"


def _mapping(values: Mapping[str, Any]) -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, Mapping | list) and value:
            yield f"{_scalar(key)}:"
            yield from (f"  {line}" for line in _lines(value))
        else:
            yield f"{_scalar(key)}: {_scalar(value)}"


def _lines(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from _mapping(value)
        return
    for each in value:
        lines = _lines(each) if isinstance(each, Mapping | list) and each else iter([_scalar(each)])
        yield from (f"{'  ' if number else '- '}{line}" for number, line in enumerate(lines))


def _scalar(value: Any) -> str:
    """Text as it stands where nobody can take it for something else, and otherwise as JSON, which is YAML too."""
    if isinstance(value, str) and _BARE.fullmatch(value) and value.lower() not in _OTHER_THAN_TEXT:
        return value
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))

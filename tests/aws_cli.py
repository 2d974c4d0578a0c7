"""Runs an ``aws`` command line as the AWS CLI would read it, through boto3: as far as our remedies use that."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Any

from botocore import xform_name

from tests.sandbox_fixtures import Sandbox


def run(sandbox: Sandbox, command: str) -> dict[str, Any]:
    """Run `command`, which may end in a comment."""
    program, service, operation, *words = shlex.split(command, comments=True)
    assert program == "aws"
    client = sandbox.client(service)
    method = operation.replace("-", "_")
    shape = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[method]).input_shape
    members = {xform_name(name, "-"): (name, member) for name, member in shape.members.items()}
    call: dict[str, Any] = {}
    for option, values in _options(words):
        if option in {"region", "profile"}:
            continue
        name, member = members[option if option in members else option.removeprefix("no-")]
        call[name] = option in members if member.type_name == "boolean" else _value(member.type_name, values)
    answer: dict[str, Any] = getattr(client, method)(**call)
    return answer


def _options(words: Sequence[str]) -> list[tuple[str, list[str]]]:
    found: list[tuple[str, list[str]]] = []
    for word in words:
        if word.startswith("--"):
            found.append((word[2:], []))
        else:
            found[-1][1].append(word)
    return found


def _value(kind: str, values: list[str]) -> Any:
    if kind == "structure":
        return json.loads(values[0])
    if kind == "list":
        return [dict(pair.split("=", 1) for pair in v.split(",")) if "=" in v else v for v in values]
    return int(values[0]) if kind == "integer" else values[0]

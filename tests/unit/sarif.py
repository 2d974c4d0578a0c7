"""What SARIF 2.1.0 asks of the objects that our logs are made of, as JSON Schema.

From the standard (OASIS, sections 3.13 to 3.58), for these objects alone: every property they may have here with its
type, those they must have, and no other.
"""

from __future__ import annotations

from typing import Any

STRING = {"type": "string"}
BAG = {"type": "object", "properties": {"tags": {"type": "array", "uniqueItems": True, "items": STRING}}}
LEVEL = {"enum": ["none", "note", "warning", "error"]}


def of(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": properties, "required": list(required)}


def many(items: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, **more}


MESSAGE = of({"text": {**STRING, "minLength": 1}}, "text")

RULE = of(
    {
        "id": {**STRING, "minLength": 1},
        "shortDescription": MESSAGE,
        "fullDescription": MESSAGE,
        "help": MESSAGE,
        "defaultConfiguration": of({"level": LEVEL}),
        "properties": BAG,
    },
    "id",
)

LOCATION = of(
    {
        "physicalLocation": of(
            {
                "artifactLocation": of({"uri": {**STRING, "pattern": r"^(file:///)?[A-Za-z0-9._~%/-]+$"}}),
                "region": of({"startLine": {"type": "integer", "minimum": 1}}),
            },
            "artifactLocation",
        ),
        "logicalLocations": many(of({"name": STRING, "fullyQualifiedName": STRING}), uniqueItems=True),
    }
)

RESULT = of(
    {
        "ruleId": STRING,
        "ruleIndex": {"type": "integer", "minimum": 0},
        "level": LEVEL,
        "message": MESSAGE,
        "locations": many(LOCATION),
        "partialFingerprints": {"type": "object", "additionalProperties": STRING},
        "baselineState": {"enum": ["new", "unchanged", "updated", "absent"]},
        "suppressions": many(
            of(
                {
                    "kind": {"enum": ["inSource", "external"]},
                    "status": {"enum": ["accepted", "underReview", "rejected"]},
                    "justification": STRING,
                },
                "kind",
            ),
            uniqueItems=True,
        ),
        "properties": BAG,
    },
    "message",
)

INVOCATION = of(
    {
        "executionSuccessful": {"type": "boolean"},
        "endTimeUtc": {**STRING, "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"},
        "toolExecutionNotifications": many(
            of({"level": LEVEL, "message": MESSAGE, "locations": many(LOCATION, uniqueItems=True)}, "message")
        ),
    },
    "executionSuccessful",
)

DRIVER = of(
    {
        "name": STRING,
        "semanticVersion": {**STRING, "pattern": r"^\d+\.\d+\.\d+"},
        "rules": many(RULE, uniqueItems=True),
    },
    "name",
)

LOG = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    **of(
        {
            "$schema": {**STRING, "pattern": "sarif-schema-2.1.0.json$"},
            "version": {"const": "2.1.0"},
            "runs": many(
                of(
                    {
                        "tool": of({"driver": DRIVER}, "driver"),
                        "automationDetails": of({"id": STRING}),
                        "invocations": many(INVOCATION),
                        "results": many(RESULT),
                    },
                    "tool",
                )
            ),
        },
        "version",
        "runs",
    ),
}

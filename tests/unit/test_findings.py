"""What an audit finds, as values and as the JSON document of design.md."""

from __future__ import annotations

import json

import pytest

from replica_access.cli.documents import audit_document
from replica_access.findings import Accepted, Audit, Finding, NotChecked, Severity


def finding(severity: Severity, about: str = "app.orders") -> Finding:
    return Finding("excess-write", severity, "prod-db", "app", "bi", about, "bi may write.", "REVOKE ...", "bi=w/app")


ACCEPTED = Accepted(finding("low", "app.notes"), "an old tool", "2027-01-31")
AUDIT = Audit((finding("high"), finding("low")), (NotChecked("replica", "refused"),), (ACCEPTED,))


def test_the_document_says_what_was_found_accepted_and_not_looked_at() -> None:
    document = json.loads(json.dumps(audit_document(AUDIT)))
    assert document["findings"][0] == {
        "rule": "excess-write",
        "severity": "high",
        "server": "prod-db",
        "database": "app",
        "subject": "bi",
        "object": "app.orders",
        "message": "bi may write.",
        "remedy": "REVOKE ...",
        "evidence": "bi=w/app",
    }
    assert document["not_checked"] == [{"what": "replica", "why": "refused"}]
    assert document["accepted"] == [
        {**document["findings"][1], "object": "app.notes", "reason": "an old tool", "until": "2027-01-31"}
    ]
    assert document["summary"] == {"high": 1, "medium": 0, "low": 1, "info": 0, "not_checked": 1, "accepted": 1}


@pytest.mark.parametrize(("level", "count"), [("high", 1), ("medium", 1), ("low", 2), ("info", 2)])
def test_a_level_takes_in_what_is_graver(level: Severity, count: int) -> None:
    assert len(AUDIT.at_or_above(level)) == count

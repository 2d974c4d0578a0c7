"""The findings as SARIF 2.1.0, the format that code hosts and security dashboards read.

What is found is in a database and not in a file, so each result has a logical location, and beside it the spec as the
file: some readers, GitHub among them, refuse a result without one. Accepted findings are there as suppressed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

from replica_access.audit.reports.report import Report, gravest_first
from replica_access.findings import Accepted, Finding, NotChecked, RuleSummary, Severity

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
LEVELS: Mapping[Severity, str] = {"high": "error", "medium": "warning", "low": "note", "info": "note"}
SCORES: Mapping[Severity, str] = {"high": "8.0", "medium": "5.0", "low": "3.0", "info": "0.0"}
"""What GitHub sorts alerts by (``security-severity``); it calls 7.0 and more high, 4.0 and more medium."""


def render(report: Report) -> str:
    """Return the log, with one run."""
    places = _places(report.all_rules)
    results = [
        *(_result(report, finding, places) for finding in report.audit.findings),
        *(_suppressed(report, each, places) for each in report.audit.accepted),
    ]
    return _log(f"replica-access/{report.target}/", report, report.all_rules, _invocation([report]), results)


def render_all(reports: Sequence[Report]) -> str:
    """Return the log of several, with one run, in which each result is located in its own spec."""
    rules = list({rule.id: rule for report in reports for rule in report.all_rules}.values())
    places = _places(rules)
    results = [
        *(_of_spec(report, _result(report, finding, places)) for report, finding in gravest_first(reports)),
        *(_of_spec(report, _suppressed(report, each, places)) for report in reports for each in report.audit.accepted),
    ]
    invocation = _invocation(reports)
    invocation["toolExecutionNotifications"] = [
        {
            **_notification(each, f"{report.spec}: "),
            "locations": [{"physicalLocation": {"artifactLocation": _artifact(report)}}],
        }
        for report in reports
        for each in report.audit.not_checked
    ]
    return _log("replica-access/", reports[0], rules, invocation, results)


def _log(
    name: str,
    report: Report,
    rules: Iterable[RuleSummary],
    invocation: Mapping[str, Any],
    results: Sequence[Mapping[str, Any]],
) -> str:
    """
    :param name: stays the same from run to run, so that a reader knows which one to compare with.
    """
    driver = {
        "name": "replica-access",
        "semanticVersion": report.version,
        "rules": [_rule(rule) for rule in rules],
    }
    run = {
        "tool": {"driver": driver},
        "automationDetails": {"id": name},
        "invocations": [invocation],
        "results": results,
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1) + "\n"


def _places(rules: Iterable[RuleSummary]) -> Mapping[str, int]:
    return {rule.id: number for number, rule in enumerate(rules)}


def _of_spec(report: Report, result: dict[str, Any]) -> dict[str, Any]:
    """Return the result as one of several specs, two of which may be about the same server."""
    location = {"artifactLocation": _artifact(report), "region": {"startLine": 1}}
    return {
        **result,
        "locations": [{**each, "physicalLocation": location} for each in result["locations"]],
        "partialFingerprints": {**result["partialFingerprints"], "spec/v1": _hashed(report.spec)},
        "properties": {"spec": report.spec, **result["properties"]},
    }


def _artifact(report: Report) -> dict[str, str]:
    """Return where the spec is: as it was named, so from the root of a checkout if that is where somebody stands."""
    path = quote(report.spec, errors="surrogatepass")
    return {"uri": f"file://{path}" if path.startswith("/") else path}


def fingerprint(finding: Finding) -> str:
    """Return what stays the same for as long as it is the same finding, whatever is said about it."""
    return _hashed("\0".join(finding.key))


def _hashed(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _rule(rule: RuleSummary) -> dict[str, Any]:
    text = _text(rule.reason or rule.id)
    return {
        "id": rule.id,
        "shortDescription": {"text": text},
        "fullDescription": {"text": text},
        "help": {"text": f"{text} Each result says what to do about it. All rules: replica-access audit --rules"},
        "defaultConfiguration": {"level": LEVELS[rule.severity]},
        "properties": {"tags": ["security", rule.family], "security-severity": SCORES[rule.severity]},
    }


def _result(report: Report, finding: Finding, places: Mapping[str, int]) -> dict[str, Any]:
    result = {
        "ruleId": finding.rule,
        "ruleIndex": places[finding.rule],
        "level": LEVELS[finding.severity],
        "message": {"text": _text(_told(finding))},
        "locations": [_location(report, finding)],
        "partialFingerprints": {"finding/v1": fingerprint(finding)},
        "properties": {
            "severity": finding.severity,
            "server": finding.server,
            "database": finding.database,
            "subject": finding.subject,
            "object": finding.object,
            "evidence": finding.evidence,
            "remedy": finding.remedy,
        },
    }
    if report.since is not None:
        result["baselineState"] = "new" if report.is_new(finding) else "unchanged"
    return result


def _suppressed(report: Report, each: Accepted, places: Mapping[str, int]) -> dict[str, Any]:
    until = f" Until {each.until}." if each.until else ""
    suppression = {"kind": "external", "status": "accepted", "justification": f"{each.reason}{until}"}
    result = _result(report, each.finding, places) | {"suppressions": [suppression]}
    result.pop("baselineState", None)
    return result


def _told(finding: Finding) -> str:
    return "\n\n".join(part for part in (finding.message, finding.remedy) if part) or finding.rule


def _location(report: Report, finding: Finding) -> dict[str, Any]:
    path = [part for part in (finding.server, finding.database or "", finding.object or finding.subject) if part]
    logical = {"name": path[-1], "fullyQualifiedName": "/".join(path)} if path else {"name": report.target}
    uri = quote(Path(report.spec).name or "replica-access.toml", errors="surrogatepass")
    file = {"artifactLocation": {"uri": uri}, "region": {"startLine": 1}}
    return {"physicalLocation": file, "logicalLocations": [logical]}


def _invocation(reports: Sequence[Report]) -> dict[str, Any]:
    missed = [each for report in reports for each in report.audit.not_checked]
    return {
        "executionSuccessful": not missed,
        "endTimeUtc": reports[0].at.replace("+00:00", "Z"),
        "toolExecutionNotifications": [_notification(each) for each in missed],
    }


def _notification(each: NotChecked, where: str = "") -> dict[str, Any]:
    return {"level": "error", "message": {"text": _text(f"{where}{each.what} could not be looked at: {each.why}")}}


def _text(text: str) -> str:
    """Return `text` as a message that says just that (SARIF 2.1.0, 3.11.5 and 3.11.6): no placeholder, no link in it.

    >>> print(_text("{0}"), _text("app.[a](b)"), _text("[draft]"))
    {{0}} app.\\[a\\](b) [draft]
    """
    if "](" in text:
        text = re.sub(r"[\[\]]", r"\\\g<0>", text)
    return text.replace("{", "{{").replace("}", "}}")

"""The audit as one HTML file that needs nothing else: no network, no server, no other file.

Everything is in the page as text, so it can be read, searched and printed where scripts are off; the script filters.
What a database holds is never markup here: text is escaped, the data that the script reads is JSON in which nothing can
end its element, and the page's own policy lets no other script or style run and nothing be fetched.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from hashlib import sha256
from importlib.resources import files
from typing import Any

from replica_access.audit.matrix import Matrix, matrix
from replica_access.audit.reports import html_matrix
from replica_access.audit.reports.html_text import data, text
from replica_access.audit.reports.report import Report, Since
from replica_access.findings import SEVERITIES, Accepted, Finding

MOST_OPEN = 12
"""So many changes are shown at once; of more, the rest after a click."""


def render(report: Report) -> str:
    """Return the page."""
    style, script = _asset("page.css"), _asset("page.js")
    policy = (
        f"default-src 'none'; style-src '{_source(style)}'; script-src '{_source(script)}';"
        " base-uri 'none'; form-action 'none'"
    )
    title = f"Audit of {report.target}"
    access = matrix(report.realms)
    return "\n".join([
        "<!DOCTYPE html>",
        '<html lang="en">',
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{text(policy)}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        '<meta name="referrer" content="no-referrer">',
        f"<title>{text(title)}</title>",
        f"<style>{style}</style>",
        '<a class="skip" href="#findings">To the findings</a>',
        f"<header>{_head(report, title)}</header>",
        f"<main>{''.join(_sections(report, access))}</main>",
        f'<script type="application/json" id="data">{data(_document(report, access))}</script>',
        f"<script>{script}</script>",
        "</html>",
        "",
    ])  # fmt: skip


def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _source(code: str) -> str:
    """Return what names `code` in a policy: its hash."""
    return f"sha256-{b64encode(sha256(code.encode()).digest()).decode()}"


def _document(report: Report, access: Matrix) -> dict[str, Any]:
    """Return what the script reads: the findings in the order of their rows, the accepted ones last."""
    rows = [{"state": "new" if report.is_new(each) else "open", **asdict(each)} for each in report.audit.findings]
    rows += [
        {"state": "accepted", **asdict(each.finding), "reason": each.reason, "until": each.until}
        for each in report.audit.accepted
    ]
    return {"target": report.target, "at": report.at, "rows": rows, "access": html_matrix.document(access)}


# --- the parts of the page --------------------------------------------------------------------------------------------


def _head(report: Report, title: str) -> str:
    about = [f"against {report.spec}", report.at, f"replica-access {report.version}"]
    if report.run is not None:
        about.append(f"run {report.run[0]}")
    lines = f"<h1>{text(title)}</h1><p>{text(' · '.join(about))}</p>"
    if report.run is not None:
        lines += f"<p>Hash of this run: <code>{text(report.run[1])}</code></p>"
    return lines


def _sections(report: Report, access: Matrix) -> Iterable[str]:
    yield _summary(report)
    yield _not_checked(report)
    if report.since is not None:
        yield _since(report.since)
    yield _findings(report)
    yield html_matrix.section(access)
    yield _rules(report)


def _summary(report: Report) -> str:
    summary = report.audit.summary
    names = [*SEVERITIES, "accepted", "not_checked"]
    cards = "".join(
        f'<div class="card {name}"><dt>{text(name.replace("_", " "))}</dt><dd>{summary[name]:,}</dd></div>'
        for name in names
    )
    return (
        f'<section aria-labelledby="h-summary"><h2 id="h-summary">Summary</h2><dl class="cards">{cards}</dl></section>'
    )


def _not_checked(report: Report) -> str:
    if not report.audit.not_checked:
        return ""
    items = "".join(f"<li><b>{text(each.what)}</b>: {text(each.why)}</li>" for each in report.audit.not_checked)
    return (
        '<section class="missed" aria-labelledby="h-missed"><h2 id="h-missed">Could not be looked at</h2>'
        f"<p>This audit is incomplete: of what follows nothing is known.</p><ul>{items}</ul></section>"
    )


def _since(since: Since) -> str:
    items = [
        f'<li><span class="tag {each.turn}">{each.turn}</span> '
        f"{_severity(each.severity) if each.severity else ''} {text(each.sentence)}</li>"
        for each in since.differences
    ]
    shown, rest = items[:MOST_OPEN], items[MOST_OPEN:]
    listed = f'<ul class="changes">{"".join(shown)}</ul>' if shown else "<p>Nothing has changed.</p>"
    if rest:
        listed += f'<details><summary>{len(rest):,} more</summary><ul class="changes">{"".join(rest)}</ul></details>'
    title = f"Since run {since.number} of {since.at}"
    return f'<section aria-labelledby="h-since"><h2 id="h-since">{text(title)}</h2>{listed}</section>'


def _findings(report: Report) -> str:
    audit = report.audit
    rows = [_row(each, "new" if report.is_new(each) else "open") for each in audit.findings]
    rows += [_row(each.finding, "accepted", each) for each in audit.accepted]
    if not rows:
        return (
            '<section id="findings" aria-labelledby="h-findings"><h2 id="h-findings">Findings</h2>'
            "<p>Nothing was found.</p></section>"
        )
    heads = "".join(f'<th scope="col">{name}</th>' for name in ("Severity", "Rule", "Where", "Who", "What", "Finding"))
    return (
        '<section id="findings" aria-labelledby="h-findings"><h2 id="h-findings">Findings</h2>'
        f"{_filters(report)}"
        '<div class="scroll" role="region" aria-labelledby="h-findings" tabindex="0">'
        f'<table class="findings"><thead><tr>{heads}</tr></thead><tbody>{"".join(rows)}</tbody></table></div></section>'
    )


def _filters(report: Report) -> str:
    findings = [*report.audit.findings, *(each.finding for each in report.audit.accepted)]
    states = ["open", "new", "accepted"] if report.since is not None else ["open", "accepted"]
    severities = [name for name in SEVERITIES if any(each.severity == name for each in findings)]
    return (
        '<form id="filters" hidden role="search" aria-label="Filter the findings">'
        '<label>Text <input type="search" name="text" autocomplete="off" title="Press / to come here"></label>'
        + _select("severity", "Severity", severities)
        + _select("rule", "Rule", sorted({each.rule for each in findings}))
        + _select("server", "Server", sorted({each.server for each in findings if each.server}))
        + _select("state", "State", states)
        + '<button type="reset">Clear</button><output name="count" aria-live="polite"></output></form>'
    )


def _select(name: str, label: str, values: Sequence[str]) -> str:
    options = "".join(f'<option value="{text(value)}">{text(value)}</option>' for value in values)
    return f'<label>{label} <select name="{name}"><option value="">all</option>{options}</select></label>'


def _row(finding: Finding, state: str, accepted: Accepted | None = None) -> str:
    where = " / ".join(part for part in (finding.server, finding.database or "") if part)
    tag = "" if state == "open" else f' <span class="tag {state}">{state}</span>'
    return (
        f'<tr class="{state}"><td>{_severity(finding.severity)}{tag}</td>'
        f"<td><code>{text(finding.rule)}</code></td><td>{text(where)}</td>"
        f"<td>{text(finding.subject)}</td><td>{text(finding.object)}</td>"
        f"<td>{_told(finding, accepted)}</td></tr>"
    )


def _told(finding: Finding, accepted: Accepted | None) -> str:
    parts = []
    if accepted is not None:
        until = f" until {accepted.until}" if accepted.until else ""
        parts.append(f"<p>Accepted{text(until)}: {text(accepted.reason)}</p>")
    if finding.evidence:
        parts.append(f"<p>Seen</p><pre>{text(finding.evidence)}</pre>")
    if finding.remedy:
        parts.append(f"<p>What to do</p><pre>{text(finding.remedy)}</pre>")
    if not parts:
        return text(finding.message)
    return f"<details><summary>{text(finding.message)}</summary>{''.join(parts)}</details>"


def _severity(severity: str) -> str:
    return f'<span class="severity {text(severity)}">{text(severity)}</span>'


def _rules(report: Report) -> str:
    if not report.all_rules:
        return ""
    rows = "".join(
        f"<tr><td>{_severity(rule.severity)}</td><td><code>{text(rule.id)}</code></td><td>{text(rule.reason)}</td></tr>"
        for rule in report.all_rules
    )
    return (
        '<section aria-labelledby="h-rules"><h2 id="h-rules">What was looked at</h2>'
        f"<details><summary>{len(report.all_rules)} rules</summary>"
        '<div class="scroll"><table><thead><tr><th scope="col">Severity</th><th scope="col">Rule</th>'
        f'<th scope="col">Why</th></tr></thead><tbody>{rows}</tbody></table></div></details></section>'
    )

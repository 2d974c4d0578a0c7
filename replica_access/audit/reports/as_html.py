"""The audit as one HTML file that needs nothing else: no network, no server, no other file.

Everything is in the page as text, so it can be read, searched and printed where scripts are off; the script filters.
What a database holds is never markup here: text is escaped, the data that the script reads is JSON in which nothing can
end its element, and the page's own policy lets no other script or style run and nothing be fetched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from replica_access.audit.reports import html_findings, html_matrix
from replica_access.audit.reports.html_findings import Row, severity
from replica_access.audit.reports.html_page import page
from replica_access.audit.reports.html_text import text
from replica_access.audit.reports.report import Report, Since
from replica_access.findings import SEVERITIES, RuleSummary

MOST_OPEN = 12
"""So many changes are shown at once; of more, the rest after a click."""

COUNTED = (*SEVERITIES, "accepted", "not_checked")
"""What a summary counts."""


def render(report: Report) -> str:
    """Return the page."""
    title, rows = f"Audit of {report.target}", html_findings.rows([report])
    document = {
        "target": report.target,
        "at": report.at,
        "rows": [row.document for row in rows],
        "access": html_matrix.document([report.access]),
    }
    return page(title, _head(report, title), _sections(report, rows), document)


def _head(report: Report, title: str) -> str:
    about = [f"against {report.spec}", report.at, f"replica-access {report.version}"]
    if report.run is not None:
        about.append(f"run {report.run[0]}")
    lines = f"<h1>{text(title)}</h1><p>{text(' · '.join(about))}</p>"
    if report.run is not None:
        lines += f"<p>Hash of this run: <code>{text(report.run[1])}</code></p>"
    return lines


def _sections(report: Report, rows: Sequence[Row]) -> Iterable[str]:
    yield summary(report.audit.summary)
    yield missed(f"<li><b>{text(each.what)}</b>: {text(each.why)}</li>" for each in report.audit.not_checked)
    if report.since is not None:
        title = f"Since run {report.since.number} of {report.since.at}"
        listed = changes(report.since) if report.since.differences else "<p>Nothing has changed.</p>"
        yield f'<section aria-labelledby="h-since"><h2 id="h-since">{text(title)}</h2>{listed}</section>'
    yield html_findings.section(rows, compared=report.since is not None)
    yield html_matrix.section(report.access)
    yield rules(report.all_rules)


# --- the parts of the page --------------------------------------------------------------------------------------------


def summary(counted: Mapping[str, int]) -> str:
    cards = "".join(
        f'<div class="card {name}"><dt>{text(name.replace("_", " "))}</dt><dd>{counted[name]:,}</dd></div>'
        for name in COUNTED
    )
    return (
        f'<section aria-labelledby="h-summary"><h2 id="h-summary">Summary</h2><dl class="cards">{cards}</dl></section>'
    )


def missed(items: Iterable[str]) -> str:
    """Return the section on what could not be looked at; empty where all could be."""
    listed = "".join(items)
    if not listed:
        return ""
    return (
        '<section class="missed" aria-labelledby="h-missed"><h2 id="h-missed">Could not be looked at</h2>'
        f"<p>This audit is incomplete: of what follows nothing is known.</p><ul>{listed}</ul></section>"
    )


def changes(since: Since) -> str:
    """Return what changed, as a list."""
    items = [
        f'<li><span class="tag {each.turn}">{each.turn}</span> '
        f"{severity(each.severity) if each.severity else ''} {text(each.sentence)}</li>"
        for each in since.differences
    ]
    shown, rest = items[:MOST_OPEN], items[MOST_OPEN:]
    listed = f'<ul class="changes">{"".join(shown)}</ul>'
    if rest:
        listed += f'<details><summary>{len(rest):,} more</summary><ul class="changes">{"".join(rest)}</ul></details>'
    return listed


def rules(applied: Sequence[RuleSummary]) -> str:
    if not applied:
        return ""
    rows = "".join(
        f"<tr><td>{severity(rule.severity)}</td><td><code>{text(rule.id)}</code></td><td>{text(rule.reason)}</td></tr>"
        for rule in applied
    )
    return (
        '<section aria-labelledby="h-rules"><h2 id="h-rules">What was looked at</h2>'
        f"<details><summary>{len(applied)} rules</summary>"
        '<div class="scroll"><table><thead><tr><th scope="col">Severity</th><th scope="col">Rule</th>'
        f'<th scope="col">Why</th></tr></thead><tbody>{rows}</tbody></table></div></details></section>'
    )

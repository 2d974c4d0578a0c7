"""The audits of several specs as one page: all findings in one table, and the specs one by one where they differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import urlencode

from replica_access.audit.reports import html_findings, html_matrix
from replica_access.audit.reports.as_html import COUNTED, changes, missed, rules, summary
from replica_access.audit.reports.html_findings import Row
from replica_access.audit.reports.html_page import page
from replica_access.audit.reports.html_text import text
from replica_access.audit.reports.report import Report


def render(reports: Sequence[Report]) -> str:
    """Return the page."""
    number = "one spec" if len(reports) == 1 else f"{len(reports):,} specs"
    title, rows = f"Audit of {number}", html_findings.rows(reports)
    document = {
        "at": reports[0].at,
        "rows": [{"spec": row.spec, **row.document} for row in rows],
        "access": html_matrix.document([each.access for each in reports]),
    }
    about = f"{reports[0].at} · replica-access {reports[0].version}"
    return page(title, f"<h1>{text(title)}</h1><p>{text(about)}</p>", _sections(reports, rows), document)


def _sections(reports: Sequence[Report], rows: Sequence[Row]) -> Iterable[str]:
    yield summary({name: sum(each.audit.summary[name] for each in reports) for name in COUNTED})
    yield missed(  # of all specs, whichever is chosen
        f"<li><b>{text(f'{report.spec}: {each.what}')}</b>: {text(each.why)}</li>"
        for report in reports
        for each in report.audit.not_checked
    )
    yield _specs(reports)
    yield _since(reports)
    compared = any(each.since is not None for each in reports)
    yield html_findings.section(rows, compared=compared, specs=[each.spec for each in reports])
    yield html_matrix.sections({each.spec: each.access for each in reports})
    yield rules(list({rule.id: rule for report in reports for rule in report.all_rules}.values()))


def _specs(reports: Sequence[Report]) -> str:
    """Return the table of the specs, each a way to choose it in the filters."""
    names = ("Spec", "What it is about", *(name.replace("_", " ").capitalize() for name in COUNTED), "Run")
    heads = "".join(f'<th scope="col">{name}</th>' for name in names)
    body = "".join(map(_spec, reports))
    return (
        '<section aria-labelledby="h-specs"><h2 id="h-specs">Specs</h2>'
        '<div class="scroll" role="region" aria-labelledby="h-specs" tabindex="0">'
        f'<table class="specs"><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div></section>'
    )


def _spec(report: Report) -> str:
    counted = report.audit.summary
    counts = "".join(
        f'<td class="number"><span class="severity {name}">{counted[name]:,}</span></td>'
        if counted[name]
        else '<td class="number">0</td>'
        for name in COUNTED
    )
    run = ""
    if report.run is not None:
        number, hashed = report.run
        run = f"<details><summary>{number:,}</summary><code>{text(hashed)}</code></details>"
    link = urlencode({"spec": report.spec}, errors="backslashreplace")
    return (
        f'<tr><th scope="row"><a href="#{text(link)}">{text(report.spec)}</a></th>'
        f"<td>{text(report.target)}</td>{counts}<td>{run}</td></tr>"
    )


def _since(reports: Sequence[Report]) -> str:
    compared = [(each, each.since) for each in reports if each.since is not None]
    if not compared:
        return ""
    listed = "".join(
        f"<div{_of(report)}><h3>{text(f'{report.spec}, since run {since.number} of {since.at}')}</h3>"
        f"{changes(since)}</div>"
        for report, since in compared
        if since.differences
    )
    same = [report.spec for report, since in compared if not since.differences]
    if same:
        listed += f"<p>Nothing has changed in {text(', '.join(same))}.</p>"
    return f'<section aria-labelledby="h-since"><h2 id="h-since">Since the runs before</h2>{listed}</section>'


def _of(report: Report) -> str:
    """Return the attribute by which the script knows what belongs to a spec."""
    return f' data-spec="{text(report.spec)}"'

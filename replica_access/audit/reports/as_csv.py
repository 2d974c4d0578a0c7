"""The findings as CSV (RFC 4180), for spreadsheets and for whoever counts."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from replica_access.audit.reports.report import Report, gravest_first
from replica_access.findings import Finding

COLUMNS = (
    "status", "severity", "rule", "server", "database", "subject", "object", "message", "remedy", "evidence",
    "new", "reason", "until",
)  # fmt: skip

_FORMULA = frozenset("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
"""What makes a spreadsheet take a cell for a formula (OWASP, CSV injection), wide forms included."""


def render(report: Report) -> str:
    """Return a row a finding, an accepted finding, and a thing that could not be looked at; `status` tells which."""
    return _written(COLUMNS, (row for _, row in _rows([report])))


def render_all(reports: Sequence[Report]) -> str:
    """Return the rows of several reports, each with its spec in a column more."""
    return _written((*COLUMNS, "spec"), ((*row, report.spec) for report, row in _rows(reports)))


def _written(columns: Iterable[str], rows: Iterable[tuple[str, ...]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)  # CRLF, and quotes where they are needed
    writer.writerow(columns)
    writer.writerows([harmless(cell) for cell in row] for row in rows)
    return out.getvalue()


def harmless(cell: str) -> str:
    """Return `cell` so that no spreadsheet computes it: somebody may have named a table ``=HYPERLINK(…)``.

    >>> harmless("=1+1"), harmless("app.orders")
    ("'=1+1", 'app.orders')
    """
    return f"'{cell}" if cell[:1] in _FORMULA else cell


def _rows(reports: Sequence[Report]) -> Iterator[tuple[Report, tuple[str, ...]]]:
    for report, finding in gravest_first(reports):
        new = "" if report.since is None else "yes" if report.is_new(finding) else "no"
        yield report, ("open", *_cells(finding), new, "", "")
    for report in reports:
        for each in report.audit.accepted:
            yield report, ("accepted", *_cells(each.finding), "", each.reason, each.until)
    for report in reports:
        for missed in report.audit.not_checked:
            yield report, ("not checked", "", "", "", "", missed.what, "", missed.why, *[""] * 5)


def _cells(finding: Finding) -> tuple[str, ...]:
    return (
        finding.severity,
        finding.rule,
        finding.server,
        finding.database or "",
        finding.subject,
        finding.object,
        finding.message,
        finding.remedy,
        finding.evidence,
    )

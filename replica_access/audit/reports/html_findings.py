"""The findings of the page: a table whose rows the script shows and hides, and the filters above it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from replica_access.audit.reports.html_text import text
from replica_access.audit.reports.report import Report, gravest_first
from replica_access.findings import SEVERITIES, Accepted, Finding

HEADS = ("Severity", "Rule", "Where", "Who", "What", "Finding")


@dataclass(frozen=True, slots=True)
class Row:
    """One finding as the page shows it.

    :param spec: that it was held against.
    """

    spec: str
    finding: Finding
    state: Literal["open", "new", "accepted"]
    accepted: Accepted | None = None

    @property
    def document(self) -> dict[str, Any]:
        """What the script reads of it."""
        found = {"state": self.state, **asdict(self.finding)}
        return found | ({"reason": self.accepted.reason, "until": self.accepted.until} if self.accepted else {})


def rows(reports: Sequence[Report]) -> list[Row]:
    """Return the rows of all reports: what stands, the gravest first, and then what is accepted."""
    found = [Row(r.spec, each, "new" if r.is_new(each) else "open") for r, each in gravest_first(reports)]
    return found + [Row(r.spec, each.finding, "accepted", each) for r in reports for each in r.audit.accepted]


def section(found: Sequence[Row], *, compared: bool, specs: Sequence[str] = ()) -> str:
    """Return the table and its filters.

    :param compared: whether it is known what is new.
    :param specs: those that there are, where there is more than one.
    """
    if not found:
        return (
            '<section id="findings" aria-labelledby="h-findings"><h2 id="h-findings">Findings</h2>'
            "<p>Nothing was found.</p></section>"
        )
    names = (*(("Spec",) if specs else ()), *HEADS)
    heads = "".join(f'<th scope="col">{name}</th>' for name in names)
    body = "".join(_row(each, with_spec=bool(specs)) for each in found)
    return (
        '<section id="findings" aria-labelledby="h-findings"><h2 id="h-findings">Findings</h2>'
        f"{_filters([each.finding for each in found], specs, compared=compared)}"
        '<div class="scroll" role="region" aria-labelledby="h-findings" tabindex="0">'
        f'<table class="findings"><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div></section>'
    )


def severity(name: str) -> str:
    return f'<span class="severity {text(name)}">{text(name)}</span>'


def _filters(findings: Iterable[Finding], specs: Sequence[str], *, compared: bool) -> str:
    found = list(findings)
    states = ["open", "new", "accepted"] if compared else ["open", "accepted"]
    severities = [name for name in SEVERITIES if any(each.severity == name for each in found)]
    return (
        '<form id="filters" hidden role="search" aria-label="Filter the findings">'
        '<label>Text <input type="search" name="text" autocomplete="off" title="Press / to come here"></label>'
        + (_select("spec", "Spec", specs) if specs else "")
        + _select("severity", "Severity", severities)
        + _select("rule", "Rule", sorted({each.rule for each in found}))
        + _select("server", "Server", sorted({each.server for each in found if each.server}))
        + _select("state", "State", states)
        + '<button type="reset">Clear</button><output name="count" aria-live="polite"></output></form>'
    )


def _select(name: str, label: str, values: Sequence[str]) -> str:
    options = "".join(f'<option value="{text(value)}">{text(value)}</option>' for value in values)
    return f'<label>{label} <select name="{name}"><option value="">all</option>{options}</select></label>'


def _row(row: Row, *, with_spec: bool) -> str:
    finding = row.finding
    where = " / ".join(part for part in (finding.server, finding.database or "") if part)
    tag = "" if row.state == "open" else f' <span class="tag {row.state}">{row.state}</span>'
    spec = f'<td class="spec">{text(row.spec)}</td>' if with_spec else ""
    return (
        f'<tr class="{row.state}">{spec}<td>{severity(finding.severity)}{tag}</td>'
        f"<td><code>{text(finding.rule)}</code></td><td>{text(where)}</td>"
        f"<td>{text(finding.subject)}</td><td>{text(finding.object)}</td>"
        f"<td>{_told(finding, row.accepted)}</td></tr>"
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

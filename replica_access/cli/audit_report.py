"""An audit for people: by severity, then by family, each finding with what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from replica_access.cli.terminal import escaped
from replica_access.findings import Audit, Finding, RuleSummary

COLOURS = {"high": "bold red", "medium": "yellow", "low": "cyan", "info": "dim"}


def lines(audit: Audit, *, with_evidence: bool) -> Iterator[str]:
    """Yield the audit, and in the end what it comes to.

    :param with_evidence: say what was seen, beside what to do.
    """
    yield from parts(audit, with_evidence=with_evidence)
    yield _summary(audit)


def parts(audit: Audit, *, with_evidence: bool) -> Iterator[str]:
    """Yield what was found, the gravest first, what is accepted, and what could not be looked at; a blank line each."""
    for severity, alike in groupby(audit.findings, key=lambda finding: finding.severity):
        yield f"[{COLOURS[severity]}]{severity.capitalize()}[/]"
        for family, findings in groupby(alike, key=lambda finding: finding.family):
            yield f"  [bold]{family}[/]"
            for finding in findings:
                yield from _finding(finding, with_evidence=with_evidence)
        yield ""
    if audit.accepted:
        yield "[bold]Accepted[/]"
        for each in audit.accepted:
            until = f" until {each.until}" if each.until else ""
            yield f"  [green]=[/] {escaped(each.finding.message)} ({each.finding.rule}; {escaped(each.reason)}{until})"
        yield ""
    if audit.not_checked:
        yield "[bold]Not looked at[/]"
        for unseen in audit.not_checked:
            yield f"  [yellow]?[/] {escaped(unseen.what)}: {escaped(unseen.why)}"
        yield ""


def _finding(finding: Finding, *, with_evidence: bool) -> Iterator[str]:
    mark = "[cyan]·[/]" if finding.severity == "info" else "[red]✗[/]"
    where = f"{finding.database}: " if finding.database is not None else ""
    yield f"    {mark} {escaped(where + finding.message)} [dim]({finding.rule})[/]"
    if with_evidence and finding.evidence:
        yield f"        {escaped(finding.evidence)}"
    for line in finding.remedy.splitlines():
        yield f"        [cyan]{escaped(line)}[/]"


def counted(audit: Audit) -> str:
    """Return how many there are of each kind; empty where there is nothing."""
    return ", ".join(f"{number} {what.replace('_', ' ')}" for what, number in audit.summary.items() if number)


def _summary(audit: Audit) -> str:
    found = counted(audit)
    if not audit.findings and not audit.not_checked:
        return "[green]✓[/] Nothing was found" + (f": {found}." if found else ".")
    return f"Found: {found}."


def rule_lines(rules: Iterable[RuleSummary]) -> Iterator[str]:
    """Yield the rules by family."""
    by_family = sorted(rules, key=lambda rule: rule.family)
    for family, alike in groupby(by_family, key=lambda rule: rule.family):
        yield f"[bold]{family}[/]"
        for rule in alike:
            yield f"  {rule.id:<26} [{COLOURS[rule.severity]}]{rule.severity:<6}[/]  {escaped(rule.reason)}"
        yield ""

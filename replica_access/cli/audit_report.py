"""An audit for people: by severity, then by family, each finding with what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from replica_access.cli.terminal import TYPED, escaped
from replica_access.findings import Audit, Finding, RuleSummary

COLOURS = {"high": "bold red", "medium": "yellow", "low": "cyan", "info": "dim"}


def lines(audit: Audit, *, with_evidence: bool, left_out: int = 0) -> Iterator[str]:
    """Yield the audit, and in the end what it comes to.

    :param with_evidence: say what was seen, beside what to do.
    :param left_out: how many findings are not told, because they are known.
    """
    yield from parts(audit, with_evidence=with_evidence)
    yield _summary(audit, left_out)


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
        yield f"        [{TYPED}]{escaped(line)}[/]"


def counted(audit: Audit) -> str:
    """Return how many there are of each kind; empty where there is nothing."""
    return ", ".join(f"{number} {what.replace('_', ' ')}" for what, number in audit.summary.items() if number)


def _summary(audit: Audit, left_out: int) -> str:
    found = counted(audit)
    stands = stands_still(left_out)
    if not audit.findings and not audit.not_checked:
        nothing = "Nothing new was found" if left_out else "Nothing was found"
        return f"[green]✓[/] {nothing}" + (f": {found}." if found else ".") + stands
    return f"Found: {found}.{stands}"


def stands_still(left_out: int) -> str:
    """Return the sentence on what is left out; empty where nothing is."""
    if not left_out:
        return ""
    them = "1 known finding stands" if left_out == 1 else f"{left_out:,} known findings stand"
    return f" {them}: without --new-only, {'it is' if left_out == 1 else 'they are'} shown."


def rule_lines(rules: Iterable[RuleSummary]) -> Iterator[str]:
    """Yield the rules by family."""
    by_family = sorted(rules, key=lambda rule: rule.family)
    for family, alike in groupby(by_family, key=lambda rule: rule.family):
        yield f"[bold]{family}[/]"
        for rule in alike:
            yield f"  {rule.id:<26} [{COLOURS[rule.severity]}]{rule.severity:<6}[/]  {escaped(rule.reason)}"
        yield ""

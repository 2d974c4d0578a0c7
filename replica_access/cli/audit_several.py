"""What the audits of several specs come to, in one: for people, for programs, and as an exit status."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from heapq import merge
from itertools import chain
from shlex import quote
from typing import TYPE_CHECKING, Any

from replica_access.cli.audit_out import Result, audited_document, history_document, since
from replica_access.cli.audit_report import counted, parts, stands_still
from replica_access.cli.context import Context
from replica_access.cli.running import count
from replica_access.cli.terminal import escaped
from replica_access.errors import Error, HistoryError, UsageError

if TYPE_CHECKING:  # whoever asks for help waits for none of these
    from replica_access.findings import Audit
    from replica_access.several import Audited


def result(call: Context, audited: Sequence[Audited]) -> Result:
    """Return the result of all audits."""
    from replica_access import reporting

    return Result(
        partial(table, call, audited),
        partial(document, audited),
        partial(reporting.rendered_together, [each.report for each in audited]),
    )


def together(audited: Sequence[Audited]) -> Audit:
    """Return all audits as one, the gravest findings first."""
    from replica_access.findings import SEVERITIES, Audit

    audits = [each.report.audit for each in audited]
    findings = merge(*(each.findings for each in audits), key=lambda finding: SEVERITIES.index(finding.severity))
    return Audit(
        tuple(findings),
        tuple(missed for each in audits for missed in each.not_checked),
        tuple(accepted for each in audits for accepted in each.accepted),
    )


def failures(audited: Sequence[Audited]) -> list[Error]:
    """Return what went wrong beside what audits are about; what kept several from being recorded, once."""
    alike: dict[str, tuple[Error, list[str]]] = {}
    for each in audited:
        if (error := each.kept.error) is not None:
            alike.setdefault(str(error), (error, []))[1].append(each.name)
    return [_failure(error, names) for error, names in alike.values()]


def _failure(error: Error, names: Sequence[str]) -> Error:
    if not isinstance(error, (HistoryError, UsageError)):
        return error  # it says itself what it is about
    return type(error)(f"{error.what} Not recorded: {', '.join(names)}.", error.fix)


# --- for people -------------------------------------------------------------------------------------------------------


def table(call: Context, audited: Sequence[Audited]) -> Iterator[str]:
    """Yield what there is to tell of each spec, and in the end a line for each; with -q of those alone that need it."""
    for each in audited:
        told = list(_told(call, each))
        if told:
            about = f": {escaped(each.report.target)}" if each.report.target else ""
            yield f"[bold]{escaped(each.name)}[/]{about}"
            yield from (f"  {line}" if line else "" for line in told)
            if told[-1]:
                yield ""
    shown = [each for each in audited if not (call.quiet and _is_clean(each.report.audit))]
    if shown:
        yield "[bold]Specs[/]"
        yield from map(_outcome, shown)
        yield ""
        yield _total(audited, 0 if call.quiet else sum(each.report.left_out for each in audited))


def _told(call: Context, each: Audited) -> Iterator[str]:
    audit, kept = each.report.audit, each.kept
    yield from parts(replace(audit, accepted=()) if call.quiet else audit, with_evidence=not call.quiet)
    if kept.since is not None and kept.since.differences and not call.quiet:
        yield since(kept.since, f"replica-access --spec {quote(str(each.path))} audit diff")
    if kept.run is not None and call.verbose:
        yield f"[dim]Recorded as run {kept.run.number}, {kept.run.hash}[/]"


def _is_clean(audit: Audit) -> bool:
    return not audit.findings and not audit.not_checked


def _outcome(each: Audited) -> str:
    audit, left_out = each.report.audit, each.report.left_out
    mark = "[red]✗[/]" if audit.findings else "[yellow]?[/]" if audit.not_checked else "[green]✓[/]"
    return f"  {mark} {escaped(each.name)}: {counted(audit) or ('nothing new' if left_out else 'nothing')}"


def _total(audited: Sequence[Audited], left_out: int) -> str:
    all_specs, found = count(len(audited), "spec"), counted(together(audited))
    unclean = sum(not _is_clean(each.report.audit) for each in audited)
    if not unclean:
        nothing = "Nothing new was found" if left_out else "Nothing was found"
        return f"[green]✓[/] {nothing} in {all_specs}" + (f": {found}." if found else ".") + stands_still(left_out)
    return f"Found in {unclean} of {all_specs}: {found}.{stands_still(left_out)}"


# --- for programs -----------------------------------------------------------------------------------------------------


def document(audited: Sequence[Audited]) -> dict[str, Any]:
    """Return the JSON document: that of one audit, in which each entry names its spec, and beside it the specs."""
    from replica_access.findings import SEVERITIES

    parts = [(each.name, audited_document(each.report, each.kept)) for each in audited]

    def listed(what: str) -> list[list[dict[str, Any]]]:
        return [[{"spec": name, **entry} for entry in part[what]] for name, part in parts]

    return {
        "findings": list(merge(*listed("findings"), key=lambda finding: SEVERITIES.index(finding["severity"]))),
        "accepted": list(chain.from_iterable(listed("accepted"))),
        "not_checked": list(chain.from_iterable(listed("not_checked"))),
        "summary": dict(together(audited).summary),
        "left_out": sum(part["left_out"] for _, part in parts),
        "history": None,
        "specs": [
            {
                "spec": each.name,
                "target": each.report.target or None,
                "summary": dict(each.report.audit.summary),
                "history": history_document(each.kept),
            }
            for each in audited
        ],
    }

"""What becomes of an audit: it is recorded, compared with the one before, and written as reports."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from replica_access import __version__
from replica_access.audit.difference import Difference, differences, in_order, new_since
from replica_access.audit.facts import Facts
from replica_access.audit.gains import gains
from replica_access.audit.holdings import holdings
from replica_access.audit.matrix import NOBODY, Matrix, matrix
from replica_access.audit.reports.report import Report, Since
from replica_access.audit.snapshot import Entry, Run, entries_of
from replica_access.errors import Error, HistoryAltered, UsageError
from replica_access.findings import Audit, RuleSummary, Severity
from replica_access.hosting import PlainHosting, address_of
from replica_access.names import legible
from replica_access.spec import DEFAULT_PATH

if TYPE_CHECKING:  # SQLAlchemy takes its time to load, and not every audit is recorded
    from replica_access.audit.history import Delta, History
    from replica_access.spec import Spec

__all__ = ["Difference", "Kept", "Report", "Run", "Since", "Span", "Written"]

NO_HISTORY = "none"
"""What is said instead of a place where no history is wanted."""

Written = Literal["csv", "sarif", "junit", "html"]

SHORTEST_HASH = 12
"""So many digits tell a run from all others: those that `audit list` shows."""

STATES: frozenset[Written] = frozenset({"sarif", "html"})
"""What shows how things stand, and so all of it: a code host takes for mended what is not in the latest SARIF."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one audit came to.

    :param target: what was audited, as people know it.
    :param series: by what its history tells its runs from those of other specs.
    :param where: its history.
    :param entries: what is recorded, by digest.
    :param access: who holds what, as far as a report shows it.
    """

    audit: Audit
    target: str
    series: str
    where: str | Path
    entries: Mapping[str, Entry]
    access: Matrix


@dataclass(frozen=True, slots=True)
class Kept:
    """What a history knows of an audit.

    :param run: under which it was recorded; ``None`` where it was not.
    :param since: the run before; ``None`` where there is none.
    :param error: why it could not be recorded, or compared.
    """

    run: Run | None = None
    since: Since | None = None
    error: Error | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """What changed between two runs."""

    former: Run
    latter: Run
    differences: tuple[Difference, ...]


def beside(spec_path: Path) -> Path:
    """Return where the history of a spec is kept, where nothing else is said."""
    return spec_path.with_name(f"{spec_path.stem}.history.db")


def target(spec: Spec, *, alone: bool = False) -> str:
    """Return what an audit of `spec` is about, as a history knows it: the primary, and the replicas if there are.

    :param alone: it is about the replicas alone.
    """
    if spec.primary.instance is not None:
        primary, replicas = spec.primary.instance, [spec.replica.instance or ""] if spec.replica is not None else []
    else:
        hosting = PlainHosting(spec)
        primary, replicas = address_of(hosting.primary()), [address_of(each) for each in hosting.replicas().values()]
    return (
        f"{' and '.join(replicas)}, without the primary" if alone else " and ".join([primary, *filter(None, replicas)])
    )


def series(spec: Spec, spec_path: Path, *, alone: bool = False) -> str:
    """Return by what a history that several share tells the runs of this spec from those of others.

    The servers, where they are as far as the spec says it, and the spec's name unless it is the usual one: two accounts
    may each have a prod-db, and two specs may be about the same servers. Not its directory, which differs by machine.
    """
    region = f" in {spec.aws.region}" if spec.aws.region else ""
    account = f" of {spec.aws.account}" if spec.aws.account else ""
    name = f" by {legible(spec_path.name)}" if spec_path.name != DEFAULT_PATH.name else ""
    return f"{target(spec, alone=alone)}{region}{account}{name}"


def seen(audit: Audit, facts: Facts, spec_path: Path, where: str | Path, formats: Collection[str]) -> Seen:
    """Return what is recorded and reported of an audit: the facts themselves may be a hundred thousand tables.

    :param where: its history; a file, a URL or `NO_HISTORY`.
    :param formats: of the reports that will be written.
    :raises Error: the spec leads nowhere.
    """
    return Seen(
        audit,
        target(facts.spec, alone=facts.alone),
        series(facts.spec, spec_path, alone=facts.alone),
        where,
        {**entries_of(audit), **_held(facts)} if where != NO_HISTORY else {},
        matrix(facts.realms) if "html" in formats else NOBODY,
    )


def kept(what: Seen, at: str) -> Kept:
    """Record an audit and what the readers hold, and compare both with the run before.

    Where that fails, the result says why: the audit stands.
    """
    if what.where == NO_HISTORY:
        return Kept()
    from replica_access.audit.history import open_history

    try:
        history = open_history(what.where, what.series, create=True)
        about = {"version": __version__, "summary": dict(what.audit.summary)}
        run, delta = history.record(at, about, what.entries)
        if run.number == 1:
            return Kept(run)
        former = history.run(run.number - 1)
        appeared = {entry.digest for entry in delta.appeared}
        stayed = (entry for digest, entry in what.entries.items() if digest not in appeared)
        new = new_since((*stayed, *delta.gone), what.audit)
        told = _told(history, delta, run)
    except Error as error:
        return Kept(error=error)
    return Kept(run, Since(former.number, former.at, told, frozenset(finding.key for finding in new)))


def _held(facts: Facts) -> dict[str, Entry]:
    """Return what the readers of the spec hold in each database that was seen."""
    readers = (*facts.spec.roles, *facts.spec.users)
    return {digest: entry for realm in facts.realms for digest, entry in holdings(realm.rights, readers).items()}


def _told(history: History, delta: Delta, latter: Run) -> tuple[Difference, ...]:
    unseen = int(latter.about.get("summary", {}).get("not_checked", 0))
    found = differences(delta.appeared, delta.gone, unseen=unseen)
    return in_order([*found, *gains(delta.appeared, delta.gone, history.named)])


def only_new(audit: Audit, found: Kept) -> Audit:
    """Return the audit without the findings that the run before had; all of them are new where there is none."""
    if found.since is None:
        return audit
    return replace(audit, findings=tuple(each for each in audit.findings if each.key in found.since.new))


def report(
    what: Seen,
    found: Kept,
    spec: str,
    rules: tuple[RuleSummary, ...],
    *,
    at: str,
    fail_on: Severity | None,
    new_only: bool = False,
) -> Report:
    return Report(
        only_new(what.audit, found) if new_only else what.audit,
        target=what.target,
        spec=spec,
        at=at,
        version=__version__,
        rules=rules,
        fail_on=fail_on,
        run=None if found.run is None else (found.run.number, found.run.hash),
        since=found.since,
        access=what.access,
        whole=what.audit if new_only else None,
    )


def rendered(what: Report, how: Written) -> str:
    """Return the report as the text of a file."""
    from replica_access.audit.reports import as_csv, as_html, as_junit, as_sarif

    formats: Mapping[Written, Callable[[Report], str]] = {
        "csv": as_csv.render,
        "sarif": as_sarif.render,
        "junit": as_junit.render,
        "html": as_html.render,
    }
    return formats[how](what.with_all() if how in STATES else what)


def rendered_together(what: Sequence[Report], how: Written) -> str:
    """Return the reports on several specs as the text of one file."""
    from replica_access.audit.reports import as_csv, as_junit, as_sarif, html_several

    formats: Mapping[Written, Callable[[Sequence[Report]], str]] = {
        "csv": as_csv.render_all,
        "sarif": as_sarif.render_all,
        "junit": as_junit.render_all,
        "html": html_several.render,
    }
    return formats[how]([each.with_all() for each in what] if how in STATES else what)


# --- the history by itself --------------------------------------------------------------------------------------------


def runs(of: str, where: str | Path) -> list[Run]:
    """Return all runs, the oldest first.

    :param of: their `series`, here and below.
    :raises UsageError: there is no history.
    """
    return _open(of, where).runs()


def span(of: str, where: str | Path, former: int | None, latter: int | None) -> Span:
    """Return what changed between two runs: the last two, or one and the last, or any two.

    :raises UsageError: there are no such runs.
    """
    history = _open(of, where)
    last = history.last()
    if last is None or (former is None and last.number == 1):
        raise UsageError(f"{history.name} has {'no run' if last is None else 'one run'} of {history.target}.", "")
    first, second = sorted((former or last.number - 1, latter or last.number))
    before, after = history.run(first), history.run(second)
    delta = history.between(first, second)
    return Span(before, after, _told(history, delta, after))


def verified(of: str, where: str | Path, noted: str) -> tuple[int, str]:
    """Check that the history is what the runs have written; return how many there are, and the last hash.

    :param noted: a hash that was noted elsewhere, or its beginning; empty: none was.
    :raises HistoryAltered: it is not.
    :raises UsageError: there is no run.
    """
    if noted and len(noted) < SHORTEST_HASH:
        raise UsageError(f"--expect {noted} is too short to tell.", f"Give {SHORTEST_HASH} digits of the hash, or all.")
    history = _open(of, where)
    verdict = history.verify()
    if verdict.runs == 0:
        raise UsageError(f"{history.name} has no run of {history.target}.", "So there is nothing to verify.")
    if verdict.broken is not None:
        before = f"Runs 1 to {verdict.broken - 1} fit." if verdict.broken > 1 else "No run fits."
        raise HistoryAltered(
            f"Run {verdict.broken} in {history.name} does not fit: {verdict.why}.",
            f"{before} Compare with a backup; whoever may write to it can have done this.",
        )
    if noted and not any(run.hash.startswith(noted.lower()) for run in history.runs()):
        raise HistoryAltered(
            f"No run in {history.name} has the hash {noted}.",
            "The history was written anew, or cut short, since that was noted; or it is that of another target.",
        )
    return verdict.runs, verdict.hash


def _open(of: str, where: str | Path) -> History:
    from replica_access.audit.history import open_history

    if where == NO_HISTORY:
        raise UsageError("--history is none.", "Name the file or the URL of one.")
    return open_history(where, of, create=False)

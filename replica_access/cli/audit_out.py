"""Where an audit goes: to standard output, and into files, in the formats that were asked for."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from replica_access.cli.context import Context, rendered_json
from replica_access.cli.running import count
from replica_access.cli.terminal import escaped, plain
from replica_access.errors import Error, NotWritten, UsageError

if TYPE_CHECKING:  # whoever asks for help waits for none of these
    from replica_access.reporting import Difference, Kept, Report, Since, Written
    from replica_access.several import Audited

FORMATS = ("table", "json", "csv", "sarif", "junit", "html")
MOST_ALIKE = 8
"""So many changes of one kind are told one by one."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The reports that were asked for.

    :param printed: the format of what goes to standard output.
    :param files: the formats of those that go into files.
    """

    printed: str
    files: tuple[tuple[str, Path], ...]

    @property
    def formats(self) -> frozenset[str]:
        return frozenset({self.printed, *(name for name, _ in self.files)})


def wanted(call: Context, asked: Sequence[str], out: Path | None, history: str | None) -> Wanted:
    """Return which reports go where.

    :param asked: each a format, or ``FORMAT=FILE``.
    :param out: the file for the one that has none.
    :param history: where runs are recorded; ``None``: beside each spec.
    :raises UsageError: that makes no sense, or a file cannot be there; before an audit takes its time.
    """
    files: list[tuple[str, Path]] = []
    printed: list[str] = []
    for each in asked:
        name, _, file = each.partition("=")
        if name not in FORMATS:
            raise UsageError(f"--report is {each}.", f"It is one of {', '.join(FORMATS)}, or such a FORMAT=FILE.")
        if file:
            files.append((name, Path(file)))
        else:
            printed.append(name)
    if len(printed) > 1:
        raise UsageError(
            f"Reports {' and '.join(printed)} would both go to the same place.", "Say --report FORMAT=FILE for each."
        )
    if out is not None:
        if not printed:
            raise UsageError("--out FILE needs a --report FORMAT to write there.", "Or say --report FORMAT=FILE.")
        files.append((printed.pop(), out))
    if call.as_json and printed and printed[0] != "json":
        raise UsageError("--format json and --report contradict each other.", "Say --report FORMAT=FILE.")
    _require_places(call, [path for _, path in files], history)
    return Wanted(printed[0] if printed else "json" if call.as_json else "table", tuple(files))


def _require_places(call: Context, paths: Sequence[Path], history: str | None) -> None:
    if not paths:
        return
    from replica_access.reporting import beside

    histories = [history] if history is not None else list(map(beside, call.specs.paths))
    ours = {os.path.realpath(path) for path in (*call.specs.paths, *histories)}
    taken: set[str] = set()
    for path in paths:
        if not path.parent.is_dir():
            raise UsageError(f"{path} cannot be written: there is no directory {path.parent}.", "Make it first.")
        if path.is_dir():
            raise UsageError(f"{path} cannot be written: it is a directory.", "Name a file in it.")
        place = os.path.realpath(path)
        if place in ours:
            raise UsageError(f"A report would overwrite {path}: the spec, or its history.", "Name another file.")
        if place in taken and not path.is_char_device():
            raise UsageError(f"Two reports would both be {path}.", "Name another file for one of them.")
        taken.add(place)


@dataclass(frozen=True, slots=True)
class Result:
    """What there is to print and to write.

    :param lines: for people.
    :param document: for programs.
    :param written: the text of a file of that format.
    """

    lines: Callable[[], Iterable[str]]
    document: Callable[[], dict[str, Any]]
    written: Callable[[Written], str]

    def text(self, name: str) -> str:
        """Return the text of the format of this name."""
        if name == "json":
            return rendered_json("audit", self.document())
        if name == "table":
            return "".join(f"{plain(line)}\n" for line in self.lines())
        return self.written(cast("Written", name))


def of_one(call: Context, audited: Audited) -> Result:
    """Return the result of an audit of one spec."""
    from replica_access import reporting

    report, found = audited.report, audited.kept
    return Result(
        partial(table, call, report, found),
        partial(document, report, found),
        partial(reporting.rendered, report),
    )


def deliver(call: Context, what: Result, reports: Wanted) -> list[Error]:
    """Print and write the reports; return what kept some from being written."""
    from replica_access import starter

    failed: list[Error] = []
    try:
        _print(call, what, reports.printed)
    except BrokenPipeError:
        raise
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left would fail again, at the exit
        failed.append(NotWritten(f"The audit could not be printed: {error.strerror}.", "Make room where it is to go."))
    for name, path in reports.files:
        try:
            starter.write(path, what.text(name))
        except UsageError as error:
            failed.append(NotWritten(error.what, error.fix))
        else:
            call.terminal.done(f"wrote {path}")
    return failed


def _print(call: Context, what: Result, how: str) -> None:
    if how == "table":
        for line in what.lines():
            call.print(line)
    else:
        sys.stdout.write(what.text(how))
    sys.stdout.flush()


def document(report: Report, found: Kept) -> dict[str, Any]:
    """Return the JSON document: the audit, and what the history knows of it."""
    return {**audited_document(report, found), "history": history_document(found)}


def audited_document(report: Report, found: Kept) -> dict[str, Any]:
    """Return the JSON of an audit; each finding says whether it is new; ``null`` where nobody knows."""
    from replica_access.cli import documents

    audited = documents.audit_document(report.audit)
    for finding, each in zip(audited["findings"], report.audit.findings, strict=True):
        finding["new"] = None if found.since is None else each.key in found.since.new
    return {**audited, "left_out": report.left_out}


def table(call: Context, report: Report, found: Kept) -> Iterable[str]:
    """Yield an audit for people; nothing where nobody wants to hear that nothing was found."""
    from replica_access.cli.audit_report import lines

    audit = report.audit
    if call.quiet and not audit.findings and not audit.not_checked:
        return
    yield from lines(audit, with_evidence=not call.quiet, left_out=0 if call.quiet else report.left_out)
    if found.since is not None and not call.quiet:
        yield since(found.since, "replica-access audit diff")
    if found.run is not None and call.verbose:
        yield f"[dim]Recorded as run {found.run.number}, {found.run.hash}[/]"


def difference_lines(changes: Sequence[Difference], *, every: bool) -> Iterable[str]:
    """Yield a line a change; of many of one kind by one rule, some."""
    colours = {
        "new": "red",
        "due": "red",
        "gained": "yellow",
        "changed": "yellow",
        "unknown": "yellow",
        "accepted": "dim",
    }
    for (turn, rule), found in groupby(changes, key=lambda each: (each.turn, each.rule)):
        alike = list(found)
        shown = alike if every or len(alike) <= MOST_ALIKE else alike[: MOST_ALIKE - 1]
        for each in shown:
            named = f" [dim]({escaped(rule)})[/]" if rule else ""
            yield f"  [{colours.get(turn, 'green')}]{turn:<8}[/]  {escaped(each.sentence)}{named}"
        if len(shown) < len(alike):
            of = f" of {escaped(rule)}" if rule else ""
            yield f"            … and {len(alike) - len(shown):,} more{of}; -v shows each"


def difference_documents(changes: Iterable[Difference]) -> list[dict[str, str | None]]:
    return [
        {
            "turn": each.turn,
            "severity": each.severity or None,
            "rule": each.rule or None,
            "sentence": each.sentence,
        }
        for each in changes
    ]


def history_document(found: Kept) -> dict[str, Any] | None:
    if found.run is None:
        return None
    before = found.since
    return {
        "run": found.run.number,
        "hash": found.run.hash,
        "since": None
        if before is None
        else {"run": before.number, "at": before.at, "changes": difference_documents(before.differences)},
    }


def since(before: Since, command: str) -> str:
    """Return the line on what has changed since the run before.

    :param command: shows it.
    """
    turns = [each.turn for each in before.differences]
    counted = ", ".join(f"{turns.count(turn)} {turn}" for turn in dict.fromkeys(turns))
    told = f"{count(len(turns), 'change')} ({counted}): {escaped(command)}" if turns else "no change"
    return f"Since run {before.number} of {escaped(before.at)}: {told}"

"""The audit: what is held against the current state, and what the rules are."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from traceback import print_exception
from typing import TYPE_CHECKING, Annotated

import typer

from replica_access.cli import audit_history, audit_out
from replica_access.cli.audit_history import HistoryAt
from replica_access.cli.context import Context
from replica_access.cli.running import count, print_lines
from replica_access.cli.terminal import Terminal, escaped
from replica_access.errors import Abandoned, Error, FindingsStand, Incomplete, UsageError

if TYPE_CHECKING:  # whoever asks for help waits for none of these
    from replica_access.cli.audit_out import Wanted
    from replica_access.findings import Audit, Severity
    from replica_access.several import Wish

LEVELS = ("high", "medium", "low", "info", "never")

app = typer.Typer(invoke_without_command=True)
audit_history.add_to(app)


@app.callback()
def audit(
    context: typer.Context,
    fail_on: Annotated[
        str,
        typer.Option(
            "--fail-on",
            metavar="|".join(LEVELS),
            help="Exit with 3 where there are findings as grave as this, or graver.",
        ),
    ] = "high",
    rules: Annotated[bool, typer.Option("--rules", help="List all rules, with their severity and reason.")] = False,
    report: Annotated[
        list[str] | None,
        typer.Option(
            "--report",
            metavar="FORMAT[=FILE]",
            help="table, json, csv, sarif, junit or html; repeat. Without a FILE it is printed.",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write the --report there.")] = None,
    new_only: Annotated[
        bool,
        typer.Option(
            "--new-only",
            help="Leave out what the run before has found, for --fail-on too. Only html and sarif have it.",
        ),
    ] = False,
    on: Annotated[
        str, typer.Option("--on", metavar="all|replica", help="With replica, the primary is left alone.")
    ] = "all",
    history: HistoryAt = None,
) -> None:
    """Hold servers, users, grants and addresses against the spec and against good practice; change nothing.

    Exit status: 3 where a finding is as grave as --fail-on or graver, whatever else; otherwise 4 where something could
    not be looked at, which is listed with the reason. 1 where it could not be recorded, or a report not be written.

    Of several specs, side by side, it makes one report: one that cannot be read, or whose server is down, is listed
    there, and the others are judged. 2 only where not one of them can be read.

    replica-access audit

    replica-access audit --fail-on medium --new-only

    replica-access audit --report html=audit.html --report sarif=audit.sarif

    replica-access audit --spec prod.toml --spec 'regions/*.toml'
    """
    if context.invoked_subcommand is not None:
        return
    call = Context.of(context)
    if fail_on not in LEVELS:
        raise UsageError(f"--fail-on is {fail_on}.", f"It is one of {', '.join(LEVELS)}.")
    if on not in {"all", "replica"}:
        raise UsageError(f"--on is {on}.", "It is all or replica.")
    if rules:
        _list_rules(call)
        return
    where = audit_history.said(context, history)
    reports = audit_out.wanted(call, report or (), out, where)
    from replica_access import reporting, several

    if new_only and where == reporting.NO_HISTORY:
        raise UsageError("--new-only compares with the run before, and --history is none.", "Leave one of them out.")
    wish = several.Wish(datetime.now(UTC), where, new_only, _level(fail_on), reports.formats, on == "replica")
    if call.specs.is_set:
        _audit_several(call, wish, reports, fail_on)
    else:
        _audit_one(call, wish, reports, fail_on)


def _audit_one(call: Context, wish: Wish, reports: Wanted, fail_on: str) -> None:
    from replica_access import several, workflow

    spec = call.spec()
    audited = several.audit_one(spec, call.spec_path, workflow.host(spec), wish, call.terminal)
    call.terminal.close()
    _say_what_was_left_out(call, wish)
    failed = audit_out.deliver(call, audit_out.of_one(call, audited), reports)
    error = audited.kept.error
    _end(call, audited.report.audit, fail_on, failed if error is None else [error, *failed])


def _audit_several(call: Context, wish: Wish, reports: Wanted, fail_on: str) -> None:
    from replica_access import several
    from replica_access.cli import audit_several
    from replica_access.cli.board import Board

    for path in call.specs.repeated:
        call.terminal.note(f"{path} is a file that is named already: it is audited once.")
    board = Board(call.terminal, len(call.specs.paths))
    try:
        audited = several.audit_each(call.specs.paths, wish, board)
    except KeyboardInterrupt:
        raise Abandoned from None
    finally:
        board.close()
    _say_what_was_left_out(call, wish)
    failed = audit_out.deliver(call, audit_several.result(call, audited), reports)
    _end(call, audit_several.together(audited), fail_on, [*audit_several.failures(audited), *failed])


def _say_what_was_left_out(call: Context, wish: Wish) -> None:
    if wish.alone:
        call.terminal.note("The primary was left alone, so nothing tells what the spec gives and is not there.")


def _end(call: Context, found: Audit, fail_on: str, failed: list[Error]) -> None:
    """Raise what the exit status is about; what else went wrong is said before."""
    try:
        _judge(found, fail_on)
    except FindingsStand as error:
        failed.append(error)
    except Incomplete as error:
        failed = failed or [error]
    if not failed:
        return
    for other in failed[:-1]:
        Terminal().say(f"[bold red]Error:[/] {escaped(str(other))}")
        if call.verbose >= 2:
            print_exception(other)
    raise failed[-1]


def _list_rules(call: Context) -> None:
    from replica_access.auditing import RULES
    from replica_access.cli.audit_report import rule_lines

    if call.as_json:
        listed = [{"id": rule.id, "severity": rule.severity, "reason": rule.reason} for rule in RULES]
        call.print_json("audit-rules", {"rules": listed})
    else:
        print_lines(call, rule_lines(RULES))


def _level(fail_on: str) -> Severity | None:
    from replica_access.findings import SEVERITIES

    return next((severity for severity in SEVERITIES if severity == fail_on), None)


def _judge(found: Audit, fail_on: str) -> None:
    level = _level(fail_on)
    grave = found.at_or_above(level) if level is not None else ()
    unseen = f"{count(len(found.not_checked), 'thing')} could not be looked at"
    if grave:
        more = f" And {unseen}." if found.not_checked else ""
        what = f"{count(len(grave), 'finding')} of severity {fail_on}{' or graver' if fail_on != 'high' else ''}.{more}"
        raise FindingsStand(what, "Each has its remedy above; accept what is meant in [[accepted]] of the spec.")
    if found.not_checked:
        raise Incomplete(f"{unseen}.", "The reasons are above.")

"""The history of audits: list the runs, say what changed between two, check that nobody has altered it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from replica_access.cli.audit_out import difference_documents, difference_lines
from replica_access.cli.context import Context
from replica_access.cli.running import count, print_lines
from replica_access.cli.terminal import escaped
from replica_access.errors import HistoryAltered, UsageError

if TYPE_CHECKING:  # whoever asks for help waits for none of these
    from replica_access.reporting import Run

HistoryAt = Annotated[
    str | None,
    typer.Option(
        "--history",
        metavar="FILE|URL|none",
        envvar="REPLICA_ACCESS_HISTORY",
        help="Where runs are recorded: a file, or postgresql://…; default: beside the spec.",
    ),
]


def said(context: typer.Context, history: str | None) -> str | None:
    """Return where the history is, as the command says, or the `audit` before it; ``None``: beside the spec.

    :raises UsageError: the command line, which everybody on this machine can read, has a password in it.
    """
    before = context.parent if history is None else None
    where: str | None = history if before is None else before.params.get("history")
    source = (before or context).get_parameter_source("history")
    on_the_command_line = source is not None and source.name == "COMMANDLINE"
    if where is not None and on_the_command_line and _has_password(where):
        raise UsageError(
            "--history has a password in it, and everybody on this machine can read a command line.",
            "Leave it to PGPASSWORD or the pgpass file, or put the whole URL into REPLICA_ACCESS_HISTORY.",
        )
    return where or None


def _runs_at(context: typer.Context, call: Context, history: str | None) -> tuple[str, str]:
    """Return which runs are meant, by their series, and where they are."""
    from replica_access import reporting

    alone = context.parent is not None and context.parent.params.get("on") == "replica"
    of = reporting.series(call.spec(), call.spec_path, alone=alone)
    return of, said(context, history) or str(reporting.beside(call.spec_path))


def _has_password(url: str) -> bool:
    from urllib.parse import parse_qs, urlsplit

    if "://" not in url:
        return False
    parts = urlsplit(url)
    return parts.password is not None or not {"password", "sslpassword"}.isdisjoint(parse_qs(parts.query))


def add_to(app: typer.Typer) -> None:
    """Add these commands to those of `audit`."""
    app.command("list")(list_runs)
    app.command()(diff)
    app.command("verify-history")(verify_history)


def list_runs(context: typer.Context, history: HistoryAt = None) -> None:
    """Show the runs that were recorded: when, what was found, and the hash of each with -v."""
    from replica_access import reporting

    call = Context.of(context)
    runs = reporting.runs(*_runs_at(context, call, history))
    if call.as_json:
        call.print_json(
            "audit-runs", {"runs": [{"run": r.number, "at": r.at, **r.about, "hash": r.hash} for r in runs]}
        )
    else:
        print_lines(call, (_run(run, whole=call.verbose > 0) for run in runs))
        if not runs:
            call.terminal.note("There is no run yet of what this spec is about, by its servers and its name.")


def diff(
    context: typer.Context,
    former: Annotated[int | None, typer.Argument(metavar="A", min=1, help="A run; default: the last but one.")] = None,
    latter: Annotated[int | None, typer.Argument(metavar="B", min=1, help="Another; default: the last.")] = None,
    history: HistoryAt = None,
) -> None:
    """Say what changed between two runs, the last two where none is named.

    new: found, and was not. due: its acceptance has ended. changed: found, with something else about it. accepted: by
    the spec. gone: no longer found. gained, lost: what a reader of the spec holds, by which way, and by whose grant.
    unknown, known: could not be looked at, or could again.
    """
    from replica_access import reporting

    call = Context.of(context)
    span = reporting.span(*_runs_at(context, call, history), former, latter)
    if call.as_json:
        ends = {"from": span.former.number, "to": span.latter.number}
        call.print_json("audit-diff", {**ends, "changes": difference_documents(span.differences)})
        return
    call.print(f"From run {span.former.number} of {span.former.at} to run {span.latter.number} of {span.latter.at}:")
    print_lines(call, difference_lines(span.differences, every=call.verbose > 0))
    if not span.differences:
        call.print("  nothing has changed")


def verify_history(
    context: typer.Context,
    noted: Annotated[
        str, typer.Option("--expect", metavar="HASH", help="A hash noted elsewhere: its run has to be there.")
    ] = "",
    history: HistoryAt = None,
) -> None:
    """Check that nobody has altered the history: every run against its hash, and every hash against the one before.

    Whoever may write to it can also write all hashes anew. So note the hash of a run elsewhere, a report has it, and
    name it with --expect. Exit status 3 where a run does not fit: the first of them is named.
    """
    from replica_access import reporting

    call = Context.of(context)
    try:
        number, hashed = reporting.verified(*_runs_at(context, call, history), noted)
    except HistoryAltered as error:
        if call.as_json:
            call.print_json("audit-verify-history", {"ok": False, "runs": None, "hash": None, "why": error.what})
        raise
    if call.as_json:
        call.print_json("audit-verify-history", {"ok": True, "runs": number, "hash": hashed, "why": None})
    else:
        call.print(f"[green]✓[/] {count(number, 'run')}, each as it was written; the last has the hash {hashed}")


def _run(run: Run, *, whole: bool) -> str:
    from replica_access.findings import Audit

    summary = run.about.get("summary", {})
    known = [what for what in Audit().summary if what in summary]  # the gravest first, and then what else there is
    kinds = dict.fromkeys([*known, *summary])
    counted = ", ".join(f"{summary[what]} {what.replace('_', ' ')}" for what in kinds if summary[what])
    hashed = run.hash if whole else run.hash[:12]
    return f"{run.number:>5}  {escaped(run.at)}  [dim]{hashed}[/]  {escaped(counted or 'nothing found')}"

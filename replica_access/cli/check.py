"""Preflight: what stands in the way of apply, and the little of it that can be put right here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from replica_access.cli import running
from replica_access.cli.context import Context
from replica_access.cli.running import AllowWide, Timeout, Yes, count, print_lines
from replica_access.cli.terminal import escaped
from replica_access.errors import Incomplete, PreflightFailed

if TYPE_CHECKING:  # whoever asks for help waits for none of these
    from replica_access.hosting import Hosting
    from replica_access.outlook import Applied, Outlook


def check(
    context: typer.Context,
    fix: Annotated[
        bool, typer.Option("--fix", help="Put right what is safe: DNS of the VPC, backups of the source. Asks first.")
    ] = False,
    yes: Yes = False,
    allow_wide: AllowWide = False,
    timeout: Timeout = 120,
) -> None:
    """Look at everything that would stop apply, all at once, each with its fix; change nothing, unless told to.

    replica-access check

    replica-access check --fix
    """
    from replica_access import workflow
    from replica_access.model import Request

    call = Context.of(context)
    spec = call.spec()
    hosting = workflow.host(spec, timeout_s=timeout * 60)
    request = Request(allow_wide=allow_wide)
    outlook, _ = running.look(call, spec, hosting, request)
    mended = _fix(call, hosting, outlook, yes=yes) if fix else None
    if mended is not None and mended.error is None:
        outlook, _ = running.look(call, spec, hosting, request)
    _report(call, outlook, mended)
    if mended is not None and mended.error is not None:
        raise mended.error
    _judge(call, outlook)


def _report(call: Context, outlook: Outlook, mended: Applied | None) -> None:
    from replica_access.cli import documents, render

    if call.as_json:
        document = documents.check_document(outlook.checks)
        if mended is not None:
            document["fixed"] = [documents.change_document(change) for change in mended.changes]
            document["failed"] = documents.applied_document(mended)["failed"]
        call.print_json("check", document)
        return
    if mended is not None and not call.terminal.is_watched:
        print_lines(call, render.done(mended.changes))
    if mended is None or mended.error is None:
        print_lines(call, render.checks(outlook.checks))


def _judge(call: Context, outlook: Outlook) -> None:
    if outlook.problems:
        stand = "stands" if len(outlook.problems) == 1 else "stand"
        raise PreflightFailed(
            f"{count(len(outlook.problems), 'problem')} {stand} in the way.", "Each has its fix above."
        )
    if outlook.not_checked:
        raise Incomplete(
            f"{count(len(outlook.not_checked), 'thing')} could not be looked at.", "The reasons are above."
        )
    if not call.as_json:
        passed = sum(check.outcome == "ok" for check in outlook.checks)
        call.print(f"Nothing stands in the way: {count(passed, 'check')} passed.")


def _fix(call: Context, hosting: Hosting, outlook: Outlook, *, yes: bool) -> Applied | None:
    """Ask, and put right what can be; return what was done, or ``None`` where there was nothing to do.

    :raises UsageError: nobody is there to ask.
    """
    from replica_access import executing, mending

    changes = mending.mends(outlook.checks)
    if not call.as_json:
        print_lines(call, _intention(outlook))
    if not changes:
        return None
    call.confirm(f"Do {'it' if len(changes) == 1 else f'these {len(changes)}'}?", yes=yes)
    mended = executing.carry_out(hosting, changes, call.terminal)
    call.terminal.close()
    return mended


def _intention(outlook: Outlook) -> Iterator[str]:
    """Yield what --fix is about to do, and what it leaves alone."""
    from replica_access import mending

    for change in mending.mends(outlook.checks):
        yield f"[green]+[/] {escaped(change.summary)}"
    for name, reason in mending.left(outlook.checks):
        yield f"[cyan]·[/] {escaped(name)} is left to you: {escaped(reason)}"

"""Undoing it all: the replica and everything that was made for it, taken away in the right order."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from replica_access.cli import running
from replica_access.cli.context import Context
from replica_access.cli.running import SkipBlocked, Timeout, count, print_lines
from replica_access.cli.terminal import escaped
from replica_access.errors import Error, Incomplete, Interrupted, UsageError

if TYPE_CHECKING:  # whoever asks for help waits for none of these
    from replica_access.hosting import Hosting
    from replica_access.model import Pending
    from replica_access.outlook import Outlook
    from replica_access.removal import Removed
    from replica_access.spec import Spec
    from replica_access.state import State

LEFT_ALONE = "Left alone"


def add_to(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command()(destroy)


def destroy(
    context: typer.Context,
    plan_only: Annotated[bool, typer.Option("--plan", help="Show what would be taken away, and stop.")] = False,
    with_users: Annotated[
        bool, typer.Option("--with-users", help="Drop the roles on the primary that runs have made, too.")
    ] = False,
    confirm: Annotated[
        str | None, typer.Option("--confirm", metavar="REPLICA", help="The replica's name, instead of typing it.")
    ] = None,
    skip_blocked: SkipBlocked = False,
    timeout: Timeout = 120,
) -> None:
    """Take away the replica and all that was made for it: its groups, and the users' secrets. Asks for its name first.

    Only what carries our tag goes. Roles on the primary stay, unless --with-users. It can be repeated after any
    interruption, and says what remains.
    """
    from replica_access import workflow
    from replica_access.outlook import refuse_what_stands_in_the_way

    call = Context.of(context)
    spec = call.spec()
    name = _replica_of(spec, call)
    if confirm is not None and confirm.lower() != name:
        raise UsageError(f"--confirm names {confirm}, and the replica of {call.spec_path} is {name}.", "Look again.")
    hosting = workflow.host(spec, timeout_s=timeout * 60)
    outlook, known = _look(call, spec, hosting, with_users=with_users)
    is_shown = plan_only or confirm is None
    if is_shown:
        _show(call, outlook, to_the_end=plan_only)
    refuse_what_stands_in_the_way(outlook, skip_blocked=skip_blocked)
    if plan_only:
        _refuse_what_was_not_looked_at(outlook)
        return
    if outlook.plan.changes:
        _require_name(call, name, confirm)
    removed, undo = _carry_out(call, spec, hosting, outlook, known if with_users else None)
    left = _look_again(call, spec, hosting, outlook, removed, with_users=with_users)
    _report(call, outlook, removed, undo, left, with_pending=not is_shown)
    _judge(outlook, removed, left)


def _replica_of(spec: Spec, call: Context) -> str:
    from replica_access import removal

    name = removal.replica_of(spec)
    if name is None:
        raise UsageError(
            f"{call.spec_path} has no replica on RDS: nothing was made around the servers.",
            "To take users away, take them out of the spec and run `replica-access apply --allow-drop`.",
        )
    return name


def _look(call: Context, spec: Spec, hosting: Hosting, *, with_users: bool) -> tuple[Outlook, State | None]:
    from replica_access import removal
    from replica_access.model import Request

    look = partial(removal.look, spec, hosting, call.terminal, with_users=with_users)
    found = running.look_knowing(call, removal.without_readers(spec), look, Request(allow_drop=True))
    call.terminal.close()
    return found


# --- before ----------------------------------------------------------------------------------------------------------


def _show(call: Context, outlook: Outlook, *, to_the_end: bool) -> None:
    """:param to_the_end: nothing comes after it: then it is the result."""
    from replica_access.cli import documents, render

    if not call.as_json:
        print_lines(call, _account(outlook))
        what = replace(outlook.plan, pending=())
        print_lines(call, render.plan(what, with_sql=call.verbose > 0, request=outlook.request))
        print_lines(call, render.pending(outlook.plan.pending, title=LEFT_ALONE))
        if to_the_end:
            call.print(f"{count(len(outlook.plan.changes), 'change')}.")
    elif to_the_end:
        call.print_json("destroy", {**documents.plan_document(outlook.plan), **_outcome_document(outlook)})


def _account(outlook: Outlook) -> Iterator[str]:
    for check in outlook.checks:
        if check.name == "account":
            yield f"Account {escaped(check.detail)}"
            yield ""


def _require_name(call: Context, name: str, given: str | None) -> None:
    """Have the name of the replica typed, unless it was given.

    :raises UsageError: nobody is there to ask.
    """
    if given is not None:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError("There is no terminal to ask on.", f"Say --confirm {name} to go ahead without being asked.")
    if typer.prompt(f"Type {name} to take all of this away", default="", show_default=False, err=True) != name:
        call.terminal.say("Nothing was changed.")
        raise typer.Exit(1)


# --- done ------------------------------------------------------------------------------------------------------------


def _carry_out(
    call: Context, spec: Spec, hosting: Hosting, outlook: Outlook, known: State | None
) -> tuple[Removed, Path | None]:
    """Carry it out, and remember which roles are still there; return the undo script too, of what SQL has done.

    :param known: what is remembered of roles; ``None`` where none of them was to go.
    """
    from replica_access import removal, state

    undo = running.leave_undo(call.spec_path, outlook.plan, spec.primary.database, datetime.now(UTC))
    removed = removal.destroy(spec, hosting, outlook, call.terminal)
    if undo is not None:
        failed = bool(removed.failures)
        undo = running.corrected_undo(undo, outlook.plan, removed.changes, spec.primary.database, failed=failed)
    if known is not None and any(change.scope == "cluster" for change in removed.changes):
        try:
            state.write_or_remove(state.beside(call.spec_path), removal.forget(hosting, known))
        except Error as error:
            call.terminal.note(f"{error} The next run looks for these roles once more.")
    call.terminal.close()
    return removed, undo


def _look_again(
    call: Context, spec: Spec, hosting: Hosting, outlook: Outlook, removed: Removed, *, with_users: bool
) -> tuple[Pending, ...]:
    """Return what of ours is still there: by looking, or, where nobody can or would wait, by what was not done."""
    from replica_access import removal

    if not removed.changes and not removed.failures:
        return removal.remaining(outlook, removed)
    if not any(isinstance(failure.error, Interrupted) for failure in removed.failures):
        try:
            return removal.remaining(_look(call, spec, hosting, with_users=with_users)[0], removed)
        except Error as error:
            call.terminal.note(f"What is left could not be looked at: {error}")
    return removal.undone(outlook, removed)


def _report(
    call: Context,
    outlook: Outlook,
    removed: Removed,
    undo: Path | None,
    left: Sequence[Pending],
    *,
    with_pending: bool,
) -> None:
    from replica_access.cli import documents, render

    if call.as_json:
        outcome = _outcome_document(outlook, removed, undo, left)
        call.print_json("destroy", {**documents.plan_document(outlook.plan), **outcome})
        return
    if not call.terminal.is_watched:
        print_lines(call, render.done(removed.changes))
    if with_pending:
        print_lines(call, render.pending(outlook.plan.pending, title=LEFT_ALONE))
    for failure in removed.failures if len(removed.failures) > 1 else ():
        call.print(f"[red]✗[/] {escaped(str(failure.error))}")
    for each in left:
        call.print(f"[red]✗[/] remains: {escaped(_words(each))}")
    if removed.changes:
        call.print(f"{count(len(removed.changes), 'change')} made.")
    if not left and not removed.failures and not outlook.not_checked:
        call.print(escaped(f"Nothing of it is left. {call.spec_path} stays: `replica-access apply` makes it anew."))
    if undo is not None:
        call.print(f"To make the roles again: psql -f {escaped(str(undo))}")


def _words(each: Pending) -> str:
    return f"{each.kind} {each.name}" + (f": {each.reason}" if each.reason else "")


def _outcome_document(
    outlook: Outlook, removed: Removed | None = None, undo: Path | None = None, left: Sequence[Pending] | None = None
) -> dict[str, Any]:
    """Return what the document has beside the plan; what remains is ``null`` where nothing was done yet."""
    return {
        "not_checked": [{"what": check.name, "why": check.detail} for check in outlook.not_checked],
        "applied": [change.id for change in removed.changes] if removed is not None else [],
        "failed": [
            {"id": failure.change.id if failure.change is not None else None, "error": str(failure.error)}
            for failure in (removed.failures if removed is not None else ())
        ],
        "undo": None if undo is None else str(undo),
        "remains": None
        if left is None
        else [{"kind": each.kind, "name": each.name, "reason": each.reason} for each in left],
    }


def _judge(outlook: Outlook, removed: Removed, left: Sequence[Pending]) -> None:
    """:raises Error: something of ours is still there, or may be."""
    if len(removed.failures) == 1:
        raise removed.failures[0].error
    if removed.failures or left:
        raise Error(
            f"Not all of it could be taken away; of ours remains {count(len(left), 'thing')}.",
            "What keeps it is above: run the same command again when that is mended.",
        )
    _refuse_what_was_not_looked_at(outlook)


def _refuse_what_was_not_looked_at(outlook: Outlook) -> None:
    if outlook.not_checked:
        unseen = "\n".join(f"- {check.name}: {check.detail}" for check in outlook.not_checked)
        fixes = " ".join(dict.fromkeys(check.fix for check in outlook.not_checked))
        raise Incomplete(f"Whether anything of ours is left could not be looked at:\n{unseen}", fixes)

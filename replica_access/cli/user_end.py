"""The end of a login: a last day, or away with it and all that it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from replica_access.cli import running
from replica_access.cli.context import Context
from replica_access.cli.running import Yes, count, print_lines
from replica_access.cli.terminal import escaped
from replica_access.errors import Error, Interrupted, UsageError

if TYPE_CHECKING:  # whoever asks for help waits for none of these
    from replica_access.hosting import Hosting
    from replica_access.model import Change
    from replica_access.outlook import Outlook
    from replica_access.spec import Spec
    from replica_access.spec_edit import Edit
    from replica_access.state import State

Name = Annotated[str, typer.Argument(metavar="NAME", help="A user of the spec.")]

# --- expire ----------------------------------------------------------------------------------------------------------


def expire(
    context: typer.Context,
    name: Name,
    at: Annotated[
        datetime | None,
        typer.Option(metavar="DATE", formats=["%Y-%m-%d"], help="The last day, in UTC. Default: yesterday, so now."),
    ] = None,
    end_sessions: Annotated[
        bool, typer.Option("--end-sessions", help="End what it has open, too, on the replica and on the primary.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Give a user a last day: in the spec, in place, and on the primary, and change nothing else.

    From then on its password lets nobody in. Sessions that are open go on, unless --end-sessions. A later day takes it
    back. Asks first, or say --yes.

    replica-access user expire bi

    replica-access user expire bi --at 2027-06-30
    """
    from replica_access import ending, spec_users, users, workflow
    from replica_access.names import shown
    from replica_access.outlook import refuse_what_stands_in_the_way
    from replica_access.spec import valid_until_text

    call = Context.of(context)
    spec, today = call.spec(), datetime.now(UTC).date()
    users.require_declared(spec, name)
    day = at.date() if at is not None else today - timedelta(days=1)
    _refuse_to_expire(spec, name, day, today, end_sessions=end_sessions)
    edit = spec_users.with_last_day(call.spec_path, spec, name, day)
    hosting = workflow.host(edit.spec)
    outlook = ending.look_at_last_day(hosting, name, valid_until_text(day), call.terminal)
    call.terminal.close()
    refuse_what_stands_in_the_way(outlook)
    steps = [f"write {day} as the last day of {shown(name)} in {call.spec_path}"] if edit.after != edit.before else []
    _agree(call, outlook, steps, yes=yes)
    changing = partial(ending.expire, hosting, name, valid_until_text(day), call.terminal)
    done = _carry_out(call, edit.spec, edit, outlook, changing)
    if end_sessions and done.error is None:
        done.notes.extend(ending.end_sessions(hosting, name, call.terminal))
    call.terminal.close()
    _report(call, "user-expire", done, {"user": shown(name), "last_day": day.isoformat()})


def _refuse_to_expire(spec: Spec, name: str, day: date, today: date, *, end_sessions: bool) -> None:
    from replica_access.names import shown

    if spec.users[name].auth == "iam":
        raise UsageError(
            f"{shown(name)} logs in by IAM, where PostgreSQL asks for no last day.",
            f"Take `rds-db:connect` away from whoever logs in so, or run `replica-access user drop {shown(name)}`.",
        )
    if end_sessions and day >= today:
        raise UsageError(f"{day} is not over, and {shown(name)} could log in again.", "Leave --end-sessions out.")


# --- drop ------------------------------------------------------------------------------------------------------------


def drop(context: typer.Context, name: Name, yes: Yes = False) -> None:
    """Take a user away: out of the spec, in place, out of every database, its role and its secret. Asks first.

    What it owns is never dropped with it, and stops this, with the list. So does a role that no run has made. A run
    that was stopped is finished by the same command. The undo script makes the role again, without its password.

    replica-access user drop bi
    """
    from replica_access import ending, spec_users, state, users, workflow
    from replica_access.names import shown
    from replica_access.outlook import refuse_what_stands_in_the_way

    call = Context.of(context)
    spec, known = call.spec(), state.read(state.beside(call.spec_path))
    if name not in state.departed(known, spec):  # else a run that was stopped has taken it out of the spec
        users.require_declared(spec, name)
    edit = spec_users.without(call.spec_path, spec, name) if name in spec.users else None
    hosting = workflow.host(spec)
    outlook = ending.look_at_departure(spec, hosting, name, known, call.terminal)
    call.terminal.close()
    refuse_what_stands_in_the_way(outlook)
    steps = []
    if edit is not None:
        has_password = spec.users[name].auth == "password"
        steps = [f"delete {spec.secret_of(name)}"] * has_password + [f"take {shown(name)} out of {call.spec_path}"]
    _agree(call, outlook, steps, yes=yes)
    dropping = partial(ending.drop, spec, hosting, outlook, call.terminal)
    done = _carry_out(call, spec, edit, outlook, dropping, first=partial(hosting.forget_password, name))
    if done.error is None:
        done.notes.extend(ending.follow(hosting, outlook, done.changes, call.terminal))
    _forget(call, edit.spec if edit is not None else spec, hosting, known, done)
    call.terminal.close()
    _report(call, "user-drop", done, {"user": shown(name)})


def _forget(call: Context, spec: Spec, hosting: Hosting, known: State | None, done: Done) -> None:
    """Remember that the role is gone, if it is."""
    from replica_access import removal, state

    if known is None or not any(change.takes == "drop" for change in done.changes):
        return
    try:
        state.write(state.beside(call.spec_path), removal.forget(hosting, known, (*spec.roles, *spec.users)))
    except Error as error:
        call.terminal.note(f"{error} The next run looks for this role once more.")


# --- what expire and drop have in common -----------------------------------------------------------------------------


@dataclass(slots=True)
class Done:
    """What became of it.

    :param edited: whether the spec was.
    :param undo: the script that takes the changes back; ``None`` where there is nothing to take back.
    """

    edited: bool
    changes: list[Change] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    undo: Path | None = None
    error: Error | None = None


def _agree(call: Context, outlook: Outlook, steps: list[str], *, yes: bool) -> None:
    """Ask for all of it at once, the spec and the primary."""
    number = len(outlook.plan.changes)
    steps = [*steps, *([f"apply {count(number, 'change')}"] if number else [])]
    if steps:
        question = " and ".join([*([", ".join(steps[:-1])] if steps[1:] else []), steps[-1]])
        running.ask(call, outlook, f"{question[0].upper()}{question[1:]}?", yes=yes)


def _carry_out(
    call: Context,
    spec: Spec,
    edit: Edit | None,
    outlook: Outlook,
    changing: Callable[[], Iterator[Change]],
    *,
    first: Callable[[], str] = lambda: "",
) -> Done:
    """Write the spec, then change the primary: what a stop leaves undone, the same command finishes.

    :param first: what has to be done while the spec still says all, and returns what came of it.
    """
    done = Done(edited=edit is not None and edit.after != edit.before)
    done.undo = running.leave_undo(call.spec_path, outlook.plan, spec.primary.database, datetime.now(UTC))
    if edit is not None and done.edited:
        done.notes += filter(None, [first()])
        edit.write()
    try:
        for change in changing() if outlook.plan.changes else ():
            done.changes.append(change)
    except Error as error:
        done.error = error
    except KeyboardInterrupt:
        done.error = Interrupted()
    if done.undo is not None:
        database, failed = spec.primary.database, done.error is not None
        done.undo = running.corrected_undo(done.undo, outlook.plan, done.changes, database, failed=failed)
    return done


def _report(call: Context, name: str, done: Done, more: dict[str, Any]) -> None:
    """:raises Error: what ended the run."""
    from replica_access.cli import render

    if call.as_json:
        document = {
            **more,
            "edited": done.edited,
            "applied": [change.id for change in done.changes],
            "notes": done.notes,
            "undo": None if done.undo is None else str(done.undo),
        }
        call.print_json(name, document)
    else:
        if done.edited:
            call.print(f"[green]✓[/] edited {escaped(str(call.spec_path))}")
        if not call.terminal.is_watched:
            print_lines(call, render.done(done.changes))
        print_lines(call, (escaped(note) for note in done.notes))
        if not done.edited and not done.changes and done.error is None:
            call.print("Nothing to do.")
        if done.undo is not None:
            call.print(f"To undo it on the primary: psql -f {escaped(str(done.undo))}")
    if done.error is not None:
        raise done.error

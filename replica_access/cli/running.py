"""What the commands that change something have in common: look, ask, carry out, remember, report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from replica_access.cli.context import Context
from replica_access.cli.terminal import escaped
from replica_access.errors import Error, Incomplete, ProofFailed

if TYPE_CHECKING:  # whoever asks for help waits for none of these
    from replica_access.hosting import Hosting
    from replica_access.inventory import Inventory
    from replica_access.model import Change, Plan, Proof, Request
    from replica_access.outlook import Applied, Outlook
    from replica_access.spec import Spec
    from replica_access.state import State

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
SkipBlocked = Annotated[
    bool, typer.Option("--skip-blocked", help="Leave out objects that the admin may not grant on, and do the rest.")
]
AllowRevoke = Annotated[
    bool,
    typer.Option("--allow-revoke", help="Take away what readers have, and whom the replica lets in, beyond the spec."),
]
AllowDrop = Annotated[bool, typer.Option("--allow-drop", help="Drop roles that were made by a run and left the spec.")]
AllowWide = Annotated[
    bool, typer.Option("--allow-wide", help="Let in networks wider than /16 (IPv6: /32), the whole internet included.")
]
Timeout = Annotated[int, typer.Option("--timeout", metavar="MINUTES", min=1, help="How long to wait for the replica.")]


@dataclass(frozen=True, slots=True)
class Orders:
    """What somebody has said about a run, by flags.

    :param timeout: minutes to wait for the replica.
    """

    yes: bool
    skip_blocked: bool
    allow_revoke: bool
    allow_drop: bool = False
    allow_wide: bool = False
    timeout: int = 120


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run did.

    :param undo: the script that takes its grants back; ``None`` where there is nothing to take back.
    """

    applied: Applied
    undo: Path | None


def look(
    call: Context, spec: Spec, hosting: Hosting, request: Request, *, stock: bool = False
) -> tuple[Outlook, State | None]:
    """Look at everything, knowing what the last run left behind; return that too.

    :raises UsageError: the state is damaged.
    """
    from replica_access import workflow

    return look_knowing(call, spec, partial(workflow.look, spec, hosting, call.terminal, stock=stock), request)


def look_knowing(
    call: Context, spec: Spec, look: Callable[[Request], Outlook], request: Request
) -> tuple[Outlook, State | None]:
    """Call `look` with the roles that runs have made and `spec` does not name; return its outlook and the state.

    The state of another system is none, which is said: it may name roles that are somebody else's here.

    :raises UsageError: the state is damaged.
    """
    from replica_access import state

    path = state.beside(call.spec_path)
    known = state.read(path)
    outlook = look(replace(request, departed=state.departed(known, spec)))
    if known is not None and outlook.system_identifier not in {"", known.system_identifier}:
        call.terminal.close()
        call.terminal.note(
            f"{path} is about the system {known.system_identifier}, and the primary is {outlook.system_identifier}: "
            "it is not used."
        )
        known = None
        if outlook.request.departed:
            outlook = look(request)
    call.terminal.close()
    return outlook, known


def leave_out_what_is_not_allowed(call: Context, outlook: Outlook) -> Outlook:
    """Return the outlook without what takes more away than was allowed; say what was left out."""
    allowed = outlook.allowed()
    kept = {change.id for change in allowed.plan.changes}
    left = [change for change in outlook.plan.changes if change.id not in kept]
    for takes in dict.fromkeys(change.takes for change in left):
        number = sum(change.takes == takes for change in left)
        call.terminal.note(f"{count(number, 'change')} would take something away: left out without --allow-{takes}.")
    return allowed


def ask(call: Context, outlook: Outlook, question: str, *, yes: bool) -> None:
    """Show the plan, whose account it is in and what it will cost for, and ask; with --yes the account alone.

    :raises UsageError: nobody is there to ask.
    """
    from replica_access.cli import render

    about = {check.name: check.detail for check in outlook.checks} if outlook.around.changes else {}
    if yes:
        if "account" in about:
            call.terminal.note(f"In AWS account {about['account']}.")
        return
    if not call.as_json:
        print_lines(call, render.plan(outlook.plan, with_sql=call.verbose > 0, request=outlook.request))
        for name in ("account", "cost"):
            if name in about:
                call.print(f"[cyan]·[/] {name}: {escaped(about[name])}")
    call.confirm(question, yes=yes)


def carry_out(
    call: Context,
    spec: Spec,
    hosting: Hosting,
    outlook: Outlook,
    stock: Mapping[str, Inventory],
    *,
    known: State | None,
    confirmed: bool,
    saved: Path | None = None,
) -> Ran:
    """Apply the plan and prove it, leave the undo script, and remember what the next run has to know.

    :param saved: the file that the plan was saved in: the undo script is left beside it, or else beside the spec.
    """
    from replica_access import workflow

    when = datetime.now(UTC)
    undo = leave_undo(saved or call.spec_path, outlook.plan, spec.primary.database, when)
    applied = workflow.apply(spec, hosting, outlook, call.terminal, confirmed=confirmed)
    if undo is not None:
        failed = applied.error is not None
        undo = corrected_undo(undo, outlook.plan, applied.changes, spec.primary.database, failed=failed)
    try:
        _remember(call, spec, hosting, outlook, applied, stock, known, when)
    except Error as error:
        call.terminal.note(f"{error} The next run takes for new what is not recorded.")
    call.terminal.close()
    return Ran(applied, undo)


def report(call: Context, name: str, ran: Ran, more: Mapping[str, Any]) -> None:
    """Print what was done.

    :param name: of the JSON document, and `more` what it has beside that of ``apply``.
    :raises Error: what ended the run, or what was not proved.
    """
    from replica_access.cli import documents

    applied, undo = ran.applied, None if ran.undo is None else str(ran.undo)
    if call.as_json:
        call.print_json(name, {**documents.applied_document(applied), "undo": undo, **more})
    else:
        print_lines(call, _outcome(applied, call))
        if undo is not None:
            call.print(f"To undo it: psql -f {escaped(undo)}")
    if applied.error is not None:
        raise applied.error
    if applied.proof is not None:
        judge(applied.proof)


def judge(proofs: Mapping[str, Proof]) -> None:
    untried = [name for name, proof in proofs.items() if proof.only_untried]
    failed = [name for name, proof in proofs.items() if not proof.ok and not proof.only_untried]
    if failed:
        who = "The replica" if len(proofs) == 1 else ", ".join(failed)
        raise ProofFailed(
            f"{who} {'does' if len(failed) == 1 else 'do'} not behave as the spec says.",
            "The failed checks are above; `plan` shows what to mend.",
        )
    if untried:
        where = "the replica" if len(proofs) == 1 else ", ".join(untried)
        raise Incomplete(f"Not everything could be tried on {where}.", "What and why is above.")


def print_lines(call: Context, lines: Iterable[str]) -> None:
    for line in lines:
        call.print(line)


def count(number: int, noun: str) -> str:
    """Return `number` of `noun`; `scene.count` says the same, and would be imported before `--help` is printed."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _remember(
    call: Context,
    spec: Spec,
    hosting: Hosting,
    outlook: Outlook,
    applied: Applied,
    stock: Mapping[str, Inventory],
    known: State | None,
    when: datetime,
) -> None:
    from replica_access import state, workflow

    if applied.error is not None and not applied.changes:
        return
    after = workflow.record(
        spec, hosting, outlook, applied, stock, known=known, when=when.isoformat(timespec="seconds")
    )
    state.write(state.beside(call.spec_path), after)


def leave_undo(beside: Path, what: Plan, database: str, when: datetime) -> Path | None:
    """Write what would take the plan back, before anything is done; return where.

    :raises UsageError: it cannot be written: then nothing is done either.
    """
    if not what.of("cluster") and not what.of("database"):
        return None
    from replica_access import starter
    from replica_access.postgres import script

    path = starter.unused(beside.with_name(f"{beside.stem}.undo-{when:%Y%m%dT%H%M%SZ}.sql"))
    starter.write(path, script.render_undo(what, database))
    return path


def corrected_undo(path: Path, planned: Plan, changes: Sequence[Change], database: str, *, failed: bool) -> Path | None:
    """Let the script take back what was done in the end, where that is not what was planned; none where it is nothing.

    After an error the script stays that of the plan, unless more was done: what a lost connection left is not known.
    """
    from replica_access import starter
    from replica_access.model import Plan
    from replica_access.postgres import script

    plan_ids, ids = ({change.id for change in several} for several in (planned.changes, changes))
    if ids == plan_ids or (failed and ids <= plan_ids):
        return path
    done = Plan(tuple(changes))
    if not done.of("cluster") and not done.of("database"):
        path.unlink()
        return None
    starter.write(path, script.render_undo(done, database))
    return path


def _outcome(applied: Applied, call: Context) -> Iterable[str]:
    """Yield what was done, one by one where no terminal has shown it already, then the proof."""
    from replica_access.cli import render

    if not call.terminal.is_watched:
        yield from render.done(applied.changes)
    if applied.changes:
        yield f"{count(len(applied.changes), 'change')} applied."
    elif applied.error is None:
        yield "Nothing to do."
    if applied.proof is not None:
        yield from render.proof(applied.proof, all_checks=call.verbose > 0)
    elif applied.error is None:
        yield escaped("Nothing was proved, because the spec has no [replica].")
    yield from map(escaped, applied.notes)

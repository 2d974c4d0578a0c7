"""The main job: init, check, plan, apply, provision, verify."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from replica_access.cli.context import Context
from replica_access.cli.terminal import escaped
from replica_access.errors import Drift, Error, Incomplete, PreflightFailed, ProofFailed, UsageError

if TYPE_CHECKING:  # whoever asks for help waits for none of these
    from replica_access.model import Plan, Proof, Request
    from replica_access.spec import Spec
    from replica_access.workflow import Applied, Outlook

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
SkipBlocked = Annotated[
    bool, typer.Option("--skip-blocked", help="Leave out objects that the admin may not grant on, and do the rest.")
]
AllowRevoke = Annotated[
    bool, typer.Option("--allow-revoke", help="Take away what readers have beyond the spec; close the replica.")
]
AllowDrop = Annotated[bool, typer.Option("--allow-drop", help="Drop roles that were made by a run and left the spec.")]
Timeout = Annotated[int, typer.Option("--timeout", metavar="MINUTES", min=1, help="How long to wait for the replica.")]


def add_to(app: typer.Typer) -> None:
    """Add these commands to the program."""
    for command in (init, check, plan, apply, provision, verify):
        app.command()(command)


def init(
    context: typer.Context,
    instance: Annotated[str | None, typer.Option(help="The primary: its RDS identifier or ARN.")] = None,
    dsn: Annotated[str | None, typer.Option(help="The primary, where it is not on RDS.")] = None,
    replica: Annotated[
        str | None, typer.Option(help="The replica: an RDS identifier; default: the primary's-analytics.")
    ] = None,
    replica_dsn: Annotated[str | None, typer.Option(help="The replica, where it is not on RDS.")] = None,
    admin_secret: Annotated[str | None, typer.Option(help="Secrets Manager id of the admin's credentials.")] = None,
    region: Annotated[str | None, typer.Option(help="AWS Region; default: that of the environment.")] = None,
    database: Annotated[
        list[str] | None, typer.Option(help="Database to read; repeat. Default: all there are.")
    ] = None,
    schema: Annotated[list[str] | None, typer.Option(help="Schema to read; repeat. Default: all of them.")] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(help="schema, schema.table or a glob to leave out; repeat.")
    ] = None,
    user: Annotated[list[str] | None, typer.Option(help="Login to make; repeat. Default: bi.")] = None,
    allow: Annotated[list[str] | None, typer.Option(metavar="CIDR", help="Address that may connect; repeat.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
) -> None:
    """Write a starter spec, from flags and from what the primary has.

    replica-access init --instance prod-db --admin-secret prod-db/master --allow 203.0.113.7/32

    replica-access init --dsn "host=db1 user=admin" --replica-dsn "host=db2 user=admin" --database app
    """
    from replica_access import starter, workflow

    call = Context.of(context)
    if call.has_spec and not force:
        raise UsageError(f"{call.spec_path} exists already.", "Edit it, or say --force to write it anew.")
    wishes = starter.Wishes(
        instance=instance,
        dsn=dsn,
        replica=replica,
        replica_dsn=replica_dsn,
        admin_secret=admin_secret,
        region=region,
        databases=tuple(database or ()),
        schemas=tuple(schema or ("*",)),
        exclude=tuple(exclude or ()),
        users=tuple(user or ("bi",)),
        allow=tuple(allow or ()),
    )
    text = workflow.init(wishes, call.terminal)
    call.terminal.close()
    starter.write(call.spec_path, text)
    if call.as_json:
        call.print_json("init", {"spec": str(call.spec_path)})
    else:
        call.print(f"Wrote {escaped(str(call.spec_path))}. Read it, then run: replica-access check")


def check(context: typer.Context) -> None:
    """Look at everything that would stop apply, all at once, each with its fix; change nothing."""
    from replica_access.cli import documents, render

    call = Context.of(context)
    outlook = _look(call, call.spec(), _request())
    if call.as_json:
        call.print_json("check", documents.check_document(outlook.checks))
    else:
        _print(call, render.checks(outlook.checks))
    if outlook.problems:
        stand = "stands" if len(outlook.problems) == 1 else "stand"
        raise PreflightFailed(
            f"{_count(len(outlook.problems), 'problem')} {stand} in the way.", "Each has its fix above."
        )
    if outlook.not_checked:
        raise Incomplete(
            f"{_count(len(outlook.not_checked), 'thing')} could not be looked at.", "The reasons are above."
        )
    if not call.as_json:
        call.print(f"Nothing stands in the way: {_count(len(outlook.checks), 'check')} passed.")


def plan(
    context: typer.Context,
    sql: Annotated[bool, typer.Option("--sql", help="Print a psql script instead.")] = False,
    check_only: Annotated[bool, typer.Option("--check", help="Exit with 3 where there are changes.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Save it too: `apply FILE` does this and nothing else.")
    ] = None,
    allow_revoke: AllowRevoke = False,
    allow_drop: AllowDrop = False,
) -> None:
    """Show what would be changed, as sentences, and with -v as SQL and API calls; change nothing.

    What would be taken away is listed apart. It is done by an `apply` with the same flags.
    """
    from replica_access.cli import documents, render

    call = Context.of(context)
    spec = call.spec()
    outlook = _look(call, spec, _request(allow_revoke, allow_drop))
    _require_what_could_be_read(outlook)
    what = outlook.plan
    if out is not None:
        from replica_access import starter

        starter.write(out, json.dumps(_bound_document(spec, outlook), indent=2) + "\n")
    if sql:
        from replica_access.postgres import script

        allowed = what.allowed(outlook.request)
        typer.echo(documents.printable(script.render(allowed, spec.primary.database)), nl=False)
    elif call.as_json:
        call.print_json("plan", documents.plan_document(what))
    else:
        _print(call, render.plan(what, with_sql=call.verbose > 0, request=outlook.request))
        call.print(_summary(what))
    if check_only and what.changes:
        raise Drift(f"{_count(len(what.changes), 'change')} would bring the servers to what the spec says.")


def apply(
    context: typer.Context,
    saved: Annotated[
        Path | None,
        typer.Argument(metavar="PLAN", help="A plan saved by `plan --out`; refused when it no longer fits."),
    ] = None,
    yes: Yes = False,
    skip_blocked: SkipBlocked = False,
    allow_revoke: AllowRevoke = False,
    allow_drop: AllowDrop = False,
    timeout: Timeout = 120,
) -> None:
    """Make it so: run the plan, then prove on the replica that it holds. Asks first, or say --yes."""
    call = Context.of(context)
    request = _request(allow_revoke, allow_drop)
    _apply(call, call.spec(), request, yes=yes, skip_blocked=skip_blocked, timeout=timeout, saved=saved)


def provision(
    context: typer.Context,
    instance: Annotated[str | None, typer.Option(help="The primary, where there is no spec yet.")] = None,
    admin_secret: Annotated[str | None, typer.Option(help="Secrets Manager id of the admin's credentials.")] = None,
    allow: Annotated[list[str] | None, typer.Option(metavar="CIDR", help="Address that may connect; repeat.")] = None,
    user: Annotated[list[str] | None, typer.Option(help="Login to make; repeat. Default: bi.")] = None,
    database: Annotated[
        list[str] | None, typer.Option(help="Database to read; repeat. Default: all there are.")
    ] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="What to leave out; repeat.")] = None,
    yes: Yes = False,
    skip_blocked: SkipBlocked = False,
    allow_revoke: AllowRevoke = False,
    allow_drop: AllowDrop = False,
    timeout: Timeout = 120,
) -> None:
    """The one-off set-up in one command: init where there is no spec, then check, plan, apply and the proof.

    replica-access provision --instance prod-db --admin-secret prod-db/master --allow 203.0.113.7/32
    """
    call = Context.of(context)
    if not call.has_spec:
        if instance is None:
            raise UsageError(
                f"There is no spec {call.spec_path}.", "Name the primary with --instance, and one is written."
            )
        from replica_access import starter, workflow

        wishes = starter.Wishes(
            instance=instance,
            admin_secret=admin_secret,
            databases=tuple(database or ()),
            exclude=tuple(exclude or ()),
            users=tuple(user or ("bi",)),
            allow=tuple(allow or ()),
        )
        text = workflow.init(wishes, call.terminal)
        starter.write(call.spec_path, text)
        call.terminal.done(f"wrote {call.spec_path}")
    elif any((instance, admin_secret, allow, user, database, exclude)):
        raise UsageError(
            f"{call.spec_path} exists already, and these flags would be ignored.", "Edit it, or leave them out."
        )
    request = _request(allow_revoke, allow_drop)
    _apply(call, call.spec(), request, yes=yes, skip_blocked=skip_blocked, timeout=timeout)


def verify(context: typer.Context) -> None:
    """Prove on every replica that the users can read what the spec says, and nothing else."""
    from replica_access import workflow
    from replica_access.cli import documents, render

    call = Context.of(context)
    spec = call.spec()
    proof = workflow.verify(spec, workflow.host(spec), call.terminal)
    call.terminal.close()
    if call.as_json:
        call.print_json("verify", documents.proof_document(proof))
    else:
        _print(call, render.proof(proof, all_checks=call.verbose > 0))
    _judge(proof)


# --- shared ----------------------------------------------------------------------------------------------------------


def _request(allow_revoke: bool = False, allow_drop: bool = False) -> Request:
    from replica_access.model import Request

    return Request(allow_revoke=allow_revoke, allow_drop=allow_drop)


def _look(call: Context, spec: Spec, request: Request) -> Outlook:
    from replica_access import workflow

    outlook = workflow.look(spec, workflow.host(spec), call.terminal, request)
    call.terminal.close()
    return outlook


def _bound_document(spec: Spec, outlook: Outlook) -> dict[str, Any]:
    """Return the plan as a document that says what it was made for."""
    from replica_access import saved_plan
    from replica_access.cli import documents

    bound_to = asdict(saved_plan.binding(spec, outlook.system_identifier))
    return {"schema": saved_plan.SCHEMA, **documents.plan_document(outlook.plan), "bound_to": bound_to}


def _apply(
    call: Context,
    spec: Spec,
    request: Request,
    *,
    yes: bool,
    skip_blocked: bool,
    timeout: int,
    saved: Path | None = None,
) -> None:
    from replica_access import saved_plan, workflow
    from replica_access.cli import documents, render

    reviewed = None if saved is None else saved_plan.read(saved)
    hosting = workflow.host(spec, timeout_s=timeout * 60)
    outlook = workflow.look(spec, hosting, call.terminal, request)
    call.terminal.close()
    workflow.refuse_what_stands_in_the_way(outlook, skip_blocked=skip_blocked)
    if reviewed is not None:
        saved_plan.require_same(reviewed, _bound_document(spec, outlook))
    found, outlook = outlook.plan, outlook.allowed()
    what = outlook.plan
    for takes in ("revoke", "drop"):
        if left := sum(change.takes == takes and change not in what.changes for change in found.changes):
            call.terminal.note(f"{_count(left, 'change')} would take something away: left out without --allow-{takes}.")
    if what.changes and not yes:
        if not call.as_json:
            _print(call, render.plan(what, with_sql=call.verbose > 0, request=request))
        call.confirm(f"Apply {_count(len(what.changes), 'change')}?", yes=yes)
    undo = _leave_undo(call.spec_path, what, spec.primary.database)
    applied = workflow.apply(spec, hosting, outlook, call.terminal, confirmed=reviewed is not None or not yes)
    call.terminal.close()
    if call.as_json:
        call.print_json("apply", {**documents.applied_document(applied), "undo": None if undo is None else str(undo)})
    else:
        _print(call, _outcome(applied, call))
        if undo is not None:
            call.print(f"To take the grants back: psql -f {escaped(str(undo))}")
    if applied.error is not None:
        raise applied.error
    if applied.proof is not None:
        _judge(applied.proof)


def _leave_undo(spec_path: Path, what: Plan, database: str) -> Path | None:
    """Write what would take the plan back, beside the spec and before anything is done; return where.

    :raises UsageError: it cannot be written: then nothing is done either.
    """
    if not what.of("cluster") and not what.of("database"):
        return None
    from replica_access import starter
    from replica_access.postgres import script

    path = spec_path.with_name(f"{spec_path.stem}.undo-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.sql")
    starter.write(path, script.render_undo(what, database))
    return path


def _outcome(applied: Applied, call: Context) -> Iterable[str]:
    """Yield what was done, one by one where no terminal has shown it already, then the proof."""
    from replica_access.cli import render

    if not call.terminal.is_watched:
        yield from render.done(applied.changes)
    if applied.changes:
        yield f"{_count(len(applied.changes), 'change')} applied."
    elif applied.error is None:
        yield "Nothing to do."
    if applied.proof is not None:
        yield from render.proof(applied.proof, all_checks=call.verbose > 0)
    elif applied.error is None:
        yield escaped("Nothing was proved, because the spec has no [replica].")


def _judge(proofs: Mapping[str, Proof]) -> None:
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


def _require_what_could_be_read(outlook: Outlook) -> None:
    """A plan that nobody could make is no empty plan."""
    unread = [check for check in outlook.problems if check.name == "primary"]
    if unread:
        raise Error(unread[0].detail, unread[0].fix)


def _summary(what: Plan) -> str:
    parts = [_count(len(what.changes), "change")]
    if what.pending:
        parts.append(f"{len(what.pending)} pending")
    if what.blocked:
        parts.append(f"[red]{len(what.blocked)} blocked[/]")
    if not what.changes:
        parts[0] = "Nothing to do"
    return ", ".join(parts) + "."


def _print(call: Context, lines: Iterable[str]) -> None:
    for line in lines:
        call.print(line)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"

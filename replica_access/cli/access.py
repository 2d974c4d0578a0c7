"""The main job: init, plan, apply, provision, verify; check is in a module of its own."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from replica_access.cli import running
from replica_access.cli.check import check
from replica_access.cli.context import Context
from replica_access.cli.running import (
    AllowDrop,
    AllowRevoke,
    AllowWide,
    Orders,
    SkipBlocked,
    Timeout,
    Yes,
    count,
    print_lines,
)
from replica_access.cli.terminal import escaped
from replica_access.errors import Drift, Error, Incomplete, UsageError

if TYPE_CHECKING:  # whoever asks for help waits for none of these
    from replica_access.model import Plan
    from replica_access.outlook import Outlook
    from replica_access.spec import Spec


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
    text = workflow.init(wishes, call.terminal, call.spec_path.parent)
    call.terminal.close()
    starter.write(call.spec_path, text)
    if call.as_json:
        call.print_json("init", {"spec": str(call.spec_path)})
    else:
        call.print(f"Wrote {escaped(str(call.spec_path))}. Read it, then run: replica-access check")


def plan(
    context: typer.Context,
    sql: Annotated[bool, typer.Option("--sql", help="Print a psql script instead.")] = False,
    check_only: Annotated[bool, typer.Option("--check", help="Exit with 3 where there are changes.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Save it too: `apply FILE` does this and nothing else.")
    ] = None,
    allow_revoke: AllowRevoke = False,
    allow_drop: AllowDrop = False,
    allow_wide: AllowWide = False,
) -> None:
    """Show what would be changed, as sentences, and with -v as SQL and API calls; change nothing.

    What would be taken away is listed apart: it is done by an `apply` with the same flags.
    """
    from replica_access.cli import documents, render

    call = Context.of(context)
    spec = call.spec()
    outlook = _look(call, spec, allow_revoke=allow_revoke, allow_drop=allow_drop, allow_wide=allow_wide)
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
        print_lines(call, render.plan(what, with_sql=call.verbose > 0, request=outlook.request))
        call.print(_summary(what))
    _say_what_stands_in_the_way(call, outlook)
    if check_only and what.changes:
        raise Drift(f"{count(len(what.changes), 'change')} would bring the servers to what the spec says.")
    if check_only and any(not each.optional for each in outlook.around.blocked):
        raise Incomplete("What AWS lacks could not be planned.", "What is in the way is above, each with its fix.")


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
    allow_wide: AllowWide = False,
    timeout: Timeout = 120,
) -> None:
    """Make it so: run the plan, then prove on the replica that it holds. Asks first, or say --yes."""
    call = Context.of(context)
    _apply(call, call.spec(), Orders(yes, skip_blocked, allow_revoke, allow_drop, allow_wide, timeout), saved)


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
    allow_wide: AllowWide = False,
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
        text = workflow.init(wishes, call.terminal, call.spec_path.parent)
        starter.write(call.spec_path, text)
        call.terminal.done(f"wrote {call.spec_path}")
    elif any((instance, admin_secret, allow, user, database, exclude)):
        raise UsageError(
            f"{call.spec_path} exists already, and these flags would be ignored.", "Edit it, or leave them out."
        )
    _apply(call, call.spec(), Orders(yes, skip_blocked, allow_revoke, allow_drop, allow_wide, timeout))


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
        print_lines(call, render.proof(proof, all_checks=call.verbose > 0))
    running.judge(proof)


# --- shared ----------------------------------------------------------------------------------------------------------


def _look(
    call: Context, spec: Spec, *, allow_revoke: bool = False, allow_drop: bool = False, allow_wide: bool = False
) -> Outlook:
    from replica_access import workflow
    from replica_access.model import Request

    request = Request(allow_revoke=allow_revoke, allow_drop=allow_drop, allow_wide=allow_wide)
    outlook, _ = running.look(call, spec, workflow.host(spec), request)
    return outlook


def _bound_document(spec: Spec, outlook: Outlook) -> dict[str, Any]:
    """Return the plan as a document that says what it was made for."""
    from replica_access import saved_plan
    from replica_access.cli import documents

    bound_to = asdict(saved_plan.binding(spec, outlook.system_identifier, outlook.request))
    return {"schema": saved_plan.SCHEMA, **documents.plan_document(outlook.plan), "bound_to": bound_to}


def _apply(call: Context, spec: Spec, orders: Orders, saved: Path | None = None) -> None:
    from replica_access import saved_plan, workflow
    from replica_access.model import Request
    from replica_access.outlook import refuse_what_stands_in_the_way

    reviewed = None if saved is None else saved_plan.read(saved)
    hosting = workflow.host(spec, timeout_s=orders.timeout * 60)
    request = Request(allow_revoke=orders.allow_revoke, allow_drop=orders.allow_drop, allow_wide=orders.allow_wide)
    outlook, known = running.look(call, spec, hosting, request, stock=True)
    refuse_what_stands_in_the_way(outlook, skip_blocked=orders.skip_blocked)
    if reviewed is not None:
        saved_plan.require_same(reviewed, _bound_document(spec, outlook))
    outlook = running.leave_out_what_is_not_allowed(call, outlook)
    stock = workflow.take_stock(hosting, outlook, call.terminal)
    call.terminal.close()
    if number := len(outlook.plan.changes):
        running.ask(call, outlook, f"Apply {count(number, 'change')}?", yes=orders.yes)
    confirmed = reviewed is not None or not orders.yes
    ran = running.carry_out(call, spec, hosting, outlook, stock, known=known, confirmed=confirmed, saved=saved)
    running.report(call, "apply", ran, {})


def _require_what_could_be_read(outlook: Outlook) -> None:
    """A plan that nobody could make is no empty plan."""
    unread = [check for check in outlook.problems if check.name == "primary"]
    if unread:
        raise Error(unread[0].detail, unread[0].fix)


def _say_what_stands_in_the_way(call: Context, outlook: Outlook) -> None:
    """Say that `apply` would refuse what the plan shows, where nothing in it is blocked on that account."""
    told = {each.object for each in outlook.plan.blocked}
    number = sum(check.name not in told for check in outlook.problems)
    if number and not outlook.around.blocked:
        stand, them = ("stands", "it") if number == 1 else ("stand", "them")
        call.terminal.note(
            f"{count(number, 'problem')} {stand} in the way of apply: `replica-access check` shows {them}."
        )


def _summary(what: Plan) -> str:
    parts = [count(len(what.changes), "change")]
    if what.pending:
        parts.append(f"{len(what.pending)} pending")
    if what.blocked:
        parts.append(f"[red]{len(what.blocked)} blocked[/]")
    if not what.changes:
        parts[0] = "Nothing to do"
    return ", ".join(parts) + "."

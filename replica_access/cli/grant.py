"""Something new on the primary: show what, give the readers what the spec says, and prove it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from replica_access.cli import running
from replica_access.cli.context import Context
from replica_access.cli.running import AllowDrop, AllowRevoke, AllowWide, SkipBlocked, Timeout, Yes, count, print_lines
from replica_access.cli.terminal import escaped
from replica_access.errors import Error, UsageError

if TYPE_CHECKING:  # whoever asks for help waits for none of these
    from replica_access.coverage import Addition
    from replica_access.hosting import Hosting
    from replica_access.outlook import Outlook
    from replica_access.spec import Spec
    from replica_access.spec_edit import Edit


def add_to(app: typer.Typer) -> None:
    """Add this command to the program."""
    app.command()(grant)


def grant(
    context: typer.Context,
    database: Annotated[str | None, typer.Option(help="Look at this database alone.")] = None,
    schema: Annotated[str | None, typer.Option(help="Look at this schema alone.")] = None,
    to: Annotated[
        str | None, typer.Option(metavar="ROLE", help="Whom to add it for, where the spec could mean several readers.")
    ] = None,
    yes: Yes = False,
    skip_blocked: SkipBlocked = False,
    allow_revoke: AllowRevoke = False,
    allow_drop: AllowDrop = False,
    allow_wide: AllowWide = False,
    timeout: Timeout = 120,
) -> None:
    """Show what appeared since the last run, give the readers what the spec says of it, and prove it.

    A database or schema that the spec does not take in yet is added to it, in place. Asks first, or say --yes.

    replica-access grant

    replica-access grant --database app --schema billing
    """
    from replica_access import appeared, workflow
    from replica_access.cli import documents, news
    from replica_access.model import Request
    from replica_access.outlook import refuse_what_stands_in_the_way

    call = Context.of(context)
    spec = call.spec()
    if to is not None and database is None and schema is None:
        raise UsageError("What shall be added for whom?", "--to goes with --database or --schema.")
    hosting = workflow.host(spec, timeout_s=timeout * 60)
    additions = _additions(spec, hosting, database, schema, to)
    edit = _edit(call, additions)
    spec = spec if edit is None else edit.spec
    request = Request(
        allow_revoke=allow_revoke, allow_drop=allow_drop, allow_wide=allow_wide, database=database, schema=schema
    )
    outlook, known = running.look(call, spec, hosting, request, stock=True)
    stock = workflow.take_stock(hosting, outlook, call.terminal, known.databases if known is not None else {})
    found = appeared.since(known, stock)
    call.terminal.close()
    if not call.as_json and outlook.server is not None:
        print_lines(call, news.lines(found, all_of_it=call.verbose > 0))
    refuse_what_stands_in_the_way(outlook, skip_blocked=skip_blocked)
    outlook = running.leave_out_what_is_not_allowed(call, outlook)
    _agree(call, edit, additions, outlook, yes=yes)
    more = {"appeared": documents.appeared_document(found), "added": documents.additions_document(additions)}
    try:
        ran = running.carry_out(call, spec, hosting, outlook, stock, known=known, confirmed=not yes)
        running.report(call, "grant", ran, more)
    except Error:
        if additions:
            call.terminal.note(f"{call.spec_path} keeps what was added to it: {_listed(additions)}.")
        raise


def _additions(
    spec: Spec, hosting: Hosting, database: str | None, schema: str | None, to: str | None
) -> tuple[Addition, ...]:
    """Return what the spec has to be given so that it takes in what was named; nothing where nothing was."""
    from replica_access import coverage
    from replica_access.postgres import inventory

    if database is None and schema is None:
        return ()
    existing = inventory.names(hosting.primary(), spec, database, schemas=schema is not None)
    return coverage.additions(spec, existing, database=database, schema=schema, to=to)


def _edit(call: Context, additions: tuple[Addition, ...]) -> Edit | None:
    if not additions:
        return None
    from replica_access import spec_edit

    return spec_edit.prepare(call.spec_path, additions)


def _agree(call: Context, edit: Edit | None, additions: tuple[Addition, ...], outlook: Outlook, *, yes: bool) -> None:
    """Ask for all of it at once, the spec and the servers; then write the spec."""
    steps = [f"add {_listed(additions)} in {call.spec_path}"] if additions else []
    steps += [f"apply {count(len(outlook.plan.changes), 'change')}"] if outlook.plan.changes else []
    if steps:
        question = ", and ".join(steps)
        running.ask(call, outlook, f"{question[0].upper()}{question[1:]}?", yes=yes)
    if edit is not None:
        edit.write()
        if not call.as_json:
            call.print(f"[green]✓[/] added {escaped(_listed(additions))} in {escaped(str(call.spec_path))}")


def _listed(additions: tuple[Addition, ...]) -> str:
    return " and ".join(map(str, additions))

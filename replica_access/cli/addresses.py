"""The addresses that may reach the replica: in the spec, on the security group, and until when."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from replica_access.cli.context import Context
from replica_access.cli.running import AllowWide, Yes, count, print_lines
from replica_access.cli.terminal import escaped
from replica_access.errors import Incomplete, UsageError

if TYPE_CHECKING:  # whoever asks for help waits for none of these
    from replica_access.model import Address, Change, Reached
    from replica_access.spec import Spec
    from replica_access.spec_edit import Edit

app = typer.Typer(help="See and change who may reach the replica.", no_args_is_help=True)

MARKS = {"ok": "[green]✓[/]", "missing": "[red]✗[/]", "expired": "[yellow]…[/]", "undeclared": "[red]-[/]"}

Source = Annotated[
    str, typer.Argument(metavar="ADDRESS", help="A network, or the id of a prefix list or of a security group.")
]


@app.command("list")
def list_(context: typer.Context) -> None:
    """Show who may reach the replica: what the spec lets in, and what its security group does.

    Each is ok, missing (no rule lets it in), expired, or undeclared (a rule lets it in, and the spec does not).
    """
    from replica_access import addressing
    from replica_access.model import UNASKED

    call = Context.of(context)
    found = addressing.look(call.spec(), UNASKED, call.terminal)
    call.terminal.close()
    unseen = [check for check in found.checks if check.name == "rules" and check.outcome == "not checked"]
    if call.as_json:
        call.print_json("access-list", _document(found))
    else:
        print_lines(call, _lines(found))
    if unseen:
        raise Incomplete(f"Rules beyond the spec could not be seen: {unseen[0].detail}", unseen[0].fix)


@app.command()
def allow(
    context: typer.Context,
    address: Source,
    note: Annotated[str, typer.Option(help="Who that is.")] = "",
    expires: Annotated[
        datetime | None, typer.Option(metavar="DATE", formats=["%Y-%m-%d"], help="The last day, such as 2027-01-31.")
    ] = None,
    allow_wide: AllowWide = False,
    yes: Yes = False,
) -> None:
    """Let an address in: add it to the spec, in place, and to the security group, and change nothing else.

    One that is in the spec already gets this note and this last day. Asks first, or say --yes.

    replica-access access allow 203.0.113.7/32 --note "Brisbane office" --expires 2027-01-31
    """
    from pydantic import ValidationError

    from replica_access import addressing, spec_addresses
    from replica_access.model import Request
    from replica_access.outlook import Outlook, refuse_what_stands_in_the_way
    from replica_access.spec import Allow

    call = Context.of(context)
    try:
        wanted = Allow(
            **spec_addresses.source(address),
            note=note,
            expires=expires.date() if expires is not None else None,
        )
    except ValidationError as error:
        wrong = error.errors()[0]
        what = "--note" if wrong["loc"] == ("note",) else address
        raise UsageError(f"{what}: {wrong['msg'].removeprefix('Value error, ')}.", "Write another one.") from None
    if wanted.expires is not None and wanted.expires < datetime.now(UTC).date():
        raise UsageError(f"{wanted.expires} is over.", "Name the last day on which it shall be let in.")
    edit = spec_addresses.allow(call.spec_path, call.spec(), wanted)
    found = addressing.look(edit.spec, Request(allow_wide=allow_wide), call.terminal)
    refuse_what_stands_in_the_way(Outlook(found.checks, around=found.plan))
    changes = [change for change in found.plan.changes if change.object == wanted.source and not change.takes]
    _go_ahead(call, edit, found, changes, f"allow {wanted.source}", yes=yes)


@app.command()
def deny(context: typer.Context, address: Source, yes: Yes = False) -> None:
    """Shut an address out: take it out of the spec, in place, and revoke its rules, and change nothing else.

    Asks first, or say --yes.

    replica-access access deny 203.0.113.7/32
    """
    from replica_access import addressing, spec_addresses
    from replica_access.model import UNASKED

    call = Context.of(context)
    spec = call.spec()
    ((_, source),) = spec_addresses.source(address).items()
    edit = spec_addresses.deny(call.spec_path, spec, {source})
    found = addressing.look(edit.spec, UNASKED, call.terminal)
    changes = _revoking(found, lambda each: each.source == source)
    wider = addressing.wider(found, source)
    if edit.after == edit.before and not changes:
        if wider:
            raise UsageError(
                f"{source} is let in as a part of {', '.join(wider)}.", "Deny that, and allow what of it shall stay."
            )
        known = ", ".join(each.source for each in spec.network.allow) or "none"
        raise UsageError(f"{source} is neither in the spec nor let in.", f"The spec lets in: {known}.")
    _go_ahead(call, edit, found, changes, f"deny {source}", yes=yes)
    if wider:
        call.terminal.note(f"{source} is still let in, as a part of {', '.join(wider)}.")


@app.command()
def prune(context: typer.Context, yes: Yes = False) -> None:
    """Take out what has expired: of the spec, in place, and of the security group. Asks first, or say --yes."""
    from replica_access import addressing, spec_addresses
    from replica_access.model import UNASKED

    call = Context.of(context)
    spec = call.spec()
    before = addressing.look(spec, UNASKED, call.terminal)
    over = {rule for each in before.addresses if each.state == "expired" for rule in each.rules}
    edit = spec_addresses.without_expired(call.spec_path, datetime.now(UTC).date())
    changes = [change for change in before.plan.changes if change.takes and over & set(_rules(change))]
    if edit.after == edit.before and not changes:
        call.terminal.close()
        if call.as_json:
            call.print_json("access", _done(edit, (), spec))
        else:
            call.print("Nothing has expired.")
        return
    _go_ahead(call, edit, before, changes, "take out what has expired", yes=yes)


# --- shared ----------------------------------------------------------------------------------------------------------


def _go_ahead(call: Context, edit: Edit, found: Reached, changes: list[Change], purpose: str, *, yes: bool) -> None:
    """Ask for all of it at once; write the spec, then change the rules: what stops in between, `apply` finishes."""
    from replica_access import addressing
    from replica_access.cli import render

    call.terminal.close()
    edits = edit.after != edit.before
    if not edits and not changes:
        if call.as_json:
            call.print_json("access", _done(edit, (), edit.spec))
        else:
            call.print("Nothing to do.")
        return
    if not yes:
        if not call.as_json:
            print_lines(call, (f"  {escaped(change.summary)}" for change in changes))
        steps = [f"edit {call.spec_path}"] if edits else []
        steps += [f"apply {count(len(changes), 'change')}"] if changes else []
        call.confirm(f"{purpose[0].upper()}{purpose[1:]}: {' and '.join(steps)}?", yes=yes)
    before = call.spec()
    if edits:
        edit.write()
    applied = addressing.carry_out(edit.spec, changes, call.terminal)
    call.terminal.close()
    if call.as_json:
        failed = [] if applied.error is None else [{"id": applied.failed, "error": str(applied.error)}]
        call.print_json("access", _done(edit, (change.id for change in applied.changes), before, failed))
    else:
        if edits:
            call.print(f"[green]✓[/] edited {escaped(str(call.spec_path))}")
        if not call.terminal.is_watched:
            print_lines(call, render.done(applied.changes))
    if found.group is None:
        call.terminal.note("The replica has no security group yet: `replica-access apply` makes it, with its rules.")
    if applied.error is not None:
        raise applied.error


def _revoking(found: Reached, goes: Callable[[Address], bool]) -> list[Change]:
    rules = {rule for each in found.addresses if goes(each) for rule in each.rules}
    return [change for change in found.plan.changes if change.takes and rules & set(_rules(change))]


def _rules(change: Change) -> Iterable[str]:
    return () if change.call is None else change.call.parameters.get("SecurityGroupRuleIds", ())


def _lines(found: Reached) -> Iterator[str]:
    for each in found.addresses:
        about = ", ".join(part for part in (each.note, f"until {each.expires}" if each.expires else "") if part)
        state = each.state if not each.detail else f"{each.state}: {each.detail}"
        yield f"{MARKS[each.state]} {escaped(each.source)}{escaped(f' ({about})') if about else ''}: {escaped(state)}"
    if not found.addresses:
        yield "Nobody may reach the replica."
    if found.group is None:
        yield "The replica has no security group yet: `replica-access apply` makes it."


def _document(found: Reached) -> dict[str, Any]:
    return {
        "group": found.group,
        "addresses": [
            {
                "source": each.source,
                "note": each.note,
                "expires": each.expires or None,
                "state": each.state,
                "detail": each.detail,
                "rules": list(each.rules),
            }
            for each in found.addresses
        ],
    }


def _done(edit: Edit, applied: Iterable[str], before: Spec, failed: Iterable[dict[str, Any]] = ()) -> dict[str, Any]:
    now, then = edit.spec.network.allow, before.network.allow
    return {
        "added": [each.source for each in now if each not in then],
        "removed": [each.source for each in then if each.source not in {kept.source for kept in now}],
        "applied": list(applied),
        "failed": list(failed),
    }

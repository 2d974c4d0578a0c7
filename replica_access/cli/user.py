"""The logins: who they are, and another password for them; how they end is in `user_end`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from replica_access.cli import running, user_end
from replica_access.cli.context import Context
from replica_access.cli.running import Yes, count, print_lines
from replica_access.cli.terminal import escaped
from replica_access.errors import Incomplete, ProofFailed, UsageError

if TYPE_CHECKING:  # whoever asks for help waits for none of these
    from replica_access.listing import Listed, Listing
    from replica_access.rotating import Proved, Result, Rotated, Whom

app = typer.Typer(help="See and change who may log in to the replica.", no_args_is_help=True)


# --- list ------------------------------------------------------------------------------------------------------------


@app.command("list")
def list_(context: typer.Context) -> None:
    """Show who may log in to the replica: the users of the spec, and every other login that may connect to a database.

    Each with its groups, how it logs in and until when, where its password is kept and since when, and how many
    sessions it has open on the replica. Changes nothing.
    """
    from replica_access import listing, workflow

    call = Context.of(context)
    spec = call.spec()
    found = listing.look(spec, workflow.host(spec), call.terminal, datetime.now(UTC).date())
    call.terminal.close()
    if call.as_json:
        call.print_json("users", _listing_document(found))
    else:
        print_lines(call, _listing_lines(found))
    if found.not_checked:
        unseen = "\n".join(f"- {each.what}: {each.why}" for each in found.not_checked)
        raise Incomplete(f"Not everything could be looked at:\n{unseen}")


def _listing_lines(found: Listing) -> Iterator[str]:
    from replica_access.names import shown

    for each in found.logins:
        groups = f" ({', '.join(map(shown, each.member_of))})" if each.member_of else ""
        mark, state = _state(each)
        yield f"{mark} {escaped(f'{shown(each.name)}{groups}')}{f': {state}' if state else ''}"
        yield f"    {escaped('; '.join(_details(each)))}"
    if not found.logins:
        yield "Nobody may log in to the replica."


def _state(each: Listed) -> tuple[str, str]:
    """Return a mark, and what is to be said of it before all else."""
    if not each.exists:
        return "[red]✗[/]", "not there yet, `replica-access apply` makes it"
    stranger = [] if each.is_declared else ["not in the spec"]
    if each.is_over:
        return "[yellow]…[/]", ", ".join([*stranger, "has expired"])
    return ("[yellow]?[/]", stranger[0]) if stranger else ("[green]✓[/]", "")


def _details(each: Listed) -> Iterator[str]:
    if each.by_iam:
        yield "logs in by IAM"
    elif each.secret:
        yield f"password in {each.secret}" + (f", written on {each.written_on}" if each.written_on else "")
    else:
        yield "password"
    yield f"until {each.valid_until[:10]}" if each.valid_until else "without a last day"
    limit = "any number of connections" if each.connection_limit == -1 else f"at most {each.connection_limit}"
    yield f"{limit}{_open(each)}"
    if each.exists and not each.is_declared:
        some = ", ".join(each.databases[:4]) + (" …" if len(each.databases) > 4 else "")
        yield f"may connect to {some}"


def _open(each: Listed) -> str:
    if len(each.sessions) > 1:
        return "".join(f", {number} open on {replica}" for replica, number in each.sessions.items())
    return "".join(f", {number} open" for number in each.sessions.values())


def _listing_document(found: Listing) -> dict[str, Any]:
    return {
        "users": [_login_document(each) for each in found.logins],
        "not_checked": [{"what": each.what, "why": each.why} for each in found.not_checked],
    }


def _login_document(each: Listed) -> dict[str, Any]:
    from replica_access.names import shown

    return {
        "name": shown(each.name),
        "in_spec": each.is_declared,
        "exists": each.exists,
        "member_of": [shown(group) for group in each.member_of],
        "auth": "iam" if each.by_iam else "password",
        "valid_until": each.valid_until or None,
        "expired": each.is_over,
        "connection_limit": each.connection_limit,
        "secret": each.secret or None,
        "password_written_on": each.written_on.isoformat() if each.written_on is not None else None,
        "databases": [shown(database) for database in each.databases],
        "sessions": dict(each.sessions),
    }


# --- rotate ----------------------------------------------------------------------------------------------------------


@app.command()
def rotate(
    context: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME…", help="Users of the spec.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every user of the spec that has a password.")] = False,
    yes: Yes = False,
) -> None:
    """Give users another password: made here, stored where the former one is, set on the primary, tried on the replica.

    The former one lets nobody in any more; sessions that are open go on. A run that was stopped is finished by the same
    command. Asks first, or say --yes.

    replica-access user rotate bi
    """
    from replica_access import rotating, state, workflow
    from replica_access.outlook import refuse_what_stands_in_the_way

    call = Context.of(context)
    if bool(names) == every:
        raise UsageError("Whose password shall be another one?", "Name users, or say --all.")
    spec, today = call.spec(), datetime.now(UTC).date()
    whom = rotating.whom(spec, names or [], today)
    hosting = workflow.host(spec)
    known = state.read(state.beside(call.spec_path))
    outlook = rotating.look(spec, hosting, whom.users, known, call.terminal)
    call.terminal.close()
    refuse_what_stands_in_the_way(outlook)
    running.ask(call, outlook, f"Give {count(len(whom.users), 'user')} another password?", yes=yes)
    result = rotating.rotate(spec, hosting, whom.users, today, call.terminal)
    call.terminal.close()
    if call.as_json:
        call.print_json("user-rotate", _rotated_document(whom, result))
    else:
        print_lines(call, _rotated_lines(whom, result))
    _judge_rotation(result)


def _rotated_lines(whom: Whom, result: Result) -> Iterator[str]:
    from replica_access.names import shown

    for each in result.rotated:
        yield f"[green]✓[/] {escaped(f'{shown(each.user)} has another password, in {each.secret}')}"
        for proved in each.proved:
            mark = "[green]✓[/]" if _holds(proved) else "[red]✗[/]"
            yield f"    {mark} {escaped(f'{proved.server}: {_said(proved)}')}"
        if not each.proved:
            yield "    [yellow]…[/] nobody has logged in with it: there is no replica yet"
    for skipped in whom.skipped:
        yield f"[yellow]…[/] {escaped(f'{shown(skipped.user)} {skipped.reason}')}"


def _holds(proved: Proved) -> bool:
    return not proved.refused and proved.former is not False


def _said(proved: Proved) -> str:
    if proved.refused:
        return proved.refused
    former = {True: ", and refuses the former one", False: ", and the former one, too", None: ""}[proved.former]
    return f"lets it in{former}"


def _rotated_document(whom: Whom, result: Result) -> dict[str, Any]:
    from replica_access.names import shown

    return {
        "rotated": [_user_document(each) for each in result.rotated],
        "skipped": [{"user": shown(each.user), "reason": each.reason} for each in whom.skipped],
        "failed": [{"user": shown(result.failed or ""), "error": str(result.error)}]
        if result.error is not None
        else [],
    }


def _user_document(each: Rotated) -> dict[str, Any]:
    from replica_access.names import shown

    return {
        "user": shown(each.user),
        "secret": each.secret,
        "proof": [{"server": proved.server, "ok": _holds(proved), "detail": _said(proved)} for proved in each.proved],
    }


def _judge_rotation(result: Result) -> None:
    if result.error is not None:
        raise result.error
    wrong = [proved.server for each in result.rotated for proved in each.proved if not _holds(proved)]
    if wrong:
        raise ProofFailed(
            f"The new password is stored and set, and {', '.join(dict.fromkeys(wrong))} does not behave as it should.",
            "What each said is above: `replica-access verify` tries everything.",
        )


# --- the end of one --------------------------------------------------------------------------------------------------

app.command()(user_end.expire)
app.command()(user_end.drop)

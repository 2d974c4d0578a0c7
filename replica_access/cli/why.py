"""why: every way by which a role has access to an object, or what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from replica_access.cli.context import Context
from replica_access.cli.running import count, print_lines
from replica_access.cli.terminal import TYPED, escaped
from replica_access.errors import ProofFailed, UsageError

if TYPE_CHECKING:  # whoever asks for help waits for none of these
    from replica_access.explaining import Answer, Cut, Needed, On, Path


def add_to(app: typer.Typer) -> None:
    """Add this command to the program."""
    app.command()(why)


def why(
    context: typer.Context,
    role: Annotated[str, typer.Argument(metavar="ROLE", help="A role, named as it is.")],
    object_: Annotated[
        str,
        typer.Argument(
            metavar="OBJECT",
            help="As in SQL: app.orders, app.orders.total, 'app.f(integer)', 'app.\"Odd\"'; or with its kind: "
            "schema:app, database:shop, type:app.mood, language:, server:, wrapper:, largeobject:, tablespace:, "
            "parameter:.",
        ),
    ],
    privilege: Annotated[
        str | None, typer.Option("--privilege", metavar="NAME", help="Which one. Default: SELECT, USAGE, CONNECT, …")
    ] = None,
    not_: Annotated[
        bool,
        typer.Option("--not", help="Expect no access, not even after SET ROLE: exit with 3 where there is some."),
    ] = False,
    database: Annotated[
        str | None,
        typer.Option(help="Where the object is. Default: the one that the spec grants on."),
    ] = None,
    on: Annotated[
        str, typer.Option("--on", metavar="primary|replica", help="Which server to ask; the other is left alone.")
    ] = "primary",
) -> None:
    """Show every way by which a role has access to an object, and the fewest statements that would end it.

    Or, where it has none, what is missing: CONNECT on the database, USAGE on the schema, the privilege itself, and what
    a view would have to read. Memberships that need SET ROLE are told apart. Changes nothing.

    Exit status: 0 it has access, 3 it has not; with --not the other way round.

    replica-access why bi app.orders

    replica-access why bi app.people.ssn --not --on replica

    replica-access why bi database:shop --privilege TEMP
    """
    from replica_access import explaining, workflow

    call = Context.of(context)
    spec = call.spec()
    question = explaining.Question(role, object_, privilege, database, _server(on))
    answer = explaining.why(spec, workflow.host(spec), question, call.terminal)
    call.terminal.close()
    if call.as_json:
        call.print_json("why", _document(answer))
    else:
        print_lines(call, _lines(answer))
    _judge(answer, expected=not not_)


def _server(on: str) -> On:
    match on:
        case "primary" | "replica":
            return on
    raise UsageError(f"--on is {on}.", "It is primary or replica.")


def _judge(answer: Answer, *, expected: bool) -> None:
    found = answer.explanation
    if expected and not found.has_access:
        raise ProofFailed(_verdict(answer), "What is missing is above.")
    if not expected and (found.has_access or found.after_set_role):
        raise ProofFailed(_verdict(answer), "The ways are above, and what would end them.")


# --- for people ------------------------------------------------------------------------------------------------------


def _verdict(answer: Answer) -> str:
    from replica_access.names import shown

    found = answer.explanation
    what = f"{found.privilege} on {found.object}"
    if found.has_access:
        return f"{shown(found.role)} has {what}."
    if found.after_set_role:
        after = ", ".join(map(shown, found.after_set_role))
        return f"{shown(found.role)} has {what} only after SET ROLE {after}."
    if found.holds:
        return f"{shown(found.role)} has {what}, and cannot use it."
    return f"{shown(found.role)} has no {what}."


def _lines(answer: Answer) -> Iterator[str]:
    from replica_access.names import legible, shown

    found = answer.explanation
    colour = "green" if found.has_access else "yellow" if found.after_set_role else "red"
    server = f"{'replica' if answer.is_replica else 'primary'} {legible(answer.server)}"
    where = f"database {shown(found.database)}, {server}"
    yield f"[{colour}]{escaped(_verdict(answer))}[/] {escaped(f'({where})')}"
    for needed in found.needed:
        yield ""
        yield from _tree(needed, found.names)
    if found.notes:
        yield ""
    yield from (f"[cyan]·[/] {escaped(note)}" for note in found.notes)
    yield from _missing(answer)
    yield from _ending(answer)


def _tree(needed: Needed, names: Mapping[int, str]) -> Iterator[str]:
    from replica_access.names import shown

    whose = f" for {shown(needed.reader)}, whose rights count" if needed.reader else ""
    sign = "[green]✓[/]" if needed.held else "[red]✗[/]"
    yield f"{sign} {escaped(f'{needed.privilege} on {needed.object}{whose}')}"
    branches: dict[str, Any] = {}
    for path in needed.paths.found:
        here = branches
        for text in _words(path, names):
            here = here.setdefault(text, {})
    yield from _branches(branches, "  ")
    if not needed.paths.complete:
        yield escaped(f"  … and more ways than {len(needed.paths.found)}, which are not listed")


def _branches(branches: dict[str, Any], indent: str) -> Iterator[str]:
    for number, (text, below) in enumerate(branches.items(), 1):
        is_last = number == len(branches)
        yield escaped(f"{indent}{'└' if is_last else '├'}─ {text}")
        yield from _branches(below, indent + ("   " if is_last else "│  "))


def _words(path: Path, names: Mapping[int, str]) -> Iterator[str]:
    """Yield what a way consists of, a step a line."""
    from replica_access.names import shown

    for number, step in enumerate(path.steps):
        role = shown(names[step.role])
        if number < path.set_role:
            yield f"SET ROLE {role}"
        elif not step.memberships:
            yield f"member of {role}, as the owner of the database"
        else:
            yield f"member of {role}"
    yield _end(path, names)


def _end(path: Path, names: Mapping[int, str]) -> str:
    from replica_access.names import shown

    entry = path.entry
    if entry is None:
        return {
            "superuser": "is a superuser",
            "predefined role": "has it on everything, as a predefined role",
        }.get(path.source, "lo_compat_privileges is on: nobody's privileges are looked at")
    option = ", with grant option" if entry.grantable else ""
    by = f"granted by {shown(names[entry.grantor])}{option}"
    on = " on the whole relation" if path.of_relation else ""
    match path.source:
        case "PUBLIC":
            return f"PUBLIC has it{on}: {by}"
        case "owner":
            return f"owns it{on and ' as a whole'}"
        case _:
            return f"{by}{on}"


def _missing(answer: Answer) -> Iterator[str]:
    from replica_access.names import pasteable, shown

    found = answer.explanation
    if found.has_access:
        return
    yield ""
    yield escaped(f"{count(len(found.missing), 'thing')} missing:")
    for number, needed in enumerate(found.missing, 1):
        whose = f" for {shown(needed.reader)}" if needed.reader else ""
        yield escaped(f"  {number}. {needed.privilege} on {needed.object}{whose}")
        if needed.fix:
            yield f"     [{TYPED}]{escaped(pasteable(needed.fix))};[/]"


def _ending(answer: Answer) -> Iterator[str]:
    found = answer.explanation
    if not found.cuts and any(needed.paths.found for needed in found.needed if needed.object == found.object):
        yield ""
        yield "No REVOKE ends all of these ways: somebody has it by what they are."
    for number, cut in enumerate(found.cuts):
        yield ""
        yield escaped(_ending_title(cut) if number == 0 else "Or:")
        yield from (f"  [{TYPED}]{escaped(line)}[/]" for line in _cut(cut))


def _ending_title(cut: Cut) -> str:
    number = sum(not text.startswith(("SET ROLE", "RESET ROLE")) for text in cut.statements)
    statements = "one statement" if number == 1 else f"{number} statements"
    fewest = "" if cut.smallest else " (fewer may do: there are too many ways to try them all)"
    return f"To end it, {statements}{fewest}:"


def _cut(cut: Cut) -> Iterable[str]:
    from replica_access.names import pasteable

    return [*(f"{pasteable(statement)};" for statement in cut.statements), *(f"-- {effect}" for effect in cut.effects)]


# --- for programs ----------------------------------------------------------------------------------------------------


def _document(answer: Answer) -> dict[str, Any]:
    from replica_access.names import pasteable

    found = answer.explanation
    return {
        "role": found.role,
        "privilege": found.privilege,
        "object": found.object,
        "database": found.database,
        "server": answer.server,
        "is_replica": answer.is_replica,
        "has_access": found.has_access,
        "after_set_role": list(found.after_set_role),
        "needed": [_needed_document(needed, found.names) for needed in found.needed],
        "cuts": [
            {"statements": list(map(pasteable, cut.statements)), "effects": list(cut.effects), "smallest": cut.smallest}
            for cut in found.cuts
        ],
        "notes": list(found.notes),
    }


def _needed_document(needed: Needed, names: Mapping[int, str]) -> dict[str, Any]:
    from replica_access.names import pasteable

    return {
        "privilege": needed.privilege,
        "object": needed.object,
        "reader": needed.reader or None,
        "held": needed.held,
        "fix": None if needed.held else pasteable(needed.fix) or None,
        "paths": _path_documents(needed.paths.found, names),
        "complete": needed.paths.complete,
    }


def _path_documents(paths: Sequence[Path], names: Mapping[int, str]) -> list[dict[str, Any]]:
    return [
        {
            "source": path.source,
            "roles": [names[step.role] for step in path.steps],
            "set_role": path.set_role,
            "granted_by": None if path.entry is None else names[path.entry.grantor],
            "with_grant_option": path.entry is not None and path.entry.grantable,
            "on_relation": path.of_relation,
        }
        for path in paths
    ]

"""The program: global options, the commands, and the one boundary where errors become exits."""

from __future__ import annotations

import gc
import os
import signal
import sys
from copy import copy
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.models import CommandInfo

from replica_access import __version__
from replica_access.cli import (
    access,
    addresses,
    audit,
    connect,
    demo,
    destroy,
    export,
    grant,
    sandbox,
    specs,
    user,
    why,
)
from replica_access.cli.context import Context
from replica_access.cli.terminal import Terminal, escaped
from replica_access.errors import Abandoned, Error, Interrupted, UsageError


class Program(TyperGroup):
    """The commands; Ctrl-C ends them in a sentence of ours, before Typer makes a bare exit status of it."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Interrupted from None


app = typer.Typer(
    name="replica-access",
    cls=Program,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit status: 0 done or clean, 1 failed, 2 wrong usage, 3 drift, findings or a failed proof, 4 incomplete.",
)
access.add_to(app)
grant.add_to(app)
connect.add_to(app)
app.add_typer(addresses.app, name="access")
app.add_typer(user.app, name="user")
app.add_typer(audit.app, name="audit")
why.add_to(app)
app.add_typer(export.app, name="export")
destroy.add_to(app)
app.add_typer(sandbox.app, name="sandbox")
demo.add_to(app)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"replica-access {__version__}")
        raise typer.Exit


@app.callback()
def global_options(
    context: typer.Context,
    spec: Annotated[
        list[Path] | None,
        typer.Option(
            "--spec",
            metavar="FILE",
            envvar="REPLICA_ACCESS_SPEC",
            help="The declared access; default: replica-access.toml. `audit` takes several: repeat it, or quote a "
            "pattern; in the environment with : between them.",
        ),
    ] = None,
    output: Annotated[str, typer.Option("--format", metavar="table|json", help="How results are printed.")] = "table",
    verbose: Annotated[int, typer.Option("--verbose", "-v", count=True, help="Say more; -vv shows tracebacks.")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but results and errors.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Read access to production PostgreSQL without touching production.

    Creates an RDS read replica that only approved addresses can reach, makes the users and their grants on the primary,
    and proves on the replica that they work and that nothing else does.
    """
    del version
    if output not in {"table", "json"}:
        raise UsageError(f"--format is {output}.", "It is table or json.")
    if quiet and verbose:
        raise UsageError("-q and -v contradict each other.", "Leave one of them out.")
    terminal = Terminal(quiet=quiet, verbose=verbose)
    named = specs.named(spec or [specs.DEFAULT])
    context.obj = Context(named, "json" if output == "json" else "table", verbose, quiet, terminal)


def program(called: str = "") -> typer.Typer:
    """Return the program with no command but the one that is called: Typer reads all there are before it runs one."""
    commands = [command for command in app.registered_commands if _name(command) == called]
    groups = [group for group in app.registered_groups if group.name == called]
    if not commands and not groups:
        return app
    alone = copy(app)
    alone.registered_commands, alone.registered_groups = commands, groups
    return alone


def _name(command: CommandInfo) -> str:
    return command.callback.__name__ if command.callback is not None else ""


def main(arguments: list[str] | None = None) -> None:
    """Run the program and exit; every error ends here, as sentences and an exit status."""
    options, rest = _apart(sys.argv[1:] if arguments is None else arguments)
    arguments = options + rest  # let global options stand anywhere: people write them last
    verbose = sum(argument.count("v") for argument in arguments if argument in {"-v", "-vv", "-vvv"})
    if sys.stdout is None or sys.stderr is None:  # it was closed; what is opened here stays open to the end
        nowhere = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
        sys.stdout, sys.stderr = sys.stdout or nowhere, sys.stderr or nowhere
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever asks to stop gets the same answer as Ctrl-C
    try:
        # It exits by itself when it is done, when a pipe breaks, and with 2 when the call is wrong.
        program(*rest[:1])(arguments, prog_name="replica-access")
    except Abandoned as error:
        status = _fail(error, verbose)
        sys.stdout.flush()
        os._exit(status)  # Python itself would wait for all threads, and they for a server that may never answer
    except Error as error:
        status = _fail(error, verbose)
    except Exception as error:  # noqa: BLE001  # the last boundary: a sentence for people, the traceback with -vv
        status = _unexpected(error, verbose)
    finally:
        gc.freeze()  # the interpreter ends without looking for cycles among everything that was imported
    sys.exit(status)


_WITH_VALUE = {"--spec", "--format"}
_ALONE = {"-v", "-vv", "-q", "--verbose", "--quiet"}


def _apart(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Return the global options, and the rest, which begins with the command."""
    options: list[str] = []
    rest: list[str] = []
    todo = list(arguments)
    while todo:
        argument = todo.pop(0)
        if argument == "--":
            rest += [argument, *todo]
            break
        if argument in _WITH_VALUE and not todo:
            return [*options, argument], []  # Typer says what is missing
        if argument in _WITH_VALUE:
            options += [argument, todo.pop(0)]
        elif argument in _ALONE or argument.partition("=")[0] in _WITH_VALUE:
            options.append(argument)
        else:
            rest.append(argument)
    return options, rest


def _fail(error: Error, verbose: int) -> int:
    _say(error.what, error.fix)
    if verbose >= 2:
        _traceback(error)
    return error.exit_status


def _unexpected(error: Exception, verbose: int) -> int:
    if verbose >= 2:
        _traceback(error)
    return _say(
        f"Something that nobody expected: {type(error).__name__}: {error}", "Please report it, with the output of -vv."
    )


def _say(what: str, fix: str) -> int:
    terminal = Terminal()
    terminal.say(f"[bold red]Error:[/] {escaped(what)}")
    if fix:
        terminal.say(escaped(fix))
    return 1


def _traceback(error: BaseException) -> None:
    import traceback

    traceback.print_exception(error)

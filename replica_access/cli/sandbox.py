"""``replica-access sandbox``: the local stand-in for AWS and the production database."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from replica_access.cli.context import Context
from replica_access.cli.terminal import escaped

if TYPE_CHECKING:
    from replica_access.sandbox.lifecycle import SandboxStatus

app = typer.Typer(
    no_args_is_help=True, help="Run a local AWS endpoint whose RDS instances are real PostgreSQL servers."
)

Directory = Annotated[Path, typer.Option("--dir", metavar="DIR", help="Where the sandbox keeps everything it makes.")]


@app.command()
def start(
    context: typer.Context,
    directory: Directory = Path(".sandbox"),
    databases: Annotated[
        str, typer.Option(metavar="NAMES", help="Databases of the primary, with commas between them.")
    ] = "app,reporting",
    empty: Annotated[bool, typer.Option("--empty", help="Make no databases and no sample.")] = False,
    pg_bin: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Programs of the PostgreSQL to run, instead of the wheel's.")
    ] = None,
) -> None:
    """Start a sandbox in the background, or show the one that runs in DIR.

    It runs until `sandbox stop`. A primary `prod-db` with sample databases is there from the start.
    """
    from replica_access.sandbox import lifecycle

    ours = Context.of(context)
    ours.terminal.stage("starting the sandbox")
    try:
        running = lifecycle.start(
            directory,
            databases=[name.strip() for name in databases.split(",") if name.strip()],
            empty=empty,
            pg_bin=pg_bin,
        )
    finally:
        ours.terminal.close()
    show(ours, running)
    if not ours.as_json and not ours.quiet:
        ours.print(f'\nLead this shell to it:  eval "$(replica-access sandbox env --dir {quoted(directory)})"')


@app.command()
def status(context: typer.Context, directory: Directory = Path(".sandbox")) -> None:
    """Show what runs: the endpoint, the instances and their databases. JSON has the passwords too."""
    from replica_access.sandbox import lifecycle

    show(Context.of(context), lifecycle.status(directory))


@app.command()
def env(context: typer.Context, directory: Directory = Path(".sandbox")) -> None:
    """Print the environment that sends AWS clients to the sandbox, for a shell's `eval`."""
    from replica_access.sandbox import lifecycle

    ours = Context.of(context)
    variables = lifecycle.environment(directory)
    if ours.as_json:
        ours.print_json("sandbox-env", variables)
        return
    for name, value in variables.items():
        typer.echo(f"export {name}={shlex.quote(value)}")


@app.command()
def stop(context: typer.Context, directory: Directory = Path(".sandbox")) -> None:
    """End every process of the sandbox and delete everything it made, even after it was killed."""
    from replica_access.sandbox import lifecycle

    ours = Context.of(context)
    ours.terminal.stage("stopping the sandbox")
    try:
        stopped = lifecycle.stop(directory)
    finally:
        ours.terminal.close()
    if ours.as_json:
        ours.print_json("sandbox-stop", {"directory": str(directory), "stopped": stopped})
    elif not ours.quiet:
        ours.print(escaped(f"Stopped the sandbox in {directory}." if stopped else f"No sandbox runs in {directory}."))


def show(context: Context, running: SandboxStatus) -> None:
    if context.as_json:
        context.print_json("sandbox-status", running.document)
        return
    for line in lines(running):
        context.print(escaped(line))


def lines(running: SandboxStatus) -> Iterator[str]:
    yield f"endpoint   {running.endpoint_url}  ({running.region}, account {running.account})"
    yield f"directory  {running.directory}"
    yield f"CA bundle  {running.ca_bundle}"
    yield ""
    rows = [("INSTANCE", "ROLE", "STATUS", "ADDRESS", "VERSION", "ADMIN", "DATABASES")]
    rows += [
        (
            instance.instance,
            instance.role,
            instance.status,
            f"{instance.host}:{instance.port}",
            instance.version,
            instance.admin,
            ", ".join(instance.databases),
        )
        for instance in running.instances
    ]
    yield from aligned(rows)


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def quoted(path: Path) -> str:
    return escaped(shlex.quote(str(path)))

"""``replica-access demo``: the whole job on a sandbox, by the same commands that a person types."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import typer

from replica_access.cli.context import Context
from replica_access.cli.terminal import escaped
from replica_access.errors import Error


def add_to(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command()(demo)


def demo(context: typer.Context) -> None:
    """Show the whole job on a sandbox, end to end, then clean up.

    Needs nothing but this program: an AWS endpoint and PostgreSQL servers run here for half a minute.
    """
    import tempfile

    from replica_access.sandbox import lifecycle

    call = Context.of(context)
    before, began = dict(os.environ), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="replica-access-") as name:
        stage = Stage(call, Path(name))
        try:
            _play(stage)
        finally:
            call.terminal.close()
            os.environ.clear()
            os.environ.update(before)
            lifecycle.stop(stage.sandbox)
        if stage.sandbox.exists():
            raise Error(f"The sandbox left something behind in {stage.sandbox}.", "Please report this: it is a defect.")
    stage.title("Cleaned up: no process and no file is left")
    stage.say(
        f"It took {time.monotonic() - began:.0f} s. Against real AWS it is the same commands, without the sandbox."
    )


class Stage:
    """Where the demo is played: a directory with a sandbox in it, and somebody who watches."""

    def __init__(self, call: Context, directory: Path) -> None:
        self.call = call
        self.directory = directory
        self.sandbox = directory / "sandbox"
        self.spec = directory / "replica-access.toml"
        self._number = 0

    def title(self, text: str) -> None:
        self._number += 1
        self.say(f"\n[bold]{self._number}. {escaped(text)}[/]")

    def say(self, text: str) -> None:
        self.call.print(text)

    def run(self, *arguments: str, status: int = 0) -> None:
        """Run a command of this program, as a person would, and show it.

        :param status: which it has to end with.
        :raises Error: it ended with another.
        """
        self.say(f"[cyan]$ replica-access {escaped(shlex.join(arguments))}[/]")
        sys.stdout.flush()
        command = [sys.executable, "-m", "replica_access", *arguments]
        ended = subprocess.run(command, cwd=self.directory, check=False)
        if ended.returncode != status:
            raise Error(f"`replica-access {arguments[0]}` ended with {ended.returncode}.", "Its output is above.")


def _play(stage: Stage) -> None:
    from replica_access import workflow
    from replica_access.sandbox import demo as scene
    from replica_access.sandbox import lifecycle
    from replica_access.spec import load

    stage.title("A production database on RDS, or so it looks")
    stage.call.terminal.stage("starting an AWS endpoint and a PostgreSQL server")
    sandbox = lifecycle.start(stage.sandbox)
    stage.call.terminal.close()
    primary = sandbox.instances[0]
    os.environ.update(lifecycle.environment(stage.sandbox))
    stage.say(
        f"{primary.instance}: PostgreSQL {primary.version} in {sandbox.region}, "
        f"databases {', '.join(name for name in primary.databases if name != 'postgres')}; "
        f"{primary.admin} is no superuser and owns no table"
    )

    stage.title("Declare who may read what, and look at everything that would stop it")
    stage.run(
        *("init", "--instance", primary.instance, "--admin-secret", f"{primary.instance}/{primary.admin}"),
        *("--allow", "127.0.0.1/32", "--database", scene.DATABASE),
        *("--exclude", "vault", "--exclude", "public.user_passwords", "--exclude", "public.password_*"),
    )
    stage.run("check")

    stage.title("See what would be done")
    stage.run("plan")

    stage.title("Do it: security group, replica, user, grants")
    stage.run("apply", "--yes")
    stage.run("plan", "--check")

    stage.title("Prove it on the replica, as the user")
    stage.run("verify", "-v")

    stage.title("Next week: the application grows, and nobody thinks of the readers")
    for creator, sql in (("migrator", scene.NEW_TABLE), ("app_owner", scene.NEW_SCHEMA)):
        stage.say(f"[dim]{creator}, on the primary:[/] {escaped(sql)}")
        scene.as_creator(stage.sandbox, creator, sql)
    spec = load(stage.spec)
    hosting = workflow.host(spec)
    reader = workflow.wait_and_log_in(spec, hosting, "bi", stage.call.terminal)
    stage.call.terminal.close()
    for query in scene.READS:
        found = scene.read(reader, query)
        stage.say(f"[green]✓[/] bi, on the replica, with no further run: {escaped(query)} → {escaped(found)}")

    stage.title("From an address that no rule allows")
    stage.say(f"[green]✓[/] refused, as it should be: {escaped(scene.refusal_from_elsewhere(reader))}")

    _play_audits(stage)


def _play_audits(stage: Stage) -> None:
    from replica_access.sandbox import demo as scene

    stage.title("Audit: who can do what, and is it what was declared")
    stage.run("audit")

    stage.title("What it found is mended, or meant, and then it is clean")
    a_year_on = datetime.now(UTC).date() + timedelta(days=365)
    stage.run("user", "expire", "bi", "--at", a_year_on.isoformat(), "--yes")
    stage.say(f"[dim]the admin, on the primary:[/] {escaped(scene.BY_THE_ADMIN)}")
    scene.as_superuser(stage.sandbox, scene.BY_THE_ADMIN)
    stage.say(f"[dim]in the spec:[/]{escaped(scene.ACCEPTED)}")
    with stage.spec.open("a", encoding="utf-8") as spec_file:
        spec_file.write(scene.ACCEPTED)
    stage.run("audit", "--fail-on", "info")

    stage.title("Months later: three people were helpful")
    declared = stage.spec.read_bytes()
    stage.run("access", "allow", scene.SUPPLIER, "--note", "a supplier, for a day", "--yes")
    stage.say("[dim]somebody takes that out of the spec again, and thinks that it is done[/]")
    stage.spec.write_bytes(declared)
    stage.say(f"[dim]app_owner, on the primary:[/] {escaped(scene.BY_A_CREATOR)}")
    scene.as_creator(stage.sandbox, "app_owner", scene.BY_A_CREATOR)
    stage.say(f"[dim]a superuser, on the primary:[/] {escaped(scene.BY_A_SUPERUSER)}")
    scene.as_superuser(stage.sandbox, scene.BY_A_SUPERUSER)
    stage.run("audit", "--new-only", status=3)
    stage.run("why", "bi", "accounting.payments", "--privilege", "INSERT")

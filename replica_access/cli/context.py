"""What every command is told: the global options, and where to print."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import typer

from replica_access.cli.specs import Named
from replica_access.cli.terminal import Terminal
from replica_access.errors import UsageError

if TYPE_CHECKING:
    from replica_access.spec import Spec

Format = Literal["table", "json"]


@dataclass(frozen=True, slots=True)
class Context:
    """The global options of one call.

    :param specs: the files that are meant.
    :param verbose: how often -v was given: 1 shows more, 2 shows tracebacks too.
    """

    specs: Named
    format: Format
    verbose: int
    quiet: bool
    terminal: Terminal

    @classmethod
    def of(cls, typer_context: typer.Context) -> Context:
        return cast("Context", typer_context.obj)

    @property
    def as_json(self) -> bool:
        return self.format == "json"

    @property
    def spec_path(self) -> Path:
        """The spec, for all that is about one.

        :raises UsageError: several are meant.
        """
        if len(self.specs.paths) == 1:
            return self.specs.paths[0]
        listed = ", ".join(map(str, self.specs.paths))
        raise UsageError(
            f"{len(self.specs.paths)} specs are named: {listed}.",
            "Only `replica-access audit` itself takes several: name one with --spec FILE.",
        )

    @property
    def has_spec(self) -> bool:
        """Whether there is a spec; where nobody can tell, reading or writing it tells why."""
        try:
            return self.spec_path.exists()
        except OSError:
            return False

    def spec(self) -> Spec:
        """Load the spec; only commands that need it pay for it."""
        from replica_access.spec import load

        return load(self.spec_path)

    def print(self, text: str = "") -> None:
        """Print for a person, to standard output."""
        self.terminal.print(text)

    def print_json(self, name: str, document: Mapping[str, Any]) -> None:
        """Print the one JSON document of this call."""
        sys.stdout.write(rendered_json(name, document))

    def confirm(self, question: str, *, yes: bool) -> None:
        """Ask, unless `yes` has been said.

        :raises UsageError: nobody is there to ask, or the answer was no.
        """
        if yes:
            return
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise UsageError("There is no terminal to ask on.", "Say --yes to go ahead without being asked.")
        if not typer.confirm(question, err=True):
            self.terminal.say("Nothing was changed.")
            raise typer.Exit(1)


def rendered_json(name: str, document: Mapping[str, Any]) -> str:
    """Return a JSON document as it is printed."""
    values = {"schema": f"replica-access/{name}/1", **document}
    return json.dumps(values, indent=2, default=str) + "\n"

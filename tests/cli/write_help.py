"""``python -m tests.cli.write_help``: put what every command says of itself into README.md, between its markers.

From the commands themselves, not from a screen of theirs: how that is drawn changes with the libraries.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from replica_access.audit.rulebook import ALL
from replica_access.cli.app import app

README = Path(__file__).parents[2] / "README.md"
MARKED = re.compile(r"<!-- help:(?P<name>[\w -]+) -->\n.*?<!-- /help -->", re.DOTALL)
RULES = re.compile(r"<!-- rules -->\n.*?<!-- /rules -->", re.DOTALL)
PROGRAM = "replica-access"


def commands(command: Any = None, path: str = "") -> dict[str, Any]:
    """Return every command by the words that call it; the program itself by its name."""
    command = command or typer.main.get_command(app)
    found = {path or PROGRAM: command}
    for name, child in getattr(command, "commands", {}).items():
        found |= commands(child, f"{path} {name}".strip())
    return found


def written(text: str) -> str:
    """Return `text` with the help that is current now."""
    known = commands()
    text = RULES.sub(lambda _: "\n".join(_rules()), text)
    return MARKED.sub(lambda found: "\n".join(_block(found["name"], known[found["name"]])), text)


def documented(text: str) -> list[str]:
    return [found["name"] for found in MARKED.finditer(text)]


def _block(name: str, command: Any) -> Iterator[str]:
    arguments = "".join(
        f" {p.metavar}" if p.required else f" [{p.metavar}]" for p in command.params if p.param_type_name == "argument"
    )
    yield f"<!-- help:{name} -->"
    yield f"### `{name}{arguments}`"
    for paragraph in inspect.cleandoc(command.help).split("\n\n"):
        yield ""
        yield f"    {paragraph}" if paragraph.startswith(PROGRAM) else paragraph
    options = [parameter for parameter in command.params if parameter.param_type_name == "option"]
    if options:
        yield ""
        yield "| option | |"
        yield "|---|---|"
    for option in options:
        call = ", ".join(option.opts) + _value(option)
        escaped = call.replace("|", r"\|")
        yield f"| `{escaped}` | {option.help}{_more(option)} |"
    yield "<!-- /help -->"


def _rules() -> Iterator[str]:
    yield "<!-- rules -->"
    yield "| rule | severity | what it is about |"
    yield "|---|---|---|"
    for rule in sorted(ALL, key=lambda rule: rule.family):
        yield f"| `{rule.id}` | {rule.severity} | {rule.reason} |"
    yield "<!-- /rules -->"


def _value(option: Any) -> str:
    if option.is_flag or option.count:
        return ""
    return f" {option.metavar or option.name.upper()}"


def _more(option: Any) -> str:
    default, said = option.default, "efault" in option.help
    shown = "" if said or default is None or default in {False, ""} or callable(default) else f" Default: {default}."
    return shown + (f" Also by the environment: {option.envvar}." if option.envvar else "")


if __name__ == "__main__":
    README.write_text(written(README.read_text(encoding="utf-8")), encoding="utf-8")

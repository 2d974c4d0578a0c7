"""What the program says of itself when asked, and what the README has people type."""

from __future__ import annotations

import re

from tests.cli.program import Program
from tests.cli.write_help import MARKED, PROGRAM, README, commands


def test_every_command_shows_its_help(run: Program) -> None:
    for name, command in commands().items():
        words = [] if name == PROGRAM else name.split()
        ran = run(*words, "--help", COLUMNS="300", NO_COLOR="1")
        assert ran.status == 0, ran
        assert ran.err == ""
        assert command.help.split("\n")[0] in ran.out
        for option in command.params:
            assert all(word in ran.out for word in option.opts if word.startswith("-")), f"{name}: {option.name}"


def test_what_the_readme_has_people_type_exists() -> None:
    """Commands and options in its examples, outside of the help that is generated."""
    known = commands()
    text = MARKED.sub("", README.read_text(encoding="utf-8")).replace("\\\n", " ")
    everywhere = options_of(known[PROGRAM])
    lines = re.findall(rf"(?:^|`|\s){PROGRAM} ([^`\n]+)", text)
    assert len(lines) >= 5
    for line in lines:
        words = line.partition("#")[0].partition(" -- ")[0].split()  # what comes after two hyphens is another program's
        name = next((name for name in (" ".join(words[:2]), *words) if name in known), PROGRAM)
        typed = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert typed <= everywhere | options_of(known[name]), line


def options_of(command: object) -> set[str]:
    return {word for option in getattr(command, "params", ()) for word in option.opts} | {"--help"}

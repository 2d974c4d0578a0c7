"""What the README says of the commands is what they say themselves."""

from __future__ import annotations

import pytest

from replica_access.audit.rulebook import ALL

from .write_help import README, commands, documented, written

TEXT = README.read_text(encoding="utf-8")
COMMANDS = commands()


def test_every_command_is_in_the_readme_and_no_other() -> None:
    assert sorted(documented(TEXT)) == sorted(COMMANDS)


def test_the_help_in_the_readme_is_current() -> None:
    assert written(TEXT) == TEXT, "run `make help-text`"


def test_every_rule_of_the_audit_is_in_the_readme() -> None:
    assert [rule.id for rule in ALL if f"| `{rule.id}` |" not in TEXT] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_every_option_has_help(name: str) -> None:
    command = COMMANDS[name]
    assert command.help
    for parameter in command.params:
        assert parameter.help, f"{name} {parameter.name} has no help"

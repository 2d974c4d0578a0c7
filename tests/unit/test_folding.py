"""What is copied from a narrow terminal is what was meant."""

from __future__ import annotations

import doctest
import shlex

from hypothesis import given
from hypothesis import strategies as st

from replica_access.cli import folding
from replica_access.cli.folding import folded

NAMES = st.text(st.sampled_from("ab  \"'.é"), max_size=14)


def test_the_examples() -> None:
    assert doctest.testmod(folding).failed == 0


@given(st.lists(NAMES, min_size=1, max_size=5), st.integers(10, 60))
def test_sql_is_the_same_but_for_blanks_between_its_words(names: list[str], room: int) -> None:
    quoted = ['"' + name.replace('"', '""') + '"' for name in names]
    text = f"REVOKE SELECT ON TABLE {', '.join(quoted)} FROM {quoted[0]};"
    lines = folded(text, room)
    assert " ".join(lines) == text
    assert all(len(line) <= room or " " not in line or '"' in line for line in lines)
    assert not any(line.count('"') % 2 for line in lines)


@given(st.lists(NAMES, min_size=1, max_size=5), st.integers(10, 60))
def test_a_command_is_read_by_the_shell_as_it_was_meant(names: list[str], room: int) -> None:
    words = ["replica-access", "grant", *names, "--yes"]
    typed = "\n".join(folded(shlex.join(words), room))
    assert shlex.split(typed.replace(" \\\n", " ")) == words


def test_where_quotes_end_is_not_guessed() -> None:
    text = "SELECT E'it\\'s a  long story', 'and another';"
    assert folded(text, 12) == [text]


def test_a_comment_stays_one() -> None:
    lines = folded("-- first GRANT CONNECT to each role that needs it", 20)
    assert len(lines) > 1
    assert all(line.startswith("-- ") and len(line) <= 20 for line in lines)

"""Lines of markup without colours: the same text as with them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from replica_access.cli.terminal import escaped, plain

TEXTS = st.text(st.sampled_from("ab1 []/#@\\:é"), max_size=12).filter(lambda text: not text.endswith("\\"))


@given(TEXTS)
def test_text_that_was_escaped_is_printed_as_it_stands(text: str) -> None:
    assert plain(escaped(text)) == text
    assert plain(f"[bold]{escaped(text)}[/] [green]✓[/] {escaped(text)}") == f"{text} ✓ {text}"


@given(TEXTS.filter(lambda text: "\\[" not in text))  # of a backslash before what is no tag, rich prints nothing
def test_a_terminal_shows_the_same(text: str) -> None:
    line = f"[bold]{escaped(text)}[/]: [red]✗[/] {escaped(text)}"
    assert plain(line) == Text.from_markup(line, emoji=False).plain


def test_a_name_between_colons_is_no_picture() -> None:
    assert plain(escaped("app:car:fleet")) == "app:car:fleet"

"""Drawing on a terminal: colour and a progress line where somebody watches, plain lines in a pipe."""

from __future__ import annotations

import os
import re
import sys
import time
from typing import TYPE_CHECKING, TextIO

import typer

if TYPE_CHECKING:  # rich takes longer to load than many a command to run: it is for those who see its colours
    from rich.console import Console
    from rich.status import Status


TYPED = "typed"
"""The style of what is typed as it is printed: such a line is broken only where that changes nothing."""


class Terminal:
    """Standard output for results, standard error for everything else; is the `Progress` of a workflow."""

    def __init__(self, *, quiet: bool = False, verbose: int = 0) -> None:
        self.quiet = quiet
        self.verbose = verbose
        self._out: Console | None = None
        self._err: Console | None = None
        self._status: Status | None = None
        self._title = ""
        self._since = 0.0

    @property
    def is_watched(self) -> bool:
        """Whether somebody sits at standard error."""
        return sys.stderr.isatty()

    @property
    def out(self) -> Console:
        if self._out is None:
            self._out = _console(sys.stdout.isatty(), stderr=False)
        return self._out

    @property
    def err(self) -> Console:
        if self._err is None:
            self._err = _console(sys.stderr.isatty(), stderr=True)
        return self._err

    def print(self, line: str) -> None:
        """Print a line of rich's markup; where a terminal is too narrow for it, it goes on under its own beginning."""
        if _is_colourless(sys.stdout):
            typer.echo(plain(line))
            return
        from rich.text import Text

        text = Text.from_markup(line, emoji=False)
        room = self.out.width
        if not self.out.is_terminal or len(text) <= room or "\n" in text.plain:
            self.out.print(text)
            return
        if any(span.style == TYPED for span in text.spans):
            self._print_typed(text.plain, room)
            return
        indent = len(text.plain) - len(text.plain.lstrip(" ✓✗?+-…"))
        first, *others = text[indent:].wrap(self.out, room - indent)
        self.out.print(text[:indent] + first)
        for other in others:
            self.out.print(Text(" " * indent) + other)

    def _print_typed(self, line: str, room: int) -> None:
        from rich.text import Text

        from replica_access.cli.folding import folded

        text = line.lstrip(" ")
        indent = line[: len(line) - len(text)]
        for part in folded(text, room - len(indent)):
            self.out.print(Text(indent + part, TYPED), soft_wrap=True)

    def say(self, line: str) -> None:
        """Print a line of rich's markup on standard error."""
        if _is_colourless(sys.stderr):
            typer.echo(plain(line), err=True)
        else:
            self.err.print(line)

    def note(self, sentence: str) -> None:
        """Say something that is no result and no error, on standard error."""
        if not self.quiet:
            self.say(escaped(sentence))

    # --- Progress ----------------------------------------------------------------------------------------------------

    def stage(self, title: str) -> None:
        self._title, self._since = title, time.monotonic()
        if self.quiet:
            return
        if self.is_watched:
            self._spin(title)
        elif self.verbose:
            self.say(escaped(title))

    def done(self, sentence: str) -> None:
        if self.quiet:
            return
        if self.is_watched:
            self.say(f"[green]✓[/] {escaped(sentence)}")
        elif self.verbose:
            self.say(escaped(f"done: {sentence}"))

    def waiting(self, sentence: str) -> None:
        if self.quiet:
            return
        if self.is_watched:
            self._spin(f"{self._title}: {sentence}")
        elif self.verbose:
            self.say(escaped(sentence))

    def close(self) -> None:
        """Take the progress line away; before anything else is printed."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def _spin(self, text: str) -> None:
        if self._status is None:
            self._status = self.err.status("")
            self._status.start()
        width = max(20, self.err.width - 4)
        self._status.update(escaped(text if len(text) <= width else text[: width - 1] + "…"))


# --- Markup: what rich makes colours of, as far as lines here use it --------------------------------------------------

_TAG = re.compile(r"(?P<backslashes>\\*)\[(?P<tag>[a-z#/@][^[]*?)\]")


def escaped(text: str) -> str:
    """Return `text` so that it is printed as it stands, brackets included."""
    text = _TAG.sub(r"\g<backslashes>\g<backslashes>\\[\g<tag>]", text)
    return f"{text}\\" if text.endswith("\\") and not text.endswith("\\\\") else text


def plain(line: str) -> str:
    """Return what rich would print of `line` without colours.

    >>> plain("[bold]Tables[/] " + escaped("[draft]"))
    'Tables [draft]'
    """
    return _TAG.sub(_unescaped, line)


def _unescaped(found: re.Match[str]) -> str:
    """Two backslashes stand for one; one that is left makes text of the tag."""
    literal, escapes = divmod(len(found["backslashes"]), 2)
    return "\\" * literal + (f"[{found['tag']}]" if escapes else "")


def _is_colourless(stream: TextIO) -> bool:
    """Whether nothing but plain lines is wanted; where the environment has a say in it, rich knows what it means."""
    return not stream.isatty() and not {"FORCE_COLOR", "TTY_COMPATIBLE"} & os.environ.keys()


def _console(is_terminal: bool, *, stderr: bool) -> Console:
    from rich.console import Console
    from rich.theme import Theme

    # In a pipe lines are never wrapped or coloured: somebody greps them.
    return Console(stderr=stderr, soft_wrap=not is_terminal, highlight=False, emoji=False, theme=Theme({TYPED: "cyan"}))

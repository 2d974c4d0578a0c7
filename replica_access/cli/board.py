"""A line on the terminal for each spec that is being audited."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from replica_access.cli.terminal import Terminal, escaped
from replica_access.progress import Progress

if TYPE_CHECKING:  # rich is for those who see its colours
    from rich.live import Live
    from rich.spinner import Spinner


class Board:
    """The lines of all specs that are under way, and how many are done; threads share it.

    In a pipe it is silent, or with -v writes each step in a line of its own.
    """

    def __init__(self, terminal: Terminal, total: int) -> None:
        self.terminal = terminal
        self.total = total
        self.done = 0
        self._steps: dict[str, str] = {}
        self._lock = Lock()
        self._is_closed = False
        self._live: Live | None = None
        self._spinner: Spinner

    def begun(self, name: str) -> Progress:
        """Give a spec its line."""
        self.tell(name, "begins")
        return Line(self, name)

    def ended(self, name: str) -> None:
        """Take it away again."""
        with self._lock:
            self._steps.pop(name, None)
            self.done += 1
            self._draw()

    def tell(self, name: str, step: str) -> None:
        """Say how far a spec is."""
        with self._lock:
            self._steps[name] = step
            if self.terminal.is_watched:
                self._draw()
            elif self.terminal.verbose and not self._is_closed:
                self.terminal.say(escaped(f"{name}: {step}"))

    def close(self) -> None:
        """Take all lines away, for good: some may still be at work when somebody has pressed Ctrl-C."""
        with self._lock:
            self._is_closed = True
            if self._live is not None:
                self._live.stop()
                self._live = None

    def _draw(self) -> None:
        """Draw all lines anew; whoever calls has the lock."""
        if self.terminal.quiet or self._is_closed or not self.terminal.is_watched:
            return
        from rich.console import Group
        from rich.live import Live
        from rich.spinner import Spinner
        from rich.text import Text

        if self._live is None:
            self._spinner = Spinner("dots")
            self._live = Live(console=self.terminal.err, transient=True, redirect_stdout=False, redirect_stderr=False)
            self._live.start()
        self._spinner.update(text=f"{self.done} of {self.total} specs")
        lines = (Text(f"  {name}: {step}", no_wrap=True, overflow="ellipsis") for name, step in self._steps.items())
        self._live.update(Group(*lines, self._spinner))


@dataclass(frozen=True, slots=True)
class Line:
    """The progress of one spec."""

    board: Board
    name: str

    def stage(self, title: str) -> None:
        self.board.tell(self.name, title)

    def done(self, sentence: str) -> None:
        self.board.tell(self.name, sentence)

    def waiting(self, sentence: str) -> None:
        self.board.tell(self.name, sentence)

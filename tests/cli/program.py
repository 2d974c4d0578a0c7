"""The real program, in a process of its own, as a person runs it."""

from __future__ import annotations

import json
import os
import pty
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tests.cli.nursery import Child, Nursery

COMMAND = (sys.executable, "-m", "replica_access")
_LEADING_ASTRAY = ("AWS_", "PG", "REPLICA_ACCESS_", "FORCE_COLOR", "GITHUB_")


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on standard output."""
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def has_traceback(self) -> bool:
        return "Traceback" in self.out + self.err


@dataclass(frozen=True, slots=True)
class Program:
    """Runs commands in `directory`, with `environment` and nothing of this machine's own settings."""

    nursery: Nursery
    directory: Path
    environment: Mapping[str, str]

    @property
    def spec(self) -> Path:
        return self.directory / "replica-access.toml"

    def __call__(self, *arguments: str, **environment: str) -> Ran:
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, Path(os.devnull).open("rb") as nothing:
            child = self._start(arguments, environment, nothing.fileno(), out.fileno(), err.fileno())
            try:
                status = child.wait()
            finally:
                child.kill()
            out.seek(0)
            err.seek(0)
            return Ran(status, out.read().decode(), err.read().decode())

    @contextmanager
    def begun(self, *arguments: str, **environment: str) -> Iterator[Running]:
        """A command that is under way; it is killed where the block leaves it running."""
        out, out_end = os.pipe()
        err, err_end = os.pipe()
        with (
            os.fdopen(out, "rb") as out_stream,
            os.fdopen(err, "rb") as err_stream,
            Path(os.devnull).open("rb") as nothing,
        ):
            try:
                child = self._start(arguments, environment, nothing.fileno(), out_end, err_end)
            finally:
                os.close(out_end)
                os.close(err_end)
            try:
                yield Running(child, out_stream, err_stream)
            finally:
                child.kill()

    def on_terminal(self, *arguments: str, answer: Callable[[], str], question: str = "[y/N]") -> Ran:
        """Run where somebody sits at a terminal and types an answer when asked; `out` is all that the screen showed."""
        ours, theirs = pty.openpty()
        with os.fdopen(ours, "r+b", buffering=0) as screen:
            try:
                child = self._start(arguments, {"TERM": "xterm", "COLUMNS": "100"}, theirs, theirs, theirs)
            finally:
                os.close(theirs)
            try:
                shown, asked = b"", 0
                while chunk := _read_screen(screen.fileno()):
                    shown += chunk
                    if shown.count(question.encode()) > asked:
                        asked += 1
                        screen.write(f"{answer()}\n".encode())
                return Ran(child.wait(), shown.decode(), "")
            finally:
                child.kill()

    def _start(self, arguments: tuple[str, ...], environment: Mapping[str, str], *streams: int) -> Child:
        stdin, stdout, stderr = streams
        return self.nursery.start(
            arguments,
            directory=self.directory,
            environment=self.whole_environment(environment),
            streams=(stdin, stdout, stderr),
        )

    def whole_environment(self, more: Mapping[str, str]) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_LEADING_ASTRAY)}
        return {**kept, "HOME": str(self.directory), **self.environment, **more}


def _read_screen(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # EIO: nobody has the other end open any more
        return b""


@dataclass(frozen=True, slots=True)
class Running:
    child: Child
    out: IO[bytes]
    err: IO[bytes]

    def until(self, words: str) -> str:
        """Read standard error up to the line that holds these words; that line."""
        for line in self.err:
            if words in line.decode():
                return line.decode()
        raise AssertionError(f"it ended without saying {words!r}")

    def end(self, number: int | None = None) -> Ran:
        """Send a signal, if any, and wait for the end."""
        if number is not None:
            self.child.send_signal(number)
        err, out = self.err.read(), self.out.read()
        return Ran(self.child.wait(), out.decode(), err.decode())

"""The real program, in a process of its own, as a person starts it."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

PATIENCE_S = 60.0
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

    directory: Path
    environment: Mapping[str, str]

    @property
    def spec(self) -> Path:
        return self.directory / "replica-access.toml"

    def __call__(self, *arguments: str, patience_s: float = PATIENCE_S, **environment: str) -> Ran:
        ran = subprocess.run(
            [*COMMAND, *arguments],
            cwd=self.directory,
            env=self.whole_environment(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=patience_s,
            check=False,
        )
        return Ran(ran.returncode, ran.stdout.decode(), ran.stderr.decode())

    @contextmanager
    def begun(self, *arguments: str, **environment: str) -> Iterator[Running]:
        """A command that is under way; it is killed where the block leaves it running."""
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=self.directory,
            env=self.whole_environment(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        with process:
            try:
                yield Running(process)
            finally:
                process.kill()

    def on_terminal(self, *arguments: str, answer: Callable[[], str]) -> Ran:
        """Run where somebody sits at a terminal and types an answer when asked; `out` is all that the screen showed."""
        ours, theirs = pty.openpty()
        environment = self.whole_environment({"TERM": "xterm", "COLUMNS": "100"})
        with (
            subprocess.Popen(
                [*COMMAND, *arguments], cwd=self.directory, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
            ) as process,
            os.fdopen(ours, "r+b", buffering=0) as screen,
        ):
            os.close(theirs)
            shown, asked = b"", 0
            while chunk := _read_screen(screen.fileno()):
                shown += chunk
                if shown.count(b"[y/N]") > asked:
                    asked += 1
                    screen.write(f"{answer()}\n".encode())
        return Ran(process.returncode, shown.decode(), "")

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
    process: subprocess.Popen[bytes]

    @property
    def out(self) -> IO[bytes]:
        assert self.process.stdout is not None
        return self.process.stdout

    @property
    def err(self) -> IO[bytes]:
        assert self.process.stderr is not None
        return self.process.stderr

    def until(self, words: str) -> str:
        """Read standard error up to the line that holds these words; that line."""
        for line in self.err:
            if words in line.decode():
                return line.decode()
        raise AssertionError(f"it ended without saying {words!r}")

    def end(self, number: int | None = None) -> Ran:
        """Send a signal, if any, and wait for the end."""
        if number is not None:
            self.process.send_signal(number)
        err, out = self.err.read(), self.out.read()  # what `until` has read ahead is in the stream, not in the pipe
        return Ran(self.process.wait(PATIENCE_S), out.decode(), err.decode())

"""What a command takes, seen from outside: time, memory, and what a server logged of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LAUNCHER = Path(__file__).with_name("launcher.py")


@dataclass(frozen=True, slots=True)
class Took:
    """What one process took; `peak_mb` is its resident memory at most."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def run(command: Sequence[str | Path], *, cwd: Path, environment: Mapping[str, str] | None = None) -> Took:
    """Run `command` to its end.

    :raises RuntimeError: it failed; with what it said.
    """
    ran = subprocess.run(
        [sys.executable, "-I", "-S", LAUNCHER, *map(str, command)],
        cwd=cwd,
        env=clean_environment() | dict(environment or {}),
        capture_output=True,
        text=True,
        check=True,
    )
    took = json.loads(ran.stdout)
    if took.pop("status") != 0:
        raise RuntimeError(f"{' '.join(map(str, command))} failed: {ran.stderr.strip()}")
    return Took(**took)


def output(command: Sequence[str | Path], *, cwd: Path, environment: Mapping[str, str] | None = None) -> str:
    """Run `command` to its end, and return what it wrote to standard output."""
    environment = clean_environment() | dict(environment or {})
    ran = subprocess.run(list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True, check=True)
    return ran.stdout


def python(
    code: str, *options: str, cwd: Path, environment: Mapping[str, str] | None = None, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run `code` in a Python of its own, and return what it said."""
    return subprocess.run(
        [sys.executable, *options, "-c", code],
        cwd=cwd,
        env=clean_environment() | dict(environment or {}),
        capture_output=True,
        text=True,
        check=check,
    )


def clean_environment() -> dict[str, str]:
    """The environment without what would change Python's start: everything is compiled, as after an installation."""
    dropped = {"PYTHONDONTWRITEBYTECODE", "PYTHONSTARTUP", "PYTHONUNBUFFERED", "COVERAGE_PROCESS_START"}
    return {name: value for name, value in os.environ.items() if name not in dropped and not name.startswith("PG")}


def best(all_took: Iterable[Took]) -> Took:
    """The least of each figure: what else the machine does can only add to it."""
    every = list(all_took)
    return Took(*(min(getattr(took, name) for took in every) for name in Took.__slots__))


def by_turns(rounds: int, *tools: Callable[[], Took]) -> list[Took]:
    """Run `tools` one after the other, `rounds` times, so that a busy minute meets all of them; the best of each."""
    return [best(took) for took in zip(*([tool() for tool in tools] for _ in range(rounds)), strict=True)]


@dataclass(frozen=True, slots=True)
class Served:
    """What a server logged at ``log_min_duration_statement = 0``: its own time for each statement, in ms."""

    statements: tuple[tuple[str, float], ...]

    @property
    def total_ms(self) -> float:
        return sum(ms for _, ms in self.statements)


_LOGGED = re.compile(
    r"duration: (?P<ms>[\d.]+) ms  (?P<step>statement|parse|bind|execute)(?: [^:\n]*)?: "
    r"(?P<text>.*?)(?=\n\d{4}-\d\d-\d\d |\Z)",
    re.DOTALL,
)


def served(log: str) -> Served:
    """Sum up the steps of each statement: it is parsed and bound before it is executed, each with a line of its own."""
    statements: list[tuple[str, float]] = []
    before = 0.0
    for line in _LOGGED.finditer(log):
        before += float(line["ms"])
        if line["step"] in {"statement", "execute"}:
            statements.append((line["text"], before))
            before = 0.0
    return Served(tuple(statements))

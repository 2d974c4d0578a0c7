"""How long the program takes to start, and which imports cost what."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.bench import measure
from tests.bench.figures import Figure
from tests.bench.grants import PROGRAM

EMPTY = """
import typer
app = typer.Typer()

@app.command()
def nothing() -> None:
    pass

app()
"""

SPEC = """version = 1
[primary]
dsn = "host=127.0.0.1 port=1 user=nobody"
"""


def figures(directory: Path, rounds: int) -> Iterator[Figure]:
    """Measure starts in `directory`; no server is needed."""
    home = directory / "startup"
    home.mkdir()
    empty = home / "empty.py"
    empty.write_text(EMPTY, encoding="utf-8")
    runs = max(rounds, 7)
    us, typer, version = measure.by_turns(
        runs,
        lambda: measure.run([PROGRAM, "--help"], cwd=home),
        lambda: measure.run([sys.executable, empty, "--help"], cwd=home),
        lambda: measure.run([PROGRAM, "--version"], cwd=home),
    )
    yield Figure("--help", us.wall_s * 1000, "ms", "empty Typer program", typer.wall_s * 1000, "at most 1.5 x")
    yield Figure("--version", version.wall_s * 1000, "ms", "empty Typer program", typer.wall_s * 1000)
    for package, ms in _imports(home):
        yield Figure(f"plan: import {package}", ms, "ms")


_TIMED = re.compile(r"^import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)$", re.MULTILINE)


def _imports(home: Path, most: int = 8) -> list[tuple[str, float]]:
    """What the modules of each package cost a `plan` by themselves, in ms, the most expensive first."""
    (home / "replica-access.toml").write_text(SPEC, encoding="utf-8")
    command = "from replica_access.cli.app import main; main(['plan', '--quiet'])"
    runs = [measure.python(command, "-X", "importtime", cwd=home, check=False).stderr for _ in range(3)]
    totals: list[dict[str, float]] = []
    for text in runs:
        of_package: dict[str, float] = {}
        for microseconds, module in _TIMED.findall(text):
            package = module.split(".")[0]
            package = "the standard library" if package in sys.stdlib_module_names else package.removesuffix("_binary")
            of_package[package] = of_package.get(package, 0.0) + int(microseconds) / 1000
        totals.append(of_package)
    best = min(totals, key=lambda of_package: sum(of_package.values()))
    return sorted(best.items(), key=lambda item: -item[1])[:most]

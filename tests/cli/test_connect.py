"""connect: psql on a replica as a user, and what it prints for other tools, each tried by connecting with it."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from replica_access.cli import connect as command
from replica_access.errors import Error
from replica_access.sandbox.certificates import create_authority
from replica_access.sandbox.server import PostgresServer
from tests.cli.conftest import Production, Shop
from tests.cli.program import Program, Ran
from tests.cli.test_bad_input import assert_refused

PASSWORD = "it's a:b\\c @/%?#é $HOME `x`"
WHO = "SELECT current_user, current_database(), pg_is_in_recovery()"
AS_BI = "bi|shop|t"

looks_at_processes = pytest.mark.skipif(not Path("/proc").is_dir(), reason="what a process is told is read from /proc")


@pytest.fixture(scope="module")
def replicas(
    production: Production, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[PostgresServer, PostgresServer]]:
    directory = tmp_path_factory.mktemp("replicas")
    first, second = (
        PostgresServer.create_replica(
            production.server, directory / name, certificate=production.certificate, tied=True
        )
        for name in ("first", "second")
    )
    yield first, second
    first.remove()
    second.remove()


@pytest.fixture
def declared(shop: Shop, replicas: tuple[PostgresServer, PostgresServer]) -> Shop:
    """A shop with two replicas in its spec."""
    declare(shop, replicas)
    return shop


@pytest.fixture
def granted(declared: Shop) -> Shop:
    """The same with a user who chose a password that every form has to quote."""
    kept = declared.run.directory / "bi.password"
    kept.touch(0o600)
    kept.write_text(PASSWORD, encoding="utf-8")
    applied = declared.run("apply", "--yes", "--quiet")
    assert applied.status == 0, applied.out + applied.err
    return declared


def declare(shop: Shop, replicas: tuple[PostgresServer, ...], **changes: str) -> None:
    shop.declare(**changes)
    dsns = [shop.dsn(port=str(server.port)) for server in replicas]
    spec = shop.run.spec.read_text(encoding="utf-8").replace("[roles", f"[replica]\ndsn = {dsns}\n[roles", 1)
    shop.run.spec.write_text(spec, encoding="utf-8")


def psql(shop: Shop, *arguments: str, **environment: str) -> Ran:
    """`connect` with the servers' own psql."""
    bin_dir = str(shop.server.installation.bin_dir)
    return shop.run("connect", *arguments, REPLICA_ACCESS_PG_BIN=bin_dir, **environment)


def answer(**parameters: str) -> str:
    """Who the servers say that we are, by libpq with these parameters alone."""
    with psycopg.connect(**parameters) as session:  # type: ignore[arg-type]  # psycopg's own names are typed apart
        found = session.execute(WHO).fetchone()
        assert found is not None
        return f"{found[0]}|{found[1]}|{'t' if found[2] else 'f'}"


# --- psql ------------------------------------------------------------------------------------------------------------


def test_psql_opens_on_the_replica_as_the_user_in_the_first_database_granted(granted: Shop) -> None:
    ran = psql(granted, "bi", "--", "-XAtc", WHO)
    assert (ran.status, ran.out) == (0, f"{AS_BI}\n"), ran
    assert "bi on localhost:" in ran.err
    ran = psql(granted, "bi", "--", "-XAtc", "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    assert ran.out == "t\n"


@looks_at_processes
def test_psql_is_told_the_password_by_no_argument(granted: Shop) -> None:
    show = r"\! tr '\0' '\n' < /proc/$PPID/cmdline; printenv PGPASSWORD >/dev/null && echo told"
    ran = psql(granted, "bi", "--", "-Xc", show)
    assert ran.status == 0, ran
    *arguments, told = ran.out.splitlines()
    assert told == "told"
    assert arguments[:2] == ["psql", "--dbname"]
    assert "sslmode='verify-full'" in arguments[2]
    assert "user='bi'" in arguments[2]
    assert not [each for each in arguments if "password" in each or PASSWORD in each]


@looks_at_processes
def test_psql_ends_with_the_pipe_that_it_writes_to(granted: Shop) -> None:
    ran = psql(granted, "bi", "--", "-Xc", r"\! grep SigIgn /proc/$PPID/status")
    assert ran.out.startswith("SigIgn:"), ran
    ignored = int(ran.out.split()[1], 16)
    assert not ignored & 1 << signal.SIGPIPE - 1


def test_the_status_is_that_of_psql(granted: Shop) -> None:
    assert psql(granted, "bi", "--", "-Xc", "SELECT nonsense").status == 1
    assert psql(granted, "bi", "--", "-X", "-v", "ON_ERROR_STOP=1", "-f", "nowhere.sql").status == 1


def test_another_database_and_another_replica(granted: Shop, replicas: tuple[PostgresServer, PostgresServer]) -> None:
    ran = psql(granted, "bi", "--database", "postgres", "--", "-XAtc", WHO)
    assert ran.out == "bi|postgres|t\n"
    port = ("--", "-XAtc", "SHOW port")
    assert psql(granted, "bi", *port).out == f"{replicas[0].port}\n"
    assert psql(granted, "bi", "--replica", f"localhost:{replicas[1].port}", *port).out == f"{replicas[1].port}\n"
    ran = psql(granted, "bi", "--replica", "db9:5432")
    assert_refused(ran, 2, "no replica db9:5432", f"localhost:{replicas[0].port}, localhost:{replicas[1].port}")


def test_what_the_shell_has_set_for_others_leads_nobody_astray(granted: Shop) -> None:
    astray = {
        "PGHOSTADDR": "192.0.2.1",
        "PGHOST": "nowhere",
        "PGUSER": "master",
        "PGDATABASE": "postgres",
        "PGPORT": "1",
    }
    ran = psql(granted, "bi", "--", "-XAtc", WHO, **astray, PGPASSFILE="nowhere", PGPASSWORD=granted.password)
    assert (ran.status, ran.out) == (0, f"{AS_BI}\n"), ran


@pytest.mark.parametrize("databases", ['["sh*"]', '["nothing_*", "s?op"]'])
def test_where_grants_name_patterns_the_replica_is_asked(
    shop: Shop, replicas: tuple[PostgresServer, PostgresServer], databases: str
) -> None:
    declare(shop, replicas, databases=databases)
    assert shop.run("apply", "--yes", "--quiet").status == 0
    assert psql(shop, "bi", "--", "-XAtc", WHO).out == f"{AS_BI}\n"


def test_a_pattern_that_no_database_fits_is_told(shop: Shop, replicas: tuple[PostgresServer, PostgresServer]) -> None:
    declare(shop, replicas, databases='["nothing_*"]')
    assert shop.run("apply", "--yes", "--quiet").status == 0
    assert_refused(psql(shop, "bi"), 1, "no database that bi is granted", "--database")


# --- for other tools -------------------------------------------------------------------------------------------------


def test_a_url_leads_there_and_holds_the_password_only_if_asked(granted: Shop) -> None:
    ran = granted.run("connect", "bi", "--url")
    assert ran.status == 0, ran
    url = ran.out.strip()
    assert "--pgpass" in ran.err
    assert answer(conninfo=url, password=PASSWORD) == AS_BI
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        answer(conninfo=url)
    ran = granted.run("connect", "bi", "--url", "--with-password", "-q")
    assert (ran.status, ran.err) == (0, "")
    assert answer(conninfo=ran.out.strip()) == AS_BI


def test_a_pgpass_line_is_found_by_libpq(granted: Shop, tmp_path: Path) -> None:
    ran = granted.run("connect", "bi", "--pgpass")
    assert (ran.status, ran.err) == (0, "")
    file = tmp_path / "pgpass"
    file.touch(0o600)
    file.write_text(ran.out, encoding="utf-8")
    url = granted.run("connect", "bi", "--url").out.strip()
    assert answer(conninfo=url, passfile=str(file)) == AS_BI
    assert answer(conninfo=url, passfile=str(file), dbname="postgres") == "bi|postgres|t"
    of_one = granted.run("connect", "bi", "--pgpass", "--database", "shop").out
    assert of_one == ran.out.replace(":*:", ":shop:")


def test_an_environment_is_taken_in_by_a_shell(granted: Shop) -> None:
    ran = granted.run("connect", "bi", "--env")
    assert (ran.status, ran.err) == (0, "")
    names = [line.removeprefix("export ").partition("=")[0] for line in ran.out.splitlines()]
    assert sorted(names) == [
        *("PGDATABASE", "PGHOST", "PGPASSWORD", "PGPORT", "PGSSLMODE", "PGSSLROOTCERT", "PGUSER"),
    ]
    own = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    bin_dir = shlex.quote(str(granted.server.installation.bin_dir))
    script = f'eval "$1" && exec {bin_dir}/psql -XAtc "{WHO}"'
    told = subprocess.run(["sh", "-c", script, "sh", ran.out], env=own, capture_output=True, text=True, check=False)
    assert (told.returncode, told.stdout) == (0, f"{AS_BI}\n"), told.stderr


def test_json_has_the_password_only_if_asked(granted: Shop, replicas: tuple[PostgresServer, PostgresServer]) -> None:
    ran = granted.run("--format", "json", "connect", "bi")
    assert ran.status == 0, ran
    url = granted.run("connect", "bi", "--url").out.strip()
    assert ran.document == {
        "schema": "replica-access/connect/1",
        "user": "bi",
        "replica": f"localhost:{replicas[0].port}",
        "host": "localhost",
        "port": replicas[0].port,
        "database": "shop",
        "sslmode": "verify-full",
        "sslrootcert": str(granted.server.bundle),
        "auth": "password",
        "password_in": "file:bi.password",
        "url": url,
    }
    asked = granted.run("--format", "json", "connect", "bi", "--with-password").document
    assert asked == {**ran.document, "password": PASSWORD, "password_valid_s": None}
    assert json.dumps(PASSWORD) not in ran.out + ran.err


# --- where files are -------------------------------------------------------------------------------------------------


def test_relative_names_mean_files_beside_the_spec(granted: Shop, production: Production, tmp_path: Path) -> None:
    """The user's password, and the certificates, wherever the program runs."""
    spec = granted.run.spec
    bundle = granted.run.directory / "certificates.pem"
    bundle.write_bytes(production.certificate.bundle.read_bytes())
    spec.write_text(spec.read_text(encoding="utf-8").replace(str(production.certificate.bundle), bundle.name))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    run = Program(granted.run.nursery, elsewhere, granted.run.environment)
    assert run("--spec", str(spec), "plan", "--check").status == 0
    assert run("--spec", str(spec), "verify").status == 0
    url = run("--spec", str(spec), "connect", "bi", "--url", "--with-password").out.strip()
    assert answer(conninfo=url) == AS_BI


# --- what stands in the way ------------------------------------------------------------------------------------------


def test_somebody_whom_the_spec_does_not_know(declared: Shop) -> None:
    assert_refused(declared.run("connect", "bl", "--url"), 2, "no user bl", "Did you mean bi?", "There are: bi.")
    assert_refused(declared.run("connect", "readers", "--url"), 2, "readers is a role", "Did you mean bi?")
    assert_refused(declared.run("connect", "zzz", "--url"), 2, "no user zzz", "There are: bi.")


def test_a_user_without_a_password_yet(declared: Shop) -> None:
    for form in ("--url", "--env", "--pgpass"):
        assert_refused(declared.run("connect", "bi", form), 1, "no password of bi in file:bi.password", "apply")


def test_a_user_who_has_expired(shop: Shop, replicas: tuple[PostgresServer, PostgresServer]) -> None:
    declare(shop, replicas, users="valid_until = 2020-02-29")
    ran = shop.run("connect", "bi", "--url")
    assert_refused(ran, 1, "bi has expired: users.bi.valid_until of the spec is 2020-02-29", "Write a later day")


def test_a_spec_without_a_replica(shop: Shop) -> None:
    assert_refused(shop.run("connect", "bi", "--url"), 2, "The spec has no [replica].", "Name one there by dsn")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--url --env", "--url and --env contradict"),
        ("--pgpass --format json", "--pgpass and --format json contradict"),
        ("--pgpass --with-password", "--with-password goes with --url"),
        ("--with-password", "--with-password goes with --url"),
        ("--url -- -c x", "With --url no psql is run"),
        ("--psql /nowhere/psql", "--psql leads to /nowhere/psql, which is no program"),
    ],
)
def test_flags_that_make_no_sense(declared: Shop, arguments: str, words: str) -> None:
    assert_refused(declared.run("connect", "bi", *arguments.split()), 2, words)


def test_a_directory_of_programs_without_psql(declared: Shop, tmp_path: Path) -> None:
    ran = declared.run("connect", "bi", REPLICA_ACCESS_PG_BIN=str(tmp_path))
    assert_refused(ran, 2, f"REPLICA_ACCESS_PG_BIN leads to {tmp_path}/psql", "--psql FILE")


def test_no_psql_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("REPLICA_ACCESS_PG_BIN", raising=False)
    assert command.find_psql(None).name == "psql"  # the sandbox brings one
    monkeypatch.setattr("replica_access.sandbox.binaries.celerp_wheel", lambda: iter(()))
    with pytest.raises(Error, match="no psql on this machine") as caught:
        command.find_psql(None)
    assert "apt install postgresql-client" in caught.value.fix


def test_certificates_of_another_authority(granted: Shop, tmp_path: Path) -> None:
    other = create_authority(tmp_path / "other").bundle
    spec = granted.run.spec
    spec.write_text(spec.read_text(encoding="utf-8").replace(str(granted.server.bundle), str(other)))
    told = (f"signed by no authority that is in {other}", "primary.sslrootcert")
    assert_refused(psql(granted, "bi"), 1, "localhost", *told)
    assert_refused(granted.run("verify"), 1, *told)


def test_a_file_of_certificates_that_is_none(granted: Shop, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    spec = granted.run.spec
    spec.write_text(spec.read_text(encoding="utf-8").replace(str(granted.server.bundle), str(other)))
    for told in (f"{other}, to verify it with, cannot be read: No such file", f"{other} holds no certificates in PEM"):
        for ran in (psql(granted, "bi"), granted.run("verify")):
            assert_refused(ran, 1, "localhost", told, "sslrootcert of the dsn")
        other.touch()


def test_nobody_answers(granted: Shop, replicas: tuple[PostgresServer, PostgresServer]) -> None:
    spec = granted.run.spec
    spec.write_text(spec.read_text(encoding="utf-8").replace(f"port={replicas[0].port}", "port=1"))
    assert_refused(psql(granted, "bi"), 1, "localhost:1: nobody answers", "network.allow")

"""The servers that everything else is tested with: do they do what they are trusted with?"""

from __future__ import annotations

import os
import signal
import socket
import ssl
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from replica_access.errors import DatabaseError, Error, UsageError
from replica_access.sandbox import process, rds_like, unprivileged
from replica_access.sandbox.binaries import Installation, find_installation, find_installations
from replica_access.sandbox.elsewhere import from_elsewhere
from replica_access.sandbox.hba import hba_lines
from replica_access.sandbox.sample import load_sample
from replica_access.sandbox.server import PostgresServer

if TYPE_CHECKING:
    from tests.postgres.conftest import Admin


@pytest.fixture
def newest() -> Installation:
    return find_installation()


def login(server: PostgresServer, admin: Admin, **params: str) -> psycopg.Connection[tuple[Any, ...]]:
    return psycopg.connect(server.dsn(user=admin.name, password=admin.password, **params))


# --- what is found


def test_every_installation_says_its_version_and_whether_it_has_tls(installation: Installation) -> None:
    assert installation.version.startswith(f"{installation.major}.")
    configured = subprocess.run(
        [installation.tool("pg_config"), "--configure"], capture_output=True, text=True, check=True
    ).stdout
    assert installation.tls is ("openssl" in configured)


def test_one_installation_a_major_oldest_first() -> None:
    majors = [installation.major for installation in find_installations()]
    assert majors == sorted(set(majors))
    assert majors[0] >= 15


def test_a_directory_without_postgresql_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--pg-bin names .* which has no initdb, postgres"):
        find_installation(tmp_path)


def test_the_environment_names_the_installation(monkeypatch: pytest.MonkeyPatch, installation: Installation) -> None:
    monkeypatch.setenv("REPLICA_ACCESS_PG_BIN", str(installation.bin_dir))
    assert find_installation() == installation


def test_a_missing_execute_bit_is_given(tmp_path: Path) -> None:
    for tool in ("initdb", "pg_basebackup", "psql"):
        (tmp_path / tool).write_text("#!/bin/sh\n")
    (tmp_path / "postgres").write_text('#!/bin/sh\ncase $1 in --version) echo "postgres (PostgreSQL) 16.3";; esac\n')
    installation = find_installation(tmp_path)
    assert (installation.version, installation.major, installation.tls) == ("16.3", 16, False)
    assert all(os.access(installation.tool(tool), os.X_OK) for tool in ("initdb", "pg_basebackup", "psql"))


# --- a primary, as RDS has it


def test_the_master_user_is_no_superuser_and_may_create(primary: PostgresServer) -> None:
    attributes = primary.psql(
        "SELECT rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolcanlogin FROM pg_roles"
        " WHERE rolname = 'master'"
    )
    assert attributes == "f|t|t|f|t"
    assert primary.psql("SELECT pg_has_role('master', 'rds_superuser', 'MEMBER')") == "t"
    assert primary.psql("SELECT pg_has_role('master', 'rds_superuser', 'MEMBER WITH ADMIN OPTION')") == "t"
    # a member of rds_iam cannot log in by password on RDS, so the right to grant it must not make one of the master
    assert primary.psql("SELECT pg_has_role('master', 'rds_iam', 'USAGE')") == "f"


def test_the_master_user_may_grant_what_rds_lets_it_grant(
    primary: PostgresServer, make_role: Callable[..., str]
) -> None:
    reader = make_role("reader", "LOGIN", by="master")
    primary.psql(
        'SET SESSION AUTHORIZATION master; GRANT rds_iam, rds_superuser TO :"reader"', variables={"reader": reader}
    )
    assert primary.psql(f"SELECT pg_has_role('{reader}', 'rds_iam', 'MEMBER')") == "t"


def test_passwords_are_stored_as_scram_verifiers(primary: PostgresServer, make_role: Callable[..., str]) -> None:
    make_role("by_server", "LOGIN PASSWORD 'x'")
    make_role("by_us", f"LOGIN PASSWORD '{rds_like.scram_verifier('x')}'")
    # The tests themselves log in by cheap ones.
    others = primary.psql("SELECT rolname FROM pg_authid WHERE rolpassword NOT LIKE 'SCRAM-SHA-256$4096:%' ORDER BY 1")
    assert others.split() == ["chief", "master", primary.superuser]
    assert primary.psql("SELECT count(*) FROM pg_authid WHERE rolpassword NOT LIKE 'SCRAM-SHA-256$%'") == "0"


def test_nobody_but_the_superuser_gets_into_rdsadmin(primary: PostgresServer, admin: Admin) -> None:
    with pytest.raises(psycopg.OperationalError, match=r'pg_hba.conf rejects connection .* database "rdsadmin"'):
        login(primary, admin, dbname="rdsadmin")
    assert primary.psql("SELECT current_database()", dbname="rdsadmin") == "rdsadmin"


def test_a_wrong_password_is_refused(primary: PostgresServer, admin: Admin) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        login(primary, replace(admin, password="wrong"))


def test_tls_is_verified_in_full_and_plain_tcp_refused(primary: PostgresServer, admin: Admin) -> None:
    if not primary.tls:
        with login(primary, admin) as connection:
            assert connection.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone() == (False,)
        return
    with login(primary, admin) as connection:
        assert connection.pgconn.ssl_in_use
    with pytest.raises(psycopg.OperationalError, match=r"no pg_hba.conf entry for host .* no encryption"):
        login(primary, admin, sslmode="disable")


def test_the_certificate_passes_pythons_own_verification(primary: PostgresServer) -> None:
    if primary.bundle is None:
        with pytest.raises(psycopg.OperationalError, match="does not support SSL"):
            psycopg.connect(primary.dsn(sslmode="require"))
        return
    context = ssl.create_default_context(cafile=primary.bundle)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    for name in ("localhost", "127.0.0.1"):
        with socket.create_connection(("127.0.0.1", primary.port)) as plain:
            plain.sendall(bytes.fromhex("0000000804d2162f"))  # SSLRequest
            assert plain.recv(1) == b"S"
            with context.wrap_socket(plain, server_hostname=name) as secured:
                assert secured.version() == "TLSv1.3"


def test_an_address_that_is_not_allowed_is_refused(primary: PostgresServer, admin: Admin) -> None:
    with (
        from_elsewhere(primary.port, source="127.0.0.2") as port,
        pytest.raises(psycopg.OperationalError, match=r'no pg_hba.conf entry for host "127.0.0.2"'),
    ):
        login(primary, admin, port=str(port))
    with from_elsewhere(primary.port, source="127.0.0.1") as port, login(primary, admin, port=str(port)) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_rules_take_effect_with_the_next_connection(primary: PostgresServer, admin: Admin) -> None:
    home, elsewhere = ip_network("127.0.0.1/32"), ip_network("127.0.0.2/32")
    with from_elsewhere(primary.port, source="127.0.0.2") as port:
        try:
            primary.write_hba(hba_lines(allowed=[elsewhere], tls=primary.tls))
            login(primary, admin, port=str(port)).close()
            with pytest.raises(psycopg.OperationalError, match=r'no pg_hba.conf entry for host "127.0.0.1"'):
                login(primary, admin)
        finally:
            primary.write_hba(hba_lines(allowed=[home], tls=primary.tls))
        with pytest.raises(psycopg.OperationalError, match=r'no pg_hba.conf entry for host "127.0.0.2"'):
            login(primary, admin, port=str(port))


def test_a_line_that_the_server_cannot_read_is_refused(primary: PostgresServer, admin: Admin) -> None:
    with pytest.raises(Error, match='invalid connection type "bogus"'):
        primary.write_hba(["bogus all all"])
    login(primary, admin).close()


def test_settings_are_applied_replaced_and_refused(primary: PostgresServer) -> None:
    assert primary.apply_settings({"work_mem": "5MB", "max_connections": "90"}) == ("max_connections",)
    assert primary.psql("SHOW work_mem") == "5MB"
    with pytest.raises(Error, match="nosuch"):
        primary.apply_settings({"work_mem": "6MB", "nosuch": "1"})
    with pytest.raises(Error, match="work_mem"):
        primary.apply_settings({"work_mem": "many"})
    assert primary.psql("SHOW work_mem") == "5MB"
    assert primary.apply_settings({}) == ()
    assert primary.psql("SHOW work_mem") == "4MB"


def test_a_failed_statement_raises_without_the_line_that_may_hold_a_secret(primary: PostgresServer) -> None:
    with pytest.raises(DatabaseError, match='unrecognized role option "nonsense"') as caught:
        primary.psql("CREATE ROLE x PASSWORD 'hunter2' NONSENSE")
    assert "hunter2" not in str(caught.value)


# --- a replica


def test_the_replica_streams(
    primary: PostgresServer,
    replica: PostgresServer,
    admin: Admin,
    make_database: Callable[..., str],
    catch_up: Callable[[], None],
) -> None:
    database = make_database(owner=admin.name)
    primary.psql("CREATE TABLE t AS SELECT 42 AS answer; GRANT SELECT ON t TO PUBLIC", dbname=database)
    catch_up()
    with login(replica, admin, dbname=database) as connection:
        assert connection.execute("SELECT answer, pg_is_in_recovery() FROM t").fetchone() == (42, True)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("CREATE TEMP TABLE x ()")
    assert primary.psql("SELECT state FROM pg_stat_replication") == "streaming"
    identifier = "SELECT system_identifier FROM pg_control_system()"
    assert primary.psql(identifier) == replica.psql(identifier)


def test_a_replica_comes_back_after_both_were_stopped(
    primary: PostgresServer, replica: PostgresServer, make_role: Callable[..., str], catch_up: Callable[[], None]
) -> None:
    ports = (primary.port, replica.port)
    replica.stop()
    primary.restart()
    role = make_role("meanwhile")
    replica.start()
    catch_up()
    assert role in replica.psql("SELECT rolname FROM pg_roles").splitlines()
    assert (primary.port, replica.port) == ports


def test_a_promoted_replica_accepts_writes(tmp_path: Path, primary: PostgresServer) -> None:
    promoted = PostgresServer.create_replica(primary, tmp_path / "promoted", tied=True)
    try:
        assert promoted.is_replica()
        promoted.promote()
        promoted.psql("CREATE TABLE public.written ()")
        assert not promoted.is_replica()
    finally:
        promoted.remove()


# --- the sample


def test_the_sample_is_there_within_two_seconds(primary: PostgresServer, record_property: Callable[..., None]) -> None:
    started = time.perf_counter()
    load_sample(primary, "master")
    seconds = time.perf_counter() - started
    print(f"PostgreSQL {primary.installation.version}: sample in {seconds:.2f} s")
    record_property("seconds", seconds)
    try:
        assert seconds < 10  # two on two idle cores
        kinds = primary.psql(
            "SELECT DISTINCT relkind FROM pg_class WHERE relnamespace = ANY (ARRAY['public', 'leasing', 'accounting']"
            "::regnamespace[]) ORDER BY 1",
            dbname="app",
        )
        assert set(kinds.split()) >= {"r", "p", "v", "m", "S"}
        owners = primary.psql(
            "SELECT relnamespace::regnamespace FROM pg_class WHERE relkind = 'r' GROUP BY 1"
            " HAVING array_agg(DISTINCT relowner::regrole::text) = '{app_owner,migrator}' ORDER BY 1",
            dbname="app",
        )
        assert {"public", "leasing", "accounting"} <= set(owners.split())
        assert primary.psql("SELECT has_database_privilege('rds_iam', 'app', 'CONNECT')") == "f"
        assert primary.psql("SELECT pg_has_role('master', 'app_owner', 'USAGE')") == "f"
        if primary.installation.major >= 16:
            assert primary.psql("SELECT pg_has_role('master', 'app_owner', 'MEMBER WITH ADMIN OPTION')") == "t"
    finally:
        primary.psql("DROP DATABASE app")
        primary.psql("DROP DATABASE reporting")
        primary.psql("DROP ROLE app_owner, migrator, app_backend")


# --- processes and files


def test_nothing_is_left_of_a_server_that_was_removed(tmp_path: Path, newest: Installation) -> None:
    server = PostgresServer.create(newest, tmp_path / "server", superuser_password="x", tied=True)
    pid = process.running(server.data)
    assert pid is not None
    assert server.is_running()
    server.remove()
    assert not process.is_alive(pid)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_creation_leaves_nothing(tmp_path: Path, newest: Installation) -> None:
    with pytest.raises(Error, match=r"did not start: .*work_mem"):
        PostgresServer.create(newest, tmp_path / "server", superuser_password="x", settings={"work_mem": "many"})
    assert list(tmp_path.iterdir()) == []


def test_a_taken_port_is_an_error_if_it_was_asked_for(tmp_path: Path, newest: Installation) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(Error, match="could not bind"):
        PostgresServer.create(
            newest, tmp_path / "server", superuser_password="x", port=taken.getsockname()[1], tied=True
        )
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_meanwhile_is_replaced(
    tmp_path: Path, newest: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = process.free_port()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = iter([taken.getsockname()[1], free])
        monkeypatch.setattr(process, "free_port", lambda: next(ports))
        server = PostgresServer.create(newest, tmp_path / "server", superuser_password="x", tied=True)
    try:
        assert server.port == free
        assert PostgresServer.open(server.directory).psql("SHOW port") == str(free)
    finally:
        server.remove()


def test_a_directory_that_exists_is_left_alone(tmp_path: Path, newest: Installation) -> None:
    (tmp_path / "precious").write_text("")
    with pytest.raises(Error, match="exists already"):
        PostgresServer.create(newest, tmp_path, superuser_password="x")
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_a_directory_without_a_server_is_none(tmp_path: Path) -> None:
    with pytest.raises(Error, match="There is no PostgreSQL server of the sandbox"):
        PostgresServer.open(tmp_path)


def test_files_with_secrets_are_ours_alone_and_passwords_not_in_the_repr(primary: PostgresServer) -> None:
    assert primary.superuser_password not in repr(primary)
    assert stat.S_IMODE(primary.directory.stat().st_mode) == 0o700
    for file in primary.directory.rglob("*"):
        if file.is_file() and (file.suffix == ".key" or file.name in {"server.json", "postgresql.conf"}):
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


def test_another_process_stops_a_server_whose_starter_was_killed(tmp_path: Path, newest: Installation) -> None:
    directory = tmp_path / "server"
    starter(directory, newest, tied=False)
    server = PostgresServer.open(directory)
    assert server.is_running()
    assert server.psql("SELECT 1") == "1"
    server.remove()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a process to its parent")
def test_a_tied_server_ends_when_its_starter_is_killed(tmp_path: Path, newest: Installation) -> None:
    directory = tmp_path / "server"
    pid = starter(directory, newest, tied=True)
    assert any(not process.is_alive(pid) for _ in process.polls(30))
    assert not PostgresServer.open(directory).is_running()


def starter(directory: Path, installation: Installation, *, tied: bool) -> int:
    """Start a server from a process that is then killed; give back the server's process id."""
    program = textwrap.dedent(
        f"""
        import sys
        from pathlib import Path
        from replica_access.sandbox.binaries import find_installation
        from replica_access.sandbox.process import running
        from replica_access.sandbox.server import PostgresServer
        server = PostgresServer.create(
            find_installation(Path(sys.argv[1])), Path(sys.argv[2]), superuser_password="x", tied={tied}
        )
        print(running(server.data), flush=True)
        sys.stdin.read()
        """
    )
    command = [sys.executable, "-c", program, str(installation.bin_dir), str(directory)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        pid = int(started.stdout.readline())
        assert process.is_alive(pid)
        started.send_signal(signal.SIGKILL)
    return pid


def test_a_number_that_belongs_to_somebody_else_is_not_our_server(tmp_path: Path) -> None:
    (tmp_path / "postmaster.pid").write_text(f"{os.getpid()}\n{tmp_path}\n")
    assert process.running(tmp_path) is None
    process.stop(tmp_path, "immediate")  # and we are not killed


def test_a_password_survives_whatever_it_is_made_of(tmp_path: Path, newest: Installation) -> None:
    odd = r"""a 'b' "c" \d %s :e @f/g"""
    server = PostgresServer.create(newest, tmp_path / "server", superuser_password=odd, tied=True)
    try:
        rds_like.make_rds_like(server, master="Ma\"s'ter", password=odd)
        with psycopg.connect(server.dsn(user="Ma\"s'ter", password=odd)) as connection:
            assert connection.execute("SELECT current_user").fetchone() == ("Ma\"s'ter",)
    finally:
        server.remove()


# --- root


@pytest.mark.skipif(os.geteuid() != 0, reason="for root only")
def test_root_without_namespaces_becomes_an_account(tmp_path: Path, newest: Installation) -> None:
    """A container forbids namespaces by a filter on system calls; so does this one, for the process that it starts."""
    program = textwrap.dedent(
        """
        import ctypes, platform, struct, sys
        from pathlib import Path
        UNSHARE = {"x86_64": 272, "aarch64": 97}[platform.machine()]
        def step(code, yes, no, value):
            return struct.pack("HBBI", code, yes, no, value)
        filter = b"".join((
            step(0x20, 0, 0, 0),           # load the number of the system call
            step(0x15, 0, 1, UNSHARE),     # is it unshare?
            step(0x06, 0, 0, 0x00050001),  # then EPERM
            step(0x06, 0, 0, 0x7FFF0000),  # else go on
        ))
        buffer = ctypes.create_string_buffer(filter)
        program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 4, ctypes.addressof(buffer)))
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.prctl(38, 1, 0, 0, 0) == 0  # no new privileges
        assert libc.prctl(22, 2, program, 0, 0) == 0  # seccomp, mode filter

        from replica_access.sandbox import certificates, unprivileged
        from replica_access.sandbox.binaries import find_installation
        from replica_access.sandbox.server import PostgresServer
        installation, directory = find_installation(Path(sys.argv[1])), Path(sys.argv[2])
        certificate = None
        if installation.tls:
            certificate = certificates.issue(certificates.create_authority(directory / "ca"), directory / "certificate")
        primary = PostgresServer.create(
            installation, directory / "p", superuser_password="x", certificate=certificate, tied=True
        )
        replica = PostgresServer.create_replica(primary, directory / "r", certificate=certificate, tied=True)
        print(unprivileged.identity().way, primary.data.stat().st_uid == unprivileged.identity().uid)
        print(replica.psql("SELECT pg_is_in_recovery()"), replica.apply_settings({"work_mem": "5MB"}))
        replica.restart()
        print(replica.psql("SHOW work_mem"))
        replica.remove()
        primary.remove()
        """
    )
    directory = tmp_path / "closed"
    directory.mkdir(mode=0o700)
    ran = subprocess.run(
        [sys.executable, "-c", program, str(newest.bin_dir), str(directory)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.stdout, ran.stderr) == ("account True\nt ()\n5MB\n", "")
    assert {path.name for path in directory.iterdir()} <= {"ca", "certificate"}


def test_the_programs_do_not_run_as_root() -> None:
    ran = subprocess.run(unprivileged.command(["/usr/bin/env", "id", "-u"]), capture_output=True, text=True, check=True)
    assert int(ran.stdout) == unprivileged.identity().uid != 0

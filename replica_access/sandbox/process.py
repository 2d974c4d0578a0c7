"""The process behind a data directory, and what it needs to start: a directory and a port."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from replica_access.errors import Error
from replica_access.sandbox.unprivileged import hand_over

__all__ = ["StopMode", "free_port", "is_alive", "is_free", "new_home", "polls", "running", "start", "stop"]

StopMode = Literal["smart", "fast", "immediate"]
SIGNALS: Mapping[StopMode, signal.Signals] = {
    "smart": signal.SIGTERM,
    "fast": signal.SIGINT,
    "immediate": signal.SIGQUIT,
}
START_SECONDS = 60.0
STOP_SECONDS = 60.0
# Below the ports that systems hand out for outgoing connections, so that a server finds its own again when it restarts.
PORTS = range(15000, 32000)


@contextmanager
def new_home(directory: Path) -> Iterator[None]:
    """Make a server's directory, closed to others; if the block fails, end what runs in it and delete it.

    :raises Error: it exists.
    """
    try:
        directory.mkdir(mode=0o700, parents=True)
    except FileExistsError as error:
        raise Error(f"{directory} exists already.", "Name a directory that does not.") from error
    try:
        hand_over(directory)
        yield
    except BaseException:
        stop(directory / "data", "immediate")
        shutil.rmtree(directory)
        raise


def running(data: Path) -> int | None:
    """The process id of the server of a data directory; None if none runs."""
    lines = pid_file(data)
    if not lines:
        return None
    pid = int(lines[0])
    return pid if is_alive(pid) and is_server_of(pid, data) else None


def status(data: Path, pid: int) -> str:
    """What the server with this process id says of itself: starting, ready, standby, stopping; empty if nothing yet."""
    lines = pid_file(data)
    return lines[7].strip() if len(lines) > 7 and lines[0] == str(pid) else ""


def start(command: Sequence[str], data: Path, *, log: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start the server of a data directory and wait until it lets somebody in.

    :raises Error: it ended instead, or took longer than a minute; with the end of its log.
    """
    with log.open("ab") as output:
        logged = output.tell()
        server = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            start_new_session=True,  # Ctrl-C in our terminal is ours to handle
        )
    for _ in polls(START_SECONDS):
        if status(data, server.pid) == "ready":
            return server
        if server.poll() is not None:
            break
    else:
        stop(data, "immediate")
    with log.open(encoding="utf-8", errors="replace") as file:
        file.seek(logged)
        last_words = " ".join(file.read().splitlines()[-10:])
    raise Error(f"The PostgreSQL server in {data} did not start: {last_words}", f"See {log}.")


def stop(data: Path, mode: StopMode) -> None:
    """Stop the server of a data directory and wait until it is gone; no harm if none runs.

    :raises Error: it still runs after a minute.
    """
    pid = running(data)
    if pid is None:
        return
    with suppress(ProcessLookupError):
        os.kill(pid, SIGNALS[mode])
    for _ in polls(STOP_SECONDS):
        if not is_alive(pid):
            return
    raise Error(
        f"The PostgreSQL server in {data} (process {pid}) still runs a minute after it was told to stop.",
        "Stop it in mode 'immediate'.",
    )


def is_alive(pid: int) -> bool:
    """Whether it runs; a zombie does not, and is buried if it is our child."""
    with suppress(ChildProcessError):
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return not Path("/proc/self").exists()


def is_server_of(pid: int, data: Path) -> bool:
    """Whether a process was started for this data directory; after a crash its number may be somebody else's by now."""
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except FileNotFoundError:
        return not Path("/proc/self").exists()  # a system without /proc leaves us the number alone
    return os.fsencode(data) in arguments


def polls(seconds: float) -> Iterator[float]:
    """Come back ever less often (5 ms to 100 ms) until the time is up."""
    deadline = time.monotonic() + seconds
    pause = 0.005
    while (left := deadline - time.monotonic()) > 0:
        yield left
        time.sleep(pause)
        pause = min(pause * 1.3, 0.1)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now.

    :raises Error: a hundred attempts found none.
    """
    for _ in range(100):
        port = secrets.choice(PORTS)
        if is_free(port):
            return port
    raise Error("No free port was found on 127.0.0.1.", f"Free some between {PORTS.start} and {PORTS.stop}.")


def is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as PostgreSQL does
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def pid_file(data: Path) -> list[str]:
    try:
        return (data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []

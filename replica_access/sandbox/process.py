"""The process behind a data directory, and ports for it to listen on."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal

from replica_access.errors import Error

__all__ = ["StopMode", "free_port", "is_alive", "is_free", "polls", "running", "status", "stop"]

StopMode = Literal["smart", "fast", "immediate"]
SIGNALS: Mapping[StopMode, signal.Signals] = {
    "smart": signal.SIGTERM,
    "fast": signal.SIGINT,
    "immediate": signal.SIGQUIT,
}
STOP_SECONDS = 60.0
# Below the ports that systems hand out for outgoing connections, so that a server finds its own again when it restarts.
PORTS = range(15000, 32000)


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

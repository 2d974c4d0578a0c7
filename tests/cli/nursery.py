"""Processes of the program that start in an instant: forked from one that has imported everything already.

Importing is most of what a short command does, and hundreds of them are run here. What is forked is a process like any
other, with streams, directory, environment, signals and an end of its own. That the program starts as it is installed
is tested apart (`test_startup`, `test_wheel`).
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import IO

PRELOADED = (
    "replica_access.audit.history_store",
    "replica_access.auditing",
    "replica_access.cli.access",
    "replica_access.cli.app",
    "replica_access.cli.audit",
    "replica_access.cli.audit_report",
    "replica_access.cli.news",
    "replica_access.cli.render",
    "replica_access.cli.why",
    "replica_access.explaining",
    "replica_access.reporting",
    "replica_access.workflow",
    "replica_access.starter",
    "replica_access.spec_edit",
    "replica_access.spec_problems",
    "replica_access.aws.hosting",
    "replica_access.postgres.apply",
    "replica_access.postgres.inventory",
    "replica_access.postgres.planning",
    "replica_access.postgres.prove",
    "replica_access.sandbox.lifecycle",
    "rich.console",
    "rich.markup",
)

CHUNK = 65536


@dataclass(slots=True)
class Child:
    """A process that runs; ``returncode`` is minus the signal that ended it, if one did."""

    pid: int
    _end: IO[bytes]
    returncode: int | None = None

    def wait(self) -> int:
        if self.returncode is None:
            self.returncode = int(self._end.read())
            self._end.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it, if it still runs."""
        if self.returncode is None:
            with suppress(ProcessLookupError):  # it may have ended without having been waited for
                os.kill(self.pid, signal.SIGKILL)
            self.wait()


@dataclass(frozen=True, slots=True)
class Nursery:
    _requests: socket.socket

    def start(
        self,
        arguments: Sequence[str],
        *,
        directory: Path,
        environment: Mapping[str, str],
        streams: tuple[int, int, int],
    ) -> Child:
        """Start the program; the streams are file descriptors, which stay the caller's."""
        request = json.dumps({"arguments": arguments, "directory": str(directory), "environment": dict(environment)})
        read, written = os.pipe()
        try:
            socket.send_fds(self._requests, [request.encode(), b"\n"], [*streams, written])
        finally:
            os.close(written)
        end = os.fdopen(read, "rb")
        return Child(int(end.readline()), end)


@contextmanager
def opened() -> Iterator[Nursery]:
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-P", __file__, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
    with process, ours:
        yield Nursery(ours)
        ours.close()


# --- in the nursery --------------------------------------------------------------------------------------------------


def serve(asked: socket.socket) -> None:
    for name in PRELOADED:
        import_module(name)
    gc.freeze()  # children would copy every page that their collector looks at
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # keepers need no burial
    while True:
        message, descriptors, _, _ = socket.recv_fds(asked, CHUNK, 4)
        if not message:
            return
        while not message.endswith(b"\n"):
            message += asked.recv(CHUNK)
        if os.fork() == 0:
            asked.close()
            keep(json.loads(message), *descriptors)
            return
        for descriptor in descriptors:
            os.close(descriptor)


def keep(request: Mapping[str, object], stdin: int, stdout: int, stderr: int, end: int) -> None:
    """Fork once more, to be told how it ends: by whatever way, even a signal that cannot be caught."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if (child := os.fork()) == 0:
        os.close(end)
        run(request, stdin, stdout, stderr)
        return
    for descriptor in (stdin, stdout, stderr):
        os.close(descriptor)
    os.write(end, f"{child}\n".encode())
    _, status = os.waitpid(child, 0)
    os.write(end, str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def run(request: Mapping[str, object], *streams: int) -> None:
    from replica_access.cli.app import main

    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(str(request["directory"]))
    os.environ.clear()
    os.environ.update(request["environment"])  # type: ignore[call-overload]
    main(request["arguments"])  # type: ignore[arg-type]


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as theirs:
        serve(theirs)

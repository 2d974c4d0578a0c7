"""Start, look at and stop the sandbox of a directory. The sandbox itself runs in ``endpoint``."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from replica_access.errors import Error, UsageError
from replica_access.sandbox import directory as sandbox
from replica_access.sandbox.control import STATUS_PATH, ask
from replica_access.sandbox.process import is_alive, polls

__all__ = ["SandboxInstance", "SandboxStatus", "environment", "start", "status", "stop"]

START_SECONDS = 60.0
STOP_SECONDS = 30.0
NEEDED = ("moto", "flask", "flask_cors", "cryptography")


@dataclass(frozen=True, slots=True)
class SandboxInstance:
    """A DB instance that has a server. ``role`` is primary or replica; ``databases`` those that clients can use."""

    instance: str
    role: str
    status: str
    host: str
    port: int
    version: str
    admin: str
    admin_password: str = field(repr=False)
    databases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SandboxStatus:
    """A sandbox that runs.

    :ivar ca_bundle: the certificates that its servers are verified with (libpq's sslrootcert).
    :ivar superuser: the bootstrap superuser of its servers, who logs in from this machine, with or without TLS.
    :ivar document: the JSON document ``sandbox status``, which holds the passwords.
    """

    directory: Path
    endpoint_url: str
    region: str
    account: str
    ca_bundle: Path
    superuser: str
    superuser_password: str = field(repr=False)
    instances: tuple[SandboxInstance, ...]
    document: Mapping[str, Any] = field(repr=False)


def start(
    directory: Path,
    *,
    databases: Sequence[str] = ("app", "reporting"),
    empty: bool = False,
    pg_bin: Path | None = None,
) -> SandboxStatus:
    """Start a sandbox in a directory and wait until it serves; if it runs there already, that is its status.

    :param databases: what the primary has beside ``postgres``; ``app`` and ``reporting`` come with a sample in them.
    :param empty: no databases of ours at all.
    :param pg_bin: the directory of PostgreSQL's programs, instead of those that are found.
    :raises UsageError: the directory holds something else; the extra ``sandbox`` is not installed.
    :raises Error: it did not come up, and why. Nothing is left of it then.
    """
    refuse_missing_extra()
    directory = directory.absolute()
    if sandbox.is_sandbox(directory):
        if sandbox.holder(directory) is not None:
            return status(directory)
        if (starter := sandbox.being_started_by(directory)) is not None:
            raise Error(
                f"Process {starter} is starting a sandbox in {directory}.", "Wait for it, or name another --dir."
            )
        sandbox.clear(directory)  # what a crash left behind
    sandbox.prepare(directory)
    arguments = ["--dir", str(directory), "--databases", ",".join(databases)]
    arguments += ["--empty"] if empty else []
    arguments += ["--pg-bin", str(pg_bin)] if pg_bin is not None else []
    try:
        launch(directory, arguments)
        return status(directory)
    except BaseException:
        stop(directory)
        raise


def refuse_missing_extra() -> None:
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"The sandbox needs packages that are not installed: {', '.join(missing)}.",
            "Install them with: pip install 'replica-access[sandbox]'",
        )


def launch(directory: Path, arguments: Sequence[str]) -> None:
    """Start the process and wait for its report."""
    ours, theirs = os.pipe()
    with os.fdopen(ours, "rb", buffering=0) as pipe:
        try:
            with sandbox.log_file(directory).open("ab") as log:
                subprocess.run(  # returns at once: the process goes on by itself
                    [sys.executable, "-m", "replica_access.sandbox.endpoint", *arguments, "--report", str(theirs)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=[theirs],
                    cwd="/",
                    env=neutral_environment(),
                    check=True,
                )
        except subprocess.CalledProcessError as error:
            raise Error(f"The sandbox did not start: {last_words(directory)}", "Report this, please.") from error
        finally:
            os.close(theirs)
        message = receive(pipe.fileno())
    if message is None:
        raise Error(
            f"The sandbox did not start: {last_words(directory)}", "See what it says; PostgreSQL's own log is above it."
        )
    if "error" in message:
        kind = UsageError if message["error"]["exit_status"] == UsageError.exit_status else Error
        raise kind(message["error"]["what"], message["error"]["fix"])


def neutral_environment() -> dict[str, str]:
    """Ours without what would lead boto3, moto or libpq elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MOTO_", "PG"))}


def receive(pipe: int) -> dict[str, Any] | None:
    """What the process reports; None if it ended, or said nothing in time."""
    deadline = time.monotonic() + START_SECONDS
    received = b""
    while (left := deadline - time.monotonic()) > 0 and select.select([pipe], [], [], left)[0]:
        chunk = os.read(pipe, 65536)
        if not chunk:
            return dict(json.loads(received)) if received else None
        received += chunk
    return None


def last_words(directory: Path) -> str:
    with suppress(OSError):
        lines = sandbox.log_file(directory).read_text(encoding="utf-8", errors="replace").splitlines()
        if lines:
            return " / ".join(lines[-3:])
    return "it ended without a word."


def status(directory: Path) -> SandboxStatus:
    """What the sandbox of a directory has now, by its own answer.

    :raises UsageError: there is none, or it does not run.
    :raises Error: it does not answer.
    """
    directory = directory.absolute()
    return read_status(directory, ask(directory, STATUS_PATH))


def read_status(directory: Path, document: dict[str, Any]) -> SandboxStatus:
    return SandboxStatus(
        directory=directory,
        endpoint_url=document["endpoint_url"],
        region=document["region"],
        account=document["account"],
        ca_bundle=Path(document["ca_bundle"]),
        superuser=document["superuser"]["user"],
        superuser_password=document["superuser"]["password"],
        instances=tuple(
            SandboxInstance(
                instance=entry["instance"],
                role=entry["role"],
                status=entry["status"],
                host=entry["host"],
                port=entry["port"],
                version=entry["version"],
                admin=entry["admin"]["user"],
                admin_password=entry["admin"]["password"],
                databases=tuple(entry["databases"]),
            )
            for entry in document["instances"]
        ),
        document=document,
    )


def environment(directory: Path) -> dict[str, str]:
    """The variables that send AWS clients to the sandbox, and libpq to its certificates. The credentials are made up.

    :raises UsageError: no sandbox runs there.
    """
    running = status(directory)
    variables = {
        "AWS_ENDPOINT_URL": running.endpoint_url,
        "AWS_REGION": running.region,
        "AWS_DEFAULT_REGION": running.region,
        "AWS_ACCESS_KEY_ID": "sandbox",
        "AWS_SECRET_ACCESS_KEY": "sandbox",
    }
    if running.document["tls"]:
        variables["PGSSLROOTCERT"] = str(running.ca_bundle)
    if os.environ.get("HTTP_PROXY") or os.environ.get("http_proxy"):
        others = os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or ""
        variables["NO_PROXY"] = ",".join(filter(None, [others, "127.0.0.1", "localhost"]))
    return variables


def stop(directory: Path) -> bool:
    """End every process of the sandbox and delete everything it made, also what a killed one left behind.

    :return: whether there was anything to stop.
    :raises Error: a process does not end.
    """
    directory = directory.absolute()
    if not sandbox.is_sandbox(directory):
        return False
    endpoint = sandbox.holder(directory)
    if endpoint is not None:
        end(endpoint, directory)
    if sandbox.is_sandbox(directory):
        sandbox.clear(directory)
    return True


def end(endpoint: int, directory: Path) -> None:
    """Ask the endpoint to stop, and wait until its process is gone; insist if it takes too long."""
    for number, seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, STOP_SECONDS)):
        with suppress(ProcessLookupError):
            os.kill(endpoint, number)
        if any(not is_alive(endpoint) for _ in polls(seconds)):
            return
    raise Error(f"The sandbox in {directory} (process {endpoint}) does not end.", "End it yourself, then stop again.")

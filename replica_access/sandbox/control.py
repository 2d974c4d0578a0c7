"""Direct a running sandbox: make it fail as AWS fails, and see which AWS calls were made. For tests.

::

    with control.faults(directory, Faults(deny=("ec2:DescribeNetworkAcls",), hold={"replica": "creating"})):
        ...
    control.calls(directory)
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from replica_access.errors import Error, UsageError
from replica_access.sandbox import directory as sandbox
from replica_access.sandbox.faults import Faults
from replica_access.sandbox.record import RecordedCall

__all__ = ["BUSY_PATH", "CALLS_PATH", "FAULTS_PATH", "STATUS_PATH", "ask", "busy", "calls", "faults", "forget_calls"]

STATUS_PATH, FAULTS_PATH, CALLS_PATH = "/sandbox/status", "/sandbox/faults", "/sandbox/calls"
BUSY_PATH = "/sandbox/busy"
ANSWER_SECONDS = 10.0


@contextmanager
def faults(directory: Path, wanted: Faults) -> Iterator[None]:
    """Put these faults in force for the length of the block; then those that were before are in force anew.

    :raises UsageError: no sandbox runs there.
    :raises Error: the sandbox cannot do that.
    """
    before = ask(directory, FAULTS_PATH)
    ask(directory, FAULTS_PATH, "PUT", asdict(wanted))
    try:
        yield
    finally:
        ask(directory, FAULTS_PATH, "PUT", before)


def calls(directory: Path) -> tuple[RecordedCall, ...]:
    """The AWS calls made so far, in order; of very many, the last ones.

    :raises UsageError: no sandbox runs there.
    """
    return tuple(RecordedCall.read(document) for document in ask(directory, CALLS_PATH))


def busy(directory: Path) -> frozenset[str]:
    """The instances, by name, that have something to do yet; AWS may describe them as available all the same.

    :raises UsageError: no sandbox runs there.
    """
    return frozenset(ask(directory, BUSY_PATH))


def forget_calls(directory: Path) -> None:
    """Record from here on only.

    :raises UsageError: no sandbox runs there.
    """
    ask(directory, CALLS_PATH, "DELETE")


def ask(directory: Path, path: str, method: str = "GET", document: Any = None) -> Any:
    """Ask the endpoint of a directory for something that is not AWS's.

    :raises UsageError: there is no sandbox, or it does not run.
    :raises Error: it does not answer, or refuses.
    """
    directory = directory.absolute()
    state = sandbox.read_state(directory)
    if sandbox.holder(directory) is None or "endpoint_url" not in state:
        raise UsageError(
            f"No sandbox runs in {directory}.", f"Start one with: replica-access sandbox start --dir {directory}"
        )
    body = None if document is None else json.dumps(document)
    connection = HTTPConnection(urlsplit(state["endpoint_url"]).netloc, timeout=ANSWER_SECONDS)
    try:
        connection.request(method, path, body, headers={"Authorization": f"Bearer {state['token']}"})
        answer = connection.getresponse()
        received = answer.read().decode()
    except OSError as error:
        raise Error(
            f"The sandbox in {directory} runs but does not answer: {error}.",
            f"Stop it with: replica-access sandbox stop --dir {directory}",
        ) from error
    finally:
        connection.close()
    if answer.status == 400:
        raise Error(f"The sandbox in {directory} cannot do that: {received}.", "Correct it.")
    if answer.status >= 300:
        raise Error(f"The sandbox in {directory} answered {answer.status}.", f"See {sandbox.log_file(directory)}.")
    return json.loads(received) if received else None

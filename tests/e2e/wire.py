"""Between the program and the AWS endpoint: notes every call by its name, and can hold one up for ever."""

from __future__ import annotations

import http.client
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

Moment = tuple[Literal["before", "after"], str]
"""Before AWS hears of a call, or after it has acted and before its answer arrives."""


@dataclass
class Wire:
    """:ivar url: what to give a client as its endpoint.

    :ivar calls: the operations that passed, in order.
    :ivar hold: where the next call of that name is held up.
    :ivar held: set when it is.
    """

    url: str = ""
    calls: list[str] = field(default_factory=list)
    hold: Moment | None = None
    held: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def writes(self) -> list[str]:
        """The calls that may have changed something."""
        return [call for call in self.calls if not call.startswith(("Describe", "Get", "List", "DryRun:"))]

    def arm(self, moment: Moment) -> None:
        self.released.set()
        self.held, self.released, self.hold = threading.Event(), threading.Event(), moment

    def release(self) -> None:
        """Let what is held up go on."""
        self.released.set()

    def wait_where_armed(self, moment: Moment) -> None:
        if moment == self.hold:
            self.hold = None
            released = self.released
            self.held.set()
            released.wait()


@contextmanager
def wire_to(endpoint_url: str) -> Iterator[Wire]:
    """A wire to an AWS endpoint on this machine."""
    wire, target = Wire(), urlsplit(endpoint_url).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            operation = _operation(self.headers.get("X-Amz-Target"), body)
            wire.wait_where_armed(("before", operation))
            connection = http.client.HTTPConnection(target, timeout=60)
            try:
                connection.request("POST", self.path, body, dict(self.headers))
                answer = connection.getresponse()
                content = answer.read()
            finally:
                connection.close()
            wire.calls.append(operation)
            wire.wait_where_armed(("after", operation))
            with suppress(BrokenPipeError, ConnectionResetError):  # whoever asked may have been killed
                self.send_response(answer.status)
                for name in ("Content-Type", "x-amzn-RequestId"):
                    if value := answer.getheader(name):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    wire.url = f"http://127.0.0.1:{server.server_port}"
    serving = threading.Thread(target=server.serve_forever, args=(0.05,))
    serving.start()
    try:
        yield wire
    finally:
        wire.released.set()
        server.shutdown()
        serving.join()
        server.server_close()


def _operation(target: str | None, body: bytes) -> str:
    if target is not None:
        return target.rpartition(".")[2]
    found = re.search(rb"(?:^|&)Action=(\w+)", body)
    name = found[1].decode() if found else "?"
    return f"DryRun:{name}" if re.search(rb"(?:^|&)DryRun=true(?:&|$)", body) else name

"""A gate before a server: it takes IAM tokens, which PostgreSQL itself cannot be taught without PAM.

The gate has the server's address and certificate. It ends TLS, reads who wants to come in, and asks members of
``rds_iam`` for a token; whom it lets in, it vouches for to the server by a client certificate of that name. Everybody
else it leads to the server over TLS of its own, and the server asks for their password: since both have one
certificate, channel binding holds. The server sees the client's own address, so that pg_hba.conf judges it.

An instance gets its gate when IAM authentication is switched on, and keeps it. Where it differs from RDS: the server
restarts then, and an instance that never had a gate refuses members of ``rds_iam`` by pg_hba.conf, in its words instead
of PAM's, and lets its master user in by password though they are a member.

One thread serves all gates. A connection that comes to nothing is the client's to notice.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from replica_access.sandbox.certificates import Authority, ServerCertificate, issue_for_client

__all__ = ["Gate", "Gatekeeper"]

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
CHUNK = 65536
LONGEST_STARTUP = 10_000  # bytes, as PostgreSQL has it
SSL_REQUEST, GSS_REQUEST, CANCEL_REQUEST = 80877103, 80877104, 80877102
ASK_FOR_PASSWORD = struct.pack("!cii", b"R", 8, 3)
INVALID_AUTHORIZATION = "28000"

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True, slots=True)
class Gate:
    """What stands before one server.

    :ivar port: where clients come to.
    :ivar behind: the server's port.
    :ivar takes_tokens: whether this user logs in by token and nothing else.
    :ivar why_refused: why a token of this user does not let in, ``None`` where it does.
    """

    port: int
    behind: Callable[[], int]
    takes_tokens: Callable[[str], bool]
    why_refused: Callable[[str, str], str | None]


@dataclass(slots=True)
class Gatekeeper:
    """All gates of a sandbox.

    :ivar certificate: the servers'.
    :ivar authority: signs the certificates by which the gates vouch for users.
    :ivar directory: for those.
    """

    certificate: ServerCertificate
    authority: Authority
    directory: Path
    _loop: asyncio.AbstractEventLoop | None = field(default=None, init=False, repr=False)
    _servers: dict[int, asyncio.Server] = field(default_factory=dict, init=False, repr=False)

    def open(self, gate: Gate) -> None:
        """Let clients come to the gate.

        :raises OSError: its port is taken.
        """
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._loop.run_forever, name="gates", daemon=True).start()
        self._servers[gate.port] = asyncio.run_coroutine_threadsafe(self._listen(gate), self._loop).result()

    def close(self, port: int) -> None:
        """Let nobody come any more; no harm if there is no gate."""
        server = self._servers.pop(port, None)
        if server is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(server.close)

    async def _listen(self, gate: Gate) -> asyncio.Server:
        async def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await self._serve(gate, (reader, writer))
            except (OSError, EOFError, ssl.SSLError, asyncio.LimitOverrunError) as error:
                log.debug("gate %d: %s", gate.port, error)
            except Exception:
                log.exception("gate %d", gate.port)
            finally:
                writer.close()

        return await asyncio.start_server(welcome, LOOPBACK, gate.port)

    # -- one connection ------------------------------------------------------------------------------------------------

    async def _serve(self, gate: Gate, client: Streams) -> None:
        request = await self._read_request(client)
        _, writer = client
        secure = writer.get_extra_info("ssl_object") is not None
        user = user_of(request)
        # asking the server takes a moment, during which others shall be served
        if secure and user and await asyncio.to_thread(gate.takes_tokens, user):
            writer.write(ASK_FOR_PASSWORD)
            why = await asyncio.to_thread(gate.why_refused, user, await read_password(client))
            if why is not None:
                log.info("gate %d: the token of %s is refused: %s", gate.port, user, why)
                writer.write(refusal(f'PAM authentication failed for user "{user}"'))
                await writer.drain()
                return
            server = await self._connect(gate, client, vouching_for=user)
        else:
            server = await self._connect(gate, client)
        try:
            server[1].write(request)
            await carry(client, server)
        finally:
            server[1].close()

    async def _read_request(self, client: Streams) -> bytes:
        """What the client wants, once TLS is agreed on, if it is."""
        reader, writer = client
        while True:
            head = await reader.readexactly(8)
            length, code = struct.unpack("!ii", head)
            if code == SSL_REQUEST:
                writer.write(b"S")
                await writer.start_tls(self._as_server())
            elif code == GSS_REQUEST:
                writer.write(b"N")
            elif not 8 <= length <= LONGEST_STARTUP:
                raise EOFError("this is not PostgreSQL's protocol")
            else:
                return head + await reader.readexactly(length - 8)

    async def _connect(self, gate: Gate, client: Streams, *, vouching_for: str | None = None) -> Streams:
        """A connection to the server, over TLS where the client's is, from the client's address."""
        address = client[1].get_extra_info("peername")[0]
        reader, writer = await asyncio.open_connection(LOOPBACK, gate.behind(), local_addr=(address, 0))
        if client[1].get_extra_info("ssl_object") is not None:
            writer.write(struct.pack("!ii", 8, SSL_REQUEST))
            if await reader.readexactly(1) != b"S":
                raise EOFError("the server has no TLS")
            await writer.start_tls(self._as_client(vouching_for), server_hostname="localhost")
        return reader, writer

    def _as_server(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate.certificate, self.certificate.key)
        return context

    def _as_client(self, user: str | None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.certificate.bundle)
        if user is not None:
            vouching = issue_for_client(self.authority, self.directory, user)
            context.load_cert_chain(vouching.certificate, vouching.key)
        return context


async def carry(client: Streams, server: Streams) -> None:
    """Pass bytes on in both directions until one side ends the connection."""

    async def pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError, ssl.SSLError):
            while chunk := await source.read(CHUNK):
                target.write(chunk)
                await target.drain()

    ways = {asyncio.create_task(pass_on(client[0], server[1])), asyncio.create_task(pass_on(server[0], client[1]))}
    _, left = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    for way in left:
        way.cancel()
    await asyncio.wait(ways)


async def read_password(client: Streams) -> str:
    kind, length = struct.unpack("!ci", await client[0].readexactly(5))
    if kind != b"p" or not 4 < length <= LONGEST_STARTUP:
        raise EOFError("the client has no password")
    return (await client[0].readexactly(length - 4)).rstrip(b"\0").decode("utf-8", "replace")


def user_of(request: bytes) -> str:
    """Who wants to come in; nobody where the request is to cancel a query, or is for nobody."""
    if struct.unpack("!i", request[4:8])[0] == CANCEL_REQUEST:
        return ""
    words = request[8:].decode("utf-8", "replace").split("\0")
    return dict(zip(words[::2], words[1::2], strict=False)).get("user", "")


def refusal(message: str) -> bytes:
    """PostgreSQL's ErrorResponse."""
    fields = (("S", "FATAL"), ("V", "FATAL"), ("C", INVALID_AUTHORIZATION), ("M", message))
    body = "".join(f"{name}{value}\0" for name, value in fields).encode() + b"\0"
    return b"E" + struct.pack("!i", len(body) + 4) + body

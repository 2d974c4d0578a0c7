"""Come to a server from another address than one's own, to see whether it lets one in.

On Linux all of 127.0.0.0/8 is this machine, so that a connection from 127.0.0.2 is to a server on 127.0.0.1 what
one from an unknown network is to a database on the internet.
"""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from replica_access.errors import Error

__all__ = ["from_elsewhere"]

CHUNK = 65536


@contextmanager
def from_elsewhere(port: int, *, source: str = "127.0.0.2", host: str = "127.0.0.1") -> Iterator[int]:
    """Listen on a free port of 127.0.0.1, and pass each connection on to ``host:port`` as one from ``source``.

    Bytes pass as they are: TLS is between client and server, and a certificate for ``localhost`` verifies.

    :return: the port to connect to instead.
    :raises Error: this machine cannot connect from that address.
    """
    with socket.socket() as trial:
        try:
            trial.bind((source, 0))
        except OSError as error:
            raise Error(
                f"This machine cannot make connections from {source}: {error.strerror}.",
                f"Give the address to the loopback interface (macOS: sudo ifconfig lo0 alias {source}).",
            ) from error
    closing, closed = socket.socketpair()
    with closed, socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept, args=(listener, closed, (host, port), source))
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            closing.close()
            thread.join()


def accept(listener: socket.socket, closed: socket.socket, target: tuple[str, int], source: str) -> None:
    """Carry each connection in a thread of its own, until the other end of ``closed`` is closed."""
    carriers: list[threading.Thread] = []
    while closed not in select.select([listener, closed], [], [])[0]:
        client, _ = listener.accept()
        carriers.append(threading.Thread(target=carry, args=(client, closed, target, source)))
        carriers[-1].start()
    for carrier in carriers:
        carrier.join()


def carry(client: socket.socket, closed: socket.socket, target: tuple[str, int], source: str) -> None:
    """Pass bytes on in both directions until one side ends the connection, as PostgreSQL's clients and servers do."""
    with client, suppress(OSError), socket.create_connection(target, source_address=(source, 0)) as server:
        other = {client: server, server: client}
        while closed not in (readable := select.select([client, server, closed], [], [])[0]):
            for side in readable:
                chunk = side.recv(CHUNK)
                if not chunk:
                    return
                other[side].sendall(chunk)

"""The log of an instance as RDS hands it out: what its server really logged, in portions.

RDS begins a new file each hour; the servers here write one, so each instance has one file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from moto.rds.exceptions import RDSClientError

from replica_access.sandbox.server import PostgresServer

__all__ = ["NAME", "portion", "summary"]

NAME = "error/postgresql.log"
MOST_LINES, MOST_BYTES = 10_000, 1_000_000
MARKER = re.compile(r"\d+|\d+:\d+")


def summary(server: PostgresServer | None, call: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The entries of DescribeDBLogFiles; times are in milliseconds since the epoch, sizes in bytes."""
    if server is None:
        return []
    found = server.log_path.stat()
    written = int(found.st_mtime * 1000)
    wanted = (
        (call.get("FilenameContains") or "") in NAME
        and written >= int(call.get("FileLastWritten") or 0)
        and found.st_size >= int(call.get("FileSize") or 0)
    )
    return [{"LogFileName": NAME, "LastWritten": written, "Size": found.st_size}] if wanted else []


def portion(server: PostgresServer | None, call: Mapping[str, Any]) -> dict[str, Any]:
    """The answer of DownloadDBLogFilePortion.

    Without a marker it is the end of the file, or as many of its last lines as the call asks for; with one, what comes
    after the portion that the marker is from, ``0`` being the beginning.
    """
    if server is None or call["LogFileName"] != NAME:
        raise RDSClientError(
            "DBLogFileNotFoundFault", f"DBLog File: {call['LogFileName']}, is not found on the DB instance"
        )
    marker, lines = call.get("Marker"), int(call.get("NumberOfLines") or MOST_LINES)
    if marker is not None and not MARKER.fullmatch(marker):
        raise RDSClientError("InvalidParameterValue", f"Invalid marker: {marker}")
    content = server.log_path.read_bytes()
    if marker is None:
        begin = len(content) - len(_last(content, min(lines, MOST_LINES)))
    else:
        begin = min(int(marker.rpartition(":")[2]), len(content))
    found = _first(content[begin:], min(lines, MOST_LINES))
    end = begin + len(found)
    return {
        "LogFileData": found.decode(errors="replace"),
        "Marker": f"0:{end}",
        "AdditionalDataPending": end < len(content),
    }


def _first(content: bytes, lines: int) -> bytes:
    """Whole lines from the beginning, or what is there of one that is longer than an answer may be."""
    found = b""
    for line in content.splitlines(keepends=True)[:lines]:
        if len(found) + len(line) > MOST_BYTES:
            return found or line[:MOST_BYTES]
        found += line
    return found


def _last(content: bytes, lines: int) -> bytes:
    found = b"".join(content.splitlines(keepends=True)[-lines:])
    while len(found) > MOST_BYTES and b"\n" in found[:-1]:
        found = found.partition(b"\n")[2]
    return found

"""The files a server reads, and the strings its clients take: pure, but for writing a file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

__all__ = ["PARAMETERS_FILE", "conninfo", "main_file", "psql_variables", "render", "write_private"]

PARAMETERS_FILE = "parameters.conf"

BASE: Mapping[str, str] = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "32MB",
    "fsync": "off",
    "wal_level": "replica",
    "max_wal_senders": "10",
    "wal_keep_size": "512MB",
    "hot_standby": "on",
    "wal_retrieve_retry_interval": "200ms",
    "password_encryption": "scram-sha-256",
    "log_line_prefix": "%m [%p] %u@%d ",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "lc_messages": "C",
    "default_text_search_config": "pg_catalog.english",
}
TLS: Mapping[str, str] = {
    "ssl": "on",
    "ssl_cert_file": "../tls/server.crt",
    "ssl_key_file": "../tls/server.key",
}


def main_file(*, port: int, name: str, tls: bool, settings: Mapping[str, str]) -> str:
    """postgresql.conf: ours, then the caller's, then whatever is applied later."""
    own = {"port": str(port), "cluster_name": name}
    return render({**BASE, **own, **(TLS if tls else {}), **settings}) + f"include '{PARAMETERS_FILE}'\n"


def render(settings: Mapping[str, str]) -> str:
    """Settings as lines of a configuration file."""
    return "".join(f"{name} = {quoted(value)}\n" for name, value in settings.items())


def conninfo(params: Mapping[str, str]) -> str:
    """Parameters as a libpq connection string."""
    escaped = {key: value.replace("\\", "\\\\").replace("'", "\\'") for key, value in params.items()}
    return " ".join(f"{key}='{value}'" for key, value in escaped.items())


def psql_variables(variables: Mapping[str, str]) -> str:
    r"""Lines for psql that set its variables: ``\set name 'value'``."""
    return "".join(f"\\set {name} {quoted(value)}\n" for name, value in variables.items())


def quoted(value: str) -> str:
    """In configuration files and for psql, a backslash escapes and a quote is doubled."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def write_private(path: Path, text: str) -> None:
    """Put a file in place at once, closed to others."""
    draft = path.with_name(f".{path.name}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)

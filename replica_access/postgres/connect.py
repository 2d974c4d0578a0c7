"""Connections: opened safely, closed by ``with``, and failing in sentences."""

from __future__ import annotations

import logging
import re
from typing import Any

import psycopg
from psycopg import conninfo, sql
from psycopg.abc import Buffer
from psycopg.adapt import Dumper, Loader

from replica_access.errors import ConnectionFailed, DatabaseError, LockTimeout
from replica_access.model import Login, Token
from replica_access.names import legible, shown
from replica_access.postgres.queries import load

log = logging.getLogger(__name__)

STATEMENT_TIMEOUT_S = 300
LOCK_TIMEOUT_S = 5
IDLE_IN_TRANSACTION_TIMEOUT_S = 60

ALIVE = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 6}
"""In seconds, and how often: a server that a network swallows is noticed in minutes. By default it takes hours, all the
while a nightly run hangs, and the next one with it."""

_TEXT_TYPES = ("text", "name", "varchar", "bpchar", '"char"')


class _NameLoader(Loader):
    """Text as ``str``, whatever its bytes: a catalog may hold some that are no UTF-8."""

    def load(self, data: Buffer) -> str:
        return bytes(data).decode("utf-8", "surrogateescape")


class _NameDumper(Dumper):
    """The way back: surrogate escapes become the bytes that they stood for."""

    def dump(self, obj: str) -> bytes:
        return obj.encode("utf-8", "surrogateescape")


def connect(
    login: Login,
    *,
    database: str | None = None,
    read_only: bool = False,
    application_name: str = "replica-access",
    connect_timeout_s: int = 10,
    statement_timeout_s: float = STATEMENT_TIMEOUT_S,
) -> psycopg.Connection[Any]:
    """Open an autocommit connection to `database`, or to the login's own.

    Every session has a statement, a lock and an idle-in-transaction timeout, an empty search path, and speaks UTF-8 to
    the server; SQL_ASCII databases, where no conversion exists, are spoken to in bytes.

    :raises ConnectionFailed: no connection: which server, why, and what to do.
    """
    parameters: dict[str, Any] = {
        "application_name": application_name,
        "connect_timeout": connect_timeout_s,
        **ALIVE,
        **login.parameters,
        "dbname": database if database is not None else login.database,
    }
    if login.password is not None:
        parameters["password"] = login.password.reveal()
    try:
        connection = psycopg.connect("", autocommit=True, prepare_threshold=None, **parameters)
    except psycopg.Error as error:
        if "certificate" in str(error):  # libpq has one sentence for all that can be wrong with it
            from replica_access.trust import require_trusted

            require_trusted(login)
        raise connection_failed(error, login, parameters["dbname"]) from None
    except UnicodeEncodeError:  # libpq would take any bytes, psycopg does not
        raise ConnectionFailed(
            f"{legible(login.server)}, database {shown(parameters['dbname'])}: no connection: a name is no UTF-8.",
            "Rename it.",
        ) from None
    try:
        _prepare(connection, read_only, statement_timeout_s)
    except psycopg.Error as error:
        connection.close()
        raise database_error(error, f"{legible(login.server)}: the session could not be set up") from None
    return connection


def _prepare(connection: psycopg.Connection[Any], read_only: bool, statement_timeout_s: float) -> None:
    for name in _TEXT_TYPES:
        connection.adapters.register_loader(name, _NameLoader)
    connection.adapters.register_dumper(str, _NameDumper)
    encoding = connection.info.parameter_status("server_encoding")
    connection.execute(
        load("session"),
        {
            "client_encoding": "SQL_ASCII" if encoding == "SQL_ASCII" else "UTF8",
            "statement_timeout": f"{round(statement_timeout_s * 1000)}ms",
            "lock_timeout": f"{LOCK_TIMEOUT_S}s",
            "idle_timeout": f"{IDLE_IN_TRANSACTION_TIMEOUT_S}s",
            "read_only": "on" if read_only else "off",
        },
    )


def run(connection: psycopg.Connection[Any], statement: str) -> psycopg.Cursor[Any]:
    """Execute composed SQL as it stands: with no parameters, so that a percent sign is one."""
    return connection.execute(statement.encode("utf-8", "surrogateescape"))


def as_text(composed: sql.Composable) -> str:
    """Return composed SQL as text that `run` executes and a person can paste."""
    return composed.as_bytes(None).decode("utf-8", "surrogateescape")


def parse_dsn(dsn: str) -> dict[str, str]:
    """Return libpq's reading of `dsn`, keyword and value.

    :raises ConnectionFailed: when libpq cannot read it.
    """
    try:
        return {key: str(value) for key, value in conninfo.conninfo_to_dict(dsn).items()}
    except psycopg.ProgrammingError as error:
        raise ConnectionFailed(
            f"The dsn cannot be read: {first_line(error)}.", "Write host=… user=… or a URL."
        ) from None


# --- errors in sentences ---------------------------------------------------------------------------------------------

# libpq gives no code for a failed connection, only the server's words; the patterns are those of its English messages,
# and a server that speaks another language still gets its own words shown, with the general advice.
_REASONS: tuple[tuple[str, str], ...] = (
    (
        r"no pg_hba.conf entry.*no encryption|SSL off",
        "The server takes TLS connections only: set sslmode to verify-full.",
    ),
    (
        r"no pg_hba.conf entry",
        "The server does not let this address, user or database in: compare its allowed addresses with yours.",
    ),
    (
        r"password authentication failed|no password supplied|SCRAM exchange",
        (
            "Check the user and where its password comes from: admin_secret, PGPASSWORD or the pgpass file. "
            "`replica-access user rotate` gives a user of the spec another one."
        ),
    ),
    (
        r"PAM authentication failed",
        'The server takes an IAM token of this user, and no password: write auth = "iam" in the spec.',
    ),
    (r"certificate verify failed|root certificate file|sslrootcert", "Give the server's CA with sslrootcert."),
    (r"server certificate for .* does not match host name", "Connect by the endpoint's own name."),
    (r"server does not support SSL", "The server has no TLS: set sslmode, if that is meant."),
    (
        r"could not translate host name|Name or service not known",
        "Check the host name, and that this network resolves it.",
    ),
    (
        r"Connection refused|timeout expired|timed out|No route to host|Network is unreachable",
        "Check the address, the port, and that the security group or firewall lets this machine through.",
    ),
    (r"too many clients|remaining connection slots|too many connections", "Try again, or raise the connection limit."),
    (r"role .* does not exist", "Check the user name; on a replica, that it has replayed the role."),
    (r"is not permitted to log in", "The role has no LOGIN."),
    (r"database .* does not exist", "Check the database's name."),
    (r"permission denied for database", "The role lacks CONNECT on this database."),
    (r"the database system is (starting up|shutting down|in recovery)|not yet accepting", "Try again in a moment."),
)


_REFUSED_LOGIN = "PAM authentication failed|password authentication failed|pg_hba.conf rejects connection"
_IAM_ADVICE = (
    "The IAM token was refused: the user must be a member of rds_iam, IAM authentication switched on at that instance, "
    "and rds-db:connect allowed to whoever signs, on that instance's resource id and that user."
)


def connection_failed(error: psycopg.Error, login: Login, database: str) -> ConnectionFailed:
    """Return `error` as a sentence on the server, the database, the server's reason, and the way on."""
    reason = legible(_reason(str(error)))
    fix = next(
        (advice for pattern, advice in _REASONS if re.search(pattern, str(error))), "Check the server and the network."
    )
    if isinstance(login.password, Token) and re.search(_REFUSED_LOGIN, str(error)):
        fix = _IAM_ADVICE
    user = login.parameters.get("user")
    who = f" as {shown(user)}" if user else ""
    return ConnectionFailed(
        f"{legible(login.server)}, database {shown(database)}: no connection{who}: {reason}.",
        fix,
        sqlstate=error.sqlstate or "",
    )


def _reason(text: str) -> str:
    """Return the line that says why: libpq repeats itself once an address, and indents what it guesses."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line[0].isspace()]
    line = lines[-1] if lines else "no reason was given"
    for line in lines:
        if "FATAL:" in line:
            break
    reason = re.sub(
        r"^(- host: .*?: )?(connection (failed|is bad): )?(connection to server .*? failed: )?(FATAL:\s+)?", "", line
    )
    return reason.rstrip(".")


def first_line(error: BaseException) -> str:
    """Return what `error` says first, without its full stop: servers add context, hints and positions below."""
    return str(error).strip().partition("\n")[0].rstrip(".")


def database_error(error: psycopg.Error, doing: str) -> DatabaseError:
    """Return what a server answered as one of our errors; `doing` names the object and the step."""
    message = legible(first_line(error))
    match error.sqlstate:
        case "42501":
            fix = "The admin lacks that right: grant it, or run the statement as the owner."
        case "55P03":
            return LockTimeout(
                f"{doing}: {message}.", "Somebody holds a lock on it: try again when they are done.", sqlstate="55P03"
            )
        case "57014":
            fix = "It took longer than the statement timeout: try again when the server is less busy."
        case "25006":
            fix = "This is a replica; changes go to the primary: check primary.instance or primary.dsn."
        case "57P01" | "57P02" | "57P03" | None:
            fix = "The connection was lost: run the same command again, nothing is half done."
        case _:
            fix = "Nothing of this transaction was kept."
    return DatabaseError(f"{doing}: {message}.", fix, sqlstate=error.sqlstate or "")

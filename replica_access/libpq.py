"""A login in the forms that other tools take: libpq's connection string and URL, pgpass lines, environment. Pure.

Rules of the forms: PostgreSQL documentation, "Connection Strings", "The Password File" and "Environment Variables" in
the chapter on libpq.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from urllib.parse import quote, urlencode

from replica_access.errors import UsageError
from replica_access.model import Login

VARIABLES: Mapping[str, str] = {
    "application_name": "PGAPPNAME",
    "channel_binding": "PGCHANNELBINDING",
    "client_encoding": "PGCLIENTENCODING",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "dbname": "PGDATABASE",
    "gssencmode": "PGGSSENCMODE",
    "gssdelegation": "PGGSSDELEGATION",
    "gsslib": "PGGSSLIB",
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "krbsrvname": "PGKRBSRVNAME",
    "load_balance_hosts": "PGLOADBALANCEHOSTS",
    "max_protocol_version": "PGMAXPROTOCOLVERSION",
    "min_protocol_version": "PGMINPROTOCOLVERSION",
    "options": "PGOPTIONS",
    "passfile": "PGPASSFILE",
    "password": "PGPASSWORD",
    "port": "PGPORT",
    "require_auth": "PGREQUIREAUTH",
    "requirepeer": "PGREQUIREPEER",
    "service": "PGSERVICE",
    "sslcert": "PGSSLCERT",
    "sslcertmode": "PGSSLCERTMODE",
    "sslcompression": "PGSSLCOMPRESSION",
    "sslcrl": "PGSSLCRL",
    "sslcrldir": "PGSSLCRLDIR",
    "sslkey": "PGSSLKEY",
    "sslmode": "PGSSLMODE",
    "sslnegotiation": "PGSSLNEGOTIATION",
    "sslrootcert": "PGSSLROOTCERT",
    "sslsni": "PGSSLSNI",
    "ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION",
    "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "user": "PGUSER",
}
"""libpq's variable for each of its keywords that has one."""

LEADS_ELSEWHERE = ("PGHOST", "PGHOSTADDR", "PGPORT", "PGSERVICE")
"""Variables that could send a connection to another server than the one that its parameters name."""


def conninfo(login: Login) -> str:
    r"""Return libpq's connection string, without the password.

    >>> conninfo(Login("db2", {"host": "db2", "user": "o'bi"}, "two words"))
    "host='db2' user='o\\'bi' dbname='two words'"
    """
    escaped = {key: value.replace("\\", "\\\\").replace("'", "\\'") for key, value in _parameters(login).items()}
    return " ".join(f"{key}='{value}'" for key, value in escaped.items())


def url(login: Login, *, with_password: bool = False) -> str:
    """Return a URL, without the password unless it is asked for.

    >>> url(Login("db2", {"host": "db2", "port": "6432", "user": "bi@work", "sslmode": "verify-full"}, "a/b"))
    'postgresql://bi%40work@db2:6432/a%2Fb?sslmode=verify-full'
    >>> url(Login("db2", {"host": "2001:db8::1", "user": "bi"}))
    'postgresql://bi@[2001:db8::1]/postgres'
    >>> url(Login("db2", {"host": "/run/postgresql", "user": "bi"}))
    'postgresql://bi@/postgres?host=%2Frun%2Fpostgresql'
    """
    rest = _parameters(login)
    user, database = rest.pop("user", ""), rest.pop("dbname")
    secret = f":{quote(login.password.reveal(), safe='')}" if with_password and login.password is not None else ""
    who = f"{quote(user, safe='')}{secret}@" if user or secret else ""
    hosts = rest.get("host", "").split(",")
    ports = rest.get("port", "").split(",")
    where = ""
    if all(hosts) and not any(host.startswith(("/", "@")) for host in hosts) and len(ports) in {1, len(hosts)}:
        del rest["host"]
        rest.pop("port", None)
        ports = ports * len(hosts) if len(ports) == 1 else ports
        where = ",".join(_authority(host, port) for host, port in zip(hosts, ports, strict=True))
    query = f"?{urlencode(rest, quote_via=quote, safe='')}" if rest else ""
    return f"postgresql://{who}{where}/{quote(database, safe='')}{query}"


def _authority(host: str, port: str) -> str:
    shown = f"[{host}]" if ":" in host else quote(host, safe="")
    return f"{shown}:{port}" if port else shown


def pgpass(login: Login, database: str = "*") -> Iterator[str]:
    r"""Yield the lines of a pgpass file that hold this login's password; of several hosts one each.

    :param database: ``*`` for all of them: the password is the same.
    :raises UsageError: the host is not known here, or the password does not fit on a line.

    >>> from replica_access.model import Secret
    >>> print(*pgpass(Login("db2", {"host": "db2", "user": "b:i"}, password=Secret("a\\b:c"))))
    db2:5432:*:b\:i:a\\b\:c
    """
    parameters = login.parameters
    hosts = (parameters.get("host") or parameters.get("hostaddr") or "").split(",")
    if not all(hosts) or login.password is None:
        raise UsageError(
            f"The dsn of {login.server} names no host, and a pgpass line needs one.", "Write host=… into replica.dsn."
        )
    ports = parameters.get("port", "5432").split(",")
    password = login.password.reveal()
    if "\n" in password:
        raise UsageError("The password has a line break in it, which no pgpass file can hold.", "Use --env.")
    for number, host in enumerate(hosts):
        port = ports[number] if len(ports) == len(hosts) else ports[0]
        fields = (host, port or "5432", database, parameters.get("user", "*"), password)
        yield ":".join(map(_field, fields))


def _field(text: str) -> str:
    return text.replace("\\", "\\\\").replace(":", "\\:")


def environment(login: Login) -> dict[str, str]:
    """Return libpq's variables for `login`, the password among them.

    :raises UsageError: a parameter has no variable.
    """
    values = _parameters(login)
    if login.password is not None:
        values["password"] = login.password.reveal()
    if without := sorted(values.keys() - VARIABLES.keys()):
        raise UsageError(f"libpq has no variable for {', '.join(without)} of the dsn.", "Use --url.")
    return {VARIABLES[key]: value for key, value in values.items()}


def exports(variables: Mapping[str, str]) -> Iterator[str]:
    """Yield lines that a POSIX shell sets `variables` by.

    >>> list(exports({"PGHOST": "db2", "PGPASSWORD": "it's"}))
    ['export PGHOST=db2', 'export PGPASSWORD=\\'it\\'"\\'"\\'s\\'']
    """
    return (f"export {name}={shlex.quote(value)}" for name, value in variables.items())


def _parameters(login: Login) -> dict[str, str]:
    return {**login.parameters, "dbname": login.database}

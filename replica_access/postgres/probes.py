"""What one login user meets on the replica: everything is tried for real, and reported by name.

Nothing is left behind wherever it runs: sessions are read-only, statements that would write are written so that they
change no row, run in a transaction that is rolled back, and only on a server that is in recovery.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Literal

import psycopg

from replica_access.desired import UserAccess
from replica_access.errors import ConnectionFailed, DatabaseError
from replica_access.model import Login, ProofCheck, Secret
from replica_access.names import legible, shown, written
from replica_access.postgres import reading
from replica_access.postgres.connect import connect, run
from replica_access.postgres.reading import NAMED, REFUSED, Names, Reading, Relation
from replica_access.postgres.scene import count
from replica_access.postgres.session import ask, log_in
from replica_access.postgres.statements import qualified, quoted

Name = Literal[
    "login",
    "session",
    "tls",
    "tls_required",
    "recovery",
    "readable",
    "refused",
    "schema_usable",
    "schemas_refused",
    "executable",
    "insert_refused",
    "create_table_refused",
    "create_temp_table_refused",
    "no_write_privileges",
    "database_not_granted",
]
"""What is tried; ``session`` appears only where a session broke, and what was to follow in it was not tried."""

TLS_MODES = frozenset({"require", "verify-ca", "verify-full"})

READ_ONLY = "25006"


def check(user: str, name: Name, database: str | None, ok: bool, detail: str, *, tried: bool = True) -> ProofCheck:
    return ProofCheck(name, database, ok, f"{shown(user)}: {detail}", tried)


def try_database(access: UserAccess, database: str, login: Login, system_identifier: str) -> Iterator[ProofCheck]:
    """Log in to a database that `access` grants and try everything there, yielding each check when it is done."""

    def result(name: Name, ok: bool, detail: str) -> ProofCheck:
        return check(access.user, name, database, ok, detail)

    with ExitStack() as sessions:
        try:
            session = sessions.enter_context(log_in(login, database))
        except DatabaseError as error:
            yield result("login", False, str(error))
            return
        yield result("login", True, "logs in")
        try:
            if _sslmode(session) in TLS_MODES:
                yield result("tls", *_tls(session))
                yield result("tls_required", *tls_required(login, database))
            in_recovery, detail = _recovery(session, system_identifier)
            yield result("recovery", in_recovery, detail)
            if not in_recovery:
                return
            read, after = Reading(), 0
            while page := reading.next_page(session, after):
                read, after = read + reading.read(session, access, database, page), page[-1].oid
                if len(page) < reading.PAGE:
                    break
                sessions.close()
                session = sessions.enter_context(log_in(login, database))
            yield result("readable", *read.readable)
            yield result("refused", *read.refused)
            schemas = ask(session, "proof_schemas")
            reached = [row for row in schemas if access.reaches_schema(database, row.name)]
            yield result("schema_usable", *_schema_usable(reached))
            others = [row for row in schemas if row not in reached]
            yield result("schemas_refused", *_schemas_refused(others, read.exposed_schemas))
            if access.executes(database):
                yield result("executable", *_executable(session, access, database))
            yield result("insert_refused", *_insert_refused(session, read.table))
            yield result("create_table_refused", *_create_table_refused(session, [row.name for row in reached]))
            yield result("create_temp_table_refused", *_refused(session, "CREATE TEMP TABLE replica_access_proof ()"))
            yield result("no_write_privileges", *_no_write_privileges(session))
        except (psycopg.Error, DatabaseError) as error:
            detail = f"{_words(error)}; what would have followed was not tried"
            yield check(access.user, "session", database, False, detail, tried=False)


def try_other_database(user: str, database: str, login: Login, *, default_acl: bool, may_connect: bool) -> ProofCheck:
    """Try to log in to a database that is not granted.

    A database with the ACL that PostgreSQL gives every new one lets everybody connect; that alone is no harm, as long
    as the user finds nothing there to read.

    :param default_acl: whether the ACL of the database is the default one.
    :param may_connect: what the catalog says; servers explain a refusal in their own language.
    """
    name: Name = "database_not_granted"
    try:
        session = log_in(login, database)
    except DatabaseError as error:
        if may_connect and not _stopped_by_pg_hba(error):
            return check(user, name, database, False, f"could not be tried: {error}", tried=False)
        return check(user, name, database, True, "refused")
    with session:
        try:
            readable = ask(session, "proof_readable")[0]
        except psycopg.Error as error:
            return check(user, name, database, False, f"is let in; what can be read was not found out: {_words(error)}")
    mend = f"REVOKE CONNECT ON DATABASE {quoted(database)} FROM PUBLIC, or from the role that has it, shuts it"
    if readable.count:
        some = ", ".join(shown(*names) for names in readable.some)
        found = f"{count(readable.count, 'relation')} can be read: {some}"
        return check(user, name, database, False, f"is let in, and {found}; {legible(mend)}")
    if not default_acl:
        return check(user, name, database, False, f"is let in; {legible(mend)}")
    return check(user, name, database, True, "is let in, as everybody is by default, and finds nothing to read")


# --- one thing each: whether it is as it should be, and that in words ------------------------------------------------


def _sslmode(session: psycopg.Connection[Any]) -> str:
    """Return the sslmode that is in force, wherever libpq found it."""
    options = {option.keyword: option.val for option in session.pgconn.info}
    return (options.get(b"sslmode") or b"").decode()


def _tls(session: psycopg.Connection[Any]) -> tuple[bool, str]:
    if not session.pgconn.ssl_in_use:
        return False, f"the session has no TLS, with sslmode {_sslmode(session)}"
    row = ask(session, "proof_session")[0]
    return True, f"{row.tls_version}, {row.tls_cipher}, {_sslmode(session)}"


def tls_required(login: Login, database: str) -> tuple[bool, str]:
    """Knock without TLS, and without the password: where such a connection is let in, nothing secret has left."""
    parameters = {**login.parameters, "sslmode": "disable", "gssencmode": "disable", "channel_binding": "disable"}
    parameters.pop("sslnegotiation", None)
    plain = Login(login.server, parameters, login.database, Secret("not the password"))
    try:
        connect(plain, database=database, read_only=True).close()
    except ConnectionFailed as error:
        if _stopped_by_pg_hba(error):
            return True, "without TLS the server refuses"
        return False, f"without TLS the server did not refuse at once (rds.force_ssl, hostssl): {error.what}"
    return False, "without TLS, and with a wrong password, the server lets in: see its pg_hba.conf"


def _stopped_by_pg_hba(error: DatabaseError) -> bool:
    # The name of the file is the same in every language that a server may speak.
    return "pg_hba.conf" in error.what


def _recovery(session: psycopg.Connection[Any], system_identifier: str) -> tuple[bool, str]:
    if not ask(session, "proof_session")[0].in_recovery:
        return False, "this login leads to a server that accepts writes; nothing was tried on it"
    try:
        found = ask(session, "proof_system")[0].system_identifier
    except psycopg.errors.InsufficientPrivilege:
        return True, "in recovery, so read-only; which system it is was not told"
    if found != system_identifier:
        return False, f"this login leads to another system ({found}) than the primary's; nothing was tried on it"
    return True, "in recovery, so read-only"


def _schema_usable(schemas: list[Any]) -> tuple[bool, str]:
    if missing := [shown(row.name) for row in schemas if not row.usable]:
        return False, f"no USAGE on {Names.of(*missing)}"
    return True, f"{count(len(schemas), 'schema')} usable"


def _schemas_refused(schemas: list[Any], exposed: frozenset[str]) -> tuple[bool, str]:
    usable = [row for row in schemas if row.usable]
    if held := [shown(row.name) for row in usable if row.usable_without_public or row.name in exposed]:
        return False, f"usable, and not meant to be: {Names.of(*held)}"
    remark = f"; usable through PUBLIC, with nothing to read: {Names.of(*(shown(row.name) for row in usable))}"
    return True, f"{count(len(schemas) - len(usable), 'schema')} refused{remark if usable else ''}"


def _executable(session: psycopg.Connection[Any], access: UserAccess, database: str) -> tuple[bool, str]:
    """Ask for the rights on functions, procedures and types: calling them could do anything."""
    wanted = [row for row in ask(session, "proof_routines") if access.uses(database, row.schema, row.name)]
    if missing := [written(row.identity) for row in wanted if not row.usable]:
        return False, f"may not use {Names.of(*missing)}"
    return True, f"{len(wanted):,} functions, procedures and types usable"


def _insert_refused(session: psycopg.Connection[Any], table: Relation | None) -> tuple[bool, str]:
    if table is None:
        return True, "there is no table to try it on"
    return _refused(session, f"INSERT INTO {qualified(table.schema, table.name)} SELECT WHERE false")


def _create_table_refused(session: psycopg.Connection[Any], schemas: list[str]) -> tuple[bool, str]:
    if not schemas:
        return True, "there is no schema to try it in"
    return _refused(session, f"CREATE TABLE {qualified(schemas[0], 'replica_access_proof')} ()")


def _refused(session: psycopg.Connection[Any], statement: str) -> tuple[bool, str]:
    try:
        with session.transaction(force_rollback=True):
            run(session, statement)
    except psycopg.Error as error:
        if session.broken:
            raise
        return error.sqlstate in {READ_ONLY, REFUSED}, f"{error.sqlstate}: {_words(error)}"
    return False, "was accepted"


def _no_write_privileges(session: psycopg.Connection[Any]) -> tuple[bool, str]:
    """Ask for what the standby hides: on the primary these would write."""
    held = ask(session, "proof_writes", {"most": NAMED})
    if not held:
        return True, "none held"
    names = Names(held[0].count, tuple(f"{row.kind} {shown(*row.names)} ({row.privileges})".lstrip() for row in held))
    return False, f"{count(names.count, 'object')} can be written to on the primary: {names}"


def _words(error: psycopg.Error | DatabaseError) -> str:
    if isinstance(error, DatabaseError):
        return str(error)
    return legible(error.diag.message_primary or str(error).strip())

"""A plan, or its inverse, as a psql script that stops on the first error. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from replica_access.model import Change, Plan
from replica_access.names import shown
from replica_access.postgres.portions import USUAL_ROOM, portions
from replica_access.postgres.statements import as_role, join_and_leave, quoted, role_is_new

ENCODING = (
    "SELECT pg_catalog.set_config('client_encoding', CASE pg_catalog.current_setting('server_encoding')"
    " WHEN 'SQL_ASCII' THEN 'SQL_ASCII' ELSE 'UTF8' END, false) AS encoding \\gset"
)
"""The script is UTF-8, whatever the locale of whoever runs it; a database without an encoding takes bytes as they are.
"""


def render(plan: Plan, maintenance_database: str) -> str:
    """Return the SQL part of `plan` as text for ``psql -f``.

    A password is not in it: the script says where one has to be set.
    """
    calls = len(plan.of("aws"))
    head = [f"-- {calls} changes in AWS are no SQL and are not in this script"] if calls else []
    transactions = _transactions(plan, maintenance_database)
    return _script(head, ((database, changes, _forward(changes)) for database, changes in transactions))


def render_set_up(plan: Plan, maintenance_database: str, roles: Iterable[str], what: str) -> str:
    """Return the SQL part of a plan for a primary without any of its `roles`, to be run as often as one likes.

    What a GRANT gives twice, it gives once. A role that is there already is left as it is, and the script says so.

    :param what: it makes, in words.
    """
    names = {shown(name): name for name in roles}
    head = [
        f"-- Makes {what}; run it on the primary, as the admin.",
        "-- It stops on the first error; a database is one transaction, or several where there are very many objects.",
    ]
    transactions = _transactions(plan, maintenance_database)
    steps = ((database, changes, _repeatable(changes, names)) for database, changes in transactions)
    script = _script(head, steps)
    without = [
        f"\\echo 'unless it has one, give a password to the login: \\\\password {_echoed(quoted(name))}'"
        for change in plan.changes
        if (name := change.password_of) is not None
    ]
    return "\n".join([script, *without, ""]) if without else script


def _repeatable(changes: Sequence[Change], names: Mapping[str, str]) -> Iterator[str]:
    for change in changes:
        if change.action == "create role":
            name = names[change.object]
            yield f"{role_is_new(name)} \\gset"
            yield "\\if :is_new"
            yield from _lines(change, change.sql)
            yield "\\else"
            yield f"\\echo '{_echoed(quoted(name))} is there already: its attributes are left as they are'"
            yield "\\endif"
        elif change.password_of is None:
            yield from _lines(change, change.sql)


def _echoed(text: str) -> str:
    """Return `text` as it has to stand between psql's single quotes."""
    return text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r")


def render_undo(plan: Plan, maintenance_database: str) -> str:
    """Return the inverse of the SQL part of `plan`, last change first, as text for ``psql -f``."""
    head = ["-- Undoes what was done; run it on the primary, as the same admin."]
    if plan.of("aws"):
        head.append("-- What was made in AWS stays: it is no SQL.")
    transactions = reversed(_transactions(plan, maintenance_database))
    return _script(head, ((database, changes, _backward(changes)) for database, changes in transactions))


def _transactions(plan: Plan, maintenance_database: str) -> list[tuple[str, tuple[Change, ...]]]:
    """Return what is done together, in order: what is shared, each database, and what is shared and waits for them.

    What names very many objects is several transactions: nobody knows which server the script will meet.
    """
    shared = plan.of("cluster")
    together = [
        (maintenance_database, tuple(change for change in shared if not change.late)),
        *_by_database(plan),
        (maintenance_database, tuple(change for change in shared if change.late)),
    ]
    return [(database, portion) for database, changes in together for portion in portions(changes, USUAL_ROOM)]


def _by_database(plan: Plan) -> list[tuple[str, tuple[Change, ...]]]:
    names = dict.fromkeys(change.database or "" for change in plan.of("database"))
    return [(name, plan.of("database", name)) for name in names]


def _forward(changes: Sequence[Change]) -> Iterator[str]:
    for change in changes:
        if change.password_of is not None:
            yield f"-- \\password {quoted(change.password_of)}"
        else:
            yield from _lines(change, change.sql)


def _backward(changes: Sequence[Change]) -> Iterator[str]:
    for change in reversed(changes):
        yield from _lines(change, tuple(reversed(change.undo)))


def _lines(change: Change, statements: Sequence[str]) -> Iterator[str]:
    acting = statements if change.run_as is None or not statements else as_role(change.run_as, statements)
    return (statement if statement.startswith("--") else f"{statement};" for statement in acting)


def _script(head: Iterable[str], transactions: Iterable[tuple[str, Sequence[Change], Iterable[str]]]) -> str:
    lines = ["\\set ON_ERROR_STOP on", *head]
    for database, changes, statements in transactions:
        if changes:
            lines += ["", *_transaction(database, changes, statements)]
    return "\n".join(lines) + "\n"


def _transaction(database: str, changes: Sequence[Change], statements: Iterable[str]) -> Iterator[str]:
    joined = tuple(dict.fromkeys(role for change in changes for role in change.join))
    yield f"\\connect -reuse-previous=on {_connection_string(database)}"
    yield ENCODING
    yield "BEGIN;"
    yield "SET LOCAL lock_timeout = '5s';"
    if joined:
        yield join_and_leave(joined) + " \\gset"
        yield ":join_owners"
    yield from statements
    if joined:
        yield ":leave_owners"
    yield "COMMIT;"


def _connection_string(database: str) -> str:
    """Return psql's argument for `database`, whatever its name: a conninfo value inside a psql string."""
    value = database.replace("\\", "\\\\").replace("'", "\\'")
    conninfo = f"dbname='{value}'"
    # \connect takes double quotes away as if from an identifier, even between single ones: four of them leave one.
    return "'" + conninfo.replace("\\", "\\\\").replace("'", "''").replace("\n", "\\n").replace('"', '""""') + "'"

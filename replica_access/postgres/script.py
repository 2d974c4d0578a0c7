"""A plan as a psql script that stops on the first error, for people who run such things by hand. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from replica_access.model import Change, Plan
from replica_access.postgres.statements import quoted


def render(plan: Plan, maintenance_database: str) -> str:
    """Return the SQL part of `plan` as text for ``psql -f``.

    A password is not in it: the script says where one has to be set.
    """
    return "\n".join(_lines(plan, maintenance_database)) + "\n"


def _lines(plan: Plan, maintenance_database: str) -> Iterator[str]:
    yield "\\set ON_ERROR_STOP on"
    calls = plan.of("aws")
    if calls:
        yield f"-- {len(calls)} changes in AWS are no SQL and are not in this script"
    yield from _transaction(maintenance_database, plan.of("cluster"))
    for database in dict.fromkeys(change.database for change in plan.of("database")):
        yield from _transaction(database or "", plan.of("database", database))


def _transaction(database: str, changes: tuple[Change, ...]) -> Iterator[str]:
    if not changes:
        return
    joined = ", ".join(dict.fromkeys(quoted(role) for change in changes for role in change.join))
    yield ""
    yield f"\\connect -reuse-previous=on {_connection_string(database)}"
    yield "BEGIN;"
    yield "SET LOCAL lock_timeout = '5s';"
    if joined:
        yield f"GRANT {joined} TO CURRENT_USER;"
    for change in changes:
        if change.password_of is not None:
            yield f"-- \\password {quoted(change.password_of)}"
            continue
        yield from (f"{statement};" for statement in change.sql)
    if joined:
        yield f"REVOKE {joined} FROM CURRENT_USER;"
    yield "COMMIT;"


def _connection_string(database: str) -> str:
    """Return psql's argument for `database`, whatever its name: a conninfo value inside a psql string."""
    value = database.replace("\\", "\\\\").replace("'", "\\'")
    conninfo = f"dbname='{value}'"
    return "'" + conninfo.replace("\\", "\\\\").replace("'", "''").replace("\n", "\\n") + "'"

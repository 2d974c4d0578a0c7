"""The scene of the demo: what other people do on the production database while the tool is not looking."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from replica_access.errors import ConnectionFailed, Error
from replica_access.model import Login
from replica_access.sandbox.elsewhere import from_elsewhere
from replica_access.sandbox.server import PostgresServer

PRIMARY = "prod-db"
REPLICA = "prod-db-analytics"
DATABASE = "app"

NEW_TABLE = "CREATE TABLE leasing.inspections AS SELECT 1 AS unit, 'a leaking tap' AS finding;"
NEW_SCHEMA = (
    "CREATE SCHEMA energy;"
    " CREATE TABLE energy.readings AS SELECT n AS meter, n * 7.5 AS kwh FROM generate_series(1, 3) n;"
)
BY_THE_ADMIN = "REVOKE CONNECT, TEMPORARY ON DATABASE postgres FROM PUBLIC;"
ACCEPTED = """
[[accepted]]
rule    = "login-undeclared"
subject = "app_backend"
reason  = "the application itself"

[[accepted]]
rule    = "login-undeclared"
subject = "migrator"
reason  = "its migrations"

[[accepted]]
rule   = "replica-logging"
reason = "flow logs of the VPC say who connects"
"""
BY_A_CREATOR = "GRANT INSERT, DELETE ON accounting.payments TO analytics;"
BY_A_SUPERUSER = "GRANT pg_write_all_data TO bi;"
SUPPLIER = "198.51.100.7/32"
READS = ("SELECT finding FROM leasing.inspections", "SELECT sum(kwh) FROM energy.readings")


def as_creator(directory: Path, creator: str, sql: str) -> None:
    """Run `sql` on the primary as `creator`, as a deployment would.

    :raises DatabaseError: the server refused.
    """
    server = PostgresServer.open(directory / "instances" / PRIMARY)
    server.psql(f'SET SESSION AUTHORIZATION :"creator"; {sql}', dbname=DATABASE, variables={"creator": creator})


def as_superuser(directory: Path, sql: str) -> None:
    """Run `sql` on the primary as whoever keeps the server would.

    :raises DatabaseError: the server refused.
    """
    PostgresServer.open(directory / "instances" / PRIMARY).psql(sql, dbname=DATABASE)


def read(login: Login, query: str) -> str:
    """Return the one value that `query` gives in the demo's database.

    :raises DatabaseError: the server refused.
    """
    from replica_access.postgres.connect import connect, run

    with connect(login, database=DATABASE, read_only=True) as connection:
        row = run(connection, query).fetchone()
    return str(row[0]) if row else "nothing"


def refusal_from_elsewhere(login: Login) -> str:
    """Return what the server says to the same login from an address that no rule allows.

    :raises Error: it let it in.
    """
    from replica_access.postgres.connect import connect

    with from_elsewhere(int(login.parameters["port"])) as port:
        try:
            connect(replace(login, parameters={**login.parameters, "port": str(port)}), database=DATABASE).close()
        except ConnectionFailed as refused:
            return refused.what
    raise Error("The replica let in an address that no rule allows.", "Please report this: it is a defect.")

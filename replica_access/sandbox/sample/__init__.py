"""Databases worth looking at, as a company has them in production."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from replica_access.sandbox.server import PostgresServer

__all__ = ["CREATORS", "DATABASES", "load_sample"]

CREATORS = ("app_owner", "migrator")
DATABASES = ("app", "reporting")

OWNERS = {"reporting": "migrator"}
SCRIPTS = {"app": "app.sql", "reporting": "reporting.sql"}


def load_sample(server: PostgresServer, admin: str, databases: Sequence[str] = DATABASES) -> None:
    """Make the sample's databases on a primary, as ``admin`` would.

    ``app`` and ``reporting`` are known; a database of another name gets one schema with one table. Each belongs to one
    of two creators, whom the admin created but is no member of, and only roles that were granted CONNECT get in: the
    admin, the creators and ``app_backend``, the application's login. No login has a password.

    :param admin: a role with CREATEROLE and CREATEDB that exists.
    :raises DatabaseError: a statement failed, for example because a database of that name exists.
    """
    for database in databases:
        owner = OWNERS.get(database, "app_owner")
        server.psql(read("database.sql"), variables={"admin": admin, "database": database, "owner": owner})
        server.psql(read(SCRIPTS.get(database, "other.sql")), dbname=database)


def read(script: str) -> str:
    return Path(__file__).with_name(script).read_text(encoding="utf-8")

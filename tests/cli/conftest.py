"""A production server as other people left it, without a replica, and the program let loose on it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import conninfo, sql

from replica_access.postgres.apply import LOCK_FAMILY
from replica_access.sandbox import rds_like
from replica_access.sandbox.binaries import find_installation
from replica_access.sandbox.certificates import ServerCertificate, create_authority, issue
from replica_access.sandbox.server import PostgresServer
from tests.cheap_logins import make_logins_cheap
from tests.cli.catalogs import facts
from tests.cli.nursery import Nursery
from tests.cli.program import Program

MASTER = "master"

# app_owner and migrator were made by the admin, boss by a superuser: the admin may join the former only.
WORLD = """
SET client_min_messages = warning;
CREATE ROLE boss NOLOGIN;
SET SESSION AUTHORIZATION master;
CREATE ROLE app_owner NOLOGIN;
CREATE ROLE migrator NOLOGIN;
RESET SESSION AUTHORIZATION;
CREATE DATABASE shop OWNER app_owner TEMPLATE template0 STRATEGY file_copy;
REVOKE ALL ON DATABASE shop FROM PUBLIC;
GRANT CONNECT ON DATABASE shop TO master;
GRANT CREATE ON DATABASE shop TO migrator;
\\connect shop
SET SESSION AUTHORIZATION app_owner;
CREATE SCHEMA sales;
CREATE TABLE sales.orders (id serial PRIMARY KEY, total numeric);
CREATE VIEW sales.totals AS SELECT sum(total) FROM sales.orders;
SET SESSION AUTHORIZATION migrator;
CREATE SCHEMA stock;
CREATE TABLE stock.items (id int GENERATED ALWAYS AS IDENTITY, name text);
"""


@dataclass(frozen=True, slots=True)
class Production:
    """The server as it stands before any test, its admin's password, and the certificate that a replica needs too."""

    server: PostgresServer
    password: str = field(repr=False)
    certificate: ServerCertificate


@dataclass(frozen=True, slots=True)
class Shop:
    """One server with the database ``shop``, whose admin is no superuser, and a directory to run the program in."""

    server: PostgresServer
    run: Program
    password: str = field(repr=False)

    @property
    def superuser(self) -> dict[str, str]:
        server = self.server
        return {
            "host": server.host,
            "port": str(server.port),
            "user": server.superuser,
            "password": server.superuser_password,
            "sslmode": "disable",
        }

    def dsn(self, **changes: str) -> str:
        """The admin's, without a password, as it stands in a spec."""
        parameters = {
            "host": self.server.host,
            "port": str(self.server.port),
            "user": MASTER,
            "sslmode": "verify-full",
            "sslrootcert": str(self.server.bundle),
            **changes,
        }
        return " ".join(f"{key}={value}" for key, value in parameters.items())

    def declare(self, more: str = "", *, dsn: str | None = None, databases: str = '["shop"]', users: str = "") -> None:
        """Write the spec: the group ``readers``, the login ``bi`` in it, one grant."""
        self.run.spec.write_text(
            f"""
version = 1
[primary]
dsn = "{dsn or self.dsn()}"
[roles.readers]
[users.bi]
member_of = ["readers"]
secret = "file:bi.password"
{users}
[[grants]]
to = "readers"
databases = {databases}
{more}
""",
            encoding="utf-8",
        )

    def sql(self, script: str, database: str = "shop", variables: Mapping[str, str] | None = None) -> str:
        """What the superuser's psql prints."""
        return self.server.psql(script, dbname=database, variables=variables)

    @contextmanager
    def session(self, database: str = "shop", **parameters: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        """A session of the superuser, or of whom `parameters` name."""
        where = conninfo.make_conninfo("", **{**self.superuser, "dbname": database, **parameters})
        with closing(psycopg.connect(where, autocommit=True)) as connection:
            yield connection

    @contextmanager
    def as_user(
        self, user: str = "bi", database: str = "shop", **parameters: str
    ) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        """A session of a login that a run has made, with the password that it has stored."""
        password = (self.run.directory / f"{user}.password").read_text(encoding="utf-8").strip()
        tls = {"sslmode": "verify-full", "sslrootcert": str(self.server.bundle)}
        with self.session(database, user=user, password=password, **tls, **parameters) as connection:
            yield connection

    @contextmanager
    def busy(self, database: str) -> Iterator[None]:
        """Another run is at work in `database` until the end of the block."""
        with self.session(database) as connection:
            connection.execute("SELECT pg_advisory_lock(%s, 0)", [LOCK_FAMILY])
            yield

    def facts(self) -> list[str]:
        return facts(self.superuser, verifiers=True)

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Nothing on the server is another way after the block than it was before."""
        before = self.facts()
        yield
        assert self.facts() == before

    def forget_readers(self, *roles: str) -> None:
        """Drop the roles that a test's run has made, in every database."""
        with self.session("postgres") as session:
            found = session.execute(
                "SELECT rolname FROM pg_roles WHERE rolname = ANY (%s)", [["readers", "bi", *roles]]
            )
            names = [sql.Identifier(str(name)) for (name,) in found]
            if not names:
                return
            for (database,) in session.execute("SELECT datname FROM pg_database WHERE datallowconn"):
                with self.session(str(database)) as there:
                    for name in names:  # one by one: the server stumbles over default privileges of one for another
                        there.execute(sql.SQL("DROP OWNED BY {}").format(name))
            session.execute(sql.SQL("DROP ROLE {}").format(sql.SQL(", ").join(names)))


@pytest.fixture
def run(nursery: Nursery, tmp_path: Path) -> Program:
    """The program in an empty directory."""
    return Program(nursery, tmp_path, {})


@pytest.fixture(scope="session")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    directory = tmp_path_factory.mktemp("production")
    certificate = issue(create_authority(directory / "authority"), directory / "certificate")
    server = PostgresServer.create(
        find_installation(),
        directory / "server",
        superuser=rds_like.SUPERUSER,
        superuser_password=secrets.token_urlsafe(),
        certificate=certificate,
        settings={**rds_like.settings(tls=True), "log_statement": "all"},
        tied=True,
    )
    password = secrets.token_urlsafe()
    rds_like.make_rds_like(server, master=MASTER, password=password)
    server.psql(WORLD)
    make_logins_cheap(server, {server.superuser: server.superuser_password, MASTER: password})
    yield Production(server, password, certificate)
    server.remove()


@pytest.fixture
def shop(production: Production, nursery: Nursery, tmp_path: Path) -> Iterator[Shop]:
    run = Program(nursery, tmp_path, {"PGPASSWORD": production.password})
    shop = Shop(production.server, run, production.password)
    shop.declare()
    yield shop
    shop.forget_readers()

"""Real servers to test with: a primary and a streaming replica of every major found, shared by all tests of a session.

Tests keep out of each other's way by names: ``make_database`` and ``make_role`` give names that no other test has, and
what they made goes with the test. The servers end with the session, also when it is killed.
"""

from __future__ import annotations

import itertools
import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from replica_access.sandbox import rds_like
from replica_access.sandbox.binaries import Installation, find_installations
from replica_access.sandbox.certificates import Authority, create_authority, issue
from replica_access.sandbox.process import polls
from replica_access.sandbox.server import PostgresServer

from ..cheap_logins import make_logins_cheap
from .world import SCRIPT, World

prefixes = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Admin:
    """Who changes the primary: a superuser, or the master user of RDS, who is not one."""

    kind: Literal["superuser", "rds"]
    name: str
    password: str = field(repr=False)


ADMINS = {
    "superuser": Admin("superuser", "chief", secrets.token_urlsafe()),
    "rds": Admin("rds", "master", secrets.token_urlsafe()),
}


LITTLE_WAL = {"wal_keep_size": "48MB", "min_wal_size": "32MB", "max_wal_size": "96MB"}
"""Dozens of servers share a disk, or the memory. Their replicas keep up."""


class Pool:
    """The servers of this session, each made when it is first asked for."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.servers: dict[str, PostgresServer] = {}
        self.authority: Authority = create_authority(directory / "authority")

    def primary(self, installation: Installation) -> PostgresServer:
        name = f"primary{installation.major}"
        if name not in self.servers:
            self.servers[name] = PostgresServer.create(
                installation,
                self.directory / name,
                superuser=rds_like.SUPERUSER,
                superuser_password=secrets.token_urlsafe(),
                certificate=issue(self.authority, self.directory / "certificate") if installation.tls else None,
                settings={**rds_like.settings(tls=installation.tls), "log_statement": "all", **LITTLE_WAL},
                tied=True,
            )
            make_admins(self.servers[name])
        return self.servers[name]

    def replica(self, installation: Installation) -> PostgresServer:
        name = f"replica{installation.major}"
        if name not in self.servers:
            self.servers[name] = PostgresServer.create_replica(
                self.primary(installation),
                self.directory / name,
                certificate=issue(self.authority, self.directory / "certificate") if installation.tls else None,
                tied=True,
            )
        return self.servers[name]

    def remove(self) -> None:
        for server in reversed(self.servers.values()):
            server.remove()
        shutil.rmtree(self.directory)


def make_admins(server: PostgresServer) -> None:
    """Make both, and let their passwords be cheap to check: there are thousands of logins."""
    rds_like.make_rds_like(server, master=ADMINS["rds"].name, password=ADMINS["rds"].password)
    server.psql(
        """SET log_statement = 'none'; CREATE ROLE :"name" LOGIN SUPERUSER""",
        variables={"name": ADMINS["superuser"].name},
    )
    make_logins_cheap(
        server,
        {server.superuser: server.superuser_password, **{admin.name: admin.password for admin in ADMINS.values()}},
    )


@pytest.fixture(scope="session")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    pool = Pool(tmp_path_factory.mktemp("postgres"))
    yield pool
    pool.remove()


@pytest.fixture(scope="session", params=find_installations(), ids=lambda installation: f"pg{installation.major}")
def installation(request: pytest.FixtureRequest) -> Installation:
    """Every major that was found, one after the other."""
    found: Installation = request.param
    return found


@pytest.fixture(scope="session")
def primary(pool: Pool, installation: Installation) -> PostgresServer:
    """A primary with RDS's roles and both admins; every statement is logged."""
    return pool.primary(installation)


@pytest.fixture(scope="session")
def replica(pool: Pool, installation: Installation) -> PostgresServer:
    """A replica that streams from ``primary``."""
    return pool.replica(installation)


@pytest.fixture(params=list(ADMINS))
def admin(request: pytest.FixtureRequest) -> Admin:
    return ADMINS[request.param]


CLEAR = r"""
SELECT format('DROP DATABASE %I WITH (FORCE)', datname) FROM pg_database WHERE starts_with(datname, :'prefix') \gexec
SELECT format(statement, string_agg(quote_ident(rolname), ', '))
FROM pg_roles, unnest(ARRAY['DROP OWNED BY %s', 'DROP ROLE %s']) WITH ORDINALITY AS s (statement, place)
WHERE starts_with(rolname, :'prefix') GROUP BY statement, place ORDER BY place \gexec
"""


@pytest.fixture
def prefix(primary: PostgresServer) -> Iterator[str]:
    """What the names of this test's databases and roles begin with; they are dropped after it."""
    prefix = f"t{next(prefixes)}_"
    yield prefix
    primary.psql(CLEAR, variables={"prefix": prefix})


@pytest.fixture
def make_role(primary: PostgresServer, prefix: str) -> Callable[..., str]:
    """Make a role and give back its name: ``make_role("reader", "LOGIN", by=admin.name)``."""

    def make_role(name: str, attributes: str = "NOLOGIN", *, by: str = rds_like.SUPERUSER) -> str:
        primary.psql(
            f'SET SESSION AUTHORIZATION :"by"; CREATE ROLE :"name" {attributes}',
            variables={"by": by, "name": prefix + name},
        )
        return prefix + name

    return make_role


@pytest.fixture
def make_database(primary: PostgresServer, prefix: str) -> Callable[..., str]:
    """Make an empty database and give back its name: ``make_database("app", owner=admin.name)``."""

    def make_database(name: str = "db", *, owner: str = rds_like.SUPERUSER) -> str:
        primary.psql(
            'CREATE DATABASE :"name" OWNER :"owner" TEMPLATE template0 STRATEGY file_copy',
            variables={"name": prefix + name, "owner": owner},
        )
        return prefix + name

    return make_database


@pytest.fixture
def catch_up(primary: PostgresServer, replica: PostgresServer) -> Callable[[], None]:
    """Wait until the replica has replayed all that the primary has written."""

    def catch_up() -> None:
        lsn = primary.psql("SELECT pg_current_wal_insert_lsn()")
        for _ in polls(30):
            if replica.psql(f"SELECT pg_last_wal_replay_lsn() >= '{lsn}'") == "t":
                return
        raise AssertionError(f"the replica did not reach {lsn} within 30 seconds")

    return catch_up


@pytest.fixture
def logged(primary: PostgresServer) -> Callable[[], str]:
    """What the primary has logged since this test began, every statement included."""
    start = primary.log_path.stat().st_size

    def logged() -> str:
        with primary.log_path.open("rb") as log:
            log.seek(start)
            return log.read().decode()

    return logged


# In one script: starting psql and logging in takes longer than most statements.
WORLD = rf"""
SET SESSION AUTHORIZATION :"admin";
CREATE ROLE :"app_owner" NOLOGIN;
CREATE ROLE :"migrator" NOLOGIN;
RESET SESSION AUTHORIZATION;
CREATE DATABASE :"database" OWNER :"app_owner" TEMPLATE template0 STRATEGY file_copy;
REVOKE CONNECT ON DATABASE :"database" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"database" TO :"admin";
\connect :"database"
{SCRIPT}
"""


@pytest.fixture
def world(primary: PostgresServer, admin: Admin, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    app_owner, migrator, database = (prefix + name for name in ("app_owner", "migrator", "app"))
    primary.psql(
        WORLD,
        variables={"app_owner": app_owner, "migrator": migrator, "database": database, "admin": admin.name},
    )
    monkeypatch.setenv("PGPASSWORD", admin.password)
    dsn = f"host={primary.host} port={primary.port} user={admin.name}"
    if primary.bundle is not None:
        dsn += f" sslmode=verify-full sslrootcert={primary.bundle}"
    return World(primary, database, app_owner, migrator, prefix + "reader", prefix + "bi", dsn, tmp_path)

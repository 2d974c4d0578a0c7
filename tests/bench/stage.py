"""A primary full of privileges, by the sandbox's means, and who works on it."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from replica_access.sandbox import rds_like
from replica_access.sandbox.binaries import find_installation
from replica_access.sandbox.certificates import Authority, create_authority, issue
from replica_access.sandbox.configuration import conninfo
from replica_access.sandbox.server import PostgresServer

FIXTURE = Path(__file__).with_name("fixture.sql")
SIZES = {"S": (20, 50), "M": (100, 100), "L": (100, 1000)}
DATABASE = "app"
ADMIN = "master"
READER = "analytics"


@dataclass(frozen=True, slots=True)
class Stage:
    """A server with the fixture in it; the size is in schemas, and tables a schema.

    :param authority: issues certificates to further servers.
    """

    server: PostgresServer
    authority: Authority
    directory: Path
    schemas: int
    tables: int
    admin_password: str = field(repr=False)

    @property
    def relations(self) -> int:
        return 2 * self.schemas * self.tables

    @property
    def admin_environment(self) -> dict[str, str]:
        return {"PGPASSWORD": self.admin_password}

    @property
    def superuser_environment(self) -> dict[str, str]:
        return {"PGPASSWORD": self.server.superuser_password}

    def address(self, user: str) -> str:
        """A connection string without a password, over TLS that is verified; the bootstrap superuser has none."""
        where = {"host": self.server.host, "port": str(self.server.port), "user": user, "dbname": DATABASE}
        if user == self.server.superuser or self.server.bundle is None:
            return conninfo({**where, "sslmode": "disable"})
        return conninfo({**where, "sslmode": "verify-full", "sslrootcert": str(self.server.bundle)})

    def psql(self, sql: str, **variables: str) -> str:
        return self.server.psql(sql, dbname=DATABASE, variables=variables)

    def write_spec(self, name: str, text: str) -> Path:
        """Write a spec about this primary into a directory of its own, and return that."""
        home = self.directory / name
        home.mkdir()
        dsn = self.address(ADMIN).replace(f"dbname='{DATABASE}'", "dbname='postgres'")
        (home / "replica-access.toml").write_text(
            f"""version = 1
[primary]
dsn = "{dsn}"
{text}""",
            encoding="utf-8",
        )
        return home

    def make(self, *readers: str) -> None:
        """Make roles that may connect and nothing else, as the admin."""
        for reader in readers:
            sql = """SET SESSION AUTHORIZATION :"admin";
                     CREATE ROLE :"reader"; GRANT CONNECT ON DATABASE :"database" TO :"reader" """
            self.psql(sql, admin=ADMIN, reader=reader, database=DATABASE)

    def forget(self, *roles: str) -> None:
        """Drop roles with all they were granted."""
        for role in roles:
            if self.psql("SELECT pg_catalog.to_regrole(:'role') IS NOT NULL", role=role) == "t":
                self.psql('DROP OWNED BY :"role"; DROP ROLE :"role"', role=role)

    def tidy(self) -> None:
        """Leave the catalogs as small as they were, whatever was granted and forgotten since, and nothing to write."""
        for catalog in ("pg_class", "pg_namespace", "pg_default_acl", "pg_shdepend", "pg_database", "pg_authid"):
            self.psql(f"VACUUM (FULL, FREEZE, ANALYZE) pg_catalog.{catalog}")
        self.psql("CHECKPOINT")

    @contextmanager
    def logging(self) -> Iterator[Callable[[], str]]:
        """Have every statement of the admin logged with its duration; yields what returns the log since then."""
        self.psql('ALTER ROLE :"admin" SET log_min_duration_statement = 0', admin=ADMIN)
        start = self.server.log_path.stat().st_size

        def logged() -> str:
            with self.server.log_path.open("rb") as log:
                log.seek(start)
                return log.read().decode()

        try:
            yield logged
        finally:
            self.psql('ALTER ROLE :"admin" RESET log_min_duration_statement', admin=ADMIN)


@contextmanager
def opened(directory: Path, size: str) -> Iterator[Stage]:
    """Start a server in `directory` and fill it; it ends with the block, and with this process."""
    authority = create_authority(directory / "authority")
    server = PostgresServer.create(
        find_installation(),
        directory / "primary",
        superuser=rds_like.SUPERUSER,
        superuser_password=secrets.token_urlsafe(),
        certificate=issue(authority, directory / "certificate"),
        settings={
            **rds_like.settings(tls=True),
            "shared_buffers": "256MB",
            "autovacuum": "off",  # it would work at times of its own
            "max_wal_size": "8GB",
            "checkpoint_timeout": "1h",
        },
        tied=True,
    )
    try:
        schemas, tables = SIZES[size]
        stage = Stage(server, authority, directory, schemas, tables, secrets.token_urlsafe())
        print(f"filling a PostgreSQL {server.installation.version} with {stage.relations:,} relations", file=sys.stderr)
        rds_like.make_rds_like(server, master=ADMIN, password=stage.admin_password)
        server.psql('CREATE DATABASE :"name" OWNER :"owner"', variables={"name": DATABASE, "owner": ADMIN})
        script = FIXTURE.read_text(encoding="utf-8")
        stage.psql(script, admin=ADMIN, schemas=str(schemas), tables=str(tables))
        yield stage
    finally:
        server.remove()

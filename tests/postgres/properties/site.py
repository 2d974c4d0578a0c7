"""One server of the property tests: its databases stay, worlds come and go."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg

from replica_access.errors import Error
from replica_access.hosting import PlainHosting
from replica_access.model import Login, Plan, Request, Secret
from replica_access.outlook import Outlook, refuse_what_stands_in_the_way
from replica_access.postgres import planning, script
from replica_access.postgres.connect import connect
from replica_access.progress import SILENT
from replica_access.sandbox.server import PostgresServer
from replica_access.workflow import apply

from ..conftest import Admin
from . import building, oracle
from .wishes import Wish
from .worlds import DATABASES, World

ADDITIVE = Request()


class Hosting(PlainHosting):
    """Passwords in memory, and one server."""

    def __init__(self, wish: Wish, login: Login) -> None:
        super().__init__(wish.spec("host=localhost"))
        self.login = login
        self.passwords: dict[str, Secret] = {}

    def primary(self) -> Login:
        return self.login

    def password(self, user: str) -> Secret | None:
        return self.passwords.get(user)

    def store_password(self, user: str, password: Secret) -> None:
        self.passwords[user] = password

    def stored(self) -> frozenset[str]:
        return frozenset(self.passwords)


@dataclass(slots=True)
class Site:
    """A server, how the admin logs in, and connections that stay open: opening them is most of what a case costs."""

    server: PostgresServer
    admin: Admin
    connections: dict[tuple[str, str], psycopg.Connection[Any]] = field(default_factory=dict)

    @classmethod
    @contextmanager
    def opened(cls, server: PostgresServer, admin: Admin) -> Iterator[Site]:
        site = cls(server, admin)
        try:
            for database in DATABASES:
                server.psql(
                    'CREATE DATABASE :"name" TEMPLATE template0 STRATEGY file_copy', variables={"name": database}
                )
            for database in DATABASES:
                site.superuser(database).execute(
                    "CREATE FOREIGN DATA WRAPPER nowhere; CREATE SERVER elsewhere FOREIGN DATA WRAPPER nowhere"
                )
            yield site
        finally:
            for connection in site.connections.values():
                connection.close()
            for database in DATABASES:
                server.psql('DROP DATABASE IF EXISTS :"name" WITH (FORCE)', variables={"name": database})

    @property
    def major(self) -> int:
        return self.server.installation.major

    def login(self, user: str, password: str, database: str = "postgres") -> Login:
        tls = {"sslmode": "verify-full", "sslrootcert": str(self.server.bundle)} if self.server.bundle else {}
        where = {"host": self.server.host, "port": str(self.server.port), "user": user}
        return Login(self.server.host, where | tls, database, Secret(password))

    def superuser(self, database: str) -> psycopg.Connection[Any]:
        if ("", database) not in self.connections:
            login = Login("", {"host": self.server.host, "port": str(self.server.port),
                               "user": self.server.superuser, "sslmode": "disable"},
                          database, Secret(self.server.superuser_password))  # fmt: skip
            self.connections["", database] = connect(login)
        return self.connections["", database]

    def as_admin(self, database: str) -> psycopg.Connection[Any]:
        """A session of the admin, opened while it might still connect."""
        if ("admin", database) not in self.connections:
            self.connections["admin", database] = connect(self.login(self.admin.name, self.admin.password, database))
        return self.connections["admin", database]

    # --- worlds --------------------------------------------------------------------------------------------------

    @contextmanager
    def holding(self, world: World, wish: Wish) -> Iterator[None]:
        for database in ("postgres", *DATABASES):
            self.as_admin(database)
        names = sorted({role.name for role in world.roles} | wish.names)
        try:
            self._run("postgres", building.shared(world, self.major))
            for made in world.databases:
                self._run(made.name, building.inside(made))
            yield
        finally:
            self.clear(world.admin, names)

    def clear(self, admin: str, names: Sequence[str]) -> None:
        """Take away all schemas, and the roles of these names."""
        roles = self._names(b"SELECT rolname FROM pg_catalog.pg_roles WHERE rolname = ANY (%(names)s)", names=names)
        self._run("postgres", building.cleared_databases(admin, DATABASES, roles))
        for database in DATABASES:
            schemas = self._names(
                b"SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname !~ '^(pg_|information_schema$)'", database
            )
            self._run(database, building.cleared_inside(schemas, roles))
        self._run("postgres", building.cleared_roles(admin, roles))

    def _names(self, query: bytes, database: str = "postgres", **parameters: Any) -> list[str]:
        return [name for (name,) in self.superuser(database).execute(query, parameters)]

    def _run(self, database: str, statements: Iterator[str]) -> None:
        self.superuser(database).execute(";\n".join(statements).encode())

    # --- the tool ------------------------------------------------------------------------------------------------

    def hosting(self, world: World, wish: Wish) -> Hosting:
        """Where the passwords of logins that exist already are known."""
        hosting = Hosting(wish, self.login(self.admin.name, self.admin.password))
        for reader in wish.logins():
            role = world.role(reader.name)
            if role is not None and role.login:
                hosting.store_password(reader.name, Secret(building.PASSWORD))
        return hosting

    def look(self, hosting: Hosting, request: Request = ADDITIVE) -> Outlook:
        found, plan = planning.plan_cluster(self.as_admin("postgres"), hosting.spec, hosting.stored(), request)
        databases: Mapping[str, Plan] = {
            database: planning.unreachable(found, database)
            or planning.plan_database(self.as_admin(database), found, database)
            for database in found.databases
        }
        return Outlook((), cluster=plan, databases=databases, request=request)

    def apply(self, hosting: Hosting, outlook: Outlook) -> None:
        """Carry out what was looked at; objects that are blocked are left out.

        :raises Error: as the tool does.
        """
        refuse_what_stands_in_the_way(outlook, skip_blocked=True)
        allowed = outlook.allowed()
        applied = apply(hosting.spec, hosting, allowed, SILENT, confirmed=True)
        if applied.error is not None:
            raise applied.error
        assert sorted(change.id for change in applied.changes) == sorted(change.id for change in allowed.plan.changes)

    def undo(self, plan: Plan) -> None:
        """Run the undo script with psql, as the admin."""
        login = self.login(self.admin.name, self.admin.password)
        ended = subprocess.run(
            [self.server.installation.tool("psql"), "-X", "-q", "-d", psycopg.conninfo.make_conninfo(
                **login.parameters, dbname="postgres"), "-f", "-"],
            input=script.render_undo(plan, "postgres"),
            env=self.server.installation.environment() | {"PGPASSWORD": self.admin.password},
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
        if ended.returncode != 0 or ended.stderr:
            raise Error(ended.stderr)

    def snapshot(self, world: World) -> Mapping[str, frozenset[oracle.Entry]]:
        """Return roles, memberships and every ACL, by database; what is shared under the empty name."""
        found = {database.name: oracle.entries(self.superuser(database.name)) for database in world.databases}
        return found | {"": oracle.shared_entries(self.superuser("postgres"))}

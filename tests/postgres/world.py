"""A database as other people left it, and the tool let loose on it: what the tests of the engine share."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psycopg

from replica_access import workflow
from replica_access.model import Change, Plan, Request
from replica_access.outlook import Applied, Outlook, refuse_what_stands_in_the_way
from replica_access.postgres import script
from replica_access.progress import SILENT, Progress
from replica_access.sandbox.server import PostgresServer
from replica_access.spec import Spec, parse

from ..cli.catalogs import facts

ADDITIVE = Request()
REVOKING = Request(allow_revoke=True)

SCRIPT = (Path(__file__).parent / "world.sql").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class World:
    """One database of one primary, two creators, and a spec about them."""

    primary: PostgresServer
    database: str
    app_owner: str
    migrator: str
    reader: str
    user: str
    dsn: str
    directory: Path

    def spec(self, **replaced: str) -> Spec:
        return parse(self.spec_text(**replaced))

    def spec_text(self, **replaced: str) -> str:
        values = {
            "schemas": '["*"]',
            "exclude": '["vault", "leasing.password_*"]',
            "creators": '"auto"',
            "privileges": '["read"]',
            "databases": f'["{self.database}"]',
            "user": "connection_limit = 20\nsettings = { statement_timeout = '15min' }",
            "replica": "",
        } | replaced
        return f"""
            version = 1
            [primary]
            dsn = "{self.dsn}"
            {values["replica"]}
            [roles.{self.reader}]
            comment = "it's 100% read"
            [users.{self.user}]
            member_of = ["{self.reader}"]
            secret = "file:{self.directory}/password"
            {values["user"]}
            [[grants]]
            to = "{self.reader}"
            databases = {values["databases"]}
            schemas = {values["schemas"]}
            exclude = {values["exclude"]}
            creators = {values["creators"]}
            privileges = {values["privileges"]}
        """

    def dsn_of(self, server: PostgresServer) -> str:
        """How the admin reaches `server`, a replica of the primary."""
        return self.dsn.replace(f"port={self.primary.port}", f"port={server.port}")

    def look(self, spec: Spec | None = None, request: Request = ADDITIVE) -> Outlook:
        spec = spec or self.spec()
        return workflow.look(spec, workflow.host(spec), SILENT, request)

    def plan(self, spec: Spec | None = None, request: Request = ADDITIVE) -> Plan:
        outlook = self.look(spec, request)
        problems = [check for check in outlook.problems if check.name == "primary"]
        assert not problems, problems
        return outlook.plan

    def apply(
        self,
        spec: Spec | None = None,
        request: Request = ADDITIVE,
        *,
        skip_blocked: bool = False,
        confirmed: bool = False,
        progress: Progress = SILENT,
    ) -> Applied:
        spec = spec or self.spec()
        outlook = self.look(spec, request).allowed()
        refuse_what_stands_in_the_way(outlook, skip_blocked=skip_blocked)
        applied = workflow.apply(spec, workflow.host(spec), outlook, progress, confirmed=confirmed)
        if applied.error is not None:
            raise applied.error
        return applied

    def run(self, *arguments: str, **replaced: str) -> subprocess.CompletedProcess[str]:
        """Run the program, as a person would, on this world's spec."""
        (self.directory / "replica-access.toml").write_text(self.spec_text(**replaced), encoding="utf-8")
        command = [sys.executable, "-m", "replica_access", *arguments]
        return subprocess.run(command, cwd=self.directory, capture_output=True, text=True, check=False)

    def undo(self, plan: Plan) -> None:
        """Run the undo script of `plan` with psql, as the admin; it must not even warn."""
        ended = subprocess.run(
            [self.primary.installation.tool("psql"), "-X", "-q", "-d", f"{self.dsn} dbname=postgres", "-f", "-"],
            input=script.render_undo(plan, "postgres"),
            env=os.environ | self.primary.installation.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert (ended.returncode, ended.stderr) == (0, "")

    def facts(self) -> list[str]:
        """Everything about roles and privileges in this database and in none; see tests.cli.catalogs."""
        server = self.primary
        where = {"host": server.host, "port": str(server.port), "user": server.superuser, "sslmode": "disable"}
        found = facts(where | {"password": server.superuser_password}, verifiers=True)
        return [fact for fact in found if fact.startswith(("shared: ", f"{self.database}: "))]

    def sabotage(self, sql: str) -> None:
        names = {"app_owner": self.app_owner, "migrator": self.migrator, "reader": self.reader, "user": self.user}
        self.primary.psql(sql, dbname=self.database, variables={**names, "database": self.database})

    def as_user(
        self, server: PostgresServer | None = None, database: str | None = None
    ) -> psycopg.Connection[tuple[object, ...]]:
        """A connection as the login that the tool made, with the password that it stored."""
        password = (self.directory / "password").read_text(encoding="utf-8").strip()
        server = server or self.primary
        dsn = server.dsn(user=self.user, password=password, dbname=database or self.database)
        return psycopg.connect(dsn, autocommit=True)


def sql_of(changes: tuple[Change, ...]) -> list[str]:
    return [statement for change in changes for statement in change.sql]

"""The role that `export sql --for audit` makes: it sees all that the admin sees, reads no table and changes nothing."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import replace

import psycopg
import pytest

from replica_access import exporting, workflow
from replica_access.findings import Audit, Finding
from replica_access.names import shown
from replica_access.postgres import script
from replica_access.progress import SILENT
from replica_access.sandbox.server import PostgresServer
from replica_access.spec import Spec

from .pinned import RDS
from .test_audit_rules import audit
from .test_audit_servers import spec_with
from .world import World

PASSWORD = "the auditor's"
WRONG = """
GRANT INSERT ON leasing.lease TO :"reader"; ALTER ROLE :"user" CREATEDB; REVOKE SELECT ON leasing.lease FROM :"reader";
SELECT lo_create(4711); GRANT UPDATE ON LARGE OBJECT 4711 TO :"reader"
"""
CAN_DO = """
SELECT count(*)
  FROM pg_class
 WHERE relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
   AND CASE WHEN relkind = 'S' THEN has_sequence_privilege(oid, 'USAGE, SELECT, UPDATE')
            WHEN relkind IN ('r', 'p', 'v', 'm', 'f')
            THEN has_table_privilege(oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
              OR has_any_column_privilege(oid, 'SELECT, INSERT, UPDATE, REFERENCES')
       END
"""


@RDS
def test_the_auditor_sees_what_the_admin_sees_and_can_do_nothing(
    world: World, primary: PostgresServer, replica: PostgresServer, catch_up: Callable[[], None], prefix: str
) -> None:
    name = f'{prefix}who \'"audits"'
    world.apply()
    for _ in range(2):
        run_script(world, name)
    primary.psql("ALTER ROLE :\"name\" PASSWORD :'password'", variables={"name": name, "password": PASSWORD})
    world.sabotage(WRONG)
    expected = {"excess-write", "excess-attribute", "excess-large-object", "lack-missing"}
    themselves = {shown(name)}
    if primary.installation.major >= 16:
        world.sabotage("CREATE TABLE leasing.of_the_superuser ()")
        expected.add("lack-blocked")
    else:  # nothing tells the auditor who made the readers, and may not grant on what a superuser owns
        themselves.add("master")
    catch_up()
    as_admin, as_auditor = both(world, replica, name)
    assert as_admin.not_checked == as_auditor.not_checked == ()
    assert expected <= {each.rule for each in as_admin.findings}
    assert said(as_auditor, themselves) == said(as_admin, themselves)
    with psycopg.connect(primary.dsn(user=name, password=PASSWORD, dbname=world.database), autocommit=True) as session:
        assert session.execute(CAN_DO).fetchone() == (0,)
        assert session.execute("SELECT count(*) FROM pg_roles WHERE pg_has_role(oid, 'MEMBER')").fetchone() == (1,)
        session.execute("SET default_transaction_read_only = off")
        for statement in ("TABLE leasing.lease", "CREATE TABLE leasing.mine ()", "CREATE SCHEMA mine"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                session.execute(statement.encode())


def run_script(world: World, name: str) -> None:
    """Run it with psql as the admin; it must not even warn."""
    outlook = exporting.auditor(world.spec(), workflow.host(world.spec()), SILENT, name)
    assert not outlook.cluster.blocked
    ended = subprocess.run(
        [world.primary.installation.tool("psql"), "-X", "-q", "-d", f"{world.dsn} dbname=postgres", "-f", "-"],
        input=script.render_set_up(outlook.plan, "postgres", [name], "the auditor"),
        env=os.environ | world.primary.installation.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def both(world: World, replica: PostgresServer, name: str) -> tuple[Audit, Audit]:
    """The audit of primary and replica as the admin, and as the auditor."""
    spec = spec_with(world, replica)
    as_admin = audit(world, spec)
    os.environ["PGPASSWORD"] = PASSWORD  # the fixture of the world puts it back
    return as_admin, audit(world, theirs(world, spec, name))


def theirs(world: World, spec: Spec, name: str) -> Spec:
    admin = world.dsn.split("user=")[1].split()[0]

    def of(dsn: str | None) -> str:
        escaped = name.replace("'", r"\'")
        return (dsn or "").replace(f"user={admin}", f"user='{escaped}'")

    assert spec.replica is not None
    dsns = tuple(map(of, spec.replica.dsn or ()))
    return spec.model_copy(
        update={
            "primary": spec.primary.model_copy(update={"dsn": of(spec.primary.dsn)}),
            "replica": spec.replica.model_copy(update={"dsn": dsns}),
        }
    )


def said(told: Audit, themselves: set[str]) -> set[Finding]:
    """All of it but that these are no users of the spec; and the server's own words name who knocked."""
    return {
        replace(each, evidence="" if each.rule == "network-plain" else each.evidence)
        for each in told.findings
        if each.rule != "login-undeclared" or each.subject not in themselves
    }

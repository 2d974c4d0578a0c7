"""The proof on real pairs: green where all is as declared; one thing sabotaged, and exactly that fails."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from ipaddress import ip_network
from itertools import count
from pathlib import Path
from typing import Any, get_args

import psycopg
import pytest

from replica_access.desired import UserAccess, from_spec
from replica_access.errors import ConnectionFailed, WrongServer
from replica_access.model import Login, Oid, Proof, ProofCheck, Secret
from replica_access.postgres import fingerprint, probes, reading
from replica_access.postgres.connect import connect, run
from replica_access.postgres.propagation import Replay, wait_for_replay
from replica_access.postgres.prove import NotChecked, prove
from replica_access.postgres.reading import Relation
from replica_access.postgres.statements import quoted
from replica_access.progress import SILENT, Progress, Silent
from replica_access.sandbox.binaries import find_installations
from replica_access.sandbox.hba import hba_lines
from replica_access.sandbox.process import polls
from replica_access.sandbox.server import PostgresServer
from replica_access.spec import parse

from .conftest import ADMINS, Admin

SCRIPT = (Path(__file__).parent / "proof_world.sql").read_text(encoding="utf-8")
PASSWORD = "correct horse"


def login(server: PostgresServer, user: str, password: str) -> Login:
    tls = {"sslmode": "verify-full", "sslrootcert": str(server.bundle)} if server.bundle else {}
    where = {"host": server.host, "port": str(server.port), "user": user}
    return Login(server.directory.name, where | tls, password=Secret(password))


@dataclass(frozen=True, slots=True)
class Site:
    """A granted database and one that is not, a group, its user, and how everybody logs in."""

    primary: PostgresServer
    replica: PostgresServer
    admin: Admin = ADMINS["rds"]
    database = 'proof "gran.ted" % 🏠'
    other = "proof other"
    owner = "proof_owner"
    group = "proof group %s 🏠"
    user = 'proof us"er.x'

    def sql(self, sql: str, database: str | None = None) -> None:
        """Run SQL on the primary as its superuser, with names such as ``{group}`` filled in."""
        names = {name: quoted(getattr(self, name)) for name in ("database", "other", "owner", "group", "user")}
        with connect(self.superuser_login(), database=database or self.database) as connection:
            run(connection, sql.format(admin=quoted(self.admin.name), **names))

    @contextmanager
    def sabotaged(self, sql: str, undo: str, database: str | None = None) -> Iterator[None]:
        self.sql(sql, database)
        try:
            yield
        finally:
            self.sql(undo, database)

    def access(self, *excluded: str) -> UserAccess:
        spec = parse(f"""
            version = 1
            primary = {{ dsn = "host=primary" }}
            roles.group = {{}}
            users.user = {{ member_of = ["group"], secret = "file:none" }}
            [[grants]]
            to = "group"
            databases = ["granted"]
            schemas = ["*"]
            exclude = {["vault", "leasing.password_*", *excluded]}
        """)
        (access,) = from_spec(spec, ["granted"]).users
        return UserAccess(
            self.user, {self.database: tuple(replace(r, reader=self.group) for r in access.rules["granted"])}
        )

    def superuser_login(self) -> Login:
        where = {"host": self.primary.host, "port": str(self.primary.port), "user": self.primary.superuser}
        return Login("", where | {"sslmode": "disable"}, password=Secret(self.primary.superuser_password))

    def admin_login(self, server: PostgresServer) -> Login:
        return login(server, self.admin.name, self.admin.password)

    def user_login(self) -> Login:
        return login(self.replica, self.user, PASSWORD)

    def prove(
        self,
        *,
        primary: Login | None = None,
        replica: Login | None = None,
        access: UserAccess | None = None,
        logins: Mapping[str, Login | NotChecked] | None = None,
        progress: Progress = SILENT,
        deadline_s: float = 20,
    ) -> Proof:
        return prove(
            primary=primary or self.admin_login(self.primary),
            replica=replica or self.admin_login(self.replica),
            access=[access or self.access()],
            logins={self.user: self.user_login()} if logins is None else logins,
            progress=progress,
            deadline_s=deadline_s,
        )


@pytest.fixture(scope="module")
def site(primary: PostgresServer, replica: PostgresServer) -> Iterator[Site]:
    site = Site(primary, replica)
    for statement in (
        "CREATE ROLE {owner}",
        "CREATE ROLE {group}",
        "CREATE ROLE {user} LOGIN PASSWORD '" + PASSWORD + "'",
        "CREATE DATABASE {database} TEMPLATE template0 STRATEGY file_copy",
        "CREATE DATABASE {other} TEMPLATE template0 STRATEGY file_copy",
        "REVOKE CONNECT, TEMPORARY ON DATABASE {other} FROM PUBLIC",
    ):
        site.sql(statement, "postgres")
    site.sql(SCRIPT)
    yield site
    site.sql("DROP DATABASE {database} WITH (FORCE)", "postgres")
    site.sql("DROP DATABASE {other} WITH (FORCE)", "postgres")
    site.sql("DROP ROLE {owner}, {group}, {user}", "postgres")


def failed(proof: Proof) -> set[str]:
    return {check.name for check in proof.checks if not check.ok}


def the(proof: Proof, name: str, database: str | None = None) -> ProofCheck:
    (found,) = [c for c in proof.checks if c.name == name and (database is None or c.database == database)]
    return found


def test_everything_as_declared(site: Site, admin: Admin) -> None:
    with site.sabotaged(
        f'GRANT CONNECT ON DATABASE {{database}} TO "{admin.name}"',
        f'REVOKE CONNECT ON DATABASE {{database}} FROM "{admin.name}"' if admin != site.admin else "",
    ):
        proof = replace(site, admin=admin).prove()
    assert failed(proof) == set()
    assert proof.ok
    assert proof.same_system
    assert proof.in_recovery
    assert proof.catalogs_match
    without = {"session", "executable"} | (set() if site.replica.tls else {"tls", "tls_required"})
    assert {c.name for c in proof.checks} == {"replayed", "catalogs", *get_args(probes.Name)} - without
    assert "12 relations readable; granted, but nobody can read: leasing.remote (" in the(proof, "readable").detail
    assert the(proof, "refused").detail.endswith(": 3 relations refused")
    assert the(proof, "schema_usable").detail.endswith(": 3 schemas usable")
    assert the(proof, "schemas_refused").detail.endswith(": 1 schema refused")
    assert "25006" in the(proof, "insert_refused").detail
    assert the(proof, "database_not_granted", site.other).detail.endswith(": refused")
    assert the(proof, "database_not_granted", "rdsadmin").detail.endswith(": refused")
    assert "nothing to read" in the(proof, "database_not_granted", "postgres").detail


def test_functions_and_types_that_should_be_usable_are_asked_for(site: Site) -> None:
    reading = site.access()
    rules = {database: tuple(replace(r, execute=True) for r in rules) for database, rules in reading.rules.items()}
    with site.sabotaged(
        "CREATE FUNCTION leasing.answer(a int, OUT b text) LANGUAGE sql AS 'SELECT 1::text';"
        " CREATE TYPE leasing.mood AS ENUM (); CREATE FUNCTION vault.open() RETURNS int LANGUAGE sql AS 'SELECT 1';"
        " REVOKE ALL ON FUNCTION leasing.answer, vault.open FROM PUBLIC",
        "DROP FUNCTION leasing.answer, vault.open; DROP TYPE leasing.mood",
    ):
        assert failed(site.prove()) == set()
        proof = site.prove(access=replace(reading, rules=rules))
        assert failed(proof) == {"executable"}
        assert the(proof, "executable").detail.endswith("may not use leasing.answer(integer)")
        site.sql("GRANT EXECUTE ON FUNCTION leasing.answer TO {group}")
        proof = site.prove(access=replace(reading, rules=rules))
        assert failed(proof) == set()
        assert the(proof, "executable").detail.endswith(": 2 functions, procedures and types usable")


def test_an_excluded_column_is_refused_and_the_others_are_read(site: Site) -> None:
    access = site.access("leasing.lease.tenant")
    with site.sabotaged(
        "REVOKE SELECT ON leasing.lease FROM {group}; GRANT SELECT (id) ON leasing.lease TO {group}",
        "GRANT SELECT ON leasing.lease TO {group}; REVOKE SELECT (id) ON leasing.lease FROM {group};"
        " GRANT SELECT ON leasing.lease TO {group}",
    ):
        proof = site.prove(access=access)
        assert failed(proof) == set()
        assert the(proof, "refused").detail.endswith(": 4 relations refused")
        with site.sabotaged(
            "GRANT SELECT (tenant) ON leasing.lease TO PUBLIC", "REVOKE SELECT (tenant) ON leasing.lease FROM PUBLIC"
        ):
            proof = site.prove(access=access)
            assert failed(proof) == {"refused"}
            assert "leasing.lease.tenant (through " in the(proof, "refused").detail
    assert "refused" in failed(site.prove(access=access))


SABOTAGES: dict[str, tuple[str, str, set[str], str]] = {
    "a table revoked": (
        "REVOKE SELECT ON leasing.lease FROM {group}",
        "GRANT SELECT ON leasing.lease TO {group}",
        {"readable"},
        "1 of 13 relations cannot be read: leasing.lease (permission denied for table lease)",
    ),
    "a sequence revoked": (
        "REVOKE SELECT ON leasing.invoice_number FROM {group}",
        "GRANT SELECT ON leasing.invoice_number TO {group}",
        {"readable"},
        "leasing.invoice_number (permission denied for sequence invoice_number)",
    ),
    "an odd name revoked": (
        'REVOKE SELECT ON "Odd.Schema ""x"" %".".\n" FROM {group}',
        'GRANT SELECT ON "Odd.Schema ""x"" %".".\n" TO {group}',
        {"readable"},
        '"Odd.Schema ""x"" %".".\\n" (permission denied for table .\\n)',
    ),
    "all columns but one": (
        "REVOKE SELECT ON leasing.lease FROM {group}; GRANT SELECT (id) ON leasing.lease TO {group}",
        "REVOKE SELECT (id) ON leasing.lease FROM {group}; GRANT SELECT ON leasing.lease TO {group}",
        {"readable"},
        "leasing.lease (permission denied for table lease)",
    ),
    "a schema revoked": (
        'REVOKE USAGE ON SCHEMA "Odd.Schema ""x"" %" FROM {group}',
        'GRANT USAGE ON SCHEMA "Odd.Schema ""x"" %" TO {group}',
        {"readable", "schema_usable"},
        '3 of 13 relations cannot be read: "Odd.Schema ""x"" %".',
    ),
    "a table for everybody": (
        "GRANT SELECT ON leasing.password_reset TO PUBLIC",
        "REVOKE SELECT ON leasing.password_reset FROM PUBLIC",
        {"refused"},
        "1 of 3 relations not refused: leasing.password_reset (through PUBLIC)",
    ),
    "a column too many": (
        "GRANT SELECT (token) ON leasing.password_reset TO {group}",
        "REVOKE SELECT (token) ON leasing.password_reset FROM {group}",
        {"refused"},
        'leasing.password_reset (through "{group}")',
    ),
    "a foreign table too many": (
        "GRANT SELECT ON leasing.password_remote TO {group}",
        "REVOKE SELECT ON leasing.password_remote FROM {group}",
        {"refused"},
        'leasing.password_remote (through "{group}")',
    ),
    "a role that reads everything": (
        "GRANT pg_read_all_data TO {group}",
        "REVOKE pg_read_all_data FROM {group}",
        {"refused", "schemas_refused"},
        "vault.keys (through pg_read_all_data)",
    ),
    "ownership": (
        "ALTER TABLE leasing.password_reset OWNER TO {group}",
        "ALTER TABLE leasing.password_reset OWNER TO {owner}",
        {"refused", "no_write_privileges"},
        "leasing.password_reset (through being its owner",
    ),
    "a schema too many": (
        "GRANT USAGE ON SCHEMA vault TO {group}",
        "REVOKE USAGE ON SCHEMA vault FROM {group}",
        {"schemas_refused"},
        "usable, and not meant to be: vault",
    ),
    "a schema open to everybody": (
        "GRANT USAGE ON SCHEMA vault TO PUBLIC; GRANT SELECT ON vault.keys TO PUBLIC",
        "REVOKE USAGE ON SCHEMA vault FROM PUBLIC; REVOKE SELECT ON vault.keys FROM PUBLIC",
        {"schemas_refused", "refused"},
        "vault.keys (through PUBLIC)",
    ),
    "INSERT": (
        "GRANT INSERT ON leasing.lease TO {group}",
        "REVOKE INSERT ON leasing.lease FROM {group}",
        {"no_write_privileges"},
        "1 object can be written to on the primary: leasing.lease (INSERT)",
    ),
    "UPDATE of a column": (
        "GRANT UPDATE (tenant) ON leasing.lease TO {user}",
        "REVOKE UPDATE (tenant) ON leasing.lease FROM {user}",
        {"no_write_privileges"},
        "leasing.lease (UPDATE)",
    ),
    "nextval": (
        "GRANT USAGE ON SEQUENCE leasing.invoice_number TO {group}",
        "REVOKE USAGE ON SEQUENCE leasing.invoice_number FROM {group}",
        {"no_write_privileges"},
        "leasing.invoice_number (USAGE)",
    ),
    "CREATE in a schema": (
        "GRANT CREATE ON SCHEMA leasing TO {group}",
        "REVOKE CREATE ON SCHEMA leasing FROM {group}",
        {"no_write_privileges"},
        "schema leasing (CREATE)",
    ),
    "CREATE in the database": (
        "GRANT CREATE ON DATABASE {database} TO {group}",
        "REVOKE CREATE ON DATABASE {database} FROM {group}",
        {"no_write_privileges"},
        '🏠" (CREATE)',
    ),
    "another database for everybody": (
        "GRANT CONNECT ON DATABASE {other} TO PUBLIC",
        "REVOKE CONNECT ON DATABASE {other} FROM PUBLIC",
        {"database_not_granted"},
        'is let in; REVOKE CONNECT ON DATABASE "proof other" FROM PUBLIC',
    ),
    "another database for the group": (
        "GRANT CONNECT ON DATABASE {other} TO {group}",
        "REVOKE CONNECT ON DATABASE {other} FROM {group}",
        {"database_not_granted"},
        'is let in; REVOKE CONNECT ON DATABASE "proof other" FROM PUBLIC',
    ),
    "CONNECT revoked": (
        "REVOKE CONNECT ON DATABASE {database} FROM {group}",
        "GRANT CONNECT ON DATABASE {database} TO {group}",
        {"login"},
        "permission denied for database",
    ),
    "NOLOGIN": (
        "ALTER ROLE {user} NOLOGIN",
        "ALTER ROLE {user} LOGIN",
        {"login"},
        "is not permitted to log in",
    ),
    "another password": (
        "ALTER ROLE {user} PASSWORD 'another'",
        f"ALTER ROLE {{user}} PASSWORD '{PASSWORD}'",
        {"login"},
        "password authentication failed",
    ),
    "the membership": (
        "REVOKE {group} FROM {user}; GRANT CONNECT ON DATABASE {database} TO {user}",
        "GRANT {group} TO {user}; REVOKE CONNECT ON DATABASE {database} FROM {user}",
        {"readable", "schema_usable"},
        "13 of 13 relations cannot be read",
    ),
    "a view that asks on behalf of its reader": (
        "CREATE VIEW leasing.asks WITH (security_invoker) AS TABLE vault.keys; GRANT SELECT ON leasing.asks TO {group}",
        "DROP VIEW leasing.asks",
        {"readable"},
        "leasing.asks (permission denied for table keys)",
    ),
}


@pytest.mark.parametrize("sabotage", list(SABOTAGES))
def test_what_is_sabotaged_fails_and_nothing_else(site: Site, sabotage: str) -> None:
    sql, undo, names, detail = SABOTAGES[sabotage]
    with site.sabotaged(sql, undo):
        proof = site.prove()
    assert failed(proof) == names
    assert not proof.ok
    assert detail.format(group=site.group) in "\n".join(c.detail for c in proof.checks if not c.ok)


def test_what_an_extension_lets_everybody_read(site: Site) -> None:
    with site.sabotaged(
        "CREATE VIEW vault.brought AS SELECT 1; GRANT SELECT ON vault.brought TO PUBLIC;"
        "GRANT USAGE ON SCHEMA vault TO PUBLIC; ALTER EXTENSION plpgsql ADD VIEW vault.brought",
        "ALTER EXTENSION plpgsql DROP VIEW vault.brought; DROP VIEW vault.brought;"
        "REVOKE USAGE ON SCHEMA vault FROM PUBLIC",
    ):
        proof = site.prove()
    assert failed(proof) == set()
    assert "3 relations refused; extensions let everybody read: vault.brought" in the(proof, "refused").detail
    assert "usable through PUBLIC, with nothing to read: vault" in the(proof, "schemas_refused").detail


def test_a_database_with_the_default_acl_and_something_to_read(site: Site, make_database: Callable[..., str]) -> None:
    open_to_all = make_database("default")
    site.sql("CREATE SCHEMA shop; CREATE TABLE shop.orders (); GRANT USAGE ON SCHEMA shop TO PUBLIC", open_to_all)
    assert "finds nothing to read" in the(site.prove(), "database_not_granted", open_to_all).detail
    site.sql(
        "GRANT CREATE ON DATABASE {0} TO PUBLIC; REVOKE CREATE ON DATABASE {0} FROM PUBLIC".format(f'"{open_to_all}"')
    )
    assert "finds nothing to read" in the(site.prove(), "database_not_granted", open_to_all).detail  # but spelled out
    site.sql("GRANT SELECT ON shop.orders TO PUBLIC", open_to_all)
    proof = site.prove()
    assert failed(proof) == {"database_not_granted"}
    assert "1 relation can be read: shop.orders" in the(proof, "database_not_granted", open_to_all).detail


def test_users_whose_login_is_not_known(site: Site) -> None:
    proof = site.prove(logins={site.user: NotChecked("no password is stored")})
    assert failed(proof) == {"login"}
    assert "not checked: no password is stored" in the(proof, "login").detail
    assert proof.only_untried
    assert failed(site.prove(logins={})) == {"login"}


def test_a_login_that_leads_elsewhere_is_tried_no_further(site: Site, logged: Callable[[], str]) -> None:
    proof = site.prove(logins={site.user: login(site.primary, site.user, PASSWORD)})
    assert failed(proof) == {"recovery"}
    assert "accepts writes" in the(proof, "recovery").detail
    assert "CREATE TABLE" not in logged()
    assert "INSERT" not in logged()


def test_one_connection_is_enough_and_pages_begin_new_sessions(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with site.sabotaged("ALTER ROLE {user} CONNECTION LIMIT 1", "ALTER ROLE {user} CONNECTION LIMIT -1"):
        whole = the(site.prove(), "readable")
        monkeypatch.setattr(reading, "PAGE", 4)
        paged = site.prove()
    assert failed(paged) == set()
    assert the(paged, "readable") == whole


def test_what_was_dropped_meanwhile_is_no_failure(site: Site) -> None:
    with connect(site.user_login(), database=site.database, read_only=True) as session:
        page = reading.next_page(session, 0)
        gone = [Relation(1, "leasing", "dropped", "r"), Relation(2, "dropped", "schema", "r")]
        read = reading.read(session, site.access(), site.database, [*page, *gone])
    assert read.readable[0]
    assert "12 relations readable" in read.readable[1]
    assert "dropped meanwhile: leasing.dropped; dropped.schema" in read.readable[1]
    assert read.refused == (True, "3 relations refused")


def test_a_change_in_the_middle_is_said(site: Site, catch_up: Callable[[], None]) -> None:
    class Meddler(Silent):
        def waiting(self, sentence: str) -> None:
            if "tries everything" in sentence:
                site.sql("SET ROLE {owner}; CREATE TABLE leasing.new ()")
                catch_up()

    with site.sabotaged("SELECT", "DROP TABLE leasing.new"):
        proof = site.prove(progress=Meddler())
    assert proof.ok
    assert "13 relations readable" in the(proof, "readable").detail
    assert [c.database for c in proof.checks if "changed while the proof ran" in c.detail] == [site.database]


def test_a_change_between_two_looks_is_no_difference(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def change_and_wait(primary: psycopg.Connection[Any], replica: psycopg.Connection[Any]) -> Replay:
        site.sql("SET ROLE {owner}; CREATE TABLE leasing.new ()")
        monkeypatch.undo()
        return wait_for_replay(primary, replica)

    monkeypatch.setattr(fingerprint, "wait_for_replay", change_and_wait)
    with site.sabotaged("SELECT", "DROP TABLE leasing.new"):
        proof = site.prove()
    assert failed(proof) == set()


def test_what_came_and_went_between_two_looks_is_no_difference(
    site: Site, monkeypatch: pytest.MonkeyPatch, catch_up: Callable[[], None]
) -> None:
    look, looks = fingerprint.read, count(1)

    def meddled(connection: psycopg.Connection[Any], scope: fingerprint.Scope, readers: Sequence[Oid]) -> Any:
        if next(looks) != 2:  # the second is at the replica, between two at the primary
            return look(connection, scope, readers)
        site.sql("GRANT INSERT ON leasing.lease TO {group}")
        catch_up()
        seen = look(connection, scope, readers)
        site.sql("REVOKE INSERT ON leasing.lease FROM {group}")
        return seen

    monkeypatch.setattr(fingerprint, "read", meddled)
    with (
        connect(site.admin_login(site.primary), database=site.database) as source,
        connect(site.admin_login(site.replica), database=site.database) as standby,
    ):
        readers = fingerprint.find_readers(source, [site.user])
        assert fingerprint.compare(source, standby, "proof_fingerprint", readers).agreed
    assert next(looks) > 4


def test_catalogs_that_never_stand_still_were_not_compared(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = count()
    monkeypatch.setattr(fingerprint, "read", lambda *_: {"relation privileges": (next(numbers), "")})
    with connect(site.admin_login(site.primary)) as source, connect(site.admin_login(site.replica)) as standby:
        never = fingerprint.compare(source, standby, "proof_fingerprint_shared", ())
    assert (never.agreed, never.tried) == (False, False)
    assert "look again" in never.detail


def test_catalogs_that_differ_are_told_by_section(site: Site) -> None:
    with (
        connect(site.admin_login(site.primary), database=site.database) as granted,
        connect(site.admin_login(site.replica), database="postgres") as bare,
    ):
        readers = fingerprint.find_readers(granted, [site.user])
        comparison = fingerprint.compare(granted, bare, "proof_fingerprint", readers)
        shared = fingerprint.compare(granted, bare, "proof_fingerprint_shared", readers)
    assert not comparison.agreed
    assert "relation privileges: 13 facts on the primary, 0 on the replica" in comparison.detail
    assert shared.agreed


def test_nothing_is_written_on_the_primary(site: Site, logged: Callable[[], str]) -> None:
    site.prove()
    statements = logged()
    assert "pg_current_wal_insert_lsn" in statements
    for verb in ("INSERT", "CREATE", "GRANT", "ALTER", "pg_switch_wal"):
        assert verb not in statements


def test_encryption_that_the_server_does_not_insist_on(site: Site) -> None:
    if not site.replica.tls:
        pytest.skip("this server was built without TLS")
    lines = hba_lines(allowed=[ip_network("127.0.0.1/32")], tls=True, superuser=site.replica.superuser)
    site.replica.write_hba([*lines, "host all all 127.0.0.1/32 scram-sha-256"])
    try:
        proof = site.prove()
    finally:
        site.replica.write_hba(lines)
    assert failed(proof) == {"tls_required"}
    assert PASSWORD not in str(proof)


def test_encryption_that_nobody_asked_for(site: Site) -> None:
    parameters = {**site.user_login().parameters, "sslmode": "prefer"}
    proof = site.prove(logins={site.user: replace(site.user_login(), parameters=parameters)})
    assert failed(proof) == set()
    assert not {"tls", "tls_required"} & {c.name for c in proof.checks}


def test_an_admin_who_may_not_connect_cannot_compare(site: Site) -> None:
    with site.sabotaged(
        "REVOKE CONNECT ON DATABASE {database} FROM {admin}", "GRANT CONNECT ON DATABASE {database} TO {admin}"
    ):
        proof = site.prove()
    assert failed(proof) == {"catalogs"}
    assert not proof.catalogs_match
    assert "not compared" in the(proof, "catalogs", site.database).detail


def test_a_paused_replica(site: Site) -> None:
    site.replica.psql("SELECT pg_wal_replay_pause()")
    try:
        with site.sabotaged("CREATE TABLE leasing.later ()", "DROP TABLE leasing.later"):
            proof = site.prove(deadline_s=0.3)
    finally:
        site.replica.psql("SELECT pg_wal_replay_resume()")
    assert failed(proof) == {"replayed"}
    assert not proof.ok
    assert proof.lsn is not None
    assert "pg_wal_replay_resume()" in the(proof, "replayed").detail


@pytest.mark.parametrize(("database", "locked"), [(None, "leasing.lease"), ("postgres", "pg_catalog.pg_depend")])
def test_what_replay_holds_is_tried_again(site: Site, database: str | None, locked: str) -> None:
    """The lock is let go when a session has given up waiting for it once."""
    with (
        connect(site.superuser_login(), database=database or site.database) as locker,
        site.replica.log_path.open() as log,
    ):
        log.seek(0, os.SEEK_END)
        locker.execute("BEGIN")
        locker.execute(f"LOCK TABLE {locked}".encode())
        site.sql("CREATE TABLE vault.any (); DROP TABLE vault.any")  # a commit takes the lock to the replica

        def let_go() -> None:
            assert any("canceling statement due to lock timeout" in log.read() for _ in polls(10))
            locker.rollback()

        letting_go = threading.Thread(target=let_go)
        letting_go.start()
        proof = site.prove()
        letting_go.join()
    assert failed(proof) == set()


def test_a_server_that_does_not_tell_which_system_it_is(site: Site) -> None:
    ask = "FUNCTION pg_catalog.pg_control_system()"
    with (
        site.sabotaged(
            f"REVOKE EXECUTE ON {ask} FROM PUBLIC; GRANT EXECUTE ON {ask} TO {{admin}}",
            f"GRANT EXECUTE ON {ask} TO PUBLIC; REVOKE EXECUTE ON {ask} FROM {{admin}}",
        ),
        site.sabotaged(
            f"REVOKE EXECUTE ON {ask} FROM PUBLIC; GRANT EXECUTE ON {ask} TO {{admin}}",
            f"GRANT EXECUTE ON {ask} TO PUBLIC; REVOKE EXECUTE ON {ask} FROM {{admin}}",
            "postgres",
        ),
    ):
        proof = site.prove()
    assert failed(proof) == set()
    assert "which system it is was not told" in the(proof, "recovery").detail


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_names_in_other_encodings(site: Site, encoding: str) -> None:
    database = f"proof {encoding}"
    site.sql(
        f"CREATE DATABASE {quoted(database)} TEMPLATE template0 ENCODING '{encoding}' LOCALE_PROVIDER libc LOCALE 'C'",
        "postgres",
    )
    try:
        names = {"schema": quoted("caf\udce9" if encoding == "SQL_ASCII" else "café"), "user": quoted(site.user)}
        for statement in (
            "CREATE SCHEMA {schema}",
            "CREATE TABLE {schema}.{schema} ()",
            "CREATE TABLE {schema}.ungranted ()",
            "GRANT USAGE ON SCHEMA {schema} TO {user}",
            "GRANT SELECT ON {schema}.{schema} TO {user}",
        ):
            with connect(site.superuser_login(), database=database) as connection:
                run(connection, statement.format(**names))
        rules = site.access().rules[site.database]
        proof = site.prove(access=UserAccess(site.user, {database: rules}))
    finally:
        site.sql(f"DROP DATABASE {quoted(database)} WITH (FORCE)", "postgres")
    assert failed(proof) == {"readable", "database_not_granted"}
    shown = '"caf\\xe9"' if encoding == "SQL_ASCII" else "café"
    assert f"1 of 2 relations cannot be read: {shown}.ungranted (permission denied" in the(proof, "readable").detail


@pytest.mark.parametrize("installation", find_installations()[-1:], ids=["newest"], indirect=True, scope="module")
def test_servers_that_are_no_pair(site: Site, tmp_path: Path) -> None:
    """A promoted replica, a replica of that one, and a stranger; each fails the proof and nothing waits."""
    promoted = PostgresServer.create_replica(site.primary, tmp_path / "promoted", tied=True)
    try:
        promoted.promote()
        follower = PostgresServer.create_replica(promoted, tmp_path / "follower", tied=True)
        try:
            assert_only_this_fails(site, promoted, "in_recovery", "was promoted")
            assert_only_this_fails(site, follower, "replayed", "follows timeline 2, the primary writes timeline 1")
            # whoever may not look at the WAL receiver is told that it cannot be told
            login = replace(site.user_login(), parameters=where_is(follower, site.user), database=site.database)
            with connect(site.superuser_login()) as ours, connect(login, read_only=True) as theirs:
                replay = wait_for_replay(ours, theirs, deadline_s=0.1)
            assert not replay.reached
            assert "has replayed timeline 2, the primary writes timeline 1" in replay.detail
        finally:
            follower.remove()
    finally:
        promoted.remove()
    stranger = PostgresServer.create(
        site.primary.installation, tmp_path / "stranger", superuser="stranger", superuser_password=PASSWORD, tied=True
    )
    try:
        assert_only_this_fails(site, stranger, "same_system", "belongs to another system")
    finally:
        stranger.remove()


def where_is(server: PostgresServer, user: str) -> dict[str, str]:
    return {"host": server.host, "port": str(server.port), "user": user, "sslmode": "disable"}


def assert_only_this_fails(site: Site, replica: PostgresServer, name: str, detail: str) -> None:
    where = where_is(replica, replica.superuser)
    proof = site.prove(replica=Login("", where, password=Secret(replica.superuser_password)), deadline_s=5)
    assert failed(proof) == {name}
    assert len(proof.checks) == 1
    assert not proof.ok
    assert detail in the(proof, name).detail


def test_a_primary_or_replica_out_of_reach_is_an_error(site: Site) -> None:
    nowhere = replace(site.user_login(), parameters={**site.user_login().parameters, "port": "1"})
    with pytest.raises(ConnectionFailed):
        site.prove(primary=nowhere)
    with pytest.raises(ConnectionFailed):
        site.prove(replica=nowhere)
    with pytest.raises(WrongServer):
        site.prove(primary=site.admin_login(site.replica))

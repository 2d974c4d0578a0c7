"""What servers, roles and rights stand in the way: said in full, and nothing is changed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from replica_access.sandbox.server import PostgresServer
from tests.cli.conftest import Production, Shop
from tests.cli.program import Ran
from tests.cli.test_bad_input import assert_refused

GRANT_ALL = 'GRANT SELECT ON TABLE "sales"."orders", "sales"."totals"'


def assert_says(ran: Ran, status: int, *words: str) -> None:
    """It ended so, and these words are in what it printed, wherever."""
    assert ran.status == status, ran
    assert not ran.has_traceback, ran.err
    for each in words:
        assert each in ran.out + ran.err, ran


# --- no way in -------------------------------------------------------------------------------------------------------

NO_WAY_IN = {
    "closed port": (
        {"port": "1"},
        ["localhost, database postgres: no connection as master: Connection refused.", "Check the address, the port"],
    ),
    "wrong host name": (
        {"host": "db.example.com", "hostaddr": "127.0.0.1"},
        [
            "db.example.com: its certificate is of another name than db.example.com",
            "Connect by the endpoint's own name",
        ],
    ),
    "unknown host": ({"host": "nowhere.invalid"}, ["nowhere.invalid", "Check the host name"]),
    "unknown authority": ({"sslrootcert": "/dev/null"}, ["localhost", "sslrootcert"]),
    "without TLS": ({"sslmode": "disable"}, ["The server takes TLS connections only: set sslmode to verify-full."]),
    "unknown database": ({"dbname": "nope"}, ['database nope: no connection as master: database "nope" does not']),
    "nonsense": ({"hst": "db1"}, ["The dsn cannot be read", "Write host=… user=… or a URL."]),
}


@pytest.mark.parametrize("name", NO_WAY_IN)
def test_no_way_in(shop: Shop, name: str) -> None:
    changes, sentences = NO_WAY_IN[name]
    shop.declare(dsn=shop.dsn(**changes))
    assert_refused(shop.run("apply", "--yes"), 1, *sentences)


def test_a_wrong_password(shop: Shop) -> None:
    sentences = ["localhost, database postgres: no connection as master", "password authentication failed",
                 "admin_secret, PGPASSWORD or the pgpass file"]  # fmt: skip
    with shop.unchanged():
        assert_refused(shop.run("plan", PGPASSWORD="geheim"), 1, *sentences)
        assert_refused(shop.run("--format", "json", "plan", PGPASSWORD="geheim"), 1, *sentences)
        assert_refused(shop.run("apply", "--yes", PGPASSWORD="geheim"), 1, *sentences)
        ran = shop.run("check", PGPASSWORD="geheim")
    assert_says(ran, 1, "✗ primary: ", *sentences, "1 problem stands in the way.")
    assert "geheim" not in ran.out + ran.err


def test_a_replica_in_the_place_of_the_primary(shop: Shop, production: Production, tmp_path: Path) -> None:
    certificate = production.certificate
    replica = PostgresServer.create_replica(shop.server, tmp_path / "replica", certificate=certificate, tied=True)
    try:
        shop.declare(dsn=shop.dsn(port=str(replica.port)))
        assert_refused(shop.run("plan"), 1, "is a replica: it is in recovery.", "correct primary in the spec")
    finally:
        replica.remove()


def test_a_replica_that_is_none(shop: Shop) -> None:
    """Found before anything is changed, not by the proof in the end."""
    said = {
        f'dsn = "{shop.dsn()}"': ["replica: localhost:", "is not in recovery", "Name the replica in replica.dsn"],
        f'dsn = "{shop.dsn(port="1")}"': ["replica: localhost, database postgres: no connection", "Connection refused"],
    }
    for dsn, sentences in said.items():
        shop.declare()
        spec = shop.run.spec.read_text(encoding="utf-8").replace("[roles", f"[replica]\n{dsn}\n[roles")
        shop.run.spec.write_text(spec, encoding="utf-8")
        with shop.unchanged():
            assert_refused(shop.run("apply", "--yes"), 1, *sentences)
            assert_says(shop.run("check"), 1, *sentences, "✓ primary: ")


# --- roles that are there already ------------------------------------------------------------------------------------


def test_roles_that_exist_with_other_attributes(shop: Shop) -> None:
    shop.sql(
        "CREATE ROLE readers LOGIN; CREATE ROLE bi LOGIN SUPERUSER; CREATE ROLE maker LOGIN CREATEROLE CREATEDB;"
        "CREATE ROLE old LOGIN PASSWORD 'hers'"
    )
    shop.declare(users="[users.maker]\n[users.old]")
    sentences = [
        "role readers: it exists already and may log in, but the spec declares it as a group",
        'ALTER ROLE "readers" NOLOGIN; -- or declare it under [users]',
        "role bi: it exists already and has SUPERUSER, which no reader may have",
        'ALTER ROLE "bi" NOSUPERUSER; -- or choose another name in the spec',
        "role maker: it exists already and has CREATEROLE, which no reader may have",
        "role maker: it exists already and has CREATEDB, which no reader may have",
        "role old: it exists already, and its password is not in file:old.password, so it is not ours to set",
        'store its password in file:old.password, or DROP ROLE "old"; or choose another name in the spec',
    ]
    try:
        with shop.unchanged():
            assert_refused(shop.run("apply", "--yes"), 1, *sentences)
            assert_refused(shop.run("apply", "--yes", "--skip-blocked"), 1, *sentences)
            assert_says(shop.run("check"), 1, *sentences)
            assert_says(shop.run("plan"), 0, *sentences)
        assert not list(shop.run.directory.glob("*.password"))
    finally:
        shop.forget_readers("maker", "old")


def test_an_admin_without_createrole(shop: Shop) -> None:
    shop.sql("ALTER ROLE master NOCREATEROLE")
    sentences = [
        "role readers: the admin master has no CREATEROLE",
        'as a superuser: ALTER ROLE "master" CREATEROLE; -- or: CREATE ROLE "readers" NOLOGIN;',
        "role bi: the admin master has no CREATEROLE",
    ]
    try:
        with shop.unchanged():
            assert_refused(shop.run("apply", "--yes"), 1, *sentences)
            assert_says(shop.run("check"), 1, *sentences)
    finally:
        shop.sql("ALTER ROLE master CREATEROLE")


# --- objects that the admin may not grant on -------------------------------------------------------------------------


@pytest.fixture
def others_objects(shop: Shop) -> Iterator[None]:
    """A schema of a creator whom the admin may not join, and a table of a superuser."""
    shop.sql(
        """CREATE SCHEMA hr AUTHORIZATION boss; SET SESSION AUTHORIZATION boss; CREATE TABLE hr.salaries (id int);
        RESET SESSION AUTHORIZATION; CREATE TABLE sales.imported (id serial)"""
    )
    yield
    shop.sql("DROP SCHEMA hr CASCADE; DROP TABLE sales.imported; DROP OWNED BY boss")


def test_objects_that_the_admin_may_not_grant_on(shop: Shop, others_objects: None) -> None:
    statements = [
        'GRANT USAGE ON SCHEMA "hr" TO "readers"',
        'GRANT SELECT ON TABLE "hr"."salaries" TO "readers"',
        'GRANT SELECT ON TABLE "sales"."imported" TO "readers"',
        'GRANT SELECT ON SEQUENCE "sales"."imported_id_seq" TO "readers"',
        'ALTER DEFAULT PRIVILEGES FOR ROLE "boss" GRANT SELECT ON TABLES TO "readers"',
    ]
    why = [
        "the admin master has no ADMIN OPTION on boss",
        "rdsadmin is a superuser, which the admin master may not join",
    ]
    with shop.unchanged():
        refused = shop.run("apply", "--yes")
        assert_refused(refused, 1, *statements, *why, "Nothing was changed.", "--skip-blocked")
        assert_says(shop.run("check"), 1, *statements, *why)
    skipped = shop.run("apply", "--yes", "--skip-blocked")
    assert_says(skipped, 0)
    assert_says(shop.run("plan"), 0, "Nothing to do", "blocked", *statements)
    assert shop.run("plan", "--check").status == 0
    for by, first, others in re.findall(r"^    as (\w+): (.*)\n((?:    [A-Z].*\n)*)", refused.err, flags=re.MULTILINE):
        shop.sql(f"SET SESSION AUTHORIZATION {by}; {first} {others}")
    rest = shop.run("plan")
    assert_says(rest, 0, "Nothing to do")
    assert "blocked" not in rest.out


def test_a_database_that_the_admin_may_not_enter(shop: Shop) -> None:
    shop.sql("REVOKE CONNECT ON DATABASE shop FROM master")
    sentences = [
        "database shop: the admin master may not connect to it, so nothing in it was looked at",
        'as app_owner: GRANT CONNECT ON DATABASE "shop" TO "master";',
    ]
    try:
        with shop.unchanged():
            assert_refused(shop.run("apply", "--yes"), 1, *sentences)
            assert_says(shop.run("plan"), 0, *sentences)
    finally:
        shop.sql("GRANT CONNECT ON DATABASE shop TO master")


# --- what is not there yet -------------------------------------------------------------------------------------------


def test_what_does_not_exist_yet_is_pending(shop: Shop) -> None:
    shop.declare('schemas = ["sales", "next"]\ncreators = ["migrator", "robot"]', databases='["shop", "later"]')
    sentences = ["database later: ", "schema shop.next: ", "creator robot: "]
    assert_says(shop.run("plan"), 0, "Pending", *sentences)
    ran = shop.run("apply", "--yes")
    assert_says(ran, 0, "changes applied")
    assert_says(shop.run("plan"), 0, "Nothing to do, 3 pending.", *sentences)
    assert shop.run("plan", "--check").status == 0


def test_databases_that_let_nobody_in_are_pending_too(shop: Shop) -> None:
    shop.sql("CREATE DATABASE closed")
    shop.sql("ALTER DATABASE closed ALLOW_CONNECTIONS false")
    try:
        shop.declare(databases='["shop", "closed", "rdsadmin", "two\\nlines"]')
        plan = shop.run("plan")
        assert_says(plan, 0, "database closed: it lets nobody connect", "database rdsadmin: RDS keeps it for itself")
        assert 'database "two\\nlines": no such database yet' in plan.out
        assert plan.out.endswith(", 3 pending.\n")
    finally:
        shop.sql("DROP DATABASE closed")


# --- passwords in files ----------------------------------------------------------------------------------------------


def test_a_password_file_that_cannot_be_trusted(shop: Shop) -> None:
    path = shop.run.directory / "bi.password"
    path.write_text("known to many\n", encoding="utf-8")
    path.chmod(0o644)
    with shop.unchanged():
        assert_refused(
            shop.run("apply", "--yes"),
            1,
            "Others can read the password file bi.password (mode 0644)",
            "chmod 600 bi.password",
        )
        path.unlink()
        path.symlink_to("/etc/passwd")
        assert_refused(shop.run("apply", "--yes"), 1, "bi.password is a symbolic link", "Name the file itself")
        path.unlink()
        spec = shop.run.spec.read_text(encoding="utf-8")
        shop.run.spec.write_text(spec.replace("file:bi.password", "file:nowhere/bi.password"), encoding="utf-8")
        assert_says(shop.run("apply", "--yes"), 2, "There is no directory nowhere", "mkdir -m 700 nowhere")
        shop.run.spec.write_text(spec.replace("file:bi.password", "vault/bi"), encoding="utf-8")
        assert_refused(shop.run("apply", "--yes"), 1, "users.bi.secret is vault/bi", "Write file:PATH.")

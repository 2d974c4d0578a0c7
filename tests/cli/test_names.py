"""Names as people choose them, in databases of any encoding: declared, granted, planned again, read."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psycopg
import pytest
import tomlkit
from psycopg import sql

from tests.cli.conftest import MASTER, Shop
from tests.cli.test_bad_input import assert_refused

ODD = ['q"uote', "it's", "dot.ted", "50% {off} $1 %s", "two\nlines", "🏠 Übergabe", "back\\slash", "[red]x[/]", " "]
LONG = "ü" * 31 + "z"  # 63 bytes


@contextmanager
def database(shop: Shop, name: str, encoding: str = "UTF8") -> Iterator[None]:
    """A database of app_owner's, which the admin may enter."""
    create = "CREATE DATABASE {} OWNER app_owner TEMPLATE template0 ENCODING {} LC_COLLATE 'C' LC_CTYPE 'C'"
    with shop.session("postgres") as session:
        session.execute(sql.SQL(create).format(sql.Identifier(name), sql.Literal(encoding)))
        session.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name)))
        session.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(*map(sql.Identifier, (name, MASTER))))
        try:
            yield
        finally:
            session.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def test_names_with_anything_in_them(shop: Shop) -> None:
    names = [*ODD, LONG]
    reader, user = "PUBLIC", 'O\'Neil "50%" {x}.\n🏠'
    spec = {
        "version": 1,
        "primary": {"dsn": shop.dsn()},
        "roles": {reader: {"comment": "\n".join(ODD)}},
        "users": {user: {"member_of": [reader], "secret": "file:user.password"}},
        "grants": [{"to": reader, "databases": names, "exclude": ['"dot.ted"."it\'s"']}],
    }
    shop.run.spec.write_text(tomlkit.dumps(spec), encoding="utf-8")
    with ExitStack() as stack:
        stack.callback(shop.forget_readers, reader, user)
        for each in names:
            stack.enter_context(database(shop, each))
            make_tables(shop, each, names if each == LONG else ["dot.ted"])
        before = shop.facts()
        plan = shop.run("plan")
        assert plan.status == 0, plan.err
        assert "\\n" in plan.out
        applied = shop.run("apply", "--yes")
        assert applied.status == 0, applied.err
        assert not applied.has_traceback
        assert 'create the group "PUBLIC"' in applied.out
        assert '"two\\nlines"' in applied.out
        assert shop.run("plan", "--check").status == 0
        for each in names:
            with reading(shop, user, each) as session:
                assert_all_is_readable(session, names if each == LONG else ["dot.ted"])
        take_back(shop)
        assert shop.facts() == before


def make_tables(shop: Shop, database: str, names: list[str]) -> None:
    """In each schema a table of every name."""
    with shop.session(database) as owner:
        owner.execute("SET SESSION AUTHORIZATION app_owner")
        for schema in names:
            owner.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
            for table in [*ODD, LONG]:
                owner.execute(sql.SQL("CREATE TABLE {} ()").format(sql.Identifier(schema, table)))


def assert_all_is_readable(session: psycopg.Connection[tuple[object, ...]], schemas: list[str]) -> None:
    for schema, table in itertools.product(schemas, [*ODD, LONG]):
        query = sql.SQL("SELECT * FROM {}").format(sql.Identifier(schema, table))
        if (schema, table) == ("dot.ted", "it's"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                session.execute(query)
        else:
            session.execute(query)


@contextmanager
def reading(shop: Shop, user: str, database: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    password = (shop.run.directory / "user.password").read_text(encoding="utf-8").strip()
    with shop.session(database, user=user, password=password, sslmode="require") as session:
        yield session


def take_back(shop: Shop) -> None:
    """Run the undo script that the last run left, as the admin."""
    (script,) = shop.run.directory.glob("*.undo-*.sql")
    psql = shop.server.installation.tool("psql")
    ran = subprocess.run(
        [psql, "-X", "-d", shop.dsn(dbname="postgres"), "-f", script],
        env={**shop.server.installation.environment(), "PGPASSWORD": shop.password},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "ERROR" not in ran.stderr


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_databases_that_do_not_speak_utf8(shop: Shop, encoding: str) -> None:
    """Their names may be bytes that are no UTF-8; a spec that names them by a pattern reads them all the same."""
    raw = b"caf\xe9 \xfcber"
    shop.declare('schemas = ["*"]', databases='["old*"]')
    with database(shop, "old stock", encoding), database(shop, "old"):
        with shop.session("old stock", client_encoding="SQL_ASCII") as owner:
            owner.execute(b"SET SESSION AUTHORIZATION app_owner")
            owner.execute(b'CREATE SCHEMA "' + raw + b'"')
            owner.execute(b'CREATE TABLE "' + raw + b'"."' + raw + b'" (id serial)')
        before = shop.facts()
        for command in (["plan", "--sql"], ["--format", "json", "plan"]):
            ran = shop.run(*command)
            assert ran.status == 0, ran.err
        applied = shop.run("apply", "--yes", "-v")
        assert applied.status == 0, applied.err
        assert shop.run("plan", "--check").status == 0
        with shop.as_user("bi", "old stock") as session:
            session.execute(b"SET client_encoding = SQL_ASCII")
            session.execute(b'SELECT * FROM "' + raw + b'"."' + raw + b'"')
        if encoding == "SQL_ASCII":
            assert "caf\\xe9" in applied.out
        else:
            assert "café über" in applied.out
        take_back(shop)
        assert shop.facts() == before


def test_an_exclusion_of_a_latin1_database_is_understood(shop: Shop) -> None:
    shop.declare('exclude = ["Geheimnisse.Schlüssel"]', databases='["old"]')
    with database(shop, "old", "LATIN1"):
        with shop.session("old") as owner:
            owner.execute("SET SESSION AUTHORIZATION app_owner")
            owner.execute('CREATE SCHEMA "Geheimnisse"; CREATE TABLE "Geheimnisse"."Schlüssel" (id int)')
        assert "Schl" not in shop.run("plan", "-v").out


@contextmanager
def no_utf8(shop: Shop) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A role, a schema and a database whose names are no UTF-8: only a database without an encoding can make them."""
    with database(shop, "ascii", "SQL_ASCII"), shop.session("ascii", client_encoding="SQL_ASCII") as session:
        session.execute(b'CREATE ROLE "\xe9tude"')
        session.execute(b'CREATE SCHEMA main AUTHORIZATION "\xe9tude"')
        session.execute(b'GRANT "\xe9tude" TO master WITH ADMIN OPTION')
        session.execute(b'CREATE DATABASE "caf\xe9" OWNER app_owner TEMPLATE template0')
        try:
            yield session
        finally:
            session.execute(b'DROP DATABASE "caf\xe9" WITH (FORCE)')
            session.execute(b'DROP OWNED BY "\xe9tude"')
            session.execute(b'DROP ROLE "\xe9tude"')


def test_databases_and_roles_whose_own_names_are_no_utf8(shop: Shop) -> None:
    shop.declare(databases='["*"]')
    with no_utf8(shop):
        assert 'database "caf\\xe9": its name is no UTF-8, so nothing in it was looked at' in shop.run("plan").out
        applied = shop.run("apply", "--yes")
        assert applied.status == 0, applied.err
        assert '"\\xe9tude" make anywhere in ascii' in applied.out
        assert shop.run("plan", "--check").status == 0
        take_back(shop)


def test_init_leaves_out_what_a_spec_cannot_name(shop: Shop) -> None:
    shop.run.spec.unlink()
    with no_utf8(shop):
        init = shop.run("init", "--dsn", shop.dsn())
        assert init.status == 0, init.err
        assert 'databases = ["ascii", "shop"]' in shop.run.spec.read_text(encoding="utf-8")


def test_a_reader_whom_a_latin1_database_knows_by_other_letters(shop: Shop) -> None:
    """Names of roles are bytes that each database reads in its own encoding."""
    shop.declare(databases='["old"]')
    spec = shop.run.spec.read_text(encoding="utf-8").replace('"readers"', '"für alle"')
    shop.run.spec.write_text(spec.replace("[roles.readers]", '[roles."für alle"]'), encoding="utf-8")
    with database(shop, "old", "LATIN1"), shop.unchanged():
        sentence = 'database old: it is in LATIN1, where the role "für alle" has another name'
        assert_refused(shop.run("apply", "--yes"), 1, sentence, "name the role in ASCII letters in the spec")

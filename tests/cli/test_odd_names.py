"""Odd names in everything that is revoked, passed on, remembered and taken back, in databases of three encodings.

The names are bytes that a client of no encoding sends: what a person made once, nobody can rename today. What is only
declared and granted is in ``test_names.py``.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psycopg
import pytest
import tomlkit

from tests.cli.conftest import Shop
from tests.cli.test_names import database, take_back

READER, USER = "PUBLIC", 'O\'Neil "50%" {x}.\n$1'
GRANTOR = b"gr\"an'tor. 50% {x} \\ %s\n"  # ASCII: each database reads the names of roles in its own encoding

NAMES = {
    "UTF8": "O\"dd. 50% {x} %s\n🏠 'q' \\b, (int), \"".encode(),
    "LATIN1": b"caf\xe9 \"50%\" {x}.\n'q' \\b, (int)",
    "SQL_ASCII": b"\xe9\xff \"50%\" {x}.\n'q' \\b, (int)",
    "63 bytes": ("ü" * 31 + "z").encode(),
}

MADE = b"""
SET SESSION AUTHORIZATION app_owner;
CREATE SCHEMA {name};
CREATE TABLE {name}.{name} ({name} int, id serial);
CREATE SEQUENCE {name}.{seq};
CREATE FUNCTION {name}.{name}({name} int, VARIADIC more text[]) RETURNS int LANGUAGE sql RETURN 1;
CREATE PROCEDURE {name}.{seq}() LANGUAGE sql AS '';
CREATE TYPE {name}.{typ} AS ENUM ('x');
GRANT USAGE, CREATE ON SCHEMA {name} TO {grantor};
REVOKE ALL ON FUNCTION {name}.{name} FROM PUBLIC;
REVOKE ALL ON PROCEDURE {name}.{seq} FROM PUBLIC;
REVOKE ALL ON TYPE {name}.{typ} FROM PUBLIC;
RESET SESSION AUTHORIZATION
"""

BEYOND = b"""
SET SESSION AUTHORIZATION app_owner;
GRANT INSERT ON {name}.{name} TO {reader};
GRANT SELECT ON {name}.{name} TO {reader} WITH GRANT OPTION;
GRANT UPDATE ({name}), REFERENCES ({name}) ON {name}.{name} TO {reader};
GRANT USAGE ON SEQUENCE {name}.{seq} TO {reader};
GRANT EXECUTE ON FUNCTION {name}.{name} TO {reader} WITH GRANT OPTION;
GRANT USAGE ON TYPE {name}.{typ} TO {reader} WITH GRANT OPTION;
GRANT CREATE ON SCHEMA {name} TO {user};
GRANT TEMPORARY ON DATABASE odd TO {reader};
SELECT lo_create(4711);
GRANT UPDATE ON LARGE OBJECT 4711 TO {reader};
GRANT DELETE ON {name}.{name} TO {grantor} WITH GRANT OPTION;
GRANT UPDATE ({name}) ON {name}.{name} TO {grantor} WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES IN SCHEMA {name} GRANT INSERT ON TABLES TO {reader};
ALTER DEFAULT PRIVILEGES GRANT CREATE ON SCHEMAS TO {reader} WITH GRANT OPTION;
SET SESSION AUTHORIZATION {grantor};
GRANT DELETE ON {name}.{name} TO {reader};
GRANT UPDATE ({name}) ON {name}.{name} TO {user};
ALTER DEFAULT PRIVILEGES IN SCHEMA {name} GRANT USAGE ON SEQUENCES TO {user};
SET SESSION AUTHORIZATION master;
GRANT {grantor} TO {user};
RESET SESSION AUTHORIZATION
"""

Session = psycopg.Connection[tuple[object, ...]]


def quoted(name: bytes) -> bytes:
    return b'"' + name.replace(b'"', b'""') + b'"'


def said(script: bytes, name: bytes) -> bytes:
    """The script with every name in its place."""
    names = {
        b"name": name, b"seq": name[:56] + b"seq", b"typ": name[:56] + b"typ", b"grantor": GRANTOR,
        b"reader": READER.encode(), b"user": USER.encode(),
    }  # fmt: skip
    for key, value in names.items():
        script = script.replace(b"{" + key + b"}", quoted(value))
    return script


@contextmanager
def odd(shop: Shop, encoding: str, name: bytes) -> Iterator[Session]:
    """A database with it all made, a spec that wants to read and execute all of it, and a superuser's session there."""
    spec = {
        "version": 1,
        "primary": {"dsn": shop.dsn()},
        "roles": {READER: {}},
        "users": {USER: {"member_of": [READER], "secret": "file:user.password"}},
        "grants": [{"to": READER, "databases": ["odd"], "privileges": ["read", "execute"]}],
    }
    shop.run.spec.write_text(tomlkit.dumps(spec), encoding="utf-8")
    with ExitStack() as stack:
        stack.callback(shop.forget_readers, READER, USER, GRANTOR.decode())
        stack.enter_context(database(shop, "odd", encoding))
        session = stack.enter_context(shop.session("odd", client_encoding="SQL_ASCII"))
        session.execute(b"SET SESSION AUTHORIZATION master; CREATE ROLE " + quoted(GRANTOR))
        session.execute(b"RESET SESSION AUTHORIZATION")
        session.execute(said(MADE, name))
        yield session


@pytest.mark.parametrize("kind", NAMES)
def test_what_is_beyond_the_spec_is_taken_away_and_given_back(shop: Shop, kind: str) -> None:
    encoding, name = kind if kind in {"LATIN1", "SQL_ASCII"} else "UTF8", NAMES[kind]
    with odd(shop, encoding, name) as session:
        clean = shop.facts()
        applied = shop.run("apply", "--yes")
        assert applied.status == 0, applied.err
        assert shop.run("plan", "--check").status == 0
        take_back(shop)
        assert shop.facts() == clean

        shop.run("apply", "--yes")
        forget_undo(shop)
        granted = shop.facts()
        session.execute(said(BEYOND, name))
        before = shop.facts()
        taking = ["--allow-revoke"]
        planned = shop.run("--format", "json", "plan", *taking)
        assert planned.status == 0, planned.err
        assert len(planned.document["changes"]) >= 14
        assert shop.run("plan", "--sql", *taking).status == 0
        assert shop.run("plan", "--out", "plan.json", *taking).status == 0
        ran = shop.run("apply", "plan.json", "--yes", *taking)
        assert ran.status == 0, ran.err
        assert shop.run("plan", "--check", *taking).status == 0
        theirs = ("large object 4711", 'gr""an\'tor')
        assert without(shop.facts(), theirs) == without(granted, theirs)
        take_back(shop)
        assert shop.facts() == before


def forget_undo(shop: Shop) -> None:
    for script in shop.run.directory.glob("*.undo-*.sql"):
        script.unlink()


def without(facts: list[str], words: tuple[str, ...]) -> list[str]:
    return [fact for fact in facts if not any(word in fact for word in words)]


def test_the_script_of_a_plan_is_what_apply_does(shop: Shop) -> None:
    with odd(shop, "UTF8", NAMES["UTF8"]) as session:
        assert shop.run("apply", "--yes").status == 0
        session.execute(said(BEYOND, NAMES["UTF8"]))
        script = shop.run("plan", "--sql", "--allow-revoke")
        psql = subprocess.run(
            [shop.server.installation.tool("psql"), "-X", "-q", "-d", shop.dsn(dbname="postgres"), "-f", "-"],
            input=script.out,
            env={**shop.server.installation.environment(), "PGPASSWORD": shop.password},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (psql.returncode, psql.stderr) == (0, "")
        assert shop.run("plan", "--check", "--allow-revoke").status == 0


@pytest.mark.parametrize("kind", ["UTF8", "SQL_ASCII"])
def test_what_is_new_is_granted_remembered_and_dropped_with_its_user(shop: Shop, kind: str) -> None:
    name = NAMES[kind]
    new = name[:50] + b" new"
    with odd(shop, kind, name) as session:
        assert shop.run("grant", "--yes").status == 0
        session.execute(b"SET SESSION AUTHORIZATION app_owner; CREATE SCHEMA " + quoted(new))
        session.execute(b"CREATE TABLE " + quoted(new) + b"." + quoted(new) + b" (id serial)")
        session.execute("RESET SESSION AUTHORIZATION")
        ran = shop.run("--format", "json", "grant", "--yes")
        assert ran.status == 0, ran.err
        assert len(ran.document["appeared"]["relations"]) >= 1
        again = shop.run("--format", "json", "grant", "--yes")
        assert again.document["appeared"]["relations"] == []

        spec = tomlkit.loads(shop.run.spec.read_text(encoding="utf-8"))
        spec.pop("users")
        shop.run.spec.write_text(tomlkit.dumps(spec), encoding="utf-8")
        session.execute(said(b"GRANT SELECT ON {name}.{name} TO {user}", name))
        gone = shop.run("apply", "--yes", "--allow-drop")
        assert gone.status == 0, gone.err
        left = session.execute("SELECT count(*) FROM pg_roles WHERE rolname = %s", [USER]).fetchone()
        assert left == (0,)
        assert shop.run("plan", "--check", "--allow-drop").status == 0

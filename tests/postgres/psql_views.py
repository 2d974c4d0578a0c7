"""What psql itself shows of privileges, read back: \\dp, \\ddp, and \\drg or, before PostgreSQL 16, \\du."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from typing import NamedTuple

from replica_access.sandbox.server import PostgresServer

FIELD, RECORD = "\x1f", "\x1e"

PRIVILEGES = {
    "r": "SELECT",
    "a": "INSERT",
    "w": "UPDATE",
    "d": "DELETE",
    "D": "TRUNCATE",
    "x": "REFERENCES",
    "t": "TRIGGER",
    "m": "MAINTAIN",
    "U": "USAGE",
    "C": "CREATE",
    "X": "EXECUTE",
}


class Shown(NamedTuple):
    """One privilege of an ACL, with names for roles; PUBLIC has the empty one."""

    grantee: str
    grantor: str
    privilege: str
    grantable: bool


class Place(NamedTuple):
    schema: str
    name: str


class Joined(NamedTuple):
    """A membership with its options; before PostgreSQL 16 psql shows neither those nor who granted it."""

    member: str
    role: str
    grantor: str
    options: frozenset[str]


class Psql:
    """The psql of a server's own version, as its superuser."""

    def __init__(self, server: PostgresServer, database: str) -> None:
        self.server = server
        self.dsn = server.dsn(dbname=database)

    def _rows(self, command: str) -> list[list[str]]:
        options = ["-X", "-q", "-A", "-t", "-F", FIELD, "-R", RECORD, "-v", "ON_ERROR_STOP=1"]
        ended = subprocess.run(
            [self.server.installation.tool("psql"), *options, "-d", self.dsn, "-c", command],
            env=os.environ | self.server.installation.environment() | {"PGCLIENTENCODING": "UTF8", "LC_ALL": "C"},
            capture_output=True, text=True, encoding="utf-8", check=True,
        )  # fmt: skip
        assert ended.stderr == ""
        return [row.split(FIELD) for row in ended.stdout.removesuffix("\n").split(RECORD)]

    def owners(self) -> dict[Place, str]:
        return {Place(schema, name): owner for schema, name, _, owner, *_ in self._rows(r"\dtvmsE *.*")}

    def sequences(self) -> set[Place]:
        return {Place(schema, name) for schema, name, *_ in self._rows(r"\ds *.*")}

    def privileges(self) -> tuple[dict[Place, frozenset[Shown]], set[tuple[Place, str, Shown]]]:
        """What \\dp shows: of each relation the entries of its ACL, and those of its columns."""
        relations, columns = {}, set()
        for schema, name, _, access, of_columns, _ in self._rows(r"\dp *.*"):
            place = Place(schema, name)
            relations[place] = frozenset(entries(access))
            for column, found in _columns(of_columns):
                columns |= {(place, column, entry) for entry in entries(found)}
        return relations, columns

    def defaults(self) -> dict[tuple[str, str, str], frozenset[Shown]]:
        """What \\ddp shows, by creator, schema and kind of object."""
        rows = self._rows(r"\ddp")
        return {(owner, schema, kind): frozenset(entries(access)) for owner, schema, kind, access in rows}

    def memberships(self) -> set[Joined]:
        if self.server.installation.major >= 16:
            rows = self._rows(r"\drg *")
            return {
                Joined(member, role, grantor, frozenset(re.findall("[A-Z]+", options)))
                for member, role, options, grantor in rows
            }
        return {
            Joined(name, group, "", frozenset()) for name, _, groups in self._rows(r"\du *") for group in _array(groups)
        }


_NAME = r'(?:"(?:[^"]|"")*"|[^"=/\s]*)'
_ENTRY = re.compile(rf"\s*(?P<grantee>{_NAME})=(?P<privileges>(?:\w\*?)*)/(?P<grantor>{_NAME})(?:\n|$)")


def entries(text: str) -> Iterator[Shown]:
    """Read the entries of an ACL as psql prints them, one a line; names are quoted where they would mislead.

    >>> list(entries('"a=""b"=r*w/c'))
    [Shown(grantee='a="b', grantor='c', privilege='SELECT', grantable=True), \
Shown(grantee='a="b', grantor='c', privilege='UPDATE', grantable=False)]
    """
    place = 0
    while place < len(text) and text != "(none)":
        found = _ENTRY.match(text, place)
        assert found is not None, text[place:]
        for letter, option in re.findall(r"(\w)(\*?)", found["privileges"]):
            yield Shown(_unquoted(found["grantee"]), _unquoted(found["grantor"]), PRIVILEGES[letter], option == "*")
        place = found.end()


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def _columns(text: str) -> Iterator[tuple[str, str]]:
    """Read blocks of a name with a colon, and below it, indented, the entries."""
    for block in re.split(r"\n(?! )", text) if text else ():
        name, _, found = block.partition(":\n")
        yield name, found


def _array(text: str) -> list[str]:
    """Read an array of names as the server prints it."""
    items = re.findall(r'"((?:[^"\\]|\\.)*)"|([^",{}]+)', text)
    return [re.sub(r"\\(.)", r"\1", quoted) if quoted else plain for quoted, plain in items]

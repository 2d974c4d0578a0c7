"""How people write which object they mean: as PostgreSQL does, and with what kind it is in front where that is needed.

::

    app.orders                  a table, view, sequence or anything else that is a relation
    app.orders.total            a column of it
    app.total(integer)          a function or procedure
    schema:app  database:shop   and the other kinds in `PREFIXES`

Names are folded to lower case unless quoted, as in SQL: ``app."Orders"``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from replica_access.errors import UsageError
from replica_access.names import legible

PREFIXES: Mapping[str, str] = {
    "table": "relation",
    "view": "relation",
    "sequence": "relation",
    "column": "relation",
    "function": "routine",
    "procedure": "routine",
    "type": "type",
    "schema": "schema",
    "database": "database",
    "language": "language",
    "server": "foreign server",
    "wrapper": "foreign data wrapper",
    "largeobject": "large object",
    "tablespace": "tablespace",
    "parameter": "parameter",
}
"""What can stand before a colon, and what it means."""

_PART = re.compile(r'"(?:[^"]|"")+"|[^".:()\s][^".()\s]*')
_IN_SCHEMAS = {"relation": (2, 3), "routine": (2, 2), "type": (2, 2)}


@dataclass(frozen=True, slots=True)
class Spelt:
    """An object as somebody named it.

    :param kind: as the values of `PREFIXES`.
    :param arguments: the types of a routine's arguments, as they stand; ``None`` where none were said.
    """

    kind: str
    name: str
    schema: str = ""
    column: str = ""
    arguments: tuple[str, ...] | None = None


def read(text: str) -> Spelt:
    """Return which object `text` means.

    >>> read('app."Orders".ID')
    Spelt(kind='relation', name='Orders', schema='app', column='id', arguments=None)
    >>> read("schema:app").kind
    'schema'

    :raises UsageError: it cannot be told.
    """
    prefix, colon, rest = text.partition(":")
    kind = PREFIXES.get(prefix) if colon else None
    if kind is None:
        rest, kind = text, "routine" if text.endswith(")") else "relation"
    if kind == "routine" and rest.endswith(")"):
        name, arguments = _called(rest)
        schema, plain = _parts(name, text, (2, 2))
        return Spelt(kind, plain, schema, arguments=arguments)
    if kind == "parameter":
        return Spelt(kind, rest.lower())
    parts = _parts(rest, text, _IN_SCHEMAS.get(kind, (1, 1)))
    if len(parts) == 1:
        return Spelt(kind, parts[0])
    return Spelt(kind, parts[1], parts[0], parts[2] if len(parts) == 3 else "")


def _called(text: str) -> tuple[str, tuple[str, ...]]:
    """Return the name of a routine, and the types of its arguments; commas within parentheses or quotes part none.

    >>> _called('app."f(x)"(numeric(10,2), "a,b")')
    ('app."f(x)"', ('numeric(10,2)', '"a,b"'))
    """
    pieces = re.findall(r'"(?:[^"]|"")*"|.', text, re.DOTALL)
    start = pieces.index("(") if "(" in pieces else len(pieces)
    arguments, depth = [""], 0
    for piece in pieces[start + 1 : -1]:
        depth += {"(": 1, ")": -1}.get(piece, 0)
        if piece == "," and depth == 0:
            arguments.append("")
        else:
            arguments[-1] += piece
    stripped = tuple(argument.strip() for argument in arguments)
    return "".join(pieces[:start]), () if stripped == ("",) else stripped


def _parts(name: str, text: str, how_many: tuple[int, int]) -> list[str]:
    parts: list[str] = []
    rest = name
    while found := _PART.match(rest):
        parts.append(_folded(found[0]))
        rest = rest[found.end() :]
        if not rest.startswith("."):
            break
        rest = rest[1:]
    if rest or not how_many[0] <= len(parts) <= how_many[1] or name.endswith("."):
        raise UsageError(
            f"{legible(text)} does not say which object is meant.",
            "Write it as in SQL: schema.table, schema.table.column, 'schema.function(integer)'; "
            f"or with its kind: {', '.join(f'{prefix}:NAME' for prefix in ('schema', 'database', 'type'))}, "
            "… A name with capitals or signs is quoted: 'app.\"Orders\"'.",
        )
    return parts


def _folded(part: str) -> str:
    """Fold what is not quoted, ASCII alone, as PostgreSQL does in UTF-8 databases (scansup.c)."""
    if part.startswith('"'):
        return part[1:-1].replace('""', '"')
    return "".join(char.lower() if char.isascii() else char for char in part)

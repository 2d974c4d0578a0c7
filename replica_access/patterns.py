"""Names and the patterns that a spec selects them by: pure text, no server.

Names are exact, capitals and all; a pattern is a shell pattern. A name that looks like a pattern still matches itself.
"""

from __future__ import annotations

import fnmatch
import re
from functools import lru_cache

from replica_access.names import legible


def is_glob(pattern: str) -> bool:
    return any(char in pattern for char in "*?[")


@lru_cache(10_000)  # the same few schemas are asked for again and again
def matches(name: str, pattern: str) -> bool:
    """Whether `name` is `pattern`, or fits it as a shell pattern, capitals and all.

    >>> matches("Orders", "orders"), matches("app_eu", "app_*"), matches("odd[1]", "odd[1]")
    (False, True, True)
    """
    return name == pattern or (is_glob(pattern) and fnmatch.fnmatchcase(name, pattern))


def likes(pattern: str) -> list[str]:
    """Return patterns for SQL's LIKE that fit whatever `pattern` fits, and maybe more: to look there first.

    A name that looks like a pattern fits itself. What is one character here may be several where no encoding is known.

    >>> likes("100%"), likes("tmp_*"), likes("x[0-9]?z")
    (['100\\\\%'], ['tmp\\\\_%', 'tmp\\\\_*'], ['x%%z', 'x[0-9]?z'])
    """
    if not is_glob(pattern):
        return [_escaped(pattern)]
    parts = re.split(r"\*|\?|\[!?\]?[^\]]*\]", pattern)
    return ["%".join(map(_escaped, parts)), _escaped(pattern)]


def _escaped(text: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", text)


def is_system_schema(name: str) -> bool:
    """Whether no grant ever reaches it: catalogs, toast and temporary schemas (PostgreSQL reserves ``pg_``)."""
    return name.startswith("pg_") or name == "information_schema"


class Part(str):
    """A part of an exclusion; `exact` where it was quoted and is no pattern."""

    exact: bool

    def __new__(cls, text: str, exact: bool = False) -> Part:
        part = super().__new__(cls, text)
        part.exact = exact
        return part

    def fits(self, name: str) -> bool:
        return name == self if self.exact else matches(name, self)


class Exclusion:
    """``schema``, ``schema.relation`` or ``schema.relation.column``; each part a name or a glob.

    A part in double quotes is a name as it stands, dots and stars included; ``""`` stands for a quote in it.

    >>> Exclusion.parse('public."odd.name"').covers_relation("public", "odd.name")
    True
    """

    __slots__ = ("column", "relation", "schema", "text")

    def __init__(self, text: str, parts: list[Part]) -> None:
        self.text = text
        self.schema = parts[0]
        self.relation = parts[1] if len(parts) > 1 else None
        self.column = parts[2] if len(parts) > 2 else None

    @classmethod
    def parse(cls, text: str) -> Exclusion:
        """:raises ValueError: when it has no or more than three parts, or a quote is not closed."""
        parts: list[Part] = []
        rest = text
        while True:
            found = re.match(r'"((?:[^"]|"")+)"|([^."]+)', rest)
            if found is None:
                raise ValueError(f"{legible(text)!r} is not schema, schema.relation or schema.relation.column")
            quoted, bare = found.groups()
            parts.append(Part(quoted.replace('""', '"'), exact=True) if quoted is not None else Part(bare))
            rest = rest[found.end() :]
            if not rest:
                break
            if not rest.startswith("."):
                raise ValueError(f"{legible(text)!r}: a dot is expected before {legible(rest)!r}")
            rest = rest[1:]
        if len(parts) > 3:
            raise ValueError(f"{legible(text)!r} has {len(parts)} parts; quote a name that contains a dot")
        return cls(text, parts)

    def covers_schema(self, schema: str) -> bool:
        return self.relation is None and self.schema.fits(schema)

    def covers_relation(self, schema: str, relation: str) -> bool:
        return (
            self.relation is not None
            and self.column is None
            and self.schema.fits(schema)
            and self.relation.fits(relation)
        )

    def has_column_in(self, schema: str, relation: str) -> bool:
        return (
            self.relation is not None
            and self.column is not None
            and self.schema.fits(schema)
            and self.relation.fits(relation)
        )

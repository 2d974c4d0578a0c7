"""Wishes: what a spec asks for, drawn so that what it covers is known without asking the code under test.

A pattern is a name, the beginning of names, or everything: so an exclusion covers what it was drawn to cover.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

from replica_access.spec import Spec

from .worlds import (
    COLUMNS,
    DATABASES,
    RELATION_NAMES,
    ROUTINE_NAMES,
    SCHEMA_NAMES,
    Role,
    T,
    World,
    chance,
    one_of,
    up_to,
)


@dataclass(frozen=True, slots=True)
class Exactly:
    name: str

    def covers(self, name: str) -> bool:
        return name == self.name

    def text(self) -> str:
        return self.name

    def quoted(self) -> str:
        return '"' + self.name.replace('"', '""') + '"'


@dataclass(frozen=True, slots=True)
class Beginning:
    start: str

    def covers(self, name: str) -> bool:
        return name.startswith(self.start)

    def text(self) -> str:
        return self.start + "*"

    quoted = text


Pattern = Exactly | Beginning


@dataclass(frozen=True, slots=True)
class Excluded:
    """A schema, a relation in it, or a column of that."""

    schema: Pattern
    relation: Pattern | None = None
    column: Pattern | None = None
    quoted: bool = True

    @property
    def parts(self) -> tuple[Pattern, ...]:
        return tuple(part for part in (self.schema, self.relation, self.column) if part)

    def text(self) -> str:
        return ".".join(part.quoted() if self.quoted else part.text() for part in self.parts)

    def covers_schema(self, schema: str) -> bool:
        return self.relation is None and self.schema.covers(schema)

    def covers_relation(self, schema: str, relation: str) -> bool:
        return self.column is None and self._fits(schema, relation)

    def covers_column(self, schema: str, relation: str, column: str) -> bool:
        return self.column is not None and self.column.covers(column) and self._fits(schema, relation)

    def _fits(self, schema: str, relation: str) -> bool:
        return self.relation is not None and self.schema.covers(schema) and self.relation.covers(relation)


@dataclass(frozen=True, slots=True)
class Rule:
    """`creators` None is ``auto``."""

    to: str
    databases: tuple[Pattern, ...]
    schemas: tuple[Pattern, ...]
    exclude: tuple[Excluded, ...] = ()
    creators: tuple[str, ...] | None = None
    future: bool = True
    execute: bool = False

    @property
    def everywhere(self) -> bool:
        return Beginning("") in self.schemas

    def wants_database(self, database: str) -> bool:
        return any(pattern.covers(database) for pattern in self.databases)

    def wants_schema(self, schema: str) -> bool:
        return any(pattern.covers(schema) for pattern in self.schemas) and not any(
            excluded.covers_schema(schema) for excluded in self.exclude
        )

    def wants_relation(self, schema: str, relation: str) -> bool:
        return self.wants_schema(schema) and not any(
            excluded.covers_relation(schema, relation) for excluded in self.exclude
        )

    def wanted_columns(self, schema: str, relation: str) -> frozenset[str]:
        if not self.wants_relation(schema, relation):
            return frozenset()
        return frozenset(
            column for column in COLUMNS if not any(e.covers_column(schema, relation, column) for e in self.exclude)
        )


@dataclass(frozen=True, slots=True)
class Reader:
    name: str
    login: bool
    member_of: tuple[str, ...] = ()
    extras: tuple[tuple[str, Any], ...] = ()

    def values(self) -> dict[str, Any]:
        values = dict(self.extras)
        return values | {"settings": dict(values.get("settings", ())), "member_of": self.member_of}


@dataclass(frozen=True, slots=True)
class Wish:
    readers: tuple[Reader, ...]
    rules: tuple[Rule, ...]

    @property
    def names(self) -> frozenset[str]:
        return frozenset(reader.name for reader in self.readers)

    def logins(self) -> Iterator[Reader]:
        return (reader for reader in self.readers if reader.login)

    def rules_in(self, database: str) -> tuple[Rule, ...]:
        return tuple(rule for rule in self.rules if rule.wants_database(database))

    def spec(self, dsn: str) -> Spec:
        readers = {login: {r.name: r.values() for r in self.readers if r.login is login} for login in (False, True)}
        grants = [
            {
                "to": rule.to,
                "databases": [pattern.text() for pattern in rule.databases],
                "schemas": [pattern.text() for pattern in rule.schemas],
                "exclude": [excluded.text() for excluded in rule.exclude],
                "creators": "auto" if rule.creators is None else rule.creators,
                "future": rule.future,
                "privileges": ["read", "execute"] if rule.execute else ["read"],
            }
            for rule in self.rules
        ]
        values = {"version": 1, "primary": {"dsn": dsn}, "roles": readers[False], "users": readers[True]}
        return Spec.model_validate(values | {"grants": grants})


# --- strategies ------------------------------------------------------------------------------------------------------

GROUP_NAMES = ("r_group", 'R "odd".100% 🏠')
USER_NAMES = ("r_user", "r'user {x}\n2")


@st.composite
def wishes(draw: st.DrawFn, world: World) -> Wish:
    # Who passed on a column keeps it: REVOKE of the table would take the column too, and what depends on it.
    passing = {grant.by for relation in world.relations() for grant in relation.grants if "(" in grant.privilege}
    taken = [role for role in world.roles if not role.superuser and role.name not in passing and draw(chance(35))]
    readers = [Reader(name, login=False, extras=_extras(draw, False)) for name in GROUP_NAMES[: draw(up_to(2))]]
    readers += [_taken(draw, role) for role in taken]
    # Roles of the world come in an order in which memberships go one way; so no wish makes a circle.
    groups = tuple(reader.name for reader in readers if not reader.login)
    for name in USER_NAMES[: draw(up_to(2, 1))]:
        member_of = tuple(group for group in groups if draw(chance(60)))
        readers.append(Reader(name, True, member_of, _extras(draw, True)))
    to = st.sampled_from([reader.name for reader in readers])
    return Wish(tuple(readers), tuple(_rule(draw, world, draw(to)) for _ in range(draw(up_to(3, 1)))))


def _taken(draw: st.DrawFn, role: Role) -> Reader:
    """A role that exists already; now and then it is not what the spec says, or not the admin's to alter."""
    as_it_is = not draw(chance(5))
    ours = role.by_admin or draw(chance(5))
    return Reader(role.name, role.login is as_it_is, (), _extras(draw, False) if ours else ())


_EXTRAS: tuple[tuple[tuple[str, Any], ...], ...] = (
    (),
    (),
    (),
    (("comment", "it's 100% {read} \\ 🏠"),),
    (("settings", (("statement_timeout", "15min"), ("search_path", 'app, "Odd.Schema"'))),),
)
_EXTRAS_OF_LOGINS = (
    *_EXTRAS,
    (("connection_limit", 3), ("valid_until", "2099-06-30")),
    (("auth", "iam"),),
)


def _extras(draw: st.DrawFn, login: bool) -> tuple[tuple[str, Any], ...]:
    return draw(one_of(_EXTRAS_OF_LOGINS if login else _EXTRAS))


_DATABASES: tuple[tuple[Pattern, ...], ...] = (
    (Exactly(DATABASES[0]),),
    (Exactly(DATABASES[0]), Exactly("prop of tomorrow")),
    tuple(map(Exactly, DATABASES)),
    (Beginning("prop"),),
)
_EVERYTHING = Beginning("")
_SCHEMAS: tuple[Pattern, ...] = (
    *map(Exactly, ("public", *SCHEMA_NAMES)),
    Beginning("app_"),
    Beginning("a"),
)
_NAMES = (*RELATION_NAMES, ROUTINE_NAMES[0])
_RELATIONS: tuple[Pattern, ...] = (*map(Exactly, _NAMES), Beginning("secret_"), _EVERYTHING)
_COLUMNS: tuple[Pattern, ...] = (*map(Exactly, COLUMNS), Beginning("sec"), _EVERYTHING)


def _rule(draw: st.DrawFn, world: World, to: str) -> Rule:
    names = (*(role.name for role in world.roles), world.admin, "nobody yet")
    return Rule(
        to=to,
        databases=draw(one_of(_DATABASES if len(world.databases) > 1 else _DATABASES[:2])),
        schemas=(_EVERYTHING,) if draw(chance(45)) else _some(draw, _SCHEMAS, 4),
        exclude=tuple(_exclusion(draw) for _ in range(draw(up_to(3)))) if draw(chance(50)) else (),
        creators=_some(draw, names, 2) if draw(chance(25)) else None,
        future=not draw(chance(15)),
        execute=draw(chance(30)),
    )


def _some(draw: st.DrawFn, values: tuple[T, ...], most: int) -> tuple[T, ...]:
    return tuple(dict.fromkeys(draw(one_of(values)) for _ in range(draw(up_to(most, 1)))))


def _exclusion(draw: st.DrawFn) -> Excluded:
    schema, relation, column = draw(one_of(_SCHEMAS)), None, None
    if draw(chance(70)):
        relation = draw(one_of(_RELATIONS))
        schema = _EVERYTHING if draw(chance(40)) else schema
        column = draw(one_of(_COLUMNS)) if draw(chance(30)) else None
    excluded = Excluded(schema, relation, column)
    plain = all("." not in part.text() and '"' not in part.text() for part in excluded.parts)
    return replace(excluded, quoted=not plain or draw(chance(50)))

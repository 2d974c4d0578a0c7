"""Worlds: what other people left on a server before the tool came, as values that hypothesis draws.

Names are as odd as PostgreSQL allows. ``PUBLIC`` is the grantee of that name; ``SUPERUSER`` the bootstrap superuser.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

from hypothesis import strategies as st

from replica_access.sandbox.rds_like import SUPERUSER

T = TypeVar("T")

PUBLIC = ""

DATABASES = ("prop_a", 'prop "b".%s')
"""The databases that worlds are built in, one after the other."""

ROLE_NAMES = (
    "w_owner",
    "w_migrator",
    'w "quoted"',
    "w.dotted",
    "w 100% {off}",
    "w\ntwo lines",
    "w 🏠",
    "W" * 63,
    "w'; DROP ROLE x; --",
    "PUBLIC",
    "w\\back",
    "w $$",
)
SCHEMA_NAMES = (
    "app",
    "app_eu",
    "app_us",
    'Odd.Schema "x"',
    "100% {s} %(n)s",
    "two\nlines",
    "it's",
    "🏠" * 15 + "abc",
    "back\\slash",
)
RELATION_NAMES = (
    "lease",
    "secret_key",
    "secret_token",
    "Lease",
    "a.b",
    'q"q',
    "50% {off} %s",
    "n\nl",
    "🏠",
    "t" * 63,
    "it's \\",
)
COLUMNS = ("id", "secret", 'q"%s')
"""Of every relation that has any."""

KINDS = ("table", "partitioned", "view", "matview", "sequence", "foreign")

ROUTINE_NAMES = ("answer", "secret_answer", 'f"(%s)', "a.b")
TYPE_NAMES = ("mood", "secret_mood", "Mo.od")


@dataclass(frozen=True, slots=True)
class Role:
    name: str
    login: bool = False
    inherit: bool = True
    superuser: bool = False
    by_admin: bool = True


@dataclass(frozen=True, slots=True)
class Membership:
    """INHERIT and SET count since PostgreSQL 16; `by_admin`: the admin granted it, else the superuser."""

    role: str
    member: str
    admin: bool = False
    inherit: bool = True
    set_role: bool = True
    by_admin: bool = False


@dataclass(frozen=True, slots=True)
class Grant:
    """`by`: a role that got the privilege with grant option and passed it on; else the owner granted it."""

    privilege: str
    grantee: str
    option: bool = False
    by: str | None = None


@dataclass(frozen=True, slots=True)
class Relation:
    name: str
    kind: str
    owner: str
    grants: tuple[Grant, ...] = ()
    owner_revoked: bool = False


@dataclass(frozen=True, slots=True)
class Routine:
    """A function or, else, a type; PUBLIC may use it unless that was revoked."""

    name: str
    owner: str
    grants: tuple[Grant, ...] = ()
    public_revoked: bool = True
    is_type: bool = False


@dataclass(frozen=True, slots=True)
class Schema:
    name: str
    owner: str
    grants: tuple[Grant, ...] = ()
    relations: tuple[Relation, ...] = ()
    public_revoked: bool = False
    routines: tuple[Routine, ...] = ()


@dataclass(frozen=True, slots=True)
class Default:
    """What `creator` gives to `grantee` on things it makes in `schema`, or anywhere; `revoked`: takes from PUBLIC."""

    creator: str
    schema: str | None
    kind: str
    privilege: str
    grantee: str
    option: bool = False
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class Database:
    name: str
    owner: str
    grants: tuple[Grant, ...] = ()
    public_connect: bool = True
    admin_connect: bool = True
    schemas: tuple[Schema, ...] = ()
    defaults: tuple[Default, ...] = ()

    def schema_names(self) -> tuple[str, ...]:
        return tuple(schema.name for schema in self.schemas)


@dataclass(frozen=True, slots=True)
class World:
    admin: str
    roles: tuple[Role, ...]
    memberships: tuple[Membership, ...]
    databases: tuple[Database, ...]
    admin_inherits: bool = True

    def role(self, name: str) -> Role | None:
        return next((role for role in self.roles if role.name == name), None)

    def relations(self) -> Iterator[Relation]:
        return (r for database in self.databases for schema in database.schemas for r in schema.relations)


# --- strategies ------------------------------------------------------------------------------------------------------
#
# A world takes some two hundred draws, and making a strategy costs more than drawing from it: strategies are made once,
# and what is drawn in one piece is chosen from all that it may be.


@cache
def chance(percent: int) -> st.SearchStrategy[bool]:
    """True in about `percent` of all draws; shrinks towards False."""
    return st.sampled_from([False] * (100 - percent) + [True] * percent)


@cache
def up_to(most: int, least: int = 0) -> st.SearchStrategy[int]:
    return st.integers(least, most)


@cache
def one_of(values: tuple[T, ...]) -> st.SearchStrategy[T]:
    return st.sampled_from(values)


@cache
def neighbours(names: tuple[str, ...], most: int, least: int = 0) -> st.SearchStrategy[tuple[str, ...]]:
    """Some of `names`, neighbours in the list, each once."""
    runs = [(names + names)[start : start + count] for count in range(least, most + 1) for start in range(len(names))]
    return st.sampled_from(runs)


@st.composite
def worlds(draw: st.DrawFn, admin: str) -> World:
    roles = tuple(_role(draw, name) for name in draw(neighbours(ROLE_NAMES, 6, 2)))
    databases = DATABASES[: 1 + draw(chance(25))]
    return World(
        admin=admin,
        roles=roles,
        memberships=_memberships(draw, roles, admin),
        databases=tuple(_database(draw, name, roles, admin) for name in databases),
        admin_inherits=not draw(chance(8)),
    )


@cache
def _roles(name: str) -> st.SearchStrategy[Role]:
    """Of each ten, one is a superuser, and three are made by one."""
    made = [(False, True)] * 6 + [(False, False)] * 3 + [(True, False)]
    bits = [(login, inherit) for login in (False, True) for inherit in (True, True, True, True, False)]
    return st.sampled_from(
        [Role(name, login, inherit, superuser, by_admin) for superuser, by_admin in made for login, inherit in bits]
    )


def _role(draw: st.DrawFn, name: str) -> Role:
    return draw(_roles(name))


_OPTIONS = tuple(
    (admin, inherit, set_role, by_admin)
    for by_admin in (True, False)
    for admin in (False, False, False, True)
    for inherit in (True, False)
    for set_role in (True, False)
)


def _memberships(draw: st.DrawFn, roles: tuple[Role, ...], admin: str) -> tuple[Membership, ...]:
    """Each role is at most a member of earlier ones, so that there is no circle; the admin of any."""
    found: dict[tuple[str, str, bool], Membership] = {}
    for _ in range(draw(up_to(5))):
        low = draw(up_to(len(roles) - 1))
        high = draw(up_to(len(roles), low))
        member = admin if high in {low, len(roles)} else roles[high].name
        option, inherit, set_role, by_admin = draw(one_of(_OPTIONS))
        by_admin = by_admin and roles[low].by_admin
        option = option and not (by_admin and member == admin)  # nobody gives it back to whom it is from
        membership = Membership(roles[low].name, member, option, inherit, set_role, by_admin)
        found[membership.role, member, by_admin] = membership
    return tuple(m for m in found.values() if not m.by_admin or _administered(m.role, admin, found.values()))


def _administered(role: str, admin: str, memberships: Iterable[Membership]) -> bool:
    """Whether nobody took the ADMIN OPTION away that the admin got by making the role."""
    return not any(m.role == role and m.member == admin and not m.by_admin and not m.admin for m in memberships)


@cache
def _possible_grants(people: tuple[str, ...], privileges: tuple[str, ...]) -> st.SearchStrategy[Grant]:
    """Of each four, one is with grant option, and one is passed on by somebody."""
    return st.sampled_from(
        [
            Grant(privilege, grantee, grantee != PUBLIC and number % 4 == 0, by if by != grantee else None)
            for privilege in privileges
            for grantee in (*people, PUBLIC)
            for number, by in enumerate((*people, *[None] * (3 * len(people))))
        ]
    )


def _grants(draw: st.DrawFn, people: tuple[str, ...], privileges: tuple[str, ...], most: int) -> tuple[Grant, ...]:
    possible = _possible_grants(people, privileges)
    return tuple(draw(possible) for _ in range(draw(up_to(most))))


def _database(draw: st.DrawFn, name: str, roles: tuple[Role, ...], admin: str) -> Database:
    people = (*(role.name for role in roles), admin)
    close = (admin, *(role.name for role in roles if role.by_admin))
    names = draw(neighbours(SCHEMA_NAMES, 4, 1))
    schemas = [_schema(draw, schema, people) for schema in names]
    if draw(chance(50)):
        grants = _grants(draw, people, ("USAGE", "CREATE"), 2)
        schemas.append(Schema("public", "pg_database_owner", grants, _relations(draw, people), draw(chance(30))))
    return Database(
        name=name,
        owner=draw(one_of((*close * 6, *people, SUPERUSER))),
        grants=_grants(draw, people, ("CONNECT", "CREATE", "TEMPORARY"), 3),
        public_connect=draw(chance(50)),
        admin_connect=not draw(chance(6)),
        schemas=tuple(schemas),
        defaults=tuple(draw(_possible_defaults(people, names)) for _ in range(draw(up_to(3)))),
    )


def _schema(draw: st.DrawFn, name: str, people: tuple[str, ...]) -> Schema:
    owner = draw(one_of((*people, *people, SUPERUSER)))
    grants, relations = _grants(draw, people, ("USAGE", "CREATE"), 3), _relations(draw, people)
    return Schema(name, owner, grants, relations, routines=_routines(draw, people))


def _routines(draw: st.DrawFn, people: tuple[str, ...]) -> tuple[Routine, ...]:
    if not draw(chance(40)):
        return ()
    return tuple(
        Routine(
            name=name,
            owner=draw(one_of((*people, *people, SUPERUSER))),
            grants=_grants(draw, people, ("USAGE",) if is_type else ("EXECUTE",), 2),
            public_revoked=draw(chance(75)),
            is_type=is_type,
        )
        for names, is_type in ((ROUTINE_NAMES, False), (TYPE_NAMES, True))
        for name in draw(neighbours(names, 2))
    )


def _relations(draw: st.DrawFn, people: tuple[str, ...]) -> tuple[Relation, ...]:
    return tuple(
        Relation(
            name=name,
            kind=draw(one_of(KINDS)),
            owner=draw(one_of((*people, *people, SUPERUSER))),
            grants=_grants(draw, people, ("SELECT", "SELECT (id)", "SELECT (secret)", "INSERT", "ALL"), 2),
            owner_revoked=draw(chance(10)),
        )
        for name in draw(neighbours(RELATION_NAMES, 4))
    )


_DEFAULTS = {
    "TABLES": ("SELECT", "INSERT", "ALL"),
    "SEQUENCES": ("SELECT", "USAGE"),
    "SCHEMAS": ("USAGE", "CREATE"),
    "FUNCTIONS": ("EXECUTE",),
    "TYPES": ("USAGE",),
}


@cache
def _possible_defaults(people: tuple[str, ...], schemas: tuple[str, ...]) -> st.SearchStrategy[Default]:
    given = [
        Default(creator, schema, kind, privilege, grantee, option=grantee != PUBLIC and number % 4 == 0)
        for kind, privileges in _DEFAULTS.items()
        for privilege in privileges
        for schema in ((None,) if kind == "SCHEMAS" else (None, *schemas))
        for creator in people
        for number, grantee in enumerate((*people, PUBLIC))
    ]
    taken = [
        Default(creator, None, kind, privilege, PUBLIC, revoked=True)
        for kind, privilege in (("FUNCTIONS", "EXECUTE"), ("TYPES", "USAGE"))
        for creator in people
    ]
    return st.sampled_from(given + taken * max(1, len(given) // len(taken) // 6))

"""One case: a world, a wish, and all that has to hold when the tool is let loose on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby

import psycopg
import pytest

from replica_access.errors import Blocked
from replica_access.model import BlockedObject, Plan, Request
from replica_access.outlook import Outlook
from replica_access.postgres.connect import connect
from replica_access.postgres.statements import qualified
from replica_access.progress import SILENT
from replica_access.workflow import apply

from . import future, oracle
from .oracle import Right, Thing
from .site import Hosting, Site
from .wishes import Wish
from .worlds import COLUMNS, PUBLIC, Database, World

PRIVILEGES = {
    "pg_database": "CONNECT", "pg_namespace": "USAGE", "pg_class": "SELECT", "pg_attribute": "SELECT",
    "pg_proc": "EXECUTE", "pg_type": "USAGE",
}  # fmt: skip

ATTEMPTS = 3
"""Autovacuum may write in between, but not every time."""

MAY_CHANGE = frozenset({
    "pg_authid", "pg_auth_members", "pg_database", "pg_namespace", "pg_class", "pg_attribute", "pg_default_acl",
    "pg_db_role_setting", "pg_shdescription", "pg_shdepend", "pg_depend", "pg_init_privs", "pg_proc", "pg_type",
})  # fmt: skip
"""Catalogs in which rows are written; the last three are the server's own bookkeeping."""


@dataclass(frozen=True, slots=True)
class Before:
    """What the server said before anything was done."""

    rights: Mapping[str, frozenset[Right]]
    things: Mapping[str, frozenset[Thing]]
    makers: Mapping[str, Mapping[str, set[str]]]
    catalogs: Mapping[str, frozenset[oracle.Entry]]
    roles: frozenset[str]
    transaction: int


def check(
    site: Site, world: World, wish: Wish, *, twice: bool = False, log_in: bool = True, revoking: bool = False
) -> None:
    """Let the tool loose on `world`, and see that all holds.

    :param twice: carry out what has been carried out already, once more.
    :param log_in: as a reader, beside asking what it could do.
    :param revoking: take away what readers have beyond the spec.
    """
    with site.holding(world, wish):
        before = look_around(site, world, wish)
        hosting = site.hosting(world, wish)
        outlook = site.look(hosting, Request(allow_revoke=revoking))
        if any(not blocked.optional for blocked in outlook.cluster.blocked):
            refused_without_a_trace(site, world, hosting, outlook, before)
            return
        site.apply(hosting, outlook)
        settled(site, hosting, outlook)
        if twice:
            once_more_writes_nothing(site, hosting, outlook)
        only_what_was_planned_changed(site, world, wish, before, revoking=revoking)
        if revoking:
            the_readers_have_what_the_spec_says_and_no_more(site, world, wish, outlook, before)
        else:
            the_readers_can_do_what_the_spec_says(site, world, wish, outlook, before)
            what_comes_next_is_readable(site, world, wish, outlook, before)
        if log_in:
            a_login_meets_what_the_server_says(site, world, wish, hosting)
        site.undo(outlook.allowed().plan)
        all_is_as_it_was(site, world, before)


def look_around(site: Site, world: World, wish: Wish) -> Before:
    names = known_names(world, wish)
    rights, things, makers = {}, {}, {}
    for database in world.databases:
        connection = site.superuser(database.name)
        rights[database.name] = oracle.rights(connection, names)
        things[database.name] = oracle.things(connection)
        makers[database.name] = oracle.creators(connection)
    roles = {world.admin, *(role.name for role in world.roles)}
    catalogs = site.snapshot(world)
    return Before(rights, things, makers, catalogs, frozenset(roles), oracle.transactions(site.superuser("postgres")))


def known_names(world: World, wish: Wish) -> frozenset[str]:
    return frozenset({world.admin, *(role.name for role in world.roles), *wish.names})


def refused_without_a_trace(site: Site, world: World, hosting: Hosting, outlook: Outlook, before: Before) -> None:
    with pytest.raises(Blocked):
        site.apply(hosting, outlook)
    all_is_as_it_was(site, world, before)


def all_is_as_it_was(site: Site, world: World, before: Before) -> None:
    for database, entries in site.snapshot(world).items():
        lost, left = before.catalogs[database] - entries, entries - before.catalogs[database]
        assert not lost, f"{database}: lost: {lost}"
        assert not left, f"{database}: left: {left}"


# --- afterwards ------------------------------------------------------------------------------------------------------


def settled(site: Site, hosting: Hosting, outlook: Outlook) -> None:
    again = site.look(hosting, outlook.request)
    assert again.allowed().plan.changes == ()
    assert again.plan.blocked == outlook.plan.blocked


def once_more_writes_nothing(site: Site, hosting: Hosting, outlook: Outlook) -> None:
    for _ in range(ATTEMPTS):
        count = oracle.transactions(site.superuser("postgres"))
        applied = apply(hosting.spec, hosting, outlook.allowed(), SILENT, confirmed=True)
        assert (applied.error, applied.changes) == (None, ())
        if oracle.transactions(site.superuser("postgres")) == count:
            return
    pytest.fail("applying what is there already wrote something, every time")


def only_what_was_planned_changed(site: Site, world: World, wish: Wish, before: Before, *, revoking: bool) -> None:
    after = site.snapshot(world)
    for where, entries in after.items():
        gone = {
            entry
            for entry in before.catalogs[where] - entries
            if not is_of_a_reader(entry, wish) and not (revoking and entry[2] in wish.names)
        }
        assert not gone, f"{where}: taken away: {gone}"
        for entry in entries - before.catalogs[where]:
            assert is_expected(entry, world, wish), f"{where}: not planned: {entry}"
    for database in world.databases:
        changed = oracle.changed_catalogs(site.superuser(database.name), before.transaction)
        assert changed <= MAY_CHANGE, changed - MAY_CHANGE


def is_of_a_reader(entry: oracle.Entry, wish: Wish) -> bool:
    """A role that is a reader already may be altered: the row that it had is another one now."""
    return entry[0] == "pg_authid" and entry[1] in wish.names


def is_expected(entry: oracle.Entry, world: World, wish: Wish) -> bool:
    catalog, thing, who, what, rest = entry
    match catalog:
        case "pg_authid":
            return thing in wish.names
        case "pg_auth_members":
            # The admin that makes a role is its administrator since PostgreSQL 16, without its rights.
            made = (
                who == world.admin
                and thing in wish.names
                and world.role(thing) is None
                and '"admin_option": true' in rest
            )
            return made or any(
                who == reader.name and thing in (*reader.member_of, "rds_iam") for reader in wish.readers
            )
        case "pg_default_acl":
            return who in wish.names and what in {"SELECT", "USAGE", "EXECUTE"} and rest.startswith("f by ")
        case _:
            return who in wish.names and what == PRIVILEGES[catalog] and rest.startswith("f by ")


def the_readers_can_do_what_the_spec_says(
    site: Site, world: World, wish: Wish, outlook: Outlook, before: Before
) -> None:
    reach = oracle.reach(site.superuser("postgres"), known_names(world, wish))
    for database in world.databases:
        connection = site.superuser(database.name)
        wanted = frozenset(wants(wish, database.name, before.things[database.name]))
        expected = with_inherited(before.rights[database.name], wanted, reach)
        actual = oracle.rights(connection, known_names(world, wish))
        assert actual <= expected, f"{database.name}: too much: {actual - expected}"
        blocked = outlook.databases[database.name].blocked if database.name in outlook.databases else ()
        missing = {right for right in wanted - actual if before_is_no_superuser(right.role, world)}
        if may_connect(site, world, database, before):
            for thing in {right.thing for right in missing}:
                could = oracle.may_act_for(site.as_admin(database.name), thing, site.major)
                assert not could, f"{database.name}: left out: {thing}"
        if missing:
            assert blocked
        else:
            assert actual == expected
        with fixed(site, database, blocked):
            if may_connect(site, world, database, before):
                assert wanted <= oracle.rights(connection, known_names(world, wish))


def the_readers_have_what_the_spec_says_and_no_more(
    site: Site, world: World, wish: Wish, outlook: Outlook, before: Before
) -> None:
    """Nothing else was granted to them directly, and what was, is enough."""
    superuser = site.superuser("postgres")
    readers = {name for name in wish.names if before_is_no_superuser(name, world)}
    declared = {(reader.name, group) for reader in wish.readers for group in (*reader.member_of, "rds_iam")}
    members = {(member, role) for member, role in oracle.memberships(superuser) if member in readers}
    if not outlook.cluster.blocked:
        assert members <= declared, members - declared
    reach = oracle.reach(superuser, known_names(world, wish))
    for database in world.databases:
        connection = site.superuser(database.name)
        plan = outlook.databases.get(database.name, Plan())
        things = before.things[database.name]
        wanted = frozenset(wants(wish, database.name, things))
        if not plan.blocked and may_connect(site, world, database, before):
            excess = {h for h in oracle.held(connection, readers) if not is_wanted(h, wanted, wish, database.name)}
            if outlook.cluster.blocked:
                excess = {h for h in excess if h.kind != "database"}
            assert not excess, f"{database.name}: {excess}"
            actual = oracle.rights(connection, readers)
            given = {right for right in wanted if right.role in readers}
            given |= {
                Right(role, right.thing, right.privilege)
                for role in readers
                for right in wanted
                if right.role in reach[role]
            }
            assert given <= actual, f"{database.name}: {given - actual}"


def is_wanted(held: oracle.Held, wanted: frozenset[Right], wish: Wish, database: str) -> bool:
    """Whether the spec lets its reader keep what it was granted."""
    if held.grantable:
        return False
    rules = [rule for rule in wish.rules_in(database) if rule.to == held.role]
    match held.kind:
        case "database":
            return held.privilege == "CONNECT" and bool(rules)
        case "column":
            right = oracle.SELECT_COLUMN.get(held.detail, "")
            return held.privilege == "SELECT" and any(
                r.role == held.role and r.thing[1:] == (held.schema, held.name) and r.privilege == right for r in wanted
            )
        case "default":
            return any(future.keeps(rule, held) for rule in rules)
        case _:
            thing = Thing(held.kind, held.schema, held.name)
            return Right(held.role, thing, held.privilege) in wanted


def before_is_no_superuser(role: str, world: World) -> bool:
    known = world.role(role)
    return known is None or not known.superuser


def wants(wish: Wish, database: str, things: frozenset[Thing]) -> Iterator[Right]:
    for reader, rules in groupby(sorted(wish.rules_in(database), key=lambda rule: rule.to), lambda rule: rule.to):
        of_reader = tuple(rules)
        yield Right(reader, Thing("database"), "CONNECT")
        for thing in things:
            wanting = [rule for rule in of_reader if rule.wants_schema(thing.schema)]
            if thing.kind == "schema":
                yield from (Right(reader, thing, "USAGE") for _ in wanting)
            elif thing.kind in {"function", "type"}:
                if any(rule.execute and rule.wants_relation(thing.schema, thing.relation) for rule in wanting):
                    yield Right(reader, thing, "EXECUTE" if thing.kind == "function" else "USAGE")
            elif thing.kind == "S":
                if any(rule.wants_relation(thing.schema, thing.relation) for rule in wanting):
                    yield Right(reader, thing, "SELECT")
            else:
                columns = {column for rule in wanting for column in rule.wanted_columns(thing.schema, thing.relation)}
                yield from (Right(reader, thing, oracle.SELECT_COLUMN[column]) for column in columns)
                if len(columns) == len(COLUMNS):
                    yield Right(reader, thing, "SELECT")


def with_inherited(
    before: frozenset[Right], wanted: frozenset[Right], reach: Mapping[str, set[str]]
) -> frozenset[Right]:
    """Return what everybody should be able to do: as before, and what the roles they reach were given."""
    had: dict[str, set[tuple[Thing, str]]] = {}
    for right in before:
        had.setdefault(right.role, set()).add((right.thing, right.privilege))
    for role in reach:
        had.setdefault(role, set()).update(had[PUBLIC])
    for right in wanted:
        had[right.role].add((right.thing, right.privilege))
    found = {
        Right(role, thing, privilege)
        for role, reached in reach.items()
        for other in reached & had.keys()
        for thing, privilege in had[other]
    }
    return frozenset(found | {right for right in before if right.role == PUBLIC})


def may_connect(site: Site, world: World, database: Database, before: Before) -> bool:
    rights = before.rights[database.name]
    return site.admin.kind == "superuser" or Right(world.admin, Thing("database"), "CONNECT") in rights


@contextmanager
def fixed(site: Site, database: Database, blocked: tuple[BlockedObject, ...]) -> Iterator[None]:
    """Run the statements that are shown for what is blocked, for a moment."""
    connection = site.superuser(database.name)
    with oracle.undone(connection):
        for fix in blocked:
            connection.execute(fix.fix.partition(": ")[2].encode())
        yield


def what_comes_next_is_readable(site: Site, world: World, wish: Wish, outlook: Outlook, before: Before) -> None:
    for database in world.databases:
        if database.name not in outlook.databases or not may_connect(site, world, database, before):
            continue
        makers, schemas = before.makers[database.name], {thing.schema for thing in before.things[database.name]}
        creators = {
            creator
            for rule in wish.rules_in(database.name)
            if rule.future
            for found in future.covered(rule, makers, schemas, set(before.roles)).values()
            for creator in found
        }
        made = future.tomorrows(creators, schemas)
        if not made:
            continue
        plan = outlook.databases[database.name]
        expected = future.expected(wish, database.name, made, makers, schemas, set(before.roles))
        connection = site.superuser(database.name)
        with oracle.undone(connection):
            readable = future.readable(connection, database.name, made, wish.names)
        for reader, thing in expected - readable:
            assert plan.blocked, f"{database.name}: {reader} does not read {thing}"
        with fixed(site, database, plan.blocked):
            readable = future.readable(connection, database.name, made, wish.names)
            assert expected <= readable, f"{database.name}: {expected - readable}"


def a_login_meets_what_the_server_says(site: Site, world: World, wish: Wish, hosting: Hosting) -> None:
    """Log in as the first that has a password, and read everything."""
    reader = next((r for r in wish.logins() if r.name in hosting.passwords), None)
    if reader is None:
        return
    for database in world.databases:
        rights = oracle.rights(site.superuser(database.name), [reader.name])
        can = {(right.thing, right.privilege) for right in rights if right.role == reader.name}
        login = site.login(reader.name, hosting.passwords[reader.name].reveal(), database.name)
        if (Thing("database"), "CONNECT") not in can:
            with pytest.raises(Exception, match="permission denied for database"):
                connect(login)
            continue
        with connect(login) as connection:
            for thing in oracle.things(site.superuser(database.name)):
                if thing.kind not in {"schema", "f", "function", "type"}:
                    name = qualified(thing.schema, thing.relation)
                    selects = (thing, "SELECT") in can or (
                        thing.kind != "S" and all((thing, right) in can for right in oracle.SELECT_COLUMN.values())
                    )
                    allowed = selects and (Thing("schema", thing.schema), "USAGE") in can
                    assert reads(connection, name) == allowed, f"{database.name}: {thing}"


def reads(connection: psycopg.Connection[object], name: str) -> bool:
    try:
        connection.execute(f"SELECT * FROM {name} LIMIT 0".encode())
    except psycopg.errors.InsufficientPrivilege:
        return False
    return True

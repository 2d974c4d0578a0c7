"""What everybody may do: PUBLIC is every role there is, and every role there will be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from replica_access.audit.facts import Facts
from replica_access.audit.objects import acl, groups, revoke
from replica_access.audit.realm import Realm
from replica_access.audit.rules.excess import reaches_out
from replica_access.audit.rules.rule import Hit, Rule
from replica_access.audit.sql import identifier
from replica_access.catalog import Entry
from replica_access.model import PUBLIC
from replica_access.names import legible, shown
from replica_access.rights import RELATIONS, Objects

WRITES = frozenset({"INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN"})


MOST_NAMED = 12
"""So many logins are named; of more, somebody has to think."""


def class_of(objects: Objects, privilege: str) -> str:
    """Return which rule of this family is about `privilege` on `objects`; empty where none is.

    That everybody may run functions and use types and languages is how PostgreSQL is.
    """
    kind = objects.kind
    if reaches_out(objects):
        return "foreign"
    if objects.extension:
        return ""
    if kind in RELATIONS or kind in {"column", "large object"}:
        writes = privilege in WRITES or (kind in {"sequence", "large object"} and privilege != "SELECT")
        return "write" if writes else "read"
    if kind in {"schema", "tablespace"}:
        return "create" if privilege == "CREATE" else ""
    if kind == "database":
        return {"CREATE": "create", "CONNECT": "connect", "TEMPORARY": "temporary"}[privilege]
    if kind in {"function", "procedure"}:
        return "definer" if objects.definer else ""
    return "parameter" if kind == "parameter" else ""


_MESSAGES = {
    "create": "Everybody may create objects in {}, and so shadow those of others.",
    "write": "Everybody may write to {} ({privileges}).",
    "read": "Everybody who gets into the database may read {}.",
    "definer": "Everybody may run {}, which acts with the rights of its owner.",
    "foreign": "Everybody may reach other servers or files through {}.",
    "connect": "Everybody may connect to {}.",
    "temporary": "Everybody may make temporary tables in {}.",
    "parameter": "Everybody may set {}.",
}


def _granted(which: str, facts: Facts) -> Iterator[Hit]:
    for realm in facts.realms:
        for objects, entries in realm.to_public(class_of).get(which, ()):
            names = [name for name in objects.names if not (objects.kind == "database" and _is_system(name))]
            if names:
                yield from _hits(realm, objects, names, entries, _MESSAGES[which])


def _opened(facts: Facts) -> Iterator[Hit]:
    message = "Everybody has {privileges} on {}, which PostgreSQL keeps closed."
    for realm in facts.realms:
        for objects in realm.rights.opened:
            yield from _hits(realm, objects, list(objects.names), objects.entries, message)


def _is_system(database: str) -> bool:
    return database in {"rdsadmin", "template0", "template1"}


def _hits(realm: Realm, objects: Objects, names: list[str], entries: Sequence[Entry], message: str) -> Iterator[Hit]:
    privileges = ", ".join(dict.fromkeys(entry.privilege for entry in entries))
    shared = objects.kind in {"database", "tablespace", "parameter"}
    for about, some in groups(objects, names):
        remedy = revoke(realm.rights, objects, some, entries)
        if objects.kind == "database" and any(entry.privilege == "CONNECT" for entry in entries):
            remedy = "\n".join([*_kept_out(realm, objects, some), remedy])
        yield Hit(
            server=legible(realm.server),
            database=None if shared else shown(realm.rights.database),
            subject="PUBLIC",
            object=about,
            message=message.format(f"{objects.kind} {about}" if len(some) == 1 else about, privileges=privileges),
            remedy=remedy,
            evidence=acl(realm.rights, entries) + (", as it is by default" if objects.is_default else ""),
        )


def _kept_out(realm: Realm, objects: Objects, databases: Sequence[str]) -> Iterator[str]:
    """Yield what has to be granted first, so that nobody is locked out of databases who gets in through PUBLIC alone.

    Readers are let in as the spec says.
    """
    entries = tuple(entry for entry in objects.entries if entry.grantee != PUBLIC)
    let_in = realm.access.holders(replace(objects, entries=entries), "CONNECT")
    roles = [role for oid, role in realm.rights.roles.items() if oid not in let_in]
    logins = {role.name for role in roles if role.login and not role.is_system and role.oid not in realm.readers}
    for database in databases:
        readers = {rule.reader for rule in realm.desired.rules.get(database, ())} & {role.name for role in roles}
        names = sorted(logins | readers)
        if len(names) > MOST_NAMED:
            yield f"-- first GRANT CONNECT ON DATABASE {identifier(database)} to who needs it of {len(names):,} logins"
        elif names:
            yield "-- who gets in through PUBLIC alone; leave out who has no business there"
            # one by one: of a list that has one who is gone by now, nobody would be let in, and then everybody kept out
            yield from (f"GRANT CONNECT ON DATABASE {identifier(database)} TO {identifier(name)};" for name in names)


def _future(facts: Facts) -> Iterator[Hit]:
    for realm in facts.realms:
        rights = realm.rights
        for default in rights.defaults:
            usual = {"function": "EXECUTE", "type": "USAGE"}.get(default.kind, "")
            entries = [e for e in default.entries if e.grantee == PUBLIC and e.privilege != usual]
            if not entries or default.creator not in rights.roles:
                continue
            creator = rights.roles[default.creator].name
            privileges = ", ".join(entry.privilege for entry in entries)
            where = f" IN SCHEMA {identifier(default.schema)}" if default.schema else ""
            place = f"in {shown(default.schema)}" if default.schema else "anywhere"
            yield Hit.within(
                realm,
                subject="PUBLIC",
                object=f"{default.kind}s of {shown(creator)} {place}",
                message=f"Everybody gets {privileges} on every {default.kind} that {shown(creator)} makes {place}.",
                remedy=f"ALTER DEFAULT PRIVILEGES FOR ROLE {identifier(creator)}{where} REVOKE {privileges}"
                f" ON {default.kind.upper()}S FROM PUBLIC;",
                evidence=f"default privileges: {acl(rights, entries)}",
            )


def _large_objects(facts: Facts) -> Iterator[Hit]:
    for realm in facts.realms:
        if realm.rights.large_objects_open:
            yield Hit.within(
                realm,
                subject="PUBLIC",
                object="lo_compat_privileges",
                message="Everybody may read and write every large object: their privileges are not looked at.",
                remedy="ALTER SYSTEM SET lo_compat_privileges = off; SELECT pg_reload_conf();",
                evidence="lo_compat_privileges is on",
            )


def _find(which: str) -> Callable[[Facts], Iterator[Hit]]:
    return partial(_granted, which)


RULES = (
    Rule(
        "public-create",
        "high",
        "Everybody may create objects, and so put their own in the way of others.",
        _find("create"),
    ),
    Rule(
        "public-catalog", "high", "Everybody may use tables or functions of PostgreSQL that are not for all.", _opened
    ),
    Rule("public-write", "high", "Everybody may write to something.", _find("write")),
    Rule(
        "public-definer", "medium", "Everybody may run a function that acts with its owner's rights.", _find("definer")
    ),
    Rule("public-foreign", "high", "Everybody may reach other servers or files through this one.", _find("foreign")),
    Rule("public-large-objects", "high", "Privileges on large objects are not looked at.", _large_objects),
    Rule("public-read", "medium", "Everybody may read something, readers of other things included.", _find("read")),
    Rule("public-future", "medium", "Everybody gets something on whatever is made next.", _future),
    Rule("public-parameter", "medium", "Everybody may set a parameter that is for superusers.", _find("parameter")),
    Rule(
        "public-connect", "low", "Everybody may connect to a database: CONNECT decides nothing there.", _find("connect")
    ),
    Rule("public-temporary", "low", "Everybody may make temporary tables.", _find("temporary")),
)

"""Readers who hold more than the spec gives them.

Each thing is found where it comes from: a privilege at the reader whom it was granted to, with all who are in that; a
membership as such, not each privilege that it brings; what PUBLIC has in the family of that name.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain

from replica_access.audit.cut import ending
from replica_access.audit.facts import Facts
from replica_access.audit.objects import acl, altered, displayed, groups, on, revoke, role
from replica_access.audit.realm import Realm
from replica_access.audit.rules.rule import Hit, Rule
from replica_access.audit.sql import identifier
from replica_access.catalog import Entry, Membership, Role
from replica_access.model import PUBLIC, Oid
from replica_access.names import legible, shown, written
from replica_access.observed import Server
from replica_access.rights import RELATIONS, Default, Objects

REACHING_OUT = frozenset({"dblink", "postgres_fdw", "file_fdw", "adminpack", "http", "pg_cron", "aws_s3", "aws_lambda"})
"""Extensions that reach other servers, or files of this one."""

WRAPPERS = frozenset({"postgres_fdw", "file_fdw"})
"""Of these, those whose functions reach nothing by themselves: they serve the wrapper, or list and end connections."""

ATTRIBUTES: Mapping[str, str] = {
    "superuser": "SUPERUSER",
    "create_role": "CREATEROLE",
    "create_db": "CREATEDB",
    "replication": "REPLICATION",
    "bypass_rls": "BYPASSRLS",
}


BEYOND = "{who} has {what} on {where}, which the spec does not give."


def reaches_out(objects: Objects) -> bool:
    """Whether one reaches other servers, or files, by what one may do with `objects`; its types are but types."""
    if objects.kind in {"foreign server", "foreign data wrapper"}:
        return True
    harmless = {"type", "domain"} | ({"function", "procedure"} if objects.extension in WRAPPERS else set())
    return objects.extension in REACHING_OUT and objects.kind not in harmless


def class_of(objects: Objects, privilege: str) -> str:
    """Return which rule of this family is about `privilege` on `objects`."""
    kind = objects.kind
    if kind == "large object":
        return "large-object"
    if reaches_out(objects):
        return "foreign"
    if kind == "parameter":
        return "parameter"
    if privilege in {"INSERT", "UPDATE", "DELETE", "TRUNCATE"} or (kind == "sequence" and privilege == "USAGE"):
        return "write"
    if privilege in {"REFERENCES", "TRIGGER", "MAINTAIN"}:
        return "change"
    if privilege in {"CREATE", "TEMPORARY"}:
        return privilege.lower()
    if privilege == "EXECUTE":
        return "definer" if objects.definer else "execute"
    return "execute" if kind in {"type", "domain", "language"} else "read"


def _beyond(which: str, facts: Facts) -> Iterator[Hit]:
    """Yield, of what readers were granted, what the spec does not give them and is of the class `which`."""
    for realm in facts.realms:
        for objects, reader, entries in realm.to_readers(class_of).get(which, ()):
            yield from _of_reader(realm, facts, objects, reader, entries)


def _of_reader(realm: Realm, facts: Facts, objects: Objects, reader: Oid, entries: Iterable[Entry]) -> Iterator[Hit]:
    if objects.kind in RELATIONS and realm.takes_all(reader, objects.schema):
        beyond = [entry for entry in entries if entry.privilege != "SELECT"]
        if beyond:
            yield from _hits(realm, objects, list(objects.names), beyond, BEYOND)
        return
    by_excess: dict[tuple[Entry, ...], list[str]] = {}
    for name in objects.names:
        kept = realm.kept(reader, objects, name)
        if kept and objects.kind in RELATIONS and _partly_taken(realm, facts, reader, objects, name):
            kept = frozenset()
        if rest := tuple(entry for entry in entries if entry.privilege not in kept):
            by_excess.setdefault(rest, []).append(name)
    for found, names in by_excess.items():
        yield from _hits(realm, objects, names, found, BEYOND)


def _partly_taken(realm: Realm, facts: Facts, reader: Oid, objects: Objects, name: str) -> bool:
    """Whether the spec leaves out columns that the relation has: then the plan takes the whole from the reader."""
    wanting = [rule for rule in realm.rules(reader) if rule.wants_relation(objects.schema, name)]
    if not wanting or not all(rule.looks_at_columns(objects.schema, name) for rule in wanting):
        return False
    what = displayed(objects, name)
    changes = facts.plan.of("database", realm.rights.database) if facts.plan is not None else ()
    return any(change.takes == "revoke" and change.object == what for change in changes)


def _hits(realm: Realm, objects: Objects, names: list[str], entries: Iterable[Entry], message: str) -> Iterator[Hit]:
    """:param message: with ``{who}``, ``{what}`` and ``{where}``."""
    found, rights = list(entries), realm.rights
    privileges = ", ".join(dict.fromkeys(entry.privilege for entry in found))
    who = role(rights, found[0].grantee)
    for about, some in groups(objects, names):
        yield Hit(
            server=legible(realm.server),
            database=None if objects.kind in {"database", "tablespace", "parameter"} else shown(rights.database),
            subject=who,
            object=about,
            message=message.format(
                who=who, what=privileges, where=f"{objects.kind} {about}" if len(some) == 1 else about
            ),
            remedy=revoke(rights, objects, some, found),
            evidence=acl(rights, found),
        )


def _grant_option(facts: Facts) -> Iterator[Hit]:
    for realm in facts.realms:
        for objects in realm.objects:
            for entry in realm.granted(objects):
                if not entry.grantable:
                    continue
                kept = [name for name in objects.names if entry.privilege in realm.kept(entry.grantee, objects, name)]
                for about, names in groups(objects, kept):
                    who = identifier(realm.rights.roles[entry.grantee].name)
                    passed_on = any(e.grantor == entry.grantee for e in objects.entries)
                    yield Hit(
                        server=legible(realm.server),
                        database=None if objects.kind == "database" else shown(realm.rights.database),
                        subject=role(realm.rights, entry.grantee),
                        object=about,
                        message=f"{role(realm.rights, entry.grantee)} may pass on {entry.privilege} on {about}.",
                        remedy="\n".join(
                            f"REVOKE GRANT OPTION FOR {entry.privilege} ON {on(objects, name)} FROM {who}"
                            f"{' CASCADE' if passed_on else ''};"
                            for name in names
                        ),
                        evidence=acl(realm.rights, [entry]),
                    )


def _what(objects: Objects, about: str, names: Sequence[str]) -> str:
    """Return what a sentence is about, with its kind: a number alone is no large object to anybody."""
    return f"the {objects.kind} {about}" if len(names) == 1 else about


def _owner(facts: Facts) -> Iterator[Hit]:
    for realm in facts.realms:
        for objects in realm.rights.objects:
            shared = objects.kind in {"database", "tablespace", "parameter"}
            if objects.owner not in realm.readers or objects.kind == "column" or (shared and not realm.first):
                continue
            who, owner = role(realm.rights, objects.owner), identifier(_new_owner(realm, facts))
            for about, names in groups(objects, objects.names):
                yield Hit(
                    server=legible(realm.server),
                    database=None if shared else shown(realm.rights.database),
                    subject=who,
                    object=about,
                    message=f"{who} owns {_what(objects, about, names)}, and can do with it what it likes.",
                    remedy="\n".join(_given_away(realm, objects, name, owner) for name in names),
                    evidence=f"its owner is {who}",
                )


def _owner_of_others(facts: Facts) -> Iterator[Hit]:
    """Yield what readers own that has no privileges: it is as much theirs."""
    for realm in facts.realms:
        for owned in realm.rights.owned:
            if owned.owner not in realm.readers or (owned.kind == "subscription" and not realm.first):
                continue
            who, about = role(realm.rights, owned.owner), f"{owned.kind} {written(owned.name)}"
            owner = identifier(_new_owner(realm, facts))
            keyword = {"statistics object": "STATISTICS"}.get(owned.kind, owned.kind.upper())
            away = f"ALTER {keyword} {owned.name} OWNER TO {owner};"
            if owned.kind == "extension":  # which ALTER gives to nobody
                away = f"REASSIGN OWNED BY {identifier(realm.rights.roles[owned.owner].name)} TO {owner};"
            yield Hit.within(
                realm,
                subject=who,
                object=about,
                message=f"{who} owns the {about}, and can do with it what it likes.",
                remedy=away,
                evidence=f"its owner is {who}",
            )


DECIDING = frozenset(
    {"role", "session_authorization", "search_path", "session_preload_libraries", "local_preload_libraries",
     "session_replication_role", "row_security"}
)  # fmt: skip
"""Settings that decide who a session is, whose code it runs, and what protects it."""


def _settings(facts: Facts) -> Iterator[Hit]:
    """Yield settings of readers that are not of the spec: for all databases, and for one alone."""
    for server, reader in _readers(facts):
        declared = facts.spec.roles.get(reader.name) or facts.spec.users[reader.name]
        wanted = {name.lower() for name in declared.settings}
        beyond = {name: value for name, value in reader.settings.items() if name.lower() not in wanted}
        yield from _deciding(server, reader, beyond, None)
        for realm in facts.realms:
            here = realm.rights.settings.get(reader.oid, {}) if reader.oid in realm.readers else {}
            yield from _deciding(server, reader, here, realm.rights.database)


def _deciding(server: Server, reader: Role, settings: Mapping[str, str], database: str | None) -> Iterator[Hit]:
    name = shown(reader.name)
    where = f" IN DATABASE {identifier(database)}" if database is not None else ""
    for setting, value in settings.items():
        if setting.lower() in DECIDING:
            yield Hit(
                server=legible(server.name),
                database=None if database is None else shown(database),
                subject=name,
                object=shown(setting),
                message=f"Sessions of {name} begin with {shown(setting)} set, which the spec does not say.",
                remedy=f"ALTER ROLE {identifier(reader.name)}{where} RESET {identifier(setting)};",
                evidence=f"{shown(setting)} is {legible(value) or 'empty'}",
            )


def _new_owner(realm: Realm, facts: Facts) -> str:
    """Return the name of the database's owner, or, where that is a reader itself, of the admin."""
    admin = facts.roles.cluster.admin if facts.roles is not None else realm.rights.owner
    owner = admin if realm.rights.owner in realm.readers else realm.rights.owner
    return realm.rights.roles[owner].name


def _given_away(realm: Realm, objects: Objects, name: str, owner: str) -> str:
    """Return what gives one of `objects` to `owner`; a sequence of a column goes with its table, and not alone."""
    if objects.kind == "sequence":
        return f"REASSIGN OWNED BY {identifier(realm.rights.roles[objects.owner].name)} TO {owner};"
    return f"ALTER {altered(objects, name)} OWNER TO {owner};"


def _future(facts: Facts) -> Iterator[Hit]:
    for realm in facts.realms:
        for default in realm.rights.defaults:
            by_reader: dict[Oid, list[Entry]] = {}
            for entry in default.entries:
                if entry.grantee in realm.readers and entry.grantee != default.creator:
                    wanted = entry.privilege in _wanted_of_future(realm, entry.grantee, default.schema, default.kind)
                    if entry.grantable or not wanted:
                        by_reader.setdefault(entry.grantee, []).append(entry)
            for reader, entries in by_reader.items():
                yield _default_hit(realm, default, reader, entries)


def _wanted_of_future(realm: Realm, reader: Oid, schema: str, kind: str) -> Collection[str]:
    rules = [rule for rule in realm.rules(reader) if rule.future]
    if schema:
        rules = [rule for rule in rules if rule.wants_schema(schema)]
    wanted = {"table": ("SELECT",), "sequence": ("SELECT",), "schema": ("USAGE",)}.get(kind, ())
    executes = {"function": ("EXECUTE",), "type": ("USAGE",)}.get(kind, ())
    return {*(wanted if rules else ()), *(executes if any(rule.execute for rule in rules) else ())}


def _default_hit(realm: Realm, default: Default, reader: Oid, entries: list[Entry]) -> Hit:
    rights, creator, schema, kind = realm.rights, default.creator, default.schema, default.kind
    privileges = ", ".join(dict.fromkeys(entry.privilege for entry in entries))
    where = f" IN SCHEMA {identifier(schema)}" if schema else ""
    who = identifier(rights.roles[creator].name)
    place = f"in {shown(schema)}" if schema else "anywhere"
    plural = {"large object": "LARGE OBJECTS"}.get(kind, f"{kind.upper()}S")
    return Hit.within(
        realm,
        subject=role(rights, reader),
        object=f"{kind}s of {role(rights, creator)} {place}",
        message=f"{role(rights, reader)} gets {privileges} on every {kind} that {role(rights, creator)} makes {place}.",
        remedy=f"ALTER DEFAULT PRIVILEGES FOR ROLE {who}{where} REVOKE {privileges} ON {plural}"
        f" FROM {identifier(rights.roles[reader].name)};",
        evidence=f"default privileges: {acl(rights, entries)}",
    )


# --- what needs the shared catalogs alone ----------------------------------------------------------------------------


def _attribute(facts: Facts) -> Iterator[Hit]:
    for server, reader in _readers(facts):
        for attribute, keyword in ATTRIBUTES.items():
            if getattr(reader, attribute):
                name = shown(reader.name)
                yield Hit(
                    legible(server.name), name, keyword, f"{name} has {keyword}, which no reader may have.",
                    f"ALTER ROLE {identifier(reader.name)} NO{keyword};", f"{keyword} in pg_roles",
                )  # fmt: skip


def _membership(predefined: bool, facts: Facts) -> Iterator[Hit]:
    for server, reader in _readers(facts):
        cluster = server.cluster
        declared = facts.spec.roles.get(reader.name) or facts.spec.users[reader.name]
        allowed = {*declared.member_of, *(["rds_iam"] if getattr(declared, "auth", "") == "iam" else [])}
        for m in cluster.memberships:
            group = cluster.roles[m.role]
            if m.member != reader.oid or group.name in allowed or group.is_system is not predefined:
                continue
            by = f"granted by {shown(cluster.roles[m.grantor].name)}" if m.grantor in cluster.roles else "granted"
            name, what = shown(reader.name), shown(group.name)
            yield Hit(
                legible(server.name), name, what, f"{name} is in {what}, which the spec does not say: {_ways(m)}.",
                _without(server, m), f"{by}; {_brings(facts, group)}",
            )  # fmt: skip


def _member(facts: Facts) -> Iterator[Hit]:
    """Yield who is in a reader of the spec, and not of the spec itself: it has all that the reader has.

    The admin is, of what it has made (user.c: CreateRole), and superusers need not be.
    """
    for server, reader in _readers(facts):
        cluster = server.cluster
        for m in cluster.memberships:
            member = cluster.roles.get(m.member)
            if m.role != reader.oid or member is None or not (m.inherit or m.set_role):
                continue
            known = member.name in facts.spec.roles or member.name in facts.spec.users
            if known or member.superuser or member.is_system or member.oid == cluster.admin:
                continue
            by = f"granted by {shown(cluster.roles[m.grantor].name)}" if m.grantor in cluster.roles else "granted"
            name, what = shown(member.name), shown(reader.name)
            yield Hit(
                server=legible(server.name), subject=name, object=what,
                message=f"{name}, whom the spec does not know, is in {what}: {_ways(m)}.",
                remedy=_without(server, m), evidence=by,
            )  # fmt: skip


def _ways(m: Membership) -> str:
    if m.inherit:
        return "it has its privileges"
    return "it can become it by SET ROLE" if m.set_role else "it has no use of it yet"


def _without(server: Server, m: Membership) -> str:
    cluster = server.cluster
    group, member = identifier(cluster.roles[m.role].name), identifier(cluster.roles[m.member].name)
    grantor = cluster.roles.get(m.grantor)
    by = f" GRANTED BY {identifier(grantor.name)}" if cluster.version >= 160000 and grantor is not None else ""
    return f"REVOKE {group} FROM {member}{by};"


def _brings(facts: Facts, group: Role) -> str:
    """Return in words what the privileges of `group` are, as far as databases were looked into."""
    found: dict[str, int] = {}
    for realm in facts.realms:
        for objects in realm.judged if group.oid in realm.rights.roles else ():
            if objects.kind in RELATIONS:
                for privilege in realm.access.of(group.oid, objects):
                    found[privilege] = found.get(privilege, 0) + objects.total
    said = ", ".join(f"{privilege} on {number:,}" for privilege, number in sorted(found.items()))
    return f"it brings {said} relations" if said else "it brings nothing on relations"


def _readers(facts: Facts) -> Iterator[tuple[Server, Role]]:
    server = facts.roles
    for name in (*facts.spec.roles, *facts.spec.users) if server is not None else ():
        if server is not None and (found := server.cluster.role(name)) is not None:
            yield server, found


def _exposed(facts: Facts) -> Iterator[Hit]:
    """Yield what is excluded and can be read all the same, by ways that are not the readers' own."""
    for realm in facts.realms:
        for objects in realm.judged:
            if objects.kind not in RELATIONS:
                continue
            holders = realm.access.holders(objects, "SELECT")
            for reader in holders & realm.granted_to:
                if realm.takes_all(reader, objects.schema):
                    continue
                names = [name for name in objects.names if realm.is_excluded(reader, objects.schema, name)]
                ways = realm.access.has_rights_of(reader) | {PUBLIC}
                entries = [e for e in objects.entries if e.privilege == "SELECT" and e.grantee in ways]
                if names and not any(entry.grantee in realm.readers for entry in entries):
                    yield from _exposed_hits(realm, reader, objects, names, entries)


def _exposed_hits(realm: Realm, reader: Oid, objects: Objects, names: list[str], entries: list[Entry]) -> Iterator[Hit]:
    who, through = role(realm.rights, reader), ", ".join(role(realm.rights, entry.grantee) for entry in entries)
    for about, some in groups(objects, names):
        yield Hit.within(
            realm,
            subject=who,
            object=about,
            message=f"{who} can read {about}, which the spec excludes, through {through or 'a role that reads all'}.",
            remedy=ending(realm.access, reader, objects, some, "SELECT")
            or f"-- nothing takes it from {who}, who is the superuser of initdb",
            evidence=acl(realm.rights, entries) or "it has the rights of pg_read_all_data, or is a superuser",
        )


def _find(which: str) -> Callable[[Facts], Iterator[Hit]]:
    return partial(_beyond, which)


RULES = (
    Rule("excess-write", "high", "A reader may write: tables, columns or sequences.", _find("write")),
    Rule(
        "excess-create",
        "high",
        "A reader may create objects: in a schema, a database or a tablespace.",
        _find("create"),
    ),
    Rule("excess-read", "high", "A reader may see or enter what the spec does not give it.", _find("read")),
    Rule("excess-definer", "high", "A reader may run a function that acts with its owner's rights.", _find("definer")),
    Rule("excess-foreign", "high", "A reader may reach other servers or files through this one.", _find("foreign")),
    Rule("excess-change", "medium", "A reader may reference, maintain or put triggers on tables.", _find("change")),
    Rule(
        "excess-execute", "medium", "A reader may use routines, types or languages beyond the spec.", _find("execute")
    ),
    Rule("excess-large-object", "medium", "A reader may read or write large objects.", _find("large-object")),
    Rule("excess-parameter", "medium", "A reader may set parameters that are for superusers.", _find("parameter")),
    Rule("excess-temporary", "low", "A reader may make temporary tables, which no replica can.", _find("temporary")),
    Rule("excess-grant-option", "high", "A reader may pass on what it has.", _grant_option),
    Rule(
        "excess-owner",
        "high",
        "A reader owns objects: it can change and drop them.",
        lambda facts: chain(_owner(facts), _owner_of_others(facts)),
    ),
    Rule(
        "excess-setting", "medium", "Sessions of a reader begin with a setting that decides whose code runs.", _settings
    ),
    Rule("excess-future", "high", "A reader gets more than the spec gives on whatever is made next.", _future),
    Rule("excess-attribute", "high", "A reader has an attribute that lets it past every grant.", _attribute),
    Rule(
        "excess-predefined", "high", "A reader is in a role that PostgreSQL or RDS defines.", partial(_membership, True)
    ),
    Rule(
        "excess-membership",
        "high",
        "A reader is in a role that the spec does not put it in.",
        partial(_membership, False),
    ),
    Rule("excess-member", "high", "Somebody whom the spec does not know has all that a reader has.", _member),
    Rule("excess-exclusion", "medium", "Readers can read what is excluded, through PUBLIC or other roles.", _exposed),
)

"""Readers who hold too little: what the spec says and is not there, and what will not be there tomorrow."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping

from replica_access.audit.facts import Facts
from replica_access.audit.realm import Realm
from replica_access.audit.rules.rule import Hit, Rule
from replica_access.audit.sql import identifier
from replica_access.catalog import Role
from replica_access.desired import Rule as Wanted
from replica_access.model import Change, Oid
from replica_access.names import legible, shown
from replica_access.patterns import is_system_schema
from replica_access.rights import RELATIONS, Kind

APPLY = "replica-access apply --yes"
MADE: Mapping[Kind, str] = {"table": "SELECT", "sequence": "SELECT"}
"""What a creator may make next, and what a reader needs on it."""


def _missing(facts: Facts) -> Iterator[Hit]:
    for change in facts.plan.changes if facts.plan is not None else ():
        if not change.takes and facts.primary is not None:
            subject = shown(change.reader) if change.reader else change.object
            yield Hit(
                server=legible(facts.primary.name),
                database=None if change.database is None else shown(change.database),
                subject=subject,
                object=change.object if change.reader else change.action,
                message=f"Declared and missing: {change.summary}.",
                remedy=APPLY,
                evidence=_statement(change),
            )


def _statement(change: Change) -> str:
    if change.password_of is not None:
        return "it has no password yet"
    text = legible("; ".join(change.sql))
    return text if len(text) <= 400 else f"{text[:400]} …"


def _blocked(facts: Facts) -> Iterator[Hit]:
    for blocked in facts.plan.blocked if facts.plan is not None else ():
        if facts.primary is not None:
            database = None if blocked.database is None else shown(blocked.database)
            yield Hit(
                server=legible(facts.primary.name),
                database=database,
                subject=blocked.object,
                object="",
                message=f"{blocked.object.removeprefix(f'{database}: ')}: {blocked.reason}.",
                remedy=blocked.remedy or f"-- {blocked.fix.removeprefix('-- ')}",
                evidence=blocked.reason,
            )


def _pending(facts: Facts) -> Iterator[Hit]:
    for pending in facts.plan.pending if facts.plan is not None else ():
        if pending.kind in {"database", "schema", "creator"} and facts.primary is not None:
            yield Hit(
                legible(facts.primary.name), f"{pending.kind} {pending.name}", "",
                f"The spec names the {pending.kind} {pending.name}: {pending.reason}.",
                "# nothing to do, if it is yet to come; otherwise correct the spec", pending.reason,
            )  # fmt: skip


def _unseen(facts: Facts) -> Iterator[Hit]:
    """Yield, by schema, the relations that no reader can read and that the spec does not exclude."""
    for realm in _granted(facts):
        found: dict[str, list[str]] = {}
        for objects in realm.judged:
            if objects.kind not in RELATIONS or objects.extension:
                continue
            if not realm.access.holders(objects, "SELECT") & realm.readers.keys():
                names = [name for name in objects.names if not _is_excluded(realm, objects.schema, name)]
                found.setdefault(objects.schema, []).extend(names)
        for schema, names in found.items():
            if names:
                listed = ", ".join(shown(name) for name in sorted(names)[:6]) + (" …" if len(names) > 6 else "")
                yield Hit.within(
                    realm,
                    subject="readers",
                    object=shown(schema),
                    message=f"{_relations(len(names))} in {shown(schema)} can be read by no reader: {listed}.",
                    remedy="# name it in an exclude of the spec, or, where readers are to read it:\n"
                    f"replica-access grant --yes{_place(realm.rights.database, schema)}",
                    evidence="no reader holds SELECT, and nothing of it is in an exclude of the spec",
                )


def _relations(number: int) -> str:
    return "1 relation" if number == 1 else f"{number:,} relations"


def _is_excluded(realm: Realm, schema: str, name: str) -> bool:
    return any(
        exclusion.covers_schema(schema) or exclusion.covers_relation(schema, name)
        for rule in realm.desired.rules.get(realm.rights.database, ())
        for exclusion in rule.exclusions
    )


def _place(database: str, schema: str) -> str:
    return f" --database {shlex.quote(legible(database))} --schema {shlex.quote(legible(schema))}"


def _uncovered(facts: Facts) -> Iterator[Hit]:
    """Yield creators whose next object a reader will not be able to read, and of which no plan will say so."""
    for realm in _granted(facts):
        rights = realm.rights
        for rule in realm.desired.rules.get(rights.database, ()):
            reader = rights.role(rule.reader)
            if reader is None:
                continue
            for schema, creators in _creators(realm).items():
                if not rule.wants_schema(schema):
                    continue
                for creator in creators:
                    if _is_planned(rule, creator) or _will_read(realm, reader.oid, creator.oid, schema):
                        continue
                    who = shown(rule.reader)
                    yield Hit.within(
                        realm,
                        subject=who,
                        object=f"{shown(schema)} by {shown(creator.name)}",
                        message=f"The next table that {shown(creator.name)} makes in {shown(schema)} is none"
                        f" that {who} can read.",
                        remedy=f"ALTER DEFAULT PRIVILEGES FOR ROLE {identifier(creator.name)} IN SCHEMA"
                        f" {identifier(schema)} GRANT SELECT ON TABLES TO {identifier(rule.reader)};"
                        f" ALTER DEFAULT PRIVILEGES FOR ROLE {identifier(creator.name)} IN SCHEMA"
                        f" {identifier(schema)} GRANT SELECT ON SEQUENCES TO {identifier(rule.reader)};",
                        evidence="future = false in the spec" if not rule.future else "not among creators in the spec",
                    )


def _is_planned(rule: Wanted, creator: Role) -> bool:
    return rule.future and (isinstance(rule.creators, str) or creator.name in rule.creators)


def _will_read(realm: Realm, reader: Oid, creator: Oid, schema: str) -> bool:
    made = (realm.access.future(creator, schema, kind) for kind in MADE)
    return all(realm.access.holds(reader, objects, MADE[objects.kind]) for objects in made)


def _creators(realm: Realm) -> Mapping[str, list[Role]]:
    """Return by schema who owns something there, or may make something."""
    found: dict[str, set[Oid]] = {}
    for objects in realm.judged:
        if objects.kind == "schema":
            holders = realm.access.holders(objects, "CREATE")
            for name in objects.names:
                found.setdefault(name, set()).update(holders)
        elif objects.kind in RELATIONS:
            found.setdefault(objects.schema, set()).add(objects.owner)
    roles = realm.rights.roles
    return {
        schema: [
            roles[oid]
            for oid in sorted(oids)
            if oid in roles and not roles[oid].superuser and not roles[oid].is_system and oid not in realm.readers
        ]
        for schema, oids in found.items()
        if not is_system_schema(schema)
    }


def _granted(facts: Facts) -> Iterator[Realm]:
    return (realm for realm in facts.realms if realm.rights.database in realm.desired.rules)


RULES = (
    Rule("lack-missing", "medium", "The spec gives something that is not there.", _missing),
    Rule("lack-blocked", "medium", "The spec gives something that the admin may not grant.", _blocked),
    Rule("lack-future", "low", "A reader will not be able to read what somebody makes next.", _uncovered),
    Rule("lack-unseen", "info", "No reader can read some relations, and nobody said that none should.", _unseen),
    Rule("lack-pending", "info", "The spec names something that does not exist.", _pending),
)

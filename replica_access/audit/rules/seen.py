"""What becomes of a SELECT that passes all privileges: rows that are not shown, views that fail, views that show more.

These are of the families *lack* and *excess*; what they need beyond privileges, `audit.beyond` computes.
"""

from __future__ import annotations

from collections.abc import Iterator

from replica_access.audit.beyond import refused, rows, shows_more
from replica_access.audit.cut import ending
from replica_access.audit.facts import Facts
from replica_access.audit.objects import displayed, on, revoke, role
from replica_access.audit.realm import Realm
from replica_access.audit.rules.rule import Hit, Rule
from replica_access.audit.sql import identifier
from replica_access.model import Oid
from replica_access.names import shown
from replica_access.rights import RELATIONS, Parts, View


def _no_rows(facts: Facts) -> Iterator[Hit]:
    for realm in facts.realms:
        for objects in realm.judged:
            if not objects.row_security or objects.kind not in RELATIONS:
                continue
            for reader in sorted(realm.granted_to):
                if not realm.access.holds(reader, objects, "SELECT"):
                    continue
                for name in objects.names:
                    if rows(realm.access, reader, objects, name) == "none":
                        what, who = displayed(objects, name), role(realm.rights, reader)
                        policy = f"CREATE POLICY {identifier(f'{realm.rights.roles[reader].name} reads')[:63]}"
                        table = on(objects, name).removeprefix("TABLE ")
                        to = identifier(realm.rights.roles[reader].name)
                        yield Hit.within(
                            realm,
                            subject=who,
                            object=what,
                            message=f"{who} may read {what}, and finds no rows: no policy is for it.",
                            remedy=f"-- if it shall see all rows\n{policy} ON {table} FOR SELECT TO {to} USING (true);",
                            evidence=f"row-level security is {objects.row_security}",
                        )


def _refused(facts: Facts) -> Iterator[Hit]:
    for realm, reader, view in _views(facts):
        bases = refused(realm.access, reader, view)
        if bases:
            what, who = shown(view.schema, view.name), role(realm.rights, reader)
            listed = ", ".join(dict.fromkeys(shown(base.use.schema, base.use.relation) for base in bases))
            grants = dict.fromkeys(
                f"GRANT SELECT ON {identifier(base.use.schema, base.use.relation)}"
                f" TO {identifier(realm.rights.roles[base.reader].name)};"
                for base in bases
            )
            yield Hit.within(
                realm,
                subject=who,
                object=what,
                message=f"{who} may read the view {what}, and is refused all the same: it reads {listed}.",
                remedy="\n".join(grants),
                evidence="; ".join(
                    f"{shown(base.use.schema, base.use.relation)} is read with the rights of"
                    f" {role(realm.rights, base.reader)}, who may not"
                    for base in bases
                ),
            )


def _leaking(facts: Facts) -> Iterator[Hit]:
    for realm, reader, view in _views(facts):
        excluded = {base: realm.left_out(reader, base.use) for base in shows_more(realm.access, reader, view)}
        if any(excluded.values()):
            what, who = shown(view.schema, view.name), role(realm.rights, reader)
            listed = ", ".join(dict.fromkeys(name for names in excluded.values() for name in names))
            whose = ", ".join(
                dict.fromkeys(role(realm.rights, base.reader) for base, names in excluded.items() if names)
            )
            yield Hit.within(
                realm,
                subject=who,
                object=what,
                message=f"{who} sees {listed}, which the spec excludes, through the view {what}.",
                remedy=_out_of_sight(realm, reader, view.schema, view.name),
                evidence=f"the view reads it with the rights of {whose}",
            )


def _parts(facts: Facts) -> Iterator[Hit]:
    """Yield what is excluded and read all the same as a part of a table: whoever may read that may read all of it."""
    for realm in facts.realms:
        for part in realm.rights.parts:
            parent = realm.rights.relation(part.schema, part.parent)
            if parent is None:
                continue
            for reader in sorted(realm.granted_to):
                if not realm.access.holds(reader, parent, "SELECT"):
                    continue
                excluded = [name for name in part.children if realm.is_excluded(reader, part.child_schema, name)]
                if excluded:
                    yield _part(realm, reader, part, excluded)


def _part(realm: Realm, reader: Oid, part: Parts, excluded: list[str]) -> Hit:
    what, who = shown(part.schema, part.parent), role(realm.rights, reader)
    listed = ", ".join(shown(part.child_schema, name) for name in excluded[:6]) + (" …" if len(excluded) > 6 else "")
    return Hit.within(
        realm,
        subject=who,
        object=what,
        message=f"{who} sees {listed}, which the spec excludes, as part of {what}.",
        remedy=_out_of_sight(realm, reader, part.schema, part.parent),
        evidence=f"who reads {what} reads all that it is made of",
    )


def _out_of_sight(realm: Realm, reader: Oid, schema: str, name: str) -> str:
    """Return what keeps `reader` from reading a relation that shows what is excluded."""
    objects = realm.rights.relation(schema, name)
    end = ""
    if objects is not None:
        entries = [e for e in objects.entries if e.grantee == reader and e.privilege == "SELECT"]
        end = (
            revoke(realm.rights, objects, [name], entries)
            if entries
            else ending(realm.access, reader, objects, [name], "SELECT")
        )
    return f"-- exclude {shown(schema, name)} in the spec too, or apply grants it again\n{end}"


def _views(facts: Facts) -> Iterator[tuple[Realm, Oid, View]]:
    """Yield the views that readers may read, to whom they are granted."""
    for realm in facts.realms:
        for view in realm.rights.views:
            objects = realm.rights.relation(view.schema, view.name)
            if objects is None or objects.installed or objects.extension:
                continue
            for reader in sorted(realm.granted_to):
                if realm.access.holds(reader, objects, "SELECT"):
                    yield realm, reader, view


RULES = (
    Rule("excess-view", "medium", "A view shows a reader what the spec excludes.", _leaking),
    Rule("excess-part", "medium", "A table shows a reader a part of it that the spec excludes.", _parts),
    Rule("lack-view", "medium", "A reader may read a view, and is refused what the view reads.", _refused),
    Rule("lack-rows", "low", "A reader may read a table, and row-level security shows it nothing.", _no_rows),
)

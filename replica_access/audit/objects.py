"""How the objects of an audit are named: as people read them, and as GRANT and REVOKE take them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from replica_access.audit.sql import identifier
from replica_access.catalog import Entry
from replica_access.model import PUBLIC, Oid
from replica_access.names import shown, written
from replica_access.rights import RELATIONS, Kind, Objects, Rights

ONE_BY_ONE = 20
"""So many objects of one ACL are findings of their own; more than that are one finding, with their number."""

_KEYWORDS: Mapping[Kind, str] = {
    "partitioned table": "TABLE",
    "view": "TABLE",
    "materialized view": "TABLE",
    "foreign table": "TABLE",
    "column": "TABLE",
}


def displayed(objects: Objects, name: str) -> str:
    """Return how the one of `objects` that has this name is displayed."""
    if objects.kind in {"function", "procedure"}:
        return f"{shown(objects.schema)}.{written(name)}"
    if objects.kind == "column":
        return shown(objects.schema, objects.relation, name)
    return shown(objects.schema, name) if objects.schema else shown(name)


def on(objects: Objects, name: str) -> str:
    """Return the object as it stands after ON in a GRANT, kind and all."""
    keyword = _KEYWORDS.get(objects.kind, objects.kind.upper())
    if objects.kind in {"function", "procedure"}:
        return f"{keyword} {identifier(objects.schema)}.{name}"
    if objects.kind == "column":
        return f"{keyword} {identifier(objects.schema, objects.relation)}"
    if objects.kind == "large object":
        return f"{keyword} {name}"
    if objects.kind == "parameter":
        return f"{keyword} {identifier(*name.split('.'))}"
    return f"{keyword} {identifier(*filter(None, (objects.schema, name)))}"


def altered(objects: Objects, name: str) -> str:
    """Return the object as it stands after ALTER, kind and all."""
    keyword = _KEYWORDS.get(objects.kind, objects.kind.upper())
    after = {"partitioned table": "TABLE", "foreign server": "SERVER"}.get(objects.kind, objects.kind.upper())
    return f"{after} {on(objects, name).removeprefix(f'{keyword} ')}"


def groups(objects: Objects, names: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield what findings are about: each object, or all of them where there are too many; with their names."""
    found = list(names)
    if len(found) <= ONE_BY_ONE:
        yield from ((displayed(objects, name), [name]) for name in found)
    else:
        plural = f"{objects.kind[:-1]}ies" if objects.kind.endswith("y") else f"{objects.kind}s"
        where = f" in {shown(objects.schema)}" if objects.schema else ""
        yield f"{len(found):,} {plural}{where}", found


def revoke(rights: Rights, objects: Objects, names: Collection[str], entries: Iterable[Entry]) -> str:
    """Return the statements that take `entries` away, as their grantors; where one was passed on, with CASCADE."""
    alike: dict[tuple[Oid, Oid, bool], list[Entry]] = {}
    of_columns = names if objects.kind in RELATIONS else ()  # what is revoked on a relation is so on its columns too
    beside = [e for name in of_columns for each in rights.columns_of(objects.schema, name) for e in each.entries]
    for entry in entries:
        passed_on = any(
            e.grantor == entry.grantee and e.privilege == entry.privilege for e in (*objects.entries, *beside)
        )
        alike.setdefault((entry.grantee, entry.grantor, passed_on and entry.grantee != objects.owner), []).append(entry)
    lines = []
    for (grantee, _, cascades), some in alike.items():
        who = "PUBLIC" if grantee == PUBLIC else identifier(rights.roles[grantee].name)
        if cascades:
            further = {e.grantee for e in (*objects.entries, *beside) if e.grantor == grantee}
            given = sorted("everybody" if oid == PUBLIC else role(rights, oid) for oid in further)
            lines.append(
                f"-- it goes too from whom it was passed on to: {', '.join(given[:6])}{' …' * (len(given) > 6)}"
            )
        for name in names:
            column = f" ({identifier(name)})" if objects.kind == "column" else ""
            privileges = ", ".join(f"{privilege}{column}" for privilege in dict.fromkeys(e.privilege for e in some))
            statement = f"REVOKE {privileges} ON {on(objects, name)} FROM {who}{' CASCADE' if cascades else ''};"
            lines.append(as_grantor(rights, objects, some[0], statement))
    return "\n".join(lines)


def as_grantor(rights: Rights, objects: Objects, entry: Entry, statement: str) -> str:
    """Return `statement` as it has to be run by who gave `entry`: nobody else's REVOKE takes it away.

    Who may not use the schema any more cannot name what is in it, and is let in for as long as that takes.
    """
    grantor = rights.roles.get(entry.grantor)
    if entry.grantor == objects.owner or grantor is None:
        return statement
    who, schema = identifier(grantor.name), rights.find("schema", objects.schema) if objects.schema else None
    acting = f"SET ROLE {who}; {statement} RESET ROLE;"
    if schema is None or grantor.superuser or schema.owner == grantor.oid:
        return acting
    if any(e.privilege == "USAGE" and e.grantee in {grantor.oid, PUBLIC} for e in schema.entries):
        return acting
    on_schema = f"USAGE ON SCHEMA {identifier(objects.schema)}"
    return f"GRANT {on_schema} TO {who}; {acting} REVOKE {on_schema} FROM {who};"


def acl(rights: Rights, entries: Iterable[Entry]) -> str:
    """Return entries of an ACL in words."""
    return "; ".join(
        f"{entry.privilege}{' WITH GRANT OPTION' if entry.grantable else ''}"
        f" to {role(rights, entry.grantee)} by {role(rights, entry.grantor)}"
        for entry in entries
    )


def role(rights: Rights, oid: int) -> str:
    if oid == PUBLIC:
        return "PUBLIC"
    found = rights.roles.get(oid)
    return shown(found.name) if found is not None else f"a role that is gone ({oid})"

"""What readers hold, by which way and by whose grant, as entries of a history.

An entry is about one reader, one privilege, one way to it, and a portion of the objects of one kind in one schema. The
names of a portion are an entry of their own, which all readers share. Where a portion ends is decided by its names, and
not by how many are before them: one table more or less changes one portion, whatever the size of the schema.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from zlib import crc32

from replica_access.audit.effective import WRITES, Access
from replica_access.audit.snapshot import Entry, canonical
from replica_access.catalog import Role
from replica_access.model import PUBLIC, Oid
from replica_access.names import all_shown, shown, written
from replica_access.rights import RELATIONS, Kind, Objects, Rights

KINDS: frozenset[Kind] = RELATIONS | {
    "database",
    "schema",
    "column",
    "function",
    "procedure",
    "foreign server",
    "large object",
}
"""What is remembered. Types and languages, which everybody may use anyway, are not."""

_PORTION = 64
"""Names in a portion, on average."""


def holdings(rights: Rights, readers: Collection[str]) -> dict[str, Entry]:
    """Return the entries of one database, by digest.

    :param readers: names of roles; those that are not there hold nothing.
    """
    access = Access(rights)
    found = [Entry("seen", canonical({"database": shown(rights.database)}))]
    roles = [(role, access.has_rights_of(role.oid)) for name in readers if (role := rights.role(name)) is not None]
    for objects in filter(_counts, rights.objects):
        if objects.kind == "database":
            if rights.database not in objects.names:
                continue
            objects = replace(objects, names=(rights.database,))  # noqa: PLW2901  # the others have runs of their own
        portions: list[Entry] = []
        for role, mine in roles:
            ways = sorted(_ways(access, role, mine, objects))
            if ways and not portions:
                portions = list(_portions(objects))
                found += portions
            for privilege, through, by in ways:
                about = {
                    "role": shown(role.name),
                    "database": shown(rights.database),
                    "schema": shown(objects.schema) if objects.schema else "",
                    "kind": objects.kind,
                    "privilege": privilege,
                    "through": through,
                    "by": by,
                }
                found += [Entry("access", canonical({**about, "names": names.digest})) for names in portions]
    return {entry.digest: entry for entry in found}


def _counts(objects: Objects) -> bool:
    return objects.kind in KINDS and bool(objects.names) and not objects.installed and not objects.catalog


def _ways(access: Access, role: Role, mine: Collection[Oid], objects: Objects) -> set[tuple[str, str, str]]:
    """Return each privilege that `role` holds, through whom it does (empty: itself), and who granted it.

    :param mine: the roles whose privileges `role` has.
    """
    rights = access.rights
    if role.superuser:
        return {(privilege, "superuser", "") for privilege in access.privileges(objects)}
    ways: set[tuple[str, str, str]] = set()
    for entry in objects.entries:
        if entry.grantee in mine or entry.grantee == PUBLIC:
            through = "" if entry.grantee == role.oid else named(rights, entry.grantee)
            by = "" if entry.grantee == objects.owner else named(rights, entry.grantor)
            ways.add((entry.privilege, through, by))
    told = {privilege for privilege, _, _ in ways}
    if objects.kind != "column":  # what one holds of the whole relation is said of the relation
        for privilege in access.of(role.oid, objects) - told:
            ways.add((privilege, predefined_for(objects.kind, privilege), ""))
    return ways


def named(rights: Rights, oid: Oid) -> str:
    """Return the name of a role, or PUBLIC, as people read it."""
    if oid == PUBLIC:
        return "PUBLIC"
    return shown(rights.roles[oid].name) if oid in rights.roles else f"role {oid}"


def predefined_for(kind: Kind, privilege: str) -> str:
    """Return the role that gives `privilege` on everything, where no ACL does."""
    if privilege in WRITES:
        return "pg_write_all_data"
    if kind == "schema":
        return "pg_read_all_data or pg_write_all_data"
    return "pg_maintain" if privilege == "MAINTAIN" else "pg_read_all_data"


def _portions(objects: Objects) -> Iterator[Entry]:
    portion: list[str] = []
    for name in sorted(displayed(objects)):
        portion.append(name)
        if crc32(name.encode("utf-8", "surrogatepass")) % _PORTION == 0:
            yield Entry("names", canonical({"names": portion}))
            portion = []
    if portion:
        yield Entry("names", canonical({"names": portion}))


def displayed(objects: Objects) -> Sequence[str]:
    """Return the names of `objects` within their schema."""
    if objects.kind in {"function", "procedure"}:
        return [written(name) for name in objects.names]
    if objects.relation:
        return [shown(objects.relation, name) for name in objects.names]
    return all_shown(objects.names)

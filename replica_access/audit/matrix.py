"""Who holds what in which schema, at a glance and in detail: roles by schemas, for people who read a report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from replica_access.audit.effective import Access
from replica_access.audit.holdings import KINDS, displayed, named, predefined_for
from replica_access.audit.realm import Realm
from replica_access.model import PUBLIC, Oid
from replica_access.names import shown
from replica_access.rights import RELATIONS, Objects

EVERYBODY = "PUBLIC"
MOST_NAMES = 100
"""So many objects of one kind with one ACL are named."""

_LETTERS = {
    "SELECT": "r",
    **dict.fromkeys(("INSERT", "UPDATE", "DELETE", "TRUNCATE"), "w"),
    **dict.fromkeys(("CREATE", "REFERENCES", "TRIGGER", "MAINTAIN", "TEMPORARY"), "c"),
    "EXECUTE": "x",
}
"""What a privilege is at a glance: it reads, writes, makes or keeps things, or runs them."""


@dataclass(frozen=True, slots=True)
class Held:
    """Objects that are alike, and what a role holds on them by one way.

    :param names: the first `MOST_NAMES` of them.
    :param through: whose privileges these are; empty: the role's own.
    :param by: who granted them; empty: they come with ownership, or with a predefined role.
    """

    kind: str
    names: tuple[str, ...]
    total: int
    privileges: tuple[str, ...]
    through: str
    by: str


@dataclass(frozen=True, slots=True)
class Cell:
    """What one role holds in one schema.

    :param place: database and schema.
    :param letters: of ``rwcx``, what it comes to.
    :param readable: how many relations the role can read, if the gates are open.
    :param closed: the gates that are not: USAGE on the schema, CONNECT on the database.
    """

    role: str
    place: tuple[str, str]
    letters: str
    readable: int
    closed: tuple[str, ...]
    held: tuple[Held, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """
    :param roles: those that hold something beside what everybody does, readers of the spec first; and PUBLIC.
    :param relations: how many there are, by place.
    :param superusers: who may do everything, and is in no cell for that.
    """

    roles: tuple[str, ...]
    relations: Mapping[tuple[str, str], int]
    cells: Mapping[tuple[str, tuple[str, str]], Cell]
    superusers: tuple[str, ...]


NOBODY = Matrix((), {}, {}, ())
"""Of no database."""


def matrix(realms: Iterable[Realm]) -> Matrix:
    """Return the matrix of all databases of a server."""
    cells: dict[tuple[str, tuple[str, str]], Cell] = {}
    relations: dict[tuple[str, str], int] = {}
    readers: dict[str, None] = {}
    superusers: dict[str, None] = {}
    for realm in realms:
        readers |= dict.fromkeys(shown(role.name) for role in realm.readers.values())
        superusers |= dict.fromkeys(shown(role.name) for role in realm.rights.roles.values() if role.superuser)
        for objects in realm.judged:
            if objects.kind in RELATIONS and objects.kind != "sequence":
                place = _place(realm, objects)
                relations[place] = relations.get(place, 0) + len(objects.names)
        for cell in _cells(realm):
            cells[cell.role, cell.place] = cell
            relations.setdefault(cell.place, 0)
    roles = {role for role, _ in cells} - {EVERYBODY}
    in_order = (*(r for r in readers if r in roles), *sorted(roles - readers.keys()))
    everybody = (EVERYBODY,) if any(role == EVERYBODY for role, _ in cells) else ()
    return Matrix((*in_order, *everybody), dict(sorted(relations.items())), cells, tuple(superusers))


def _cells(realm: Realm) -> Iterator[Cell]:
    found: dict[tuple[Oid, tuple[str, str]], list[Held]] = {}
    schemas: dict[tuple[str, str], str] = {}
    for objects in realm.judged:
        if objects.kind not in KINDS - {"database"} or not objects.names:
            continue
        for part in _by_schema(objects):
            place = _place(realm, part)
            schemas[place] = _schema(part)
            for role, held in _holders(realm.access, part):
                found.setdefault((role, place), []).append(held)
    for (role, place), all_held in found.items():
        yield Cell(
            role=EVERYBODY if role == PUBLIC else shown(realm.rights.roles[role].name),
            place=place,
            letters=_letters(all_held),
            readable=_readable(all_held),
            closed=() if role == PUBLIC else _closed(realm.access, role, schemas[place]),
            held=tuple(all_held),
        )


def _by_schema(objects: Objects) -> Iterator[Objects]:
    """Yield schemas one by one: each is in a place of its own."""
    if objects.kind == "schema":
        yield from (replace(objects, names=(name,), total=1) for name in objects.names)
    else:
        yield objects


def _schema(objects: Objects) -> str:
    return objects.names[0] if objects.kind == "schema" else objects.schema


def _place(realm: Realm, objects: Objects) -> tuple[str, str]:
    schema = _schema(objects)
    return shown(realm.rights.database), shown(schema) if schema else "(no schema)"


def _holders(access: Access, objects: Objects) -> Iterator[tuple[Oid, Held]]:
    """Yield who holds something on `objects`, what, and by which way; everybody is one, superusers are none."""
    rights = access.rights
    ways: dict[tuple[Oid, str, str], dict[str, None]] = {}
    told: dict[str, set[Oid]] = {}
    for entry in objects.entries:
        by = "" if entry.grantee == objects.owner else named(rights, entry.grantor)
        for role in _having(access, entry.grantee):
            through = "" if role == entry.grantee else named(rights, entry.grantee)
            ways.setdefault((role, through, by), {})[entry.privilege] = None
            told.setdefault(entry.privilege, set()).add(role)
    for privilege in access.privileges(objects) if objects.kind != "column" else ():
        if PUBLIC not in told.get(privilege, ()):
            for role in access.holders(objects, privilege) - told.get(privilege, set()):
                if _is_row(access, role):
                    ways.setdefault((role, predefined_for(objects.kind, privilege), ""), {})[privilege] = None
    names = tuple(displayed(replace(objects, names=objects.names[:MOST_NAMES])))
    for (role, through, by), privileges in ways.items():
        yield role, Held(objects.kind, names, len(objects.names), tuple(privileges), through, by)


def _having(access: Access, grantee: Oid) -> Iterable[Oid]:
    """Return whose row an entry of an ACL counts in; that of everybody is in one row alone."""
    if grantee == PUBLIC:
        return (PUBLIC,)
    if grantee not in access.rights.roles:
        return ()
    return (role for role in access.with_rights_of(grantee) if _is_row(access, role))


def _is_row(access: Access, role: Oid) -> bool:
    found = access.rights.roles[role]
    return not found.superuser and not found.is_system


def _letters(held: Iterable[Held]) -> str:
    letters = {
        _LETTERS[privilege]
        for each in held
        for privilege in each.privileges
        if privilege in _LETTERS and (each.kind != "sequence" or privilege != "SELECT")
    }
    return "".join(letter for letter in "rwcx" if letter in letters)


def _readable(held: Iterable[Held]) -> int:
    """Return how many relations are readable; one that is so by several ways counts once."""
    relations = {
        (each.kind, each.names, each.total)
        for each in held
        if each.kind in RELATIONS and each.kind != "sequence" and "SELECT" in each.privileges
    }
    return sum(total for _, _, total in relations)


def _closed(access: Access, role: Oid, schema: str) -> tuple[str, ...]:
    rights = access.rights
    gates = [("CONNECT", rights.find("database", rights.database))]
    gates += [("USAGE", rights.find("schema", schema))] if schema else []
    return tuple(name for name, gate in gates if gate is not None and not access.holds(role, gate, name))

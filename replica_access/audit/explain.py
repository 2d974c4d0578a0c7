"""Why a role can do something with an object, or what keeps it from that, in the order in which a server looks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from replica_access.audit import beyond
from replica_access.audit.cut import Cut, cuts
from replica_access.audit.effective import WRITES, Access, is_closed
from replica_access.audit.paths import PathFinder, Paths
from replica_access.audit.revoking import target
from replica_access.audit.sql import identifier
from replica_access.errors import UsageError
from replica_access.model import Oid
from replica_access.names import legible, shown
from replica_access.rights import RELATIONS, Kind, Objects, View

USUAL: Mapping[Kind, str] = {"database": "CONNECT", "schema": "USAGE", "tablespace": "CREATE", "parameter": "SET"}


def usual_privilege(access: Access, objects: Objects) -> str:
    """Return the privilege that one asks for where none is named: SELECT on relations."""
    return USUAL.get(objects.kind, access.privileges(objects)[0])


@dataclass(frozen=True, slots=True)
class Needed:
    """One privilege that is needed, and by which ways it is held.

    :param object: as a person writes it: ``table app.orders``.
    :param paths: SET ROLE included.
    :param fix: the statement that grants it; empty where there is none to recommend.
    :param reader: where it is not the role that was asked about whose privilege counts, that one's name.
    """

    privilege: str
    object: str
    held: bool
    paths: Paths
    fix: str
    reader: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer to one question.

    :param needed: CONNECT, USAGE, the privilege itself, and of views with ``security_invoker`` what they read.
    :param after_set_role: the roles that it can SET ROLE to and that have all of it; none where it has it anyway.
    :param names: of all roles that occur, by oid.
    :param cuts: the fewest statements that end the privilege itself: alternatives, each enough.
    """

    role: str
    privilege: str
    object: str
    database: str
    needed: tuple[Needed, ...]
    names: Mapping[Oid, str]
    after_set_role: tuple[str, ...] = ()
    cuts: tuple[Cut, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def has_access(self) -> bool:
        return all(needed.held for needed in self.needed)

    @property
    def holds(self) -> bool:
        """Whether it has the privilege itself, whatever else is missing."""
        return any(n.held for n in self.needed if (n.privilege, n.object) == (self.privilege, self.object))

    @property
    def missing(self) -> tuple[Needed, ...]:
        return tuple(needed for needed in self.needed if not needed.held)


@dataclass(frozen=True, slots=True)
class _Asked:
    """One question; `privilege` as ACLs name it."""

    access: Access
    role: Oid
    objects: Objects
    name: str
    privilege: str

    @property
    def view(self) -> View | None:
        """What it reads, where the question is whether a view can be read."""
        if self.objects.kind not in {"view", "materialized view"} or self.privilege != "SELECT":
            return None
        return self.access.rights.view(self.objects.schema, self.name)


def explain(access: Access, role: Oid, objects: Objects, name: str, privilege: str | None = None) -> Explanation:
    """Return why `role` has `privilege` on one of `objects`, or what is missing.

    :param privilege: as GRANT names it; ``TEMP`` too. By default the usual one.
    :raises UsageError: there is no such privilege on that kind of object.
    """
    question = _Asked(access, role, objects, name, _privilege(access, objects, privilege))
    finder = PathFinder(access)
    asked = _needed(finder, role, objects, name, question.privilege)
    gates = [_needed(finder, role, gate.objects, gate.name, gate.privilege) for gate in access.gates(objects)]
    needed = (*gates, asked, *_bases(finder, question))
    held = all(each.held for each in needed)
    return Explanation(
        role=access.rights.roles[role].name,
        privilege=question.privilege,
        object=described(objects, name),
        database=access.rights.database,
        needed=needed,
        names={oid: known.name for oid, known in access.rights.roles.items()},
        after_set_role=() if held else tuple(_after_set_role(question)),
        cuts=cuts(access, asked.paths, objects, name),
        notes=tuple(_notes(question, asked.held)),
    )


def _privilege(access: Access, objects: Objects, named: str | None) -> str:
    if named is None:
        return usual_privilege(access, objects)
    known = access.privileges(objects)
    wanted = " ".join(named.upper().split())
    wanted = "TEMPORARY" if wanted == "TEMP" else wanted
    if wanted not in known:
        raise UsageError(
            f"There is no privilege {legible(named)} on a {objects.kind}.", f"There are: {', '.join(known)}."
        )
    return wanted


def described(objects: Objects, name: str) -> str:
    """Return one of `objects` as a person reads it.

    >>> described(Objects("column", "app", 10, (), ("id",), relation="Odd one"), "id")
    'column app."Odd one".id'
    """
    match objects.kind:
        case "column":
            return f"column {shown(objects.schema, objects.relation, name)}"
        case "function" | "procedure":
            return f"{objects.kind} {shown(objects.schema)}.{legible(name)}"
        case kind:
            return f"{kind} {shown(objects.schema, name) if objects.schema else shown(name)}"


def _needed(finder: PathFinder, role: Oid, objects: Objects, name: str, privilege: str) -> Needed:
    columns = f" ({identifier(name)})" if objects.kind == "column" else ""
    grantee = identifier(finder.access.rights.roles[role].name)
    grant = f"GRANT {privilege}{columns} ON {target(objects, name)} TO {grantee}"
    return Needed(
        privilege=privilege,
        object=described(objects, name),
        held=finder.access.holds(role, objects, privilege),
        paths=finder.paths(role, objects, privilege),
        fix="" if is_closed(objects, privilege) else grant,
    )


def _bases(finder: PathFinder, asked: _Asked) -> Iterator[Needed]:
    """Yield what a view would read and cannot, whoever it reads it as."""
    access, role = asked.access, asked.role
    for base in beyond.refused(access, role, asked.view) if asked.view is not None else ():
        relation = access.rights.relation(base.use.schema, base.use.relation)
        if relation is not None:
            needed = _needed(finder, base.reader, relation, base.use.relation, "SELECT")
            reader = "" if base.reader == role else access.rights.roles[base.reader].name
            yield replace(needed, held=False, reader=reader)


def _after_set_role(asked: _Asked) -> Iterator[str]:
    """Yield the roles that have it all; who connects is the role itself, before it becomes another."""
    access, objects = asked.access, asked.objects
    gates = list(access.gates(objects))
    connect = [gate for gate in gates if gate.privilege == "CONNECT"]
    if not all(access.holds(asked.role, gate.objects, gate.privilege) for gate in connect):
        return
    others = access.becomes(asked.role) - {asked.role}
    for other in sorted(others, key=lambda oid: access.rights.roles[oid].name):
        usage = all(access.holds(other, gate.objects, gate.privilege) for gate in gates if gate not in connect)
        refused = asked.view is not None and beyond.refused(access, other, asked.view)
        if usage and not refused and access.holds(other, objects, asked.privilege):
            yield access.rights.roles[other].name


# --- what else there is to know --------------------------------------------------------------------------------------

_ON_COLUMNS = frozenset({"SELECT", "INSERT", "UPDATE", "REFERENCES"})


def _notes(asked: _Asked, held: bool) -> Iterator[str]:
    access, objects = asked.access, asked.objects
    who, owner = _name(access, asked.role), _name(access, objects.owner)
    as_owner = objects.owner in access.has_rights_of(asked.role)
    if held:
        yield from _about_rows(asked)
        if asked.view is not None:
            yield from _about_view(asked, asked.view)
        if objects.definer and not as_owner:
            yield f"It runs with the rights of its owner, {owner} (SECURITY DEFINER)."
    else:
        yield from _about_columns(asked)
        yield from _about_parents(asked)
        if is_closed(objects, asked.privilege):
            yield "Nobody but superusers writes to system catalogs, whatever is granted."
        elif as_owner:
            yield f"{who} has the rights of its owner, {owner}, and can grant it to itself."
        if objects.kind == "parameter":
            yield "A parameter that anybody may set needs no privilege."
    if not access.rights.roles[asked.role].login:
        yield f"{who} cannot log in: what it has counts for its members."


def _about_rows(asked: _Asked) -> Iterator[str]:
    if asked.objects.kind not in RELATIONS or asked.privilege not in {"SELECT", "UPDATE", "DELETE"}:
        return
    match beyond.rows(asked.access, asked.role, asked.objects, asked.name, asked.privilege):
        case "none":
            yield "Row-level security leaves it no row: there is no policy for it."
        case "some":
            yield "Row-level security chooses the rows: some policy lets it have those that fit."
        case _:
            pass


def _about_view(asked: _Asked, view: View) -> Iterator[str]:
    more: dict[str, list[str]] = {}
    for base in beyond.shows_more(asked.access, asked.role, view):
        more.setdefault(_name(asked.access, base.reader), []).append(shown(base.use.schema, base.use.relation))
    for owner, relations in more.items():
        listed = ", ".join(dict.fromkeys(relations))
        yield f"Through it one reads, with the rights of {owner}, what one could not read directly: {listed}."
    hidden = [base.use for base in beyond.past_row_security(asked.access, asked.role, view)]
    if hidden:
        listed = ", ".join(dict.fromkeys(shown(use.schema, use.relation) for use in hidden))
        yield f"Through it one sees rows that row-level security keeps from whoever reads directly: of {listed}."


def _about_parents(asked: _Asked) -> Iterator[str]:
    """Yield through which tables one reads or writes it as a part of them: nobody looks at its own privileges then."""
    rights = asked.access.rights
    if asked.objects.kind not in RELATIONS or asked.privilege not in {"SELECT", *WRITES}:
        return
    for schema, name in rights.parents(asked.objects.schema, asked.name):
        parent = rights.relation(schema, name)
        if parent is not None and asked.access.holds(asked.role, parent, asked.privilege):
            who = _name(asked.access, asked.role)
            yield f"It is a part of {shown(schema, name)}, on which {who} has {asked.privilege}: that is all it takes."


def _about_columns(asked: _Asked) -> Iterator[str]:
    if asked.objects.kind not in RELATIONS or asked.privilege not in _ON_COLUMNS:
        return
    columns = asked.access.rights.columns_of(asked.objects.schema, asked.name)
    held = [each for each in columns if asked.access.holds(asked.role, each, asked.privilege)]
    if held:
        names = ", ".join(shown(name) for each in held for name in each.names)
        yield f"{_name(asked.access, asked.role)} has {asked.privilege} on some of its columns: {names}."


def _name(access: Access, role: Oid) -> str:
    return shown(access.rights.roles[role].name)

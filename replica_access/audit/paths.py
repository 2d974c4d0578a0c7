"""By which ways a role holds a privilege: every chain of memberships that ends in somebody who was given it.

A way is a chain of memberships and what stands at its end. Memberships count by INHERIT; one can also SET ROLE first,
along memberships that let one, and go on by INHERIT from there (user.c, acl.c: roles_is_member_of).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Literal

from replica_access.audit.effective import Access, is_closed, predefined_roles
from replica_access.catalog import Entry, Membership
from replica_access.model import PUBLIC, Oid
from replica_access.rights import Objects

MOST = 500
"""Ways that are listed; memberships can be tangled so that there are more than anybody could read."""

Source = Literal["grant", "owner", "PUBLIC", "predefined role", "superuser", "lo_compat_privileges"]


@dataclass(frozen=True, slots=True)
class Step:
    """A membership on the way: `member` is in `role`.

    :param memberships: each by another grantor; none where the owner of the database is in pg_database_owner.
    """

    member: Oid
    role: Oid
    memberships: tuple[Membership, ...]
    inherits: bool

    @property
    def sets(self) -> bool:
        return not self.memberships or any(m.set_role for m in self.memberships)


@dataclass(frozen=True, slots=True)
class Path:
    """One way by which a privilege is held, or would be after SET ROLE.

    :param steps: the memberships, from the role that was asked about to the one that has it.
    :param set_role: how many of the steps are taken by SET ROLE; none where it is held as things are.
    :param source: why the last role has it: somebody granted it, it owns the object, everybody has it, …
    :param entry: of the ACL; ``None`` where it is in none.
    :param on: the objects that have this ACL: those asked about, or the relation that a column is of.
    :param of_relation: whether it is the latter.
    """

    steps: tuple[Step, ...]
    set_role: int
    source: Source
    role: Oid
    entry: Entry | None
    on: Objects
    of_relation: bool = False


@dataclass(frozen=True, slots=True)
class Paths:
    """All ways, the shortest first, those without SET ROLE before the others.

    :param complete: whether there are no more than `MOST`.
    """

    found: tuple[Path, ...]
    complete: bool = True

    @property
    def held(self) -> tuple[Path, ...]:
        return tuple(path for path in self.found if path.set_role == 0)

    @property
    def by_set_role(self) -> tuple[Path, ...]:
        return tuple(path for path in self.found if path.set_role > 0)


class PathFinder:
    """Finds ways through the memberships of one database."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self._above: dict[Oid, frozenset[Oid]] = {}

    def paths(self, role: Oid, objects: Objects, privilege: str) -> Paths:
        """Return by which ways `role` holds `privilege`, or would after SET ROLE."""
        found = list(islice(self._paths(role, objects, privilege), MOST + 1))
        shown = sorted(found[:MOST], key=lambda path: (path.set_role > 0, len(path.steps), path.set_role))
        return Paths(tuple(shown), complete=len(found) <= MOST)

    def _paths(self, role: Oid, objects: Objects, privilege: str) -> Iterator[Path]:
        for target, source, entry, on in self._ends(role, objects, privilege):
            if target == PUBLIC:
                yield Path((), 0, source, PUBLIC, entry, on, on is not objects)
                continue
            for steps in self._ways(role, target):
                set_role = by_set_role(steps, all_of_them=source == "superuser")
                if set_role is not None:
                    yield Path(steps, set_role, source, target, entry, on, on is not objects)

    def _ends(self, role: Oid, objects: Objects, privilege: str) -> Iterator[tuple[Oid, Source, Entry | None, Objects]]:
        """Yield who has it without being anybody else, and why."""
        rights = self.access.rights
        if objects.kind == "large object" and rights.large_objects_open:
            yield PUBLIC, "lo_compat_privileges", None, objects
        reached = {role} | self._upwards(role)
        yield from ((r, "superuser", None, objects) for r in sorted(reached) if rights.roles[r].superuser)
        for on in self._with_acl(objects):
            if is_closed(on, privilege):
                continue
            for entry in on.entries:
                if entry.privilege == privilege and entry.grantee in {PUBLIC, *reached}:
                    yield entry.grantee, _source(entry, on), entry, on
            for name in predefined_roles(on.kind, privilege):
                predefined = rights.role(name)
                if predefined is not None and predefined.oid in reached:
                    yield predefined.oid, "predefined role", None, on

    def _with_acl(self, objects: Objects) -> Iterator[Objects]:
        yield objects
        if objects.kind == "column":
            relation = self.access.rights.relation(objects.schema, objects.relation)
            if relation is not None:
                yield relation

    # --- chains ------------------------------------------------------------------------------------------------------

    @cached_property
    def _steps(self) -> Mapping[Oid, tuple[Step, ...]]:
        """By member, the roles that it is in."""
        rights = self.access.rights
        found: dict[tuple[Oid, Oid], list[Membership]] = {}
        for membership in rights.memberships:
            found.setdefault((membership.member, membership.role), []).append(membership)
        steps: dict[Oid, list[Step]] = {}
        for (member, role), memberships in sorted(found.items()):
            inherits = any(m.inherit for m in memberships)
            steps.setdefault(member, []).append(Step(member, role, tuple(memberships), inherits))
        owners = rights.role("pg_database_owner")
        if owners is not None:
            step = Step(rights.owner, owners.oid, (), self.access.owner_inherits)
            steps.setdefault(rights.owner, []).append(step)
        return {member: tuple(several) for member, several in steps.items()}

    def _upwards(self, start: Oid) -> frozenset[Oid]:
        if start not in self._above:
            found, todo = set[Oid](), [start]
            while todo:
                for step in self._steps.get(todo.pop(), ()):
                    if step.role not in found:
                        found.add(step.role)
                        todo.append(step.role)
            self._above[start] = frozenset(found)
        return self._above[start]

    def _ways(self, start: Oid, end: Oid) -> Iterator[tuple[Step, ...]]:
        """Yield every chain of memberships from one role to another; every branch that is followed arrives."""
        if start == end:
            yield ()
            return
        for step in self._steps.get(start, ()):
            if step.role == end or end in self._upwards(step.role):
                yield from ((step, *rest) for rest in self._ways(step.role, end))


def _source(entry: Entry, on: Objects) -> Source:
    if entry.grantee == PUBLIC:
        return "PUBLIC"
    return "owner" if entry.grantee == on.owner else "grant"


def by_set_role(steps: Sequence[Step], *, all_of_them: bool) -> int | None:
    """Return how many of `steps` have to be taken by SET ROLE, the fewest; ``None``: they lead nowhere.

    :param all_of_them: what is at the end is no privilege, which one could inherit.
    """
    if all_of_them:
        fewest = len(steps)
    else:
        fewest = max((number for number, step in enumerate(steps, 1) if not step.inherits), default=0)
    return fewest if all(step.sets for step in steps[:fewest]) else None

"""What is left of ACLs and memberships once something has been revoked, as the server does it; and its statements.

Pure. CASCADE takes what depends on a grant option, unless whoever lost that has it by another way still (acl.c:
recursive_revoke; user.c: plan_recursive_revoke): so the order matters in which things are taken away.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from replica_access.audit.effective import Access
from replica_access.audit.paths import Path, by_set_role
from replica_access.audit.sql import identifier
from replica_access.catalog import Entry, Membership
from replica_access.model import PUBLIC, Oid
from replica_access.names import shown
from replica_access.rights import RELATIONS, Kind, Objects

BOOTSTRAP_SUPERUSER = 10
"""Whom nobody can make less than that."""

_OPTIONS_SINCE = 160000


@dataclass(frozen=True, slots=True)
class Given:
    """An entry of the ACL of one of the sheets, by number."""

    sheet: int
    entry: Entry


@dataclass(frozen=True, slots=True)
class Attribute:
    """That a role is a superuser."""

    role: Oid


Unit = Given | Membership | Attribute | str
"""What one statement takes away; a text is a setting, as ALTER SYSTEM has it."""


@dataclass(frozen=True, slots=True)
class Sheets:
    """The ACLs that a question is about.

    :param asked: what was asked about, and `name` the one of it.
    :param beside: of a column its relation, of a relation those columns that have ACLs of their own.
    """

    access: Access
    asked: Objects
    name: str
    beside: tuple[Objects, ...]

    @classmethod
    def about(cls, access: Access, asked: Objects, name: str) -> Sheets:
        rights = access.rights
        if asked.kind == "column":
            relation = rights.relation(asked.schema, asked.relation)
            return cls(access, asked, name, (relation,) if relation is not None else ())
        columns = rights.columns_of(asked.schema, name) if asked.kind in RELATIONS else ()
        return cls(access, asked, name, columns)

    @property
    def all(self) -> tuple[Objects, ...]:
        return (self.asked, *self.beside)

    def name_of(self, sheet: int) -> str:
        """Return which one of a sheet's objects the question is about."""
        return self.asked.relation if sheet and self.asked.kind == "column" else self.name

    def columns(self, sheet: int) -> Iterator[int]:
        """Yield the sheets of columns that a REVOKE on this one goes through too."""
        if self.all[sheet].kind in RELATIONS:
            yield from (number for number, each in enumerate(self.all) if each.kind == "column")


class Taking:
    """Takes one thing after the other away, and knows what is left.

    :param hopeful: suppose that nobody has a grant option by another way, so that CASCADE takes all that it ever could.
    """

    def __init__(self, sheets: Sheets, *, hopeful: bool = False) -> None:
        self.sheets, self.hopeful = sheets, hopeful
        self.left: list[tuple[Entry, ...]] = [each.entries for each in sheets.all]
        self.gone: set[Membership] = set()
        self.demoted: set[Oid] = set()
        self.settings: set[str] = set()
        self.statements: list[str] = []
        self.effects: list[str] = []
        self._access = sheets.access

    def take(self, unit: Unit) -> bool:
        """Take `unit` away; nothing is done where it has gone already. Return whether anybody could."""
        match unit:
            case Given():
                return self._revoke(unit.sheet, unit.entry)
            case Membership():
                self._leave(unit)
            case Attribute():
                if unit.role not in self.demoted:
                    self._demote(unit.role)
            case setting:
                self.settings.add(setting)
                self.statements.append(setting)
                self.effects.append("it counts for large objects of everybody, and after a reload")
        return True

    def ended(self, path: Path) -> bool:
        """Whether `path` leads nowhere any more."""
        if path.entry is not None and path.entry not in self.left[int(path.of_relation)]:
            return True
        if path.source == "superuser" and path.role in self.demoted:
            return True
        if path.source == "lo_compat_privileges":
            return bool(self.settings)
        if self.gone.isdisjoint(m for step in path.steps for m in step.memberships):
            return False
        steps = []
        for step in path.steps:
            rest = tuple(m for m in step.memberships if m not in self.gone)
            if step.memberships and not rest:
                return True
            steps.append(
                replace(step, memberships=rest, inherits=any(m.inherit for m in rest) if rest else step.inherits)
            )
        return by_set_role(steps, all_of_them=path.source == "superuser") is None

    # --- privileges --------------------------------------------------------------------------------------------------

    def _revoke(self, sheet: int, entry: Entry) -> bool:
        on = self.sheets.all[sheet]
        if entry not in self.left[sheet]:
            return True
        if not self._can_act(sheet, entry):
            return False
        others: list[Entry] = []
        for number in (sheet, *self.sheets.columns(sheet)):
            before = self.left[number]
            self.left[number] = self._without(self.sheets.all[number], before, entry)
            gone = (e for e in before if e not in self.left[number])
            others += (e for e in gone if (e.grantee, e.grantor) != (entry.grantee, entry.grantor))
        self._write_revoke(on, sheet, entry, others)
        return True

    def _can_act(self, sheet: int, entry: Entry) -> bool:
        """Whether somebody can act as the grantor (acl.c: select_best_grantor).

        A superuser acts as the owner, whatever it granted before it was one; others as themselves with a grant option,
        for which on columns one on the whole relation will do.
        """
        on = self.sheets.all[sheet]
        if entry.grantor == on.owner:
            return True
        grantor = self.sheets.access.rights.roles.get(entry.grantor)
        if grantor is None or not self._finds(entry.grantor, on.schema):
            return False
        if grantor.superuser and entry.grantor not in self.demoted:
            return self.hopeful and entry.grantor != BOOTSTRAP_SUPERUSER
        of_column = on.kind == "column" and self.sheets.asked.kind == "column"
        options = [*self.left[sheet], *(self.left[1] if of_column and len(self.left) > 1 else ())]
        return any(e.grantable and (e.grantee, e.privilege) == (entry.grantor, entry.privilege) for e in options)

    def _finds(self, role: Oid, schema: str) -> bool:
        """Whether `role` can name what is in `schema`."""
        found = self.sheets.access.rights.find("schema", schema) if schema else None
        return found is None or self._access.holds(role, found, "USAGE")

    def _without(self, on: Objects, entries: tuple[Entry, ...], entry: Entry) -> tuple[Entry, ...]:
        """Return what is left of an ACL."""
        left = list(entries)

        def take(grantee: Oid, grantor: Oid) -> None:
            place = (grantee, grantor, entry.privilege)
            gone = next((e for e in left if (e.grantee, e.grantor, e.privilege) == place), None)
            if gone is None:
                return
            left.remove(gone)
            if not gone.grantable or grantee == on.owner or self._passes_on(on, left, grantee, entry.privilege):
                return
            for e in [e for e in left if (e.grantor, e.privilege) == (grantee, entry.privilege)]:
                take(e.grantee, e.grantor)

        take(entry.grantee, entry.grantor)
        return tuple(left)

    def _passes_on(self, on: Objects, left: Iterable[Entry], role: Oid, privilege: str) -> bool:
        if self.hopeful:
            return False
        options = {e.grantee for e in left if e.grantable and e.privilege == privilege} | {on.owner}
        return not self._access.has_rights_of(role).isdisjoint(options)

    def _write_revoke(self, on: Objects, sheet: int, entry: Entry, others: Collection[Entry]) -> None:
        rights, name = self.sheets.access.rights, self.sheets.name_of(sheet)
        columns = f" ({identifier(name)})" if on.kind == "column" else ""
        grantee = "PUBLIC" if entry.grantee == PUBLIC else identifier(rights.roles[entry.grantee].name)
        cascade = " CASCADE" if others else ""
        revoke = f"REVOKE {entry.privilege}{columns} ON {target(on, name)} FROM {grantee}{cascade}"
        if entry.grantor == on.owner:
            self.statements.append(revoke)
        else:
            self.statements += [f"SET ROLE {identifier(rights.roles[entry.grantor].name)}", revoke, "RESET ROLE"]
        if entry.grantee == PUBLIC:
            self.effects.append("everybody loses what only PUBLIC gives them")
        elif entry.grantee == on.owner:
            self.effects.append(f"{self._name(entry.grantee)} owns it, and can grant it to itself again")
        else:
            self.effects.append(f"{self._name(entry.grantee)} loses it, with all its members")
        self.effects += (f"{self._name(e.grantee)} loses it, which had it from {self._name(e.grantor)}" for e in others)

    # --- roles -------------------------------------------------------------------------------------------------------

    def _leave(self, membership: Membership) -> None:
        """End a membership; since PostgreSQL 16 there may be several, each by a grantor, who may depend on another."""
        if membership in self.gone:
            return
        rights = self.sheets.access.rights
        role, member = (identifier(rights.roles[oid].name) for oid in (membership.role, membership.member))
        of_role = [m for m in rights.memberships if m.role == membership.role and m not in self.gone]
        if rights.version < _OPTIONS_SINCE:
            self.gone |= {m for m in of_role if m.member == membership.member}
            self.statements.append(f"REVOKE {role} FROM {member}")
            others = set[Membership]()
        else:
            gone = self._depending(membership, of_role)
            others = gone - {membership}
            by = identifier(rights.roles[membership.grantor].name)
            self.gone |= gone
            self.statements.append(f"REVOKE {role} FROM {member} GRANTED BY {by}{' CASCADE' if others else ''}")
        self.effects.append(
            f"{self._name(membership.member)} loses all that it has as a member of {self._name(membership.role)}"
        )
        let_in = sorted({m.member for m in others} - {membership.member})
        self.effects += (f"so does {self._name(m)}, whom it has let in" for m in let_in)
        self._forget()

    def _depending(self, membership: Membership, of_role: Sequence[Membership]) -> set[Membership]:
        """Return what goes with a membership (user.c: plan_recursive_revoke)."""
        gone, todo = set[Membership](), [membership]
        while todo:
            here = todo.pop()
            if here in gone:
                continue
            gone.add(here)
            still = any(m.admin and m.member == here.member and m not in gone for m in of_role)
            if here.admin and (self.hopeful or not still):
                todo += (m for m in of_role if m.grantor == here.member and m not in gone)
        return gone

    def _demote(self, role: Oid) -> None:
        self.demoted.add(role)
        self.statements.append(f"ALTER ROLE {identifier(self.sheets.access.rights.roles[role].name)} NOSUPERUSER")
        self.effects.append(f"{self._name(role)} is no superuser any more")
        self._forget()

    def _forget(self) -> None:
        """Compute anew who has whose rights."""
        rights = self.sheets.access.rights
        roles = {oid: replace(role, superuser=False) for oid, role in rights.roles.items() if oid in self.demoted}
        self._access = Access(
            replace(
                rights,
                roles={**rights.roles, **roles},
                memberships=tuple(m for m in rights.memberships if m not in self.gone),
            )
        )

    def _name(self, role: Oid) -> str:
        return "PUBLIC" if role == PUBLIC else shown(self.sheets.access.rights.roles[role].name)


# --- how SQL names what it is about ----------------------------------------------------------------------------------

_KEYWORDS: Mapping[Kind, str] = {
    "database": "DATABASE", "tablespace": "TABLESPACE", "parameter": "PARAMETER", "schema": "SCHEMA",
    "sequence": "SEQUENCE", "function": "ROUTINE", "procedure": "ROUTINE", "type": "TYPE", "domain": "TYPE",
    "language": "LANGUAGE", "foreign data wrapper": "FOREIGN DATA WRAPPER", "foreign server": "FOREIGN SERVER",
    "large object": "LARGE OBJECT",
}  # fmt: skip


def target(objects: Objects, name: str) -> str:
    """Return how GRANT and REVOKE name one of `objects`.

    >>> print(target(Objects("function", "app", 10, (), ()), "f(integer)"))
    ROUTINE "app".f(integer)
    """
    if objects.kind == "column":
        return f"TABLE {identifier(objects.schema, objects.relation)}"
    keyword = _KEYWORDS.get(objects.kind, "TABLE")
    match objects.kind:
        case "function" | "procedure":
            return f"{keyword} {identifier(objects.schema)}.{name}"
        case "large object":
            return f"{keyword} {name}"
        case "parameter":
            return f"{keyword} {'.'.join(map(identifier, name.split('.')))}"
        case _:
            return f"{keyword} {identifier(objects.schema, name) if objects.schema else identifier(name)}"

"""The fewest statements after which a role holds a privilege no more, by no way, SET ROLE included.

Each way needs a membership or a grant taken away; one statement may end several ways. What is looked for is a smallest
set that hits every way: found by trying, with bounds, and proved smallest unless that takes too long (`Cut.smallest`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from replica_access.audit.effective import Access
from replica_access.audit.paths import Path, PathFinder, Paths, Step
from replica_access.audit.sql import identifier
from replica_access.catalog import Entry
from replica_access.model import PUBLIC, Oid
from replica_access.names import shown
from replica_access.rights import RELATIONS, Kind, Objects, Rights

PATIENCE = 20_000
"""Sets that are tried before the best one so far is good enough."""

_BOOTSTRAP_SUPERUSER = 10
_OPTIONS_SINCE = 160000


@dataclass(frozen=True, slots=True)
class Cut:
    """Statements for a superuser, or for whoever owns or granted what they take away.

    :param statements: in an order in which none fails.
    :param effects: what else goes with them.
    :param smallest: whether it is proved that fewer would not do.
    """

    statements: tuple[str, ...]
    effects: tuple[str, ...] = ()
    smallest: bool = True


@dataclass(frozen=True, slots=True)
class _Removal:
    """Something that can be taken away.

    :param cost: in statements.
    :param hits: the ways that it ends, by number.
    :param takes: how many entries of an ACL go.
    """

    what: Step | tuple[Objects, Entry] | Oid | str
    cost: int
    hits: frozenset[int]
    takes: int = 1


def cuts(access: Access, paths: Paths, objects: Objects, name: str) -> tuple[Cut, ...]:
    """Return the fewest statements that end all of `paths`: taken away from the object, and from the role.

    Both are as short; one alone where they are the same. None where there is nothing to end, or something that no
    statement ends.

    :param objects: what was asked about, and `name` the one of them; of a column without its relation.
    """
    removals = _removals(access, paths.found)
    hit = frozenset(chain.from_iterable(removal.hits for removal in removals))
    if not paths.found or len(hit) < len(paths.found):
        return ()
    found: dict[tuple[str, ...], Cut] = {}
    for rank in (_at_the_object, _at_the_role):
        chosen, smallest = _fewest(removals, len(paths.found), rank)
        cut = _written(access, chosen, objects, name)
        found.setdefault(cut.statements, replace(cut, smallest=smallest and paths.complete))
    return tuple(found.values())


def ending(access: Access, role: Oid, objects: Objects, names: Sequence[str], privilege: str) -> str:
    """Return as one script what ends every way by which `role` has `privilege` on those of `objects`.

    What is taken from roles is preferred: it does the same for all of the names. Empty where no statement ends it.
    """
    paths = PathFinder(access).paths(role, objects, privilege)
    found = dict.fromkeys(cuts(access, paths, objects, name)[-1:] for name in names[:2])
    if len(found) > 1:
        found |= dict.fromkeys(cuts(access, paths, objects, name)[-1:] for name in names[2:])
    return "\n".join(f"{statement};" for cut in chain.from_iterable(found) for statement in cut.statements)


def _at_the_object(removal: _Removal) -> int:
    """The less others lose by it, the better."""
    if not isinstance(removal.what, tuple):
        return 9
    return min(8, removal.takes + (removal.what[1].grantee == PUBLIC))


def _at_the_role(removal: _Removal) -> int:
    return 0 if isinstance(removal.what, Step) else 1 + _at_the_object(removal)


# --- what can be taken away ------------------------------------------------------------------------------------------


def _removals(access: Access, paths: Sequence[Path]) -> tuple[_Removal, ...]:
    rights = access.rights
    found: list[_Removal] = []
    steps = dict.fromkeys(step for path in paths for step in path.steps if step.memberships)
    for step in steps:
        hits = frozenset(number for number, path in enumerate(paths) if step in path.steps)
        found.append(_Removal(step, len(_memberships(rights, step)), hits))
    entries = (each for path in paths if path.entry is not None for each in _lineage(path.on, path.entry))
    for on, entry in dict.fromkeys(entries):
        if not _can_revoke(rights, on, entry):
            continue
        gone = _gone(access, on, entry)
        hits = frozenset(n for n, path in enumerate(paths) if _goes(path, on, gone, entry))
        found.append(_Removal((on, entry), 1, hits, len(gone)))
    for role in dict.fromkeys(path.role for path in paths if path.source == "superuser"):
        if role != _BOOTSTRAP_SUPERUSER:
            of_role = (n for n, path in enumerate(paths) if path.source == "superuser" and path.role == role)
            found.append(_Removal(role, 1, frozenset(of_role)))
    by_setting = frozenset(n for n, path in enumerate(paths) if path.source == "lo_compat_privileges")
    if by_setting:
        found.append(_Removal("ALTER SYSTEM SET lo_compat_privileges TO off", 1, by_setting))
    return tuple(found)


def _lineage(on: Objects, entry: Entry) -> Iterator[tuple[Objects, Entry]]:
    """Yield an entry, and those that let its grantor grant it, up to the owner's."""
    found, todo = set[Entry](), [entry]
    while todo:
        here = todo.pop(0)
        if here in found:
            continue
        found.add(here)
        yield on, here
        if here.grantor != on.owner:
            todo += (
                e for e in on.entries if e.grantee == here.grantor and e.privilege == here.privilege and e.grantable
            )


def _can_revoke(rights: Rights, on: Objects, entry: Entry) -> bool:
    """Whether somebody can act as the grantor (acl.c: select_best_grantor).

    A superuser acts as the owner, whatever it granted before it was one; others as themselves with a grant option.
    """
    if entry.grantor == on.owner:
        return True
    grantor = rights.roles.get(entry.grantor)
    passing = {e.grantee for e in on.entries if e.grantable and e.privilege == entry.privilege}
    return grantor is not None and not grantor.superuser and entry.grantor in passing


def _gone(access: Access, on: Objects, entry: Entry) -> frozenset[Entry]:
    """Return what REVOKE … CASCADE takes away with `entry` (acl.c: recursive_revoke)."""
    return frozenset(on.entries) - frozenset(_left(access, on, on.entries, entry))


def _left(access: Access, on: Objects, entries: Iterable[Entry], entry: Entry) -> tuple[Entry, ...]:
    """Return what is left of `entries`: what the grantor may still pass on, as a member of somebody, stays."""
    left = [
        e for e in entries if (e.grantee, e.grantor, e.privilege) != (entry.grantee, entry.grantor, entry.privilege)
    ]
    while True:
        passing = {e.grantee for e in left if e.grantable and e.privilege == entry.privilege} | {on.owner}
        stays = [
            e for e in left if e.privilege != entry.privilege or not access.has_rights_of(e.grantor).isdisjoint(passing)
        ]
        if len(stays) == len(left):
            return tuple(left)
        left = stays


def _goes(path: Path, on: Objects, gone: frozenset[Entry], entry: Entry) -> bool:
    """Whether revoking `entry` ends `path`; what is revoked on a relation is revoked on its columns too."""
    if path.entry is None or path.on == on:
        return path.entry in gone
    of_column = on.kind in RELATIONS and path.on.kind == "column"
    return of_column and (path.entry.grantee, path.entry.grantor) == (entry.grantee, entry.grantor)


# --- the fewest ------------------------------------------------------------------------------------------------------


class _Search:
    """Branches on the way that is hardest to hit, and gives up what cannot be better than the best so far."""

    def __init__(self, removals: Sequence[_Removal], weights: Sequence[int], ways: int) -> None:
        self.removals, self.weights = removals, weights
        self.hitting = [[r for r, removal in enumerate(removals) if way in removal.hits] for way in range(ways)]
        self.best: tuple[int, ...] = self._greedy()
        self.best_weight = sum(weights[r] for r in self.best)
        self.tries = 0

    def run(self) -> bool:
        """Return whether the best is proved to be that."""
        self._branch((), 0, frozenset(range(len(self.hitting))))
        return self.tries <= PATIENCE

    def _branch(self, chosen: tuple[int, ...], weight: int, left: frozenset[int]) -> None:
        self.tries += 1
        if not left:
            if weight < self.best_weight:
                self.best, self.best_weight = chosen, weight
            return
        if self.tries > PATIENCE or weight + self._at_least(left) >= self.best_weight:
            return
        way = min(left, key=lambda way: len(self.hitting[way]))
        for r in sorted(self.hitting[way], key=lambda r: (self.weights[r], -len(self.removals[r].hits & left))):
            self._branch((*chosen, r), weight + self.weights[r], left - self.removals[r].hits)

    def _at_least(self, left: frozenset[int]) -> int:
        """Return what ways that share no removal take, each on its own."""
        used, total = set[int](), 0
        for way in sorted(left, key=lambda way: len(self.hitting[way])):
            if used.isdisjoint(self.hitting[way]):
                used.update(self.hitting[way])
                total += min(self.weights[r] for r in self.hitting[way])
        return total

    def _greedy(self) -> tuple[int, ...]:
        left, chosen = set(range(len(self.hitting))), list[int]()
        while left:
            most = max(range(len(self.removals)), key=lambda r: len(self.removals[r].hits & left) / self.weights[r])
            chosen.append(most)
            left -= self.removals[most].hits
        return tuple(chosen)


def _fewest(
    removals: Sequence[_Removal], ways: int, rank: Callable[[_Removal], int]
) -> tuple[tuple[_Removal, ...], bool]:
    """Return the removals that end all ways with the fewest statements, and of those the ones that `rank` prefers."""
    search = _Search(removals, [removal.cost * 1000 + rank(removal) for removal in removals], ways)
    smallest = search.run()
    return tuple(removals[r] for r in search.best), smallest


# --- as SQL ----------------------------------------------------------------------------------------------------------

_KEYWORDS: dict[Kind, str] = {
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


def _written(access: Access, chosen: Sequence[_Removal], asked: Objects, name: str) -> Cut:
    rights = access.rights
    statements: list[str] = []
    effects: list[str] = []
    for on, entries in _by_acl(chosen):  # first: memberships decide what depends on what
        of_relation = asked.kind == "column" and on.kind != "column"
        written, others = _revokes(access, on, entries, asked.relation if of_relation else name)
        statements += written
        effects += others
    for removal in chosen:
        match removal.what:
            case Step() as step:
                statements += _memberships(rights, step)
                effects.append(
                    f"{_name(rights, step.member)} loses all that it has as a member of {_name(rights, step.role)}"
                )
            case int() as role:
                statements.append(f"ALTER ROLE {identifier(rights.roles[role].name)} NOSUPERUSER")
                effects.append(f"{_name(rights, role)} is no superuser any more")
            case str() as setting:
                statements.append(setting)
                effects.append("it counts for large objects of everybody, and after a reload")
    return Cut(tuple(statements), tuple(dict.fromkeys(effects)))


def _by_acl(chosen: Iterable[_Removal]) -> Iterator[tuple[Objects, list[Entry]]]:
    found: list[tuple[Objects, list[Entry]]] = []
    for removal in chosen:
        if isinstance(removal.what, tuple):
            on, entry = removal.what
            known = next((entries for objects, entries in found if objects is on), None)
            if known is None:
                found.append((on, [entry]))
            else:
                known.append(entry)
    yield from found


def _revokes(access: Access, on: Objects, chosen: Sequence[Entry], name: str) -> tuple[list[str], list[str]]:
    """Return the statements that revoke `chosen`, what others depend on last, and who else loses it."""
    rights = access.rights
    statements: list[str] = []
    effects: list[str] = []
    left: tuple[Entry, ...] = on.entries
    for entry in sorted(chosen, key=lambda entry: len(_gone(access, on, entry))):
        after = _left(access, on, left, entry)
        with_it = [e for e in left if e not in after and (e.grantee, e.grantor) != (entry.grantee, entry.grantor)]
        columns = f" ({identifier(name)})" if on.kind == "column" else ""
        grantee = "PUBLIC" if entry.grantee == PUBLIC else identifier(rights.roles[entry.grantee].name)
        revoke = (
            f"REVOKE {entry.privilege}{columns} ON {target(on, name)} FROM {grantee}{' CASCADE' if with_it else ''}"
        )
        if entry.grantor == on.owner:
            statements.append(revoke)
        else:
            statements += [f"SET ROLE {identifier(rights.roles[entry.grantor].name)}", revoke, "RESET ROLE"]
        if entry.grantee == PUBLIC:
            effects.append("everybody loses what only PUBLIC gives them")
        elif rights.roles[entry.grantee].oid == on.owner:
            effects.append(f"{_name(rights, entry.grantee)} owns it, and can grant it to itself again")
        else:
            effects.append(f"{_name(rights, entry.grantee)} loses it, with all its members")
        effects += (
            f"{_name(rights, e.grantee)} loses it, which had it from {_name(rights, e.grantor)}" for e in with_it
        )
        left = after
    return statements, effects


def _memberships(rights: Rights, step: Step) -> tuple[str, ...]:
    """Return what ends a membership; since PostgreSQL 16 there may be several, each by a grantor."""
    role, member = (identifier(rights.roles[oid].name) for oid in (step.role, step.member))
    if rights.version < _OPTIONS_SINCE:
        return (f"REVOKE {role} FROM {member}",)
    used = sorted((m for m in step.memberships if m.inherit or m.set_role), key=lambda m: m.grantor != step.member)
    passed_on = any(m.role == step.role and m.grantor == step.member for m in rights.memberships)
    cascade = " CASCADE" if passed_on else ""
    return tuple(
        f"REVOKE {role} FROM {member} GRANTED BY {identifier(rights.roles[m.grantor].name)}{cascade}" for m in used
    )


def _name(rights: Rights, role: Oid) -> str:
    return "PUBLIC" if role == PUBLIC else shown(rights.roles[role].name)

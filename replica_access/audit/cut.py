"""The fewest statements after which a role holds a privilege no more, by no way, SET ROLE included.

Each way needs a membership or a grant taken away; one statement may end several ways. What is looked for is a smallest
set that hits every way: found by trying, with bounds, and proved smallest unless that takes too long (`Cut.smallest`).

What CASCADE takes depends on what has gone before. So two questions are asked: with how few it could do if CASCADE took
all that it ever could, and with how few it does if each statement took what it takes alone. Where the first answer does
it, that is it; what lies between the two is tried.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, combinations, islice

from replica_access.audit.effective import Access
from replica_access.audit.paths import Path, PathFinder, Paths
from replica_access.audit.revoking import BOOTSTRAP_SUPERUSER, Attribute, Given, Sheets, Taking, Unit
from replica_access.catalog import Entry, Membership
from replica_access.model import PUBLIC, Oid
from replica_access.rights import Objects

PATIENCE = 20_000
"""Sets that are tried before the best one so far is good enough."""

_ATTEMPTS = 500
"""Sets that are carried out in thought, where bounds do not tell."""


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
    """Something that can be taken away: all memberships by which one is in another, or what one statement takes.

    :param hits: the ways that it ends, by number.
    :param takes: how many entries of ACLs go.
    """

    units: tuple[Unit, ...]
    hits: frozenset[int]
    takes: int = 1

    @property
    def cost(self) -> int:
        return len(self.units)


def cuts(access: Access, paths: Paths, objects: Objects, name: str) -> tuple[Cut, ...]:
    """Return the fewest statements that end all of `paths`: taken away from the object, and from the role.

    Both are as short; one alone where they are the same. None where there is nothing to end, or something that no
    statement ends.

    :param objects: what was asked about, and `name` the one of them; of a column without its relation.
    """
    if not paths.found:
        return ()
    sheets = Sheets.about(access, objects, name)
    units = tuple(_units(sheets, paths.found))
    found = [_fewest_for(sheets, units, paths.found, rank) for rank in (_at_the_object, _at_the_role)]
    shortest = min((len(units) for units, _, _ in found if units), default=0)
    cut: dict[tuple[str, ...], Cut] = {}
    for chosen, taking, smallest in found:
        if taking is not None and len(chosen) == shortest:
            statements = tuple(taking.statements)
            effects = tuple(dict.fromkeys(taking.effects))
            cut.setdefault(statements, Cut(statements, effects, smallest and paths.complete))
    return tuple(cut.values())


def ending(access: Access, role: Oid, objects: Objects, names: Sequence[str], privilege: str) -> str:
    """Return as one script what ends every way by which `role` has `privilege` on those of `objects`.

    What is taken from roles is preferred: it does the same for all of the names. Empty where no statement ends it.
    """
    paths = PathFinder(access).paths(role, objects, privilege)
    found = dict.fromkeys(cuts(access, paths, objects, name)[-1:] for name in names[:2])
    if len(found) > 1:
        found |= dict.fromkeys(cuts(access, paths, objects, name)[-1:] for name in names[2:])
    return "\n".join(f"{statement};" for cut in chain.from_iterable(found) for statement in cut.statements)


# --- what can be taken away ------------------------------------------------------------------------------------------


def _units(sheets: Sheets, paths: Sequence[Path]) -> Iterator[Unit]:
    """Yield, each once, what may matter: of memberships and grants those too that others depend on."""
    memberships = sheets.access.rights.memberships
    used = [m for path in paths for step in path.steps for m in step.memberships]
    todo, seen = list(dict.fromkeys(used)), set[Membership]()
    while todo:
        if (here := todo.pop(0)) not in seen:
            seen.add(here)
            yield here
            todo += (m for m in memberships if m.admin and (m.role, m.member) == (here.role, here.grantor))
    given = dict.fromkeys(
        each for path in paths if path.entry is not None for each in _lineage(sheets, int(path.of_relation), path.entry)
    )
    yield from given
    roles = dict.fromkeys(path.role for path in paths if path.source == "superuser")
    grantors = dict.fromkeys(each.entry.grantor for each in given)
    known = sheets.access.rights.roles
    for role in (*roles, *(g for g in grantors if g not in roles and g in known and known[g].superuser)):
        if role != BOOTSTRAP_SUPERUSER:
            yield Attribute(role)
    if any(path.source == "lo_compat_privileges" for path in paths):
        yield "ALTER SYSTEM SET lo_compat_privileges TO off"


def _lineage(sheets: Sheets, sheet: int, entry: Entry) -> Iterator[Given]:
    """Yield an entry, and those that let its grantor grant it, up to the owner's.

    What is revoked on a relation is revoked on its columns too: so those of the same two on the relation count as well.
    """
    found, todo = set[Entry](), [entry]
    on = sheets.all[sheet]
    while todo:
        here = todo.pop(0)
        if here in found:
            continue
        found.add(here)
        yield Given(sheet, here)
        if on.kind == "column" and sheet == 0:
            same = (here.grantee, here.grantor, here.privilege)
            for relation in sheets.beside:
                yield from (Given(1, e) for e in relation.entries if (e.grantee, e.grantor, e.privilege) == same)
        if here.grantor != on.owner:
            todo += (
                e for e in on.entries if e.grantee == here.grantor and e.privilege == here.privilege and e.grantable
            )


def _removals(sheets: Sheets, units: Sequence[Unit], paths: Sequence[Path], *, hopeful: bool) -> Iterator[_Removal]:
    """Yield what ends any way by itself, and the memberships that end one together."""
    together = dict.fromkeys(tuple(m for m in step.memberships) for path in paths for step in path.steps)
    setting = [tuple(m for m in several if m.set_role) for several in together]
    for several in dict.fromkeys([*((unit,) for unit in units), *together, *setting]):
        taking = Taking(sheets, hopeful=hopeful)
        if not several or not all(taking.take(unit) for unit in _deepest_first(sheets, several)):
            continue
        hits = frozenset(number for number, path in enumerate(paths) if taking.ended(path))
        if hits:
            needed = several if len(several) == 1 else tuple(_needed(sheets, several, hopeful=hopeful))
            takes = sum(len(each.entries) for each in sheets.all) - sum(map(len, taking.left))
            yield _Removal(needed, hits, takes)


def _needed(sheets: Sheets, several: Sequence[Unit], *, hopeful: bool) -> Iterator[Unit]:
    """Yield those of some memberships that do not go with others of them, or by the same statement."""
    taking = Taking(sheets, hopeful=hopeful)
    for unit in _deepest_first(sheets, several):
        before = len(taking.statements)
        taking.take(unit)
        if len(taking.statements) > before:
            yield unit


def _deepest_first(sheets: Sheets, units: Sequence[Unit]) -> list[Unit]:
    """Return memberships that take others with them before those, and entries of ACLs after what depends on them.

    A grant option on a relation lets one act on its columns, so that goes after those.
    """

    def depth(unit: Unit) -> tuple[int, int]:
        taking = Taking(sheets)
        taking.take(unit)
        match unit:
            case Membership():
                return 2, -len(taking.gone)
            case Given():
                return min(unit.sheet, 1), -sum(map(len, taking.left))
            case _:
                return 3, 0

    return sorted(units, key=depth)


def _carried_out(sheets: Sheets, units: Sequence[Unit], paths: Sequence[Path]) -> Taking | None:
    """Return `units` taken away, where that ends all of `paths`: grants before roles, or the other way round."""
    ordered = _deepest_first(sheets, units)
    given = [unit for unit in ordered if isinstance(unit, Given)]
    rest = [unit for unit in ordered if not isinstance(unit, Given)]
    for order in ([*given, *rest], [*reversed(rest), *given]) if given and rest else (ordered,):
        taking = Taking(sheets)
        if all(taking.take(unit) for unit in order) and all(map(taking.ended, paths)):
            return taking
    return None


# --- the fewest ------------------------------------------------------------------------------------------------------


def _at_the_object(removal: _Removal) -> int:
    """The less others lose by it, the better."""
    match removal.units[0]:
        case Given() as given:
            return min(8, removal.takes + (given.entry.grantee == PUBLIC))
        case _:
            return 9


def _at_the_role(removal: _Removal) -> int:
    return 0 if isinstance(removal.units[0], Membership) else 1 + _at_the_object(removal)


def _fewest_for(
    sheets: Sheets, units: tuple[Unit, ...], paths: Sequence[Path], rank: Callable[[_Removal], int]
) -> tuple[tuple[Unit, ...], Taking | None, bool]:
    """Return what to take away, how that is done, and whether it is proved that less would not do."""
    hopes = tuple(_removals(sheets, units, paths, hopeful=True))
    if not _covers(hopes, paths):
        return (), None, True
    hoped, proved = _fewest(hopes, len(paths), rank)
    wanted = tuple(dict.fromkeys(chain.from_iterable(removal.units for removal in hoped)))
    if (taking := _carried_out(sheets, wanted, paths)) is not None:
        return wanted, taking, proved
    safe = tuple(_removals(sheets, units, paths, hopeful=False))
    best: tuple[Unit, ...] = ()
    if _covers(safe, paths):
        chosen, _ = _fewest(safe, len(paths), rank)
        best = tuple(dict.fromkeys(chain.from_iterable(removal.units for removal in chosen)))
    most = len(best) or len(wanted) + 3
    sets = chain.from_iterable(combinations(units, size) for size in range(len(wanted), most))
    tried = 0
    for some in islice(sets, _ATTEMPTS):
        tried += 1
        if (taking := _carried_out(sheets, some, paths)) is not None:
            return some, taking, proved and tried < _ATTEMPTS
    taking = _carried_out(sheets, best, paths) if best else None
    return best, taking, proved and tried < _ATTEMPTS


def _covers(removals: Sequence[_Removal], paths: Sequence[Path]) -> bool:
    return len(frozenset(chain.from_iterable(removal.hits for removal in removals))) == len(paths)


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

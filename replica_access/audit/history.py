"""The history of audits: every run, as what changed since the one before, chained by hashes.

A file of SQLite beside the spec, or a PostgreSQL database by URL, which several specs and several machines can share.
Rows are only ever added. One run is one transaction: it is there whole or not at all, and two that end at the same
moment become two links of the chain, one after the other.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, Row, case, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from replica_access.audit import history_store
from replica_access.audit.history_schema import MIGRATIONS, Migration, changes, entries, migrate, runs, version_of
from replica_access.audit.history_store import Store
from replica_access.audit.snapshot import Entry, EntryKind, Run, canonical, digest, link, state_of
from replica_access.errors import HistoryError, UsageError
from replica_access.names import legible

T = TypeVar("T")

NONE = "0" * 64
"""The hash before the first run."""

_AT_ONCE = 500

_VERIFY = "`replica-access audit verify-history` says which run is the first that does not fit; compare with a backup."


@dataclass(frozen=True, slots=True)
class Delta:
    """What lies between two runs; of something that came and went in between, nothing."""

    appeared: tuple[Entry, ...] = ()
    gone: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of checking the chain.

    :param broken: the number of the first run that does not fit; ``None`` where all do.
    :param why: what does not fit about it.
    :param hash: of the last run that fits.
    """

    runs: int
    broken: int | None
    why: str
    hash: str


class History:
    """The runs of one target, what was audited, in a store that may hold those of others too."""

    def __init__(self, store: Store, target: str) -> None:
        self.store = store
        self.target = target

    @property
    def name(self) -> str:
        return self.store.name

    # --- reading -----------------------------------------------------------------------------------------------------

    def runs(self) -> list[Run]:
        """Return all runs, the oldest first."""
        with self.store.reading() as connection:
            found = connection.execute(select(runs).where(runs.c.target == self.target).order_by(runs.c.number))
            return [_run(row) for row in found]

    def last(self) -> Run | None:
        """Return the last run, if there is one."""
        with self.store.reading() as connection:
            row = _last(connection, self.target)
        return None if row is None else _run(row)

    def run(self, number: int) -> Run:
        """Return the run of that number.

        :raises UsageError: there is none.
        """
        with self.store.reading() as connection:
            of_that_number = select(runs).where(runs.c.target == self.target, runs.c.number == number)
            row = connection.execute(of_that_number).one_or_none()
        if row is None:
            raise UsageError(
                f"{self.name} has no run {number} of {self.target}.", "`replica-access audit list` shows them all."
            )
        return _run(row)

    def entries(self, number: int) -> dict[str, Entry]:
        """Return everything that the run of that number saw, by digest."""
        with self.store.reading() as connection:
            return _named(connection, _present(connection, self.target, number))

    def named(self, digests: Collection[str]) -> dict[str, Entry]:
        """Return entries by their digests, each by an indexed look-up."""
        with self.store.reading() as connection:
            return _named(connection, digests)

    def between(self, former: int, latter: int) -> Delta:
        """Return what changed from one run to a later one; reads those in between, and nothing of what stayed."""
        first: dict[str, bool] = {}
        last: dict[str, bool] = {}
        known: dict[str, Entry] = {}
        with self.store.reading() as connection:
            found = connection.execute(
                select(changes.c.appeared, entries)
                .join_from(changes, runs)
                .join(entries)
                .where(runs.c.target == self.target, runs.c.number > former, runs.c.number <= latter)
                .order_by(runs.c.number)
            )
            for row in found:
                first.setdefault(row.digest, row.appeared)
                last[row.digest] = row.appeared
                known[row.digest] = _entry(row)
        lasting = sorted(each for each, appeared in last.items() if appeared == first[each])
        appeared = tuple(known[each] for each in lasting if last[each])
        return Delta(appeared, tuple(known[each] for each in lasting if not last[each]))

    def verify(self) -> Verdict:
        """Check every run against its hash, and every hash against the one before.

        Somebody who may write to the database can write all hashes anew, or take the last runs away: that is told
        only by a hash that was noted elsewhere, and is not among those of `runs` any more.
        """
        with self.store.reading() as connection:
            return _verify(connection, self.target)

    # --- writing -----------------------------------------------------------------------------------------------------

    def record(self, at: str, about: Mapping[str, Any], seen: Mapping[str, Entry]) -> tuple[Run, Delta]:
        """Add a run; return it, and what it saw that the last one did not, and the other way round.

        :param seen: all entries, by digest.
        :raises HistoryError: it could not be written; nothing of it was.
        """
        state = state_of(seen)
        with self.store.writing() as connection:
            last = _last(connection, self.target)
            if last is not None and last.state == state:
                delta = Delta()
            else:
                before = set() if last is None else _present(connection, self.target, last.number)
                gone = _named(connection, before - seen.keys())
                delta = Delta(_in_order(seen[each] for each in seen.keys() - before), _in_order(gone.values()))
            number, previous = (1, NONE) if last is None else (last.number + 1, last.hash)
            row: dict[str, Any] = {
                "target": self.target,
                "number": number,
                "at": at,
                "about": canonical(about),
                "state": state,
            }
            hashed = link(previous, _snapshot(row, _digests(delta.appeared), _digests(delta.gone)))
            identity = connection.scalar(
                insert(runs).values(**row, previous=previous, hash=hashed).returning(runs.c.id)
            )
            _add(connection, cast("int", identity), delta)
            return Run(number, at, about, hashed), delta


def open_history(
    where: str | Path,
    target: str,
    *,
    create: bool,
    patience: float = history_store.PATIENCE,
    migrations: Sequence[Migration] = MIGRATIONS,
) -> History:
    """Open the history of `target`, and bring its tables up to date.

    :param where: a file, or a URL.
    :param create: whether one is begun where there is none.
    :raises UsageError: there is none, or `where` makes no sense.
    :raises HistoryError: the database refuses, or is newer than this program.
    """
    url = history_store.locate(where)
    name = history_store.named(url)
    none = UsageError(f"There is no history {name} yet.", "Every `replica-access audit` adds a run to it.")
    if not create and not history_store.exists(url):
        raise none
    store = history_store.store(url, patience=patience)
    with store.reading() as connection:
        present = version_of(connection)
    if present == 0 and not create:
        raise none
    if present != len(migrations):
        with store.writing() as connection:
            migrate(connection, name, migrations)
    return History(store, target)


# --- the chain --------------------------------------------------------------------------------------------------------


def _snapshot(row: Mapping[str, Any], appeared: Iterable[str], gone: Iterable[str]) -> Mapping[str, Any]:
    """Return what the hash of a run is over; `row` holds the run's own values."""
    values = {key: row[key] for key in ("target", "number", "at", "about", "state")}
    return {**values, "appeared": sorted(appeared), "gone": sorted(gone)}


def _verify(connection: Connection, target: str) -> Verdict:
    seen: set[str] = set()
    hashed, state, number = NONE, state_of(()), 0
    for run in connection.execute(select(runs).where(runs.c.target == target).order_by(runs.c.number)).all():
        number += 1
        appeared, gone, altered = _changes(connection, run.id)
        if appeared or gone:
            seen = (seen - gone) | appeared
            state = state_of(seen)
        if run.number != number:
            why = "it is missing"
        elif run.previous != hashed:
            why = "it does not follow the run before it"
        elif altered:
            why = f"what it saw was altered ({altered})"
        elif run.state != state:
            why = "what it saw is not complete, or is more than it saw"
        elif run.hash != _hash(hashed, run, appeared, gone):
            why = "it was altered"
        else:
            hashed = run.hash
            continue
        return Verdict(number, number, why, hashed)
    without_run = select(changes.c.run).outerjoin_from(changes, runs).where(runs.c.id.is_(None)).limit(1)
    if connection.scalar(without_run) is not None:
        why = "it, or a run of another target, was taken away, and what it saw is still there"
        return Verdict(number, number + 1, why, hashed)
    return Verdict(number, None, "", hashed)


def _hash(previous: str, run: Row[Any], appeared: Iterable[str], gone: Iterable[str]) -> str:
    """Return what the hash of a run has to be; empty where SQLite was made to keep there what is no text."""
    try:
        return link(previous, _snapshot(run._asdict(), appeared, gone))
    except TypeError:
        return ""


def _changes(connection: Connection, run: int) -> tuple[set[str], set[str], str]:
    """Return what appeared and what went, and the digest of an entry that is not what it says, if there is one."""
    found = connection.execute(
        select(changes.c.appeared, changes.c.entry, entries.c.kind, entries.c.content)
        .outerjoin_from(changes, entries, changes.c.entry == entries.c.digest)
        .where(changes.c.run == run)
        .order_by(changes.c.entry)
    ).all()
    altered = next(
        (row.entry for row in found if row.content is None or digest(row.kind, row.content) != row.entry), ""
    )
    return {row.entry for row in found if row.appeared}, {row.entry for row in found if not row.appeared}, altered


# --- rows -------------------------------------------------------------------------------------------------------------


def _last(connection: Connection, target: str) -> Row[Any] | None:
    newest_first = select(runs).where(runs.c.target == target).order_by(runs.c.number.desc())
    return connection.execute(newest_first.limit(1)).one_or_none()


def _run(row: Row[Any]) -> Run:
    """
    :raises HistoryError: it is not what a run has written.
    """
    try:
        about = json.loads(row.about)
        counts = about.get("summary", {}).values()
        if all(isinstance(each, int) for each in counts):
            return Run(row.number, row.at, about, row.hash)
    except (AttributeError, TypeError, ValueError):
        pass
    raise HistoryError(f"Run {row.number} was altered in the history: nobody can read it.", _VERIFY)


def _present(connection: Connection, target: str, number: int) -> set[str]:
    """Return the digests of what was there after a run: whatever appeared once more than it went."""
    found = connection.scalars(
        select(changes.c.entry)
        .join_from(changes, runs)
        .where(runs.c.target == target, runs.c.number <= number)
        .group_by(changes.c.entry)
        .having(func.sum(case((changes.c.appeared, 1), else_=-1)) == 1)
    )
    return set(found)


def _named(connection: Connection, digests: Collection[str]) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for some in _portions(sorted(digests)):
        rows = connection.execute(select(entries).where(entries.c.digest.in_(some)))
        found |= {row.digest: _entry(row) for row in rows}
    if len(found) != len(set(digests)):
        raise HistoryError("Something that a run saw is not in the history any more.", _VERIFY)
    return found


def _entry(row: Row[Any]) -> Entry:
    """
    :raises HistoryError: it is not what a run has written.
    """
    entry = Entry(cast("EntryKind", row.kind), row.content)
    if entry.digest != row.digest:
        raise HistoryError(f"Something that a run saw was altered in the history ({legible(row.digest)}).", _VERIFY)
    return entry


def _in_order(some: Iterable[Entry]) -> tuple[Entry, ...]:
    return tuple(sorted(some, key=lambda entry: entry.digest))


def _digests(some: Iterable[Entry]) -> list[str]:
    return [entry.digest for entry in some]


def _add(connection: Connection, run: int, delta: Delta) -> None:
    """Write the entries that no run has seen before, and what appeared and went in this one."""
    upsert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    insert_entry = upsert(entries).on_conflict_do_nothing()
    for portion in _portions(delta.appeared):
        connection.execute(insert_entry, [{"digest": e.digest, "kind": e.kind, "content": e.content} for e in portion])
    for appeared, some in ((True, delta.appeared), (False, delta.gone)):
        for portion in _portions(some):
            connection.execute(
                insert(changes), [{"run": run, "entry": each.digest, "appeared": appeared} for each in portion]
            )


def _portions(rows: Iterable[T]) -> Iterator[list[T]]:
    source = iter(rows)
    while portion := list(islice(source, _AT_ONCE)):
        yield portion

"""What readers gained and lost between two runs, in sentences."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from replica_access.audit.difference import Difference
from replica_access.audit.snapshot import Entry

Key = tuple[str, ...]
Look = Callable[[Collection[str]], Mapping[str, Entry]]
"""Returns entries by their digests."""

_NAMED = 3
"""So many objects are named; of more, their number."""

_PLURALS = {"foreign server": "foreign servers", "materialized view": "materialized views"}


def gains(appeared: Iterable[Entry], gone: Iterable[Entry], look: Look) -> list[Difference]:
    """Return a sentence for each reader, kind of object, privilege and way to it that differs.

    Of a database that only one of the two runs has seen nothing is known, and that is said instead.

    :param look: finds the names of objects that are in neither of the two, because others still have them.
    """
    now, before = list(appeared), list(gone)
    unknown = {entry.values["database"] for entry in before if entry.kind == "seen"}
    known = {entry.values["database"] for entry in now if entry.kind == "seen"}
    here = _by_key(now, unknown | known, look)
    there = _by_key(before, unknown | known, look)
    found = [
        *(Difference("unknown", "", "", f"what readers hold in database {name} is not known") for name in unknown),
        *(Difference("known", "", "", f"what readers hold in database {name} is known, and was not") for name in known),
    ]
    for key in sorted({**here, **there}):
        more, less = here.get(key, frozenset()), there.get(key, frozenset())
        if more - less:
            found.append(Difference("gained", "", "", _sentence("gained", key, more - less)))
        if less - more:
            found.append(Difference("lost", "", "", _sentence("lost", key, less - more)))
    return found


def _by_key(entries: Iterable[Entry], apart: Collection[str], look: Look) -> dict[Key, frozenset[str]]:
    """Return the names of objects by all else that an entry says, but for those of some databases."""
    some = list(entries)
    held = [entry.values for entry in some if entry.kind == "access" and entry.values["database"] not in apart]
    names = {entry.digest: entry for entry in some if entry.kind == "names"}
    names |= look({values["names"] for values in held} - names.keys())
    found: dict[Key, set[str]] = {}
    for values in held:
        key = tuple(values[part] for part in ("role", "database", "schema", "kind", "privilege", "through", "by"))
        found.setdefault(key, set()).update(names[values["names"]].values["names"])
    return {key: frozenset(each) for key, each in found.items()}


def _sentence(turn: str, key: Key, names: frozenset[str]) -> str:
    role, database, schema, kind, privilege, through, by = key
    way = f" through {through}" if through else ""
    granted = f"; granted by {by}" if by else ""
    return f"{role} {turn} {privilege} on {''.join(_what(database, schema, kind, names))}{way}{granted}"


def _what(database: str, schema: str, kind: str, names: frozenset[str]) -> Iterator[str]:
    if kind == "database":
        yield f"database {database}"
        return
    if len(names) > _NAMED:
        yield f"{len(names):,} {_PLURALS.get(kind, f'{kind}s')}"
    else:
        yield f"{kind}{'s' if len(names) > 1 else ''} {', '.join(sorted(names))}"
    yield f" in {schema}, database {database}" if schema else f" in database {database}"

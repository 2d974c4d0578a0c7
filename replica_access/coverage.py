"""Does the spec take in a database or a schema that somebody names, and what would have to be added to it? Pure."""

from __future__ import annotations

import difflib
import glob
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from replica_access.errors import UsageError
from replica_access.names import is_utf8, shown
from replica_access.patterns import Exclusion, is_system_schema, matches
from replica_access.spec import GrantSpec, Spec

MANY = 10
"""How many names an error lists."""


@dataclass(frozen=True, slots=True)
class Addition:
    """A name that a list of the spec lacks.

    :param entry: which of the ``[[grants]]``, from 0.
    :param to: the reader of that entry.
    """

    entry: int
    to: str
    key: Literal["databases", "schemas"]
    name: str

    @property
    def pattern(self) -> str:
        """The name as the spec has to have it: one that looks like a pattern would let in more than itself."""
        return glob.escape(self.name)

    def __str__(self) -> str:
        return f"{shown(self.name)} to the {self.key} of {shown(self.to)}"


Entry = tuple[int, GrantSpec]


def additions(
    spec: Spec, existing: Mapping[str, Collection[str]], *, database: str | None, schema: str | None, to: str | None
) -> tuple[Addition, ...]:
    """Return what the spec lacks to take in `database`, or `schema` in it (``None``: wherever the spec looks).

    :param existing: every database of the primary, with those of its schemas that were asked for.
    :param to: the reader who should get it; ``None``: whoever does by the spec.
    :raises UsageError: there is nothing of that name, it is excluded, or several readers could be meant.
    """
    entries = _entries(spec, to)
    if database is not None and database not in existing:
        raise _nothing(f"database {shown(database)}", database, existing)
    looked_at = [database] if database is not None else [name for name in existing if _covering(entries, name)]
    if schema is not None:
        looked_at = _with_schema(schema, looked_at, existing)
    covering = [entry for entry in entries if any(_covering([entry], name) for name in looked_at)]
    found: list[Addition] = []
    if database is not None and not covering:
        number, grant = _the_one(entries, f"database {shown(database)}", to)
        covering = [(number, grant)]
        found.append(_addition(number, grant, "databases", database))
    if schema is not None and not any(_takes_in(grant, schema) for _, grant in covering):
        number, grant = _the_one(covering, f"schema {shown(schema)}", to)
        _refuse_excluded(grant, schema)
        found.append(_addition(number, grant, "schemas", schema))
    return tuple(found)


def _entries(spec: Spec, to: str | None) -> list[Entry]:
    entries = [(number, grant) for number, grant in enumerate(spec.grants) if to is None or grant.to == to]
    if not entries:
        what = "The spec has no [[grants]]." if to is None else f"The spec has no grant to {shown(to)}."
        raise UsageError(what, f"--to is one of: {_readers(enumerate(spec.grants))}." if spec.grants else "Add one.")
    return entries


def _covering(entries: Iterable[Entry], database: str) -> bool:
    return any(matches(database, pattern) for _, grant in entries for pattern in grant.databases)


def _with_schema(schema: str, databases: Sequence[str], existing: Mapping[str, Collection[str]]) -> list[str]:
    if is_system_schema(schema):
        raise UsageError(f"{shown(schema)} is a schema of PostgreSQL's own.", "No grant ever reaches it.")
    found = [name for name in databases if schema in existing[name]]
    if not found:
        where = f" in {', '.join(map(shown, databases[:MANY]))}" if databases else " in any database of the spec"
        raise _nothing(f"schema {shown(schema)}{where}", schema, {s for name in databases for s in existing[name]})
    return found


def _takes_in(grant: GrantSpec, schema: str) -> bool:
    return any(matches(schema, pattern) for pattern in grant.schemas) and _exclusion(grant, schema) is None


def _exclusion(grant: GrantSpec, schema: str) -> str | None:
    return next((text for text in grant.exclude if Exclusion.parse(text).covers_schema(schema)), None)


def _refuse_excluded(grant: GrantSpec, schema: str) -> None:
    if (exclusion := _exclusion(grant, schema)) is not None:
        raise UsageError(
            f"The schema {shown(schema)} is excluded from what {shown(grant.to)} reads, by {exclusion!r} in the spec.",
            "Take that out of exclude first, if that is what you want.",
        )


def _the_one(entries: Sequence[Entry], what: str, to: str | None) -> Entry:
    if len(entries) == 1:
        return entries[0]
    if to is not None or len({grant.to for _, grant in entries}) == 1:
        raise UsageError(
            f"The spec has {len(entries)} grants to {shown(entries[0][1].to)} that the {what} could be added to.",
            "Add it to the right one yourself.",
        )
    raise UsageError(f"Who shall read the {what}?", f"Say --to, one of: {_readers(entries)}.")


def _addition(number: int, grant: GrantSpec, key: Literal["databases", "schemas"], name: str) -> Addition:
    if not is_utf8(name):
        raise UsageError(f"The name {shown(name)} is no UTF-8, so no spec can hold it.", "Rename it, or use a pattern.")
    return Addition(number, grant.to, key, name)


def _readers(entries: Iterable[Entry]) -> str:
    return ", ".join(dict.fromkeys(shown(grant.to) for _, grant in entries))


def _nothing(what: str, name: str, others: Iterable[str]) -> UsageError:
    """Return that there is no such thing, and what there is that is like it."""
    by_letters: dict[str, list[str]] = {}
    for other in sorted(others):
        by_letters.setdefault(other.casefold(), []).append(shown(other))
    close = difflib.get_close_matches(name.casefold(), by_letters, n=5, cutoff=0.5)
    if close:
        like = [other for letters in close for other in by_letters[letters]]
        return UsageError(f"There is no {what}.", f"Is it one of these? {', '.join(like)}")
    there = sorted(other for found in by_letters.values() for other in found)
    more = f", and {len(there) - MANY:,} more" if len(there) > MANY else ""
    return UsageError(f"There is no {what}.", f"There are: {', '.join(there[:MANY])}{more}." if there else "")

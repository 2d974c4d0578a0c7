"""What appeared on the primary, as people read it: by database and schema, long lists shortened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from replica_access.appeared import Appeared, InDatabase
from replica_access.cli.terminal import escaped
from replica_access.inventory import FoundRelations, Gets, Readers
from replica_access.model import KINDS
from replica_access.names import shown
from replica_access.postgres.scene import count, shortened

SCHEMAS_SHOWN = 20
"""In one database; -v shows all, and JSON has every relation by its name."""

_GETS: Mapping[Gets, str] = {
    "readable": "already reads it",
    "granted": "will be granted",
    "blocked": "blocked",
    "excluded": "excluded",
    "exposed": "excluded, but can read it",
}


def lines(found: Appeared, *, all_of_it: bool) -> Iterator[str]:
    """Yield what appeared, or that nothing did."""
    if not found:
        yield f"Nothing is new since {_time(found.since)}." if found.since else "No run has been recorded yet."
        yield ""
        return
    yield (
        f"New since {_time(found.since)}:" if found.since else "No run has been recorded yet: everything counts as new."
    )
    yield ""
    for database in found.databases:
        yield from _database(database, all_of_it)
        yield ""


def _time(moment: str | None) -> str:
    return f"{datetime.fromisoformat(moment or '').astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _database(found: InDatabase, all_of_it: bool) -> Iterator[str]:
    name = escaped(shown(found.name))
    if found.new:
        yield f"[bold]Database {name}[/], new, of {escaped(shown(found.owner))}"
        yield from _readers(found.readers, "    ", readable="may connect already")
    else:
        yield f"[bold]Database {name}[/]"
    schemas = list(found.by_schema.items())
    most = len(schemas) if all_of_it else SCHEMAS_SHOWN
    for schema, groups in schemas[:most]:
        yield from _schema(schema, groups, found)
    if left := schemas[most:]:
        relations = sum(len(group.names) for _, groups in left for group in groups)
        yield f"  … and {count(len(left), 'more schema')} with {count(relations, 'relation')}; -v shows each"
    for creator, readers in sorted(found.creators.items()):
        yield f"  [green]+[/] creator {escaped(shown(creator))}: what it makes next"
        yield from _readers(readers, "      ")


def _schema(name: str, groups: Sequence[FoundRelations], found: InDatabase) -> Iterator[str]:
    new = next((schema for schema in found.schemas if schema.name == name), None)
    if new is not None:
        yield f"  [green]+[/] schema {escaped(shown(name))}, made by {escaped(shown(new.owner))}"
        yield from _readers(new.readers, "      ", readable="already uses it")
    else:
        yield f"  in schema {escaped(shown(name))}"
    alike: dict[tuple[str, tuple[tuple[str, Gets], ...]], list[FoundRelations]] = {}
    for group in groups:
        alike.setdefault((group.owner, tuple(group.readers.items())), []).append(group)
    for (owner, readers), same in alike.items():
        yield f"    [green]+[/] {_relations(same)}, by {escaped(shown(owner))}"
        covered = found.covered.get(owner, {})
        by_default = all(covered.get(reader) == "readable" for reader, gets in readers if gets == "readable")
        readable = _GETS["readable"] + (" (default privileges)" if by_default else "")
        yield from _readers(dict(readers), "      ", readable=readable)


def _relations(groups: Sequence[FoundRelations]) -> str:
    """``table returns`` for one, ``3 tables and 2 sequences: a, b, c, …`` for more; sequences last, as less telling."""
    ordered = sorted(groups, key=lambda group: (group.kind == "S", -len(group.names)))
    names = [name for group in ordered for name in group.names]
    if len(names) == 1:
        return f"{KINDS[ordered[0].kind]} {escaped(shown(names[0]))}"
    counts = [count(len(group.names), KINDS[group.kind]) for group in ordered]
    kinds = counts[0] if len(counts) == 1 else f"{', '.join(counts[:-1])} and {counts[-1]}"
    told = [name for group in ordered if group.kind != "S" for name in group.names] or names
    return f"{kinds}: {escaped(shortened(told, most=4))}"


def _readers(readers: Readers, indent: str, *, readable: str = _GETS["readable"]) -> Iterator[str]:
    """Yield who gets what; readers who get the same share a line."""
    words = {**_GETS, "readable": readable}
    for gets in dict.fromkeys(readers.values()):
        who = ", ".join(shown(reader) for reader, of_reader in readers.items() if of_reader == gets)
        yield f"{indent}{escaped(who)}: {_coloured(gets, words[gets])}"


def _coloured(gets: Gets, words: str) -> str:
    colour = {"blocked": "red", "exposed": "red", "granted": "green"}.get(gets)
    return f"[{colour}]{words}[/]" if colour else words

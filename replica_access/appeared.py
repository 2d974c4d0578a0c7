"""What appeared since the last run: what there is now, held against what was known. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from replica_access.inventory import FoundRelations, FoundSchema, Inventory, Readers
from replica_access.state import KnownDatabase, State

NOTHING = KnownDatabase(0)


@dataclass(frozen=True, slots=True)
class InDatabase:
    """What appeared in one database.

    :param new: whether the database itself is.
    :param creators: who makes objects there since, with what readers get of what they make next.
    """

    name: str
    new: bool
    owner: str
    readers: Readers
    schemas: tuple[FoundSchema, ...]
    relations: tuple[FoundRelations, ...]
    creators: Mapping[str, Readers]
    covered: Mapping[str, Readers]

    @property
    def by_schema(self) -> dict[str, list[FoundRelations]]:
        """The relations by the name of their schema; new schemas are in it too where they are empty."""
        found: dict[str, list[FoundRelations]] = {schema.name: [] for schema in self.schemas}
        for group in self.relations:
            found.setdefault(group.schema, []).append(group)
        return dict(sorted(found.items()))


@dataclass(frozen=True, slots=True)
class Appeared:
    """What appeared, by database.

    :param since: when the last run was, in ISO 8601; ``None`` where none is known and everything is new.
    """

    since: str | None
    databases: tuple[InDatabase, ...]

    def __bool__(self) -> bool:
        return bool(self.databases)


def since(known: State | None, inventories: Mapping[str, Inventory]) -> Appeared:
    """Return what is in `inventories` and was not known."""
    when = known.when if known is not None else None
    return Appeared(when, tuple(_appeared(known, inventories)))


def _appeared(known: State | None, inventories: Mapping[str, Inventory]) -> Iterator[InDatabase]:
    for name, found in inventories.items():
        before = known.databases.get(name) if known is not None else None
        is_new = before is None or before.oid != found.oid
        before = NOTHING if before is None or is_new else before
        schemas = tuple(schema for schema in found.schemas if before.schemas.get(schema.name) != schema.oid)
        creators = {who: readers for who, readers in found.creators.items() if who not in before.creators}
        if is_new or schemas or found.unknown or creators:
            yield InDatabase(
                name, is_new, found.owner, found.readers, schemas, found.unknown, creators, covered=found.creators
            )

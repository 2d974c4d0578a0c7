"""What is in a database, as far as the spec is concerned: who made it, and what each reader gets of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from replica_access.model import Oid

Gets = Literal["readable", "granted", "blocked", "excluded", "exposed"]
"""What a reader gets of something: has it already, will be granted it, cannot be granted it, shall not have it; and
what it should not have and has all the same.
"""

Readers = Mapping[str, Gets]
"""By the name of the reader."""


@dataclass(frozen=True, slots=True)
class FoundSchema:
    """A schema that some rule wants."""

    oid: Oid
    name: str
    owner: str
    readers: Readers


@dataclass(frozen=True, slots=True)
class FoundRelations:
    """Relations of one kind that one owner has in one schema, and that are all the same to the readers.

    :param kind: as in `model.KINDS`.
    :param names: in order.
    """

    schema: str
    owner: str
    kind: str
    names: tuple[str, ...]
    readers: Readers


@dataclass(frozen=True, slots=True)
class Inventory:
    """What is in one database, of the schemas that some rule wants.

    :param relations: the oids of all of them, in order.
    :param unknown: those that were not known before; empty where nobody asked.
    :param creators: who makes objects there, and what readers get of what they make next.
    """

    oid: Oid
    owner: str
    readers: Readers
    schemas: tuple[FoundSchema, ...]
    relations: tuple[Oid, ...]
    unknown: tuple[FoundRelations, ...]
    creators: Mapping[str, Readers]

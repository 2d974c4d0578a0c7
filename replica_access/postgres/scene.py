"""One reader in one database: what the pure diffs look at, and the words they share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from replica_access.desired import Rule
from replica_access.model import BlockedObject, Cluster, DatabaseCatalog, Oid, Schema, shown
from replica_access.postgres.authority import Authority, Refusal

_ANYWAY = "a superuser"


@dataclass(frozen=True, slots=True)
class Scene:
    """One reader in one database.

    :param oid: 0 where the reader does not exist yet; it then has what PUBLIC has.
    :param reached: the roles whose rights the reader has, itself included, PUBLIC left out.
    """

    reader: str
    oid: Oid
    reached: frozenset[Oid]
    rules: tuple[Rule, ...]
    cluster: Cluster
    catalog: DatabaseCatalog
    authority: Authority

    def wants_schema(self, schema: str) -> bool:
        return any(rule.wants_schema(schema) for rule in self.rules)

    def refusal(self, owner: Oid, schema: Schema) -> Refusal | None:
        """Return why the admin may not grant on what `owner` has in `schema`; ``None`` where it may."""
        authority = self.authority
        if refusal := authority.refusal(owner):
            return refusal
        if authority.sees_schema(schema.usage, authority.reach_with([owner])):
            return None
        if (of_schema := authority.refusal(authority.owner_of(schema.owner, self.catalog.owner))) is None:
            return None
        name = shown(self.cluster.roles[owner].name)
        return Refusal(f"its owner {name} may not use the schema {shown(schema.name)}, and {of_schema.reason}", _ANYWAY)

    def joins(self, owners: Iterable[Oid], schemas: Iterable[Schema]) -> tuple[str, ...]:
        """Return the roles to join in order to grant on objects of `owners` in `schemas`.

        Naming an object takes USAGE on its schema, which its owner may lack: then the schema's owner is needed too.
        """
        authority, owners = self.authority, list(owners)
        reach = authority.reach_with(owners)
        unseen = [schema for schema in schemas if not authority.sees_schema(schema.usage, reach)]
        of_schemas = [authority.owner_of(schema.owner, self.catalog.owner) for schema in unseen]
        return authority.joins([*owners, *(owner for owner in of_schemas if authority.refusal(owner) is None)])


def blocked(what: str, refusal: Refusal, sql: str) -> BlockedObject:
    return BlockedObject(what, f"cannot be granted: {refusal.reason}", f"as {refusal.by}: {sql};")


def count(number: int, noun: str) -> str:
    """``1 table``, ``1,200 tables``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def shortened(names: Sequence[str], most: int = 6) -> str:
    """``a, b, c`` or ``a, b, c, d, … z (100 in all)``."""
    if len(names) <= most:
        return ", ".join(map(shown, names))
    return f"{', '.join(map(shown, names[: most - 2]))}, … {shown(names[-1])} ({len(names)} in all)"

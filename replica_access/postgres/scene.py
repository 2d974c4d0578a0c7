"""One reader in one database: what the pure diffs look at, and the words they share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from replica_access.catalog import Cluster, DatabaseCatalog, Role, Schema
from replica_access.desired import Desired, Rule
from replica_access.model import PUBLIC, BlockedObject, Oid, Request, Scope, Takes
from replica_access.names import shown
from replica_access.postgres.authority import Authority, Refusal
from replica_access.postgres.catalog import READ_ALL

_ANYWAY = "a superuser"


@dataclass(frozen=True)
class Scene:
    """One reader in one database.

    :param oid: below zero where the reader has to be made.
    :param reached: the roles whose rights the reader has, itself included, PUBLIC left out.
    :param rules: what it wants there; `group_rules` what the groups want that the spec puts it into.
    :param readers: the roles of the spec, and whoever it grants to; `rules_of` what each of them wants there.
    :param takes: which flag has to allow what is taken from it.
    """

    reader: str
    oid: Oid
    reached: frozenset[Oid]
    rules: tuple[Rule, ...]
    group_rules: tuple[Rule, ...]
    readers: frozenset[Oid]
    rules_of: Mapping[Oid, tuple[Rule, ...]]
    cluster: Cluster
    catalog: DatabaseCatalog
    authority: Authority
    request: Request
    takes: Takes = "revoke"

    @property
    def scope(self) -> Scope:
        """Objects of no database are looked at as a catalog without a name."""
        return "database" if self.catalog.name else "cluster"

    @cached_property
    def counting(self) -> frozenset[Oid]:
        """The roles whose privileges of today count for the reader.

        Where revoking is allowed those of other readers do not: what they have beyond the spec goes, and what they
        should have, `group_rules` tell.
        """
        others = self.reached - self.readers if self.request.allow_revoke else self.reached
        return others | {self.oid}

    @cached_property
    def reads_all(self) -> bool:
        return any(self.cluster.roles[oid].name == READ_ALL for oid in self.counting)

    def wants_schema(self, schema: str) -> bool:
        return any(rule.wants_schema(schema) for rule in self.rules)

    def ways(self, holders: Iterable[Oid]) -> str:
        """Return by which of `holders` the reader has what they have, itself left out; empty where by none."""
        names = (self.name_of(oid) for oid in sorted(set(holders)) if oid in self.counting or oid == PUBLIC)
        return ", ".join(dict.fromkeys(names))

    def name_of(self, role: Oid) -> str:
        return "PUBLIC" if role == PUBLIC else shown(self.cluster.roles[role].name)

    def refusal(self, owner: Oid, schema: Schema) -> Refusal | None:
        """Return why the admin may not grant on what `owner` has in `schema`; ``None`` where it may."""
        authority = self.authority
        owner = authority.owner_of(owner, self.catalog.owner)
        if refusal := authority.refusal(owner):
            return refusal
        if authority.sees_schema(schema.usage, authority.reach_with([owner])):
            return None
        if (of_schema := authority.refusal(authority.owner_of(schema.owner, self.catalog.owner))) is None:
            return None
        name = shown(self.cluster.roles[owner].name)
        return Refusal(f"its owner {name} may not use the schema {shown(schema.name)}, and {of_schema.reason}", _ANYWAY)

    def joins(self, owners: Iterable[Oid], schemas: Iterable[Schema]) -> tuple[str, ...]:
        """Return the names of the roles to join in order to grant on objects of `owners` in `schemas`."""
        return self.authority.joins(self.joined(owners, schemas))

    def joined(self, owners: Iterable[Oid], schemas: Iterable[Schema]) -> list[Oid]:
        """Return the roles whose rights it takes to grant on objects of `owners` in `schemas`.

        Naming an object takes USAGE on its schema, which its owner may lack: then the schema's owner is needed too.
        """
        authority = self.authority
        owners = [authority.owner_of(owner, self.catalog.owner) for owner in owners]
        reach = authority.reach_with(owners)
        unseen = [schema for schema in schemas if not authority.sees_schema(schema.usage, reach)]
        of_schemas = [authority.owner_of(schema.owner, self.catalog.owner) for schema in unseen]
        return [*owners, *(owner for owner in of_schemas if authority.refusal(owner) is None)]


def scene(reader: Role, desired: Desired, catalog: DatabaseCatalog, authority: Authority, request: Request) -> Scene:
    """Set the scene for `reader`.

    :param authority: on the cluster as it will be, the reader included.
    """
    cluster = authority.cluster
    reached = cluster.reached_from(reader.oid)
    rules = desired.rules.get(catalog.name, ())
    readers = {name: role.oid for name in desired.names if (role := cluster.role(name)) is not None}
    declared = desired.groups_of(reader.name) & readers.keys()
    return Scene(
        reader=reader.name,
        oid=reader.oid,
        reached=reached,
        rules=tuple(rule for rule in rules if rule.reader == reader.name),
        group_rules=tuple(rule for rule in rules if rule.reader in declared and readers[rule.reader] in reached),
        readers=frozenset(readers.values()),
        rules_of={oid: tuple(rule for rule in rules if rule.reader == name) for name, oid in readers.items()},
        cluster=cluster,
        catalog=catalog,
        authority=authority,
        request=request,
    )


def for_departed(here: Scene) -> Scene:
    """Return the scene of a role that wants nothing any more."""
    return replace(here, takes="drop", rules=(), group_rules=(), rules_of={**here.rules_of, here.oid: ()})


def blocked(what: str, refusal: Refusal, sql: str) -> BlockedObject:
    return BlockedObject.with_statements(what, f"cannot be granted: {refusal.reason}", refusal.by, sql)


def count(number: int, noun: str) -> str:
    """``1 table``, ``1,200 tables``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def shortened(names: Sequence[str], most: int = 6, display: Callable[[str], str] = shown) -> str:
    """``a, b, c`` or ``a, b, c, d, … z (100 in all)``.

    :param display: `written` for what the server itself has quoted.
    """
    if len(names) <= most:
        return ", ".join(map(display, names))
    return f"{', '.join(map(display, names[: most - 2]))}, … {display(names[-1])} ({len(names)} in all)"

"""What is missing in one database: USAGE, SELECT, default privileges. Pure: values in, a plan out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from replica_access.desired import Desired, Rule
from replica_access.model import (
    KINDS,
    PUBLIC,
    BlockedObject,
    Change,
    Cluster,
    DatabaseCatalog,
    Oid,
    Pending,
    Plan,
    Schema,
    shown,
)
from replica_access.patterns import is_glob
from replica_access.postgres import statements
from replica_access.postgres.authority import Authority, Refusal
from replica_access.postgres.diff_columns import diff_columns, partly_wanted
from replica_access.postgres.diff_future import diff_future
from replica_access.postgres.scene import Scene, blocked, count, shortened

CHUNK = 1000
"""Relations named in one GRANT: long lists are several times faster than ALL TABLES IN SCHEMA, and exact."""


def diff_database(desired: Desired, cluster: Cluster, catalog: DatabaseCatalog) -> Plan:
    """Return what the readers of the spec lack in the database of `catalog`, and what stands in the way."""
    plan = Plan()
    for scene in scenes(desired, cluster, catalog):
        plan += _usage(scene)
        plan += _select(scene)
        plan += diff_columns(scene)
        plan += diff_future(scene)
        plan += Plan(pending=tuple(_missing_schemas(scene)))
    return plan


def scenes(desired: Desired, cluster: Cluster, catalog: DatabaseCatalog) -> Iterator[Scene]:
    """Yield each reader of the spec in the database of `catalog`."""
    authority = Authority(cluster)
    for reader, rules in _by_reader(desired.rules.get(catalog.name, ())):
        role = cluster.role(reader)
        if role is not None and role.superuser:
            continue  # no reader: the diff of the roles says so
        yield Scene(
            reader=reader,
            oid=role.oid if role else PUBLIC,
            reached=cluster.reached_from(role.oid) if role else frozenset(),
            rules=rules,
            cluster=cluster,
            catalog=catalog,
            authority=authority,
        )


def _by_reader(rules: Iterable[Rule]) -> Iterator[tuple[str, tuple[Rule, ...]]]:
    found: dict[str, list[Rule]] = {}
    for rule in rules:
        found.setdefault(rule.reader, []).append(rule)
    return ((reader, tuple(group)) for reader, group in found.items())


def _missing_schemas(scene: Scene) -> Iterator[Pending]:
    names = {schema.name for schema in scene.catalog.schemas.values()}
    for rule in scene.rules:
        for pattern in rule.schemas:
            if pattern not in names and not is_glob(pattern):
                reason = f"no such schema yet; {shown(scene.reader)} gets it at the next run"
                yield Pending("schema", f"{shown(scene.catalog.name)}.{shown(pattern)}", reason)


# --- USAGE on schemas ------------------------------------------------------------------------------------------------


def _usage(scene: Scene) -> Plan:
    """What only PUBLIC gives does not count: it ends the day somebody revokes it from PUBLIC."""
    authority, reader = scene.authority, scene.reader
    allowed: list[Schema] = []
    stuck: list[BlockedObject] = []
    owners: list[Oid] = []
    for schema in scene.catalog.schemas.values():
        if not scene.wants_schema(schema.name) or schema.usage & scene.reached:
            continue
        owner = authority.owner_of(schema.owner, scene.catalog.owner)
        if refusal := authority.refusal(owner):
            what = f"schema {shown(scene.catalog.name)}.{shown(schema.name)}"
            stuck.append(blocked(what, refusal, statements.usage_on("GRANT", [schema.name], reader)))
        else:
            allowed.append(schema)
            owners.append(owner)
    if not allowed:
        return Plan(blocked=tuple(stuck))
    names = [schema.name for schema in allowed]
    change = Change(
        scope="database",
        database=scene.catalog.name,
        action="grant usage",
        object=shortened(names),
        summary=f"let {shown(reader)} use {count(len(names), 'schema')}: {shortened(names)}",
        sql=(statements.usage_on("GRANT", names, reader),),
        undo=(statements.usage_on("REVOKE", names, reader),),
        join=authority.joins(owners),
    )
    return Plan((change,), blocked=tuple(stuck))


# --- SELECT on relations ---------------------------------------------------------------------------------------------


class _Relation(NamedTuple):  # made a hundred thousand times, and cheaper than a dataclass
    schema: Schema
    name: str
    kind: str
    owner: Oid

    @property
    def is_sequence(self) -> bool:
        return self.kind == "S"


def _select(scene: Scene) -> Plan:
    allowed: list[_Relation] = []
    refused: dict[Refusal, list[_Relation]] = {}
    refusals: dict[tuple[Oid, Oid], Refusal | None] = {}
    for relation in _unreadable(scene):
        place = (relation.owner, relation.schema.oid)
        if place not in refusals:
            refusals[place] = scene.refusal(relation.owner, relation.schema)
        if refusal := refusals[place]:
            refused.setdefault(refusal, []).append(relation)
        else:
            allowed.append(relation)
    changes = [
        _select_change(scene, chunk)
        for is_sequence in (False, True)
        for chunk in _chunks([relation for relation in allowed if relation.is_sequence is is_sequence])
    ]
    stuck = [
        _blocked_select(scene, refusal, chunk) for refusal, relations in refused.items() for chunk in _chunks(relations)
    ]
    return Plan(tuple(changes), blocked=tuple(stuck))


def _unreadable(scene: Scene) -> Iterator[_Relation]:
    """Yield what the rules want and the reader cannot read, by schema and name."""
    schemas = scene.catalog.schemas
    partial = {(found.schema, found.relation) for found, _ in partly_wanted(scene)}
    groups = [group for group in scene.catalog.relations if group.reader == scene.oid and group.missing]
    for oid, of_schema in groupby(sorted(groups, key=lambda g: schemas[g.schema].name), lambda g: g.schema):
        schema = schemas[oid]
        wanting = [rule for rule in scene.rules if rule.wants_schema(schema.name)]
        # A rule that excludes nothing in this schema wants all of it: then no name has to be looked at.
        whole = any(not any(e.relation and e.schema.fits(schema.name) for e in rule.exclusions) for rule in wanting)
        found = [
            _Relation(schema, name, kind, group.owner)
            for group in of_schema
            for name, kind in group.missing
            if whole
            or ((oid, name) not in partial and any(not rule.excludes_relation(schema.name, name) for rule in wanting))
        ]
        yield from sorted(found, key=lambda relation: relation.name)


def _select_change(scene: Scene, relations: Sequence[_Relation]) -> Change:
    reader = scene.reader
    names = [(relation.schema.name, relation.name) for relation in relations]
    sequences = relations[0].is_sequence
    owners = dict.fromkeys(relation.owner for relation in relations)
    schemas = {relation.schema.oid: relation.schema for relation in relations}
    return Change(
        scope="database",
        database=scene.catalog.name,
        action="grant select",
        object=".".join(map(shown, names[0])) if len(names) == 1 else shortened([s.name for s in schemas.values()]),
        summary=f"let {shown(reader)} read {_described(relations)}",
        sql=(statements.select_on("GRANT", names, reader, sequences=sequences),),
        undo=(*_kept_columns(scene, relations), statements.select_on("REVOKE", names, reader, sequences=sequences)),
        join=scene.joins(owners, schemas.values()),
    )


def _kept_columns(scene: Scene, relations: Sequence[_Relation]) -> Iterator[str]:
    """Yield what gives back the columns that a REVOKE of the whole relation takes away with it."""
    grants = scene.catalog.column_grants
    for relation in relations if grants else ():
        granted = grants.get((scene.oid, relation.schema.oid, relation.name), ())
        for grantable in (False, True):
            if columns := [column for column, with_option in granted if with_option is grantable]:
                name = (relation.schema.name, relation.name)
                yield statements.select_columns_on("GRANT", name, columns, scene.reader, grantable=grantable)


def _described(relations: Sequence[_Relation]) -> str:
    """``the view leasing.open`` for one, ``12 tables and 2 views in leasing, public`` for more."""
    first = relations[0]
    if len(relations) == 1:
        return f"the {KINDS[first.kind]} {shown(first.schema.name)}.{shown(first.name)}"
    counts: dict[str, int] = {}
    for relation in relations:
        counts[KINDS[relation.kind]] = counts.get(KINDS[relation.kind], 0) + 1
    parts = [count(number, kind) for kind, number in sorted(counts.items(), key=lambda item: -item[1])]
    kinds = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    return f"{kinds} in {shortened(list(dict.fromkeys(relation.schema.name for relation in relations)))}"


def _blocked_select(scene: Scene, refusal: Refusal, relations: Sequence[_Relation]) -> BlockedObject:
    fixes = [
        statements.select_on("GRANT", names, scene.reader, sequences=sequences)
        for sequences in (False, True)
        if (names := [(r.schema.name, r.name) for r in relations if r.is_sequence is sequences])
    ]
    return blocked(f"{shown(scene.catalog.name)}: {_described(relations)}", refusal, ";\n".join(fixes))


def _chunks(relations: Sequence[_Relation]) -> Iterator[Sequence[_Relation]]:
    return (relations[start : start + CHUNK] for start in range(0, len(relations), CHUNK))

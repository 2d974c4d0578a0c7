"""What is missing in one database: USAGE, SELECT, default privileges. Pure: values in, a plan out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from replica_access.catalog import Cluster, DatabaseCatalog, Relations, Role, Schema
from replica_access.desired import Desired
from replica_access.model import KINDS, PUBLIC, BlockedObject, Change, Covered, Oid, Pending, Plan, Request
from replica_access.names import shown
from replica_access.patterns import is_glob
from replica_access.postgres import statements
from replica_access.postgres.authority import Authority, Refusal
from replica_access.postgres.diff_columns import diff_columns, partly_wanted
from replica_access.postgres.diff_exposed import exposed
from replica_access.postgres.diff_future import diff_future
from replica_access.postgres.diff_revoke import diff_revoke
from replica_access.postgres.diff_revoke_future import own_defaults
from replica_access.postgres.diff_routines import diff_routines
from replica_access.postgres.scene import Scene, blocked, count, for_departed, scene, shortened
from replica_access.postgres.taking import actor, actor_refusal

CHUNK = 1000
"""Relations named in one GRANT: long lists are several times faster than ALL TABLES IN SCHEMA, and exact."""


def diff_database(
    desired: Desired,
    cluster: Cluster,
    catalog: DatabaseCatalog,
    request: Request = Request(),  # noqa: B008
) -> Plan:
    """Return what the readers of the spec lack in the database of `catalog`, and what they have too much.

    :param cluster: as it will be when the roles of the spec are there.
    """
    missing, beyond = Plan(), Plan()
    for here in scenes(desired, cluster, catalog, request):
        if here.rules:
            missing += _usage(here)
            missing += _select(here)
            missing += diff_columns(here)
            missing += diff_routines(here)
            missing += diff_future(here)
            missing += Plan(pending=(*_missing_schemas(here), *exposed(here)))
        beyond += diff_revoke(here)
    return missing + beyond.deepest_first()


def scenes(desired: Desired, cluster: Cluster, catalog: DatabaseCatalog, request: Request) -> Iterator[Scene]:
    """Yield each role of the spec in the database of `catalog`, whether it wants something there or not."""
    authority = Authority(cluster)
    for reader in desired.names:
        role = cluster.role(reader)
        if role is not None and not role.superuser:  # that is no reader: the diff of the roles says so
            yield scene(role, desired, catalog, authority, request)


def diff_left_behind(
    departed: Sequence[Role], desired: Desired, cluster: Cluster, catalog: DatabaseCatalog, request: Request
) -> Plan:
    """Return what takes all privileges in a database from roles that have left, and those that they give by default."""
    authority, plan = Authority(cluster), Plan()
    for role in departed:
        here = for_departed(scene(role, desired, catalog, authority, request))
        plan += diff_revoke(here)
        plan += own_defaults(here, [row for row in catalog.default_privileges if row.creator == role.oid])
    return plan


def _missing_schemas(here: Scene) -> Iterator[Pending]:
    names = {schema.name for schema in here.catalog.schemas.values()}
    for rule in here.rules:
        for pattern in rule.schemas:
            if pattern not in names and not is_glob(pattern) and here.request.schema in {None, pattern}:
                reason = f"no such schema yet; {shown(here.reader)} gets it at the next run"
                yield Pending("schema", shown(here.catalog.name, pattern), reason)


# --- USAGE on schemas ------------------------------------------------------------------------------------------------


def _usage(here: Scene) -> Plan:
    """What only PUBLIC gives does not count: it ends the day somebody revokes it from PUBLIC."""
    authority, reader = here.authority, here.reader
    allowed: dict[Oid | None, list[Schema]] = {}
    stuck: list[BlockedObject] = []
    for schema in here.catalog.schemas.values():
        if not here.wants_schema(schema.name) or _may_use(here, schema):
            continue
        owner = authority.owner_of(schema.owner, here.catalog.owner)
        if refusal := authority.refusal(owner):
            what = f"schema {shown(here.catalog.name, schema.name)}"
            stuck.append(blocked(what, refusal, statements.usage_on("GRANT", [schema.name], reader)))
        else:
            allowed.setdefault(authority.granting(owner, schema.entries), []).append(schema)
    changes = (_usage_change(here, acting, schemas) for acting, schemas in allowed.items())
    return Plan(tuple(changes), blocked=tuple(stuck))


def _usage_change(here: Scene, acting: Oid | None, schemas: Sequence[Schema]) -> Change:
    authority, reader, names = here.authority, here.reader, [schema.name for schema in schemas]
    owners = (authority.owner_of(schema.owner, here.catalog.owner) for schema in schemas)
    return Change(
        scope="database",
        database=here.catalog.name,
        action="grant usage",
        reader=reader,
        object=shortened(names),
        summary=f"let {shown(reader)} use {count(len(names), 'schema')}: {shortened(names)}",
        sql=(statements.usage_on("GRANT", names, reader),),
        undo=(statements.usage_on("REVOKE", names, reader),),
        join=authority.joins(owners) if acting is None else authority.becomes(acting),
        run_as=None if acting is None else here.cluster.roles[acting].name,
    )


def _may_use(here: Scene, schema: Schema) -> bool:
    return (
        here.reads_all
        or not schema.usage.isdisjoint(here.counting)
        or any(rule.wants_schema(schema.name) for rule in here.group_rules)
    )


# --- SELECT on relations ---------------------------------------------------------------------------------------------


class _Relation(NamedTuple):  # made a hundred thousand times, and cheaper than a dataclass
    schema: Schema
    name: str
    kind: str
    owner: Oid
    crowded: bool
    acting: Oid | None

    @property
    def is_sequence(self) -> bool:
        return self.kind == "S"

    @property
    def place(self) -> tuple[Oid, Oid]:
        """Its schema and owner: there are few of them."""
        return self.schema.oid, self.owner


def _select(here: Scene) -> Plan:
    """Return SELECT on relations that are wanted whole: with them, each new column will be readable, too.

    What PUBLIC gives on a relation does count: somebody chose it for this one.
    """
    covered: dict[tuple[Oid, str], int] = {}
    wanted = list(_unreadable(here, covered))
    places = {relation.place: relation for relation in wanted}
    refusals = {place: here.refusal(relation.owner, relation.schema) for place, relation in places.items()}
    allowed: list[_Relation] = []
    refused: dict[Refusal, list[_Relation]] = {}
    for relation in wanted:
        if refusal := _FULL if relation.crowded else refusals[relation.place]:
            refused.setdefault(refusal, []).append(relation)
        else:
            allowed.append(relation)
    alike = sorted({(r.is_sequence, r.acting or PUBLIC) for r in allowed})
    changes = [
        _select_change(here, chunk)
        for sequence, acting in alike
        for chunk in _chunks([r for r in allowed if r.is_sequence is sequence and (r.acting or PUBLIC) == acting])
    ]
    stuck = [
        _blocked_select(here, refusal, chunk) for refusal, relations in refused.items() for chunk in _chunks(relations)
    ]
    return Plan(tuple(changes), blocked=tuple(stuck), covered=tuple(_covered(here, covered)))


_FULL = Refusal("its list of privileges is nearly as long as a row of pg_class may be (8 kB)", "")
_WAY_OUT = (
    "-- give it to a group that is in the list already, and put the readers into that group;"
    " or revoke it from roles that need it no more: \\dp shows them"
)


def _unreadable(here: Scene, covered: dict[tuple[Oid, str], int]) -> Iterator[_Relation]:
    """Yield what the rules want and the reader cannot read, by schema and name.

    :param covered: what it reads by other ways, by schema and way: how much; added to.
    """
    schemas = here.catalog.schemas
    partial = {(found.schema, found.relation) for found, _ in partly_wanted(here)}
    groups = [group for group in here.catalog.relations if here.wants_schema(schemas[group.schema].name)]
    for oid, of_schema in groupby(sorted(groups, key=lambda g: schemas[g.schema].name), lambda g: g.schema):
        schema, found = schemas[oid], list[_Relation]()
        # A rule that excludes nothing in this schema wants all of it: then no name has to be looked at.
        wanting = [rule for rule in here.rules if rule.wants_schema(schema.name)]
        whole = any(not any(e.relation and e.schema.fits(schema.name) for e in rule.exclusions) for rule in wanting)
        of_groups = [rule for rule in here.group_rules if rule.wants_schema(schema.name)]
        for group in of_schema:
            if way := _way(here, group):
                if way != shown(here.reader):
                    covered[oid, way] = covered.get((oid, way), 0) + group.total
                continue
            acting = _acting(here, group, schema) if group.names else None
            names: Iterable[tuple[str, str]] = group.names
            if not whole:
                names = [
                    (name, kind)
                    for name, kind in names
                    if (oid, name) not in partial
                    and any(not rule.excludes_relation(schema.name, name) for rule in wanting)
                ]
            if of_groups:
                names = [
                    (name, kind)
                    for name, kind in names
                    if not any(
                        rule.wants_relation(schema.name, name) and not rule.looks_at_columns(schema.name, name)
                        for rule in of_groups
                    )
                ]
            found += [_Relation(schema, name, kind, group.owner, name in group.crowded, acting) for name, kind in names]
        yield from sorted(found, key=lambda relation: relation.name)


def _acting(here: Scene, group: Relations, schema: Schema) -> Oid | None:
    """Return the owner where the admin would grant in the name of somebody else, and may be the owner; see `actor`."""
    acting = actor(here, group.owner, group.owner, schema, group.entries)
    return acting if acting is not None and actor_refusal(here, acting, group.owner, schema) is None else None


def _way(here: Scene, group: Relations) -> str:
    """Return by which way the reader reads relations of `group`; empty where by none."""
    holders = {entry.grantee for entry in group.entries if entry.privilege == "SELECT"}
    if here.oid in holders:
        return shown(here.reader)
    return "pg_read_all_data" if here.reads_all else here.ways(holders)


def _covered(here: Scene, covered: dict[tuple[Oid, str], int]) -> Iterator[Covered]:
    for (schema, way), total in covered.items():
        what = f"{count(total, 'relation')} in {shown(here.catalog.name, here.catalog.schemas[schema].name)}"
        yield Covered(shown(here.reader), what, way)


def _select_change(here: Scene, relations: Sequence[_Relation]) -> Change:
    reader = here.reader
    names, sequences = _names(relations), relations[0].is_sequence
    acting = relations[0].acting
    owners = dict.fromkeys(relation.owner for relation in relations)
    schemas = {relation.schema.oid: relation.schema for relation in relations}
    return Change(
        scope="database",
        database=here.catalog.name,
        action="grant select",
        reader=reader,
        object=_named(relations[0]) if len(relations) == 1 else shortened([s.name for s in schemas.values()]),
        summary=f"let {shown(reader)} read {_described(relations)}",
        sql=(statements.select_on("GRANT", names, reader, sequences=sequences),),
        undo=(*_kept_columns(here, relations), statements.select_on("REVOKE", names, reader, sequences=sequences)),
        join=here.joins(owners, schemas.values()) if acting is None else here.authority.becomes(acting),
        run_as=None if acting is None else here.cluster.roles[acting].name,
    )


def _kept_columns(here: Scene, relations: Sequence[_Relation]) -> Iterator[str]:
    """Yield what gives back the columns that a REVOKE of the whole relation takes away with it."""
    granted = {(found.schema, found.relation): found for found in here.catalog.column_grants}
    for relation in relations if granted else ():
        if (found := granted.get((relation.schema.oid, relation.name))) is None:
            continue
        for grantable in (False, True):
            columns = [
                column for column, entry in found.entries if entry == (here.oid, found.owner, "SELECT", grantable)
            ]
            if columns:
                name = (relation.schema.name, relation.name)
                yield statements.select_columns_on("GRANT", name, columns, here.reader, grantable=grantable)


def _names(relations: Sequence[_Relation]) -> statements.Names:
    return statements.Names((relation.schema.name, relation.name) for relation in relations)


def _named(relation: _Relation) -> str:
    return shown(relation.schema.name, relation.name)


def _described(relations: Sequence[_Relation]) -> str:
    """``the view leasing.open`` for one, ``12 tables and 2 views in leasing, public`` for more."""
    first = relations[0]
    if len(relations) == 1:
        return f"the {KINDS[first.kind]} {_named(first)}"
    counts: dict[str, int] = {}
    for relation in relations:
        counts[KINDS[relation.kind]] = counts.get(KINDS[relation.kind], 0) + 1
    parts = [count(number, kind) for kind, number in sorted(counts.items(), key=lambda item: -item[1])]
    kinds = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    return f"{kinds} in {shortened(list(dict.fromkeys(relation.schema.name for relation in relations)))}"


def _blocked_select(here: Scene, refusal: Refusal, relations: Sequence[_Relation]) -> BlockedObject:
    what = f"{shown(here.catalog.name)}: {_described(relations)}"
    if refusal is _FULL:
        return BlockedObject(what, f"cannot be granted to {shown(here.reader)}: {refusal.reason}", _WAY_OUT)
    fixes = [
        statements.select_on("GRANT", _names(some), here.reader, sequences=sequences)
        for sequences in (False, True)
        if (some := [relation for relation in relations if relation.is_sequence is sequences])
    ]
    return blocked(what, refusal, ";\n".join(fixes))


def _chunks(relations: Sequence[_Relation]) -> Iterator[Sequence[_Relation]]:
    return (relations[start : start + CHUNK] for start in range(0, len(relations), CHUNK))

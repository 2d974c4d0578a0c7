"""What readers have beyond the spec in one database, on anything but what will be made. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from replica_access.catalog import ColumnGrants, Object, Relations, Schema
from replica_access.desired import wanted_columns
from replica_access.model import KINDS, Change, Oid, Plan
from replica_access.names import shown, written
from replica_access.postgres import statements
from replica_access.postgres.authority import Refusal
from replica_access.postgres.diff_columns import partly_wanted
from replica_access.postgres.diff_revoke_future import diff_revoke_future
from replica_access.postgres.diff_routines import PRIVILEGE
from replica_access.postgres.scene import Scene, count, shortened
from replica_access.postgres.taking import (
    NOTHING,
    PASSED_ON,
    Extras,
    Kept,
    Site,
    Target,
    actor,
    actor_refusal,
    cannot,
    depth,
    extras,
    has_passed_on,
    take,
    take_one,
)

CHUNK = 1000


def diff_revoke(here: Scene) -> Plan:
    """Return what is to be taken from the reader, and what nobody can take from it here."""
    plan = _relations(here) + _columns(here)
    for schema in here.catalog.schemas.values():
        plan += _schema(here, schema)
    for found in here.catalog.held:
        plan += take_from_object(here, found, _kept_of(here, found))
    return plan + diff_revoke_future(here)


# --- relations -------------------------------------------------------------------------------------------------------


class _Place(NamedTuple):
    """Where the relations are that one statement may name together.

    :param extras: with grantor 0 where each has its owner's.
    :param acting: as in `take`.
    """

    extras: Extras
    acting: Oid | None
    sequences: bool
    passed_on: bool
    depth: int


class _Relation(NamedTuple):
    schema: Oid
    name: str
    kind: str
    owner: Oid


def _relations(here: Scene) -> Plan:
    partial = {(found.schema, found.relation): wanted for found, wanted in partly_wanted(here)}
    places: dict[_Place, list[_Relation]] = {}
    plan, excluded = Plan(), set[tuple[Oid, str]]()
    for group in here.catalog.excluded:
        plan += _group(here, group, group.names, partial, places)
        excluded.update((group.schema, name) for name, _ in group.names)
    for group in here.catalog.relations:
        names = [each for each in group.names if (group.schema, each[0]) not in excluded] if excluded else group.names
        plan += _group(here, group, names, partial, places)
    for key, relations in places.items():
        plan += _take_from_relations(here, key, relations)
    return plan


def _group(
    here: Scene,
    group: Relations,
    names: Sequence[tuple[str, str]],
    partial: Mapping[tuple[Oid, str], Sequence[str]],
    places: dict[_Place, list[_Relation]],
) -> Plan:
    """Return what is taken from relations one by one, and put the others where one statement can name them."""
    plan = Plan()
    if group.owner == here.oid or not any(entry.grantee == here.oid for entry in group.entries):
        return plan
    schema = here.catalog.schemas[group.schema]
    for relations, partly in _alike(here, group, names, partial):
        kept = _kept(here, relations[0], partly=partly)
        site = Site(group.owner, schema, group.entries, kept)
        for beyond in extras(group.entries, here.oid, kept(here.oid)):
            if partly and any(privilege == "SELECT" for privilege, _ in beyond.privileges):
                for relation in relations:
                    plan += _only_columns(here, relation, site, beyond, partial[relation.schema, relation.name])
                continue
            acting = actor(here, beyond.grantor, group.owner, schema, group.entries)
            # The owners differ from relation to relation, and one statement takes what each has granted.
            given = beyond if acting is not None else beyond._replace(grantor=0)
            passed_on, how_deep = has_passed_on(here, site, beyond), depth(beyond, group.owner, group.entries)
            places.setdefault(_Place(given, acting, group.sequences, passed_on, how_deep), []).extend(relations)
    return plan


def _alike(
    here: Scene,
    group: Relations,
    names: Sequence[tuple[str, str]],
    partial: Mapping[tuple[Oid, str], Sequence[str]],
) -> Iterator[tuple[list[_Relation], bool]]:
    """Yield relations of which the same is kept, and whether only columns of them are wanted.

    Where the reader has passed something on, it depends on the name what others keep of it.
    """
    relations = [_Relation(group.schema, name, kind, group.owner) for name, kind in names]
    if any(entry.grantor == here.oid and entry.grantee != here.oid for entry in group.entries):
        yield from (([relation], (relation.schema, relation.name) in partial) for relation in relations)
        return
    schema = here.catalog.schemas[group.schema].name
    if not here.wants_schema(schema):
        yield from [(relations, False)] if relations else []
        return
    found: dict[tuple[bool, bool], list[_Relation]] = {}
    for relation in relations:
        wanted = any(rule.wants_relation(schema, relation.name) for rule in here.rules)
        found.setdefault((wanted, (relation.schema, relation.name) in partial), []).append(relation)
    yield from ((alike, partly) for (_, partly), alike in found.items())


def _kept(here: Scene, relation: _Relation, *, partly: bool) -> Kept:
    """Return what is kept of `relation`; `partly`: the reader wants some of its columns only."""
    schema = here.catalog.schemas[relation.schema].name

    def kept(reader: Oid) -> frozenset[str]:
        if partly and reader == here.oid:
            return NOTHING
        wanted = any(rule.wants_relation(schema, relation.name) for rule in here.rules_of.get(reader, ()))
        return frozenset({"SELECT"}) if wanted else NOTHING

    return kept


def _take_from_relations(here: Scene, place: _Place, relations: Sequence[_Relation]) -> Plan:
    plan = Plan()
    allowed: list[_Relation] = []
    refused: dict[Refusal, list[_Relation]] = {}
    refusals: dict[tuple[Oid, Oid], Refusal | None] = {}
    for relation in sorted(relations, key=lambda found: (here.catalog.schemas[found.schema].name, found.name)):
        at = (relation.owner, relation.schema)
        if at not in refusals:
            schema = here.catalog.schemas[relation.schema]
            refusals[at] = actor_refusal(here, place.acting, relation.owner, schema)
        if refusal := PASSED_ON if place.passed_on else refusals[at]:
            refused.setdefault(refusal, []).append(relation)
        else:
            allowed.append(relation)
    for refusal, found in refused.items():
        plan += cannot(here, refusal, place.extras, _relation_target(here, found, place.sequences))
    for start in range(0, len(allowed), CHUNK):
        chunk = allowed[start : start + CHUNK]
        schemas = {r.schema: here.catalog.schemas[r.schema] for r in chunk}
        plan += take(
            here,
            place.extras,
            _relation_target(here, chunk, place.sequences),
            place.acting,
            owners=list(dict.fromkeys(r.owner for r in chunk)),
            schemas=list(schemas.values()),
            how_deep=place.depth,
            undo_first=_columns_given_back(here, chunk, place.extras),
        )
    return plan


def _relation_target(here: Scene, relations: Sequence[_Relation], sequences: bool) -> Target:
    names = [(here.catalog.schemas[r.schema].name, r.name) for r in relations]
    written = statements.Names(names)
    kind = "SEQUENCE" if sequences else "TABLE"
    if len(relations) == 1:
        one = shown(*names[0])
        return Target(kind, written, f"the {KINDS[relations[0].kind]} {one}", one)
    schemas = list(dict.fromkeys(schema for schema, _ in names))
    words = f"{count(len(relations), 'sequence' if sequences else 'relation')} in {shortened(schemas)}"
    return Target(kind, written, words, shortened(schemas))


def _columns_given_back(here: Scene, relations: Sequence[_Relation], taken: Extras) -> Iterator[str]:
    """Yield what gives columns back that a REVOKE of the whole relation takes away with it."""
    names = {name for name, _ in taken.privileges}
    granted = {(found.schema, found.relation): found for found in here.catalog.column_grants}
    for relation in relations if granted else ():
        if (found := granted.get((relation.schema, relation.name))) is None:
            continue
        grantor = taken.grantor or relation.owner
        for column, entry in found.entries:
            if entry.grantee == here.oid and entry.grantor == grantor and entry.privilege in names:
                name = statements.Names([(here.catalog.schemas[relation.schema].name, relation.name)])
                yield statements.on(
                    "GRANT", [entry.privilege], "TABLE", name, here.reader, option=entry.grantable, columns=[column]
                )


def _only_columns(here: Scene, relation: _Relation, site: Site, beyond: Extras, wanted: Sequence[str]) -> Plan:
    """Take the whole relation away and leave the columns that are wanted: in one transaction, so that nobody notices.

    A REVOKE of the whole takes columns of the same grantor with it, so here, for once, granting comes after revoking.
    """
    target = _relation_target(here, [relation], sequences=False)
    schema = here.catalog.schemas[relation.schema]
    acting = actor(here, beyond.grantor, relation.owner, schema, site.entries)
    passed_on = PASSED_ON if has_passed_on(here, site, beyond) else None
    refusal = passed_on or actor_refusal(here, acting, relation.owner, schema)
    if refusal := refusal or (here.refusal(relation.owner, schema) if wanted else None):
        return cannot(here, refusal, beyond, target)
    taken = take(
        here,
        beyond,
        target,
        acting,
        owners=[relation.owner],
        schemas=[schema],
        how_deep=depth(beyond, relation.owner, site.entries),
        undo_first=_columns_given_back(here, [relation], beyond),
    )
    if not wanted:
        return taken
    given, back = (
        statements.select_columns_on(verb, (schema.name, relation.name), wanted, here.reader)
        for verb in ("GRANT", "REVOKE")
    )
    left = Change(
        scope="database",
        database=here.catalog.name,
        action="grant select",
        object=target.object,
        summary=f"leave {shown(here.reader)} {shortened(wanted)} of {target.words}",
        sql=(given,),
        undo=(back,),
        join=here.joins([relation.owner], [schema]),
        takes=here.takes,
        depth=taken.changes[0].depth,
    )
    return taken + Plan((left,))


# --- columns, schemas, other objects ---------------------------------------------------------------------------------


def _columns(here: Scene) -> Plan:
    plan = Plan()
    for found in here.catalog.column_grants:
        schema = here.catalog.schemas[found.schema]
        what = shown(schema.name, found.relation)
        names = statements.Names([(schema.name, found.relation)])
        for column in dict.fromkeys(column for column, _ in found.entries):
            target = Target("TABLE", names, f"{shown(column)} of the {KINDS[found.kind]} {what}", what, (column,))
            entries = tuple(entry for name, entry in found.entries if name == column)
            kept = _kept_of_column(here, found, column)
            plan += take_one(here, target, Site(found.owner, schema, entries, kept, found.passing))
    return plan


def _kept_of_column(here: Scene, found: ColumnGrants, column: str) -> Kept:
    schema = here.catalog.schemas[found.schema].name

    def kept(reader: Oid) -> frozenset[str]:
        wanted = wanted_columns(here.rules_of.get(reader, ()), schema, found.relation, [column])
        return frozenset({"SELECT"}) if wanted else NOTHING

    return kept


def _schema(here: Scene, schema: Schema) -> Plan:
    name = shown(here.catalog.name, schema.name)
    target = Target("SCHEMA", statements.Names([schema.name]), f"the schema {shown(schema.name)}", name)

    def kept(reader: Oid) -> frozenset[str]:
        wanted = any(rule.wants_schema(schema.name) for rule in here.rules_of.get(reader, ()))
        return frozenset({"USAGE"}) if wanted else NOTHING

    return take_one(here, target, Site(schema.owner, None, schema.entries, kept))


def take_from_object(here: Scene, found: Object, kept: Kept) -> Plan:
    """Return what the reader has on one object beyond what is `kept`."""
    # Only what is in a schema has more in its identity than a name: types of arguments, brackets of an array.
    name = written(found.identity) if found.schema else shown(found.name)
    target = Target(found.kind, statements.Written(found.identity), f"the {found.kind.lower()} {name}", name)
    return take_one(here, target, Site(found.owner, here.catalog.schemas.get(found.schema), found.entries, kept))


def _kept_of(here: Scene, found: Object) -> Kept:
    schema = here.catalog.schemas.get(found.schema)

    def kept(reader: Oid) -> frozenset[str]:
        rules = here.rules_of.get(reader, ()) if schema is not None and found.kind in PRIVILEGE else ()
        wanted = any(schema is not None and rule.wants_routine(schema.name, found.name) for rule in rules)
        return frozenset({PRIVILEGE[found.kind]}) if wanted else NOTHING

    return kept

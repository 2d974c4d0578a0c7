"""What is missing where the spec excludes columns: SELECT on the others, column by column. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from replica_access.catalog import Columns
from replica_access.desired import wanted_columns
from replica_access.model import KINDS, PUBLIC, Change, Pending, Plan
from replica_access.names import shown
from replica_access.postgres import statements
from replica_access.postgres.scene import Scene, blocked, shortened


def partly_wanted(here: Scene) -> Iterator[tuple[Columns, tuple[str, ...]]]:
    """Yield each relation of which some columns are wanted and others are not, with those that are."""
    for found in here.catalog.columns:
        schema = here.catalog.schemas[found.schema].name
        if here.wants_schema(schema) and any(rule.looks_at_columns(schema, found.relation) for rule in here.rules):
            wanted = wanted_columns(here.rules, schema, found.relation, found.names)
            if len(wanted) < len(found.names):
                yield found, wanted


def diff_columns(here: Scene) -> Plan:
    """Return the columns to grant, one statement a relation, and the excluded ones that can be read all the same."""
    plan = Plan()
    for found, wanted in partly_wanted(here):
        ways = {column: _way(here, found, column) for column in found.names}
        if missing := [column for column in wanted if not ways[column]]:
            plan += _grant(here, found, missing)
        if exposed := [column for column in found.names if column not in wanted and ways[column]]:
            plan += _exposed(here, found, exposed, ways[exposed[0]])
    return plan


def _way(here: Scene, found: Columns, column: str) -> str:
    """Return by which roles the reader reads `column`, itself among them; empty where it does not."""
    if here.reads_all:
        return "pg_read_all_data"
    holders = found.readable_by | dict(found.columns)[column]
    return here.ways(holders)


def _grant(here: Scene, found: Columns, columns: list[str]) -> Plan:
    schema = here.catalog.schemas[found.schema]
    relation = (schema.name, found.relation)
    sql = statements.select_columns_on("GRANT", relation, columns, here.reader)
    what = shown(schema.name, found.relation)
    if refusal := here.refusal(found.owner, schema):
        return Plan(blocked=(blocked(f"{shown(here.catalog.name)}: columns of {what}", refusal, sql),))
    change = Change(
        scope="database",
        database=here.catalog.name,
        action="grant select",
        reader=here.reader,
        object=what,
        summary=f"let {shown(here.reader)} read {shortened(columns)} of the {KINDS[found.kind]} {what}, not all of it",
        sql=(sql,),
        undo=(statements.select_columns_on("REVOKE", relation, columns, here.reader),),
        join=here.joins([found.owner], [schema]),
    )
    return Plan((change,))


def _exposed(here: Scene, found: Columns, columns: list[str], way: str) -> Plan:
    """Name what the reader reads by ways that are not its own; its own are taken away, where that is allowed."""
    others = (found.readable_by | {oid for name, of in found.columns if name in columns for oid in of}) - {here.oid}
    if not here.reads_all and not here.ways(others):
        return Plan()
    schema = here.catalog.schemas[found.schema].name
    what = shown(here.catalog.name, schema, found.relation)
    through = way if here.reads_all else here.ways(others)
    reason = f"{shown(here.reader)} can read {shortened(columns)} of it all the same, through {through}"
    if PUBLIC in others:
        reason += "; what PUBLIC has is not revoked here"
    return Plan(pending=(Pending("column", what, reason),))

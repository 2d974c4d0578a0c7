"""What is missing where the spec excludes columns: SELECT on the others, column by column. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from replica_access.desired import wanted_columns
from replica_access.model import KINDS, Change, Columns, Pending, Plan, shown
from replica_access.postgres import statements
from replica_access.postgres.scene import Scene, blocked, shortened


def partly_wanted(scene: Scene) -> Iterator[tuple[Columns, tuple[str, ...]]]:
    """Yield each relation of which some columns are wanted and others are not, with those that are."""
    for found in scene.catalog.columns:
        if found.reader == scene.oid:
            schema = scene.catalog.schemas[found.schema].name
            wanted = wanted_columns(scene.rules, schema, found.relation, found.names)
            if len(wanted) < len(found.names):
                yield found, wanted


def diff_columns(scene: Scene) -> Plan:
    """Return the columns to grant, one statement a relation, and the excluded ones that can be read all the same."""
    plan = Plan()
    for found, wanted in partly_wanted(scene):
        readable = dict(found.columns)
        if missing := [column for column in wanted if not readable[column]]:
            plan += _grant(scene, found, missing)
        if exposed := [column for column in found.names if column not in wanted and readable[column]]:
            plan += Plan(pending=(_exposed(scene, found, exposed),))
    return plan


def _grant(scene: Scene, found: Columns, columns: list[str]) -> Plan:
    schema = scene.catalog.schemas[found.schema]
    relation = (schema.name, found.relation)
    sql = statements.select_columns_on("GRANT", relation, columns, scene.reader)
    what = f"{shown(schema.name)}.{shown(found.relation)}"
    if refusal := scene.refusal(found.owner, schema):
        return Plan(blocked=(blocked(f"{shown(scene.catalog.name)}: columns of {what}", refusal, sql),))
    change = Change(
        scope="database",
        database=scene.catalog.name,
        action="grant select",
        object=what,
        summary=f"let {shown(scene.reader)} read {shortened(columns)} of the {KINDS[found.kind]} {what}, not all of it",
        sql=(sql,),
        undo=(statements.select_columns_on("REVOKE", relation, columns, scene.reader),),
        join=scene.joins([found.owner], [schema]),
    )
    return Plan((change,))


def _exposed(scene: Scene, found: Columns, columns: list[str]) -> Pending:
    schema = scene.catalog.schemas[found.schema].name
    what = f"{shown(scene.catalog.name)}.{shown(schema)}.{shown(found.relation)}"
    reason = f"{shown(scene.reader)} can read {shortened(columns)} of it all the same, and nothing is revoked here"
    return Pending("column", what, reason)

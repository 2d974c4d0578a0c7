"""What is missing where the spec says ``execute``: EXECUTE on functions and procedures, USAGE on types. Pure.

PUBLIC has both by default, so there is something to do only where somebody took that away.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from replica_access.catalog import Object
from replica_access.model import Change, Oid, Plan
from replica_access.names import shown, written
from replica_access.postgres import statements
from replica_access.postgres.authority import Refusal
from replica_access.postgres.scene import Scene, blocked, count, shortened
from replica_access.postgres.taking import actor

PRIVILEGE = {"ROUTINE": "EXECUTE", "TYPE": "USAGE"}
_WORDS = {"ROUTINE": "function or procedure", "TYPE": "type"}
CHUNK = 500


def diff_routines(here: Scene) -> Plan:
    """Return the routines and types to grant, in statements of some hundred each."""
    plan = Plan()
    lacking = sorted(_lacking(here), key=lambda found: (found.kind, found.identity))
    for kind, found in groupby(lacking, lambda found: found.kind):
        refused: dict[Refusal, list[Object]] = {}
        allowed: dict[Oid | None, list[Object]] = {}
        for each in found:
            schema = here.catalog.schemas[each.schema]
            if refusal := here.refusal(each.owner, schema):
                refused.setdefault(refusal, []).append(each)
            else:
                acting = actor(here, each.owner, each.owner, schema, each.entries)
                allowed.setdefault(acting, []).append(each)
        for acting, objects in allowed.items():
            for start in range(0, len(objects), CHUNK):
                plan += Plan((_change(here, kind, objects[start : start + CHUNK], acting),))
        for refusal, objects in refused.items():
            sql = statements.on("GRANT", [PRIVILEGE[kind]], kind, identities(objects), here.reader)
            plan += Plan(blocked=(blocked(f"{shown(here.catalog.name)}: {_described(kind, objects)}", refusal, sql),))
    return plan


def identities(objects: Sequence[Object]) -> statements.Written:
    """The objects as the server itself writes them, quoted."""
    return statements.Written(", ".join(found.identity for found in objects))


def _lacking(here: Scene) -> Iterator[Object]:
    for found in here.catalog.routines:
        schema = here.catalog.schemas[found.schema].name
        holders = {entry.grantee for entry in found.entries if entry.privilege == PRIVILEGE[found.kind]}
        if (
            any(rule.wants_routine(schema, found.name) for rule in here.rules)
            and not here.ways(holders)
            and not any(rule.wants_routine(schema, found.name) for rule in here.group_rules)
        ):
            yield found


def _change(here: Scene, kind: str, objects: Sequence[Object], acting: Oid | None) -> Change:
    names = identities(objects)
    schemas = {found.schema: here.catalog.schemas[found.schema] for found in objects}
    joined = here.joins(dict.fromkeys(found.owner for found in objects), schemas.values())
    return Change(
        scope="database",
        database=here.catalog.name,
        action="grant execute" if kind == "ROUTINE" else "grant usage",
        reader=here.reader,
        object=shortened([found.identity for found in objects], 3, written),
        summary=f"let {shown(here.reader)} use {_described(kind, objects)}",
        sql=(statements.on("GRANT", [PRIVILEGE[kind]], kind, names, here.reader),),
        undo=(statements.on("REVOKE", [PRIVILEGE[kind]], kind, names, here.reader),),
        join=joined if acting is None else here.authority.becomes(acting),
        run_as=None if acting is None else here.cluster.roles[acting].name,
    )


def _described(kind: str, objects: Sequence[Object]) -> str:
    listed = shortened([found.identity for found in objects], 3, written)
    return f"{_WORDS[kind]} {listed}" if len(objects) == 1 else f"{_plural(kind, len(objects))}: {listed}"


def _plural(kind: str, number: int) -> str:
    return f"{number:,} functions and procedures" if kind == "ROUTINE" else count(number, "type")

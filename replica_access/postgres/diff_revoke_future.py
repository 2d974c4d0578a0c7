"""What readers have beyond the spec on what nobody has made yet, and what roles that leave give on it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from replica_access.catalog import DefaultPrivileges, Entry
from replica_access.model import PUBLIC, Change, Oid, Plan
from replica_access.names import shown
from replica_access.postgres import statements
from replica_access.postgres.diff_future import ANYWHERE, KINDS, PUBLIC_BY_DEFAULT, wants_default
from replica_access.postgres.scene import Scene, shortened
from replica_access.postgres.taking import NOTHING, Extras, extras, there_and_back, unable


def diff_revoke_future(here: Scene) -> Plan:
    """Return the default privileges to be taken from the reader."""
    rows: dict[tuple[Oid, str, Extras], list[Oid]] = {}
    held = (row for row in here.catalog.default_privileges if any(e.grantee == here.oid for e in row.entries))
    for row in held:
        needed, _ = KINDS[row.kind]
        is_wanted = _is_wanted(here, row)
        if is_wanted and row.entries == (Entry(here.oid, row.creator, needed),):
            continue  # as it is nearly everywhere
        kept = frozenset({needed}) if is_wanted else NOTHING
        for beyond in extras(row.entries, here.oid, kept):
            rows.setdefault((row.creator, row.kind, beyond), []).append(row.schema)
    plan = Plan()
    for place, schemas in rows.items():
        for some in ([ANYWHERE] if ANYWHERE in schemas else [], [schema for schema in schemas if schema]):
            if some:
                plan += _take_default(here, place, some)
    return plan


def _is_wanted(here: Scene, row: DefaultPrivileges) -> bool:
    return any(wants_default(rule, here, row) for rule in here.rules)


def _take_default(here: Scene, place: tuple[Oid, str, Extras], schemas: Sequence[Oid]) -> Plan:
    creator, kind, beyond = place
    name, (_, objects) = here.cluster.roles[creator].name, KINDS[kind]
    named = sorted(here.catalog.schemas[schema].name for schema in schemas if schema in here.catalog.schemas)
    where = f"in {shortened(named)}" if named else "anywhere"

    def said(verb: statements.Verb, privileges: Sequence[str], option: bool) -> str:
        return statements.default(verb, privileges, objects, here.reader, creators=[name], schemas=named, option=option)

    sql, undo = there_and_back(beyond, said)
    words = f"{beyond} on {objects.lower()} that {shown(name)} makes {where}"
    if refusal := here.authority.refusal(creator):
        return unable(here, refusal, words, sql)
    change = Change(
        scope="database",
        database=here.catalog.name,
        action="revoke default privileges",
        object=shown(name),
        summary=f"take {words} from {shown(here.reader)}",
        sql=sql,
        undo=undo,
        join=here.authority.joins([creator]),
        takes=here.takes,
    )
    return Plan((change,))


def own_defaults(here: Scene, rows: Iterable[DefaultPrivileges]) -> Plan:
    """Return what undoes the default privileges that a role gives on what itself makes: it will make nothing more."""
    plan, creator = Plan(), here.reader
    for row in rows:
        _, objects = KINDS[row.kind]
        schemas = [here.catalog.schemas[row.schema].name] if row.schema in here.catalog.schemas else []
        grantees = dict.fromkeys(entry.grantee for entry in row.entries)
        sql = [
            statements.default(
                "REVOKE", ["ALL"], objects, _role_name(here, grantee), creators=[creator], schemas=schemas
            )
            for grantee in grantees
        ]
        if row.schema == ANYWHERE:  # such a row replaces the built-in defaults; it goes when it says the same
            sql.append(statements.default("GRANT", ["ALL"], objects, creator, creators=[creator]))
            if row.kind in PUBLIC_BY_DEFAULT:
                sql.append(statements.default("GRANT", [KINDS[row.kind][0]], objects, None, creators=[creator]))
        undo = [
            statements.default(
                "GRANT", [e.privilege], objects, _role_name(here, e.grantee),
                creators=[creator], schemas=schemas, option=e.grantable,
            )
            for e in row.entries
        ]  # fmt: skip
        if row.schema == ANYWHERE and row.kind in PUBLIC_BY_DEFAULT and PUBLIC not in row.readable_by:
            undo.append(statements.default("REVOKE", [KINDS[row.kind][0]], objects, None, creators=[creator]))
        words = f"what {shown(creator)} gives to others on {objects.lower()} that it makes"
        if refusal := here.authority.refusal(here.oid):
            plan += unable(here, refusal, words, sql)
        else:
            plan += Plan((Change(
                scope="database", database=here.catalog.name, action="revoke default privileges",
                object=shown(creator), summary=f"undo {words}", sql=tuple(sql), undo=tuple(undo),
                join=here.authority.joins([here.oid]), takes=here.takes,
            ),))  # fmt: skip
    return plan


def _role_name(here: Scene, role: Oid) -> str | None:
    return None if role == PUBLIC else here.cluster.roles[role].name

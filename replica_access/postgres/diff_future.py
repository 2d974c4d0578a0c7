"""What readers will read of objects that nobody has made yet: creators, and their default privileges. Pure.

Default privileges belong to whoever creates the object: a row for the wrong role does nothing, so creators are found by
evidence, and no statement goes without FOR ROLE.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import groupby

from replica_access.desired import Rule
from replica_access.model import PUBLIC, Change, Oid, Pending, Plan, shown
from replica_access.patterns import is_glob
from replica_access.postgres import statements
from replica_access.postgres.scene import Scene, blocked, count, shortened
from replica_access.postgres.statements import ReadKind

ANYWHERE: Oid = 0
"""The schema of a default privilege that holds in every schema, those of tomorrow too."""

_KINDS: Mapping[str, ReadKind] = {"r": "TABLES", "S": "SEQUENCES", "n": "SCHEMAS"}

Wanted = tuple[Oid, Oid, str]
"""(creator, schema or ANYWHERE, kind as in pg_default_acl)"""


def diff_future(scene: Scene) -> Plan:
    """Return the default privileges that are missing, one change a creator, and what they cannot do."""
    missing = _missing(scene)
    plan = Plan(pending=tuple(note for rule in scene.rules if rule.future for note in _notes(rule, scene)))
    roles = scene.cluster.roles
    for creator, of_creator in groupby(sorted(missing, key=lambda m: roles[m[0]].name), lambda m: m[0]):
        plan += _change(scene, creator, list(of_creator))
    return plan


def creators(scene: Scene) -> dict[Oid, bool]:
    """Return whose future objects the rules want, and whether the reader can read all that they make next."""
    missing = {creator for creator, _, _ in _missing(scene)}
    found = (_creators(rule, scene).values() for rule in scene.rules if rule.future)
    return {creator: creator not in missing for schemas in found for those in schemas for creator in those}


def _missing(scene: Scene) -> list[Wanted]:
    who = scene.reached | {PUBLIC}
    covered = {(row.creator, row.schema, row.kind) for row in scene.catalog.default_privileges if row.readable_by & who}
    wanted = dict.fromkeys(want for rule in scene.rules if rule.future for want in _wanted(rule, scene))
    return [
        (creator, schema, kind)
        for creator, schema, kind in wanted
        if creator not in scene.reached  # what it makes, the reader has the rights of its owner on
        and (creator, schema, kind) not in covered
        and (creator, ANYWHERE, kind) not in covered
        and (schema == ANYWHERE or (creator, ANYWHERE, kind) not in wanted)
    ]


def _wanted(rule: Rule, scene: Scene) -> Iterator[Wanted]:
    """Yield the narrowest default privileges that do the job: anywhere only where schemas of tomorrow are meant."""
    creators = _creators(rule, scene)
    if rule.everywhere:
        for creator in dict.fromkeys(creator for found in creators.values() for creator in found):
            for kind in _KINDS:
                yield creator, ANYWHERE, kind
    else:
        for schema, found in creators.items():
            for creator in found:
                yield creator, schema, "r"
                yield creator, schema, "S"


def _creators(rule: Rule, scene: Scene) -> dict[Oid, list[Oid]]:
    """Return who makes objects in each wanted schema, and under ANYWHERE who may make schemas."""
    catalog = scene.catalog
    wanted = [schema for schema in catalog.schemas.values() if rule.wants_schema(schema.name)]
    if not isinstance(rule.creators, str):
        named = [role.oid for name in rule.creators if (role := scene.cluster.role(name))]
        return {schema.oid: named for schema in wanted} | ({ANYWHERE: named} if rule.everywhere else {})
    members_of = cache(scene.cluster.members_of)  # the same few roles hold CREATE in every schema
    owners: dict[Oid, set[Oid]] = {}
    for group in catalog.relations:
        owners.setdefault(group.schema, set()).add(_somebody(group.owner, scene))
    found = {}
    for schema in wanted:
        holders = _with_members(schema.create | {schema.owner}, scene, members_of)
        found[schema.oid] = _plausible([*sorted(owners.get(schema.oid, ())), *holders], scene)
    if rule.everywhere:
        holders = _with_members(scene.cluster.databases[catalog.name].create, scene, members_of)
        found[ANYWHERE] = _plausible(holders, scene)
    return found


def _with_members(holders: Iterable[Oid], scene: Scene, members_of: Callable[[Oid], frozenset[Oid]]) -> list[Oid]:
    """Return the holders of CREATE, then whoever has it through them; PUBLIC is nobody in particular."""
    direct = sorted({_somebody(holder, scene) for holder in holders if holder != PUBLIC})
    return [*direct, *sorted({member for holder in direct for member in members_of(holder)})]


def _somebody(role: Oid, scene: Scene) -> Oid:
    return scene.authority.owner_of(role, scene.catalog.owner)


def _plausible(candidates: Iterable[Oid], scene: Scene) -> list[Oid]:
    """Leave out superusers and system roles: nobody made them creators by name."""
    roles = (scene.cluster.roles.get(oid) for oid in dict.fromkeys(candidates))
    return [role.oid for role in roles if role and not role.superuser and not role.is_system]


def _change(scene: Scene, creator: Oid, missing: Sequence[Wanted]) -> Plan:
    name, database = scene.cluster.roles[creator].name, shown(scene.catalog.name)
    schemas_of = {
        kind: [scene.catalog.schemas[schema].name for _, schema, of_kind in missing if of_kind == kind and schema]
        for kind in _KINDS
        if any(of_kind == kind for _, _, of_kind in missing)
    }
    sql = [statements.default_read("GRANT", name, s, _KINDS[kind], scene.reader) for kind, s in schemas_of.items()]
    undo = [statements.default_read("REVOKE", name, s, _KINDS[kind], scene.reader) for kind, s in schemas_of.items()]
    schemas = list(dict.fromkeys(schema for found in schemas_of.values() for schema in found))
    where = f"in {shortened(schemas)}" if schemas else f"anywhere in {database}"
    words = [_KINDS[kind].lower() for kind in schemas_of]
    what = f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else words[0]
    if refusal := scene.authority.refusal(creator):
        return Plan(blocked=(blocked(f"{database}: what {shown(name)} makes {where}", refusal, ";\n".join(sql)),))
    change = Change(
        scope="database",
        database=scene.catalog.name,
        action="grant default privileges",
        object=shown(name),
        summary=f"let {shown(scene.reader)} read {what} that {shown(name)} makes {where}, from now on",
        sql=tuple(sql),
        undo=tuple(undo),
        join=scene.authority.joins([creator]),
    )
    return Plan((change,))


# --- what default privileges cannot do -------------------------------------------------------------------------------


def _notes(rule: Rule, scene: Scene) -> Iterator[Pending]:
    """Yield what is not covered, so that nobody counts on it."""
    for exclusion in rule.exclusions:
        if exclusion.relation is not None and not exclusion.relation.exact and is_glob(exclusion.relation):
            reason = "a default privilege cannot except a table: a new one that fits is readable until it is revoked"
            yield Pending("exclusion", f"{shown(scene.catalog.name)}: {shown(exclusion.text)}", reason)
    if isinstance(rule.creators, str):
        for owner, number in _superuser_owners(rule, scene).items():
            has = f"a superuser, owns {count(number, 'relation')} in {shown(scene.catalog.name)}"
            reason = f"{has}; what it makes next is not covered unless creators names it"
            yield Pending("creator", shown(scene.cluster.roles[owner].name), reason)


def _superuser_owners(rule: Rule, scene: Scene) -> dict[Oid, int]:
    found: dict[Oid, int] = {}
    for group in scene.catalog.relations:
        role = scene.cluster.roles.get(group.owner)
        if role is None or not role.superuser or role.is_system or group.reader != scene.oid:
            continue
        if rule.wants_schema(scene.catalog.schemas[group.schema].name):
            found[group.owner] = found.get(group.owner, 0) + group.total
    return found

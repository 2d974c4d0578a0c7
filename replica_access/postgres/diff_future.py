"""What readers will read of objects that nobody has made yet: creators, and their default privileges. Pure.

Default privileges belong to whoever creates the object: a row for the wrong role does nothing, so creators are found by
evidence, and no statement goes without FOR ROLE.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import groupby

from replica_access.catalog import DefaultPrivileges
from replica_access.desired import Rule
from replica_access.model import PUBLIC, Change, Oid, Pending, Plan
from replica_access.names import legible, shown
from replica_access.patterns import Exclusion, is_glob
from replica_access.postgres import statements
from replica_access.postgres.authority import Refusal
from replica_access.postgres.scene import Scene, blocked, count, shortened

ANYWHERE: Oid = 0
"""The schema of a default privilege that holds in every schema, those of tomorrow too."""

KINDS: Mapping[str, tuple[str, str]] = {
    "r": ("SELECT", "TABLES"),
    "S": ("SELECT", "SEQUENCES"),
    "n": ("USAGE", "SCHEMAS"),
    "f": ("EXECUTE", "ROUTINES"),
    "T": ("USAGE", "TYPES"),
}
"""By pg_default_acl.defaclobjtype, what a reader needs of it, and what ALTER DEFAULT PRIVILEGES calls it."""

PUBLIC_BY_DEFAULT = frozenset({"f", "T"})
"""Where there is no row that says otherwise, everybody may use these."""

Wanted = tuple[Oid, Oid, str]
"""(creator, schema or ANYWHERE, kind as in pg_default_acl)"""


def diff_future(here: Scene) -> Plan:
    """Return the default privileges that are missing, and what they cannot do.

    There is one change for all creators that lack the same: a statement names many as fast as one.
    """
    plan = Plan(pending=tuple(note for rule in here.rules if rule.future for note in _notes(rule, here)))
    roles = here.cluster.roles
    alike: dict[tuple[tuple[Oid, str], ...], list[Oid]] = {}
    for creator, of_creator in groupby(sorted(_missing(here), key=lambda m: roles[m[0]].name), lambda m: m[0]):
        missing = tuple((schema, kind) for _, schema, kind in of_creator)
        if refusal := here.authority.refusal(creator):
            plan += _blocked(here, creator, missing, refusal)
        else:
            alike.setdefault(missing, []).append(creator)
    for missing, found in alike.items():
        plan += Plan((_change(here, found, missing),))
    return plan


def creators(here: Scene) -> dict[Oid, bool]:
    """Return whose future objects the rules want, and whether the reader can read all that they make next."""
    missing = {creator for creator, _, _ in _missing(here)}
    found = (_creators(rule, here).values() for rule in here.rules if rule.future)
    return {creator: creator not in missing for schemas in found for those in schemas for creator in those}


def _missing(here: Scene) -> list[Wanted]:
    covered = {(row.creator, row.schema, row.kind) for row in here.catalog.default_privileges if _covers(here, row)}
    anywhere = {(row.creator, row.kind) for row in here.catalog.default_privileges if row.schema == ANYWHERE}
    of_groups = {want for rule in here.group_rules if rule.future for want in _wanted(rule, here)}
    wanted = dict.fromkeys(want for rule in here.rules if rule.future for want in _wanted(rule, here))
    return [
        (creator, schema, kind)
        for creator, schema, kind in wanted
        if creator not in here.reached  # what it makes, the reader has the rights of its owner on
        and not {(creator, schema, kind), (creator, ANYWHERE, kind)} & covered
        and not {(creator, schema, kind), (creator, ANYWHERE, kind)} & of_groups
        and (schema == ANYWHERE or (creator, ANYWHERE, kind) not in wanted)
        and not (kind in PUBLIC_BY_DEFAULT and (creator, kind) not in anywhere)
    ]


def _covers(here: Scene, row: DefaultPrivileges) -> bool:
    who = here.counting | {PUBLIC}
    if here.request.allow_revoke and not any(wants_default(rule, here, row) for rule in here.rules):
        who = who - {here.oid}  # that goes
    return not row.readable_by.isdisjoint(who)


def wants_default(rule: Rule, here: Scene, row: DefaultPrivileges) -> bool:
    """Whether the spec lets the reader use what the row is about; whichever creator, where the spec names none."""
    if not rule.future:
        return False
    creator = here.cluster.roles.get(row.creator)
    if not isinstance(rule.creators, str) and (creator is None or creator.name not in rule.creators):
        return False
    if row.kind in PUBLIC_BY_DEFAULT and not rule.execute:
        return False
    if row.schema == ANYWHERE:
        return rule.everywhere
    schema = here.catalog.schemas.get(row.schema)
    return schema is not None and rule.wants_schema(schema.name)


def _wanted(rule: Rule, here: Scene) -> Iterator[Wanted]:
    """Yield the narrowest default privileges that do the job: anywhere only where schemas of tomorrow are meant."""
    creators = _creators(rule, here)
    kinds = [kind for kind in KINDS if rule.execute or kind not in PUBLIC_BY_DEFAULT]
    if rule.everywhere:
        for creator in dict.fromkeys(creator for found in creators.values() for creator in found):
            for kind in kinds:
                yield creator, ANYWHERE, kind
    else:
        for schema, found in creators.items():
            for creator in found:
                for kind in kinds:
                    if kind != "n":
                        yield creator, schema, kind


def _creators(rule: Rule, here: Scene) -> dict[Oid, list[Oid]]:
    """Return who makes objects in each wanted schema, and under ANYWHERE who may make schemas."""
    catalog = here.catalog
    wanted = [schema for schema in catalog.schemas.values() if rule.wants_schema(schema.name)]
    if not isinstance(rule.creators, str):
        named = [role.oid for name in rule.creators if (role := here.cluster.role(name))]
        return {schema.oid: named for schema in wanted} | ({ANYWHERE: named} if rule.everywhere else {})
    passing = here.readers if here.request.allow_revoke else frozenset[Oid]()  # what readers may create with goes
    members_of = cache(here.cluster.members_of)  # the same few roles hold CREATE in every schema
    owners: dict[Oid, set[Oid]] = {}
    for place, owner in catalog.owners:
        owners.setdefault(place, set()).add(_somebody(owner, here))
    found = {}
    for schema in wanted:
        holders = _with_members((schema.create - passing) | {schema.owner}, here, members_of)
        found[schema.oid] = _plausible([*sorted(owners.get(schema.oid, ())), *holders], here)
    if rule.everywhere:
        holders = _with_members(here.cluster.databases[catalog.name].create - passing, here, members_of)
        found[ANYWHERE] = _plausible(holders, here)
    return found


def _with_members(holders: Iterable[Oid], here: Scene, members_of: Callable[[Oid], frozenset[Oid]]) -> list[Oid]:
    """Return the holders of CREATE, then whoever has it through them; PUBLIC is nobody in particular."""
    direct = sorted({_somebody(holder, here) for holder in holders if holder != PUBLIC})
    return [*direct, *sorted({member for holder in direct for member in members_of(holder)})]


def _somebody(role: Oid, here: Scene) -> Oid:
    return here.authority.owner_of(role, here.catalog.owner)


def _plausible(candidates: Iterable[Oid], here: Scene) -> list[Oid]:
    """Leave out superusers and system roles, which nobody made creators by name, and roles that are to go."""
    leaving = here.request.departed.values() if here.request.allow_drop else ()
    roles = (here.cluster.roles.get(oid) for oid in dict.fromkeys(candidates))
    return [r.oid for r in roles if r and not r.superuser and not r.is_system and r.oid not in leaving]


def _change(here: Scene, creators: Sequence[Oid], missing: Sequence[tuple[Oid, str]]) -> Change:
    names = [here.cluster.roles[creator].name for creator in creators]
    where, kinds = _words(here, missing)
    makes = "makes" if len(names) == 1 else "make"
    return Change(
        scope="database",
        database=here.catalog.name,
        action="grant default privileges",
        reader=here.reader,
        object=shortened(names),
        summary=f"let {shown(here.reader)} read {kinds} that {shortened(names)} {makes} {where}, from now on",
        sql=_statements("GRANT", here, names, missing),
        undo=_statements("REVOKE", here, names, missing),
        join=here.authority.joins(creators),
    )


def _blocked(here: Scene, creator: Oid, missing: Sequence[tuple[Oid, str]], refusal: Refusal) -> Plan:
    name, (where, _) = here.cluster.roles[creator].name, _words(here, missing)
    what = f"{shown(here.catalog.name)}: what {shown(name)} makes {where}"
    return Plan(blocked=(blocked(what, refusal, ";\n".join(_statements("GRANT", here, [name], missing))),))


def _words(here: Scene, missing: Sequence[tuple[Oid, str]]) -> tuple[str, str]:
    """``in leasing, public`` and ``tables and sequences``."""
    schemas = list(dict.fromkeys(here.catalog.schemas[schema].name for schema, _ in missing if schema != ANYWHERE))
    words = [KINDS[kind][1].lower() for kind in _by_kind(here, missing)]
    where = f"in {shortened(schemas)}" if schemas else f"anywhere in {shown(here.catalog.name)}"
    return where, f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else words[0]


def _by_kind(here: Scene, missing: Sequence[tuple[Oid, str]]) -> dict[str, list[str]]:
    """Return by kind in which schemas it is missing; in none where that is anywhere."""
    return {
        kind: [here.catalog.schemas[schema].name for schema, of_kind in missing if of_kind == kind and schema]
        for kind in KINDS
        if any(of_kind == kind for _, of_kind in missing)
    }


def _statements(
    verb: statements.Verb, here: Scene, creators: Sequence[str], missing: Sequence[tuple[Oid, str]]
) -> tuple[str, ...]:
    return tuple(
        statements.default(verb, [KINDS[kind][0]], KINDS[kind][1], here.reader, creators=creators, schemas=schemas)
        for kind, schemas in _by_kind(here, missing).items()
    )


# --- what default privileges cannot do -------------------------------------------------------------------------------


def _notes(rule: Rule, here: Scene) -> Iterator[Pending]:
    """Yield what is not covered, so that nobody counts on it."""
    for exclusion in rule.exclusions:
        if what := _may_come(rule, exclusion, here):
            # A default privilege cannot except anything.
            reason = f"a new {what} that fits is readable by default, until a run with --allow-revoke closes it"
            yield Pending("exclusion", f"{shown(here.catalog.name)}: {legible(exclusion.text)}", reason)
    if isinstance(rule.creators, str):
        for owner, number in _superuser_owners(rule, here).items():
            has = f"a superuser, owns {count(number, 'relation')} in {shown(here.catalog.name)}"
            reason = f"{has}; what it makes next is not covered unless creators names it"
            yield Pending("creator", shown(here.cluster.roles[owner].name), reason)


def _may_come(rule: Rule, exclusion: Exclusion, here: Scene) -> str:
    """Return what could be made that the exclusion means: ``table``, ``schema`` or, where nothing could, nothing."""
    if exclusion.relation is not None:
        return "table" if is_glob(exclusion.relation) and not exclusion.relation.exact else ""
    exists = any(schema.name == exclusion.schema for schema in here.catalog.schemas.values())
    pattern = is_glob(exclusion.schema) and not exclusion.schema.exact
    return "schema" if rule.everywhere and (pattern or not exists) else ""


def _superuser_owners(rule: Rule, here: Scene) -> dict[Oid, int]:
    found: dict[Oid, int] = {}
    for (schema, owner), total in here.catalog.owners.items():
        role = here.cluster.roles.get(owner)
        if role is None or not role.superuser or role.is_system:
            continue
        if rule.wants_schema(here.catalog.schemas[schema].name):
            found[owner] = found.get(owner, 0) + total
    return found

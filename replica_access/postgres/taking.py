"""How something is taken from a reader: by whom, in which statements, and how it comes back. Pure.

A privilege has a grantor, and a REVOKE by anybody else succeeds and does nothing. What the owner granted, the admin
revokes as a member of the owner; what somebody else did, as that role, with SET ROLE.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from psycopg.sql import Composable

from replica_access.catalog import Entry, Schema
from replica_access.model import PUBLIC, BlockedObject, Change, Oid, Pending, Plan
from replica_access.names import shown
from replica_access.postgres import statements
from replica_access.postgres.authority import Refusal
from replica_access.postgres.scene import Scene

NOTHING: frozenset[str] = frozenset()


Kept = Callable[[Oid], frozenset[str]]
"""What the spec lets a reader keep of the privileges on one thing."""


class Extras(NamedTuple):
    """What one grantor gave beyond what is wanted.

    :param privileges: to be revoked, with whether each came with grant option.
    :param options: of which the grant option alone is to be revoked.
    """

    grantor: Oid
    privileges: tuple[tuple[str, bool], ...]
    options: tuple[str, ...]

    def __str__(self) -> str:
        parts = [", ".join(name for name, _ in self.privileges)] if self.privileges else []
        return " and ".join(parts + [f"the grant option for {', '.join(self.options)}"] * bool(self.options))


class Target(NamedTuple):
    """Where they are: one object, or the many of one kind that one statement can name."""

    kind: str
    names: Composable
    words: str
    object: str
    columns: tuple[str, ...] = ()


def extras(entries: Iterable[Entry], holder: Oid, kept: frozenset[str]) -> Iterator[Extras]:
    """Yield by grantor what `holder` has beyond the privileges in `kept`, which it keeps without grant option."""
    by_grantor: dict[Oid, list[Entry]] = {}
    for entry in entries:
        if entry.grantee == holder:
            by_grantor.setdefault(entry.grantor, []).append(entry)
    for grantor, found in by_grantor.items():
        privileges = tuple((e.privilege, e.grantable) for e in found if e.privilege not in kept)
        options = tuple(e.privilege for e in found if e.privilege in kept and e.grantable)
        if privileges or options:
            yield Extras(grantor, privileges, options)


PASSED_ON = Refusal("the reader has passed it on to others, who would lose it", "its grantor")


class Site(NamedTuple):
    """Whose object it is, in which schema if in any, what its ACL says of the readers, and what they keep of it.

    :param passing: who else may pass it on: of a column, whoever may do so with the whole relation.
    """

    owner: Oid
    schema: Schema | None
    entries: tuple[Entry, ...]
    kept: Kept
    passing: tuple[Entry, ...] = ()


def has_passed_on(here: Scene, site: Site, beyond: Extras) -> bool:
    """Whether others, who keep it, depend on a grant option that would go."""
    going = {name for name, grantable in beyond.privileges if grantable} | set(beyond.options)
    given = (entry for entry in _given_by(here.oid, site) if entry.privilege in going)
    return any(not _goes(here, entry, site) for entry in given)


def _given_by(grantor: Oid, site: Site) -> list[Entry]:
    return [entry for entry in site.entries if entry.grantor == grantor and entry.grantee != grantor]


def _goes(here: Scene, entry: Entry, site: Site) -> bool:
    """Whether `entry` is beyond the spec itself, and can be taken away, with all that depends on it."""
    return (
        entry.grantee in here.readers - {site.owner}
        and entry.privilege not in site.kept(entry.grantee)
        and actor_refusal(here, entry.grantor, site.owner, site.schema) is None
        and all(
            _goes(here, given, site)
            for given in (_given_by(entry.grantee, site) if entry.grantable else ())
            if given.privilege == entry.privilege
        )
    )


def depth(beyond: Extras, owner: Oid, entries: Sequence[Entry]) -> int:
    """Return how many grants lie between the owner and what is to be taken: the deepest goes first."""
    names = {name for name, _ in beyond.privileges} | set(beyond.options)
    found, grantors, seen = 0, {beyond.grantor} - {owner}, set[Oid]()
    while grantors:
        found, seen = found + 1, seen | grantors
        given = (e for e in entries if e.grantee in grantors and e.grantable and e.privilege in names)
        grantors = {entry.grantor for entry in given} - {owner} - seen
    return found


def actor(here: Scene, grantor: Oid, owner: Oid, schema: Schema | None, entries: Iterable[Entry]) -> Oid | None:
    """Return the role to be while revoking what `grantor` granted on something of `owner`; ``None``: the admin.

    Whoever has the rights of the owner revokes as the owner, unless a role whose rights it has holds the grant option
    itself: the first such role is taken for the grantor, and nothing is revoked (aclchk.c, select_best_grantor). Within
    a transaction the admin has the rights of many.
    """
    authority = here.authority
    if grantor != owner:
        return grantor
    owner = authority.owner_of(owner, here.catalog.owner)
    passing = {entry.grantee for entry in entries if entry.grantable} - {owner}
    if authority.admin.superuser or not passing:
        return None
    joined = here.joined([owner], [] if schema is None else [schema])
    only_the_owner_can = bool(passing & authority.reach_with(joined))
    return owner if only_the_owner_can or actor_refusal(here, owner, owner, schema) is None else None


def actor_refusal(here: Scene, acting: Oid | None, owner: Oid, schema: Schema | None) -> Refusal | None:
    """Return why the admin cannot be `acting`, or why that would not help."""
    authority = here.authority
    if acting is None:
        owner = authority.owner_of(owner, here.catalog.owner)
        return authority.refusal(owner) if schema is None else here.refusal(owner, schema)
    if refusal := authority.refusal_to_become(acting):
        return refusal
    role = here.cluster.roles[acting]
    name = shown(role.name)
    if role.superuser:
        reason = f"{name}, who granted it, is a superuser by now, and would revoke as the owner"
        return Refusal(reason, "the owner, after taking the grant option from that role with CASCADE")
    if schema is not None and schema.usage.isdisjoint(here.cluster.reached_from(acting) | {PUBLIC}):
        return Refusal(
            f"{shown(role.name)}, who granted it, may not use the schema {shown(schema.name)}", shown(role.name)
        )
    return None


def take_one(here: Scene, target: Target, site: Site) -> Plan:
    """Return what takes from the reader all that it has on one thing and does not keep."""
    plan = Plan()
    if site.owner == here.oid:  # its owner grants itself what it likes
        return plan
    owner = here.authority.owner_of(site.owner, here.catalog.owner)
    for beyond in extras(site.entries, here.oid, site.kept(here.oid)):
        acting = actor(here, beyond.grantor, site.owner, site.schema, (*site.entries, *site.passing))
        passed_on = PASSED_ON if has_passed_on(here, site, beyond) else None
        if refusal := passed_on or actor_refusal(here, acting, site.owner, site.schema):
            plan += cannot(here, refusal, beyond, target)
            continue
        schemas = [] if site.schema is None else [site.schema]
        how_deep = depth(beyond, site.owner, site.entries)
        plan += take(here, beyond, target, acting, owners=[owner], schemas=schemas, how_deep=how_deep)
    return plan


def take(
    here: Scene,
    beyond: Extras,
    target: Target,
    acting: Oid | None,
    *,
    owners: Sequence[Oid],
    schemas: Sequence[Schema],
    how_deep: int = 0,
    undo_first: Iterable[str] = (),
) -> Plan:
    """Return the change that takes `beyond`.

    :param acting: the role to be meanwhile; ``None``: the admin, as a member of `owners`.
    """
    sql, undo = there_and_back(beyond, lambda *how: _on(here, target, *how))
    by = f", granted by {here.name_of(beyond.grantor)}" if acting is not None and acting not in owners else ""
    change = Change(
        scope=here.scope,
        database=here.catalog.name if here.scope == "database" else None,
        action="revoke",
        object=target.object,
        summary=f"take {beyond} on {target.words} from {shown(here.reader)}{by}",
        sql=sql,
        undo=(*undo_first, *undo),
        join=here.joins(owners, schemas) if acting is None else here.authority.becomes(acting),
        run_as=None if acting is None else here.cluster.roles[acting].name,
        takes=here.takes,
        late=here.scope == "cluster",
        depth=how_deep,
    )
    return Plan((change,))


def _on(here: Scene, target: Target, verb: statements.Verb, privileges: Sequence[str], option: bool) -> str:
    return statements.on(
        verb, privileges, target.kind, target.names, here.reader, option=option, columns=target.columns
    )


def there_and_back(
    beyond: Extras, said: Callable[[statements.Verb, Sequence[str], bool], str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what takes `beyond` away, and what gives it back as it was."""
    all_of_it = [name for name, _ in beyond.privileges]
    plain = [name for name, grantable in beyond.privileges if not grantable]
    with_option = [name for name, grantable in beyond.privileges if grantable] + list(beyond.options)
    sql = [said("REVOKE", all_of_it, False)] if all_of_it else []
    sql += [said("REVOKE", list(beyond.options), True)] if beyond.options else []
    undo = [said("GRANT", plain, False)] if plain else []
    undo += [said("GRANT", with_option, True)] if with_option else []
    return tuple(sql), tuple(undo)


def cannot(here: Scene, refusal: Refusal, beyond: Extras, target: Target) -> Plan:
    sql, _ = there_and_back(beyond, lambda *how: _on(here, target, *how))
    if refusal is PASSED_ON:
        sql = tuple(f"{statement} CASCADE" for statement in sql)
    return unable(here, refusal, f"{beyond} on {target.words}", sql)


def unable(here: Scene, refusal: Refusal, words: str, sql: Sequence[str]) -> Plan:
    """Say what cannot be taken away: it stops a run that was to take it away, and is only said in any other."""
    what = f"{shown(here.catalog.name)}: {words}" if here.catalog.name else words
    reason = f"cannot be taken from {shown(here.reader)}: {refusal.reason}"
    blocked = BlockedObject.with_statements(what, reason, refusal.by, "; ".join(sql), optional=True)
    if here.request.allow_drop if here.takes == "drop" else here.request.allow_revoke:
        return Plan(blocked=(blocked,))
    return Plan(pending=(Pending("privilege", what, f"{reason}; {blocked.fix}"),))

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


def has_passed_on(here: Scene, entries: Iterable[Entry], beyond: Extras) -> bool:
    """Whether others depend on a grant option that would go."""
    going = {name for name, grantable in beyond.privileges if grantable} | set(beyond.options)
    return any(e.grantor == here.oid and e.grantee != here.oid and e.privilege in going for e in entries)


def actor(here: Scene, grantor: Oid, owner: Oid, entries: Iterable[Entry]) -> Oid | None:
    """Return the role to be while revoking what `grantor` granted on something of `owner`; ``None``: the admin.

    Whoever has the rights of the owner revokes as the owner, unless a role whose rights it has holds the grant option
    itself: the first such role is taken for the grantor, and nothing is revoked (aclchk.c, select_best_grantor).
    """
    authority = here.authority
    owner = authority.owner_of(owner, here.catalog.owner)
    if (grantor := authority.owner_of(grantor, here.catalog.owner)) != owner:
        return grantor
    if authority.admin.superuser:
        return None
    others = authority.reach_with([owner]) - {owner}
    return owner if any(entry.grantable and entry.grantee in others for entry in entries) else None


def actor_refusal(here: Scene, acting: Oid | None, owner: Oid, schema: Schema | None) -> Refusal | None:
    """Return why the admin cannot be `acting`, or why that would not help."""
    authority = here.authority
    owner = authority.owner_of(owner, here.catalog.owner)
    if acting is None:
        return authority.refusal(owner) if schema is None else here.refusal(owner, schema)
    if refusal := authority.refusal_to_become(acting):
        return refusal
    reach, name = here.cluster.reached_from(acting), shown(here.cluster.roles[acting].name)
    if acting != owner and owner in reach:
        reason = f"{name}, who granted it, has the rights of the owner now, and PostgreSQL would revoke as the owner"
        return Refusal(reason, "the owner, after taking the grant option from that role with CASCADE")
    if schema is not None and schema.usage.isdisjoint(reach | {PUBLIC}):
        return Refusal(f"{name}, who granted it, may not use the schema {shown(schema.name)}", name)
    return None


class Site(NamedTuple):
    """Whose object it is, in which schema if in any, and what else its ACL says of the readers."""

    owner: Oid
    schema: Schema | None
    entries: tuple[Entry, ...]


def take_one(here: Scene, beyond: Extras, target: Target, site: Site) -> Plan:
    if site.owner == here.oid:  # its owner grants itself what it likes
        return Plan()
    acting = actor(here, beyond.grantor, site.owner, site.entries)
    passed_on = PASSED_ON if has_passed_on(here, site.entries, beyond) else None
    if refusal := passed_on or actor_refusal(here, acting, site.owner, site.schema):
        return cannot(here, refusal, beyond, target)
    owner = here.authority.owner_of(site.owner, here.catalog.owner)
    schemas = [] if site.schema is None else [site.schema]
    return take(here, beyond, target, acting, owners=[owner], schemas=schemas)


def take(
    here: Scene,
    beyond: Extras,
    target: Target,
    acting: Oid | None,
    *,
    owners: Sequence[Oid],
    schemas: Sequence[Schema],
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
    fix = f"as {refusal.by}: {'; '.join(sql)};"
    if here.request.allow_drop if here.takes == "drop" else here.request.allow_revoke:
        return Plan(blocked=(BlockedObject(what, reason, fix, optional=True),))
    return Plan(pending=(Pending("privilege", what, f"{reason}; {fix}"),))

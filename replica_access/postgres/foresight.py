"""The server as it will be once the roles of the spec are there: what a database lacks is judged by that. Pure.

`apply` makes roles and memberships first. What a plan says about databases has to hold after that, or it would not be
what is carried out: a new login reads through its groups, and is a creator where its group may create.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from replica_access.desired import Desired, Rule
from replica_access.model import PUBLIC, Cluster, Columns, DatabaseCatalog, Membership, Oid, Relations, Role

Readers = Mapping[str, Sequence[Rule]]
"""For each reader, the rules about it."""


def foresee(desired: Desired, cluster: Cluster) -> Cluster:
    """Return `cluster` with the roles and memberships that `desired` adds; roles to be made have oids below zero."""
    roles = dict(cluster.roles)
    memberships = [_as_it_will_inherit(membership, desired, cluster) for membership in cluster.memberships]
    for number, wanted in enumerate(desired.roles, start=1):
        if cluster.role(wanted.name) is None:
            roles[-number] = Role(-number, wanted.name, login=wanted.login)
            if cluster.version >= 160000 and not roles[cluster.admin].superuser:  # who makes a role administers it
                memberships.append(Membership(-number, cluster.admin, cluster.admin, True, False, False))
    oids = {role.name: role.oid for role in roles.values()}
    known = {(m.role, m.member) for m in memberships if m.inherit}
    for wanted in desired.roles:
        groups = (oids[group] for group in wanted.member_of if group in oids)
        memberships += [
            Membership(group, oids[wanted.name], cluster.admin)
            for group in groups
            if (group, oids[wanted.name]) not in known
        ]
    return replace(cluster, roles=roles, memberships=tuple(memberships))


def _as_it_will_inherit(membership: Membership, desired: Desired, cluster: Cluster) -> Membership:
    """Before PostgreSQL 16 INHERIT is an attribute of the member, and mended where the spec puts it into a group."""
    member = cluster.roles.get(membership.member)
    mended = any(member is not None and wanted.name == member.name and wanted.member_of for wanted in desired.roles)
    return replace(membership, inherit=True) if mended and cluster.version < 160000 else membership


def asked(readers: Readers, cluster: Cluster, foreseen: Cluster) -> Readers:
    """Return whom to ask about: the readers, and the roles whose rights they will have and lack today."""
    found = {name: list(rules) for name, rules in readers.items()}
    for name, rules in readers.items():
        for oid in _gained(name, cluster, foreseen):
            found.setdefault(cluster.roles[oid].name, []).extend(rules)
    return found


def judged(catalog: DatabaseCatalog, readers: Readers, cluster: Cluster, foreseen: Cluster) -> DatabaseCatalog:
    """Return `catalog` as the readers will see it: with their own rights, and with those they gain."""
    relations = tuple(r for name in readers for r in _relations(name, readers[name], catalog, cluster, foreseen))
    columns = tuple(c for name in readers for c in _columns(name, readers[name], catalog, cluster, foreseen))
    return replace(catalog, relations=relations, columns=columns)


def _gained(reader: str, cluster: Cluster, foreseen: Cluster) -> list[Oid]:
    """Return the existing roles that memberships to come lead to; what those reach today, the server knows.

    A superuser is none of them: its members inherit what it was granted, not that it may do anything.
    """
    today, later = cluster.role(reader), foreseen.role(reader)
    has = cluster.reached_from(today.oid) if today else frozenset[Oid]()
    will = foreseen.reached_from(later.oid) if later else frozenset[Oid]()
    found = {
        membership.role
        for membership in set(foreseen.memberships) - set(cluster.memberships)
        if membership.member in will and membership.role in cluster.roles and membership.inherit
    }
    return sorted(oid for oid in found - has if not cluster.roles[oid].superuser)


def _relations(
    reader: str, rules: Sequence[Rule], catalog: DatabaseCatalog, cluster: Cluster, foreseen: Cluster
) -> Iterator[Relations]:
    today, later = cluster.role(reader), foreseen.role(reader)
    gained = _gained(reader, cluster, foreseen)
    unreadable = {(r.reader, r.schema, r.owner): r.missing for r in catalog.relations if r.reader in gained}
    for found in catalog.relations:
        schema = catalog.schemas[found.schema].name
        if found.reader == (today.oid if today else PUBLIC) and any(rule.wants_schema(schema) for rule in rules):
            missing = found.missing
            for oid in gained:
                still = frozenset(unreadable[oid, found.schema, found.owner])
                missing = tuple(name for name in missing if name in still)
            yield replace(found, reader=later.oid if later else PUBLIC, missing=missing)


def _columns(
    reader: str, rules: Sequence[Rule], catalog: DatabaseCatalog, cluster: Cluster, foreseen: Cluster
) -> Iterator[Columns]:
    today, later = cluster.role(reader), foreseen.role(reader)
    who = {today.oid if today else PUBLIC, *_gained(reader, cluster, foreseen)}
    exclusions = [exclusion for rule in rules for exclusion in rule.exclusions]
    found: dict[tuple[Oid, str], list[Columns]] = {}
    for columns in catalog.columns:
        schema = catalog.schemas[columns.schema].name
        if columns.reader in who and any(e.has_column_in(schema, columns.relation) for e in exclusions):
            found.setdefault((columns.schema, columns.relation), []).append(columns)
    for seen in found.values():
        readable = {name for columns in seen for name, readable in columns.columns if readable}
        pairs = tuple((name, name in readable) for name in seen[0].names)
        yield replace(seen[0], reader=later.oid if later else PUBLIC, columns=pairs)

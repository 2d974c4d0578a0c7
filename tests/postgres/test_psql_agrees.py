"""What we read of privileges is what psql's own \\dp, \\ddp and \\drg show, entry by entry and odd names included."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from replica_access import workflow
from replica_access.catalog import Cluster, DatabaseCatalog, Entry, Relations
from replica_access.model import PUBLIC, Request
from replica_access.postgres import planning
from replica_access.postgres.catalog import read_database
from replica_access.postgres.connect import connect
from replica_access.postgres.statements import quoted
from replica_access.spec import Spec, parse

from .pinned import RDS
from .psql_views import Joined, Place, Psql, Shown
from .world import World

pytestmark = RDS

EXTRA = (Path(__file__).parent / "psql_agrees.sql").read_text(encoding="utf-8")


Key = tuple[str, str, bool, frozenset[Shown]]
"""Schema, owner, whether they are sequences, and what is told of the ACL."""


@dataclass(frozen=True, slots=True)
class Views:
    """The same moment as we read it, by names, and as psql shows it."""

    world: World
    cluster: Cluster
    catalog: DatabaseCatalog
    psql: Psql

    @property
    def readers(self) -> set[str]:
        return {self.world.reader, self.world.user}

    def shown(self, entries: Iterable[Entry]) -> set[Shown]:
        return {Shown(self.name(e.grantee), self.name(e.grantor), e.privilege, e.grantable) for e in entries}

    def name(self, role: int) -> str:
        return "" if role == PUBLIC else self.cluster.roles[role].name

    def schema(self, oid: int) -> str:
        return self.catalog.schemas[oid].name if oid else ""

    def concerns(self, entry: Shown) -> bool:
        return bool({entry.grantee, entry.grantor} & self.readers)


@pytest.fixture
def views(world: World, prefix: str) -> Views:
    odd = replace(world, reader=f'{prefix}read "er"=,/ ü')
    deleg = quoted(f'{prefix}deleg "x"=r/{{y}},z\\n\n🏠')
    spec = spec_of(world, odd.reader)
    odd.apply(spec)
    assert odd.plan(spec).changes == ()
    odd.sabotage(f"CREATE ROLE {deleg};" + EXTRA.replace(':"deleg"', deleg))
    login = workflow.host(spec).primary()
    with connect(login, database=odd.database, read_only=True) as connection:
        found = planning.survey(connection, spec, Request())
        here = found.cluster.databases[odd.database]
        catalog = read_database(connection, here, planning.questions(found, found.cluster, here))
    return Views(odd, found.cluster, catalog, Psql(odd.primary, odd.database))


def spec_of(world: World, reader: str) -> Spec:
    escaped = reader.replace('"', '\\"')
    text = world.spec_text().replace(f"[roles.{world.reader}]", f'[roles."{escaped}"]')
    return parse(text.replace(f'"{world.reader}"', f'"{escaped}"'))


def test_what_we_read_is_what_psql_shows(views: Views) -> None:
    relations_agree(views)
    columns_agree(views)
    default_privileges_agree(views)
    memberships_agree(views)


def relations_agree(views: Views) -> None:
    owners, sequences = views.psql.owners(), views.psql.sequences()
    acls, _ = views.psql.privileges()

    def told(place: Place) -> frozenset[Shown]:
        """What we keep of an ACL: who has SELECT or grant options, what readers have or gave; never the owner's own."""
        return frozenset(
            entry
            for entry in acls[place]
            if entry.grantee != owners[place]
            and (entry.privilege == "SELECT" or entry.grantable or views.concerns(entry))
        )

    def kept(group: Relations) -> frozenset[Shown]:
        return frozenset(e for e in views.shown(group.entries) if e.grantee != views.name(group.owner))

    shown = defaultdict[Key, set[str]](set)
    for place in acls:
        shown[place.schema, owners[place], place in sequences, told(place)].add(place.name)
    totals, names = Counter[Key](), defaultdict[Key, set[str]](set)
    for group in views.catalog.relations:
        key = (views.schema(group.schema), views.name(group.owner), group.sequences, kept(group))
        totals[key] += group.total
        assert len(group.names) in {0, group.total}
        names[key] |= {name for name, _ in group.names}
    for key, total in totals.items():
        alike = shown.pop(key)
        assert total == len(alike)
        assert names[key] <= alike
    assert {name for found in names.values() for name in found} >= {"open", "password_reset"}
    assert {"leasing", "vault", 'Odd.Schema "x"', "pg_catalog"} == {
        views.schema(group.schema) for group in views.catalog.relations
    }
    for schema, owner, _, entries in shown:  # what is as it should be, is left out
        of_readers = {entry for entry in entries if views.concerns(entry)}
        wanted = schema in {"leasing", 'Odd.Schema "x"', "public"}
        assert of_readers == ({Shown(views.world.reader, owner, "SELECT", False)} if wanted else set())
    for group in views.catalog.excluded:
        for name, _ in group.names:
            assert told(Place(views.schema(group.schema), name)) == kept(group)


def columns_agree(views: Views) -> None:
    _, columns = views.psql.privileges()
    ours = {
        (Place(views.schema(found.schema), found.relation), column, entry)
        for found in views.catalog.column_grants
        for column, each in found.entries
        for entry in views.shown([each])
    }
    assert {found for found in ours if views.concerns(found[2])} == {c for c in columns if views.concerns(c[2])}
    assert ours <= columns
    assert {column for _, column, _ in ours} == {"id", "tenant", "token", ' odd: "c"'}


KINDS = {"r": "table", "S": "sequence", "f": "function", "T": "type", "n": "schema"}


def default_privileges_agree(views: Views) -> None:
    ours = {
        (views.name(row.creator), views.schema(row.schema), KINDS[row.kind]): views.shown(row.entries)
        for row in views.catalog.default_privileges
    }
    theirs = {
        (creator, schema, kind): {e for e in entries if e.grantee != creator and views.concerns(e)}
        for (creator, schema, kind), entries in views.psql.defaults().items()
    }
    assert ours == theirs
    assert sum(map(bool, ours.values())) == 10
    for row in views.catalog.default_privileges:
        shown = views.psql.defaults()[views.name(row.creator), views.schema(row.schema), KINDS[row.kind]]
        needed = {"n": "USAGE", "T": "USAGE", "f": "EXECUTE"}.get(row.kind, "SELECT")
        readable_by = {e.grantee for e in shown if e.privilege == needed and e.grantee != views.name(row.creator)}
        assert set(map(views.name, row.readable_by)) == readable_by


def memberships_agree(views: Views) -> None:
    told = views.cluster.version >= 160000
    ours = set()
    for m in views.cluster.memberships:
        options = {"ADMIN": m.admin, "INHERIT": m.inherit, "SET": m.set_role} if told else {}
        grantor = views.name(m.grantor) if told else ""
        ours.add(Joined(views.name(m.member), views.name(m.role), grantor, frozenset(o for o in options if options[o])))
    assert {m for m in ours if m.member in views.readers or m.role in views.readers} == {
        m for m in views.psql.memberships() if m.member in views.readers or m.role in views.readers
    }
    assert {(m.member, m.role) for m in ours} >= {(views.world.user, views.world.reader)}

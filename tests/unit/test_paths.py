"""By which ways a role holds a privilege, and the fewest statements that end them all."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from replica_access.audit import cut
from replica_access.audit.cut import cuts
from replica_access.audit.effective import Access
from replica_access.audit.paths import Path, PathFinder, Paths, Step
from replica_access.catalog import Entry, Membership, Role
from replica_access.model import PUBLIC
from replica_access.rights import Objects, Rights

BOOTSTRAP, OWNER, BI, ANALYTICS, STAFF, READ_ALL = 10, 20, 21, 22, 23, 24
NAMES = {
    BOOTSTRAP: "postgres", OWNER: "owner", BI: "bi", ANALYTICS: "analytics", STAFF: "staff",
    READ_ALL: "pg_read_all_data",
}  # fmt: skip


def rights(*memberships: Membership, version: int = 170000, superusers: tuple[int, ...] = ()) -> Rights:
    roles = {oid: Role(oid, name, superuser=oid in {BOOTSTRAP, *superusers}) for oid, name in NAMES.items()}
    return Rights("1", version, False, "main", OWNER, roles, memberships, ())


def table(*entries: Entry, owner: int = OWNER) -> Objects:
    return Objects("table", "app", owner, entries, ("orders",))


def member(role: int, member: int, grantor: int = BOOTSTRAP, **options: bool) -> Membership:
    return Membership(role, member, grantor, **options)


def ways(found: Rights, objects: Objects, privilege: str = "SELECT") -> Paths:
    return PathFinder(Access(found)).paths(BI, objects, privilege)


def short(paths: tuple[Path, ...]) -> list[tuple[str, ...]]:
    return [(*(NAMES[step.role] for step in path.steps), path.source) for path in paths]


def statements(found: Rights, objects: Objects) -> list[tuple[str, ...]]:
    return [c.statements for c in cuts(Access(found), ways(found, objects), objects, "orders")]


def test_every_way_is_found_the_shortest_first() -> None:
    found = rights(member(STAFF, ANALYTICS), member(ANALYTICS, BI), member(READ_ALL, STAFF))
    orders = table(
        Entry(STAFF, OWNER, "SELECT"), Entry(PUBLIC, OWNER, "SELECT"), Entry(BI, OWNER, "SELECT"),
        Entry(BI, OWNER, "INSERT"), Entry(OWNER, OWNER, "SELECT"),
    )  # fmt: skip
    paths = ways(found, orders)
    assert short(paths.held) == [
        ("PUBLIC",),
        ("grant",),
        ("analytics", "staff", "grant"),
        ("analytics", "staff", "pg_read_all_data", "predefined role"),
    ]
    assert paths.by_set_role == ()
    assert short(ways(found, orders, "INSERT").found) == [("grant",)]


def test_what_set_role_would_reach_is_told_apart() -> None:
    orders = table(Entry(STAFF, OWNER, "SELECT"))
    chain = member(STAFF, ANALYTICS), member(ANALYTICS, BI, inherit=False)
    assert [path.set_role for path in ways(rights(*chain), orders).found] == [1]
    last = member(STAFF, ANALYTICS, inherit=False), member(ANALYTICS, BI)
    assert [path.set_role for path in ways(rights(*last), orders).found] == [2]
    nowhere = member(STAFF, ANALYTICS, inherit=False), member(ANALYTICS, BI, set_role=False)
    assert ways(rights(*nowhere), orders).found == ()


def test_being_a_superuser_is_not_inherited() -> None:
    paths = ways(rights(member(STAFF, BI), superusers=(STAFF,)), table())
    assert paths.held == ()
    assert short(paths.by_set_role) == [("staff", "superuser")]


def test_an_owner_that_lost_its_own_entry_holds_nothing() -> None:
    assert ways(rights(), table(Entry(BI, BI, "INSERT"), owner=BI)).found == ()


def test_one_statement_at_the_object_or_one_at_the_role() -> None:
    found, orders = rights(member(ANALYTICS, BI)), table(Entry(ANALYTICS, OWNER, "SELECT"))
    assert statements(found, orders) == [
        ('REVOKE SELECT ON TABLE "app"."orders" FROM "analytics"',),
        ('REVOKE "analytics" FROM "bi" GRANTED BY "postgres"',),
    ]
    assert statements(replace(found, version=150000), orders)[1] == ('REVOKE "analytics" FROM "bi"',)


def test_what_two_have_from_one_goes_with_it() -> None:
    """Two grants, one of which depends on the other: one statement ends both ways."""
    passed_on = Entry(ANALYTICS, OWNER, "SELECT", True), Entry(BI, ANALYTICS, "SELECT")
    found = rights(member(ANALYTICS, BI))
    (chosen,) = cuts(Access(found), ways(found, table(*passed_on)), table(*passed_on), "orders")
    assert chosen.statements == ('REVOKE SELECT ON TABLE "app"."orders" FROM "analytics" CASCADE',)
    assert "bi loses it, which had it from analytics" in chosen.effects
    assert chosen.smallest


def test_what_somebody_else_granted_is_revoked_as_them_and_before_what_it_depends_on() -> None:
    entries = Entry(ANALYTICS, OWNER, "SELECT", True), Entry(STAFF, ANALYTICS, "SELECT")
    found = rights(member(STAFF, BI), member(STAFF, BI, OWNER))
    assert statements(found, table(*entries))[0] == (
        'SET ROLE "analytics"',
        'REVOKE SELECT ON TABLE "app"."orders" FROM "staff"',
        "RESET ROLE",
    )


def test_what_a_superuser_granted_before_it_was_one_is_revoked_once_it_is_none() -> None:
    """It would revoke as the owner; and CASCADE stops at whoever has the rights of the owner."""
    entries = Entry(ANALYTICS, OWNER, "SELECT", True), Entry(BI, ANALYTICS, "SELECT")
    assert statements(rights(superusers=(ANALYTICS,)), table(*entries)) == [
        (
            'ALTER ROLE "analytics" NOSUPERUSER',
            'SET ROLE "analytics"',
            'REVOKE SELECT ON TABLE "app"."orders" FROM "bi"',
            "RESET ROLE",
        )
    ]


def test_what_a_member_of_the_owner_passed_on_stays_where_its_own_goes() -> None:
    """It may still grant it: CASCADE would not reach that (acl.c: recursive_revoke)."""
    entries = Entry(ANALYTICS, OWNER, "SELECT", True), Entry(BI, ANALYTICS, "SELECT"), Entry(BI, OWNER, "SELECT")
    found = rights(member(OWNER, ANALYTICS))
    assert statements(found, table(*entries)) == [
        (
            'SET ROLE "analytics"',
            'REVOKE SELECT ON TABLE "app"."orders" FROM "bi"',
            "RESET ROLE",
            'REVOKE SELECT ON TABLE "app"."orders" FROM "bi"',
        )
    ]


def test_a_membership_that_was_passed_on_takes_those_along() -> None:
    found = rights(member(STAFF, BI, admin=True), member(STAFF, ANALYTICS, BI))
    assert statements(found, table(Entry(STAFF, OWNER, "SELECT")))[1] == (
        'REVOKE "staff" FROM "bi" GRANTED BY "postgres" CASCADE',
    )


def test_a_superuser_has_to_stop_being_one_but_for_the_first() -> None:
    found = rights(superusers=(BI,))
    assert statements(found, table()) == [('ALTER ROLE "bi" NOSUPERUSER',)]
    paths = PathFinder(Access(found)).paths(BOOTSTRAP, table(), "SELECT")
    assert cuts(Access(found), paths, table(), "orders") == ()


def test_revoking_a_table_takes_its_columns_along() -> None:
    column = Objects("column", "app", OWNER, (Entry(BI, OWNER, "SELECT"),), ("id",), relation="orders")
    orders = table(Entry(BI, OWNER, "SELECT"))
    found = replace(rights(), objects=(orders, column))
    paths = ways(found, column)
    assert [path.on.kind for path in paths.held] == ["column", "table"]
    assert [c.statements for c in cuts(Access(found), paths, column, "id")] == [
        ('REVOKE SELECT ON TABLE "app"."orders" FROM "bi"',)
    ]
    alone = replace(rights(), objects=(column,))
    assert [c.statements for c in cuts(Access(alone), ways(alone, column), column, "id")] == [
        ('REVOKE SELECT ("id") ON TABLE "app"."orders" FROM "bi"',)
    ]


def test_one_statement_for_all_that_somebody_passed_on() -> None:
    passed_on = (Entry(OWNER, OWNER, "SELECT"), Entry(STAFF, OWNER, "SELECT", True), Entry(BI, STAFF, "SELECT"),
                 Entry(ANALYTICS, STAFF, "SELECT"))  # fmt: skip
    found = rights(member(ANALYTICS, BI), member(ANALYTICS, BI, OWNER))
    assert statements(found, table(*passed_on)) == [('REVOKE SELECT ON TABLE "app"."orders" FROM "staff" CASCADE',)]


@settings(max_examples=200, database=None, deadline=None)
@given(st.lists(st.frozensets(st.integers(0, 7), min_size=1, max_size=8), min_size=1, max_size=9), st.data())
def test_no_smaller_set_ends_all_ways(hits: list[frozenset[int]], data: st.DataObject) -> None:
    """Against trying all sets there are."""
    ways = sorted(frozenset().union(*hits))
    numbered = [frozenset(map(ways.index, several)) for several in hits]
    costs = [data.draw(st.integers(1, 3)) for _ in hits]
    removals = [cut._Removal((str(n),) * cost, hit) for n, (cost, hit) in enumerate(zip(costs, numbered, strict=True))]
    chosen, smallest = cut._fewest(removals, len(ways), lambda _: 0)
    everything = frozenset(range(len(ways)))
    least = min(
        sum(removal.cost for removal in several)
        for size in range(1, len(removals) + 1)
        for several in combinations(removals, size)
        if frozenset().union(*(removal.hits for removal in several)) == everything
    )
    assert smallest
    assert frozenset().union(*(removal.hits for removal in chosen)) == everything
    assert sum(removal.cost for removal in chosen) == least


def test_memberships_too_tangled_to_list_are_cut_all_the_same() -> None:
    """Ten layers of three roles, each in all of the next layer: 59,049 ways through them."""
    layers = [range(100 + 3 * layer, 103 + 3 * layer) for layer in range(10)]
    roles = {oid: Role(oid, f"r{oid}") for layer in layers for oid in layer}
    tangled = [
        Membership(role, one, BOOTSTRAP)
        for lower, higher in zip([[BI], *layers], layers, strict=False)
        for one in lower
        for role in higher
    ]
    found = rights(*tangled)
    found = replace(found, roles={**found.roles, **roles})
    orders = table(*(Entry(role, OWNER, "SELECT") for role in layers[-1]))
    paths = ways(found, orders)
    assert not paths.complete
    assert len(paths.found) == 500
    assert isinstance(paths.found[0].steps[0], Step)
    assert all(not chosen.smallest for chosen in cuts(Access(found), paths, orders, "orders"))

"""What becomes of a SELECT that passes the check of privileges."""

from __future__ import annotations

import pytest

from replica_access.audit import beyond
from replica_access.audit.effective import Access
from replica_access.catalog import Entry, Membership, Role
from replica_access.model import PUBLIC
from replica_access.rights import Objects, Policy, Rights, Use, View

OWNER, BI, ANALYTICS, OTHER = 20, 21, 22, 23


def access(
    *objects: Objects, policies: tuple[Policy, ...] = (), views: tuple[View, ...] = (), bypass: bool = False
) -> Access:
    roles = {oid: Role(oid, f"r{oid}", bypass_rls=bypass and oid == BI) for oid in (OWNER, BI, ANALYTICS, OTHER)}
    memberships = (Membership(ANALYTICS, BI, OWNER),)
    return Access(Rights("1", 170000, False, "main", OWNER, roles, memberships, objects, (), policies, views))


def secured(how: str = "enabled") -> Objects:
    return Objects("table", "app", OWNER, (), ("people",), row_security=how)  # type: ignore[arg-type]


def policy(*roles: int, command: str = "ALL", permissive: bool = True) -> Policy:
    return Policy("app", "people", "p", command, permissive, roles)


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        ((), "none"),
        ((policy(OTHER),), "none"),
        ((policy(ANALYTICS),), "some"),
        ((policy(PUBLIC, command="SELECT"),), "some"),
        ((policy(PUBLIC, command="INSERT"),), "none"),
        ((policy(PUBLIC, permissive=False),), "none"),
    ],
)
def test_rows_need_a_policy_that_lets_the_role_see_some(policies: tuple[Policy, ...], expected: str) -> None:
    assert beyond.rows(access(policies=policies), BI, secured(), "people") == expected


def test_owners_and_whoever_bypasses_see_every_row_unless_it_is_forced() -> None:
    assert beyond.rows(access(), OWNER, secured(), "people") == "all"
    assert beyond.rows(access(), OWNER, secured("forced"), "people") == "none"
    assert beyond.rows(access(bypass=True), BI, secured("forced"), "people") == "all"
    assert beyond.rows(access(), BI, secured(""), "people") == "all"


PEOPLE = Objects("table", "app", OWNER, (Entry(OWNER, OWNER, "SELECT"),), ("people",))
COLUMN = Objects("column", "app", OWNER, (Entry(BI, OWNER, "SELECT"),), ("id",), relation="people")


def view(name: str, uses: Use, *, invoker: bool = False, owner: int = OWNER) -> View:
    return View("app", name, owner, invoker, (uses,))


def test_a_view_with_security_invoker_reads_with_the_rights_of_whoever_asks() -> None:
    asking = view("v", Use("app", "people", ("id", "name")), invoker=True)
    assert [b.use.relation for b in beyond.refused(access(PEOPLE), BI, asking)] == ["people"]
    assert beyond.refused(access(PEOPLE), OWNER, asking) == ()
    assert beyond.refused(access(PEOPLE), BI, view("v", Use("app", "people", ("id",)))) == ()


def test_columns_are_enough_where_the_view_names_no_other() -> None:
    found = access(PEOPLE, COLUMN)
    assert beyond.refused(found, BI, view("v", Use("app", "people", ("id",)), invoker=True)) == ()
    assert beyond.refused(found, BI, view("v", Use("app", "people"), invoker=True)) == ()
    assert beyond.refused(found, BI, view("v", Use("app", "people", ("id", "name")), invoker=True))


def test_an_invoker_view_within_another_asks_who_asked_in_the_first_place() -> None:
    inner = view("inner", Use("app", "people", ("name",)), invoker=True)
    outer = view("outer", Use("app", "inner", ("name",)))
    shown = Objects("view", "app", OWNER, (Entry(OWNER, OWNER, "SELECT"),), ("inner",))
    found = access(PEOPLE, shown, views=(inner, outer))
    assert [(b.reader, b.use.relation) for b in beyond.bases(found, BI, outer, kept=True)] == [
        (OWNER, "inner"),
        (BI, "people"),
    ]
    assert [b.use.relation for b in beyond.refused(found, BI, outer)] == ["people"]


def test_a_view_shows_what_its_reader_could_not_read_by_itself() -> None:
    found = access(PEOPLE, COLUMN)
    assert beyond.shows_more(found, BI, view("v", Use("app", "people", ("name",))))
    assert beyond.shows_more(found, BI, view("v", Use("app", "people", ("id",)))) == ()
    assert beyond.shows_more(found, OWNER, view("v", Use("app", "people", ("name",)))) == ()


def test_functions_that_run_as_somebody_with_other_rights() -> None:
    def routine(owner: int, **more: bool) -> Objects:
        return Objects("function", "app", owner, (Entry(PUBLIC, owner, "EXECUTE"),), ("f()",), definer=True)

    schema = Objects("schema", "", OWNER, (Entry(ANALYTICS, OWNER, "USAGE"),), ("app",))
    found = access(schema, routine(OWNER), routine(ANALYTICS), routine(BI))
    assert [objects.owner for objects in beyond.runs_as_owner(found, BI)] == [OWNER]
    assert list(beyond.runs_as_owner(found, OTHER)) == []

"""Effective access where the server has nothing to say: gates, SET ROLE, what is to come; the rest has the server for
its oracle (tests/postgres/test_effective_access.py)."""

from __future__ import annotations

from dataclasses import replace

from replica_access.audit.effective import Access
from replica_access.catalog import Entry, Membership, Role
from replica_access.model import PUBLIC
from replica_access.rights import Default, Objects, Rights, privileges_of

OWNER, READER, GROUP, OTHER = 10, 20, 21, 22
TABLE = Objects("table", "app", OWNER, (Entry(GROUP, OWNER, "SELECT"),), ("orders", "people"), 2)
SCHEMA = Objects("schema", "", OWNER, (Entry(GROUP, OWNER, "USAGE"),), ("app",))
DATABASE = Objects("database", "", OWNER, (Entry(PUBLIC, OWNER, "CONNECT"),), ("main",))


def access(*objects: Objects, memberships: tuple[Membership, ...] = (), defaults: tuple[Default, ...] = ()) -> Access:
    names = {OWNER: "owner", READER: "reader", GROUP: "group", OTHER: "other"}
    roles = {oid: Role(oid, name) for oid, name in names.items()}
    return Access(Rights("1", 170000, False, "main", OWNER, roles, memberships, objects, defaults))


def test_a_member_that_does_not_inherit_holds_nothing_and_has_it_within_reach() -> None:
    found = access(TABLE, memberships=(Membership(GROUP, READER, OWNER, inherit=False),))
    assert found.holders(TABLE, "SELECT") == {GROUP}
    assert found.within_reach(READER, TABLE, "SELECT")
    assert not found.within_reach(OTHER, TABLE, "SELECT")


def test_gates_are_closed_for_whoever_lacks_connect_or_usage() -> None:
    found = access(TABLE, SCHEMA, DATABASE, memberships=(Membership(GROUP, READER, OWNER),))
    assert found.missing_gates(READER, TABLE) == ()
    assert [(gate.privilege, gate.name) for gate in found.missing_gates(OTHER, TABLE)] == [("USAGE", "app")]
    closed = Objects("database", "", OWNER, (), ("main",))
    assert [gate.privilege for gate in access(TABLE, closed).missing_gates(READER, TABLE)] == ["CONNECT"]


def test_what_is_in_no_database_has_no_gate() -> None:
    parameter = Objects("parameter", "", OWNER, (Entry(READER, OWNER, "SET"),), ("work_mem",))
    found = access(parameter, Objects("database", "", OWNER, (), ("main",)))
    assert found.missing_gates(READER, parameter) == ()


def test_an_owner_that_took_everything_from_itself_may_still_grant() -> None:
    bare = Objects("table", "app", OWNER, (), ("bare",))
    found = access(bare)
    assert found.holders(bare, "SELECT") == frozenset()
    assert found.holders(bare, "SELECT", grantable=True) == {OWNER}


def test_the_next_table_has_what_is_given_anywhere_and_in_its_schema() -> None:
    own = tuple(Entry(OWNER, OWNER, privilege) for privilege in privileges_of("table", 170000))
    anywhere = Default(OWNER, "", "table", (*own, Entry(READER, OWNER, "SELECT")))
    here = Default(OWNER, "app", "table", (Entry(GROUP, OWNER, "INSERT"),))
    found = access(defaults=(anywhere, here))
    table = found.future(OWNER, "app", "view")
    assert found.holders(table, "SELECT") == {OWNER, READER}
    assert found.holders(table, "INSERT") == {OWNER, GROUP}
    assert found.holders(found.future(OWNER, "other", "table"), "INSERT") == {OWNER}


def test_the_next_function_is_for_everybody_unless_that_was_taken_away() -> None:
    usual = access().future(OWNER, "app", "procedure")
    assert access().holders(usual, "EXECUTE") == {OWNER, READER, GROUP, OTHER}
    taken = access(defaults=(Default(OWNER, "", "function", (Entry(OWNER, OWNER, "EXECUTE"),)),))
    assert taken.holders(taken.future(OWNER, "app", "function"), "EXECUTE") == {OWNER}


def test_privileges_on_large_objects_can_be_switched_off() -> None:
    photo = Objects("large object", "", OWNER, (), ("4711",))
    closed = access(photo).rights
    assert Access(closed).holders(photo, "SELECT") == frozenset()
    assert Access(replace(closed, large_objects_open=True)).holders(photo, "UPDATE") == {OWNER, READER, GROUP, OTHER}

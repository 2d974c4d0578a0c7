"""What readers hold, as entries of a history, and what they gained and lost between two of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import pytest

from replica_access.audit.effective import Access
from replica_access.audit.gains import gains
from replica_access.audit.holdings import holdings
from replica_access.audit.snapshot import Entry
from replica_access.catalog import Entry as Grant
from replica_access.catalog import Membership, Role
from replica_access.model import PUBLIC
from replica_access.rights import Objects, Rights

OWNER, ANALYTICS, BI, READ_ALL, BOSS = 10, 20, 30, 40, 50
ROLES = {
    OWNER: Role(OWNER, "app_owner"),
    ANALYTICS: Role(ANALYTICS, "analytics"),
    BI: Role(BI, "bi", login=True),
    READ_ALL: Role(READ_ALL, "pg_read_all_data"),
    BOSS: Role(BOSS, "boss", superuser=True),
}
IN_ANALYTICS = Membership(ANALYTICS, BI, OWNER)
READERS = ("analytics", "bi", "nobody there")


def tables(*names: str, grants: tuple[Grant, ...] = (), schema: str = "reporting") -> Objects:
    return Objects("table", schema, OWNER, (Grant(OWNER, OWNER, "SELECT"), *grants), names, total=len(names))


def rights(*objects: Objects, memberships: tuple[Membership, ...] = (IN_ANALYTICS,), database: str = "app") -> Rights:
    return Rights("1", 170000, False, database, OWNER, ROLES, memberships, objects)


SELECT = Grant(ANALYTICS, OWNER, "SELECT")


def differs(before: Mapping[str, Entry], after: Mapping[str, Entry]) -> list[tuple[str, str]]:
    known = {**before, **after}

    def look(digests: Collection[str]) -> dict[str, Entry]:
        return {digest: known[digest] for digest in digests}

    appeared = [entry for digest, entry in after.items() if digest not in before]
    gone = [entry for digest, entry in before.items() if digest not in after]
    return [(each.turn, each.sentence) for each in gains(appeared, gone, look)]


def held(found: Rights) -> dict[str, Entry]:
    return holdings(found, READERS)


def test_it_says_who_gained_what_through_whom_and_by_whose_grant() -> None:
    names = tuple(f"t{number}" for number in range(14))
    assert differs(held(rights(tables(*names))), held(rights(tables(*names, grants=(SELECT,))))) == [
        ("gained", "analytics gained SELECT on 14 tables in reporting, database app; granted by app_owner"),
        ("gained", "bi gained SELECT on 14 tables in reporting, database app through analytics; granted by app_owner"),
    ]


def test_who_leaves_a_group_loses_what_came_through_it() -> None:
    found = tables("sales", "costs", grants=(SELECT,))
    assert differs(held(rights(found)), held(rights(found, memberships=()))) == [
        (
            "lost",
            "bi lost SELECT on tables costs, sales in reporting, database app through analytics; granted by app_owner",
        )
    ]


def test_a_table_that_moves_to_another_acl_is_neither_lost_nor_gained() -> None:
    before = rights(tables("sales", "costs", grants=(SELECT,)))
    after = rights(tables("sales", grants=(SELECT,)), tables("costs", grants=(SELECT, Grant(BOSS, OWNER, "INSERT"))))
    assert differs(held(before), held(after)) == []


def test_of_a_database_that_one_run_has_not_seen_nothing_is_guessed() -> None:
    here = held(rights(tables("sales", grants=(SELECT,))))
    assert differs(here, {}) == [("unknown", "what readers hold in database app is not known")]
    assert differs({}, here) == [("known", "what readers hold in database app is known, and was not")]


@pytest.mark.parametrize(
    ("objects", "memberships", "told"),
    [
        (tables("a", grants=(Grant(PUBLIC, OWNER, "SELECT"),)), (), ("SELECT", "PUBLIC", "app_owner")),
        (tables("a", grants=(Grant(BI, ANALYTICS, "INSERT"),)), (), ("INSERT", "", "analytics")),
        (tables("a"), (Membership(OWNER, BI, BOSS),), ("SELECT", "app_owner", "")),
        (tables("a"), (Membership(READ_ALL, BI, BOSS),), ("SELECT", "pg_read_all_data", "")),
        (tables("a"), (Membership(READ_ALL, BI, BOSS, inherit=False),), None),
        (tables("a"), (), None),
    ],
)
def test_every_way_to_a_privilege_is_told(
    objects: Objects, memberships: tuple[Membership, ...], told: tuple[str, str, str] | None
) -> None:
    found = rights(objects, memberships=memberships)
    entries = [entry.values for entry in holdings(found, ("bi",)).values() if entry.kind == "access"]
    assert [(each["privilege"], each["through"], each["by"]) for each in entries] == ([] if told is None else [told])
    assert {each["privilege"] for each in entries} == Access(found).of(BI, objects)


def test_a_superuser_holds_everything_as_such() -> None:
    entries = [e.values for e in holdings(rights(tables("a")), ("boss",)).values() if e.kind == "access"]
    assert {(each["through"], each["by"]) for each in entries} == {("superuser", "")}
    assert {each["privilege"] for each in entries} >= {"SELECT", "TRUNCATE", "MAINTAIN"}


def test_one_table_more_among_many_is_one_portion_whoever_reads_it() -> None:
    many = tuple(f"table_{number:05}" for number in range(20_000))
    more = tuple(sorted((*many, "table_07000_new")))
    before = held(rights(tables(*many, grants=(SELECT,))))
    after = held(rights(tables(*more, grants=(SELECT,))))
    new = [entry for digest, entry in after.items() if digest not in before]
    assert len(before) < 3 * 20_000 / 32
    assert len(new) <= 6
    assert sum(len(entry.content) for entry in new) < 30_000
    assert [sentence for _, sentence in differs(before, after)] == [
        "analytics gained SELECT on table table_07000_new in reporting, database app; granted by app_owner",
        "bi gained SELECT on table table_07000_new in reporting, database app through analytics; granted by app_owner",
    ]


def test_what_came_with_the_server_is_no_news() -> None:
    found = replace(tables("pg_thing", grants=(SELECT,), schema="pg_catalog"), installed=True)
    assert [entry.kind for entry in held(rights(found)).values()] == ["seen"]


def test_a_database_is_told_where_it_is_itself() -> None:
    both = Objects("database", "", OWNER, (Grant(BI, OWNER, "CONNECT"),), ("app", "crm"), total=2)
    before = held(rights(replace(both, entries=())))
    assert differs(before, held(rights(both))) == [
        ("gained", "bi gained CONNECT on database app; granted by app_owner")
    ]

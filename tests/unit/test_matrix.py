"""Roles by schemas: every privilege that a role holds is in its row, and none that it does not hold."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html import unescape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replica_access.audit.effective import Access
from replica_access.audit.matrix import EVERYBODY, Cell, Matrix, matrix
from replica_access.audit.realm import Realm
from replica_access.audit.reports import as_html
from replica_access.audit.reports.html_matrix import section
from replica_access.catalog import Entry, Membership, Role
from replica_access.desired import Desired
from replica_access.findings import Audit
from replica_access.model import PUBLIC
from replica_access.rights import Objects, Rights

from .test_reports import HOSTILE, REPORT, Page

OWNER, ANALYTICS, BI, READ_ALL, BOSS, ETL = 10, 20, 30, 40, 50, 60
NAMES = {OWNER: "app_owner", ANALYTICS: "analytics", BI: "bi", READ_ALL: "pg_read_all_data", BOSS: "boss", ETL: "etl"}
ROLES = {oid: Role(oid, name, superuser=oid == BOSS) for oid, name in NAMES.items()}


def realm(*objects: Objects, memberships: tuple[Membership, ...] = (), roles: dict[int, Role] | None = None) -> Realm:
    database = Objects("database", "", OWNER, (Entry(PUBLIC, OWNER, "CONNECT"),), ("app",))
    rights = Rights("1", 170000, False, "app", OWNER, roles or ROLES, memberships, (database, *objects))
    return Realm("prod-db", rights, Desired(roles=(), rules={}, users=(), pending=()), first=True)


def tables(*names: str, grants: tuple[Entry, ...] = (), schema: str = "sales") -> Objects:
    return Objects("table", schema, OWNER, (Entry(OWNER, OWNER, "SELECT"), *grants), names, total=len(names))


def usage(*grantees: int, schema: str = "sales") -> Objects:
    return Objects("schema", "", OWNER, tuple(Entry(each, OWNER, "USAGE") for each in grantees), (schema,))


IN_ANALYTICS = Membership(ANALYTICS, BI, OWNER)
SALES = ("app", "sales")


def cell(found: Matrix, role: str) -> Cell:
    return found.cells[role, SALES]


def test_a_cell_says_how_much_is_readable_and_by_which_way() -> None:
    found = matrix(
        [
            realm(
                usage(ANALYTICS),
                tables("orders", "items", grants=(Entry(ANALYTICS, OWNER, "SELECT"),)),
                tables("secret"),
                memberships=(IN_ANALYTICS,),
            )
        ]
    )
    assert found.relations == {SALES: 3}
    bi = cell(found, "bi")
    assert (bi.letters, bi.readable, bi.closed) == ("r", 2, ())
    (held,) = [each for each in bi.held if each.kind == "table"]
    assert (held.names, held.privileges, held.through, held.by) == (
        ("orders", "items"),
        ("SELECT",),
        "analytics",
        "app_owner",
    )
    assert cell(found, "app_owner").readable == 3
    assert "boss" not in found.roles
    assert found.superusers == ("boss",)


def test_a_closed_gate_is_told() -> None:
    found = matrix([realm(usage(), tables("orders", grants=(Entry(ETL, OWNER, "INSERT"),)))])
    assert (cell(found, "etl").letters, cell(found, "etl").closed) == ("w", ("USAGE",))


def test_what_everybody_holds_is_in_one_row() -> None:
    found = matrix([realm(usage(PUBLIC), tables("orders", grants=(Entry(PUBLIC, OWNER, "SELECT"),)))])
    assert found.roles == ("app_owner", EVERYBODY)
    assert (cell(found, EVERYBODY).letters, cell(found, EVERYBODY).readable) == ("r", 1)


def test_what_a_predefined_role_gives_is_held_too() -> None:
    found = matrix([realm(usage(), tables("a", "b"), memberships=(Membership(READ_ALL, ETL, BOSS),))])
    etl = cell(found, "etl")
    assert (etl.letters, etl.readable, etl.closed) == ("r", 2, ())
    assert {each.through for each in etl.held} == {"pg_read_all_data", "pg_read_all_data or pg_write_all_data"}


GRANTS = st.lists(
    st.builds(
        Entry,
        st.sampled_from([PUBLIC, OWNER, ANALYTICS, BI, ETL, READ_ALL]),
        st.just(OWNER),
        st.sampled_from(["SELECT", "INSERT", "TRUNCATE", "MAINTAIN"]),
    ),
    max_size=5,
    unique=True,
)
MEMBERS = st.lists(
    st.builds(
        Membership,
        st.sampled_from([ANALYTICS, READ_ALL, OWNER]),
        st.sampled_from([BI, ETL]),
        st.just(BOSS),
        inherit=st.booleans(),
    ),
    max_size=4,
    unique=True,
)


@given(st.lists(GRANTS, min_size=1, max_size=3), MEMBERS)
@settings(max_examples=100, deadline=None)
def test_the_cells_of_a_role_and_of_public_are_what_it_holds(
    acls: list[list[Entry]], memberships: list[Membership]
) -> None:
    groups = [tables(f"t{number}", grants=tuple(acl)) for number, acl in enumerate(acls)]
    here = realm(*groups, memberships=tuple(memberships))
    access, found = Access(here.rights), matrix([here])
    for oid in (OWNER, ANALYTICS, BI, ETL):
        for number, objects in enumerate(groups):
            cells = [c for role in (NAMES[oid], EVERYBODY) if (c := found.cells.get((role, SALES))) is not None]
            told = {p for c in cells for held in c.held if held.names == (f"t{number}",) for p in held.privileges}
            assert told == access.of(oid, objects)


# --- in the page ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in HOSTILE if "\0" not in name])
def test_no_name_becomes_markup_in_the_table_or_behind_it(name: str) -> None:
    def page(called: str) -> Page:
        roles = {**ROLES, ETL: Role(ETL, called)}
        there = realm(
            usage(ETL, OWNER, schema=called),
            tables(called, grants=(Entry(ETL, OWNER, "SELECT"),), schema=called),
            roles=roles,
        )
        return Page(as_html.render(replace(REPORT, audit=Audit(), access=matrix((there,)))))

    odd = page(name)
    assert odd.structure == page("harmless").structure
    access = json.loads(odd.texts["script"][0])["access"]
    numbers = [int(at["data-cell"] or "") for _, at in odd.attributes if "data-cell" in at]
    assert sorted(numbers) == list(range(len(access["cells"])))


def test_two_hundred_roles_are_a_table_of_two_hundred_rows() -> None:
    roles = {**ROLES, **{oid: Role(oid, f"role{oid}") for oid in range(100, 300)}}
    grants = tuple(Entry(oid, OWNER, "SELECT") for oid in range(100, 300))
    schemas = [f"s{number}" for number in range(20)]
    there = realm(*(tables("a", "b", grants=grants, schema=name) for name in schemas), roles=roles)
    html = section(matrix([there]))
    assert html.count("<tr>") == 1 + 200 + 1  # heads, roles, and the owner
    assert len(re.findall(r"data-cell", html)) == 201 * 20
    assert "r 2" in unescape(html)


def test_a_cell_says_on_paper_what_it_is_in() -> None:
    html = section(matrix([realm(usage(ETL), tables("orders", grants=(Entry(ETL, OWNER, "SELECT"),), schema='a"<b'))]))
    cells = re.findall(r'<td class="cell[^"]*" data-in="([^"]*)">', html)
    assert {unescape(cell) for cell in cells} == {'app / "a""<b"', "app / sales"}
    assert re.search(r"<td[^>]*data-in[^>]*></td>", html) is None  # the empty ones are not printed

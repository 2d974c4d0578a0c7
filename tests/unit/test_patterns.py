from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replica_access.patterns import Exclusion, is_system_schema, matches

names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20)


@pytest.mark.parametrize(
    ("name", "pattern", "fits"),
    [
        ("orders", "orders", True),
        ("Orders", "orders", False),
        ("orders", "ord*", True),
        ("orders", "order?", True),
        ("orders_old", "order?", False),
        ("a.b", "a.b", True),
        ("tenant[1]", "tenant[1]", True),
        ("tenant1", "tenant[1]", True),
        ("anything at all\nreally", "*", True),
        ('we"ird', 'we"ird', True),
        ("o", "[!a]", True),
    ],
)
def test_matches(name: str, pattern: str, fits: bool) -> None:
    assert matches(name, pattern) is fits


@given(names)
def test_a_name_matches_itself_whatever_it_looks_like(name: str) -> None:
    assert matches(name, name)


@given(names, names)
def test_quoted_parts_are_names_as_they_stand(schema: str, relation: str) -> None:
    def quoted(name: str) -> str:
        return '"' + name.replace('"', '""') + '"'

    exclusion = Exclusion.parse(f"{quoted(schema)}.{quoted(relation)}")
    assert exclusion.covers_relation(schema, relation)
    assert not exclusion.covers_relation(schema, relation + "x")
    assert not exclusion.covers_schema(schema)


def test_the_three_depths_of_an_exclusion() -> None:
    assert Exclusion.parse("audit").covers_schema("audit")
    assert Exclusion.parse("public.password_*").covers_relation("public", "password_reset")
    assert not Exclusion.parse("public.password_*").covers_schema("public")
    column = Exclusion.parse("public.users.ssn")
    assert column.has_column_in("public", "users")
    assert not column.covers_relation("public", "users")


def test_a_quoted_star_is_a_star() -> None:
    exclusion = Exclusion.parse('public."*"')
    assert exclusion.covers_relation("public", "*")
    assert not exclusion.covers_relation("public", "users")


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "a..b", "a.b.c.d", '"a', 'a"b', '"a"b', '""'])
def test_what_is_no_exclusion(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not|has 4 parts|a dot is expected"):
        Exclusion.parse(text)


@pytest.mark.parametrize("name", ["pg_catalog", "pg_toast", "pg_temp_3", "information_schema"])
def test_system_schemas(name: str) -> None:
    assert is_system_schema(name)


@pytest.mark.parametrize("name", ["public", "pgx", "PG_CATALOG", "information_schema_2"])
def test_other_schemas(name: str) -> None:
    assert not is_system_schema(name)

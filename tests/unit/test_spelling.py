"""How people write which object they mean; and the examples in the docstrings around it."""

from __future__ import annotations

import doctest
from types import ModuleType

import pytest

from replica_access import rights
from replica_access.audit import explain, revoking, spelling
from replica_access.audit.spelling import PREFIXES, Spelt, read
from replica_access.errors import UsageError


@pytest.mark.parametrize("module", [rights, revoking, explain, spelling], ids=lambda module: str(module.__name__))
def test_the_examples_hold(module: ModuleType) -> None:
    ran = doctest.testmod(module)
    assert ran.attempted
    assert not ran.failed


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("app.orders", Spelt("relation", "orders", "app")),
        ('APP."Or.de""rs"', Spelt("relation", 'Or.de"rs', "app")),
        ('app.orders."a:b"', Spelt("relation", "orders", "app", "a:b")),
        ("table:app.orders", Spelt("relation", "orders", "app")),
        ("Straße.ÄB", Spelt("relation", "Äb", "straße")),
        ("app.f()", Spelt("routine", "f", "app", arguments=())),
        ("app.f(int, app.mood[])", Spelt("routine", "f", "app", arguments=("int", "app.mood[]"))),
        ("function:app.f", Spelt("routine", "f", "app")),
        ('database:"Shop"', Spelt("database", "Shop")),
        ("schema:app", Spelt("schema", "app")),
        ("largeobject:4711", Spelt("large object", "4711")),
        ("parameter:My.Own", Spelt("parameter", "my.own")),
        ("caf\udce9.orders", Spelt("relation", "orders", "caf\udce9")),
    ],
)
def test_it_is_read_as_in_sql(text: str, meant: Spelt) -> None:
    assert read(text) == meant


@pytest.mark.parametrize(
    "text",
    ["", ".", "orders", "a.", ".a", "a..b", "a.b.c.d", 'a."b', "a b.c", "schema:a.b", "schema:", "app.f(", "f()"],
)
def test_what_cannot_be_told_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="does not say which object is meant"):
        read(text)


def test_every_kind_has_a_prefix() -> None:
    assert {"relation", "routine", "type", "schema", "database", "language", "tablespace"} < {*PREFIXES.values()}

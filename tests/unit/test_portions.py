"""What goes into one transaction."""

from __future__ import annotations

from replica_access.model import Change, Takes
from replica_access.postgres.portions import portions


def change(statement: str, takes: Takes = "") -> Change:
    return Change("database", "grant", "x", "x", sql=(statement,), takes=takes)


TWO = change('GRANT SELECT ON TABLE "s"."a", "s"."b" TO "r"')
ONE = change('GRANT SELECT ON TABLE "s"."c" TO "r"')
TAKEN = change('REVOKE SELECT ON TABLE "s"."d" FROM "r"', "revoke")
LEFT = change('GRANT SELECT ("id") ON TABLE "s"."d" TO "r"', "revoke")


def test_all_of_it_where_there_is_room_and_where_it_does_not_matter() -> None:
    assert list(portions([TWO, ONE, TAKEN, LEFT], None)) == [(TWO, ONE, TAKEN, LEFT)]
    assert list(portions([TWO, ONE, TAKEN, LEFT], 5)) == [(TWO, ONE, TAKEN, LEFT)]
    assert list(portions([], 5)) == []


def test_no_more_than_there_is_room_for_but_always_one() -> None:
    assert list(portions([ONE, ONE, TWO, ONE], 2)) == [(ONE, ONE), (TWO,), (ONE,)]
    assert list(portions([TWO, TWO], 1)) == [(TWO,), (TWO,)]


def test_what_is_taken_and_what_is_left_of_it_are_never_apart() -> None:
    assert list(portions([ONE, TAKEN, LEFT, TAKEN, LEFT], 2)) == [(ONE, TAKEN, LEFT), (TAKEN, LEFT)]

"""Statements that people copy: what is printed is what the server takes for the same name."""

from __future__ import annotations

from replica_access.names import pasteable
from replica_access.postgres.statements import quoted
from replica_access.sandbox.server import PostgresServer

ODD = (
    *("two\nlines; DROP TABLE x; --", "\x1b[31mred\x07", "gnp\u202eexe", "back\\slash", "\\000A", 'in"\tch', "\u2028"),
    *("\x85", "nb\u00a0sp", "tag\U000e0041", "it's\r", "🏠", "e\u0301"),
)


def test_a_name_that_nobody_sees_is_found_by_what_is_printed_for_it(primary: PostgresServer) -> None:
    printed = [pasteable(quoted(name)) for name in ODD]
    assert all(text.isprintable() for text in printed)
    made = "".join(f"CREATE TEMPORARY TABLE {quoted(name)} (); " for name in ODD)
    union = " UNION ALL ".join(f"(SELECT 1 FROM {text} LIMIT 1)" for text in printed)
    assert primary.psql(f"{made} SELECT count(*) FROM ({union}) AS found").splitlines()[-1] == "0"

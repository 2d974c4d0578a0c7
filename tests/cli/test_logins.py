"""What a spec says of a login, in any spelling: made once, found again as it is, or refused without a trace."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Shop
from tests.cli.test_bad_input import assert_refused

# The server keeps names and lists of names in its own spelling, and no comment that is empty.
SPELLINGS = """
valid_until = 9999-12-31
connection_limit = 0
comment = ""
[users.bi.settings]
timezone = "UTC"
Statement_Timeout = "1 min"
search_path = '"$user",Sales, "a, ""b"" c"'
temp_tablespaces = ""
datestyle = "ISO,DMY"
"""


def test_what_the_server_spells_otherwise_is_not_set_again(shop: Shop) -> None:
    shop.declare(users=SPELLINGS)
    applied = shop.run("apply", "--yes")
    assert applied.status == 0, applied
    assert shop.run("plan", "--check").status == 0
    shop.sql("ALTER ROLE bi SET search_path TO 'Sales'; ALTER ROLE bi RESET timezone; COMMENT ON ROLE bi IS 'hers'")
    plan = shop.run("plan", "-v")
    assert "  + bi: timezone = UTC\n" in plan.out
    assert """ALTER ROLE "bi" SET "search_path" TO '$user', 'Sales', 'a, "b" c';""" in plan.out
    assert "3 changes." in plan.out
    assert shop.run("apply", "--yes").status == 0
    assert shop.run("plan", "--check").status == 0


REFUSED = {
    "no such parameter": ('settings = { nonsense = "7" }', 'bi: nonsense = 7: unrecognized configuration parameter'),
    "no such value": ('settings = { work_mem = "seven" }', 'invalid value for parameter "work_mem": "seven"'),
    "a parameter of superusers": ('settings = { log_statement = "none" }', "permission denied to set parameter"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_the_server_refuses_leaves_no_trace(shop: Shop, what: str) -> None:
    said, sentence = REFUSED[what]
    shop.declare(users=said)
    with shop.unchanged():
        ran = shop.run("apply", "--yes")
    assert ran.status == 1
    assert not ran.has_traceback
    assert sentence in ran.err
    shop.declare()
    assert shop.run("apply", "--yes").status == 0  # with the password that was stored before the server refused
    with shop.as_user() as bi:
        bi.execute("SELECT * FROM sales.orders")


def test_more_connections_than_can_be_counted(shop: Shop) -> None:
    shop.declare(users="connection_limit = 3000000000")
    assert_refused(shop.run("plan"), 2, "users.bi.connection_limit: 3000000000 is too large; write 2147483647 or less.")

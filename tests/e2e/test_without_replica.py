"""RDS without a replica in the spec: users and grants are made on the primary, and nothing around it."""

from __future__ import annotations

from tests.cli.test_bad_input import assert_refused
from tests.e2e.conftest import PRIMARY, Account

SPEC = f"""
version = 1
[primary]
instance = "{PRIMARY}"
admin_secret = "{PRIMARY}/master"
[roles.analytics]
[users.bi]
member_of = ["analytics"]
[[grants]]
to = "analytics"
databases = ["app"]
exclude = ["vault"]
"""


def test_grants_only(account: Account) -> None:
    account.run.spec.write_text(SPEC, encoding="utf-8")
    check = account.run("check")
    assert check.status == 0, check
    account.wire.calls.clear()
    applied = account.run("apply", "--yes")
    assert applied.status == 0, applied
    assert "Nothing was proved, because the spec has no [replica].\n" in applied.out
    assert set(account.wire.writes) == {"CreateSecret"}
    with account.sandbox.connect(PRIMARY, user="bi", password=account.password, dbname="app") as bi:
        bi.execute("SELECT FROM leasing.units")
    assert account.run("plan", "--check").status == 0
    assert_refused(account.run("verify"), 2, "The spec has no [replica].", "Name one there by instance")

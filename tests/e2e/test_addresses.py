"""`access`: who may reach the replica, in the spec and on the security group, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from replica_access.sandbox.elsewhere import from_elsewhere
from tests.cli.test_bad_input import assert_refused
from tests.e2e.conftest import PROVISION, REPLICA, Account
from tests.sandbox_fixtures import tcp

pytestmark = pytest.mark.slow

OFFICE, GUEST = "127.0.0.1/32", "127.0.0.2/32"


@pytest.fixture(scope="module")
def provisioned(account: Account) -> Account:
    ran = account.run(*PROVISION, "--yes")
    assert ran.status == 0, ran
    return account


@pytest.fixture
def shop(provisioned: Account) -> Iterator[Account]:
    """The account, and the spec as it was before each test; the rules follow it."""
    spec = provisioned.run.spec.read_bytes()
    yield provisioned
    provisioned.run.spec.write_bytes(spec)
    assert provisioned.run("apply", "--yes", "--allow-revoke").status == 0


def group(account: Account) -> str:
    (found,) = [each["VpcSecurityGroupId"] for each in account.sandbox.instance(REPLICA)["VpcSecurityGroups"]]
    return str(found)


def states(account: Account) -> dict[str, str]:
    ran = account.run("--format", "json", "access", "list")
    assert ran.status == 0, ran
    assert ran.document["schema"] == "replica-access/access-list/1"
    assert ran.document["group"] == group(account)
    return {each["source"]: each["state"] for each in ran.document["addresses"]}


def guest_gets_in(account: Account) -> bool:
    """Whether somebody from another address can log in."""
    port = account.sandbox.instance(REPLICA)["Endpoint"]["Port"]
    with from_elsewhere(port) as other:
        try:
            with account.as_reader("app", host="localhost", port=other) as connection:
                connection.execute("SELECT 1")
        except psycopg.OperationalError as error:
            refusal = str(error)
        else:
            return True
    assert "pg_hba" in refusal
    return False


def test_a_guest_is_let_in_listed_and_shut_out_again(shop: Account) -> None:
    assert not guest_gets_in(shop)
    before = shop.run.spec.read_text(encoding="utf-8")
    shop.wire.calls.clear()
    ran = shop.run("access", "allow", "127.0.0.2", "--note", "a guest", "--expires", "2099-12-31", "--yes")
    assert ran.status == 0, ran
    assert "let 127.0.0.2/32 (a guest, until 2099-12-31) connect to port" in ran.out
    assert shop.wire.writes == ["AuthorizeSecurityGroupIngress"]
    assert guest_gets_in(shop)
    assert 'cidr = "127.0.0.2/32"\nnote = "a guest"\nexpires = 2099-12-31\n' in shop.run.spec.read_text("utf-8")
    assert states(shop) == {OFFICE: "ok", GUEST: "ok"}
    assert shop.run("plan", "--check").status == 0
    again = shop.run("access", "allow", GUEST, "--note", "a guest", "--expires", "2099-12-31", "--yes")
    assert again.out == "Nothing to do.\n"
    longer = shop.run("--format", "json", "access", "allow", GUEST, "--note", "Ana", "--yes")
    assert longer.status == 0, longer
    assert (longer.document["added"], len(longer.document["applied"])) == ([GUEST], 3)
    assert shop.run("plan", "--check").status == 0
    ran = shop.run("access", "deny", GUEST, "--yes")
    assert ran.status == 0, ran
    assert not guest_gets_in(shop)
    assert shop.run.spec.read_text(encoding="utf-8") == before
    assert states(shop) == {OFFICE: "ok"}


def test_what_somebody_added_by_hand_is_listed_and_denied(shop: Account) -> None:
    port = int(shop.sandbox.instance()["Endpoint"]["Port"])
    permissions = [tcp(port, "127.0.0.0/8"), tcp(port, "198.51.100.7/32")]
    shop.sandbox.ec2.authorize_security_group_ingress(GroupId=group(shop), IpPermissions=permissions)
    assert states(shop) == {OFFICE: "ok", "127.0.0.0/8": "undeclared", "198.51.100.7/32": "undeclared"}
    listed = shop.run("access", "list").out
    assert "- 127.0.0.0/8: undeclared: is let in to port" in listed
    assert "it is wider than the spec, which has 127.0.0.1/32" in listed
    assert_refused(shop.run("access", "deny", GUEST, "--yes"), 2, f"{GUEST} is let in as a part of 127.0.0.0/8.")
    assert shop.run("access", "deny", "127.0.0.0/8", "--yes").status == 0
    assert states(shop) == {OFFICE: "ok", "198.51.100.7/32": "undeclared"}
    assert_refused(
        shop.run("access", "deny", "192.0.2.1", "--yes"), 2, "192.0.2.1/32 is neither in the spec nor let in"
    )


def test_rules_that_may_not_be_seen_are_no_answer(shop: Account) -> None:
    with shop.sandbox.faults(deny=("ec2:DescribeSecurityGroupRules",)):
        ran = shop.run("access", "list")
    assert ran.status == 4, ran
    assert ran.out.startswith(f"✓ {OFFICE}: ok\n")
    assert "Rules beyond the spec could not be seen" in ran.err
    assert "Ask for the permission ec2:DescribeSecurityGroupRules" in ran.err


def test_what_has_expired_is_pruned_from_the_spec_and_the_group(shop: Account) -> None:
    assert shop.run("access", "allow", GUEST, "--expires", "2099-12-31", "--yes").status == 0
    assert shop.run("access", "prune", "--yes").out == "Nothing has expired.\n"
    text = shop.run.spec.read_text(encoding="utf-8")
    shop.run.spec.write_text(text.replace("2099-12-31", "2020-01-01"), encoding="utf-8")
    assert states(shop) == {OFFICE: "ok", GUEST: "expired"}
    assert guest_gets_in(shop)
    ran = shop.run("--format", "json", "access", "prune", "--yes")
    assert ran.status == 0, ran
    assert (ran.document["removed"], len(ran.document["applied"])) == ([GUEST], 1)
    assert not guest_gets_in(shop)
    assert GUEST not in shop.run.spec.read_text(encoding="utf-8")
    assert shop.run("plan", "--check").status == 0


def test_nothing_is_done_without_a_yes_and_nothing_wide_without_the_flag(shop: Account) -> None:
    before = shop.run.spec.read_bytes()
    shop.wire.calls.clear()
    for command in (("allow", GUEST), ("deny", OFFICE)):
        ran = shop.run("access", *command)
        assert ran.status == 2
        assert ran.err == "Error: There is no terminal to ask on.\nSay --yes to go ahead without being asked.\n"
    assert_refused(shop.run("access", "allow", "0.0.0.0/0", "--yes"), 1, "0.0.0.0/0 is too wide", "--allow-wide")
    assert_refused(shop.run("access", "allow", "example.com", "--yes"), 2, "example.com is no address.")
    assert_refused(shop.run("access", "allow", "fe80::1%eth0", "--yes"), 2, "fe80::1%eth0: not an address or network")
    two_lines = shop.run("access", "allow", "203.0.113.9", "--note", "a\nb", "--yes")
    assert_refused(two_lines, 2, "--note: a note is one line, without control characters.")
    assert_refused(shop.run("access", "allow", GUEST, "--expires", "2020-01-01", "--yes"), 2, "2020-01-01 is over.")
    assert shop.wire.writes == []
    assert shop.run.spec.read_bytes() == before
    answers = iter("n")
    ran = shop.run.on_terminal("access", "allow", GUEST, answer=lambda: next(answers))
    assert ran.status == 1
    assert "Allow 127.0.0.2/32: edit replica-access.toml and apply 1 change?" in ran.out
    assert shop.run.spec.read_bytes() == before
    wide = shop.run("access", "allow", "0.0.0.0/0", "--allow-wide", "--yes")
    assert wide.status == 0, wide
    assert "EVERYBODY ON THE INTERNET" in wide.out
    assert guest_gets_in(shop)

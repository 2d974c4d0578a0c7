"""Runs that are asked, stopped, cut off, or not alone."""

from __future__ import annotations

import signal
import subprocess

import pytest

from tests.cli.conftest import Shop
from tests.cli.program import COMMAND, Ran
from tests.cli.test_bad_input import assert_refused

AT_WORK = "another run of replica-access is at work"


# --- asked -----------------------------------------------------------------------------------------------------------


def test_without_a_terminal_nobody_is_asked(shop: Shop) -> None:
    with shop.unchanged():
        ran = shop.run("apply", "--format", "json")
        assert_refused(ran, 2, "There is no terminal to ask on.", "--yes")
        ran = shop.run("apply")
    assert ran.status == 2
    assert "create the group readers" in ran.out  # what it would have asked about
    assert "There is no terminal to ask on." in ran.err
    assert not list(shop.run.directory.glob("*.password"))


def test_no_means_no_and_yes_means_yes(shop: Shop) -> None:
    with shop.unchanged():
        ran = shop.run.on_terminal("apply", answer=lambda: "n")
        assert ran.status == 1
        assert "create the group readers" in ran.out
        assert "Nothing was changed." in ran.out
    ran = shop.run.on_terminal("apply", answer=lambda: "y")
    assert ran.status == 0, ran.out
    assert not ran.has_traceback
    assert shop.run("plan", "--check").status == 0


def test_what_nobody_has_read_is_not_carried_out(shop: Shop) -> None:
    def answer() -> str:
        shop.sql("SET SESSION AUTHORIZATION app_owner; CREATE TABLE sales.meanwhile (id int)")
        return "y"

    try:
        ran = shop.run.on_terminal("apply", answer=answer)
        assert ran.status == 3
        assert "shop has changed since the plan was made" in ran.out
        assert not any(fact.startswith("shop: ") and "readers" in fact for fact in shop.facts())
    finally:
        shop.sql("DROP TABLE sales.meanwhile")


# --- stopped ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_told_to_stop_says_so_and_leaves_nothing_half_done(shop: Shop, number: signal.Signals) -> None:
    with shop.unchanged(), shop.busy("postgres"), shop.run.begun("apply", "--yes", "-v") as running:
        running.until(f"{AT_WORK} in postgres")
        ran = running.end(number)
        assert ran.status == 1
        assert ran.err.endswith("Error: Interrupted.\nNothing is half done: run the same command again to go on.\n")
        assert not ran.has_traceback
    assert shop.run("apply", "--yes").status == 0
    assert shop.run("plan", "--check").status == 0


def test_what_was_done_before_it_stopped_is_reported(shop: Shop) -> None:
    planned = shop.run("--format", "json", "plan").document["changes"]
    with shop.busy("shop"), shop.run.begun("apply", "--yes", "-v", "--format", "json") as running:
        running.until(f"{AT_WORK} in shop")
        ran = running.end(signal.SIGINT)
    assert ran.status == 1
    assert "Error: Interrupted." in ran.err
    document = ran.document
    assert document["schema"] == "replica-access/apply/1"
    assert document["applied"] == [change["id"] for change in planned if change["scope"] == "cluster"]
    assert [failure["id"] for failure in document["failed"]] == [None]
    assert "Interrupted." in document["failed"][0]["error"]
    assert document["proof"] is None
    left = shop.run("--format", "json", "plan").document["changes"]
    assert [change["id"] for change in left] == [change["id"] for change in planned if change["scope"] == "database"]


def test_a_stop_in_the_middle_of_a_transaction_takes_all_of_it_back(shop: Shop) -> None:
    """A grant of somebody else, not committed yet, holds ours up when the first ones are made already."""
    with shop.session() as other:
        other.execute("BEGIN; GRANT SELECT ON stock.items TO migrator")
        with shop.run.begun("apply", "--yes", "-v") as running:
            running.until("let readers read")
            wait_until_blocked(shop)
            ran = running.end(signal.SIGINT)
        other.execute("ROLLBACK")
    assert ran.status == 1
    assert not any(fact.startswith("shop: ") and "readers" in fact for fact in shop.facts())
    assert not any(
        fact.startswith("shared: master in app_owner") and '"inherit_option": true' in fact for fact in shop.facts()
    )
    assert shop.run("apply", "--yes").status == 0


def test_a_connection_that_is_lost_in_the_middle_is_said_to_be(shop: Shop) -> None:
    with shop.unchanged(), shop.session() as other, shop.session() as superuser:
        other.execute("BEGIN; GRANT CONNECT ON DATABASE shop TO migrator")
        with shop.run.begun("apply", "--yes") as running:
            wait_until_blocked(shop)
            superuser.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'master'")
            ran = running.end()
        other.execute("ROLLBACK")
    assert_refused_after_the_start(
        ran, "to let readers connect to shop", "terminating connection", "nothing is half done"
    )


@pytest.mark.slow
def test_a_lock_that_nobody_lets_go_of_is_not_waited_for_without_end(shop: Shop) -> None:
    with shop.unchanged(), shop.session() as other:
        other.execute("BEGIN; GRANT CONNECT ON DATABASE shop TO migrator")
        ran = shop.run("apply", "--yes")
        other.execute("ROLLBACK")
    assert_refused_after_the_start(ran, "to let readers connect to shop", "lock timeout", "Somebody holds a lock on it")


def assert_refused_after_the_start(ran: Ran, *words: str) -> None:
    assert ran.status == 1, ran
    assert "Nothing to do" not in ran.out
    assert not ran.has_traceback
    for each in words:
        assert each in ran.err, ran.err


def wait_until_blocked(shop: Shop) -> None:
    with shop.session() as watch:
        query = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'master' AND wait_event_type = 'Lock'"
        while watch.execute(query).fetchone() != (1,):
            pass


# --- cut off ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [["plan"], ["--format", "json", "plan"], ["plan", "--sql"], ["--help"]])
def test_a_reader_who_goes_away_is_no_error(shop: Shop, command: list[str]) -> None:
    with shop.run.spec.open("a", encoding="utf-8") as spec:
        spec.writelines(f'[roles."group {number}, one of so many that a pipe is full"]\n' for number in range(1000))
    line = " ".join(f"'{word}'" for word in [*COMMAND, *command])
    ran = subprocess.run(
        ["bash", "-c", f"{line} | head -1; exit ${{PIPESTATUS[0]}}"],
        cwd=shop.run.directory,
        env=shop.run.whole_environment({}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert len(ran.stdout.splitlines()) <= 1
    assert ran.stderr == ""
    assert ran.returncode in {0, 1}


# --- not alone -------------------------------------------------------------------------------------------------------


def test_two_runs_at_once_both_end_well(shop: Shop) -> None:
    """Both have made their plan when the first begins; the second finds nothing left to do."""
    planned = [change["id"] for change in shop.run("--format", "json", "plan").document["changes"]]
    command = ("apply", "--yes", "-v", "--format", "json")
    with shop.run.begun(*command) as one, shop.run.begun(*command) as other:
        with shop.busy("postgres"):
            one.until(AT_WORK)
            other.until(AT_WORK)
        ends = [one.end(), other.end()]
    assert [ran.status for ran in ends] == [0, 0], ends
    one_did, other_did = (ran.document["applied"] for ran in ends)
    assert sorted(one_did + other_did) == sorted(planned)
    with shop.as_user() as bi:
        bi.execute("SELECT * FROM sales.orders")
    assert shop.run("plan", "--check").status == 0

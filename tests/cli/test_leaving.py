"""A user that is taken out of the spec file: said by plan, kept without the flag, and gone with it."""

from __future__ import annotations

import json

from tests.cli.conftest import Shop
from tests.cli.program import Ran


def assert_says(ran: Ran, status: int, *words: str) -> None:
    assert ran.status == status, ran
    for said in words:
        assert said in ran.out + ran.err, ran


def test_a_user_that_left_the_spec_goes_with_the_flag_and_comes_back_with_the_undo_script(shop: Shop) -> None:
    shop.declare(users="[users.temp]\nmember_of = ['readers']\nsecret = 'file:temp.password'\nconnection_limit = 3")
    try:
        assert_says(shop.run("apply", "--yes"), 0)
        shop.sql("GRANT SELECT ON sales.orders TO temp")
        with shop.as_user("temp") as session:
            session.execute("SELECT * FROM sales.orders")

        shop.declare()
        assert_says(
            shop.run("plan"),
            0,
            "Taken away only with --allow-drop",
            "temp: may log in no more, and its sessions end",
            "drop the role temp, which a run has made",
            "shop: take SELECT on the table sales.orders from temp",
        )
        kept = shop.run("apply", "--yes")
        assert_says(kept, 0, "3 changes would take something away: left out without --allow-drop.")
        assert_says(shop.run("apply", "--yes", "--allow-drop"), 0, "3 changes applied.")
        assert shop.sql("SELECT count(*) FROM pg_roles WHERE rolname = 'temp'") == "0"
        assert_says(shop.run("plan", "--check", "--allow-drop"), 0, "Nothing to do")
        state = json.loads((shop.run.directory / "replica-access.state.json").read_text(encoding="utf-8"))
        assert set(state["roles"]) == {"readers", "bi"}
    finally:
        shop.forget_readers("temp")


def test_a_user_that_was_there_before_is_not_ours_to_drop(shop: Shop) -> None:
    shop.sql("SET SESSION AUTHORIZATION master; CREATE ROLE temp")
    shop.declare(users="[roles.temp]")
    try:
        assert_says(shop.run("apply", "--yes"), 0)
        shop.declare()
        assert_says(shop.run("plan", "--check", "--allow-drop"), 0, "Nothing to do")
        assert shop.sql("SELECT count(*) FROM pg_roles WHERE rolname = 'temp'") == "1"
    finally:
        shop.forget_readers("temp")

"""`user`: who may log in, another password, a last day, and away with a login; on a primary and its replica."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from replica_access.sandbox.process import polls
from replica_access.sandbox.server import PostgresServer
from tests.cli.conftest import Production, Shop
from tests.cli.program import Ran
from tests.cli.test_export import psql
from tests.cli.test_replicas import declare, name_of, replica_of
from tests.provocations import proves, saw

YEAR_S = 366 * 86_400


@pytest.fixture(scope="module")
def replica(production: Production, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    server = replica_of(production, tmp_path_factory.mktemp("users") / "replica")
    yield server
    server.remove()


@pytest.fixture
def granted(shop: Shop, replica: PostgresServer) -> Shop:
    """A shop with a replica, whose readers have been granted."""
    declare(shop, replica)
    applied = shop.run("apply", "--yes", "--quiet")
    assert applied.status == 0, applied
    return shop


def kept(shop: Shop, user: str = "bi") -> str:
    return (shop.run.directory / f"{user}.password").read_text(encoding="utf-8").strip()


def lets_in(shop: Shop, password: str, user: str = "bi") -> bool:
    try:
        with shop.session(user=user, password=password, sslmode="require"):
            return True
    except psycopg.OperationalError:
        return False


def done(ran: Ran) -> dict[str, Any]:
    assert ran.status == 0, ran
    return ran.document


# --- list ------------------------------------------------------------------------------------------------------------


def test_everybody_who_may_log_in_is_listed(granted: Shop, replica: PostgresServer) -> None:
    spec = granted.run.spec.read_text(encoding="utf-8")
    granted.run.spec.write_text(f"{spec}\n[users.later]\nauth = 'iam'\nvalid_until = 2020-01-31\n", encoding="utf-8")
    granted.sql("CREATE ROLE stranger LOGIN VALID UNTIL '2020-01-31'; GRANT CONNECT ON DATABASE shop TO stranger")
    granted.sql("CREATE ROLE nobody LOGIN; REVOKE CONNECT ON DATABASE postgres FROM PUBLIC")
    try:
        where = {"host": replica.host, "port": str(replica.port)}
        with granted.as_user(**where), granted.unchanged():
            found = done(granted.run("user", "list", "--format", "json"))
            told = granted.run("user", "list").out
            granted.run.spec.write_text(spec.replace("['host=localhost port=", "['host=localhost port=1"), "utf-8")
            unseen = granted.run("user", "list", "--format", "json")
    finally:
        granted.sql("GRANT CONNECT ON DATABASE postgres TO PUBLIC; DROP ROLE nobody")
        granted.forget_readers("stranger")
    assert unseen.status == 4, unseen
    assert [each["what"].partition(":")[0] for each in unseen.document["not_checked"]] == ["sessions on localhost"]
    assert unseen.document["users"][0]["sessions"] == {}
    users = {each["name"]: each for each in found["users"]}
    assert list(users) == ["bi", "later", "stranger"]
    assert found["not_checked"] == []
    assert users["bi"] == {
        "name": "bi",
        "in_spec": True,
        "exists": True,
        "member_of": ["readers"],
        "auth": "password",
        "valid_until": None,
        "expired": False,
        "connection_limit": -1,
        "secret": "file:bi.password",
        "password_written_on": time.strftime("%Y-%m-%d", time.gmtime()),
        "databases": ["shop"],
        "sessions": {name_of(replica): 1},
    }
    assert (users["later"]["exists"], users["later"]["auth"], users["later"]["expired"]) == (False, "iam", True)
    assert (users["stranger"]["in_spec"], users["stranger"]["expired"], users["stranger"]["secret"]) == (
        False,
        True,
        None,
    )
    assert "✓ bi (readers)\n    password in file:bi.password, written on 20" in told
    assert "… stranger: not in the spec, has expired\n" in told
    assert "✗ later: not there yet, `replica-access apply` makes it\n    logs in by IAM; until 2020-01-31;" in told


# --- rotate ----------------------------------------------------------------------------------------------------------


@proves("login-unrotated")
def test_a_password_that_is_a_year_old_is_found_and_another_one_made(granted: Shop, replica: PostgresServer) -> None:
    former, path = kept(granted), granted.run.directory / "bi.password"
    long_ago = time.time() - YEAR_S
    assert found_by_audit(granted, "login-unrotated") == []
    os.utime(path, (long_ago, long_ago))
    (finding,) = found_by_audit(granted, "login-unrotated")
    assert finding["subject"] == "bi"
    assert finding["remedy"] == "replica-access user rotate bi --yes"
    assert finding["evidence"].startswith("file:bi.password was written on 20")
    found = done(granted.run(*finding["remedy"].split()[1:], "--format", "json"))
    assert found["rotated"] == [
        {
            "user": "bi",
            "secret": "file:bi.password",
            "proof": [{"server": name_of(replica), "ok": True, "detail": "lets it in, and refuses the former one"}],
        }
    ]
    assert kept(granted) != former
    assert lets_in(granted, kept(granted))
    assert not lets_in(granted, former)
    assert found_by_audit(granted, "login-unrotated") == []
    path.unlink()  # an auditor on another machine has none, and cannot tell
    audited = granted.run("audit", "--format", "json", "--history", "none")
    assert audited.document["not_checked"] == []


def found_by_audit(shop: Shop, rule: str) -> list[dict[str, Any]]:
    ran = shop.run("audit", "--format", "json", "--history", "none")
    assert ran.document["not_checked"] == []
    findings = ran.document["findings"]
    saw((each["rule"], each["subject"], each["object"]) for each in findings)
    return [each for each in findings if each["rule"] == rule]


def test_a_run_that_was_killed_in_between_is_finished_by_the_same_command(granted: Shop) -> None:
    former = kept(granted)
    with granted.session("postgres") as other, other.transaction(force_rollback=True):
        other.execute("ALTER ROLE bi CONNECTION LIMIT 7")  # whoever alters bi now waits
        with granted.run.begun("user", "rotate", "bi", "--yes"):
            wait_for_another(granted, former)
    stored = kept(granted)
    assert lets_in(granted, former)
    assert not lets_in(granted, stored)
    verified = granted.run("verify")
    assert (verified.status, "`replica-access user rotate`" in verified.out) == (3, True), verified
    assert granted.run("user", "rotate", "bi", "--yes").status == 0
    assert kept(granted) not in {former, stored}
    assert lets_in(granted, kept(granted))
    assert not lets_in(granted, former)


def test_what_the_primary_refuses_leaves_the_former_password_where_it_was(granted: Shop) -> None:
    former = kept(granted)
    with granted.session("postgres") as other:
        try:
            with other.transaction():
                other.execute("ALTER ROLE bi SUPERUSER")
                with granted.run.begun("user", "rotate", "bi", "--yes") as running:
                    wait_for_another(granted, former)
                    other.execute("COMMIT; BEGIN")
                    ran = running.end()
        finally:
            other.execute("ALTER ROLE bi NOSUPERUSER")
    assert ran.status == 3, ran
    assert "the admin master may not alter it" in ran.err
    assert kept(granted) == former
    assert lets_in(granted, former)


def wait_for_another(shop: Shop, former: str) -> None:
    for _ in polls(30):
        if kept(shop) != former:
            return
    raise AssertionError("no other password was stored")


def test_all_are_those_that_have_a_password_and_have_not_expired(granted: Shop) -> None:
    more = "[users.robot]\nauth = 'iam'\n[users.over]\nvalid_until = 2020-01-31\n"
    with granted.run.spec.open("a", encoding="utf-8") as file:
        file.write(more)
    former = kept(granted)
    found = done(granted.run("user", "rotate", "--all", "--yes", "--format", "json"))
    assert [each["user"] for each in found["rotated"]] == ["bi"]
    assert {each["user"]: each["reason"] for each in found["skipped"]} == {
        "robot": "logs in by IAM and has no password",
        "over": "has expired",
    }
    assert kept(granted) != former


REFUSED = {
    ("rotate",): (2, "Whose password shall be another one?"),
    ("rotate", "bi", "--all", "--yes"): (2, "Whose password shall be another one?"),
    ("rotate", "bj", "--yes"): (2, "There is no user bj in the spec."),
    ("rotate", "readers", "--yes"): (2, "readers is a role of the spec, and nobody logs in as that."),
    ("rotate", "robot", "--yes"): (2, "robot logs in by IAM and has no password"),
    ("rotate", "over", "--yes"): (1, "over has expired"),
    ("rotate", "later", "--yes"): (1, "role later: there is no such role yet"),
    ("rotate", "theirs", "--yes"): (1, "role theirs: its password is not in file:theirs.password"),
    ("rotate", "bi"): (2, "There is no terminal to ask on."),
    ("expire", "robot", "--yes"): (2, "robot logs in by IAM, where PostgreSQL asks for no last day."),
    ("expire", "bj", "--yes"): (2, "There is no user bj in the spec."),
    ("expire", "bi", "--yes", "--end-sessions", "--at", "2999-12-31"): (2, "2999-12-31 is not over"),
    ("expire", "bi"): (2, "There is no terminal to ask on."),
    ("drop", "theirs", "--yes"): (1, "no run is known here to have made it"),
    ("drop", "readers", "--yes"): (2, "readers is a role of the spec, and nobody logs in as that."),
    ("drop", "bi"): (2, "There is no terminal to ask on."),
}


def test_what_is_refused_changes_nothing(granted: Shop) -> None:
    more = "[users.robot]\nauth = 'iam'\n[users.over]\nvalid_until = 2020-01-31\n[users.later]\n[users.theirs]\n"
    with granted.run.spec.open("a", encoding="utf-8") as file:
        file.write(more)
    granted.sql("CREATE ROLE theirs LOGIN")
    former, spec = kept(granted), granted.run.spec.read_bytes()
    try:
        with granted.unchanged():
            for arguments, (status, sentence) in REFUSED.items():
                ran = granted.run("user", *arguments)
                assert (ran.status, ran.has_traceback) == (status, False), (arguments, ran)
                assert sentence in ran.err, (arguments, ran)
    finally:
        granted.sql("DROP ROLE theirs")
    assert (kept(granted), granted.run.spec.read_bytes()) == (former, spec)
    assert not (granted.run.directory / "theirs.password").exists()


# --- expire ----------------------------------------------------------------------------------------------------------


def test_an_expired_user_is_let_in_no_more_and_its_sessions_end_where_that_is_asked(
    granted: Shop, replica: PostgresServer
) -> None:
    yesterday = (datetime.now(UTC).date() - timedelta(days=1)).isoformat()
    where = {"host": replica.host, "port": str(replica.port)}
    with granted.as_user(**where) as open_one:
        found = done(granted.run("user", "expire", "bi", "--yes", "--format", "json"))
        assert open_one.execute("SELECT 1").fetchone() == (1,)
        assert (found["last_day"], found["edited"], len(found["applied"]), found["notes"]) == (yesterday, True, 1, [])
        assert not lets_in(granted, kept(granted))
        assert f"valid_until = {yesterday}\n" in granted.run.spec.read_text(encoding="utf-8")
        assert granted.run("plan", "--check").status == 0
        again = done(granted.run("user", "expire", "bi", "--yes", "--end-sessions", "--format", "json"))
        assert (again["edited"], again["applied"]) == (False, [])
        assert again["notes"] == [f"{name_of(replica)}: 1 session of bi ended."]
        with pytest.raises(psycopg.OperationalError):
            open_one.execute("SELECT 1")
    revived = granted.run("user", "expire", "bi", "--yes", "--at", "2999-12-31")
    assert revived.status == 0, revived
    assert lets_in(granted, kept(granted))
    undo = revived.out.rpartition("psql -f ")[2].strip()
    assert "VALID UNTIL" in (granted.run.directory / undo).read_text(encoding="utf-8")
    assert granted.run("user", "expire", "bi", "--yes", "--at", "2999-12-31").out == "Nothing to do.\n"


@proves("login-no-expiry", "login-expired", from_the_start=True)
def test_what_an_audit_says_of_a_last_day_is_mended_by_these_commands(granted: Shop) -> None:
    (endless,) = found_by_audit(granted, "login-no-expiry")
    assert run_remedy(granted, endless).startswith("user expire bi --at 20")
    assert found_by_audit(granted, "login-no-expiry") == []
    assert granted.run("user", "expire", "bi", "--yes").status == 0
    (expired,) = found_by_audit(granted, "login-expired")
    password = kept(granted)
    assert run_remedy(granted, expired) == "user drop bi --yes"
    assert found_by_audit(granted, "login-expired") == []
    assert not lets_in(granted, password)


def run_remedy(shop: Shop, finding: dict[str, Any]) -> str:
    """Run the first command of it; what follows is for a person to choose."""
    command = finding["remedy"].partition("\n")[0].removeprefix("replica-access ")
    ran = shop.run(*command.split())
    assert ran.status == 0, ran
    return str(command)


# --- drop ------------------------------------------------------------------------------------------------------------

OTHER = """
[users.bo]
[[grants]]
to = "bo"
databases = ["shop"]
privileges = ["read", "execute"]
"""


@pytest.fixture
def two(shop: Shop, replica: PostgresServer) -> Iterator[Shop]:
    """There is another user beside bi, with grants of its own."""
    declare(shop, replica)
    with shop.run.spec.open("a", encoding="utf-8") as file:
        file.write(OTHER)
    applied = shop.run("apply", "--yes", "--quiet")
    assert applied.status == 0, applied
    yield shop
    shop.forget_readers("bo")


def test_a_dropped_user_is_gone_from_everywhere_and_nobody_else_is_touched(two: Shop, replica: PostgresServer) -> None:
    two.sql("SET ROLE app_owner; CREATE TABLE sales.extra (); GRANT INSERT ON sales.extra TO bo")
    password, before = kept(two, "bo"), [fact for fact in two.facts() if "bo" not in fact]
    try:
        with two.as_user("bo", host=replica.host, port=str(replica.port)) as open_one:
            found = done(two.run("user", "drop", "bo", "--yes", "--format", "json"))
            with pytest.raises(psycopg.OperationalError):
                open_one.execute("SELECT 1")
        assert found["notes"] == ["deleted file:bo.password", f"{name_of(replica)}: 1 session of bo ended."]
        assert not lets_in(two, password, "bo")
        assert [fact for fact in two.facts() if "bo" not in fact] == before
        assert not [fact for fact in two.facts() if "bo=" in fact or "role bo " in fact]
        assert "bo" not in two.run.spec.read_text(encoding="utf-8")
        assert not (two.run.directory / "bo.password").exists()
        assert two.run("plan", "--check").status == 0
        assert two.run("user", "drop", "bo", "--yes").status == 2  # nobody knows it any more
        assert psql(two, two.run.directory / found["undo"]).returncode == 0
        assert two.sql("SELECT has_table_privilege('bo', 'sales.extra', 'INSERT')") == "t"
    finally:
        two.sql("DROP TABLE sales.extra")


def test_what_a_user_owns_is_never_dropped_with_it(two: Shop) -> None:
    two.sql('CREATE TABLE sales."Mine" (); ALTER TABLE sales."Mine" OWNER TO bo')
    spec = two.run.spec.read_bytes()
    try:
        with two.unchanged():
            ran = two.run("user", "drop", "bo", "--yes")
        assert ran.status == 1, ran
        assert '- shop: table sales."Mine"\n' in ran.err
        assert 'REASSIGN OWNED BY "bo" TO …' in ran.err
        assert two.run.spec.read_bytes() == spec
        assert kept(two, "bo")
        two.sql("REASSIGN OWNED BY bo TO app_owner")
        assert two.run("user", "drop", "bo", "--yes").status == 0
        assert two.sql("SELECT tableowner FROM pg_tables WHERE tablename = 'Mine'") == "app_owner"
    finally:
        two.sql('DROP TABLE sales."Mine"')


def test_whoever_drops_is_asked_for_all_of_it_at_once(two: Shop) -> None:
    with two.unchanged():
        said = two.run.on_terminal("user", "drop", "bo", answer=lambda: "n")
    assert "Delete file:bo.password, take bo out of replica-access.toml and apply " in said.out
    assert "drop the role bo, which a run has made" in said.out
    assert kept(two, "bo")


def test_a_drop_that_was_killed_in_between_is_finished_by_the_same_command(two: Shop) -> None:
    with two.session("shop") as other, other.transaction(force_rollback=True):
        other.execute("GRANT UPDATE ON sales.orders TO boss")  # whoever revokes something on it now waits
        with two.run.begun("user", "drop", "bo", "--yes"):
            for _ in polls(30):
                if two.sql("SELECT count(*) FROM pg_locks WHERE NOT granted") != "0":
                    break
            else:
                raise AssertionError("nothing waits for the lock")
    assert "bo" not in two.run.spec.read_text(encoding="utf-8")
    assert two.sql("SELECT rolcanlogin FROM pg_roles WHERE rolname = 'bo'") == "f"  # shut out first
    assert two.sql("SELECT has_table_privilege('bo', 'sales.orders', 'SELECT')") == "t"
    finished = two.run("user", "drop", "bo", "--yes")
    assert finished.status == 0, finished
    assert two.sql("SELECT count(*) FROM pg_roles WHERE rolname = 'bo'") == "0"
    assert two.run("plan", "--check").status == 0

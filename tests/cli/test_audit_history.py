"""The audit as a scheduler runs it: recorded, compared with the run before, and written as reports."""

from __future__ import annotations

import csv
import json
import resource
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.cli.conftest import Shop
from tests.cli.program import Ran


@pytest.fixture
def audited(shop: Shop) -> Shop:
    """A shop as declared, whose first audit is recorded."""
    assert shop.run("apply", "--yes").status == 0
    shop.sql("ALTER ROLE bi VALID UNTIL '2020-01-01'")
    audit(shop, status=None)
    return shop


def audit(shop: Shop, *options: str, status: int | None = 0, **environment: str) -> Ran:
    ran = shop.run("audit", "--fail-on", "never", *options, **environment)
    assert status is None or ran.status == status, ran
    assert not ran.has_traceback, ran
    return ran


def found(ran: Ran) -> set[tuple[str, str]]:
    return {(each["rule"], each["subject"]) for each in ran.document["findings"]}


def test_each_run_is_recorded_and_says_what_has_changed(audited: Shop) -> None:
    first = shop_runs(audited)
    assert [run["run"] for run in first] == [1]
    again = audit(audited, "--format", "json", status=None).document
    assert again["history"]["run"] == 2
    assert again["history"]["since"] == {"run": 1, "at": first[0]["at"], "changes": []}
    assert {each["new"] for each in again["findings"]} == {False}

    audited.sql("GRANT readers TO bi WITH ADMIN OPTION")
    changed = audit(audited, "--format", "json", status=None).document
    (new,) = [each for each in changed["findings"] if each["new"]]
    assert new["subject"] == "bi"
    assert [(each["turn"], each["rule"]) for each in changed["history"]["since"]["changes"]] == [("new", new["rule"])]
    told = audited.run("audit", "diff")
    assert told.status == 0
    assert told.out.splitlines()[1].startswith("  new")
    assert new["message"] in told.out

    audited.sql("REVOKE ADMIN OPTION FOR readers FROM bi")
    audit(audited, status=None)
    assert "no longer found" in audited.run("audit", "diff").out
    assert "nothing has changed" in audited.run("audit", "diff", "1", "4").out
    document = audited.run("--format", "json", "audit", "diff", "2").document
    assert (document["from"], document["to"], document["changes"]) == (2, 4, [])
    missing = audited.run("audit", "diff", "9")
    assert missing.status == 2
    assert "has no run 9" in missing.err


def shop_runs(shop: Shop) -> list[dict[str, object]]:
    runs: list[dict[str, object]] = shop.run("--format", "json", "audit", "list").document["runs"]
    return runs


def test_only_what_is_new_is_told_and_fails_the_run(audited: Shop) -> None:
    known = audited.run("audit", "--fail-on", "low")
    assert known.status == 3
    nothing = audited.run(
        "audit", "--fail-on", "low", "--new-only", "-q", "--report", "sarif=a.sarif", "--report", "html=a.html"
    )
    assert (nothing.status, nothing.out, nothing.err) == (0, "", "")
    (state,) = json.loads((audited.run.directory / "a.sarif").read_text(encoding="utf-8"))["runs"]
    assert {each["baselineState"] for each in state["results"]} == {"unchanged"}, "no code host takes it for mended"
    assert "bi has expired" in (audited.run.directory / "a.html").read_text(encoding="utf-8")
    audited.sql("GRANT readers TO bi WITH ADMIN OPTION")
    new = audited.run("--format", "json", "audit", "--fail-on", "low", "--new-only")
    assert new.status == 3
    assert {each["subject"] for each in new.document["findings"]} == {"bi"}
    assert len(new.document["findings"]) == 1
    assert audited.run("audit", "--fail-on", "low", "--new-only", "-q").status == 0
    refused = audited.run("audit", "--new-only", "--history", "none")
    assert refused.status == 2


def test_nothing_is_kept_where_nobody_wants_it(shop: Shop) -> None:
    ran = audit(shop, "--history", "none", "--format", "json", status=None)
    assert ran.document["history"] is None
    assert not list(shop.run.directory.glob("*.db"))
    for command in ("list", "diff", "verify-history"):
        without = shop.run("audit", command)
        assert without.status == 2
        assert "There is no history" in without.err
    assert not list(shop.run.directory.glob("*.db"))


def test_an_altered_history_is_found_out(audited: Shop) -> None:
    audit(audited, status=None)
    hashes = [str(run["hash"]) for run in shop_runs(audited)]
    sound = audited.run("audit", "verify-history", "--expect", hashes[0][:16])
    assert sound.status == 0
    assert hashes[1] in sound.out
    assert audited.run("audit", "verify-history", "--expect", "00ff00ff00ff").status == 3
    assert audited.run("audit", "verify-history", "--expect", "00ff").status == 2
    with closing(sqlite3.connect(audited.run.directory / "replica-access.history.db")) as history:
        history.execute("UPDATE replica_access_run SET about = '{}' WHERE number = 2")
        history.commit()
    altered = audited.run("--format", "json", "audit", "verify-history")
    assert (altered.status, altered.document["ok"]) == (3, False)
    assert "Run 2 in " in altered.err
    assert "Runs 1 to 1 fit" in altered.err


def test_a_history_on_a_server_and_no_password_on_a_command_line(audited: Shop) -> None:
    server = audited.server
    user, where = f"{server.superuser}", f"{server.host}:{server.port}/postgres"
    with_password = f"postgresql://{user}:{server.superuser_password}@{where}"
    refused = audited.run("audit", "--history", with_password)
    assert refused.status == 2
    assert server.superuser_password not in refused.err
    audit(audited, status=None, REPLICA_ACCESS_HISTORY=with_password)
    listed = audited.run("audit", "list", REPLICA_ACCESS_HISTORY=with_password)
    assert listed.status == 0
    assert len(listed.out.splitlines()) == 1
    told = audited.run(
        "audit", "--history", f"postgresql://{user}@{where}", "list", PGPASSWORD=server.superuser_password
    )
    assert told.out == listed.out
    server.psql("DROP TABLE replica_access_history, replica_access_change, replica_access_run, replica_access_entry")


def test_every_report_in_one_run(audited: Shop) -> None:
    names = {"csv": "a.csv", "sarif": "a.sarif", "junit": "a.xml", "html": "a.html", "json": "a.json", "table": "a.txt"}
    ran = audit(audited, *(f"--report={name}={file}" for name, file in names.items()), status=None)
    assert ran.out.startswith(("High", "Medium", "Low", "Info"))
    texts = {name: (audited.run.directory / file).read_text(encoding="utf-8") for name, file in names.items()}
    document = json.loads(texts["json"])
    number = len(document["findings"])
    assert number
    assert len(list(csv.DictReader(texts["csv"].splitlines()))) == number + len(document["not_checked"])
    assert len(json.loads(texts["sarif"])["runs"][0]["results"]) == number
    assert ElementTree.fromstring(texts["junit"]).tag == "testsuites"  # noqa: S314  # ours
    assert f"run {document['history']['run']}" in texts["html"]
    assert texts["table"] == ran.out
    printed = audit(audited, "--report", "csv", status=None)
    assert printed.out.startswith("status,severity,rule,")
    audit(audited, "--report", "csv", "--out", "b.csv", status=None)
    assert (audited.run.directory / "b.csv").exists()


@pytest.mark.parametrize(
    "options",
    [
        "--report pdf",
        "--out x.html",
        "--report csv --report html",
        "--report html=no/where.html",
        "--format json --report csv",
    ],
)
def test_reports_that_make_no_sense_are_refused_before_anything_is_looked_at(shop: Shop, options: str) -> None:
    ran = shop.run("audit", *options.split())
    assert ran.status == 2
    assert ran.out == ""
    assert not list(shop.run.directory.glob("*.db"))


def test_a_full_disk_costs_the_record_and_not_the_result(audited: Shop) -> None:
    """No file may grow beyond what the history has: what a full disk does, for this program alone."""
    audited.sql("GRANT readers TO bi WITH ADMIN OPTION")
    history = audited.run.directory / "replica-access.history.db"
    size = history.stat().st_size
    ran = subprocess.run(
        [sys.executable, "-m", "replica_access", "audit", "--fail-on", "never", "--report", "csv"],
        cwd=audited.run.directory,
        env=audited.run.whole_environment({}),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size // 8, size // 8)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1, ran
    assert "login-admin-option" in ran.stdout
    assert "replica-access.history.db cannot be used" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert audited.run("audit", "verify-history").status == 0
    assert len(shop_runs(audited)) == 1


def test_findings_come_before_what_could_not_be_recorded(audited: Shop) -> None:
    Path(audited.run.directory / "no.db").write_text("this is no database at all" * 99, encoding="utf-8")
    ran = audited.run("audit", "--fail-on", "low", "--history", "no.db")
    assert ran.status == 3
    assert "no.db cannot be used" in ran.err
    assert "finding" in ran.err.splitlines()[-2]
    only = audited.run("audit", "--fail-on", "never", "--history", "no.db")
    assert only.status == 1
    assert only.out


def test_what_readers_gain_and_lose_is_told_with_the_way_and_the_grantor(audited: Shop) -> None:
    audited.sql("SET ROLE app_owner; GRANT INSERT ON sales.orders TO readers; CREATE TABLE sales.more (); RESET ROLE")
    audit(audited, status=None)
    told = audited.run("audit", "diff").out
    for sentence in (
        "bi gained INSERT on table orders in sales, database shop through readers; granted by app_owner",
        "bi gained SELECT on table more in sales, database shop through readers; granted by app_owner",
        "readers gained INSERT on table orders in sales, database shop; granted by app_owner",
    ):
        assert sentence in told
    audited.sql("SET ROLE app_owner; REVOKE INSERT ON sales.orders FROM readers; DROP TABLE sales.more; RESET ROLE")
    audit(audited, status=None)
    assert "bi lost INSERT on table orders in sales, database shop through readers" in audited.run("audit", "diff").out
    assert audited.run("audit", "diff", "1", "3").out.splitlines()[1:] == ["  nothing has changed"]
    assert audited.run("audit", "verify-history").status == 0


def test_of_a_run_that_could_not_look_nothing_is_taken_for_mended(audited: Shop) -> None:
    """The server is out of reach, and then back."""
    audited.declare(dsn=audited.dsn(connect_timeout="2", sslrootcert="nowhere.pem"))
    assert audited.run("audit", "--fail-on", "never").status == 4
    told = audited.run("audit", "diff").out
    assert "no longer found, by a run that could not look at everything" in told
    assert "what readers hold in database shop is not known" in told
    assert "lost" not in told
    audited.declare()
    audit(audited, status=None)
    assert audited.run("audit", "diff", "1", "3").out.splitlines()[1:] == ["  nothing has changed"]

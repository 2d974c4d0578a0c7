"""The history of audits: what is recorded stays as it was, whole or not at all, and whoever alters it is found out."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, event

from replica_access.audit.history import NONE, History, open_history
from replica_access.audit.history_schema import MIGRATIONS
from replica_access.audit.history_store import locate, named
from replica_access.audit.snapshot import entries_of
from replica_access.errors import HistoryError, UsageError
from replica_access.findings import Audit, Finding, NotChecked
from replica_access.sandbox.binaries import find_installation
from replica_access.sandbox.server import PostgresServer

pytestmark = pytest.mark.parametrize("installation", [find_installation()], indirect=True, ids=str, scope="session")

AT = "2026-11-26T02:00:00+00:00"


def finding(subject: str, message: str = "has too much") -> Finding:
    return Finding("readers-write", "high", "prod-db", "app", subject, "app.orders", message, "REVOKE …", "bi=w/owner")


def audit(*subjects: str) -> Audit:
    return Audit(tuple(finding(subject) for subject in subjects))


def record(history: History, found: Audit, at: str = AT) -> int:
    run, _ = history.record(at, {"summary": dict(found.summary)}, entries_of(found))
    return run.number


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installation: object) -> str:
    """A place for a history; the password of the server is where libpq looks for it."""
    if request.param == "sqlite":
        return str(tmp_path / "history.db")
    server: PostgresServer = request.getfixturevalue("primary")
    make_database: Callable[..., str] = request.getfixturevalue("make_database")
    monkeypatch.setenv("PGPASSWORD", server.superuser_password)
    return f"postgresql://{server.superuser}@{server.host}:{server.port}/{make_database('history')}"


@pytest.fixture
def history(where: str) -> History:
    return open_history(where, "prod-db", create=True)


@pytest.fixture
def file(tmp_path: Path, installation: object) -> Path:
    return tmp_path / "history.db"


# --- what is recorded is there ----------------------------------------------------------------------------------------


def test_each_run_has_what_it_saw_and_the_hash_of_the_one_before(history: History, where: str) -> None:
    seen = [audit("bi", "etl"), audit("etl", "PUBLIC"), audit("etl", "PUBLIC"), audit()]
    for found in seen:
        record(history, found)
    again = open_history(where, "prod-db", create=False)
    runs = again.runs()
    assert [run.number for run in runs] == [1, 2, 3, 4]
    assert [run.about["summary"]["high"] for run in runs] == [2, 2, 2, 0]
    assert [again.entries(number) for number in (1, 2, 3, 4)] == [entries_of(found) for found in seen]
    assert len({run.hash for run in runs}) == 4
    verdict = again.verify()
    assert (verdict.runs, verdict.broken, verdict.hash) == (4, None, runs[-1].hash)


def test_what_lies_between_two_runs(history: History) -> None:
    for found in (audit("bi"), audit("bi", "etl"), audit("etl"), audit("etl", "bi"), audit("etl")):
        record(history, found)

    def subjects(former: int, latter: int) -> tuple[list[str], list[str]]:
        delta = history.between(former, latter)
        return tuple([str(entry.values["subject"]) for entry in some] for some in (delta.appeared, delta.gone))  # type: ignore[return-value]

    assert subjects(1, 2) == (["etl"], [])
    assert subjects(2, 4) == ([], [])  # bi went and came back
    assert subjects(1, 5) == (["etl"], ["bi"])
    assert subjects(3, 3) == ([], [])


def test_targets_in_one_store_have_chains_of_their_own(where: str, history: History) -> None:
    other = open_history(where, "other-db", create=True)
    record(history, audit("bi"))
    record(other, audit("bi", "etl"))
    record(history, audit())
    assert [len(history.entries(number)) for number in (1, 2)] == [1, 0]
    assert [run.number for run in other.runs()] == [1]
    assert history.verify().runs == 2
    assert other.verify().broken is None


def test_an_entry_is_stored_once_and_a_run_that_saw_nothing_new_is_one_row(file: Path) -> None:
    history = open_history(file, "prod-db", create=True)
    many = audit(*(f"role{number}" for number in range(1200)))
    for _ in range(3):
        record(history, many)
    assert rows(file) == {"run": 3, "entry": 1200, "change": 1200}
    record(history, Audit((*many.findings[1:], finding("one more"))))
    assert rows(file) == {"run": 4, "entry": 1201, "change": 1202}


def rows(file: Path) -> dict[str, int]:
    with closing(sqlite3.connect(file)) as connection:
        return {
            table: connection.execute(f"SELECT count(*) FROM replica_access_{table}").fetchone()[0]
            for table in ("run", "entry", "change")
        }


SUBJECTS = st.sets(st.sampled_from(["bi", "etl", "PUBLIC", "odd", "caf\\xe9"]))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seen=st.lists(SUBJECTS, min_size=1, max_size=7))
def test_any_series_of_runs_can_be_read_back(
    tmp_path_factory: pytest.TempPathFactory, seen: list[set[str]], installation: object
) -> None:
    history = open_history(tmp_path_factory.mktemp("any") / "history.db", "prod-db", create=True)
    for subjects in seen:
        record(history, audit(*sorted(subjects)))
    states = [entries_of(audit(*subjects)) for subjects in seen]
    assert [history.entries(number) for number in range(1, len(seen) + 1)] == states
    for former, before in enumerate(states, 1):
        for latter, after in enumerate(states[former - 1 :], former):
            delta = history.between(former, latter)
            assert {entry.digest for entry in delta.appeared} == after.keys() - before.keys()
            assert {entry.digest for entry in delta.gone} == before.keys() - after.keys()
    assert history.verify().broken is None


# --- whoever alters it is found out -----------------------------------------------------------------------------------

NO_THIRD = "DELETE FROM replica_access_run WHERE number = 3"
ALTERED = {
    "a finding": (
        "UPDATE replica_access_entry SET content = replace(content, 'etl', 'bi') WHERE content LIKE '%etl%'",
        2,
    ),
    "a kind": ("UPDATE replica_access_entry SET kind = 'accepted' WHERE content LIKE '%PUBLIC%'", 3),
    "when": ("UPDATE replica_access_run SET at = '2020-01-01T00:00:00+00:00' WHERE number = 3", 3),
    "a summary": ("UPDATE replica_access_run SET about = '{}' WHERE number = 2", 2),
    "whose": ("UPDATE replica_access_run SET target = 'else' WHERE number = 4", 4),
    "a hash": (f"UPDATE replica_access_run SET hash = '{NONE}' WHERE number = 2", 2),
    "what is before": (f"UPDATE replica_access_run SET previous = '{NONE}' WHERE number = 3", 3),
    "something seen": ("DELETE FROM replica_access_change WHERE run = 2 AND appeared", 2),
    "what went": ("UPDATE replica_access_change SET appeared = TRUE WHERE run = 4 AND NOT appeared", 4),
    "the first run": ("DELETE FROM replica_access_run WHERE number = 1", 1),
    "a run": (NO_THIRD, 3),
    "a run and its number": (f"{NO_THIRD}; UPDATE replica_access_run SET number = number - 1 WHERE number > 3", 3),
    "the last run": ("DELETE FROM replica_access_run WHERE number = 5", 5),
    "what is no text": ("UPDATE replica_access_run SET at = x'ff' WHERE number = 2", 2),
    "other letters": ("UPDATE replica_access_entry SET content = content || 'é' WHERE content LIKE '%etl%'", 2),
    "an entry": ("DELETE FROM replica_access_entry WHERE content LIKE '%PUBLIC%'", 3),
}


@pytest.mark.parametrize("what", ALTERED)
def test_an_altered_history_is_found_out_at_the_first_run_that_does_not_fit(file: Path, what: str) -> None:
    history = open_history(file, "prod-db", create=True)
    for found in (audit("bi"), audit("bi", "etl"), audit("bi", "etl", "PUBLIC"), audit("bi", "PUBLIC"), audit("bi")):
        record(history, found)
    runs = history.runs()
    assert history.verify().broken is None
    script, broken = ALTERED[what]
    with closing(sqlite3.connect(file)) as connection:
        before = "".join(connection.iterdump())
        connection.executescript(script)
        assert "".join(connection.iterdump()) != before
    verdict = history.verify()
    assert verdict.broken == broken, verdict
    assert verdict.why
    assert verdict.hash == (runs[broken - 2].hash if broken > 1 else NONE)


@pytest.mark.parametrize(
    "script",
    [
        "UPDATE replica_access_entry SET content = '{}'",
        "DELETE FROM replica_access_entry",
        "UPDATE replica_access_run SET about = 'nothing'",
        """UPDATE replica_access_run SET about = '{"summary": ["high"]}'""",
        "UPDATE replica_access_history SET version = 'one'",
    ],
)
def test_what_was_altered_is_not_told_as_what_a_run_saw(file: Path, script: str) -> None:
    record(open_history(file, "prod-db", create=True), audit("bi"))
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(script)

    def read() -> None:
        history = open_history(file, "prod-db", create=False)
        history.entries(history.runs()[-1].number)

    with pytest.raises(HistoryError, match="histor"):
        read()


# --- two at once, no room, no permission ------------------------------------------------------------------------------

WRITER = """
import sys
from replica_access.audit.history import open_history
from replica_access.audit.snapshot import entries_of
from replica_access.findings import Audit, Finding
where, name, number = sys.argv[1:]
for turn in range(int(number)):
    history = open_history(where, "prod-db", create=True)
    seen = Audit((Finding("readers-write", "high", "prod-db", None, f"{name} {turn}", "", "", "", ""),))
    history.record(f"2026-11-26T02:00:0{turn}+00:00", {"by": name}, entries_of(seen))
"""


def test_two_programs_that_write_at_once_lose_nothing(where: str) -> None:
    """They begin with no history at all, so that they also make its tables at once."""
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, where, name, "6"], stderr=subprocess.PIPE)
        for name in ("one", "two", "three")
    ]
    for writer in writers:
        _, err = writer.communicate()
        assert (writer.returncode, err) == (0, b"")
    history = open_history(where, "prod-db", create=False)
    runs = history.runs()
    assert [run.number for run in runs] == list(range(1, 19))
    assert sorted(run.about["by"] for run in runs) == sorted(["one", "two", "three"] * 6)
    assert [len(history.entries(run.number)) for run in runs] == [1] * 18
    assert history.verify().broken is None


def test_who_waits_for_too_long_is_told_and_nothing_is_half_written(where: str, history: History) -> None:
    record(history, audit("bi"))
    impatient = open_history(where, "prod-db", create=True, patience=0.2)
    with history.store.writing(), pytest.raises(HistoryError, match="cannot be used") as refused:
        record(impatient, audit("etl"))
    assert refused.value.fix == "Another run has been writing to it all the while. Run the audit again."
    assert len(history.runs()) == 1
    assert record(impatient, audit("etl")) == 2


def test_a_full_disk_is_said_and_costs_nothing_that_was_there(file: Path) -> None:
    history = open_history(file, "prod-db", create=True)
    record(history, audit("bi"))

    def full(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA max_page_count = 20")

    event.listen(history.store.engine, "connect", full)
    with pytest.raises(HistoryError, match="database or disk is full") as refused:
        record(history, audit(*(f"role{number}" for number in range(2000))))
    assert refused.value.fix.startswith("Make room on the disk")
    assert history.entries(1) == entries_of(audit("bi"))
    assert history.verify().runs == 1
    event.remove(history.store.engine, "connect", full)
    assert record(history, audit("etl")) == 2
    assert history.verify().broken is None


def test_a_run_that_is_killed_while_it_writes_leaves_no_trace(file: Path) -> None:
    history = open_history(file, "prod-db", create=True)
    record(history, audit("bi"))
    program = """
import os, sys
from replica_access.audit import history as module
from replica_access.audit.snapshot import entries_of
from replica_access.findings import Audit, Finding
seen = Audit(tuple(Finding("r", "high", "s", None, str(n), "", "", "", "") for n in range(3000)))
portions = module._portions
def dies(rows):
    for number, portion in enumerate(portions(rows)):
        if number == 3:
            os.kill(os.getpid(), 9)
        yield portion
module._portions = dies
module.open_history(sys.argv[1], "prod-db", create=True).record("2026-11-26T03:00:00+00:00", {}, entries_of(seen))
"""
    ended = subprocess.run([sys.executable, "-c", program, file], check=False)
    assert ended.returncode == -9
    assert rows(file) == {"run": 1, "entry": 1, "change": 1}
    assert record(history, audit("etl")) == 2
    assert history.verify().broken is None


def test_a_history_is_for_its_owner_alone(file: Path) -> None:
    open_history(file, "prod-db", create=True)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_what_is_no_history_is_left_as_it_is(file: Path) -> None:
    file.write_text("my diary, which is long enough to be looked at" * 100, encoding="utf-8")
    with pytest.raises(HistoryError, match="not a database") as refused:
        open_history(file, "prod-db", create=True)
    assert "move the file away" in refused.value.fix
    assert file.read_text(encoding="utf-8").startswith("my diary")


def test_where_nothing_was_recorded_reading_says_so_and_makes_nothing(where: str) -> None:
    with pytest.raises(UsageError, match="There is no history"):
        open_history(where, "prod-db", create=False)
    if "://" not in where:
        assert not Path(where).exists()


def test_a_directory_that_is_not_there(tmp_path: Path, installation: object) -> None:
    with pytest.raises(HistoryError, match="No such file or directory"):
        open_history(tmp_path / "nowhere" / "history.db", "prod-db", create=True)


# --- its tables -------------------------------------------------------------------------------------------------------


def add_note(connection: Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE replica_access_run ADD COLUMN note TEXT DEFAULT 'none'")


def fail(connection: Connection) -> None:
    add_note(connection)
    connection.exec_driver_sql("SELECT nothing_of_that_name FROM nowhere")


def test_older_tables_become_the_present_ones_by_themselves(where: str, history: History) -> None:
    record(history, audit("bi"))
    newer = open_history(where, "prod-db", create=False, migrations=(*MIGRATIONS, add_note))
    assert newer.verify().broken is None
    with newer.store.reading() as connection:
        assert connection.exec_driver_sql("SELECT note FROM replica_access_run").scalar() == "none"
    open_history(where, "prod-db", create=False, migrations=(*MIGRATIONS, add_note))  # once is enough
    with pytest.raises(
        HistoryError, match="written by a newer replica-access: its tables have version 2, and this one"
    ):
        open_history(where, "prod-db", create=True)


def test_a_migration_that_fails_leaves_everything_as_it_was(where: str, history: History) -> None:
    record(history, audit("bi"))
    with pytest.raises(HistoryError):
        open_history(where, "prod-db", create=False, migrations=(*MIGRATIONS, fail))
    assert open_history(where, "prod-db", create=False).verify().runs == 1
    open_history(where, "prod-db", create=False, migrations=(*MIGRATIONS, add_note))  # the column is not there yet


# --- where it is ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["mysql://db/audit", "postgresql://db:port/x", "sqlite://", "https://example.com/x"])
def test_where_no_history_can_be_kept(where: str, installation: object) -> None:
    with pytest.raises(UsageError, match="--history") as refused:
        open_history(where, "prod-db", create=True)
    assert "postgresql://" in refused.value.fix


def test_no_password_is_told(primary: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGPASSWORD", raising=False)
    url = f"postgresql://{primary.superuser}:hunter2@{primary.host}:{primary.port}/nowhere"
    with pytest.raises(HistoryError) as refused:
        open_history(url, "prod-db", create=True)
    assert "hunter2" not in str(refused.value)
    assert "hunter2" not in repr(refused.value.__context__)
    assert f"postgresql://{primary.superuser}:***@{primary.host}" in refused.value.what
    told = named(locate("postgres://audit@db1/audit?password=hunter2&sslpassword=hunter3&sslmode=require"))
    assert "hunter" not in told
    assert told.startswith("postgresql://audit@db1/audit?")
    assert "sslmode=require" in told


def test_not_checked_is_remembered_too(file: Path) -> None:
    history = open_history(file, "prod-db", create=True)
    found = Audit(not_checked=(NotChecked("database app", "connection refused"),))
    record(history, found)
    assert history.entries(1) == entries_of(found)

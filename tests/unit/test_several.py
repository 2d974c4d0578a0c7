"""Several specs in one run: which are meant, what keeps one from being audited, and how their runs are told apart."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from replica_access import auditing, reporting
from replica_access.audit.facts import Facts
from replica_access.cli import specs
from replica_access.errors import Crashed, HistoryError, SpecError
from replica_access.findings import Audit, Finding
from replica_access.hosting import Hosting
from replica_access.progress import SILENT, Progress
from replica_access.several import AT_ONCE, Audited, Wish, audit_each
from replica_access.spec import Spec, parse

TEXT = 'version = 1\n[primary]\ndsn = "host=%s"\n[roles.readers]\n'
BEGAN = datetime(2026, 11, 26, 5, 15, tzinfo=UTC)


class Watched:
    """A board that notes who is under way."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def begun(self, name: str) -> Progress:
        self.told.append(("begun", name))
        return SILENT

    def ended(self, name: str) -> None:
        self.told.append(("ended", name))


FOUND = Finding("replica-logging", "low", "db", None, "db", "", "It logs nothing.", "replica-access apply --yes", "")


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers are not looked at here: ``defect`` is one on which the program fails, others are as found."""

    def examine(spec: Spec, hosting: Hosting, progress: Progress, today: date, *, alone: bool) -> tuple[Audit, Facts]:
        del hosting, progress, alone
        if "defect" in (spec.primary.dsn or ""):
            raise KeyError("a defect")
        return Audit((FOUND,)), Facts(spec, today)

    monkeypatch.setattr(auditing, "examine", examine)


def write(directory: Path, name: str, host: str) -> Path:
    path = directory / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(TEXT % host, encoding="utf-8")
    return path


def audited(*paths: Path, history: str | None = "none", new_only: bool = False) -> dict[str, Audited]:
    board = Watched()
    found = audit_each(paths, Wish(BEGAN, history, new_only), board)
    assert [each.path for each in found] == list(paths)
    assert sorted(name for what, name in board.told if what == "begun") == sorted(map(str, paths))
    assert len(board.told) == 2 * len(paths)
    return {each.path.name: each for each in found}


@pytest.mark.usefixtures("looked")
def test_a_defect_costs_one_audit_and_is_no_secret(tmp_path: Path) -> None:
    good, bad = write(tmp_path, "good.toml", "db1"), write(tmp_path, "bad.toml", "defect")
    found = audited(bad, good, tmp_path / "missing.toml")
    assert found["good.toml"].report.audit.findings[0].remedy == f"replica-access --spec {good} apply --yes"
    assert found["good.toml"].kept.error is None
    error = found["bad.toml"].kept.error
    assert isinstance(error, Crashed)
    assert isinstance(error.__cause__, KeyError)
    assert error.exit_status == 1
    for name, what in (("bad.toml", "everything"), ("missing.toml", "the spec")):
        report = found[name].report
        assert [each.what for each in report.audit.not_checked] == [what]
        assert report.all_rules == ()  # or some reports would say that they found nothing
    assert "KeyError: 'a defect'" in error.what
    assert found["bad.toml"].report.audit.not_checked[0].why == (
        "replica-access failed (KeyError); standard error has more."
    )


@pytest.mark.usefixtures("looked")
def test_nothing_to_look_at_is_a_wrong_call(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"There is no spec .*/a.toml.\nThere is no spec .*/b.toml") as raised:
        audited(tmp_path / "a.toml", tmp_path / "b.toml")
    assert raised.value.exit_status == 2


@pytest.mark.usefixtures("looked")
def test_runs_that_could_not_be_told_apart_are_not_mixed(tmp_path: Path) -> None:
    paths = [write(tmp_path / place, "replica-access.toml", "db1") for place in ("a", "b")]
    paths += [write(tmp_path, "named.toml", "db1"), write(tmp_path, "else.toml", "db2")]
    shared = str(tmp_path / "all.db")
    found = audit_each(paths, Wish(BEGAN, shared), Watched())
    assert [each.kept.run.number if each.kept.run else None for each in found] == [1, None, 1, 1]
    assert isinstance(found[1].kept.error, HistoryError)
    assert str(paths[0]) in found[1].kept.error.what
    again = audit_each([paths[2], paths[3]], Wish(BEGAN, shared, new_only=True), Watched())
    assert [(len(each.report.audit.findings), each.report.run[0]) for each in again if each.report.run] == [(0, 2)] * 2
    beside = audit_each(paths, Wish(BEGAN), Watched())
    assert [each.kept.run.number if each.kept.run else None for each in beside] == [1] * 4


def test_so_many_primaries_are_looked_at_side_by_side_and_each_by_one_spec_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = threading.Barrier(AT_ONCE, timeout=20)
    most: list[int] = []
    under_way: list[str] = []
    lock = threading.Lock()

    def examine(spec: Spec, hosting: Hosting, progress: Progress, today: date, *, alone: bool) -> tuple[Audit, Facts]:
        del progress, alone
        host = hosting.primary().server
        with lock:
            assert host not in under_way
            under_way.append(host)
            most.append(len(under_way))
        together.wait()
        with lock:
            under_way.remove(host)
        return Audit(), Facts(spec, today)

    monkeypatch.setattr(auditing, "examine", examine)
    paths = [write(tmp_path, f"{number}.toml", f"db{number // 2}") for number in range(4 * AT_ONCE)]
    assert not [each for each in audited(*paths).values() if each.report.audit.not_checked]
    assert max(most) == AT_ONCE


def test_a_history_tells_specs_apart_by_where_their_servers_are_and_by_their_name() -> None:
    def series(aws: str, name: str = "replica-access.toml") -> str:
        return reporting.series(parse(f'version = 1\n{aws}\n[primary]\ninstance = "prod-db"'), Path("any", name))

    told = [
        series(""),
        series('[aws]\nregion = "eu-west-1"'),
        series('[aws]\nregion = "eu-west-2"'),
        series('[aws]\naccount = "123456789012"'),
        series("", "crm.toml"),
    ]
    assert told == [
        "prod-db",
        "prod-db in eu-west-1",
        "prod-db in eu-west-2",
        "prod-db of 123456789012",
        "prod-db by crm.toml",
    ]


def test_which_specs_are_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("b.toml", "a.toml", ".hidden.toml", "odd[1].toml"):
        Path(name).touch()
    Path("link.toml").symlink_to("a.toml")

    def named(*given: str) -> tuple[list[str], list[str], bool]:
        found = specs.named([Path(each) for each in given])
        return [str(each) for each in found.paths], [str(each) for each in found.repeated], found.is_set

    assert named("a.toml") == (["a.toml"], [], False)
    assert named("no.toml") == (["no.toml"], [], False)
    assert named("odd[1].toml") == (["odd[1].toml"], [], False)
    assert named("[ab].toml") == (["a.toml", "b.toml"], [], True)
    assert named("b*.toml") == (["b.toml"], [], True)
    assert named("no/*.toml") == (["no/*.toml"], [], True)
    assert named("b.toml", "*.toml") == (["b.toml", "a.toml", "odd[1].toml"], ["b.toml", "link.toml"], True)

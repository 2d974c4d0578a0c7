"""Files that reports and specs are written to: whole or not at all, and never in the place of something else."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest

from replica_access.cli import audit_out
from replica_access.cli.context import Context
from replica_access.cli.specs import named
from replica_access.cli.terminal import Terminal
from replica_access.errors import UsageError
from replica_access.starter import write


@pytest.mark.parametrize(
    ("reports", "history", "said"),
    [
        (["html=."], None, "is a directory"),
        (["html=missing/a.html"], None, "no directory missing"),
        (["html=a", "csv=./a"], None, "both be a"),
        (["json=a.toml"], None, "overwrite a.toml"),
        (["json=link.toml"], None, "overwrite link.toml"),
        (["csv=a.history.db"], None, "overwrite a.history.db"),
        (["csv=runs.db"], "runs.db", "overwrite runs.db"),
    ],
)
def test_a_report_takes_no_others_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reports: list[str], history: str | None, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("link.toml").symlink_to("a.toml")
    call = Context(named([Path("a.toml")]), "table", 0, False, Terminal())
    with pytest.raises(UsageError, match=said):
        audit_out.wanted(call, reports, None, history)
    assert audit_out.wanted(call, ["csv=b", "html=/dev/null", "json=/dev/null"], None, history).files


def test_a_file_keeps_its_mode_and_a_link_its_place(tmp_path: Path) -> None:
    file, link = tmp_path / "private.toml", tmp_path / "link.toml"
    file.touch(0o600)
    link.symlink_to(file.name)
    write(link, "new")
    assert link.is_symlink()
    assert (file.read_text(encoding="utf-8"), file.stat().st_mode & 0o777) == ("new", 0o600)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["link.toml", "private.toml"]


def test_what_is_no_file_is_written_to_as_it_stands(tmp_path: Path) -> None:
    pipe, got = tmp_path / "pipe", list[str]()
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_text(encoding="utf-8")), daemon=True)
    reader.start()
    write(pipe, "a report")
    reader.join(20)
    assert got == ["a report"]
    assert pipe.is_fifo()


def test_what_cannot_be_written_or_printed_is_no_wrong_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    call = Context(named([Path("a.toml")]), "table", 0, True, Terminal())
    told = audit_out.Result(lambda: ["found " * 9999], dict, lambda _: "found")
    wanted = audit_out.Wanted("table", (("csv", Path("/dev/full")), ("csv", tmp_path / "a.csv")))
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", full)
        failed = audit_out.deliver(call, told, wanted)
    assert [(each.exit_status, "No space left" in each.what) for each in failed] == [(1, True)] * 2
    assert (tmp_path / "a.csv").read_text(encoding="utf-8") == "found"

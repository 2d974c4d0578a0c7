"""What the README tells people to put into cron, systemd and CI is tried as it stands there."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.cli.conftest import Shop
from tests.cli.program import COMMAND

README = Path(__file__).parents[2] / "README.md"


def example(name: str) -> str:
    found = re.search(rf"<!-- example:{name} -->\n```\w*\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def by_shell(shop: Shop) -> Callable[[str], subprocess.CompletedProcess[str]]:
    """Runs a line as cron would, with the program on the path, and the README's directories those of the shop."""
    programs = shop.run.directory / "bin"
    programs.mkdir()
    (programs / "replica-access").write_text(f'#!/bin/sh\nexec {" ".join(COMMAND)} "$@"\n', encoding="utf-8")
    (programs / "replica-access").chmod(0o755)
    assert shop.run("apply", "--yes").status == 0

    def by_shell(line: str) -> subprocess.CompletedProcess[str]:
        for theirs, ours in (
            ("/etc/replica-access", shop.run.directory),
            ("/var/lib/replica-access", shop.run.directory),
            ("/usr/local/bin", programs),
        ):
            line = line.replace(theirs, str(ours))
        environment = shop.run.whole_environment({"PYTHONPATH": ":".join(sys.path)})
        return subprocess.run(
            ["sh", "-c", line],
            cwd=shop.run.directory,
            env={**environment, "PATH": f"{programs}:{environment['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )

    return by_shell


def test_cron_tells_what_is_new_and_then_nothing(
    shop: Shop, by_shell: Callable[[str], subprocess.CompletedProcess[str]]
) -> None:
    schedule, line = example("cron").split(" cd ", 1)
    assert len(schedule.split()) == 5
    first = by_shell(f"cd {line}")
    assert (first.returncode, bool(first.stdout)) == (3, True), first
    again = by_shell(f"cd {line}")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert "<!DOCTYPE html>" in (shop.run.directory / "audit.html").read_text(encoding="utf-8")
    several = by_shell(" ".join(example("several").split()[5:]))
    assert (several.returncode, several.stdout, several.stderr) == (0, "", "")
    assert "<title>Audit of one spec</title>" in (shop.run.directory / "audit.html").read_text(encoding="utf-8")


def test_the_service_runs_and_systemd_takes_both_units(
    tmp_path: Path, by_shell: Callable[[str], subprocess.CompletedProcess[str]]
) -> None:
    service = configparser.RawConfigParser()
    service.optionxform = str  # type: ignore[assignment, method-assign]
    service.read_string(example("service"))
    history = service["Service"]["Environment"]
    assert by_shell(f"{history} {service['Service']['ExecStart']}").returncode == 3
    assert by_shell(f"{history} {service['Service']['ExecStart']}").returncode == 0
    if (systemd := shutil.which("systemd-analyze")) is None:
        return
    # It looks whether the program is there, and ours is not installed.
    unit = example("service").replace("/usr/local/bin/replica-access", "/bin/true")
    (tmp_path / "replica-access-audit.service").write_text(unit, encoding="utf-8")
    (tmp_path / "replica-access-audit.timer").write_text(example("timer"), encoding="utf-8")
    units = sorted(map(str, tmp_path.glob("replica-access-audit.*")))
    checked = subprocess.run([systemd, "verify", "--man=no", *units], capture_output=True, text=True, check=False)
    complaints = [line for line in checked.stderr.splitlines() if "replica-access-audit" in line]
    assert not complaints, checked


def test_the_job_in_ci_writes_what_it_uploads(
    shop: Shop, by_shell: Callable[[str], subprocess.CompletedProcess[str]]
) -> None:
    job = yaml.safe_load(example("ci"))["jobs"]["audit"]
    (line,) = [step["run"] for step in job["steps"] if "audit" in step.get("run", "")]
    ran = by_shell(line)
    assert ran.returncode == 0, ran  # what a shop has is low, and the job fails on high
    uploaded = [step["with"] for step in job["steps"] if step.get("uses", "").startswith(("github", "actions/upload"))]
    assert (shop.run.directory / uploaded[0]["sarif_file"]).exists()
    assert {path.suffix for path in shop.run.directory.glob(uploaded[1]["path"])} == {".sarif", ".xml", ".html"}

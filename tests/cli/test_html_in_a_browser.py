"""The page in a real browser: its script runs under its own policy, with thousands of findings."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from replica_access.audit.reports import as_html
from replica_access.catalog import Entry
from replica_access.findings import Audit
from tests.unit.test_matrix import ETL, OWNER, realm, tables, usage
from tests.unit.test_reports import HOSTILE, REPORT, WRITES

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")


def browse(page: Path, *options: str) -> str:
    """What the document is once its script has run."""
    assert BROWSER is not None
    profile = page.parent / "profile"
    ran = subprocess.run(
        [
            BROWSER,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={profile}",
            *options,
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "Content Security Policy" not in ran.stderr
    return ran.stdout


@pytest.fixture
def page(tmp_path: Path) -> Path:
    findings = tuple(
        replace(WRITES, subject=f"role{n % 200}", object=f"app.t{n}", message=f"{HOSTILE[n % 3]} {n}")
        for n in range(5000)
    )
    there = realm(usage(ETL), tables("<b>orders</b>", grants=(Entry(ETL, OWNER, "SELECT"),)))
    page = tmp_path / "audit.html"
    page.write_text(as_html.render(replace(REPORT, audit=Audit(findings), realms=(there,))), encoding="utf-8")
    return page


def test_the_script_runs_and_no_name_is_markup(page: Path) -> None:
    dom = browse(page, "--dump-dom")
    filters = re.search(r'<form id="filters"[^>]*>', dom)
    assert filters is not None
    assert "hidden" not in filters[0]
    assert "5,000 of 5,000" in dom
    body = re.sub(r"<script.*?</script>", "", dom, flags=re.DOTALL)
    assert "<img" not in body
    assert "<b>orders" not in body


def test_it_is_drawn_in_both_themes(page: Path) -> None:
    shots = []
    for scheme in ("0", "1"):  # dark, light
        shot = page.parent / f"audit{scheme}.png"
        browse(page, f"--blink-settings=preferredColorScheme={scheme}", f"--screenshot={shot}")
        shots.append(shot.read_bytes())
    assert min(map(len, shots)) > 10_000
    assert shots[0] != shots[1]

"""The page in a real browser: its script runs under its own policy, with thousands of findings."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from replica_access.audit.matrix import matrix
from replica_access.audit.reports import as_html, html_several
from replica_access.catalog import Entry
from replica_access.findings import SEVERITIES, Audit, Finding
from tests.unit.test_matrix import ETL, OWNER, realm, tables, usage
from tests.unit.test_reports import HOSTILE, REPORT, WRITES

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")


def browse(page: Path, *options: str, at: str = "") -> str:
    """What the document is once its script has run.

    :param at: the fragment of the address: filters that somebody has passed on.
    """
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
            f"{page.as_uri()}{at}",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "Content Security Policy" not in ran.stderr
    return ran.stdout


FINDINGS = tuple(
    replace(
        WRITES,
        severity=SEVERITIES[number % 4],
        subject=f"role{number % 200}",
        object=f"app.t{number}",
        message=f"{HOSTILE[number % 3]} {number}",
    )
    for number in range(5000)
)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    there = realm(usage(ETL), tables("<b>orders</b>", grants=(Entry(ETL, OWNER, "SELECT"),)))
    page = tmp_path / "audit.html"
    page.write_text(as_html.render(replace(REPORT, audit=Audit(FINDINGS), access=matrix((there,)))), encoding="utf-8")
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


CHOICES: dict[str, Callable[[Finding], bool]] = {
    "#severity=low&text=role3+app.t4": lambda each: (
        each.severity == "low" and "role3" in each.subject and "app.t4" in each.object
    ),
    "#server=nowhere": lambda _: True,  # there is no such choice, so all are shown
}


@pytest.mark.parametrize("at", CHOICES)
def test_a_view_can_be_passed_on_by_its_address(page: Path, at: str) -> None:
    dom = browse(page, "--dump-dom", at=at)
    table = re.search(r'<table class="findings">.*?<tbody>(.*?)</tbody>', dom, re.DOTALL)
    assert table is not None
    rows = re.findall(r'<tr class="\w+"( hidden="")?>', table[1])
    assert [not hidden for hidden in rows] == [CHOICES[at](each) for each in FINDINGS]
    assert f"{sum(not hidden for hidden in rows):,} of 5,000" in dom


def test_of_several_specs_one_can_be_chosen(tmp_path: Path) -> None:
    there = matrix((realm(usage(ETL), tables("orders", grants=(Entry(ETL, OWNER, "SELECT"),))),))
    page = tmp_path / "audit.html"
    specs = [replace(REPORT, spec=spec, access=there) for spec in ("a.toml", "conf/b.toml")]
    page.write_text(html_several.render(specs), encoding="utf-8")
    dom = browse(page, "--dump-dom", at="#spec=conf%2Fb.toml")
    assert "3 of 6" in dom
    shown = re.findall(r'<(\w+)[^>]* data-spec="([^"]+)">', dom)
    assert shown == [("div", "conf/b.toml"), ("details", "conf/b.toml")]  # hidden ones have an attribute more
    assert dom.count("database crm") == 2  # what could not be looked at is never hidden


def test_it_is_drawn_in_both_themes(page: Path) -> None:
    shots = []
    for scheme in ("0", "1"):  # dark, light
        shot = page.parent / f"audit{scheme}.png"
        browse(page, f"--blink-settings=preferredColorScheme={scheme}", f"--screenshot={shot}")
        shots.append(shot.read_bytes())
    assert min(map(len, shots)) > 10_000
    assert shots[0] != shots[1]

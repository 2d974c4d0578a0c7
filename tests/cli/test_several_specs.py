"""The audit of several specs in one run, as a nightly timer does it: one report, one exit status, nothing lost."""

from __future__ import annotations

import csv
import json
import re
import signal
import socket
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest

from tests.cli.conftest import Shop
from tests.unit.sarif import LOG

DOWN = "host=127.0.0.1 port=1 user=nobody connect_timeout=2"
ALL = ("--spec", "conf/*.toml")
GOOD = ("--spec", "conf/a.toml", "--spec", "conf/b.toml")


@pytest.fixture
def conf(shop: Shop) -> Path:
    """Two specs about one server as declared, one about a server that is down, one that makes no sense."""
    assert shop.run("apply", "--yes").status == 0
    conf = shop.run.directory / "conf"
    conf.mkdir()
    text = shop.run.spec.read_text(encoding="utf-8")
    (conf / "a.toml").write_text(f"{text}\n[roles.missing]\n", encoding="utf-8")
    (conf / "b.toml").write_text(
        f'{text}\n[[accepted]]\nrule = "login-no-expiry"\nsubject = "bi"\nreason = "a robot"\n', encoding="utf-8"
    )
    (conf / "down.toml").write_text(text.replace(shop.dsn(), DOWN), encoding="utf-8")
    (conf / "broken.toml").write_text("version = 1\nnonsense = 2\n", encoding="utf-8")
    return conf


def test_what_cannot_be_looked_at_costs_nothing_else(shop: Shop, conf: Path) -> None:
    names = {"json": "a.json", "csv": "a.csv", "sarif": "a.sarif", "junit": "a.xml", "html": "a.html", "table": "a.txt"}
    written = [f"--report={name}={file}" for name, file in names.items()]
    ran = shop.run("audit", *ALL, "--fail-on", "low", *written, FORCE_COLOR="1", COLUMNS="80")
    assert ran.status == 3, ran
    texts = {name: (shop.run.directory / file).read_text(encoding="utf-8") for name, file in names.items()}

    document = json.loads(texts["json"])
    assert document["schema"] == "replica-access/audit/1"
    assert {(each["spec"], each["what"]) for each in document["not_checked"]} == {
        ("conf/broken.toml", "the spec"),
        ("conf/down.toml", "primary 127.0.0.1"),
    }
    found = {(each["spec"], each["rule"], each["subject"]) for each in document["findings"]}
    assert {spec for spec, _, _ in found} == {"conf/a.toml", "conf/b.toml"}
    assert ("conf/a.toml", "login-no-expiry", "bi") in found
    assert [(each["spec"], each["subject"]) for each in document["accepted"]] == [("conf/b.toml", "bi")]
    assert document["summary"]["not_checked"] == 2
    specs = {each["spec"]: each for each in document["specs"]}
    assert {name: each["history"] and each["history"]["run"] for name, each in specs.items()} == {
        "conf/a.toml": 1,
        "conf/b.toml": 1,
        "conf/broken.toml": None,
        "conf/down.toml": 1,
    }

    rows = list(csv.DictReader(texts["csv"].splitlines()))
    assert len(rows) == len(document["findings"]) + 1 + 2
    assert {row["spec"] for row in rows} == set(specs)
    log = json.loads(texts["sarif"])
    jsonschema.validate(log, LOG)
    (sarif,) = log["runs"]
    assert len(sarif["results"]) == len(document["findings"]) + 1
    suites = ElementTree.fromstring(texts["junit"])  # noqa: S314  # ours
    assert [suite.get("name") for suite in suites] == sorted(specs)
    assert suites.get("errors") == "2"
    assert all(f'<option value="{name}">' in texts["html"] for name in specs)

    screen = re.sub(r"\x1b\[[\d;]*m", "", ran.out).splitlines()
    assert max(map(len, screen)) <= 80
    assert "  ? conf/down.toml: 1 not checked" in screen
    assert screen[-1].startswith("Found in 4 of 4 specs: ")
    told = texts["table"].splitlines()
    assert [line.partition(":")[0] for line in told if line.startswith("conf/")] == sorted(specs)
    assert "replica-access --spec conf/a.toml apply --yes" in texts["table"]

    only_unseen = shop.run("audit", *ALL, "--fail-on", "high")
    assert only_unseen.status == 4
    assert only_unseen.err == "Error: 2 things could not be looked at.\nThe reasons are above.\n"
    quiet = shop.run("audit", *ALL, "-q", "--new-only", "--fail-on", "low")
    assert quiet.status == 4
    assert "a.toml" not in quiet.out
    assert quiet.out.endswith("Found in 2 of 4 specs: 2 not checked, 1 accepted.\n")


def test_each_spec_has_its_history_wherever_it_is(shop: Shop, conf: Path) -> None:
    assert shop.run("audit", *GOOD, "--fail-on", "low").status == 3
    silent = shop.run("audit", *GOOD, "--fail-on", "low", "--new-only", "-q")
    assert (silent.status, silent.out, silent.err) == (0, "", "")
    shop.sql("GRANT readers TO bi WITH ADMIN OPTION")
    new = shop.run("audit", *GOOD, "--fail-on", "low", "--new-only", "--report", "json", "--report", "table=a.txt")
    assert new.status == 3
    assert [(each["spec"], each["subject"]) for each in new.document["findings"]] == [
        ("conf/a.toml", "bi"),
        ("conf/b.toml", "bi"),
    ]
    assert {path.name for path in conf.glob("*.db")} == {"a.history.db", "b.history.db"}
    command = "replica-access --spec conf/a.toml audit diff"
    assert command in (shop.run.directory / "a.txt").read_text(encoding="utf-8")
    assert "bi" in shop.run(*command.split()[1:]).out

    shared = {"REPLICA_ACCESS_HISTORY": "all.db"}
    first = shop.run("--format", "json", "audit", *GOOD, **shared).document
    assert [each["history"]["run"] for each in first["specs"]] == [1, 1]
    listed = shop.run("--format", "json", "audit", "list", "--spec", "conf/b.toml", **shared).document
    assert [run["hash"] for run in listed["runs"]] == [first["specs"][1]["history"]["hash"]]


def test_only_an_audit_takes_several(shop: Shop, conf: Path) -> None:
    for command in (["plan"], ["apply", "--yes"], ["why", "bi", "sales.orders"], ["audit", "list"], ["audit", "diff"]):
        ran = shop.run(*command, *GOOD)
        assert (ran.status, ran.out) == (2, "")
        assert "2 specs are named: conf/a.toml, conf/b.toml." in ran.err
    assert shop.run("plan", "--spec", "conf/a*.toml").status == 0
    twice = shop.run("audit", *GOOD, "--spec", "./conf/a.toml", "--format", "json")
    assert [each["spec"] for each in twice.document["specs"]] == ["conf/a.toml", "conf/b.toml"]
    assert twice.err == "conf/a.toml is a file that is named already: it is audited once.\n"
    by_environment = shop.run("--format", "json", "audit", REPLICA_ACCESS_SPEC="conf/b.toml:conf/a.toml")
    assert [each["spec"] for each in by_environment.document["specs"]] == ["conf/b.toml", "conf/a.toml"]
    none = shop.run("audit", "--spec", "conf/broken.toml", "--spec", "nowhere/*.toml")
    assert (none.status, none.out) == (2, "")
    assert "conf/broken.toml:2: nonsense: unknown key" in none.err
    assert "There is no spec nowhere/*.toml." in none.err


def test_a_run_that_is_stopped_records_nothing_that_nobody_was_told(shop: Shop, conf: Path) -> None:
    """One server takes the call and says nothing, until somebody presses Ctrl-C."""
    with closing(socket.create_server(("127.0.0.1", 0))) as mute:
        dsn = f"host=127.0.0.1 port={mute.getsockname()[1]} user=nobody connect_timeout=30"
        text = (conf / "down.toml").read_text(encoding="utf-8")
        (conf / "down.toml").write_text(text.replace(DOWN, dsn), encoding="utf-8")
        with shop.run.begun("-v", "audit", *ALL) as running:
            caller, _ = mute.accept()
            with closing(caller):
                ran = running.end(signal.SIGINT)
    assert ran.status == 1
    assert ran.err.endswith("Error: Interrupted.\nNothing is half done: run the same command again to go on.\n")
    assert not list(conf.glob("*.db"))

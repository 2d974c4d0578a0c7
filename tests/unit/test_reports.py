"""The reports of an audit: each is what its format asks for, whatever somebody has named a table."""

from __future__ import annotations

import csv
import io
import json
import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from xml.etree import ElementTree

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replica_access.audit.difference import Difference
from replica_access.audit.reports import as_csv, as_html, as_junit, as_sarif
from replica_access.audit.reports.report import Report, Since
from replica_access.findings import SEVERITIES, Accepted, Audit, Finding, NotChecked, RuleSummary

from .sarif import LOG

WRITES = Finding(
    "readers-write", "high", "prod-db", "app", "bi", "app.orders", "bi may write to app.orders", "REVOKE …;", "bi=w/own"
)
LOW = replace(WRITES, rule="logins-no-limit", severity="low", database=None, object="", message="bi has no limit")
KNOWN = replace(WRITES, subject="etl", message="etl may write to app.orders")
RULES = (
    RuleSummary("readers-write", "high", "A reader that writes is none."),
    RuleSummary("logins-no-limit", "low", "One login can take all connections."),
    RuleSummary("public-create", "medium", "Anybody can make objects."),
)
SINCE = Since(
    6, "2026-11-25T02:00:00+00:00", (Difference("new", "high", WRITES.rule, "bi writes"),), frozenset({WRITES.key})
)
REPORT = Report(
    Audit(
        (WRITES, LOW), (NotChecked("database crm", "connection refused"),), (Accepted(KNOWN, "loads", "2027-01-31"),)
    ),
    target="prod-db",
    spec="spec/replica-access.toml",
    at="2026-11-26T02:00:00+00:00",
    version="0.1.0",
    rules=RULES,
    run=(7, "ab" * 32),
    since=SINCE,
)

HOSTILE = (
    "<img src=x onerror=alert(1)>", "</script><script>alert(1)</script>", "<!--", "]]>", '" autofocus onfocus="x', "'",
    "=HYPERLINK(\"http://evil\")", "@SUM(1)", "+1", "-- drop", "\tx", "a,b", 'say "hi"', "{0}", "[a](http://evil)",
    "&lt;", "a\nb", "\x00", "\x0b", "\ud800", "\u2028", "名前", "\U0001f600",
)  # fmt: skip
TEXTS = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=12))


@st.composite
def reports(draw: st.DrawFn) -> Report:
    """A report in which every text that a server or a spec could hold is somebody's own."""

    def finding() -> Finding:
        texts = [draw(TEXTS) for _ in range(7)]
        rule = draw(st.sampled_from([each.id for each in RULES]))
        database = texts[1] if draw(st.booleans()) else None
        return Finding(rule, draw(st.sampled_from(SEVERITIES)), texts[0], database, *texts[2:])

    found = tuple(finding() for _ in range(draw(st.integers(0, 3))))
    missed = tuple(NotChecked(draw(TEXTS), draw(TEXTS)) for _ in range(draw(st.integers(0, 2))))
    accepted = tuple(Accepted(finding(), draw(TEXTS), draw(TEXTS)) for _ in range(draw(st.integers(0, 2))))
    told = tuple(Difference("new", "high", "readers-write", draw(TEXTS)) for _ in range(draw(st.integers(0, 15))))
    since = replace(SINCE, differences=told, new=frozenset(each.key for each in found[:1]))
    return replace(
        REPORT, audit=Audit(found, missed, accepted), target=draw(TEXTS) or "x", spec=draw(TEXTS), since=since
    )


def blunted(report: Report) -> Report:
    """The same report with harmless texts: those that were alike still are, and those that were empty."""

    def blunt(text: str) -> str:
        return f"x{sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}" if text else ""

    def finding(each: Finding) -> Finding:
        texts = {name: blunt(getattr(each, name)) for name in ("server", "subject", "object", "message", "remedy")}
        database = None if each.database is None else blunt(each.database)
        return replace(each, **texts, database=database, evidence=blunt(each.evidence))  # type: ignore[arg-type]

    audit = report.audit
    assert report.since is not None
    return replace(
        report,
        target="x",
        spec="x",
        audit=Audit(
            tuple(finding(each) for each in audit.findings),
            tuple(NotChecked(blunt(each.what), blunt(each.why)) for each in audit.not_checked),
            tuple(Accepted(finding(e.finding), blunt(e.reason), blunt(e.until)) for e in audit.accepted),
        ),
        since=replace(
            report.since,
            differences=tuple(replace(each, sentence=blunt(each.sentence)) for each in report.since.differences),
            new=frozenset(finding(each).key for each in audit.findings if report.is_new(each)),
        ),
    )


# --- CSV --------------------------------------------------------------------------------------------------------------


def read_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_csv_has_a_row_for_everything() -> None:
    rows = read_csv(as_csv.render(REPORT))
    assert [(row["status"], row["subject"], row["object"], row["new"]) for row in rows] == [
        ("open", "bi", "app.orders", "yes"),
        ("open", "bi", "", "no"),
        ("accepted", "etl", "app.orders", ""),
        ("not checked", "database crm", "", ""),
    ]
    assert (rows[0]["remedy"], rows[0]["database"], rows[1]["database"]) == ("REVOKE …;", "app", "")
    assert (rows[2]["reason"], rows[2]["until"]) == ("loads", "2027-01-31")
    assert (rows[3]["rule"], rows[3]["message"]) == ("", "connection refused")


@given(reports())
@settings(max_examples=60, deadline=None)
def test_csv_says_what_was_found_and_no_spreadsheet_computes_it(report: Report) -> None:
    text = as_csv.render(report)
    rows = list(csv.reader(io.StringIO(text, newline="")))
    audit = report.audit
    assert len(rows) == 1 + len(audit.findings) + len(audit.not_checked) + len(audit.accepted)
    assert {len(row) for row in rows} == {len(as_csv.COLUMNS)}
    assert not [cell for row in rows for cell in row if cell[:1] in set("=+-@\t\r\n")]
    for row, finding in zip(rows[1:], audit.findings, strict=False):
        said = dict(zip(as_csv.COLUMNS, row, strict=True))
        for name in ("server", "subject", "object", "message", "remedy", "evidence"):
            assert said[name] in {getattr(finding, name), f"'{getattr(finding, name)}"}


# --- SARIF ------------------------------------------------------------------------------------------------------------


def test_sarif_has_the_findings_their_rules_and_what_was_not_looked_at() -> None:
    (run,) = json.loads(as_sarif.render(REPORT))["runs"]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == [rule.id for rule in RULES]
    assert [(r["ruleId"], r["level"], r.get("baselineState"), "suppressions" in r) for r in run["results"]] == [
        ("readers-write", "error", "new", False),
        ("logins-no-limit", "note", "unchanged", False),
        ("readers-write", "error", None, True),
    ]
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    (location,) = run["results"][0]["locations"]
    assert location["physicalLocation"]["artifactLocation"]["uri"] == "replica-access.toml"
    assert location["logicalLocations"] == [{"name": "app.orders", "fullyQualifiedName": "prod-db/app/app.orders"}]
    (invocation,) = run["invocations"]
    assert not invocation["executionSuccessful"]
    assert invocation["toolExecutionNotifications"][0]["message"]["text"].startswith("database crm could not")


@given(reports())
@settings(max_examples=60, deadline=None)
def test_sarif_is_what_the_standard_asks_for(report: Report) -> None:
    log = json.loads(as_sarif.render(report))
    jsonschema.validate(log, LOG)
    for result in log["runs"][0]["results"]:
        text = result["message"]["text"]
        assert not re.search(r"(?<!\\)\]\(", text)
        assert "{" not in text.replace("{{", "")


def test_a_fingerprint_is_that_of_the_finding_and_not_of_what_is_said_about_it() -> None:
    said_otherwise = replace(WRITES, severity="low", message="else", evidence="else", remedy="else")
    assert as_sarif.fingerprint(said_otherwise) == as_sarif.fingerprint(WRITES)
    assert as_sarif.fingerprint(WRITES) == "77402e3d18f63a136aecca3d6dfd0197a1d6f6784d71d4cf7f23338ce7ff4085"
    others = [replace(WRITES, **{name: "else"}) for name in ("rule", "server", "database", "subject", "object")]  # type: ignore[arg-type]
    assert len({as_sarif.fingerprint(each) for each in (WRITES, *others)}) == 6


# --- JUnit ------------------------------------------------------------------------------------------------------------


def test_junit_fails_what_fails_the_run_and_passes_rules_that_found_nothing() -> None:
    root = ElementTree.fromstring(as_junit.render(REPORT))  # noqa: S314  # ours
    assert {kind: root.get(kind) for kind in ("tests", "failures", "errors", "skipped")} == {
        "tests": "5",
        "failures": "1",
        "errors": "1",
        "skipped": "1",
    }
    cases = [(case.get("classname"), case.get("name"), [child.tag for child in case]) for case in root.iter("testcase")]
    assert cases == [
        ("readers-write", "prod-db · app · bi · app.orders", ["failure"]),
        ("readers-write", "prod-db · app · etl · app.orders", ["skipped"]),
        ("logins-no-limit", "prod-db · bi", ["system-out"]),
        ("public-create", "nothing found", []),
        ("not-checked", "database crm", ["error"]),
    ]
    everything = ElementTree.fromstring(as_junit.render(replace(REPORT, fail_on="low")))  # noqa: S314
    assert everything.get("failures") == "2"
    nothing = ElementTree.fromstring(as_junit.render(replace(REPORT, fail_on=None)))  # noqa: S314
    assert nothing.get("failures") == "0"


@given(reports())
@settings(max_examples=60, deadline=None)
def test_junit_is_xml_with_the_structure_of_the_harmless(report: Report) -> None:
    def structure(text: str) -> list[tuple[str, list[str]]]:
        return [(each.tag, sorted(each.keys())) for each in ElementTree.fromstring(text).iter()]  # noqa: S314

    text = as_junit.render(report)
    text.encode()
    assert structure(text) == structure(as_junit.render(blunted(report)))


# --- HTML -------------------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """The tags of a page with the names of their attributes, and its text by element."""

    VOID = frozenset({"meta", "input", "br"})

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.structure: list[tuple[str, tuple[str, ...]]] = []
        self.attributes: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.structure.append((tag, tuple(name for name, _ in attrs)))
        self.attributes.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self.structure.append((f"/{tag}", ()))

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")


@given(reports())
@settings(max_examples=60, deadline=None)
def test_nothing_that_somebody_has_named_becomes_markup(report: Report) -> None:
    text = as_html.render(report)
    text.encode()
    page = Page(text)
    assert not page.open
    assert page.structure == Page(as_html.render(blunted(report))).structure
    rows = json.loads(page.texts["script"][0])["rows"]
    found = [*report.audit.findings, *(each.finding for each in report.audit.accepted)]
    assert [row["message"] for row in rows] == [each.message for each in found]
    assert "".join(page.texts["script"]).count("alert") == page.texts["script"][0].count("alert")


def test_the_page_says_everything() -> None:
    page = Page(as_html.render(REPORT))
    said = "\n".join(line for lines in page.texts.values() for line in lines)
    for finding in (WRITES, LOW, KNOWN):
        assert finding.message in said
    for text in ("connection refused", "Since run 6", "REVOKE …;", "bi=w/own", "until 2027-01-31", "ab" * 32, "run 7"):
        assert text in said
    assert [value for tag, at in page.attributes if tag == "tr" and (value := at.get("class"))] == [
        "new",
        "open",
        "accepted",
    ]


def test_the_page_asks_nobody_for_anything_and_runs_nothing_but_its_own() -> None:
    text = as_html.render(REPORT)
    page = Page(text)
    policy = next(at["content"] or "" for _, at in page.attributes if at.get("http-equiv") == "Content-Security-Policy")
    for tag in ("style", "script"):
        (code,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        hashed = b64encode(sha256(code.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{hashed}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert not {"src", "href", "action", "style", "onclick"} & {
        name for _, at in page.attributes for name, value in at.items() if not (value or "").startswith("#")
    }
    assert "http" not in re.sub(r'<script type="application/json".*?</script>', "", text, flags=re.DOTALL).replace(
        "http-equiv", ""
    )


@pytest.mark.parametrize("audit", [Audit(), Audit(accepted=(Accepted(WRITES, "known", ""),))])
def test_an_audit_that_found_nothing_is_a_page_too(audit: Audit) -> None:
    page = Page(as_html.render(replace(REPORT, audit=audit, run=None, since=None)))
    said = " ".join(page.texts.get("p", []))
    assert ("Nothing was found." in said) == (not audit.accepted)
    assert "incomplete" not in said

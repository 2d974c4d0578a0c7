"""The reports on several specs: everything in one file, each thing with the spec that it is about."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
from hypothesis import given, settings
from hypothesis import strategies as st

from replica_access.audit.matrix import matrix
from replica_access.audit.reports import as_csv, as_junit, as_sarif, html_several
from replica_access.audit.reports.report import Report, gravest_first
from replica_access.catalog import Entry
from replica_access.cli import audit_several
from replica_access.cli.context import Context
from replica_access.cli.specs import Named
from replica_access.cli.terminal import Terminal, plain
from replica_access.errors import Crashed, HistoryError
from replica_access.findings import Audit, NotChecked
from replica_access.reporting import Kept, Run
from replica_access.several import Audited

from .sarif import LOG
from .test_matrix import ETL, OWNER, realm, tables, usage
from .test_reports import KNOWN, LOW, REPORT, SINCE, WRITES, Page, blunted, read_csv, reports

CLEAN = replace(REPORT, audit=Audit(), spec="b.toml", target="db2")
DOWN = replace(
    CLEAN, audit=Audit(not_checked=(NotChecked("the spec", "it is empty"),)), spec="c.toml", target="", rules=()
)
THREE = (replace(REPORT, spec="a.toml"), replace(CLEAN, run=None, since=None), replace(DOWN, run=None, since=None))

several = st.lists(reports(), min_size=1, max_size=3).map(
    lambda some: [replace(each, spec=f"{number}{each.spec}") for number, each in enumerate(some)]
)


# --- files ------------------------------------------------------------------------------------------------------------


def test_csv_has_the_spec_in_a_column_more() -> None:
    rows = read_csv(as_csv.render_all(THREE))
    assert [(row["status"], row["spec"]) for row in rows] == [
        ("open", "a.toml"),
        ("open", "a.toml"),
        ("accepted", "a.toml"),
        ("not checked", "a.toml"),
        ("not checked", "c.toml"),
    ]
    assert list(rows[0]) == [*as_csv.COLUMNS, "spec"]


def test_the_gravest_come_first_whichever_spec_they_are_of() -> None:
    low, high = replace(REPORT, audit=Audit((LOW,))), replace(REPORT, audit=Audit((WRITES, LOW)), spec="b.toml")
    assert list(gravest_first([low, high])) == [(high, WRITES), (low, LOW), (high, LOW)]


@given(several)
@settings(max_examples=40, deadline=None)
def test_every_file_holds_all_of_them_whatever_somebody_has_named_a_table(some: list[Report]) -> None:
    number = sum(len(each.audit.findings) + len(each.audit.accepted) for each in some)
    missed = sum(len(each.audit.not_checked) for each in some)
    rows = list(csv.reader(io.StringIO(as_csv.render_all(some), newline="")))
    assert len(rows) == 1 + number + missed
    assert not [cell for row in rows for cell in row if cell[:1] in set("=+-@\t\r\n")]

    log = json.loads(as_sarif.render_all(some))
    jsonschema.validate(log, LOG)
    (run,) = log["runs"]
    assert len(run["results"]) == number
    assert len(run["invocations"][0]["toolExecutionNotifications"]) == missed

    suites = ElementTree.fromstring(as_junit.render_all(some))  # noqa: S314  # ours
    assert len(suites) == len(some)
    assert suites.get("errors") == str(missed)

    page = Page(html_several.render(some))
    harmless = [replace(blunted(each), spec=f"{at}{'x' * bool(each.spec)}") for at, each in enumerate(some)]
    assert not page.open
    assert page.structure == Page(html_several.render(harmless)).structure
    assert len(json.loads(page.texts["script"][0])["rows"]) == number


def test_one_finding_of_two_specs_is_two_results_in_sarif() -> None:
    twice = [replace(REPORT, spec=spec) for spec in ("a.toml", "/etc/my specs/b.toml")]
    (run,) = json.loads(as_sarif.render_all(twice))["runs"]
    first, second = [each for each in run["results"] if each["ruleId"] == WRITES.rule and "suppressions" not in each]
    assert first["partialFingerprints"]["finding/v1"] == as_sarif.fingerprint(WRITES)
    assert first["partialFingerprints"] != second["partialFingerprints"]
    uris = [each["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for each in (first, second)]
    assert uris == ["a.toml", "file:///etc/my%20specs/b.toml"]
    assert run["automationDetails"] == {"id": "replica-access/"}  # the same tomorrow, with one spec more


def test_tests_of_two_specs_have_names_of_their_own() -> None:
    cases = ElementTree.fromstring(as_junit.render_all([REPORT, THREE[0]])).iter("testcase")  # noqa: S314  # ours
    names = [(case.get("classname"), case.get("name")) for case in cases]
    assert len(set(names)) == len(names)


def test_the_page_has_a_table_of_access_for_each_spec_and_opens_the_cells_of_all() -> None:
    there = matrix((realm(usage(ETL), tables("orders", grants=(Entry(ETL, OWNER, "SELECT"),))),))
    page = Page(html_several.render([replace(each, access=there) for each in THREE[:2]]))
    cells = json.loads(page.texts["script"][0])["access"]["cells"]
    numbers = [int(at["data-cell"] or "") for _, at in page.attributes if "data-cell" in at]
    assert sorted(numbers) == list(range(len(cells)))
    assert len(cells) == 2 * len(there.cells)
    assert [at["data-spec"] for tag, at in page.attributes if tag == "details" and "data-spec" in at] == [
        "a.toml",
        "b.toml",
    ]


# --- what is printed --------------------------------------------------------------------------------------------------

RUN = Run(7, "2026-11-26T02:00:00+00:00", {}, "ab" * 32)
AUDITED = (
    Audited(Path("a.toml"), THREE[0], Kept(RUN, SINCE)),
    Audited(Path("b.toml"), THREE[1], Kept(RUN)),
    Audited(Path("c.toml"), THREE[2], Kept()),
)


def printed(*audited: Audited, quiet: bool = False) -> list[str]:
    call = Context(Named((), (), True), "table", 0, quiet, Terminal(quiet=quiet))
    return [plain(line) for line in audit_several.table(call, audited)]


def test_people_read_it_by_spec_and_in_the_end_a_line_a_spec() -> None:
    assert printed(*AUDITED) == [
        "a.toml: prod-db",
        "  High",
        "    readers",
        "      ✗ app: bi may write to app.orders (readers-write)",
        "          bi=w/own",
        "          REVOKE …;",
        "",
        "  Low",
        "    logins",
        "      ✗ bi has no limit (logins-no-limit)",
        "          bi=w/own",
        "          REVOKE …;",
        "",
        "  Accepted",
        "    = etl may write to app.orders (readers-write; loads until 2027-01-31)",
        "",
        "  Not looked at",
        "    ? database crm: connection refused",
        "",
        "  Since run 6 of 2026-11-25T02:00:00+00:00: 1 change (1 new): replica-access --spec a.toml audit diff",
        "",
        "c.toml",
        "  Not looked at",
        "    ? the spec: it is empty",
        "",
        "Specs",
        "  ✗ a.toml: 1 high, 1 low, 1 not checked, 1 accepted",
        "  ✓ b.toml: nothing",
        "  ? c.toml: 1 not checked",
        "",
        "Found in 2 of 3 specs: 1 high, 1 low, 2 not checked, 1 accepted.",
    ]


def test_where_nothing_is_found_there_is_little_to_read_and_quietly_nothing() -> None:
    assert printed(AUDITED[1]) == ["Specs", "  ✓ b.toml: nothing", "", "✓ Nothing was found in 1 spec."]
    assert printed(AUDITED[1], quiet=True) == []
    known = replace(AUDITED[1], report=replace(CLEAN, audit=Audit(accepted=REPORT.audit.accepted)))
    assert printed(known, quiet=True) == []
    assert KNOWN.message in "".join(printed(known))


def test_json_says_of_everything_which_spec_it_is_of() -> None:
    document = audit_several.document(AUDITED)
    assert [(each["spec"], each["new"]) for each in document["findings"]] == [("a.toml", True), ("a.toml", False)]
    assert [each["spec"] for each in document["not_checked"]] == ["a.toml", "c.toml"]
    assert document["summary"] == {"high": 1, "medium": 0, "low": 1, "info": 0, "not_checked": 2, "accepted": 1}
    assert [(each["spec"], each["target"], each["history"] is None) for each in document["specs"]] == [
        ("a.toml", "prod-db", False),
        ("b.toml", "db2", False),
        ("c.toml", None, True),
    ]


def test_what_keeps_all_from_being_recorded_is_said_once() -> None:
    full, crashed = HistoryError("The disk is full.", "Make room."), Crashed("c.toml", KeyError("x"))
    errors = [full, HistoryError("The disk is full.", "Make room."), crashed]
    found = audit_several.failures([replace(each, kept=Kept(error=e)) for each, e in zip(AUDITED, errors, strict=True)])
    assert [str(each) for each in found] == [
        "The disk is full. Not recorded: a.toml, b.toml. Make room.",
        "c.toml: something that nobody expected: KeyError: 'x' Please report it, with the output of -vv.",
    ]

"""The findings as JUnit XML, which every CI system shows.

A finding is a test that failed, with a name that stays the same from run to run, so that a system that tells new
failures from old ones does so here. A rule that found nothing is one test that passed. What does not fail the run
(``--fail-on``) passes too and says what was found; what the spec accepts is skipped; what could not be looked at is an
error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from replica_access.audit.reports.report import Report
from replica_access.findings import Accepted, Finding, NotChecked, RuleSummary


def render(report: Report) -> str:
    """Return the document: a suite a family of rules, and one for what could not be looked at."""
    root = Element("testsuites", {"name": f"replica-access audit {_legal(report.target)}"})
    families = dict.fromkeys(rule.family for rule in report.all_rules)
    for family in families:
        rules = [rule for rule in report.all_rules if rule.family == family]
        _suite(root, family, report, [case for rule in rules for case in _cases(report, rule)])
    if report.audit.not_checked:
        _suite(root, "not checked", report, [_missed(each) for each in report.audit.not_checked])
    return _written(root)


def render_all(reports: Sequence[Report]) -> str:
    """Return the document of several: a suite a spec.

    Its name is in those of its tests, too: many systems take tests of one name for the same, whatever their suites.
    """
    root = Element("testsuites", {"name": "replica-access audit"})
    for report in reports:
        cases = [case for rule in report.all_rules for case in _cases(report, rule)]
        cases += [_missed(each) for each in report.audit.not_checked]
        for case in cases:
            case.set("name", f"{_legal(report.spec)} · {case.get('name')}")
        _suite(root, _legal(report.spec), report, cases)
    return _written(root)


def _written(root: Element) -> str:
    for kind in ("tests", "failures", "errors", "skipped"):
        root.set(kind, str(sum(int(suite.get(kind, "0")) for suite in root)))
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _suite(root: Element, name: str, report: Report, cases: list[Element]) -> None:
    suite = SubElement(root, "testsuite", {"name": name, "timestamp": report.at.partition("+")[0], "time": "0"})
    suite.set("tests", str(len(cases)))
    for kind, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(kind, str(sum(case.find(tag) is not None for case in cases)))
    suite.extend(cases)


def _cases(report: Report, rule: RuleSummary) -> Iterator[Element]:
    found = [each for each in report.audit.findings if each.rule == rule.id]
    accepted = [each for each in report.audit.accepted if each.finding.rule == rule.id]
    yield from (_found(report, each) for each in found)
    yield from (_accepted(each) for each in accepted)
    if not found and not accepted:
        yield _case(rule.id, ["nothing found"])


def _found(report: Report, finding: Finding) -> Element:
    case = _case(finding.rule, _named(finding))
    if report.fails(finding):
        about = {"message": _legal(finding.message), "type": finding.severity}
        SubElement(case, "failure", about).text = _legal(_details(finding))
    else:
        SubElement(case, "system-out").text = _legal(f"{finding.severity}: {finding.message}\n{_details(finding)}")
    return case


def _accepted(each: Accepted) -> Element:
    case = _case(each.finding.rule, _named(each.finding))
    until = f" until {each.until}" if each.until else ""
    SubElement(case, "skipped", {"message": _legal(f"accepted{until}: {each.reason}")})
    return case


def _missed(each: NotChecked) -> Element:
    case = _case("not-checked", [each.what])
    SubElement(case, "error", {"message": _legal(each.why), "type": "not checked"})
    return case


def _case(rule: str, named: Iterable[str]) -> Element:
    return Element("testcase", {"classname": _legal(rule), "name": _legal(" · ".join(named)), "time": "0"})


def _named(finding: Finding) -> list[str]:
    parts = (finding.server, finding.database or "", finding.subject, finding.object)
    return [part for part in parts if part] or ["the spec"]


def _details(finding: Finding) -> str:
    return "\n".join(part for part in (finding.evidence, finding.remedy) if part)


def _legal(text: str) -> str:
    """Return `text` without what XML 1.0 cannot carry in any way, which is shown by its number instead."""
    return "".join(char if _is_legal(ord(char)) else f"\\u{ord(char):04x}" for char in text)


def _is_legal(code: int) -> bool:
    return code in {9, 10, 13} or 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or code >= 0x10000

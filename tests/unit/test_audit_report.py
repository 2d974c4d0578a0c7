"""An audit as people read it."""

from __future__ import annotations

from replica_access.auditing import RULES
from replica_access.cli.audit_report import lines, rule_lines
from replica_access.cli.terminal import plain
from replica_access.findings import Accepted, Audit, Finding, NotChecked, Severity


def finding(rule: str, severity: Severity, message: str = "Something.") -> Finding:
    return Finding(rule, severity, "db", "app", "bi", "app.orders", message, "-- first this\nREVOKE x;", "bi=w")


FOUND = (
    finding("excess-write", "high"),
    finding("public-create", "high", "Odd [red]name[/]."),
    finding("lack-missing", "info"),
)
ACCEPTED = Accepted(finding("excess-write", "high"), "an old tool", "2027-01-31")
AUDIT = Audit(FOUND, (NotChecked("replica r", "refused"),), (ACCEPTED,))


def test_findings_are_grouped_by_severity_and_family_each_with_what_to_do() -> None:
    assert [plain(line) for line in lines(AUDIT, with_evidence=True)] == [
        "High",
        "  excess",
        "    ✗ app: Something. (excess-write)",
        "        bi=w",
        "        -- first this",
        "        REVOKE x;",
        "  public",
        "    ✗ app: Odd [red]name[/]. (public-create)",
        "        bi=w",
        "        -- first this",
        "        REVOKE x;",
        "",
        "Info",
        "  lack",
        "    · app: Something. (lack-missing)",
        "        bi=w",
        "        -- first this",
        "        REVOKE x;",
        "",
        "Accepted",
        "  = Something. (excess-write; an old tool until 2027-01-31)",
        "",
        "Not looked at",
        "  ? replica r: refused",
        "",
        "Found: 2 high, 1 info, 1 not checked, 1 accepted.",
    ]


def test_nothing_found_is_said() -> None:
    assert [plain(line) for line in lines(Audit(), with_evidence=True)] == ["✓ Nothing was found."]


def test_known_findings_that_are_left_out_are_not_passed_over() -> None:
    (line,) = lines(Audit(), with_evidence=True, left_out=6)
    assert plain(line).startswith("✓ Nothing new was found. 6 known findings stand: ")


def test_every_rule_is_listed_within_a_hundred_columns_and_has_a_family_of_its_module() -> None:
    listed = [plain(line) for line in rule_lines(RULES)]
    assert all(any(line.startswith(f"  {rule.id} ") and rule.reason in line for line in listed) for rule in RULES)
    assert max(map(len, listed)) <= 120
    assert len({rule.id for rule in RULES}) == len(RULES)
    assert {rule.family for rule in RULES} == {"accepted", "excess", "lack", "login", "network", "public", "replica"}
    assert all(rule.reason.endswith(".") for rule in RULES)

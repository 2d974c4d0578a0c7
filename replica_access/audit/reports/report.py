"""What every report is made from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from heapq import merge

from replica_access.audit.difference import Difference
from replica_access.audit.matrix import NOBODY, Matrix
from replica_access.findings import SEVERITIES, Audit, Finding, RuleSummary, Severity


@dataclass(frozen=True, slots=True)
class Since:
    """What changed since an earlier run.

    :param at: when that was, as ISO 8601.
    :param new: the keys of the findings that it did not have.
    """

    number: int
    at: str
    differences: tuple[Difference, ...] = ()
    new: frozenset[tuple[str, ...]] = frozenset()


@dataclass(frozen=True)
class Report:
    """One audit, and what a reader has to know around it.

    :param target: what was audited, as people know it.
    :param spec: the file it was held against, as it was named.
    :param at: when, in UTC, as ISO 8601.
    :param version: of this program.
    :param rules: all that were applied.
    :param fail_on: the least grave severity that fails a run; ``None`` where none does.
    :param run: the number and the hash by which the history knows it; ``None`` where it was not recorded.
    :param since: the run before; ``None`` where there is none.
    :param access: who holds what, as far as a report shows it.
    :param whole: the audit with the findings that `audit` leaves out because they are known; ``None``: it has all.
    """

    audit: Audit
    target: str
    spec: str
    at: str
    version: str
    rules: tuple[RuleSummary, ...] = ()
    fail_on: Severity | None = "high"
    run: tuple[int, str] | None = None
    since: Since | None = None
    access: Matrix = NOBODY
    whole: Audit | None = None

    @property
    def left_out(self) -> int:
        """How many findings are left out, because the run before has them."""
        return len((self.whole or self.audit).findings) - len(self.audit.findings)

    def with_all(self) -> Report:
        """Return the report with the findings that are left out."""
        return self if self.whole is None else replace(self, audit=self.whole, whole=None)

    @cached_property
    def all_rules(self) -> tuple[RuleSummary, ...]:
        """The rules that were applied, and any other that something was found by."""
        known = {rule.id for rule in self.rules}
        found = (*self.audit.findings, *(each.finding for each in self.audit.accepted))
        more = {each.rule: RuleSummary(each.rule, each.severity, "") for each in found if each.rule not in known}
        return (*self.rules, *more.values())

    def fails(self, finding: Finding) -> bool:
        return self.fail_on is not None and SEVERITIES.index(finding.severity) <= SEVERITIES.index(self.fail_on)

    def is_new(self, finding: Finding) -> bool:
        return self.since is not None and finding.key in self.since.new


def gravest_first(reports: Iterable[Report]) -> Iterable[tuple[Report, Finding]]:
    """Return the findings of several reports, each with its own: the gravest first, as in one."""
    found = ([(report, finding) for finding in report.audit.findings] for report in reports)
    return merge(*found, key=lambda each: SEVERITIES.index(each[1].severity))

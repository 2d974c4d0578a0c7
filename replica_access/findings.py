"""What an audit finds, as values: pure, comparable, printable.

Every text in them is ready to be read: names as `names.shown` displays them, no control characters, no secret. Whoever
writes a report has to quote them for its own format, and nothing more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

Severity = Literal["high", "medium", "low", "info"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""The gravest first."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that an audit holds against the current state.

    :param rule: its id, family first: ``network-undeclared``.
    :param server: the name people know it by, an instance identifier or a host; empty for the spec itself.
    :param database: ``None`` for what all databases of the server share, and what surrounds it.
    :param subject: who, or what: a role, ``PUBLIC``, a network, a security group, the server.
    :param object: what it is about, as a person writes it: a relation, a parameter, a port; may be empty.
    :param message: the sentence that a person reads.
    :param remedy: statements or commands that make the finding go away, one a line, as they are typed; where nobody
        but a person can decide, a comment that says what to decide, after ``--`` or ``#``.
    :param evidence: what was seen, word for word: an ACL entry, a rule, a setting and its value.
    """

    rule: str
    severity: Severity
    server: str
    database: str | None
    subject: str
    object: str
    message: str
    remedy: str
    evidence: str

    @property
    def family(self) -> str:
        """The first word of the rule's id.

        >>> Finding("network-undeclared", "high", "r", None, "0.0.0.0/0", "tcp 5432", "", "", "").family
        'network'
        """
        return self.rule.partition("-")[0]

    @property
    def key(self) -> tuple[str, str, str, str, str]:
        """What makes it the same finding in two runs, whatever is said about it."""
        return (self.rule, self.server, self.database or "", self.subject, self.object)


@dataclass(frozen=True, slots=True)
class NotChecked:
    """Something that could not be looked at: never silence, and never "nothing found".

    :param what: a server, a database, an AWS call, or a rule that had nothing to go by.
    """

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """A finding that the spec accepts, with the reason given there.

    :param until: the last day, as a date of ISO 8601; empty where there is none. After it, it is a finding again.
    """

    finding: Finding
    reason: str
    until: str


@dataclass(frozen=True, slots=True)
class Audit:
    """What one run of the audit came to; the findings gravest first, then by family, server and object."""

    findings: tuple[Finding, ...] = ()
    not_checked: tuple[NotChecked, ...] = ()
    accepted: tuple[Accepted, ...] = ()

    @property
    def summary(self) -> Mapping[str, int]:
        """How many there are of each severity, and how much could not be looked at.

        >>> Audit(not_checked=(NotChecked("primary", "no connection"),)).summary
        {'high': 0, 'medium': 0, 'low': 0, 'info': 0, 'not_checked': 1, 'accepted': 0}
        """
        severities = [finding.severity for finding in self.findings]
        return {
            **{severity: severities.count(severity) for severity in SEVERITIES},
            "not_checked": len(self.not_checked),
            "accepted": len(self.accepted),
        }

    def at_or_above(self, level: Severity) -> tuple[Finding, ...]:
        """Return the findings that are at least as grave as `level`."""
        grave = SEVERITIES[: SEVERITIES.index(level) + 1]
        return tuple(finding for finding in self.findings if finding.severity in grave)


@dataclass(frozen=True, slots=True)
class RuleSummary:
    """What a report says of a rule.

    :param reason: one line: why anybody should mind.
    """

    id: str
    severity: Severity
    reason: str

    @property
    def family(self) -> str:
        return self.id.partition("-")[0]

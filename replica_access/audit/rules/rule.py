"""What a rule is: a value with an id, a severity, one line of reason, and a pure function from facts to hits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from replica_access.audit.facts import Facts
from replica_access.audit.realm import Realm
from replica_access.findings import Finding, RuleSummary
from replica_access.names import legible, pasteable, shown


@dataclass(frozen=True, slots=True)
class Hit:
    """What a rule found, before its id and severity are put to it; see `Finding` for the fields."""

    server: str
    subject: str
    object: str
    message: str
    remedy: str
    evidence: str
    database: str | None = None

    @classmethod
    def within(
        cls,
        realm: Realm,
        *,
        subject: str,
        object: str,  # noqa: A002  # as `Finding` has it
        message: str,
        remedy: str,
        evidence: str,
    ) -> Hit:
        """Return a hit about something in the database of `realm`."""
        return cls(legible(realm.server), subject, object, message, remedy, evidence, shown(realm.rights.database))


@dataclass(frozen=True, slots=True)
class Rule(RuleSummary):
    """One thing that an audit looks for.

    :param find: returns nothing where what it needs was not looked at: the facts say that themselves.
    """

    find: Callable[[Facts], Iterable[Hit]]

    def findings(self, facts: Facts) -> Iterator[Finding]:
        return map(self.finding, self.find(facts))

    def finding(self, hit: Hit) -> Finding:
        """Return `hit` as a finding of this rule."""
        return Finding(
            rule=self.id,
            severity=self.severity,
            server=hit.server,
            database=hit.database,
            subject=hit.subject,
            object=hit.object,
            message=hit.message,
            remedy=pasteable(hit.remedy),
            evidence=hit.evidence,
        )

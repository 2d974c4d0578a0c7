"""From facts to what an audit says: every rule, what the spec accepts, in the order in which people read it. Pure."""

from __future__ import annotations

from replica_access.audit.acceptance import STALE, apart, stale
from replica_access.audit.facts import Facts
from replica_access.audit.rulebook import ALL
from replica_access.findings import SEVERITIES, Audit, Finding


def judge(facts: Facts) -> Audit:
    """Return what the rules find in `facts`, without what the spec accepts."""
    found = list(dict.fromkeys(finding for rule in ALL for finding in rule.findings(facts)))
    ids = [rule.id for rule in ALL]
    found += (STALE.finding(hit) for hit in stale(facts, found, ids))
    standing, accepted = apart(found, facts.spec, facts.today)
    return Audit(
        tuple(sorted(standing, key=_place)),
        tuple(sorted(set(facts.unseen), key=lambda each: (each.what, each.why))),  # threads found them, in any order
        tuple(sorted(accepted, key=lambda each: _place(each.finding))),
    )


def _place(finding: Finding) -> tuple[int, str, str, str, str, str]:
    return (SEVERITIES.index(finding.severity), *finding.key)

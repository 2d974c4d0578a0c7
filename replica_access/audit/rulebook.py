"""Every rule of the audit."""

from __future__ import annotations

from replica_access.audit.acceptance import STALE
from replica_access.audit.rules import excess, lack, logins, network, public, replica, seen
from replica_access.audit.rules.rule import Rule
from replica_access.findings import SEVERITIES

ALL: tuple[Rule, ...] = tuple(
    sorted(
        (*network.RULES, *replica.RULES, *logins.RULES, *excess.RULES, *public.RULES, *lack.RULES, *seen.RULES, STALE),
        key=lambda rule: (SEVERITIES.index(rule.severity), rule.id),
    )
)
"""The gravest first."""

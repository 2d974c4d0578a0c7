"""What the spec accepts of the findings, and which of its entries nobody needs any more. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date

from replica_access.audit.facts import Facts
from replica_access.audit.rules.rule import Hit, Rule
from replica_access.findings import Accepted, Finding
from replica_access.names import legible
from replica_access.patterns import matches
from replica_access.spec import AcceptSpec, Spec


def apart(findings: Iterable[Finding], spec: Spec, today: date) -> tuple[list[Finding], list[Accepted]]:
    """Return the findings that stand, and those that `spec` accepts today.

    One that was accepted until a day that is over stands, and its evidence says so.
    """
    standing, accepted = list[Finding](), list[Accepted]()
    for finding in findings:
        entries = [entry for entry in spec.accepted if fits(entry, finding)]
        valid = next((entry for entry in entries if not _is_over(entry, today)), None)
        if valid is not None:
            accepted.append(Accepted(finding, legible(valid.reason), str(valid.until or "")))
        elif entries:
            standing.append(_due_again(finding, entries[0]))
        else:
            standing.append(finding)
    return standing, accepted


def fits(entry: AcceptSpec, finding: Finding) -> bool:
    """Whether `entry` is about `finding`: by its names as they are displayed, or as they are."""
    return (
        matches(finding.rule, entry.rule)
        and _is(finding.subject, entry.subject)
        and _is(finding.object, entry.object)
        and _is(finding.database or "", entry.database)
        and matches(finding.message, entry.message)
    )


def _is(displayed: str, pattern: str) -> bool:
    bare = displayed[1:-1].replace('""', '"') if displayed[:1] == displayed[-1:] == '"' else displayed
    return matches(displayed, pattern) or matches(bare, pattern)


def _is_over(entry: AcceptSpec, today: date) -> bool:
    return entry.until is not None and entry.until < today


def _due_again(finding: Finding, entry: AcceptSpec) -> Finding:
    said = f"accepted until {entry.until}, which is over: {legible(entry.reason)}"
    return Finding(
        finding.rule,
        finding.severity,
        finding.server,
        finding.database,
        finding.subject,
        finding.object,
        finding.message,
        finding.remedy,
        "; ".join(part for part in (finding.evidence, said) if part),
    )


def stale(facts: Facts, findings: Iterable[Finding], rules: Iterable[str]) -> Iterator[Hit]:
    """Yield the entries of the spec that accept nothing that was found.

    Nothing is said of them where something could not be looked at: what they are about may be there.

    :param rules: the ids that there are.
    """
    found, known = list(findings), list(rules)
    for number, entry in enumerate(facts.spec.accepted, 1):
        about = f"accepted[{number}]"
        if not any(matches(rule, entry.rule) for rule in known):
            message = f"{about} in the spec accepts {entry.rule}, and there is no such rule."
            remedy = "# correct it: `replica-access audit --rules` lists the rules"
        elif not any(fits(entry, finding) for finding in found) and not facts.is_incomplete:
            message = f"{about} in the spec accepts nothing that was found."
            remedy = f"# take it out of [[accepted]] in the spec: rule {entry.rule}"
        else:
            continue
        evidence = f"subject {legible(entry.subject)}, object {legible(entry.object)}: {legible(entry.reason)}"
        yield Hit("", about, entry.rule, message, remedy, evidence)


STALE = Rule("accepted-stale", "info", "An entry of [[accepted]] accepts nothing: it can go.", lambda _: ())
"""Found by `stale`, once all other rules have spoken."""

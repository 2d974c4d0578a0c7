"""The JSON documents of design.md: from values to dictionaries. Fields may be added; none changes meaning."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from replica_access.model import KINDS, Change, Check, Plan, Proof, ProofCheck
from replica_access.names import legible, shown
from replica_access.outlook import Applied
from replica_access.proofs import together

if TYPE_CHECKING:
    from replica_access.appeared import Appeared
    from replica_access.coverage import Addition
    from replica_access.findings import Audit, Finding
    from replica_access.inventory import Readers


def plan_document(plan: Plan) -> dict[str, Any]:
    return {
        "changes": [change_document(change) for change in plan.changes],
        "pending": [{"kind": p.kind, "name": p.name, "reason": p.reason} for p in plan.pending],
        "blocked": [{"object": b.object, "reason": b.reason, "fix": b.fix} for b in plan.blocked],
        "covered": [{"reader": c.reader, "object": c.object, "through": c.through} for c in plan.covered],
        "summary": {
            "changes": len(plan.changes),
            "destructive": sum(change.destructive for change in plan.changes),
            "pending": len(plan.pending),
            "blocked": len(plan.blocked),
        },
    }


def change_document(change: Change) -> dict[str, Any]:
    call = change.call
    return {
        "id": change.id,
        "scope": change.scope,
        "database": shown(change.database) if change.database is not None else None,
        "action": change.action,
        "object": change.object,
        "summary": change.summary,
        "sql": [printable(statement) for statement in change.sql],
        "call": None
        if call is None
        else {"service": call.service, "operation": call.operation, "parameters": _plain(call.parameters)},
        "undo": [printable(statement) for statement in change.undo],
        "destructive": change.destructive,
        "takes": change.takes or None,
        "interrupts": change.interrupts,
        "acts_as": [shown(role) for role in dict.fromkeys((*change.join, *([change.run_as] if change.run_as else [])))],
    }


def check_document(checks: Iterable[Check]) -> dict[str, Any]:
    items = [
        {
            "name": c.name,
            "outcome": c.outcome,
            "detail": c.detail,
            "fix": c.fix,
            "mend": [change_document(change) for change in c.mend],
        }
        for c in checks
    ]
    outcomes = [item["outcome"] for item in items]
    return {
        "ok": "problem" not in outcomes,
        "checks": items,
        "summary": {key.replace(" ", "_"): outcomes.count(key) for key in ("ok", "problem", "not checked", "note")},
    }


def proof_document(proofs: Mapping[str, Proof]) -> dict[str, Any]:
    """Return what all replicas say together, and what each of them says.

    :param proofs: by the name of the replica.
    """
    checks = [{**_check(check), "replica": name} for name, proof in proofs.items() for check in proof.checks]
    return {
        **_proof(together(proofs.values())),
        "checks": checks,
        "replicas": [{"replica": name, **_proof(proof)} for name, proof in proofs.items()],
    }


def _proof(proof: Proof) -> dict[str, Any]:
    return {
        "ok": proof.ok,
        "lsn": proof.lsn,
        "waited_ms": proof.waited_ms,
        "lag_ms": proof.lag_ms,
        "same_system": proof.same_system,
        "in_recovery": proof.in_recovery,
        "catalogs_match": proof.catalogs_match,
        "checks": [_check(check) for check in proof.checks],
    }


def _check(check: ProofCheck) -> dict[str, Any]:
    return {
        "name": check.name,
        "database": None if check.database is None else shown(check.database),
        "ok": check.ok,
        "detail": check.detail,
        "tried": check.tried,
    }


def applied_document(applied: Applied) -> dict[str, Any]:
    failed = [] if applied.error is None else [{"id": applied.failed, "error": str(applied.error)}]
    return {
        "applied": [change.id for change in applied.changes],
        "failed": failed,
        "proof": None if applied.proof is None else proof_document(applied.proof),
        "notes": list(applied.notes),
    }


def appeared_document(found: Appeared) -> dict[str, Any]:
    where = found.databases
    return {
        "since": found.since,
        "databases": [
            {"name": shown(d.name), "owner": shown(d.owner), "readers": _readers(d.readers)} for d in where if d.new
        ],
        "schemas": [
            {
                "database": shown(d.name),
                "name": shown(schema.name),
                "owner": shown(schema.owner),
                "readers": _readers(schema.readers),
            }
            for d in where
            for schema in d.schemas
        ],
        "relations": [
            {
                "database": shown(d.name),
                "schema": shown(group.schema),
                "name": shown(name),
                "kind": KINDS[group.kind],
                "owner": shown(group.owner),
                "readers": _readers(group.readers),
            }
            for d in where
            for group in d.relations
            for name in group.names
        ],
        "creators": [
            {"database": shown(d.name), "name": shown(creator), "readers": _readers(readers)}
            for d in where
            for creator, readers in d.creators.items()
        ],
    }


def _readers(readers: Readers) -> dict[str, str]:
    return {shown(reader): gets for reader, gets in readers.items()}


def additions_document(additions: Iterable[Addition]) -> list[dict[str, str]]:
    return [{"to": shown(each.to), "key": each.key, "name": each.pattern} for each in additions]


def audit_document(audit: Audit) -> dict[str, Any]:
    return {
        "findings": [finding_document(finding) for finding in audit.findings],
        "accepted": [
            {**finding_document(each.finding), "reason": each.reason, "until": each.until or None}
            for each in audit.accepted
        ],
        "not_checked": [{"what": each.what, "why": each.why} for each in audit.not_checked],
        "summary": dict(audit.summary),
    }


def finding_document(finding: Finding) -> dict[str, Any]:
    return asdict(finding)


def printable(text: str) -> str:
    """Return SQL with bytes that are no UTF-8 shown as ``\\xNN``; everything else as it stands."""
    return "".join(legible(char) if "\udc80" <= char <= "\udcff" else char for char in text)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value

"""The proofs of all replicas of one primary, and what they say together. Pure."""

from __future__ import annotations

from collections.abc import Collection

from replica_access.errors import Error
from replica_access.model import Proof, ProofCheck


def untried(error: Error) -> Proof:
    """Return what is known of a replica that could not be asked: no success, and no failure either."""
    return Proof(
        lsn=None,
        waited_ms=0.0,
        lag_ms=None,
        same_system=None,
        in_recovery=None,
        catalogs_match=None,
        checks=(ProofCheck("reached", None, False, str(error), tried=False),),
    )


def together(proofs: Collection[Proof]) -> Proof:
    """Return the proof of the whole: what holds on every replica, and the worst of every figure.

    Its LSN is the first one, which is the lowest: the replicas are proved one after the other.
    """
    return Proof(
        lsn=next((proof.lsn for proof in proofs if proof.lsn is not None), None),
        waited_ms=max(proof.waited_ms for proof in proofs),
        lag_ms=max((proof.lag_ms for proof in proofs if proof.lag_ms is not None), default=None),
        same_system=_everywhere([proof.same_system for proof in proofs]),
        in_recovery=_everywhere([proof.in_recovery for proof in proofs]),
        catalogs_match=_everywhere([proof.catalogs_match for proof in proofs]),
        checks=tuple(check for proof in proofs for check in proof.checks),
    )


def _everywhere(answers: Collection[bool | None]) -> bool | None:
    """Return whether all said yes; ``None`` where nobody said no and somebody said nothing."""
    if False in answers:
        return False
    return None if None in answers else True

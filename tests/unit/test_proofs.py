"""What several proofs say together: what holds everywhere, and the worst of every figure."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replica_access.errors import ConnectionFailed
from replica_access.model import Proof, ProofCheck
from replica_access.proofs import together, untried

PASSED = ProofCheck("readable", "app", True, "all of it")
FAILED = ProofCheck("readable", "app", False, "nothing")
GOOD = Proof("0/A0", 1.5, 200.0, True, True, True, (PASSED,))
BAD = replace(GOOD, lsn="0/B0", waited_ms=9.0, lag_ms=None, catalogs_match=False, checks=(FAILED,))
PROMOTED = replace(GOOD, in_recovery=False, catalogs_match=False, checks=(FAILED,))
DOWN = untried(ConnectionFailed("db3: no connection.", "Check the address."))


def test_one_alone_is_the_whole() -> None:
    for proof in (GOOD, BAD, PROMOTED, DOWN):
        assert together([proof]) == proof


def test_the_whole_is_the_worst_of_all() -> None:
    whole = together([GOOD, BAD])
    assert whole == Proof("0/A0", 9.0, 200.0, True, True, False, (PASSED, FAILED))
    assert not whole.ok
    assert not whole.only_untried


def test_what_could_not_be_asked_is_neither_success_nor_failure() -> None:
    assert not DOWN.ok
    assert DOWN.only_untried
    assert DOWN.checks[0].detail == "db3: no connection. Check the address."
    whole = together([DOWN, GOOD])
    assert (whole.lsn, whole.same_system, whole.catalogs_match) == ("0/A0", None, None)
    assert not whole.ok
    assert whole.only_untried


@pytest.mark.parametrize("failed", [BAD, PROMOTED, replace(GOOD, same_system=False, checks=(FAILED,))])
def test_a_failure_outweighs_what_could_not_be_asked(failed: Proof) -> None:
    for proofs in ([DOWN, failed, GOOD], [failed, DOWN]):
        assert not together(proofs).ok
        assert not together(proofs).only_untried

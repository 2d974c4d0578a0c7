"""What check --fix would do, and what it leaves to a person."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import replica_access
from replica_access import executing, mending
from replica_access.aws.preflight import checks
from replica_access.errors import AwsError, Interrupted
from replica_access.model import Change
from replica_access.progress import SILENT, Progress

from .aws_landscapes import EMPTY, primary, spec_of

BROKEN = replace(primary(backup_days=0), dns_support=False, dns_hostnames=False, gateways=())


def test_only_problems_are_mended_in_the_order_of_the_checks() -> None:
    found = checks(BROKEN, spec_of())
    assert [change.action for change in mending.mends(found)] == ["keep backups", "change VPC", "change VPC"]
    assert dict(mending.left(found)) == {"internet gateway": mending.WHY_LEFT["internet gateway"]}
    assert not mending.mends(checks(EMPTY, spec_of()))


@pytest.mark.parametrize("name", mending.WHY_LEFT)
def test_every_reason_is_about_a_check_that_there_is(name: str) -> None:
    sources = (Path(replica_access.__file__).parent / "aws").glob("preflight*.py")
    assert any(f'"{name}"' in path.read_text(encoding="utf-8") for path in sources)


class Hosting:
    """Carries out as many changes as it is told to, and then fails."""

    def __init__(self, number: int, error: BaseException) -> None:
        self.left, self.error = number, error

    def execute(self, change: Change, progress: Progress) -> None:
        del change, progress
        if not self.left:
            raise self.error
        self.left -= 1


@pytest.mark.parametrize(
    ("error", "kind"),
    [(AwsError("No.", "Ask."), AwsError), (KeyboardInterrupt(), Interrupted)],
    ids=["error", "Ctrl-C"],
)
def test_what_was_done_before_a_failure_is_told(error: BaseException, kind: type[Exception]) -> None:
    changes = mending.mends(checks(BROKEN, spec_of()))
    mended = executing.carry_out(Hosting(1, error), changes, SILENT)  # type: ignore[arg-type]  # the rest is never asked of it
    assert mended.changes == changes[:1]
    assert mended.failed == changes[1].id
    assert isinstance(mended.error, kind)

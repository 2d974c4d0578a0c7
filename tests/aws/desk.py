"""The real program at the sandbox, with a spec that wants one replica and no users; used by tests that break AWS."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from replica_access.sandbox import control, lifecycle
from replica_access.sandbox.faults import Faults
from tests.cli.nursery import Nursery
from tests.cli.program import Program, Ran
from tests.sandbox_fixtures import Sandbox

from .stage import remove

OURS = "replica-access/"
"""In the User-Agent of the program, and of nobody else's calls."""

SPEC = """
version = 1
[primary]
instance = "prod-db"
admin_secret = "prod-db/master"
[replica]
instance = "{replica}"
deletion_protection = false
[[network.allow]]
cidr = "127.0.0.1/32"
"""


@dataclass(frozen=True, slots=True)
class Desk:
    """The program in a directory with a spec, and the name of the replica that it wants."""

    sandbox: Sandbox
    program: Program
    replica: str

    def run(self, *arguments: str, faults: Faults | None = None, **environment: str) -> Ran:
        """Run the program while `faults` befall its calls."""
        if faults is None:
            return self.program(*arguments, **environment)
        with control.faults(self.sandbox.status.directory, replace(faults, by=OURS)):
            return self.program(*arguments, **environment)


@pytest.fixture(scope="module")
def desk(sandbox: Sandbox, nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    environment = {**lifecycle.environment(sandbox.status.directory), "AWS_CONFIG_FILE": os.devnull}
    desk = Desk(sandbox, Program(nursery, tmp_path_factory.mktemp("errors"), environment), sandbox.name("refused"))
    desk.program.spec.write_text(SPEC.format(replica=desk.replica), encoding="utf-8")
    yield desk
    remove(sandbox, desk.replica)


def assert_told(ran: Ran, status: int, *words: str) -> None:
    """It ended with this status, and said these things without a traceback, in at most a few lines."""
    assert not ran.has_traceback, ran
    assert ran.status == status, ran
    said = ran.out + ran.err
    missing = [word for word in words if word not in said]
    assert not missing, (missing, said)

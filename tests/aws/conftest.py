from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sandbox_fixtures import Sandbox, sandbox

__all__ = ["sandbox"]


@pytest.fixture(scope="session")
def group(sandbox: Sandbox) -> Iterator[str]:
    """A security group that lets this machine in."""
    with sandbox.group("127.0.0.1/32") as group:
        yield group


@pytest.fixture(scope="session")
def replica(sandbox: Sandbox, group: str) -> Iterator[str]:
    """A replica of the primary that this machine can reach. Tests change it, but leave it reachable."""
    with sandbox.replica(VpcSecurityGroupIds=[group], PubliclyAccessible=True) as name:
        yield name

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.aws.stage import private_primary
from tests.sandbox_fixtures import Sandbox, sandbox

__all__ = ["sandbox"]


@pytest.fixture(scope="session")
def group(sandbox: Sandbox) -> str:
    """A security group that lets this machine in; it goes with the sandbox."""
    return sandbox.make_group("127.0.0.1/32")


@pytest.fixture(scope="session")
def replica(sandbox: Sandbox, group: str) -> str:
    """A replica of the primary that this machine can reach. Tests change it, but leave it reachable."""
    return sandbox.make_replica(VpcSecurityGroupIds=[group], PubliclyAccessible=True)


@pytest.fixture(scope="module")
def private(sandbox: Sandbox) -> Iterator[str]:
    """A primary in private subnets, by name."""
    with private_primary(sandbox) as name:
        yield name

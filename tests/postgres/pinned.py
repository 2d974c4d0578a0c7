"""Marks for tests of what is the same on every major, or for every kind of admin: once is enough."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from replica_access.sandbox.binaries import Installation, find_installations

from .conftest import ADMINS

FOUND = find_installations()


def _on(installations: Sequence[Installation], *ids: str) -> pytest.MarkDecorator:
    # Indirect: a value in the place of the fixture would leave the servers of another major in the fixtures after it.
    return pytest.mark.parametrize("installation", installations, indirect=True, ids=ids, scope="session")


NEWEST = _on(FOUND[-1:], "newest")
OLDEST_AND_NEWEST = _on([FOUND[0], FOUND[-1]], "oldest", "newest")
RDS = pytest.mark.parametrize("admin", [ADMINS["rds"]], ids=["rds"])
SUPERUSER = pytest.mark.parametrize("admin", [ADMINS["superuser"]], ids=["superuser"])

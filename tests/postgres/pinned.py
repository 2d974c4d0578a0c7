"""Marks for tests of what is the same on every major, or for every kind of admin: once is enough."""

from __future__ import annotations

import pytest

from replica_access.sandbox.binaries import find_installations

from .conftest import ADMINS

NEWEST = pytest.mark.parametrize("installation", find_installations()[-1:], ids=["newest"], scope="session")
OLDEST_AND_NEWEST = pytest.mark.parametrize(
    "installation", [find_installations()[0], find_installations()[-1]], ids=["oldest", "newest"], scope="session"
)
RDS = pytest.mark.parametrize("admin", [ADMINS["rds"]], ids=["rds"])
SUPERUSER = pytest.mark.parametrize("admin", [ADMINS["superuser"]], ids=["superuser"])

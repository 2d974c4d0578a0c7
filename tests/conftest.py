from __future__ import annotations

import pytest

from replica_access.sandbox.binaries import find_installations
from tests import ram_disk


def pytest_configure() -> None:
    ram_disk.use()


def pytest_report_header(config: pytest.Config) -> str:
    return "PostgreSQL: " + ", ".join(str(installation) for installation in find_installations())

from __future__ import annotations

import gc
from collections.abc import Iterator
from itertools import groupby

import pytest

from replica_access.sandbox.binaries import find_installations
from tests import ram_disk
from tests.cli.nursery import Nursery, opened

# Where whole files are shared out among workers, those that take longest go first, lest one is left over at the end.
LONGEST = (
    "tests/postgres/test_properties.py",
    "tests/aws/test_removal.py",
    "tests/e2e/test_killed.py",
    "tests/postgres/test_taking_away.py",
    "tests/postgres/test_scenario.py",
    "tests/postgres/test_effective_access.py",
    "tests/e2e/test_life.py",
    "tests/e2e/test_iam_policy.py",
    "tests/aws/test_errors.py",
    "tests/postgres/test_prove.py",
)


def pytest_configure() -> None:
    ram_disk.use()
    gc.set_threshold(100_000)  # a worker imports and keeps a lot


def pytest_report_header(config: pytest.Config) -> str:
    return "PostgreSQL: " + ", ".join(str(installation) for installation in find_installations())


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Longest files first; then those of each directory in their order, mixed with those of the others.

    The tests of some directories wait, those of others keep the processor busy.
    """
    files = list(dict.fromkeys(map(_file, items)))
    places: dict[str, float] = {}
    for _, several in groupby(files, lambda file: file.rpartition("/")[0]):
        names = list(several)
        places |= {file: place / len(names) for place, file in enumerate(names)}
    places |= {file: place - len(LONGEST) for place, file in enumerate(LONGEST)}
    items.sort(key=lambda item: places[_file(item)])


def _file(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]


def pytest_collection_finish() -> None:
    """All that was imported stays: let no collection of garbage go through it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    with opened() as nursery:
        yield nursery

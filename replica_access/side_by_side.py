"""The same work in several databases at once."""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

DATABASES_AT_ONCE = 4
"""How many are read side by side: a connection each, to a primary that has better things to do."""


def in_each(databases: Collection[str], do: Callable[[str], T]) -> dict[str, T]:
    """Return what `do` returns for each, in their order; the first error is raised, once all have ended."""
    if len(databases) < 2:
        return {name: do(name) for name in databases}  # here, where Ctrl-C ends it at once
    with ThreadPoolExecutor(DATABASES_AT_ONCE) as pool:
        return dict(zip(databases, pool.map(do, databases), strict=True))

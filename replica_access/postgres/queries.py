"""The SQL files: catalog queries that bind values.

They live in ``sql/`` beside the package, and inside it when installed from a wheel.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import LiteralString


@cache
def load(name: str) -> LiteralString:
    """Return the text of ``sql/<name>.sql``.

    It is typed as a literal because it is one: the file is part of the program, and nothing is ever put into it but by
    binding (this is the only place that may claim so).
    """
    return (_directory() / f"{name}.sql").read_text(encoding="utf-8")


@cache
def _directory() -> Path:
    package = Path(__file__).parents[1]
    inside = package / "sql"
    return inside if inside.is_dir() else package.parent / "sql"

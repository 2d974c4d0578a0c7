"""A figure, what it is held against, and a table of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One measurement.

    :param against: what it is held against, if anything, and `other`, the same unit measured there.
    :param target: what the ratio (or, without one, the value) should be, in words.
    :param memory_mb: what our process took at most, and `statements` how many the server was sent.
    """

    what: str
    value: float
    unit: str
    against: str = ""
    other: float | None = None
    target: str = ""
    faster: bool = False
    memory_mb: float | None = None
    statements: int | None = None

    @property
    def ratio(self) -> float | None:
        """How many times the other one, or, where `faster`, how many times as fast."""
        if self.other is None or not self.value or not self.other:
            return None
        return self.other / self.value if self.faster else self.value / self.other

    def document(self) -> dict[str, Any]:
        return {**asdict(self), "ratio": self.ratio}


COLUMNS = {
    "what": 38,
    "measured": 9,
    "against": 26,
    "it took": 9,
    "ratio": 15,
    "target": 18,
    "memory": 7,
    "statements": 10,
}
"""The columns of the table, and how wide they are at least: a row is printed when it is there, before others are."""


def head() -> Iterator[str]:
    """Yield the first two lines of a table that Markdown takes too."""
    yield line(list(COLUMNS))
    yield line(["-" * width for width in COLUMNS.values()])


def row(figure: Figure) -> str:
    """Return the line of `figure` in that table."""
    return line(
        [
            figure.what,
            number(figure.value, figure.unit),
            figure.against,
            number(figure.other, figure.unit),
            "" if figure.ratio is None else f"{figure.ratio:.2f}" + (" x as fast" if figure.faster else " x"),
            figure.target,
            number(figure.memory_mb, "MB"),
            number(figure.statements, ""),
        ]
    )


def line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, COLUMNS.values(), strict=True)) + " |"


def number(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    return f"{value:,.0f} {unit}".rstrip() if value >= 100 or value == int(value) else f"{value:.3g} {unit}".rstrip()

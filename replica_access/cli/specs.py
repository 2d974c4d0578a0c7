"""Which specs a call names: one or several files, each by its name or by a pattern."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

DEFAULT = Path("replica-access.toml")


@dataclass(frozen=True, slots=True)
class Named:
    """
    :param paths: each file once, in the order in which they are named.
    :param repeated: the names of files that were there already.
    :param is_set: whether any number may be meant: two were named, or a pattern was, whatever it finds today.
    """

    paths: tuple[Path, ...]
    repeated: tuple[Path, ...]
    is_set: bool


def named(given: Sequence[Path]) -> Named:
    """Return the files that are meant. A pattern that finds nothing stands for itself, as in a shell.

    Patterns are found here since systemd has no shell; a file whose name only looks like one is that file.
    """
    first: dict[str, Path] = {}
    found = [path for each in given for path in _found(each)]
    repeated = tuple(path for path in found if first.setdefault(os.path.realpath(path), path) is not path)
    return Named(tuple(first.values()), repeated, len(given) > 1 or any(map(_is_pattern, given)))


def _found(path: Path) -> Iterator[Path]:
    if not _is_pattern(path):
        yield path
        return
    from glob import glob

    found = sorted(glob(str(path)))  # noqa: PTH207  # as a shell does: not what begins with a dot
    yield from map(Path, found or [str(path)])


def _is_pattern(path: Path) -> bool:
    return any(char in str(path) for char in "*?[") and not os.path.lexists(path)

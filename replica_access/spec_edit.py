"""Add names to lists of a spec in place: comments, order and style stay as somebody wrote them.

tomlkit finds the list in the text; what is inserted is decided here, token by token, because the rest of the file, and
of the list, has to stay byte for byte what it was.
"""

from __future__ import annotations

import re
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from replica_access.errors import SpecError, UsageError
from replica_access.names import shown
from replica_access.spec import parse

if TYPE_CHECKING:
    from replica_access.coverage import Addition
    from replica_access.spec import Spec

_BOM = "\ufeff"

_TOKEN = re.compile(
    r"""(?P<string>\"{3}(?:\\.|[^\\])*?\"{3,5} | '{3}.*?'{3,5} | "(?:\\.|[^"\\])*" | '[^']*')
      | (?P<comment>\#[^\n]*?(?=\r?\n|\Z))
      | (?P<space>\s+)
      | (?P<mark>[\[\]{},])
      | (?P<other>[^"'\#\s\[\]{},]+)""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Edit:
    """What a spec will be once `write` is called.

    :param spec: what it will say.
    """

    path: Path
    before: bytes
    after: bytes
    spec: Spec

    def write(self) -> None:
        """Write the file whole or not at all; a link to it stays one, and its mode what it was.

        :raises UsageError: it cannot be written, or somebody else has edited it meanwhile.
        """
        target = self.path.resolve()
        draft = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
        try:
            if target.read_bytes() != self.before:
                raise UsageError(f"{self.path} was edited meanwhile.", "Run the same command again.")
            draft.write_bytes(self.after)
            draft.chmod(stat.S_IMODE(target.stat().st_mode))
            draft.replace(target)
        except OSError as error:
            with suppress(OSError):
                draft.unlink()
            raise UsageError(
                f"{self.path} cannot be written: {error.strerror}.", "Give yourself the right to, or edit it yourself."
            ) from None


def prepare(path: Path, additions: Iterable[Addition]) -> Edit:
    """Return the spec in `path` with `additions` made, which nobody has written yet.

    :raises SpecError: the result would make no sense, or the list cannot be found in the text.
    """

    def add_all(text: str) -> str:
        for addition in additions:
            text = added(text, addition, str(path))
        return text

    return edited(path, add_all)


def edited(path: Path, change: Callable[[str], str]) -> Edit:
    """Return the spec in `path` as `change` makes it, which nobody has written yet.

    :raises SpecError: the result would make no sense.
    """
    before = path.read_bytes()
    text = before.decode("utf-8")
    mark, text = (_BOM, text[1:]) if text.startswith(_BOM) else ("", text)
    text = change(text)
    return Edit(path, before, (mark + text).encode("utf-8"), parse(text, str(path), path.parent))


def added(text: str, addition: Addition, origin: str = "spec") -> str:
    """Return `text` with one name more.

    :raises SpecError: the list cannot be found in it.
    """
    begin, array = _find(text, addition, origin)
    return text[:begin] + _appended(array, addition.pattern) + text[begin + len(array) :]


def _find(text: str, addition: Addition, origin: str) -> tuple[int, str]:
    """Return where the list begins, and how it is written: what a value of ours takes the place of."""
    sought = secrets.token_hex(16)
    begin, array = 0, ""
    with suppress(TOMLKitError, LookupError, ValueError, AttributeError):
        start, document, entry = _entries(text)[addition.entry]
        array = entry[addition.key].as_string()
        entry[addition.key] = sought
        begin = start + tomlkit.dumps(document).index(f'"{sought}"')
    if not array or not text.startswith(array, begin):
        raise SpecError(
            f"{origin}: {addition.key} of the grant to {shown(addition.to)} cannot be edited in place.",
            f"Add {shown(addition.pattern)} to it yourself.",
        )
    return begin, array


def _entries(text: str) -> list[tuple[int, Any, Any]]:
    """Return for each of the grants where its part of the text begins, that part, and the entry in it.

    Part by part, because tomlkit moves tables of an array together when others stand between them.
    """
    found: list[tuple[int, Any, Any]] = []
    for start, part in parts(text):
        document: Any = tomlkit.parse(part)
        found += [(start, document, entry) for entry in document.get("grants", ())]
    return found


def parts(text: str) -> Iterator[tuple[int, str]]:
    """Yield what stands before the first header of a table, then each header with what is under it."""
    begin = depth = 0
    for token in _TOKEN.finditer(text):
        mark = token["mark"]
        if mark == "[" and depth == 0 and not text[text.rfind("\n", 0, token.start()) + 1 : token.start()].strip():
            yield begin, text[begin : token.start()]
            begin = token.start()
        if mark:
            depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(mark, 0)
    yield begin, text[begin:]


def body_end(part: str) -> int:
    """Return where the last line of `part` ends that says something: what follows may belong to what comes after."""
    end = offset = 0
    for line in part.splitlines(keepends=True):
        offset += len(line)
        if line.strip() and not line.lstrip().startswith("#"):
            end = offset
    return end


def cut(text: str, begin: int, part: str) -> str:
    """Return `text` without what `part`, which begins at `begin`, says."""
    before, rest = text[:begin], text[begin + body_end(part) :]
    if before.endswith(("\n\n", "\r\n\r\n")) or not before:
        rest = re.sub(r"\A\r?\n", "", rest)
    return before + rest


def _appended(array: str, name: str) -> str:
    """Return the source of a list of strings with `name` at its end, in the style of the last one there.

    >>> _appended('["a", "b"]', "c")
    '["a", "b", "c"]'
    >>> print(_appended('[\\n  "a", # first\\n]', "c"))
    [
      "a", # first
      "c",
    ]
    """
    tokens = list(_TOKEN.finditer(array))
    value = tomlkit.string(name).as_string()
    strings = [place for place, token in enumerate(tokens) if token["string"]]
    if not strings:
        return f"[{value}{array[1:]}"
    last = strings[-1]
    before, after = tokens[last - 1], tokens[last + 1 :]
    comma = next((place for place, token in enumerate(after) if token[0] == ","), None)
    if "\n" not in before[0]:
        end = tokens[last].end() if comma is None else after[comma].end()
        more = f", {value}" if comma is None else f" {value},"
        return array[:end] + more + array[end:]
    # On a line of its own, under the last one and what is said beside that.
    element = tokens[last].end()
    end = element if comma is None else after[comma].end()
    beside = re.compile(r"(?:[ \t]*#[^\n]*?(?=\r?\n))?").match(array, end)
    line = beside.end() if beside else end
    newline = before[0][before[0].rindex("\n") :]
    if before[0].endswith("\r" + newline):
        newline = "\r" + newline
    if comma is None:
        return f"{array[:element]},{array[element:line]}{newline}{value}{array[line:]}"
    return f"{array[:line]}{newline}{value},{array[line:]}"

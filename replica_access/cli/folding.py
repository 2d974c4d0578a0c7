"""SQL and commands on a narrow terminal: broken only where they can be copied all the same."""

from __future__ import annotations

from collections.abc import Iterator

COMMAND = ("replica-access ", "aws ", "psql ")
COMMENTS = ("# ", "-- ")


def folded(text: str, room: int) -> list[str]:
    """Return `text` as lines that mean the same: within `room` columns, where it has blanks outside of quotes there.

    A comment goes on as one, a command of the shell ends in a backslash where it goes on.

    >>> folded("# say so in the spec, then: replica-access apply", 30)
    ['# say so in the spec, then:', '# replica-access apply']
    >>> folded('REVOKE "odd  name" FROM "bi";', 20)
    ['REVOKE "odd  name"', 'FROM "bi";']
    >>> folded("replica-access grant --schema 'a b' --yes", 30)
    ['replica-access grant \\\\', "--schema 'a b' --yes"]
    """
    begin = next((mark for mark in COMMENTS if text.startswith(mark)), "")
    end = " \\" if text.startswith(COMMAND) else ""
    words = text.removeprefix(begin).split(" ") if begin else list(_words(text))
    lines: list[str] = []
    for number, word in enumerate(words):
        longer = f"{lines[-1]} {word}" if lines else f"{begin}{word}"
        is_last = number == len(words) - 1
        if lines and len(longer) + (0 if is_last else len(end)) > room:
            lines[-1] += end
            lines.append(f"{begin}{word}")
        else:
            lines[-1:] = [longer]
    return lines


def _words(text: str) -> Iterator[str]:
    """Yield what blanks outside of quotes part; all of it, where nobody can tell where quotes end."""
    if "\\" in text:
        yield text
        return
    quote, word = "", ""
    for char in text:
        if char == " " and not quote:
            yield word
            word = ""
            continue
        if char in "'\"" and quote in {"", char}:
            quote = "" if quote else char
        word += char
    yield word

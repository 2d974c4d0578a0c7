"""Names and texts that a server sent, as people read them.

Both are whatever bytes somebody chose, kept as ``str``; bytes that are no UTF-8 are surrogate escapes in it, so that a
name survives the way back. `shown` is how a name of a database object is displayed, everywhere; `written` is for what
the server has quoted itself, and `legible` for text that is no name: messages, comments, values of settings, addresses.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

_ASCII_WORD = re.compile(r"\w[\w$@+-]*", re.ASCII)

_ASCII_WORDS = re.compile(r"\w[\w$@+-]*(?:\n\w[\w$@+-]*)*", re.ASCII)

_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)
"""What has no ink and counts as printable: fillers, joiners and variation selectors (Default_Ignorable_Code_Point)."""

_SPACE = re.compile("([\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000])")

_JAMO = re.compile("[\u1160-\u11ff]")
"""Vowels and final consonants, which become one letter with what is before them."""


def shown(*names: str) -> str:
    """Return a name, or a schema and what is in it, as SQL would quote it: bare only where it is plainly one word.

    Whoever reads it knows which name it is: no two are displayed alike, in a list or after a dot either. The role that
    somebody called ``PUBLIC`` is quoted; the other PUBLIC is no name.

    >>> print(shown("orders"), shown("Straße"), shown("i-0abc"), shown("app", "orders"))
    orders Straße i-0abc app.orders
    >>> print(shown("odd.name"), shown("app", "b.c"), shown("two words"), shown("a, b"), shown("end "), shown(""))
    "odd.name" app."b.c" "two words" "a, b" "end " ""
    >>> print(shown("PUBLIC"), shown("public"), shown('in"ch'), shown("-x"), shown("app_*"))
    "PUBLIC" public "in""ch" "-x" "app_*"
    >>> print(shown("two\\nlines"), shown("caf\\udce9"), shown("back\\\\slash"), shown("zero\\u200bwidth"))
    "two\\nlines" "caf\\xe9" "back\\\\slash" "zero\\u200bwidth"
    """
    return ".".join([name if _is_word(name) else '"' + written(name).replace('"', '""') + '"' for name in names])


def all_shown(names: Sequence[str]) -> Sequence[str]:
    """Return each of `names` as `shown` does: a hundred thousand plain ones in a moment.

    >>> all_shown(["orders", "two words"]), all_shown(["two\\nlines", "end"])
    (['orders', '"two words"'], ['"two\\\\nlines"', 'end'])
    """
    lines = "\n".join(names)
    plain = _ASCII_WORDS.fullmatch(lines) and lines.count("\n") == len(names) - 1 and "PUBLIC" not in names
    return names if plain else [shown(name) for name in names]


def _is_word(name: str) -> bool:
    """Whether `name` is letters of any script and digits, or such with what people write within a word."""
    if _ASCII_WORD.fullmatch(name):  # as nearly all names are
        return name != "PUBLIC"
    first = name[:1]
    return (
        (first.isalnum() or first == "_")
        and all(char.isalnum() or char in "_$@+-" or _is_mark(char) for char in name)
        and not any("\u02b0" <= char <= "\u02ff" for char in name)  # letters that look like quotes and colons
        and written(name) == name
    )


def written(identity: str) -> str:
    """Return what a server has quoted where it has to be, with escapes for what would look like something else.

    An accent that is a character of its own looks like the letter that has it.

    >>> print(written('app."two words"(integer)'), written('"two\\nlines"'), written('"caf\\udce9"'))
    app."two words"(integer) "two\\nlines" "caf\\xe9"
    >>> print(written('"caf\\u00e9"'), written('"cafe\\u0301"'), written('"two\\u00a0words"'))
    "café" "cafe\\u0301" "two\\u00a0words"
    """
    if identity.isascii() and identity.isprintable() and "\\" not in identity:
        return identity
    composed = unicodedata.is_normalized("NFC", identity)
    out: list[str] = []
    bare = False  # an accent after an escape would be drawn on that
    for char in identity:
        bare = _is_visible(char) and (_stands_alone(char) or (composed and (bare or not _is_mark(char))))
        out.append(char if bare else _escaped(char))
    return "".join(out)


def legible(text: str) -> str:
    """Return `text` so that a terminal, a log or JSON can carry it, and nothing in it is hidden or out of its order.

    >>> print(legible("Nothing odd."), legible("two\\nlines"), legible("caf\\udce9"), legible("\\u202eevil"))
    Nothing odd. two\\nlines caf\\xe9 \\u202eevil

    People write more spaces than the one, between « and a word, say: they are spaces.

    >>> legible("n'existe\\u00a0pas")
    "n'existe\\xa0pas"
    """
    return "".join(part if _SPACE.match(part) else written(part) for part in _SPACE.split(text))


def pasteable(text: str) -> str:
    """Return statements and commands so that they can be seen, copied and run: SQL escapes for the invisible in names.

    A line stays a line, whatever is in the names. Bytes that are no UTF-8 cannot be written so: no such name is found.

    >>> print(pasteable('-- "as it stands"\\nREVOKE CREATE ON SCHEMA "two\\nlines", "back\\\\slash" FROM "a\\u202eb";'))
    -- "as it stands"
    REVOKE CREATE ON SCHEMA U&"two\\000Alines", "back\\slash" FROM U&"a\\202Eb";
    >>> print(pasteable('REVOKE "caf\\udce9" FROM "bi";'), pasteable("# a bell: \\x07"))
    REVOKE "caf\\xe9" FROM "bi"; # a bell: \\x07
    """
    return _PART.sub(_seen, text)


_PART = re.compile(r"""^(?:--|\#)[^\n]*|'(?:[^']|'')*'|"(?:[^"]|"")*"|[^'"\n]""", re.MULTILINE)
"""A comment, a literal, a quoted name, or any other character."""


def _seen(found: re.Match[str]) -> str:
    part = found[0]
    if all(map(_has_ink, part)):
        return part
    if part[0] == '"' and len(part) > 1 and is_utf8(part):
        return 'U&"' + "".join(map(_in_unicode, part[1:-1])) + '"'
    return "".join(char if _has_ink(char) else _escaped(char) for char in part)


def _has_ink(char: str) -> bool:
    return char == "\\" or _is_visible(char)


def _in_unicode(char: str) -> str:
    """Return a character as SQL takes it in ``U&""``."""
    if char == "\\":
        return "\\\\"
    if _is_visible(char):
        return char
    return f"\\{ord(char):04X}" if ord(char) <= 0xFFFF else f"\\+{ord(char):06X}"


def _is_visible(char: str) -> bool:
    return char.isprintable() and char != "\\" and not _INVISIBLE.match(char)


def _stands_alone(char: str) -> bool:
    """Whether `char` means the same beside any other."""
    return not _is_mark(char) and not _JAMO.match(char) and unicodedata.is_normalized("NFC", char)


def _is_mark(char: str) -> bool:
    return unicodedata.category(char).startswith("M")


def _escaped(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if 0x80 <= code <= 0xFF:  # \x is a byte here, which is another thing than the character of that number
        return f"\\u{code:04x}"
    return char.encode("unicode_escape").decode("ascii")


def is_utf8(name: str) -> bool:
    """Whether all bytes of `name` are UTF-8.

    >>> is_utf8("café"), is_utf8("caf\\udce9")
    (True, False)
    """
    return not any("\udc80" <= char <= "\udcff" for char in name)

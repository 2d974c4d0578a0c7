"""Names are displayed so that whoever reads them knows which ones they are."""

from __future__ import annotations

import doctest
import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from replica_access import names
from replica_access.names import legible, pasteable, shown, written

TRICKY = st.sampled_from(
    [
        *"ab.,;:()\"'\\ -+$@_*0x", "PUBLIC", "\\x", "\\u", "\\n", "\n", "\t", "\x1b", "\x85", "\udc85", "\udce9",
        "\u00e9", "\u00a0", "\u00ad", "\u0301", "\u0338", "\u034f", "\u115f", "\u1100", "\u1161", "\u11a8", "\uac00",
        "\u200b", "\u200d", "\u202e", "\u2028", "\u212b", "\u2800", "\u3164", "\ufb01", "\ufe0f", "\ufeff", "\uffa0",
        "\U000e0041", "\u05d0", "\u0915", "\u093f", "\u02ba", "\U0001f3e0",
    ]
)  # fmt: skip
ANY = st.lists(st.one_of(TRICKY, st.characters(exclude_categories=["Cs"])), max_size=8).map("".join)
PATHS = st.lists(ANY, min_size=1, max_size=3)
_NAME = re.compile(r'"((?:[^"]|"")*)"|([^",.\s]+)')
_ESCAPE = re.compile(r"\\(?:(?P<mark>[\\nrt])|x(?P<byte>[0-9a-f]{2})|u(?P<four>[0-9a-f]{4})|U(?P<eight>[0-9a-f]{8}))")


def read(text: str) -> list[list[str]]:
    """Return the names in a list of displayed ones: what a careful reader makes of it."""
    found: list[list[str]] = [[]]
    end = 0
    for name in _NAME.finditer(text):
        between = text[end : name.start()]
        assert between in {"", ".", ", "}
        if between == ", ":
            found.append([])
        found[-1].append(_unescaped(name[1].replace('""', '"')) if name[2] is None else name[2])
        end = name.end()
    assert end == len(text)
    return found


def _unescaped(text: str) -> str:
    def meant(escape: re.Match[str]) -> str:
        if mark := escape["mark"]:
            return {"n": "\n", "r": "\r", "t": "\t"}.get(mark, mark)
        code = int(escape["byte"] or escape["four"] or escape["eight"], 16)
        return chr(code + 0xDC00) if escape["byte"] and code >= 0x80 else chr(code)

    return _ESCAPE.sub(meant, text)


@given(st.lists(PATHS, min_size=1, max_size=3))
@example([["\x85"], ["\udc85"]])
@example([["a", "b.c"], ["a.b", "c"]])
def test_from_what_is_displayed_the_names_are_known(paths: list[list[str]]) -> None:
    assert read(", ".join(shown(*path) for path in paths)) == paths


@given(PATHS)
@example(["e\u0301"])
@example(["\u202e\u0301"])
@example(["\u212b"])
@example(["\u1100\u1161"])
def test_nothing_displayed_is_hidden_or_drawn_as_another_character(path: list[str]) -> None:
    text = shown(*path)
    assert text.isprintable()
    assert unicodedata.is_normalized("NFC", text)
    assert not re.search("[\u200b-\u200f\u202a-\u202e\u2060-\u206f\u00ad\u034f\u3164\ufe0f\ufeff\U000e0041]", text)


@given(ANY)
def test_text_is_legible_with_no_quotes_around_it(text: str) -> None:
    told = legible(text)
    assert "\n" not in told
    assert "\u202e" not in told
    assert _unescaped(told) == text


WORDS = ["orders", "Orders", "_x", "r2d2$", "app-eu", "a@corp", "a+b", "1", "größe", "заказы", "ユーザー", "हिन्दी"]


@pytest.mark.parametrize("name", WORDS)
def test_a_name_that_is_plainly_one_word_stays_as_it_is(name: str) -> None:
    assert shown(name) == name


OTHERS = ["PUBLIC", "", " ", "a b", "a.b", "a,b", "a:b", "-", "-x", "app_*", "it's", "🏠", "a/b", "a\u02ba", "e\u0301"]


@pytest.mark.parametrize("name", [*OTHERS, "a\u200db", "\udce9"])
def test_any_other_name_is_quoted(name: str) -> None:
    assert shown(name).startswith('"')
    assert shown(name).endswith('"')


def test_what_the_server_has_quoted_is_not_quoted_again() -> None:
    assert written('app."two words"("PUBLIC", integer[])') == 'app."two words"("PUBLIC", integer[])'
    assert written('app."zero\u200bwidth"()') == 'app."zero\\u200bwidth"()'


@given(PATHS)
def test_what_is_pasted_is_one_line_in_which_everything_is_seen(path: list[str]) -> None:
    quoted = ", ".join('"' + name.replace('"', '""') + '"' for name in path)
    line = pasteable(f"REVOKE SELECT ON TABLE {quoted} FROM PUBLIC;")
    assert line.isprintable()
    assert line.startswith("REVOKE SELECT ON TABLE ")


def test_the_examples_in_the_module_hold() -> None:
    assert doctest.testmod(names).failed == 0

"""Allow and deny addresses in a spec in place: everything else in the file stays as somebody wrote it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from replica_access.errors import SpecError, UsageError
from replica_access.spec import Allow, Spec
from replica_access.spec_edit import Edit, body_end, cut, edited, parts

HEADER = "[[network.allow]]"


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry stands: in the part of the text from `begin` on, as the only one of a header or in a list."""

    begin: int
    part: str
    document: Any
    number: int

    @property
    def entry(self) -> Any:
        return self.document["network"]["allow"][self.number]

    @property
    def has_header(self) -> bool:
        return self.part.lstrip().startswith("[[")


def source(text: str) -> dict[str, str]:
    """Return the key and the value by which an entry of the spec names `text`.

    :raises UsageError: it is no address, no prefix list and no id of a group.
    """
    if re.fullmatch(r"pl-[0-9a-f]+", text):
        return {"prefix_list": text}
    if re.fullmatch(r"sg-[0-9a-f]+", text):
        return {"security_group": text}
    try:
        return {"cidr": str(ipaddress.ip_network(text, strict=False))}
    except ValueError:
        raise UsageError(
            f"{text} is no address.", "Write 203.0.113.7/32, 2001:db8::/48, or the id of a prefix list (pl-...)."
        ) from None


def allow(path: Path, spec: Spec, wanted: Allow) -> Edit:
    """Return the spec in `path` with `wanted` in it: as a new entry, or as what the one for its source says now.

    :raises SpecError: it cannot be put there in place.
    """
    entries = [each for each in spec.network.allow if each.source != wanted.source]
    return _checked(edited(path, lambda text: allowed(text, wanted)), [*entries, wanted])


def deny(path: Path, spec: Spec, sources: Collection[str]) -> Edit:
    """Return the spec in `path` without entries for `sources`.

    :raises SpecError: one of them cannot be taken out in place.
    """
    entries = [each for each in spec.network.allow if each.source not in sources]
    return _checked(edited(path, lambda text: denied(text, sources)), entries)


def without_expired(path: Path, today: date) -> Edit:
    """Return the spec in `path` without the entries whose last day is over.

    :raises SpecError: one of them cannot be taken out in place.
    """

    def change(text: str) -> str:
        return _without(text, lambda entry: bool((day := entry.get("expires")) is not None and day < today))

    edit = edited(path, change)
    return _checked(edit, [each for each in edit.spec.network.allow if each.expires is None or each.expires >= today])


def _checked(edit: Edit, expected: list[Allow]) -> Edit:
    def order(entries: Collection[Allow]) -> list[str]:
        return sorted(map(repr, entries))

    if order(edit.spec.network.allow) != order(expected):
        raise SpecError(f"{edit.path}: network.allow cannot be edited in place.", "Edit it yourself, then apply.")
    return edit


# --- text ------------------------------------------------------------------------------------------------------------


def allowed(text: str, wanted: Allow) -> str:
    """Return `text` with an entry for `wanted`.

    >>> print(allowed("version = 1\\n", Allow(cidr="203.0.113.7/32", note="office")), end="")
    version = 1
    <BLANKLINE>
    [[network.allow]]
    cidr = "203.0.113.7/32"
    note = "office"
    """
    text = _without(text, lambda entry: _source(entry) == wanted.source, but_one=True)
    values = _values(wanted)
    newline = "\r\n" if "\r\n" in text else "\n"
    places = list(_places(text))
    for place in places:
        if _source(place.entry) == wanted.source:
            return _updated(text, place, values, newline)
    if places and not places[-1].has_header:
        last = places[-1]
        entry = tomlkit.inline_table()
        entry.update(values)
        last.document["network"]["allow"].append(entry)
        return _replaced(text, last)
    block = newline.join((HEADER, *(f"{key} = {tomlkit.item(value).as_string()}" for key, value in values.items()), ""))
    if not places:
        return f"{text.rstrip()}{newline}{newline}{block}"
    end = places[-1].begin + body_end(places[-1].part)
    before = text[:end] if text[:end].endswith("\n") else text[:end] + newline
    return f"{before}{newline}{block}{text[end:]}"


def denied(text: str, sources: Collection[str]) -> str:
    """Return `text` without entries for `sources`."""
    return _without(text, lambda entry: _source(entry) in sources)


def _values(wanted: Allow) -> dict[str, Any]:
    said = {
        "cidr": wanted.cidr,
        "prefix_list": wanted.prefix_list,
        "security_group": wanted.security_group,
        "note": wanted.note or None,
        "expires": wanted.expires,
    }
    return {key: value for key, value in said.items() if value is not None}


def _without(text: str, goes: Callable[[Any], bool], *, but_one: bool = False) -> str:
    """Return `text` without the entries that `goes` says; the first of them stays where `but_one` is to."""
    while going := [place for place in _places(text) if goes(place.entry)][but_one:]:
        shorter = _removed(text, going[-1])
        if shorter == text:
            break
        text = shorter
    return text


def _removed(text: str, place: Place) -> str:
    if not place.has_header:
        del place.document["network"]["allow"][place.number]
        return _replaced(text, place)
    return cut(text, place.begin, place.part)


def _updated(text: str, place: Place, values: dict[str, Any], newline: str) -> str:
    """Return `text` with what the entry at `place` says of note and expiry as `values` have it."""
    missing = {}
    for key in ("note", "expires"):
        if key not in values:
            place.entry.pop(key, None)
        elif key in place.entry or not place.has_header:
            place.entry[key] = values[key]
        else:
            missing[key] = values[key]
    part = tomlkit.dumps(place.document)
    end = body_end(part)
    lines = "".join(f"{key} = {tomlkit.item(value).as_string()}{newline}" for key, value in missing.items())
    if lines and not part[:end].endswith("\n"):
        lines = newline + lines
    return text[: place.begin] + part[:end] + lines + part[end:] + text[place.begin + len(place.part) :]


def _replaced(text: str, place: Place) -> str:
    return text[: place.begin] + tomlkit.dumps(place.document) + text[place.begin + len(place.part) :]


def _places(text: str) -> Iterator[Place]:
    """Yield where the entries stand, in order; none where the text is not understood."""
    with suppress(TOMLKitError, LookupError, TypeError, AttributeError):
        for begin, part in parts(text):
            document: Any = tomlkit.parse(part)
            for number in range(len(document.get("network", {}).get("allow", ()))):
                yield Place(begin, part, document, number)


def _source(entry: Any) -> str:
    if "cidr" in entry:
        with suppress(ValueError):
            return str(ipaddress.ip_network(str(entry["cidr"]), strict=False))
    return str(entry.get("prefix_list") or entry.get("security_group") or "")

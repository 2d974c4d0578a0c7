"""Give a user of a spec a last day, or take a user out, in place: the rest of the file stays as somebody wrote it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import InlineTable

from replica_access.errors import SpecError
from replica_access.names import shown
from replica_access.spec import Spec
from replica_access.spec_edit import Edit, body_end, cut, edited, parts


class Place(NamedTuple):
    """A part of the text, from `begin` on, and what tomlkit reads in it."""

    begin: int
    part: str
    document: Any

    def replaced_in(self, text: str) -> str:
        return text[: self.begin] + tomlkit.dumps(self.document) + text[self.begin + len(self.part) :]


def with_last_day(path: Path, spec: Spec, name: str, day: date) -> Edit:
    """Return the spec in `path` as one that says that `day` is the last one of the user `name`.

    :raises SpecError: that cannot be said in place.
    """
    user = spec.users[name].model_copy(update={"valid_until": day})
    edit = edited(path, lambda text: last_day_said(text, name, day))
    if edit.spec != spec.model_copy(update={"users": {**spec.users, name: user}}):
        raise SpecError(
            f"{path}: users.{shown(name)} cannot be edited in place.",
            f"Write valid_until = {day} there yourself, then run `replica-access apply`.",
        )
    return edit


def without(path: Path, spec: Spec, name: str) -> Edit:
    """Return the spec in `path` without the user `name` and the grants to it.

    :raises SpecError: that cannot be done in place.
    """
    users = {user: said for user, said in spec.users.items() if user != name}
    grants = tuple(grant for grant in spec.grants if grant.to != name)
    edit = edited(path, lambda text: taken_out(text, name))
    if edit.spec != spec.model_copy(update={"users": users, "grants": grants}):
        raise SpecError(
            f"{path}: users.{shown(name)} cannot be taken out in place.",
            "Take it out yourself, with the grants to it, then run `replica-access apply --allow-drop`.",
        )
    return edit


# --- text ------------------------------------------------------------------------------------------------------------


def last_day_said(text: str, name: str, day: date) -> str:
    """Return `text` with the last day of a user.

    >>> print(last_day_said("[users.bi]\\nauth = 'iam'  # theirs\\n\\n[roles.x]\\n", "bi", date(2027, 1, 31)), end="")
    [users.bi]
    auth = 'iam'  # theirs
    valid_until = 2027-01-31
    <BLANKLINE>
    [roles.x]
    """
    places = [place for place in _places(text) if name in place.document.get("users", {})]
    place = next((each for each in places if not _is_above(each.document["users"][name])), next(iter(places), None))
    if place is None:
        return text
    user = place.document["users"][name]
    if "valid_until" in user or isinstance(user, InlineTable) or _is_above(user):
        user["valid_until"] = day
        return place.replaced_in(text)
    end = body_end(place.part)
    newline = "\r\n" if "\r\n" in text else "\n"
    begin = "" if place.part[:end].endswith("\n") else newline
    return text[: place.begin + end] + f"{begin}valid_until = {day}{newline}" + text[place.begin + end :]


def taken_out(text: str, name: str) -> str:
    """Return `text` without a user, and without the grants to it.

    >>> print(taken_out("[users.bi]\\n[users.bi.settings]\\nx = '1'\\n\\n[users.bo]\\n", "bi"), end="")
    [users.bo]
    """
    for place in reversed(list(_places(text))):  # so that the places before stay where they are
        users, grants = place.document.get("users", {}), place.document.get("grants", ())
        going = [number for number, grant in enumerate(grants) if grant.get("to") == name]
        is_whole = bool(going) or (name in users and _is_above(users))
        if is_whole and place.part.startswith("["):
            text = cut(text, place.begin, place.part)
        elif going or name in users:
            for number in reversed(going):
                del grants[number]
            if name in users:
                del users[name]
            text = place.replaced_in(text)
    return text


def _is_above(table: Any) -> bool:
    """Whether a table is there only because one in it is: of ``[users.bi]`` that is ``users``."""
    return bool(getattr(table, "is_super_table", lambda: False)())


def _places(text: str) -> Iterator[Place]:
    """Yield the parts of `text` in order; none where it is not understood."""
    with suppress(TOMLKitError, LookupError, TypeError, AttributeError):
        for begin, part in parts(text):
            yield Place(begin, part, tomlkit.parse(part))

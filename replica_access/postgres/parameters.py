"""Settings of a role, as a spec writes them and as the server keeps them. Pure.

The server keeps its own spelling: of a name (``timezone`` is ``TimeZone``), and of what is a list of names, where each
element is quoted if it has to be (guc.c, GUC_LIST_QUOTE).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

# A list for one of these is written element by element: as one literal it would be one odd name.
_LISTS = frozenset(
    {
        "local_preload_libraries",
        "search_path",
        "session_preload_libraries",
        "temp_tablespaces",
        "unix_socket_directories",
    }
)
_ELEMENT = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^",]*?))\s*(,|$)')


def kept(settings: Mapping[str, str], name: str) -> str | None:
    """Return what a server that keeps `settings` has for `name`, however that is spelled; ``None`` where nothing.

    >>> kept({"TimeZone": "UTC"}, "timezone")
    'UTC'
    """
    return next((value for key, value in settings.items() if key.lower() == name.lower()), None)


def same(name: str, one: str, other: str) -> bool:
    """Whether two values of the parameter `name` are one.

    >>> same("search_path", "app,public", "app, public"), same("search_path", "App", "app")
    (True, False)
    """
    return elements(name, one) == elements(name, other)


def elements(name: str, value: str) -> list[str]:
    """Return what ``SET`` takes: the elements of a list, anything else as it stands.

    >>> elements("search_path", '"$user", "a,b",public'), elements("statement_timeout", "1 min")
    (['$user', 'a,b', 'public'], ['1 min'])
    """
    if name.lower() not in _LISTS:
        return [value]
    found: list[str] = []
    rest = value
    while element := _ELEMENT.match(rest):
        quoted, bare, comma = element.groups()
        found.append(bare if quoted is None else quoted.replace('""', '"'))
        rest = rest[element.end() :]
        if not comma:
            return found
    return [value]  # a quote too many: the server says so

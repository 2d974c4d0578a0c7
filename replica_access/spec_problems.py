"""What is wrong with a spec, in sentences: file, line where known, key, and what is allowed. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from replica_access.names import shown
from replica_access.spec import AcceptSpec, Allow, Aws, GrantSpec, Network, Primary, Replica, RoleSpec, Spec, UserSpec

Key = int | str
"""A step from a table to what is in it: a name, or the position in an array, from 0."""

_WRONG_FORMS: Mapping[str, str] = {
    "bool": "neither true nor false",
    "date": "no date; write 2027-01-31",
    "dict": "no table",
    "int": "no whole number",
    "mapping": "no table",
    "model": "no table",
    "string": "no text in quotes",
    "tuple": "no list",
}
"""By the first word of pydantic's type of an error."""

_WRONG_NAMES: Mapping[str, str] = {
    "account": "no account; write its twelve digits in quotes",
    "ca_certificate": "no certificate authority; write rds-ca-rsa2048-g1",
    "class": "no class of instances; write db.r6g.large",
    "prefix_list": "no prefix list; write pl-0123456789abcdef0",
    "instance": "neither an identifier of an RDS instance nor an ARN",
    "monitoring_role": "no ARN of a role; write arn:aws:iam::123456789012:role/rds-monitoring-role",
    "rule": "no id of a rule; `replica-access audit --rules` lists them",
    "region": "no Region; write ap-southeast-2",
    "settings": "no name of a parameter",
}
"""By the key that has the value."""

_TABLES: Mapping[str, type[BaseModel]] = {
    "": Spec,
    "aws": Aws,
    "primary": Primary,
    "replica": Replica,
    "network": Network,
    "network.allow": Allow,
    "roles.*": RoleSpec,
    "users.*": UserSpec,
    "grants": GrantSpec,
    "accepted": AcceptSpec,
}
"""The tables of a spec by where they stand; names that people choose are stars."""


def sentences(error: ValidationError, values: Mapping[str, Any], text: str, origin: str) -> Iterator[str]:
    """Yield what `error` says of `values`, which were read from `text`, each thing once.

    :param origin: the name of the file.
    """
    found = (_sentence(item, values, text, origin) for item in error.errors(include_url=False))
    yield from dict.fromkeys(found)


def _sentence(item: Any, values: Mapping[str, Any], text: str, origin: str) -> str:
    keys = _real_keys(item["loc"], values)
    line = _line_of(keys, text)
    where = f"{origin}:{line}" if line else origin
    message = _message(item, keys)
    return f"{where}: {_dotted(keys)}: {message}." if keys else f"{where}: {message}."


def _message(item: Any, keys: Sequence[Key]) -> str:
    kind, given = str(item["type"]), item["input"]
    quoted = repr(given) if isinstance(given, (str, int, float)) else "this"
    if kind == "extra_forbidden":
        allowed = _allowed(keys[:-1])
        return "unknown key" + (f"; allowed here: {', '.join(allowed)}" if allowed else "")
    if kind == "missing":
        return "is missing"
    if keys[-1:] == ["creators"]:
        return 'write "auto" or a list of names'
    if kind == "too_short":
        return "name at least one"
    if kind == "string_too_short":
        return "is empty; write something, or leave it out"
    if kind == "string_too_long":
        return f"is too long: {item['ctx']['max_length']} characters are allowed"
    if kind == "literal_error":
        return f"{quoted} is not allowed; write {item['ctx']['expected']}"
    if kind == "greater_than_equal":
        return f"{quoted} is too small; write {item['ctx']['ge']} or more"
    if kind == "less_than_equal":
        return f"{quoted} is too large; write {item['ctx']['le']} or less"
    if kind == "string_pattern_mismatch":
        return f"{quoted} is {_WRONG_NAMES.get(str(keys[-1]), 'no name')}"
    if form := _WRONG_FORMS.get(kind.partition("_")[0]):
        return f"{quoted} is {form}"
    message = str(item["msg"]).removeprefix("Value error, ")
    return f"{quoted}: {message}" if isinstance(given, str) else message


def _real_keys(location: Sequence[Key], values: Any) -> list[Key]:
    """Return `location` without what pydantic adds: marks, and names for the branches of a union."""
    keys: list[Key] = []
    for step, key in enumerate(location):
        if key == "[key]":  # what is wrong is the name before it
            continue
        try:
            values = values[key]
        except (KeyError, IndexError, TypeError):
            if step < len(location) - 1 or not isinstance(values, dict):
                continue
        keys.append(key)
    return keys


def _dotted(keys: Sequence[Key]) -> str:
    out = ""
    for key in keys:
        out += f"[{key + 1}]" if isinstance(key, int) else ("." if out else "") + shown(key)
    return out


def _allowed(keys: Sequence[Key]) -> list[str]:
    """Return the keys that the table at `keys` may have."""
    names = [key for key in keys if isinstance(key, str)]
    path = ".".join("*" if step and names[0] in {"roles", "users"} else name for step, name in enumerate(names))
    table = _TABLES.get(path)
    return [info.alias or name for name, info in table.model_fields.items()] if table else []


_KEY = re.compile(r'"([^"\\]*)"|\'([^\']*)\'|([\w-]+)')


def _line_of(keys: Sequence[Key], text: str) -> int | None:
    """Return the line that `keys` lead to, as far as they can be followed in the text; TOML parsers do not tell."""
    names = [key for key in keys if isinstance(key, str)]
    numbers = [key for key in keys if isinstance(key, int)]
    nth = numbers[0] if numbers else 0
    line_of_table: int | None = None
    current: list[str] = []
    seen_tables = 0
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if header := re.match(r"^(\[\[?)([^\]]+)\]", stripped):
            current = _names(header[2])
            is_array = header[1] == "[["
            if current and names[: len(current)] == current:
                if not is_array or seen_tables == nth:
                    line_of_table = number
                seen_tables += is_array
            continue
        if assignment := re.match(rf"^({_KEY.pattern})\s*=", stripped):
            rest = names[len(current) :]
            array_ok = not numbers or seen_tables == nth + 1 or seen_tables == 0
            if names[: len(current)] == current and rest[:1] == _names(assignment[1]) and array_ok:
                return number
    return line_of_table


def _names(text: str) -> list[str]:
    return ["".join(groups) for groups in _KEY.findall(text)]

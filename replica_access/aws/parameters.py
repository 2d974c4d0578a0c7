"""DB parameter groups: what is known of their parameters, and which values RDS takes. Pure.

Names, allowed values, and whether a parameter is static are what DescribeDBParameters says of the group itself, never a
list of ours: they differ between versions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Self

NO_LESS_THAN_PRIMARY = (
    "max_connections",
    "max_locks_per_transaction",
    "max_prepared_transactions",
    "max_wal_senders",
    "max_worker_processes",
)
"""A standby does not start with less of these than its primary has (PostgreSQL, "Administrator's Overview")."""

_RANGE = re.compile(r"(-?[\d.]+(?:e[+-]?\d+)?)-(-?[\d.]+(?:e[+-]?\d+)?)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a group.

    :param value: ``None`` where the engine decides.
    :param is_set: whether somebody has set it in this group; otherwise the value is a default.
    :param static: whether a new value takes effect with a reboot only.
    :param allowed: values and ranges between commas, as RDS writes them: ``0,1``, ``-1-2147483647``; empty: anything.
    :param modifiable: whether RDS lets anybody set it.
    """

    name: str
    value: str | None = None
    is_set: bool = False
    static: bool = False
    data_type: str = "string"
    allowed: str = ""
    modifiable: bool = True
    about: str = ""

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Self:
        """Return the parameter that an entry of ``Parameters`` describes."""
        return cls(
            found["ParameterName"],
            found.get("ParameterValue"),
            found.get("Source") == "user",
            found.get("ApplyType") == "static",
            found.get("DataType", "string"),
            found.get("AllowedValues", ""),
            found.get("IsModifiable", True),
            found.get("Description", ""),
        )


@dataclass(frozen=True, slots=True)
class ParameterGroup:
    """A DB parameter group, with what DescribeDBParameters says of every parameter.

    :param tags: only of the one that has our name.
    """

    name: str
    family: str
    arn: str = ""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_default(self) -> bool:
        """Whether it is RDS's own, which nobody can change."""
        return self.name.startswith("default.")

    @property
    def values(self) -> dict[str, str]:
        """What somebody has set."""
        return {p.name: p.value for p in self.parameters.values() if p.is_set and p.value is not None}


@dataclass(frozen=True, slots=True)
class ParameterGroups:
    """The parameter groups that matter for a replica.

    :param family: of the replica's version.
    :param base: the group whose values ours begins with: the one that the replica has, or would have, without us;
        ``None`` where it is gone.
    :param ours: the group that has the name ours would get, whoever made it.
    """

    family: str
    base: ParameterGroup | None
    ours: ParameterGroup | None = None

    @property
    def known(self) -> Mapping[str, Parameter]:
        """What there is to set."""
        group = self.ours or self.base
        return group.parameters if group is not None else {}


def wrong_parameters(wanted: Mapping[str, str], known: Mapping[str, Parameter]) -> Iterator[tuple[str, str, str]]:
    """Yield, for each of `wanted` that RDS would refuse, its name, why, and what to write instead."""
    for name, value in sorted(wanted.items()):
        parameter = known.get(name)
        if parameter is None:
            close = get_close_matches(name, known, n=1)
            advice = f"Did you mean {close[0]}?" if close else "See which there are: {list}"
            yield name, f"there is no parameter {name} in this version", advice
        elif not parameter.modifiable:
            yield name, f"RDS lets nobody change {name}", "Take it out of replica.parameters."
        elif not is_allowed(value, parameter):
            about = f" ({parameter.about.rstrip('.')})" if parameter.about else ""
            yield name, f"{name} cannot be {value!r}{about}", _what_is_allowed(value, parameter)


def too_small(wanted: Mapping[str, str], primary: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Yield, as `wrong_parameters` does, those of `wanted` with less than which a standby of `primary` does not start.

    :param primary: the values of the primary; only numbers can be compared, and formulas are passed over.
    """
    for name in NO_LESS_THAN_PRIMARY:
        value, least = wanted.get(name, ""), primary.get(name, "")
        if value.isdecimal() and least.isdecimal() and int(value) < int(least):
            reason = f"{name} is {least} on the primary, and a standby with {value} does not start"
            yield name, reason, f"Write {least} or more, or leave it out."


def is_allowed(value: str, parameter: Parameter) -> bool:
    """Whether RDS takes `value` for `parameter`. A formula over the instance class is RDS's to judge."""
    if not parameter.allowed or "{" in value:
        return True
    values = [each.strip() for each in value.split(",")] if parameter.data_type == "list" else [value]
    return all(_is_one_of(each, parameter.allowed) for each in values)


def _is_one_of(value: str, allowed: str) -> bool:
    for each in (part.strip() for part in allowed.split(",")):
        if each == value:
            return True
        if (limits := _RANGE.fullmatch(each)) and _is_between(value, *limits.groups()):
            return True
    return False


def _is_between(value: str, least: str, most: str) -> bool:
    try:
        return float(least) <= float(value) <= float(most)
    except ValueError:
        return False


def _what_is_allowed(value: str, parameter: Parameter) -> str:
    if parameter.allowed == "0,1":
        meant = {"on": "1", "true": "1", "yes": "1", "off": "0", "false": "0", "no": "0"}.get(value.lower())
        return f"Write {meant}." if meant else "Write 0 or 1."
    choices = [part.strip() for part in parameter.allowed.split(",")]
    if any(_RANGE.fullmatch(choice) for choice in choices):
        return "Write a plain number in the unit that RDS has it in: " + ", ".join(
            f"{limits[1]} to {limits[2]}" if (limits := _RANGE.fullmatch(choice)) else choice for choice in choices
        )
    close = get_close_matches(value, choices, n=1)
    return f"{f'Did you mean {close[0]}? ' if close else ''}Allowed: {', '.join(choices)}."

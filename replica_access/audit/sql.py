"""Statements that a remedy consists of. Pure; identifiers are always quoted, so that no name means something else."""

from __future__ import annotations


def identifier(*names: str) -> str:
    """Return a name, or a schema and what is in it, as SQL takes it.

    >>> print(identifier("app", 'odd"name'))
    "app"."odd""name"
    """
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def literal(value: str) -> str:
    r"""Return a text as SQL takes it, whatever standard_conforming_strings is.

    >>> print(literal("it's"), literal("back\\slash"))
    'it''s' E'back\\slash'
    """
    quoted = "'" + value.replace("'", "''") + "'"
    return "E" + quoted.replace("\\", "\\\\") if "\\" in value else quoted

"""The roles by schemas of the page: a table that says what it comes to, and behind each cell objects and ways."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from replica_access.audit.matrix import Cell, Matrix
from replica_access.audit.reports.html_text import text

Place = tuple[str, str]


def section(matrix: Matrix) -> str:
    """Return the table; empty where nobody holds anything."""
    if not matrix.cells:
        return ""
    return _section(_superusers(matrix), _table(matrix, 0))


def sections(matrices: Mapping[str, Matrix]) -> str:
    """Return the tables of several specs, each behind its name; of those where nobody holds anything, nothing."""
    before, parts = 0, []
    for spec, matrix in matrices.items():
        if not matrix.cells:
            continue
        about = f"{spec}: {len(matrix.roles):,} roles, {len(matrix.relations):,} schemas"
        superusers = f"<p>{text(told)}</p>" if (told := _superusers(matrix).strip()) else ""
        parts.append(
            f'<details class="access" data-spec="{text(spec)}"><summary>{text(about)}</summary>{superusers}'
            f"{_table(matrix, before)}</details>"
        )
        before += len(matrix.cells)
    return _section("", "".join(parts)) if parts else ""


def _section(more: str, tables: str) -> str:
    return (
        '<section id="access" aria-labelledby="h-access"><h2 id="h-access">Who holds what</h2>'
        "<p>r reads, w writes, c creates or keeps up, x runs; the number is of relations that can be read. Open a cell "
        f"for the objects and the ways. What everybody holds is in the row of PUBLIC alone.{text(more)}</p>"
        '<form id="roles" hidden role="search" aria-label="Filter the roles">'
        f'<label>Role <input type="search" name="role" autocomplete="off"></label></form>{tables}</section>'
    )


def _superusers(matrix: Matrix) -> str:
    return f" Superusers may do everything: {', '.join(matrix.superusers)}." if matrix.superusers else ""


def _table(matrix: Matrix, before: int) -> str:
    """:param before: how many cells of other tables are before its own in what the script reads."""
    places = list(matrix.relations)
    heads = "".join(
        f'<th scope="col"><span>{text(database)}</span><br>{text(schema)}<br>'
        f"<small>{matrix.relations[database, schema]:,} relations</small></th>"
        for database, schema in places
    )
    numbers = {key: number for number, key in enumerate(matrix.cells, before)}
    rows = "".join(_row(matrix, role, places, numbers) for role in matrix.roles)
    return (
        '<div class="scroll" role="region" aria-labelledby="h-access" tabindex="0"><table class="matrix">'
        f'<thead><tr><th scope="col">Role</th>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def document(matrices: Iterable[Matrix]) -> dict[str, Any]:
    """Return what the script shows of a cell, each list of names once; the cells of one table after the other."""
    lists: dict[tuple[str, ...], int] = {}
    cells = [_cell(cell, lists) for matrix in matrices for cell in matrix.cells.values()]
    return {"cells": cells, "names": list(lists)}


def _cell(cell: Cell, lists: dict[tuple[str, ...], int]) -> dict[str, Any]:
    return {
        "role": cell.role,
        "place": " / ".join(cell.place),
        "closed": cell.closed,
        "held": [
            [
                each.kind,
                lists.setdefault(each.names, len(lists)),
                each.total,
                ", ".join(each.privileges),
                each.through,
                each.by,
            ]
            for each in cell.held
        ],
    }


def _row(matrix: Matrix, role: str, places: list[Place], numbers: dict[tuple[str, Place], int]) -> str:
    cells = "".join(
        _shown(matrix.cells[role, place], place, numbers[role, place]) if (role, place) in numbers else "<td></td>"
        for place in places
    )
    return f'<tr><th scope="row">{text(role)}</th>{cells}</tr>'


def _shown(cell: Cell, place: Place, number: int) -> str:
    """Return a cell; it says of itself what it is in, since paper is not as wide as some tables are."""
    about = f"{cell.letters or '·'} {cell.readable:,}" if cell.readable else cell.letters or "·"
    closed = f" <small>without {text(' and '.join(cell.closed))}</small>" if cell.closed else ""
    marks = " writes" if "w" in cell.letters else ""
    shut = " closed" if cell.closed else ""
    where = text(" / ".join(place))
    return (
        f'<td class="cell{marks}{shut}" data-in="{where}">'
        f'<button type="button" data-cell="{number}">{about}</button>{closed}</td>'
    )

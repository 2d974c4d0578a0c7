"""The structure of the package: which way imports point, and who may import what."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import replica_access
from replica_access.postgres import queries

PACKAGE = Path(replica_access.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
SQL = sorted((PACKAGE.parent / "sql").glob("*.sql"))

ONLY_IN = {
    "boto3": {"aws"},
    "botocore": {"aws"},
    "psycopg": {"postgres"},
    "sqlalchemy": {"audit"},
    "typer": {"cli"},
    "click": {"cli"},
    "rich": {"cli"},
    "moto": {"sandbox"},
    "werkzeug": {"sandbox"},
    "flask": {"sandbox"},
}

# What each part may import of the package; everything may import what has no part: model, errors, spec, patterns …
MAY_IMPORT = {
    "cli": {"cli", "sandbox", "postgres"},
    "aws": {"aws"},
    "postgres": {"postgres"},
    "audit": {"audit"},
    "sandbox": {"sandbox", "postgres"},
    "workflow": {"workflow", "aws", "postgres", "audit"},
    "": set[str](),
}
EXCEPTIONS = {
    # a plain pair of servers reads its dsn with libpq
    ("hosting", "postgres"),
    # `plan --sql` prints what the pure renderer of scripts returns
}


def imports(path: Path) -> Iterator[str]:
    """Yield the dotted names that a module imports anywhere in it, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


USES = {
    "workflow.py",
    "outlook.py",
    "exporting.py",
    "addressing.py",
    "removal.py",
    "auditing.py",
    "explaining.py",
    "reporting.py",
    "listing.py",
    "ending.py",
    "rotating.py",
    "several.py",
}


def part_of(path: Path) -> str:
    inside = path.relative_to(PACKAGE).parts
    if len(inside) > 1:
        return inside[0]
    return "workflow" if inside[0] in USES else ""


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_libraries_stay_where_they_belong(path: Path) -> None:
    for name in imports(path):
        library = name.partition(".")[0]
        if library in ONLY_IN:
            assert part_of(path) in ONLY_IN[library], f"{library} is imported"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    here = part_of(path)
    for name in imports(path):
        package, _, rest = name.partition(".")
        there = rest.partition(".")[0]
        if package != "replica_access" or there not in MAY_IMPORT or not there:
            continue
        if path.name == "__main__.py" or (path.stem, there) in EXCEPTIONS:
            continue
        assert there in MAY_IMPORT[here] or (there == "workflow" and here == "cli"), (
            f"{here or path.stem} imports {name}"
        )


def test_nothing_but_the_cli_prints_or_exits() -> None:
    for path in MODULES:
        if part_of(path) == "cli" or path.name in {"launcher.py", "endpoint.py"}:  # programs of their own
            continue
        calls = {
            node.func.id
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert not calls & {"print", "exit", "quit", "input"}, path


def test_every_sql_file_is_used_and_every_name_loads() -> None:
    sources = [path.read_text(encoding="utf-8") for path in MODULES]
    for file in SQL:
        assert any(f'"{file.stem}"' in source for source in sources), f"{file.name} is used nowhere"
        assert queries.load(file.stem)
    named = {name for source in sources for name in re.findall(r'\bload\("(\w+)"\)', source)}
    assert named <= {file.stem for file in SQL}


@pytest.mark.parametrize("file", SQL, ids=lambda file: file.name)
def test_catalog_queries_qualify_what_they_call(file: Path) -> None:
    text = re.sub(r"--.*|'(?:[^']|'')*'", "", file.read_text(encoding="utf-8"))
    for name in re.findall(
        r"(?<![\w.])(pg_\w+|has_\w+_privilege|aclexplode|acldefault|array_agg|unnest|current_setting)\b", text
    ):
        assert name == "pg_catalog", f"{name} is not qualified"


def test_files_can_be_read_in_a_sitting() -> None:
    long = {str(path.relative_to(PACKAGE)): n for path in MODULES if (n := len(path.read_text().splitlines())) > 450}
    assert not long

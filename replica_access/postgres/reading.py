"""Try to read every relation of a database as the user of a session, and hold it against what was declared."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import psycopg

from replica_access.desired import UserAccess
from replica_access.names import legible, shown
from replica_access.postgres import pipeline
from replica_access.postgres.pipeline import Answer
from replica_access.postgres.scene import count
from replica_access.postgres.session import BUSY, RETRY_PAUSES_S, ask
from replica_access.postgres.statements import qualified, quoted

PAGE = 10_000
"""Relations tried in one session. A server keeps all that a session has opened in the memory of that session, about
5 kB a table of a few columns; it is somebody's production, so the next page begins a new session."""

NAMED = 10
"""How many relations a sentence names before it only counts."""

REFUSED = "42501"
_GONE = frozenset({"42P01", "42703", "3F000"})
_TIMED_OUT = "57014"


@dataclass(frozen=True, slots=True)
class Relation:
    """Something that can be read; `kind` is ``pg_class.relkind``.

    :param rows: which of its rows the user sees, as far as row-level security on it tells.
    """

    oid: int
    schema: str
    name: str
    kind: str
    rows: Literal["all", "some", "none"] = "all"

    def __str__(self) -> str:
        return shown(self.schema, self.name)


@dataclass(frozen=True, slots=True)
class Names:
    """How many there are, and the first few."""

    count: int = 0
    first: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.count > 0

    def __str__(self) -> str:
        more = self.count - len(self.first)
        return "; ".join(self.first) + (f"; and {more:,} more" if more else "")

    @classmethod
    def of(cls, *names: str) -> Names:
        return cls(len(names), names[:NAMED])

    def __add__(self, other: Names) -> Names:
        return Names(self.count + other.count, (self.first + other.first)[:NAMED])


Finding = Literal["unreadable", "exposed", "nobodys", "of_extensions", "gone", "some rows", "no rows"]
"""What can be said of a relation that did not simply answer as declared.

``unreadable``: should be readable, and is not. ``exposed``: should be refused, and is not, or could not be tried.
``nobodys``: the user has the privilege, but the server itself cannot read it (a foreign table without a handler).
``of_extensions``: readable because the extension that brought it lets PUBLIC read it. ``gone``: dropped since the look
at the catalog. ``some rows``, ``no rows``: readable as declared, but row-level security chooses what it shows.
"""


@dataclass(frozen=True, slots=True)
class Reading:
    """What became of the attempt to read everything.

    :param wanted: how many relations should be readable; `unwanted`: how many should be refused. Those gone count for
        neither.
    :param exposed_schemas: the schemas of what is exposed.
    :param table: a table that can be read, to try other things on.
    """

    wanted: int = 0
    unwanted: int = 0
    found: Mapping[Finding, Names] = field(default_factory=dict)
    exposed_schemas: frozenset[str] = frozenset()
    table: Relation | None = None

    def __add__(self, other: Reading) -> Reading:
        return Reading(
            wanted=self.wanted + other.wanted,
            unwanted=self.unwanted + other.unwanted,
            found={key: self[key] + other[key] for key in self.found.keys() | other.found.keys()},
            exposed_schemas=self.exposed_schemas | other.exposed_schemas,
            table=self.table or other.table,
        )

    def __getitem__(self, finding: Finding) -> Names:
        return self.found.get(finding, Names())

    @property
    def readable(self) -> tuple[bool, str]:
        """Whether all that should be is readable, and that in words."""
        if unreadable := self["unreadable"]:
            return False, f"{unreadable.count:,} of {count(self.wanted, 'relation')} cannot be read: {unreadable}"
        readable = count(self.wanted - self["nobodys"].count, "relation")
        return True, (
            f"{readable} readable"
            + (f"; granted, but nobody can read: {self['nobodys']}" if self["nobodys"] else "")
            + (f"; row-level security shows no row of: {self['no rows']}" if self["no rows"] else "")
            + (f"; row-level security chooses the rows of: {self['some rows']}" if self["some rows"] else "")
            + (f"; dropped meanwhile: {self['gone']}" if self["gone"] else "")
        )

    @property
    def refused(self) -> tuple[bool, str]:
        """Whether everything else is refused, and that in words."""
        if exposed := self["exposed"]:
            return False, f"{exposed.count:,} of {count(self.unwanted, 'relation')} not refused: {exposed}"
        of_extensions = self["of_extensions"]
        return True, (
            f"{count(self.unwanted - of_extensions.count, 'relation')} refused"
            + (f"; extensions let everybody read: {of_extensions}" if of_extensions else "")
        )


def next_page(session: psycopg.Connection[Any], after: int) -> list[Relation]:
    """Return the relations whose oids follow `after`, at most `PAGE` of them.

    :raises psycopg.Error: the query failed.
    """
    return [Relation(*row) for row in ask(session, "proof_relations", {"after": after, "page": PAGE})]


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One SELECT of no rows, and whether it should be answered.

    :param columns: what is asked for; empty for none in particular.
    """

    relation: Relation
    wanted: bool
    columns: tuple[str, ...] = ()

    def __str__(self) -> str:
        columns = () if self.wanted else self.columns[:1]
        return shown(self.relation.schema, self.relation.name, *columns)

    @property
    def statement(self) -> bytes:
        """A SELECT that meets every check of privileges, and then no row.

        A condition that is false leaves nothing to scan: unlike LIMIT 0 it also works on a materialized view without
        data, asks no foreign server, and opens no partition; views are still checked down to their tables. What should
        be readable is read with all columns. What should not is asked for none: one column granted by itself would
        answer.
        """
        columns = ", ".join(map(quoted, self.columns)) or ("*" if self.wanted else "")
        name = qualified(self.relation.schema, self.relation.name)
        return f"SELECT {columns} FROM {name} WHERE false".encode("utf-8", "surrogateescape")  # noqa: S608


def read(session: psycopg.Connection[Any], access: UserAccess, database: str, relations: Sequence[Relation]) -> Reading:
    """Try a SELECT of no rows on each of `relations`, and sort the answers.

    :raises psycopg.Error: the session broke.
    """
    attempts = list(_attempts(session, access, database, relations))
    answers = _answers(session, [attempt.statement for attempt in attempts])
    odd = [a.relation.oid for a, answer in zip(attempts, answers, strict=True) if not _as_declared(a.wanted, answer)]
    paths = _paths(session, odd)
    counts = {True: 0, False: 0}
    found: dict[Finding, Names] = {}
    exposed_schemas: set[str] = set()
    table: Relation | None = None
    for attempt, answer in zip(attempts, answers, strict=True):
        relation, want = attempt.relation, attempt.wanted
        finding, note = _finding(attempt, answer, paths.get(relation.oid))
        if finding is not None:
            found[finding] = found.get(finding, Names()) + Names.of(f"{attempt} ({note})" if note else str(attempt))
        if finding != "gone":
            counts[want] += 1
        if finding == "exposed":
            exposed_schemas.add(relation.schema)
        if want and answer.sqlstate is None and relation.kind in {"r", "p"}:
            table = table or relation
    return Reading(counts[True], counts[False], found, frozenset(exposed_schemas), table)


def _attempts(
    session: psycopg.Connection[Any], access: UserAccess, database: str, relations: Sequence[Relation]
) -> Iterator[_Attempt]:
    """Yield one attempt a relation; where columns are excluded, one on the others and one on each of them."""
    by_columns = [r for r in relations if r.kind != "S" and access.looks_at_columns(database, r.schema, r.name)]
    columns = _columns(session, [relation.oid for relation in by_columns])
    for relation in relations:
        names = columns.get(relation.oid, ())
        wanted = access.reads_columns(database, relation.schema, relation.name, names) if names else ()
        if len(wanted) == len(names):
            yield _Attempt(relation, access.reads(database, relation.schema, relation.name))
            continue
        if wanted:
            yield _Attempt(relation, True, wanted)
        yield from (_Attempt(relation, False, (column,)) for column in names if column not in wanted)


def _columns(session: psycopg.Connection[Any], oids: Sequence[int]) -> dict[int, tuple[str, ...]]:
    if not oids:
        return {}
    return {row.oid: tuple(row.columns) for row in ask(session, "proof_columns", {"oids": list(oids)})}


def _answers(session: psycopg.Connection[Any], statements: Sequence[bytes]) -> list[Answer]:
    answers = list(pipeline.run(session, statements))
    for pause in RETRY_PAUSES_S:
        busy = [place for place, answer in enumerate(answers) if answer.sqlstate in BUSY]
        if not busy:
            break
        time.sleep(pause)
        again = pipeline.run(session, [statements[place] for place in busy])
        for place, answer in zip(busy, again, strict=True):
            answers[place] = answer
    return answers


def _as_declared(wanted: bool, answer: Answer) -> bool:
    return answer.sqlstate is None if wanted else answer.sqlstate == REFUSED


def _finding(attempt: _Attempt, answer: Answer, path: Any) -> tuple[Finding | None, str]:
    """Return what to say of a relation, and why; ``None``: nothing, it answered as declared."""
    if not _as_declared(attempt.wanted, answer):
        return _judge(attempt.wanted, answer, path)
    if not attempt.wanted or attempt.relation.rows == "all":
        return None, ""
    return ("no rows" if attempt.relation.rows == "none" else "some rows"), ""


def _judge(wanted: bool, answer: Answer, path: Any) -> tuple[Finding | None, str]:
    """Return what to say of a relation that did not answer as declared, and why; ``None``: nothing after all."""
    if answer.sqlstate in _GONE or path is None:
        return "gone", ""
    # An error of another kind can come before the check of privileges; then the catalog has the last word on those.
    settled = answer.sqlstate not in {*BUSY, _TIMED_OUT, REFUSED, None}
    words = legible(answer.message)
    if wanted:
        return ("nobodys" if settled and path.may_read else "unreadable"), words
    if settled and not path.may_read:
        return None, ""
    if answer.sqlstate is not None and not settled:
        return "exposed", f"could not be tried: {words}"
    if path.of_extension and path.ways == ["PUBLIC"] and not path.roles:
        return "of_extensions", ""
    ways = [*path.ways, *map(shown, path.roles)]
    return "exposed", f"through {', '.join(ways) or 'a way that is in no ACL'}"


def _paths(session: psycopg.Connection[Any], oids: Sequence[int]) -> dict[int, Any]:
    if not oids:
        return {}
    return {row.oid: row for row in ask(session, "proof_paths", {"oids": list(oids)})}

"""What people read: checks, plans and proofs, as text with a little colour."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from replica_access.cli.terminal import escaped
from replica_access.model import Change, Check, Pending, Plan, Proof, ProofCheck, Request
from replica_access.names import pasteable, shown

_MARKS = {"ok": "[green]✓[/]", "problem": "[red]✗[/]", "not checked": "[yellow]?[/]", "note": "[cyan]·[/]"}
SQL_SHOWN = 400
MOST_ALIKE = 8
"""So many changes of one kind are shown one by one; a hundred thousand tables take hundreds of statements."""


def checks(found: Iterable[Check]) -> Iterator[str]:
    """Yield a line a check, and under each problem how to mend it."""
    for check in found:
        yield f"{_MARKS[check.outcome]} {escaped(check.name)}: {escaped(check.detail)}"
        if check.fix and check.outcome != "ok":
            for line in check.fix.splitlines():
                yield f"    [cyan]{escaped(_cut(line))}[/]"


def plan(what: Plan, *, with_sql: bool, request: Request) -> Iterator[str]:
    """Yield the plan under headings, in the order in which it is applied; what is taken away, apart."""
    additive, taking = what.allowed(Request()), [change for change in what.changes if change.destructive]
    yield from _changes("AWS", additive.of("aws"), with_sql)
    yield from _changes("Roles, shared by all databases", additive.of("cluster"), with_sql)
    for database in dict.fromkeys(change.database for change in additive.of("database")):
        yield from _changes(f"Database {shown(database or '')}", additive.of("database", database), with_sql)
    for takes, allowed in (("revoke", request.allow_revoke), ("drop", request.allow_drop)):
        changes = tuple(change for change in taking if change.takes == takes)
        title = "Taken away" if allowed else f"Taken away only with --allow-{takes}"
        yield from _changes(title, changes, with_sql, where=True)
    if what.covered:
        yield "[bold]Not granted again[/]"
        for covered in what.covered:
            sentence = f"{covered.reader} reads {covered.object} already, through {covered.through}"
            yield f"  [green]=[/] {escaped(sentence)}"
        yield ""
    yield from pending(what.pending)
    if what.blocked:
        yield "[bold]Blocked[/]"
        for blocked in what.blocked:
            yield f"  [red]✗[/] {escaped(blocked.object)}: {escaped(blocked.reason)}"
            for line in pasteable(blocked.fix).splitlines():
                yield f"      [cyan]{escaped(_cut(line))}[/]"
        yield ""


def pending(found: Sequence[Pending], *, title: str = "Pending") -> Iterator[str]:
    """Yield what is not there yet, or what is left alone, each with its reason."""
    if found:
        yield f"[bold]{title}[/]"
        for each in found:
            yield f"  [yellow]…[/] {escaped(each.kind)} {escaped(each.name)}: {escaped(each.reason)}"
        yield ""


def _changes(title: str, changes: tuple[Change, ...], with_sql: bool, *, where: bool = False) -> Iterator[str]:
    """:param where: say in which database each of them is."""
    if not changes:
        return
    yield f"[bold]{escaped(title)}[/]"
    for alike in _folded(changes):
        for change in alike[: len(alike) if len(alike) <= MOST_ALIKE or with_sql else MOST_ALIKE - 1]:
            mark = "[red]-[/]" if change.destructive else "[green]+[/]"
            place = f"{shown(change.database)}: " if where and change.database is not None else ""
            yield f"  {mark} {escaped(place + change.summary)}"
            if with_sql:
                for statement in change.sql:
                    yield f"      [dim]{escaped(_cut(pasteable(statement)))};[/]"
                if change.call is not None:
                    yield f"      [dim]{escaped(f'{change.call.service}:{change.call.operation}')}[/]"
        if len(alike) > MOST_ALIKE and not with_sql:
            yield f"    … and {len(alike) - MOST_ALIKE + 1:,} more like these; -v shows each"
    yield ""


def _folded(changes: tuple[Change, ...]) -> list[tuple[Change, ...]]:
    """Return changes that do the same, one after the other, together."""
    found = groupby(changes, key=lambda change: (change.database, change.action, change.summary.split(" ")[:3]))
    return [tuple(alike) for _, alike in found]


def done(changes: Iterable[Change]) -> Iterator[str]:
    for change in changes:
        yield f"{_MARKS['ok']} {escaped(change.summary)}"


def _cut(text: str) -> str:
    """Keep lists of a thousand tables from filling the screen; `--sql` and `--format json` have all of it."""
    return text if len(text) <= SQL_SHOWN else f"{text[:SQL_SHOWN]} … ({len(text):,} characters in all)"


def proof(found: Mapping[str, Proof], *, all_checks: bool) -> Iterator[str]:
    """Yield the evidence, of several replicas each under its name."""
    if len(found) == 1:
        (only,) = found.values()
        yield from _evidence(only, all_checks=all_checks)
        return
    for name, each in found.items():
        yield f"[bold]Replica {escaped(name)}[/]"
        yield from (f"  {line}" for line in _evidence(each, all_checks=all_checks))


def _evidence(found: Proof, *, all_checks: bool) -> Iterator[str]:
    """Yield what holds, every check that failed, and the others by their count or one by one."""
    if found.in_recovery is not None:
        yield from _standing(found)
    for check in found.checks:
        if all_checks or not check.ok:
            yield _told(check.ok, _sentence(check))
    if not all_checks and (passed := sum(check.ok for check in found.checks)):
        yield _told(True, f"{passed} of {len(found.checks)} checks passed; -v shows each")


def _standing(found: Proof) -> Iterator[str]:
    yield _told(found.lsn is not None, f"the replica has replayed {found.lsn} ({_lag(found)})")
    yield _told(found.same_system, "primary and replica are the same system")
    yield _told(found.in_recovery, "the replica is in recovery: nobody can write to it")
    yield _told(found.catalogs_match, "both catalogs say the same of every reader")


def _lag(found: Proof) -> str:
    waited = f"waited {found.waited_ms:.0f} ms"
    return waited if found.lag_ms is None else f"{waited}, last commit {found.lag_ms / 1000:.1f} s ago"


def _sentence(check: ProofCheck) -> str:
    where = f" ({shown(check.database)})" if check.database is not None else ""
    return f"{check.name}{where}: {check.detail}"


def _told(ok: bool | None, sentence: str) -> str:
    return f"{_MARKS['ok' if ok else 'problem']} {escaped(sentence)}"

"""The audit of several specs in one run: side by side, each held against its own servers, whatever becomes of others.

A spec that cannot be read, an account that lets nobody in, a server that is down, and even a defect of this program
cost the audit of that spec alone, and are listed in its report: what was not looked at is never silence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from shlex import quote
from threading import Lock
from typing import TYPE_CHECKING, Protocol, TypeVar

from replica_access import auditing, reporting, workflow
from replica_access.audit.matrix import NOBODY
from replica_access.errors import Crashed, Error, HistoryError, SpecError
from replica_access.findings import Audit, Finding, NotChecked, Severity
from replica_access.hosting import PlainHosting, address_of
from replica_access.names import legible
from replica_access.progress import Progress
from replica_access.reporting import NO_HISTORY, Kept, Report, Seen
from replica_access.spec import Spec, load

if TYPE_CHECKING:
    from replica_access.aws.accounts import Accounts
    from replica_access.hosting import Hosting

T = TypeVar("T")
R = TypeVar("R")

AT_ONCE = 8
"""So many primaries are looked at side by side; nearly all of it is waiting."""


_COMMAND = re.compile(r"^(?:(?:#|--) .*: )?replica-access ", re.MULTILINE)
"""A command of ours in a remedy: the line, or what a comment ends with."""


@dataclass(frozen=True, slots=True)
class Wish:
    """How specs are to be audited.

    :param began: the moment under which all are recorded, in UTC.
    :param history: where all are recorded; ``None``: each beside its spec.
    :param new_only: leave out what the run before has found, but of the reports that show a state.
    :param fail_on: the least grave severity that fails a run; ``None`` where none does.
    :param formats: of the reports that will be written.
    :param alone: look at replicas, and leave their primaries alone.
    """

    began: datetime
    history: str | None = None
    new_only: bool = False
    fail_on: Severity | None = "high"
    formats: frozenset[str] = frozenset()
    alone: bool = False

    @property
    def at(self) -> str:
        return self.began.isoformat(timespec="seconds")


@dataclass(frozen=True, slots=True)
class Audited:
    """What became of one spec.

    :param report: what there is to tell, of what could not be looked at too.
    :param kept: what its history knows of it, or why it knows nothing: that nobody expected what happened, say.
    """

    path: Path
    report: Report
    kept: Kept

    @property
    def name(self) -> str:
        """The spec, as reports call it."""
        return self.report.spec


class Board(Protocol):
    """Where each spec has a line for as long as it is looked at. Threads share it."""

    def begun(self, name: str) -> Progress:
        """The audit of this spec begins; return whom it tells how it goes."""

    def ended(self, name: str) -> None:
        """It is over, by whatever way."""


def audit_each(paths: Sequence[Path], wish: Wish, board: Board) -> tuple[Audited, ...]:
    """Audit all specs, those of `AT_ONCE` primaries at a time; return what became of each, in their order.

    Those of one primary are audited one after the other: together they have no more connections to it than one has.
    Nothing is recorded before all were looked at: a run that is stopped has reported nothing, and the next one must
    not take what it had found for known.

    :raises SpecError: not one of them can be used: that is a wrong call, and there is nothing to report.
    """
    specs = {path: _attempt(path, partial(load, path)) for path in paths}
    unread = [each for each in specs.values() if isinstance(each, SpecError)]
    if len(unread) == len(specs):
        raise SpecError("\n".join(each.what for each in unread), unread[0].fix)
    hosts = _Hosts()

    def look(path: Path) -> _Looked:
        name = legible(str(path))
        progress = board.begun(name)
        try:
            return _look(path, specs[path], hosts, wish, progress)
        finally:
            board.ended(name)

    groups: dict[object, list[Path]] = {}
    for path, spec in specs.items():
        groups.setdefault(_primary(spec) or path, []).append(path)
    found = _side_by_side(lambda group: list(map(look, group)), list(groups.values()))
    by_path = {each.path: each for group in found for each in group}
    looked = [by_path[path] for path in paths]
    doubles = _doubles(looked)
    return _side_by_side(lambda each: _recorded(each, doubles.get(each.path), wish), looked)


def audit_one(spec: Spec, path: Path, hosting: Hosting, wish: Wish, progress: Progress) -> Audited:
    """Audit one spec, record that, and return what there is to report.

    :raises Error: nothing could be looked at.
    """
    seen = _examined(spec, path, hosting, wish, progress)
    return _reported(path, str(path), seen, reporting.kept(seen, wish.at), wish)


def _primary(spec: Spec | Error) -> object:
    """Return what is the same for specs of one primary, as far as they say it; ``None`` where nobody can tell."""
    if isinstance(spec, Error):
        return None
    if spec.on_rds:
        return spec.aws, spec.primary.instance
    try:
        return address_of(PlainHosting(spec).primary())
    except Error:
        return None


def _side_by_side(do: Callable[[T], R], items: Sequence[T]) -> tuple[R, ...]:
    pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="audit")
    try:
        done = tuple(pool.map(do, items))
    except BaseException:  # Ctrl-C: what has not begun never does
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()
    return done


# --- looking ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Looked:
    """
    :param seen: ``None`` where nothing was looked at, and then `why` says the reason.
    """

    path: Path
    target: str
    seen: Seen | None
    why: Error | None = None


def _look(path: Path, spec: Spec | Error, hosts: _Hosts, wish: Wish, progress: Progress) -> _Looked:
    if isinstance(spec, Error):
        return _Looked(path, "", None, spec)
    target = _attempt(path, partial(reporting.target, spec, alone=wish.alone))
    named = target if isinstance(target, str) else ""
    seen = _attempt(path, lambda: _examined(spec, path, hosts.host(spec), wish, progress))
    return _Looked(path, named, None, seen) if isinstance(seen, Error) else _Looked(path, named, seen)


def _examined(spec: Spec, path: Path, hosting: Hosting, wish: Wish, progress: Progress) -> Seen:
    found, facts = auditing.examine(spec, hosting, progress, wish.began.date(), alone=wish.alone)
    return reporting.seen(found, facts, path, wish.history or reporting.beside(path), wish.formats)


def _attempt(path: Path, do: Callable[[], T]) -> T | Error:
    """Return what `do` returns, or the error that it ends with; one that is none of ours, as `Crashed`."""
    try:
        return do()
    except Error as error:
        return error
    except Exception as error:  # noqa: BLE001  # a defect costs one audit, is listed, and fails the run in the end
        return Crashed(legible(str(path)), error)


class _Hosts:
    """Where the servers of several specs live: as `workflow.host`, with each account opened once."""

    def __init__(self) -> None:
        self._accounts: Accounts | None = None
        self._lock = Lock()

    def host(self, spec: Spec) -> Hosting:
        """
        :raises CredentialsError: AWS lets nobody in, or it is another account.
        """
        if not spec.on_rds:
            return workflow.host(spec)
        from replica_access.aws.accounts import Accounts

        with self._lock:
            accounts = self._accounts = self._accounts or Accounts()
        return accounts.hosting(spec, timeout_s=workflow.REPLICA_TIMEOUT_S)


# --- recording and reporting ------------------------------------------------------------------------------------------


def _doubles(looked: Sequence[_Looked]) -> Mapping[Path, Path]:
    """Return those whose runs no history could tell from those of another, each with that other."""
    first: dict[tuple[str, str], Path] = {}
    return {
        each.path: other
        for each in looked
        if each.seen is not None
        and each.seen.where != NO_HISTORY
        and (other := first.setdefault((str(each.seen.where), each.seen.series), each.path)) != each.path
    }


def _recorded(looked: _Looked, double: Path | None, wish: Wish) -> Audited:
    name = legible(str(looked.path))
    if looked.seen is None:
        return _unseen(looked, name, wish)
    if double is not None:
        kept: Kept | Error = _mixed(name, double)
    else:
        kept = _attempt(looked.path, partial(reporting.kept, looked.seen, wish.at))
    found = _reported(looked.path, name, looked.seen, Kept(error=kept) if isinstance(kept, Error) else kept, wish)
    return replace(found, report=_addressed(found.report, looked.path))


def _reported(path: Path, name: str, seen: Seen, kept: Kept, wish: Wish) -> Audited:
    report = reporting.report(
        seen, kept, name, auditing.RULES, at=wish.at, fail_on=wish.fail_on, new_only=wish.new_only
    )
    return Audited(path, report, kept)


def _unseen(looked: _Looked, name: str, wish: Wish) -> Audited:
    """Return the report on a spec of which nothing was looked at; no rule was applied."""
    what, why, kept = "everything", str(looked.why), Kept()
    if isinstance(looked.why, SpecError):
        what, why = "the spec", " ".join(why.splitlines())
    elif isinstance(looked.why, Crashed):  # reports travel, and nobody knows what is in that message
        why = f"replica-access failed ({type(looked.why.__cause__).__name__}); standard error has more."
        kept = Kept(error=looked.why)
    nothing = Seen(Audit(not_checked=(NotChecked(what, why),)), looked.target, "", NO_HISTORY, {}, NOBODY)
    return Audited(looked.path, reporting.report(nothing, kept, name, (), at=wish.at, fail_on=wish.fail_on), kept)


def _mixed(name: str, double: Path) -> HistoryError:
    return HistoryError(
        f"{name} has the name and the servers of {legible(str(double))}: their runs would be taken for those of one "
        "spec.",
        "Rename one of the two files, or leave out --history: then each spec has its own, beside it.",
    )


def _addressed(report: Report, path: Path) -> Report:
    """Return the report with commands that are about this spec, wherever they are typed."""
    option = f"--spec {quote(str(path))} "

    def addressed(finding: Finding) -> Finding:
        return replace(finding, remedy=_COMMAND.sub(lambda found: found[0] + option, finding.remedy))

    def of_spec(audit: Audit) -> Audit:
        accepted = tuple(replace(each, finding=addressed(each.finding)) for each in audit.accepted)
        return replace(audit, findings=tuple(map(addressed, audit.findings)), accepted=accepted)

    whole = None if report.whole is None else of_spec(report.whole)
    return replace(report, audit=of_spec(report.audit), whole=whole)

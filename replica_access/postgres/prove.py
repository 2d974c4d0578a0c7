"""The proof: what the replica does, now that the primary says what it should.

First both servers as the admin: is everything replayed, do the catalogs agree? Then as each login user, on the replica:
what must work works, and what must not is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row

from replica_access.desired import Rule, UserAccess
from replica_access.errors import ConnectionFailed
from replica_access.model import Login, Oid, Proof, ProofCheck
from replica_access.names import shown
from replica_access.postgres import fingerprint, probes
from replica_access.postgres.connect import connect, database_error
from replica_access.postgres.fingerprint import Comparison
from replica_access.postgres.propagation import DEADLINE_S, Replay, wait_for_replay
from replica_access.postgres.queries import load
from replica_access.progress import SILENT, Progress


@dataclass(frozen=True, slots=True)
class NotChecked:
    """A login that cannot be tried, and why: its password is not known, say."""

    reason: str


def prove(
    *,
    primary: Login,
    replica: Login,
    access: Sequence[UserAccess],
    logins: Mapping[str, Login | NotChecked],
    progress: Progress = SILENT,
    deadline_s: float = DEADLINE_S,
) -> Proof:
    """Prove that `replica` has what `primary` has, and that each user of `access` meets there what was declared.

    Every relation is tried, none is sampled. Nothing is written on either server.

    :param logins: by user: how that user logs in to the replica, with the TLS that people are to use.
    :raises ConnectionFailed: the admin cannot log in to one of the two.
    :raises WrongServer: `primary` is a replica itself.
    :raises DatabaseError: one of the two did not answer.
    """
    names = sorted({user.user for user in access} | {rule.reader for rule in _rules(access)})
    granted = sorted({database for user in access for database in user.rules})
    with connect(primary, read_only=True) as source, connect(replica, read_only=True) as standby:
        replay = wait_for_replay(source, standby, progress, deadline_s=deadline_s)
        if not replay.reached:
            return _proof(replay, [ProofCheck(_what_failed(replay), None, False, replay.detail)], catalogs_match=False)
        readers = fingerprint.find_readers(source, names)
        comparisons: dict[str | None, Comparison] = {
            None: fingerprint.compare(source, standby, "proof_fingerprint_shared", readers)
        }
        databases = _databases(standby, [user.user for user in access])
    comparisons |= {database: _compare(primary, replica, database, readers) for database in granted}
    checks = [ProofCheck("replayed", None, True, replay.detail)]
    checks += [ProofCheck("catalogs", database, c.agreed, c.detail, c.tried) for database, c in comparisons.items()]
    for user in access:
        login = logins.get(user.user, NotChecked("no login was given"))
        checks += _try_user(user, login, databases, replay.system_identifier, progress)
    checks += _changed_meanwhile(replica, comparisons, readers)
    return _proof(replay, checks, catalogs_match=all(comparison.agreed for comparison in comparisons.values()))


def _rules(access: Sequence[UserAccess]) -> Iterator[Rule]:
    for user in access:
        for rules in user.rules.values():
            yield from rules


def _what_failed(replay: Replay) -> str:
    if not replay.same_system:
        return "same_system"
    return "replayed" if replay.in_recovery else "in_recovery"


def _proof(replay: Replay, checks: Sequence[ProofCheck], *, catalogs_match: bool) -> Proof:
    return Proof(
        lsn=replay.lsn,
        waited_ms=replay.waited_ms,
        lag_ms=replay.lag_ms,
        same_system=replay.same_system,
        in_recovery=replay.in_recovery,
        catalogs_match=catalogs_match,
        checks=tuple(checks),
    )


def _databases(standby: psycopg.Connection[Any], users: Sequence[str]) -> list[Any]:
    try:
        with standby.cursor(row_factory=namedtuple_row) as cursor:
            return cursor.execute(load("proof_databases"), {"users": users}).fetchall()
    except psycopg.Error as error:
        raise database_error(error, "Reading the databases of the replica") from error


def _compare(primary: Login, replica: Login, database: str, readers: Sequence[Oid]) -> Comparison:
    try:
        with (
            connect(primary, database=database, read_only=True) as source,
            connect(replica, database=database, read_only=True) as standby,
        ):
            return fingerprint.compare(source, standby, "proof_fingerprint", readers)
    except ConnectionFailed as error:
        return Comparison(False, f"not compared: {error}", {}, tried=False)


def _try_user(
    access: UserAccess, login: Login | NotChecked, databases: Sequence[Any], system_identifier: str, progress: Progress
) -> Iterator[ProofCheck]:
    if isinstance(login, NotChecked):
        yield probes.check(access.user, "login", None, False, f"not checked: {login.reason}", tried=False)
        return
    let_in = not access.rules
    for database in sorted(access.rules):
        progress.waiting(f"{shown(access.user)} tries everything in {shown(database)}")
        for check in probes.try_database(access, database, login, system_identifier):
            let_in = let_in or (check.name == "login" and check.ok)
            yield check
    if not let_in:  # then any database refuses, and that says nothing of the database
        return
    for row in databases:
        if row.name not in access.rules:
            progress.waiting(f"{shown(access.user)} knocks at {shown(row.name)}")
            yield probes.try_other_database(
                access.user, row.name, login, default_acl=row.default_acl, may_connect=access.user in row.open_to
            )


def _changed_meanwhile(
    replica: Login, comparisons: Mapping[str | None, Comparison], readers: Sequence[Oid]
) -> Iterator[ProofCheck]:
    """Say where the catalogs are no longer what was compared: what was tried in between may be either."""
    for database, comparison in comparisons.items():
        if comparison.agreed:
            with connect(replica, database=database, read_only=True) as standby:
                now = fingerprint.read(
                    standby, "proof_fingerprint_shared" if database is None else "proof_fingerprint", readers
                )
            if now != comparison.replica:
                yield ProofCheck(
                    "catalogs", database, True, "changed while the proof ran; verify again to prove what there is now"
                )

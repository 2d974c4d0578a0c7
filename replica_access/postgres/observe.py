"""Look at servers for an audit: as the admin, read only, never longer than it takes."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

import psycopg

from replica_access.catalog import Cluster
from replica_access.errors import DatabaseError, Error
from replica_access.findings import NotChecked
from replica_access.model import Login, Oid
from replica_access.names import legible, shown
from replica_access.observed import Comparison, Replication, Server
from replica_access.postgres import fingerprint
from replica_access.postgres.catalog import read_cluster
from replica_access.postgres.connect import connect, database_error
from replica_access.postgres.probes import tls_required
from replica_access.postgres.propagation import wait_for_replay
from replica_access.postgres.session import ask

NOT_LET_IN = re.compile(
    "Connection refused|timeout expired|timed out|No route to host|Network is unreachable|too many clients|"
    "remaining connection slots|the database system is|closed the connection unexpectedly"
)
"""What is said to anybody, with TLS or without: nothing follows from it."""

PATIENCE_S = 5.0
"""How long a replica may take to have what the primary had committed: a healthy one takes milliseconds."""


def server(connection: psycopg.Connection[Any], login: Login, cluster: Cluster | None = None) -> Server:
    """Return what `connection`, which `login` has opened, leads to.

    :param cluster: what its shared catalogs say, where that is known.
    :raises DatabaseError: a query failed.
    """
    settings = _settings(connection)
    refuses, detail = _refuses_plain(connection, login)
    cluster = cluster or read_cluster(connection)
    return Server(login.server, cluster, settings, cluster.admin, refuses, detail)


def _settings(connection: psycopg.Connection[Any]) -> Mapping[str, str]:
    try:
        return {row.name: row.value for row in ask(connection, "audit_settings")}
    except psycopg.Error as error:
        raise database_error(error, "Reading the settings of the server") from error


def _refuses_plain(connection: psycopg.Connection[Any], login: Login) -> tuple[bool | None, str]:
    if connection.info.host.startswith("/"):
        return None, ""  # a socket of this machine needs no TLS
    refuses, detail = tls_required(login, connection.info.dbname)
    return (None, detail) if not refuses and NOT_LET_IN.search(detail) else (refuses, detail)


def replica(
    login: Login, primary: Login | None, readers: Collection[str], databases: Collection[str]
) -> tuple[Server, tuple[NotChecked, ...]]:
    """Return the replica that `login` leads to, held against its primary; and what could not be looked at.

    :param primary: ``None`` where it cannot be asked: then the replica is looked at alone.
    :param readers: the roles whose privileges are compared, and `databases` where.
    :raises DatabaseError: the replica cannot be asked.
    """
    with connect(login, read_only=True) as standby:
        found = server(standby, login)
        alone = _alone(standby, found.cluster)
        if primary is None:
            return replace(found, replication=alone), ()
        try:
            with connect(primary, read_only=True) as source:
                replication = _beside(source, standby, alone)
                if not replication.caught_up:
                    what = f"catalogs of {legible(found.name)} against the primary's"
                    unseen = NotChecked(what, replication.detail)
                    return replace(found, replication=replication), (unseen,)
                oids = fingerprint.find_readers(source, sorted(readers))
                shared = fingerprint.compare(source, standby, "proof_fingerprint_shared", oids)
        except Error as error:
            why = NotChecked(f"{legible(found.name)} against the primary", str(error))
            return replace(found, replication=alone), (why,)
    comparisons, not_compared = [], []
    for database, compared in ((None, shared), *_compared(primary, login, databases, oids)):
        if compared.tried:
            comparisons.append(Comparison(database, compared.agreed, compared.detail))
        else:
            where = "shared catalogs" if database is None else f"catalog of {shown(database)}"
            not_compared.append(NotChecked(f"{where} on {legible(found.name)} against the primary's", compared.detail))
    return replace(found, replication=replication, comparisons=tuple(comparisons)), tuple(not_compared)


def _alone(standby: psycopg.Connection[Any], cluster: Cluster) -> Replication:
    try:
        row = ask(standby, "proof_replay")[0]
    except psycopg.Error as error:
        raise database_error(error, "Asking the replica how far it has replayed") from error
    return Replication(
        cluster.in_recovery, cluster.system_identifier, row.lag_ms, row.paused, row.streaming, row.apply_delay
    )


def _beside(source: psycopg.Connection[Any], standby: psycopg.Connection[Any], alone: Replication) -> Replication:
    replay = wait_for_replay(source, standby, deadline_s=PATIENCE_S)
    return replace(alone, primary_system=replay.system_identifier, caught_up=replay.reached, detail=replay.detail)


def _compared(
    primary: Login, replica: Login, databases: Collection[str], readers: Collection[int]
) -> Iterator[tuple[str, fingerprint.Comparison]]:
    for database in sorted(databases):
        try:
            with (
                connect(primary, database=database, read_only=True) as source,
                connect(replica, database=database, read_only=True) as standby,
            ):
                yield database, fingerprint.compare(source, standby, "proof_fingerprint", tuple(readers))
        except DatabaseError as error:
            yield database, fingerprint.Comparison(False, str(error), {}, tried=False)


def sessions(login: Login) -> Mapping[Oid, int]:
    """Return how many sessions each role has on the server that `login` leads to, ours left out.

    :raises DatabaseError: it could not be asked.
    """
    with connect(login, read_only=True) as connection:
        try:
            return {row.role: row.sessions for row in ask(connection, "user_sessions")}
        except psycopg.Error as error:
            raise database_error(error, "Counting sessions") from error

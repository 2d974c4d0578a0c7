"""Servers given by dsn: how each replica is called, and how the admin logs in."""

from __future__ import annotations

from collections.abc import Sequence

from replica_access.hosting import PlainHosting
from replica_access.spec import parse


def hosting(dsn: str | Sequence[str] | None) -> PlainHosting:
    replica = "" if dsn is None else f"replica.dsn = {dsn if isinstance(dsn, str) else list(dsn)}"
    return PlainHosting(parse(f'version = 1\nprimary = {{ dsn = "host=db1", sslmode = "verify-full" }}\n{replica}'))


def test_no_replica() -> None:
    assert hosting(None).replicas() == {}
    assert hosting(None).look()[0] == ()


def test_each_replica_by_host_and_port() -> None:
    replicas = hosting(["host=db2 port=6432 user=chief", "postgresql://db3/maintenance?sslmode=require"]).replicas()
    assert list(replicas) == ["db2:6432", "db3:5432"]
    db2, db3 = replicas.values()
    assert (db2.parameters["user"], db2.database, db2.parameters["sslmode"]) == ("chief", "postgres", "verify-full")
    assert (db3.server, db3.database, db3.parameters["sslmode"]) == ("db3", "maintenance", "require")


def test_a_replica_without_a_host_is_called_by_what_leads_to_it() -> None:
    found = hosting(["service=reports", "hostaddr=192.0.2.7", "service=nightly port=6432", "user=chief"]).replicas()
    assert list(found) == ["reports", "192.0.2.7:5432", "nightly:6432", "localhost:5432"]


def test_replicas_that_seem_to_be_one_have_a_name_each() -> None:
    found = hosting(["host=db2", "host=db2 port=5432", "host=db2 user=chief"]).replicas()
    assert list(found) == ["db2:5432", "db2:5432 (replica.dsn[2])", "db2:5432 (replica.dsn[3])"]

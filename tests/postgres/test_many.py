"""More objects than a server has room to lock at once: PostgreSQL 18 locks what a GRANT names, until the commit."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from replica_access.sandbox import rds_like
from replica_access.sandbox.binaries import Installation, find_installations
from replica_access.sandbox.server import PostgresServer

from .conftest import ADMINS, make_admins
from .world import REVOKING, World

NEWEST = [each for each in find_installations() if each.major >= 18]
TABLES = 6000
pytestmark = [
    pytest.mark.skipif(not NEWEST, reason="no PostgreSQL 18 here"),
    pytest.mark.parametrize("installation", NEWEST[-1:], indirect=True, ids=str, scope="session"),
    pytest.mark.parametrize("admin", [ADMINS["rds"]], ids=["rds"]),
]


@pytest.fixture
def primary(installation: Installation, tmp_path: Path) -> Iterator[PostgresServer]:
    """A small server, with room for some thousand locks."""
    server = PostgresServer.create(
        installation,
        tmp_path / "server",
        superuser=rds_like.SUPERUSER,
        superuser_password=secrets.token_urlsafe(),
        settings={
            **rds_like.settings(tls=False),
            "wal_level": "minimal",
            "max_connections": "30",
            "max_wal_senders": "0",
            "max_worker_processes": "1",
        },
        tied=True,
    )
    make_admins(server)
    yield server
    server.remove()


def test_a_grant_on_more_tables_than_can_be_locked_at_once_is_several_transactions(world: World) -> None:
    make = """SET ROLE :"app_owner";
    SELECT format('CREATE TABLE leasing.t%s ()', n) FROM generate_series(:first::int, :first::int + 999) AS n \\gexec"""
    for first in range(0, TABLES, 1000):
        world.sabotage(make.replace(":first", str(first)))
    before = world.facts()
    plan = world.plan()
    world.apply(confirmed=True)
    assert world.plan().changes == ()
    world.undo(plan)
    assert world.facts() == before
    world.apply()
    for first in range(0, TABLES, 1000):
        tables = ", ".join(f"leasing.t{number}" for number in range(first, first + 1000))
        world.sabotage(f'GRANT INSERT ON {tables} TO :"reader"')
    assert len(world.plan().changes) == TABLES // 1000
    world.apply(request=REVOKING)
    assert world.plan(request=REVOKING).changes == ()

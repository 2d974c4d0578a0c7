"""What an audit says of servers: of replicas that are none or late, of TLS, and of what it cannot reach."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_network

import pytest

from replica_access.findings import Finding
from replica_access.sandbox.hba import hba_lines
from replica_access.sandbox.process import polls
from replica_access.sandbox.server import PostgresServer
from replica_access.spec import Spec

from .test_audit_rules import NEWEST, audit, key
from .world import World

pytestmark = [pytest.mark.parametrize("admin", ["superuser"], indirect=True), NEWEST]


def spec_with(world: World, server: PostgresServer, **replaced: str) -> Spec:
    return world.spec(replica=f'[replica]\ndsn = "{world.dsn_of(server)}"', **replaced)


def found(world: World, spec: Spec, rule: str) -> list[Finding]:
    return [each for each in audit(world, spec).findings if each.rule == rule]


@contextmanager
def setting(server: PostgresServer, name: str, value: str) -> Iterator[None]:
    server.psql(f"ALTER SYSTEM SET {name} = '{value}'")
    server.psql("SELECT pg_reload_conf()")
    try:
        yield
    finally:
        server.psql(f"ALTER SYSTEM RESET {name}")
        server.psql("SELECT pg_reload_conf()")


def run_remedy(server: PostgresServer, finding: Finding) -> None:
    """Statement by statement: some are not for a transaction."""
    for statement in finding.remedy.split(";"):
        if statement.strip():
            server.psql(statement)


def test_a_healthy_pair_has_nothing_against_it(
    world: World, replica: PostgresServer, catch_up: Callable[[], None]
) -> None:
    world.apply()
    catch_up()
    before = world.facts()
    clean = audit(world, spec_with(world, replica))
    assert world.facts() == before
    of_servers = {each.rule for each in clean.findings if each.family in {"network", "replica"}}
    assert of_servers <= {"replica-logging", *([] if replica.tls else ["network-plain"])}
    assert not [each for each in clean.not_checked if world.database in each.what]


def test_a_replica_that_is_the_primary_itself(world: World, primary: PostgresServer) -> None:
    (promoted,) = found(world, spec_with(world, primary), "replica-promoted")
    assert promoted.evidence == "pg_is_in_recovery() is false"
    assert not found(world, spec_with(world, primary), "replica-other-system")


def test_a_replica_whose_replay_is_paused_or_put_off(
    world: World, replica: PostgresServer, catch_up: Callable[[], None]
) -> None:
    world.apply()
    catch_up()
    spec = spec_with(world, replica)
    replica.psql("SELECT pg_wal_replay_pause()")
    try:
        (paused,) = found(world, spec, "replica-not-replicating")
        run_remedy(replica, paused)
        assert not found(world, spec, "replica-not-replicating")
    finally:
        replica.psql("SELECT CASE WHEN pg_is_wal_replay_paused() THEN pg_wal_replay_resume() END")
    with setting(replica, "recovery_min_apply_delay", "1h"):
        for _ in polls(10):
            if late := found(world, spec, "replica-behind"):
                break
        run_remedy(replica, late[0])
        for _ in polls(10):
            if not found(world, spec, "replica-behind"):
                break
        else:
            raise AssertionError("the remedy did not help")


def test_a_server_that_takes_connections_without_tls(world: World, replica: PostgresServer) -> None:
    if not replica.tls:
        pytest.skip("this server was built without TLS")
    world.apply()
    lines = hba_lines(allowed=[ip_network("127.0.0.1/32")], tls=True, superuser=replica.superuser)
    replica.write_hba([*lines, "host all all 127.0.0.1/32 scram-sha-256"])
    try:
        (plain,) = found(world, spec_with(world, replica), "network-plain")
    finally:
        replica.write_hba(lines)
    assert "hostssl" in plain.remedy
    assert not found(world, spec_with(world, replica), "network-plain")


def test_passwords_that_are_kept_as_md5(world: World, primary: PostgresServer) -> None:
    assert not found(world, world.spec(), "login-md5")
    with setting(primary, "password_encryption", "md5"):
        for _ in polls(10):
            if md5 := found(world, world.spec(), "login-md5"):
                break
        run_remedy(primary, md5[0])
        for _ in polls(10):
            if not found(world, world.spec(), "login-md5"):
                break
        else:
            raise AssertionError("the remedy did not help")


def test_who_connects_is_not_logged(world: World, replica: PostgresServer) -> None:
    if "replica-logging" not in {each.rule for each in audit(world, spec_with(world, replica)).findings}:
        pytest.skip("it is")
    (silent,) = found(world, spec_with(world, replica), "replica-logging")
    try:
        run_remedy(replica, silent)
        for _ in polls(10):
            if not found(world, spec_with(world, replica), "replica-logging"):
                break
        else:
            raise AssertionError("the remedy did not help")
    finally:
        replica.psql("ALTER SYSTEM RESET log_connections")
        replica.psql("SELECT pg_reload_conf()")


def test_without_the_primary_the_replica_is_looked_at_alone(
    world: World, replica: PostgresServer, catch_up: Callable[[], None]
) -> None:
    world.apply()
    world.sabotage('GRANT INSERT ON leasing.lease TO :"reader"')
    catch_up()
    both, down = spec_with(world, replica), world.dsn.replace(f"port={world.primary.port}", "port=1")
    alone = both.model_copy(update={"primary": both.primary.model_copy(update={"dsn": down})})
    told = audit(world, alone)
    (unreachable,) = [each for each in told.not_checked if each.what.startswith("primary")]
    assert "no connection" in unreachable.why
    writes = {key(each) for each in told.findings if each.rule == "excess-write"}
    assert writes == {key(each) for each in audit(world, both).findings if each.rule == "excess-write"}
    assert ("excess-write", world.reader, "leasing.lease") in writes
    assert not [each for each in told.findings if each.rule == "lack-missing"]

"""What an audit says of servers: of replicas that are none or late, of TLS, and of what it cannot reach."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_network
from pathlib import Path

import pytest

from replica_access import auditing, reporting, workflow
from replica_access.errors import Error
from replica_access.findings import Audit, Finding
from replica_access.progress import SILENT
from replica_access.sandbox.binaries import Installation
from replica_access.sandbox.certificates import issue
from replica_access.sandbox.hba import hba_lines
from replica_access.sandbox.process import polls
from replica_access.sandbox.server import PostgresServer
from replica_access.spec import Spec

from ..provocations import proves
from .conftest import Admin, Pool
from .test_audit_rules import FOUND, NEWEST, TODAY, audit, key
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


@proves("replica-not-replicating", "replica-behind")
def test_a_replica_whose_replay_is_paused_or_put_off(
    world: World, replica: PostgresServer, catch_up: Callable[[], None]
) -> None:
    world.apply()
    catch_up()
    spec = spec_with(world, replica)
    assert not found(world, spec, "replica-not-replicating")
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


@proves("network-plain")
def test_a_server_that_takes_connections_without_tls(world: World, replica: PostgresServer) -> None:
    if not replica.tls:
        pytest.skip("this server was built without TLS")
    world.apply()
    assert not found(world, spec_with(world, replica), "network-plain")
    lines = hba_lines(allowed=[ip_network("127.0.0.1/32")], tls=True, superuser=replica.superuser)
    hba = replica.data / "pg_hba.conf"
    replica.write_hba([*lines, "host all all 127.0.0.1/32 scram-sha-256"])
    try:
        (plain,) = found(world, spec_with(world, replica), "network-plain")
        environment = {"PGHOST": replica.host, "PGPORT": str(replica.port), "PGUSER": replica.superuser,
                       "PGPASSWORD": replica.superuser_password, "PGSSLMODE": "disable"}  # fmt: skip
        path = f"{replica.installation.tool('psql').parent}:{os.environ['PATH']}"
        known = {**os.environ, **replica.installation.environment(), "PATH": path, **environment}
        subprocess.run(["sh", "-ec", plain.remedy], env=known, check=True, stdout=subprocess.DEVNULL)
        assert not found(world, spec_with(world, replica), "network-plain")
    finally:  # the superuser's own line was one of those
        hba.write_text("\n".join(lines), encoding="utf-8")
        os.kill(int((replica.data / "postmaster.pid").read_text(encoding="utf-8").split()[0]), signal.SIGHUP)
        for _ in polls(10):
            with suppress(Error):
                replica.write_hba(lines)
                break


@proves("login-md5")
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
    meant, facts = auditing.examine(alone, workflow.host(alone), SILENT, TODAY, alone=True)
    assert meant == Audit(told.findings)  # that nobody wanted to look at the primary is nothing amiss
    assert "primary" in reporting.target(alone, alone=facts.alone)


@proves("public-large-objects")
def test_large_objects_whose_privileges_are_not_looked_at(world: World, primary: PostgresServer) -> None:
    assert not found(world, world.spec(), "public-large-objects")
    with setting(primary, "lo_compat_privileges", "on"):
        for _ in polls(10):
            if opened := found(world, world.spec(), "public-large-objects"):
                break
        run_remedy(primary, opened[0])
        for _ in polls(10):
            if not found(world, world.spec(), "public-large-objects"):
                break
        else:
            raise AssertionError("the remedy did not help")


@proves("replica-promoted", "replica-catalogs", "replica-logging")
def test_a_replica_that_somebody_has_written_to_and_promoted_and_the_right_one_named_instead(
    world: World, pool: Pool, primary: PostgresServer, replica: PostgresServer, tmp_path: Path,
    catch_up: Callable[[], None], installation: Installation,
) -> None:  # fmt: skip
    world.apply()
    certificate = issue(pool.authority, tmp_path / "certificate") if installation.tls else None
    copy = PostgresServer.create_replica(
        primary, tmp_path / "copy", certificate=certificate, settings={"log_connections": "on"}, tied=True
    )
    try:
        right, wrong = spec_with(world, replica), spec_with(world, copy)
        audit(world, wrong)
        write_to(copy, f'REVOKE "{world.reader}" FROM "{world.user}"')
        assert [each.object for each in found(world, wrong, "replica-catalogs")] == ["the shared catalogs"]
        copy.promote()
        with setting(copy, "log_connections", "off"):
            for _ in polls(10):
                if silent := found(world, wrong, "replica-logging"):
                    break
            run_remedy(copy, silent[0])
            for _ in polls(10):
                if not found(world, wrong, "replica-logging"):
                    break
        (promoted,) = found(world, wrong, "replica-promoted")
        assert "name the right server in replica.dsn of the spec" in promoted.remedy
    finally:
        copy.remove()
    catch_up()
    assert not {"replica-promoted", "replica-catalogs"} & {each.rule for each in audit(world, right).findings}


@proves("replica-other-system")
def test_a_replica_of_another_primary(world: World, pool: Pool, replica: PostgresServer, admin: Admin) -> None:
    others = [each for each in FOUND if each != world.primary.installation]
    if not others:
        pytest.skip("there is no other server")
    world.apply()
    other = pool.primary(others[0])
    assert not found(world, spec_with(world, replica), "replica-other-system")
    wrong = world.spec(replica=f'[replica]\ndsn = "host=localhost port={other.port} user={admin.name}"')
    (found_there,) = found(world, wrong, "replica-other-system")
    assert "name the right server in replica.dsn of the spec" in found_there.remedy
    assert not found(world, spec_with(world, replica), "replica-other-system")


def write_to(replica: PostgresServer, sql: str) -> None:
    """Run on a standby that was started without standby.signal for once, on the timeline of its primary.

    It is ahead of the primary then, by as much as a segment.
    """
    signal = replica.data / "standby.signal"
    replica.stop()
    signal.rename(replica.directory / "signal")
    replica.start()
    replica.psql(f"{sql}; SELECT pg_switch_wal()")
    replica.stop()
    (replica.directory / "signal").rename(signal)
    replica.start()

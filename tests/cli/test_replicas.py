"""One primary with several replicas, or with none: each is proved, and what is wrong with one is said of that one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import ip_network
from pathlib import Path

import psycopg
import pytest

from replica_access.sandbox.hba import hba_lines
from replica_access.sandbox.server import PostgresServer
from tests.cli.conftest import MASTER, Production, Shop
from tests.cli.program import Ran
from tests.cli.test_bad_input import assert_refused


@pytest.fixture(scope="module")
def replicas(
    production: Production, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[PostgresServer, PostgresServer]]:
    directory = tmp_path_factory.mktemp("replicas")
    first, second = (replica_of(production, directory / name) for name in ("first", "second"))
    yield first, second
    first.remove()
    second.remove()


@pytest.fixture
def granted(shop: Shop, replicas: tuple[PostgresServer, PostgresServer]) -> Shop:
    """A shop with two replicas, whose readers have been granted."""
    declare(shop, *replicas)
    applied = shop.run("apply", "--yes", "--quiet")
    assert applied.status == 0, applied
    return shop


@pytest.fixture
def promoted(production: Production, tmp_path: Path) -> Iterator[PostgresServer]:
    server = replica_of(production, tmp_path / "promoted")
    server.promote()
    yield server
    server.remove()


@pytest.fixture
def stranger(production: Production, tmp_path: Path) -> Iterator[PostgresServer]:
    """A server of another system, whose admin happens to have the same name and password."""
    server = PostgresServer.create(
        production.server.installation,
        tmp_path / "stranger",
        superuser=MASTER,
        superuser_password=production.password,
        tied=True,
    )
    yield server
    server.remove()


def replica_of(production: Production, directory: Path) -> PostgresServer:
    return PostgresServer.create_replica(production.server, directory, certificate=production.certificate, tied=True)


def declare(shop: Shop, *servers: PostgresServer) -> None:
    """Write the spec with these as the replicas."""
    tls = [{} if server.tls else {"sslmode": "disable"} for server in servers]
    dsns = [shop.dsn(port=str(s.port), **more) for s, more in zip(servers, tls, strict=True)]
    shop.declare()
    spec = shop.run.spec.read_text(encoding="utf-8").replace("[roles", f"[replica]\ndsn = {dsns}\n[roles")
    shop.run.spec.write_text(spec, encoding="utf-8")


def name_of(server: PostgresServer) -> str:
    return f"{server.host}:{server.port}"


def sections(ran: Ran) -> dict[str, str]:
    """What was printed of each replica, by its name."""
    _, *found = ran.out.split("Replica ")
    return {name: text for name, _, text in (each.partition("\n") for each in found)}


# --- several ---------------------------------------------------------------------------------------------------------


def test_every_replica_is_looked_at_and_proved(shop: Shop, replicas: tuple[PostgresServer, PostgresServer]) -> None:
    declare(shop, *replicas)
    names = [name_of(server) for server in replicas]
    check = shop.run("check")
    assert check.status == 0, check
    assert check.out.splitlines()[:2] == [f"✓ replica {name}: {name} is in recovery" for name in names]
    applied = shop.run("apply", "--yes")
    assert applied.status == 0, applied
    assert list(sections(applied)) == names
    for text in sections(applied).values():
        assert "  ✓ the replica has replayed " in text
        assert "checks passed" in text
        assert "✗" not in text
    for replica in replicas:
        with shop.as_user(port=str(replica.port)) as bi:
            bi.execute("SELECT FROM sales.orders")


def test_the_whole_and_each_replica_in_json(granted: Shop, replicas: tuple[PostgresServer, PostgresServer]) -> None:
    whole = granted.run("--format", "json", "verify").document
    parts = whole["replicas"]
    assert whole["schema"] == "replica-access/verify/1"
    assert [part["replica"] for part in parts] == [name_of(server) for server in replicas]
    for key in ("ok", "same_system", "in_recovery", "catalogs_match"):
        assert [part[key] for part in (whole, *parts)] == [True, True, True]
    assert whole["lsn"] == parts[0]["lsn"]
    assert whole["waited_ms"] == max(part["waited_ms"] for part in parts)
    assert whole["lag_ms"] == max(part["lag_ms"] for part in parts)
    of_parts = [{**check, "replica": part["replica"]} for part in parts for check in part["checks"]]
    assert whole["checks"] == of_parts
    assert {check["name"] for check in parts[0]["checks"]} == {check["name"] for check in parts[1]["checks"]}
    applied = granted.run("--format", "json", "apply", "--yes").document
    assert [part["ok"] for part in applied["proof"]["replicas"]] == [True, True]


def test_what_is_wrong_on_the_primary_is_wrong_on_every_replica(
    granted: Shop, replicas: tuple[PostgresServer, PostgresServer]
) -> None:
    granted.sql("REVOKE SELECT ON sales.orders FROM readers")
    first, second = map(name_of, replicas)
    ran = granted.run("verify")
    assert ran.status == 3, ran
    assert all("sales.orders (permission denied" in text for text in sections(ran).values())
    assert ran.err.startswith(f"Error: {first}, {second} do not behave as the spec says.")


@pytest.mark.parametrize(
    ("other", "failed", "why"),
    [
        ("promoted", "in_recovery", "was promoted"),
        ("stranger", "same_system", "belongs to another system"),
    ],
)
def test_one_that_is_no_replica_is_named_and_the_other_is_proved(
    granted: Shop,
    replicas: tuple[PostgresServer, PostgresServer],
    request: pytest.FixtureRequest,
    other: str,
    failed: str,
    why: str,
) -> None:
    wrong, right = request.getfixturevalue(other), replicas[0]
    declare(granted, wrong, right)
    ran = granted.run("verify")
    assert ran.status == 3, ran
    assert ran.err.startswith(f"Error: {name_of(wrong)} does not behave as the spec says.")
    found = sections(ran)
    assert f"  ✗ {failed}: " in found[name_of(wrong)]
    assert why in found[name_of(wrong)]
    assert "✗" not in found[name_of(right)]
    document = granted.run("--format", "json", "verify").document
    assert [document["ok"], document[failed]] == [False, False]
    assert [part["ok"] for part in document["replicas"]] == [False, True]
    assert [check["replica"] for check in document["checks"] if not check["ok"]] == [name_of(wrong)]


def test_one_that_is_down_is_named_and_the_other_is_proved(
    granted: Shop, replicas: tuple[PostgresServer, PostgresServer]
) -> None:
    down, names = replicas[0], [name_of(server) for server in replicas]
    down.stop()
    try:
        ran = granted.run("verify")
        document = granted.run("--format", "json", "verify").document
        with granted.unchanged():
            refused = granted.run("apply", "--yes")
    finally:
        down.start()
    assert ran.status == 4, ran
    assert ran.err.startswith(f"Error: Not everything could be tried on {names[0]}.")
    assert sections(ran)[names[0]] == (
        "  ✗ reached: localhost, database postgres: no connection as master: Connection refused."
        " Check the address, the port, and that the security group or firewall lets this machine through.\n"
    )
    assert "✗" not in sections(ran)[names[1]]
    assert document["ok"] is False
    assert document["in_recovery"] is None
    first, second = document["replicas"]
    assert (first["ok"], first["lsn"], first["same_system"]) == (False, None, None)
    assert (second["ok"], second["lsn"]) == (True, document["lsn"])
    assert_refused(refused, 1, f"- replica {names[0]}: localhost, database postgres: no connection")
    assert names[1] not in refused.err


def test_what_only_one_replica_refuses_fails_there_after_the_grants(
    shop: Shop, replicas: tuple[PostgresServer, PostgresServer]
) -> None:
    wrong, right = replicas
    declare(shop, *replicas)
    lines = hba_lines(allowed=[ip_network("127.0.0.1/32")], tls=True, superuser=wrong.superuser)
    wrong.write_hba(["host all bi all reject", *lines])
    try:
        ran = shop.run("apply", "--yes")
    finally:
        wrong.write_hba(lines)
    assert ran.status == 3, ran
    assert "changes applied.\n" in ran.out
    assert ran.err.startswith(f"Error: {name_of(wrong)} does not behave as the spec says.")
    assert "pg_hba.conf rejects connection" in sections(ran)[name_of(wrong)]
    assert "✗" not in sections(ran)[name_of(right)]
    assert shop.run("verify").status == 0


@pytest.mark.slow
def test_one_that_is_paused_is_named_and_the_other_is_proved(
    shop: Shop, replicas: tuple[PostgresServer, PostgresServer]
) -> None:
    """Slow, because a replica that is late is waited for."""
    paused, right = replicas
    declare(shop, *replicas)
    paused.psql("SELECT pg_wal_replay_pause()")
    try:
        ran = shop.run("apply", "--yes")
    finally:
        paused.psql("SELECT pg_wal_replay_resume()")
    assert ran.status == 3, ran
    assert ran.err.startswith(f"Error: {name_of(paused)} does not behave as the spec says.")
    assert "Replay is paused on the replica" in sections(ran)[name_of(paused)]
    assert "✗" not in sections(ran)[name_of(right)]
    assert shop.run("verify").status == 0


def test_what_failed_counts_more_than_what_could_not_be_tried(
    granted: Shop, replicas: tuple[PostgresServer, PostgresServer], promoted: PostgresServer
) -> None:
    down, up = replicas
    declare(granted, down, promoted, up)
    down.stop()
    try:
        ran = granted.run("verify")
    finally:
        down.start()
    assert ran.status == 3, ran
    assert ran.err.startswith(f"Error: {name_of(promoted)} does not behave as the spec says.")
    marks = {name: "✗" in text for name, text in sections(ran).items()}
    assert marks == {name_of(down): True, name_of(promoted): True, name_of(up): False}


def test_a_list_of_one_is_as_one(granted: Shop, replicas: tuple[PostgresServer, PostgresServer]) -> None:
    declare(granted, replicas[0])
    ran = granted.run("verify")
    assert ran.status == 0, ran
    assert sections(ran) == {}
    assert ran.out.startswith("✓ the replica has replayed ")
    replicas[0].stop()
    try:
        assert_refused(granted.run("verify"), 1, "no connection as master: Connection refused.")
    finally:
        replicas[0].start()


# --- users that left -------------------------------------------------------------------------------------------------


def test_sessions_of_a_user_that_left_the_spec_end_on_every_replica(
    granted: Shop, replicas: tuple[PostgresServer, PostgresServer]
) -> None:
    spec = granted.run.spec.read_text(encoding="utf-8")
    with ExitStack() as stack:
        sessions = [stack.enter_context(granted.as_user(port=str(server.port))) for server in replicas]
        start, end = spec.index("[users.bi]"), spec.index("[[grants]]")
        granted.run.spec.write_text(spec[:start] + spec[end:], encoding="utf-8")
        kept = granted.run("apply", "--yes")
        assert kept.status == 0, kept
        for session in sessions:
            session.execute("SELECT FROM sales.orders")
        ran = granted.run("apply", "--yes", "--allow-drop")
        assert ran.status == 0, ran
        assert ran.out.splitlines()[-3:-1] == [f"{name_of(server)}: 1 session of bi ended." for server in replicas]
        for session in sessions:
            with pytest.raises(psycopg.OperationalError, match="terminating connection"):
                session.execute("SELECT 1")
    again = granted.run("--format", "json", "apply", "--yes", "--allow-drop")
    assert again.status == 0, again
    assert again.document["notes"] == []


# --- none ------------------------------------------------------------------------------------------------------------


def test_without_a_replica_everything_but_the_proof_is_done(shop: Shop) -> None:
    applied = shop.run("apply", "--yes")
    assert applied.status == 0, applied
    assert "Nothing was proved, because the spec has no [replica].\n" in applied.out
    with shop.as_user() as bi:
        bi.execute("SELECT FROM sales.orders")
    again = shop.run("--format", "json", "apply", "--yes")
    assert again.status == 0, again
    assert again.document["proof"] is None
    assert shop.run("plan", "--check").status == 0
    assert_refused(
        shop.run("verify"),
        2,
        "The spec has no [replica].",
        "Name one there by dsn: the proof is what a replica answers.",
    )


# --- a replica alone -------------------------------------------------------------------------------------------------


def test_why_asks_the_replica_alone(granted: Shop, replicas: tuple[PostgresServer, PostgresServer]) -> None:
    text = granted.run.spec.read_text(encoding="utf-8")
    dead = text.replace(f'dsn = "{granted.dsn()}"', f'dsn = "{granted.dsn(port="1")}"')
    assert dead != text
    granted.run.spec.write_text(dead, encoding="utf-8")
    found = granted.run("--format", "json", "why", "bi", "sales.orders", "--on", "replica").document
    assert (found["has_access"], found["is_replica"]) == (True, True)
    assert granted.run("why", "bi", "sales.orders").status == 1


def test_whoever_reaches_no_primary_audits_the_replicas_alone(granted: Shop) -> None:
    spec = granted.run.spec
    here = f"port={granted.server.port}"
    primary, rest = spec.read_text(encoding="utf-8").split("[replica]")
    assert here in primary
    spec.write_text(f"{primary.replace(here, 'port=1')}[replica]{rest}", encoding="utf-8")
    both = granted.run("audit", "--fail-on", "never")
    assert both.status == 4
    assert "could not be looked at" in both.err
    alone = granted.run("audit", "--fail-on", "never", "--on", "replica")
    assert alone.status == 0, alone
    assert "The primary was left alone" in alone.err
    assert granted.run("audit", "list").out.count("\n") == 1
    assert granted.run("audit", "--on", "replica", "list").out.count("\n") == 1


def test_without_a_replica_there_is_nothing_to_audit_alone(shop: Shop) -> None:
    shop.declare()
    assert_refused(shop.run("audit", "--on", "replica"), 2, "no [replica]")

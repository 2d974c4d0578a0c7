"""Other shapes than one replica of one primary: a replica of a replica, and several of one primary side by side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .desk import SPEC, Desk, assert_told, desk
from .stage import remove, state

pytestmark = pytest.mark.slow

__all__ = ["desk"]


def declare(desk: Desk, name: str, source: str = "") -> str:
    """Write a spec for the replica `name`; return the file."""
    text = SPEC.format(replica=name)
    if source:
        text = text.replace("[[network.allow]]", f'source = "{source}"\n[[network.allow]]')
    path = desk.program.directory / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path.name


@pytest.fixture(scope="module")
def first(desk: Desk) -> Iterator[str]:
    """A replica of somebody else's, without backups."""
    with desk.sandbox.replica() as name:
        yield name


def set_backups(desk: Desk, name: str, days: int) -> None:
    desk.sandbox.rds.modify_db_instance(DBInstanceIdentifier=name, BackupRetentionPeriod=days, ApplyImmediately=True)
    desk.sandbox.settle(name)


def test_a_replica_of_a_replica(desk: Desk, first: str) -> None:
    name = desk.sandbox.name("second")
    spec = declare(desk, name, first)
    assert_told(desk.run("--spec", spec, "check"), 1, f"✗ backups: {first} has no automated backups")
    fixed = desk.run("--spec", spec, "check", "--fix", "--yes")
    assert_told(fixed, 0, f"✓ replica source: {first}, level 1 below prod-db", f"✓ backups: {first} keeps backups")
    assert desk.sandbox.instance()["BackupRetentionPeriod"] == 7
    try:
        applied = desk.run("--spec", spec, "--format", "json", "apply", "--yes")
        assert_told(applied, 0)
        proof = applied.document["proof"]
        assert (proof["ok"], proof["same_system"], proof["in_recovery"]) == (True, True, True)
        made = desk.sandbox.instance(name)
        assert made["ReadReplicaSourceDBInstanceIdentifier"] == first
        assert_told(desk.run("--spec", spec, "plan", "--check"), 0, "Nothing to do")
        assert_told(desk.run("--spec", spec, "verify"), 0)
        direct = declare(desk, name)
        assert_told(desk.run("--spec", direct, "check"), 1, f"{name} exists already and is a replica of {first}")
    finally:
        remove(desk.sandbox, name)
        set_backups(desk, first, 0)


def test_a_source_that_is_not_there(desk: Desk) -> None:
    spec = declare(desk, desk.sandbox.name("second"), "nowhere")
    assert_told(
        desk.run("--spec", spec, "check"), 1, "There is no DB instance nowhere in ap-southeast-2", "replica.source"
    )


def test_a_replica_as_the_primary(desk: Desk, first: str) -> None:
    spec = declare(desk, desk.sandbox.name("second"))
    path = desk.program.directory / spec
    path.write_text(path.read_text(encoding="utf-8").replace('"prod-db"', f'"{first}"'), encoding="utf-8")
    ran = desk.run("--spec", spec, "check")
    assert_told(ran, 1, f"✗ primary: {first} is itself a read replica, of prod-db", f"set replica.source to {first}")


def test_two_replicas_side_by_side(desk: Desk) -> None:
    names = [desk.sandbox.name("twin"), desk.sandbox.name("twin")]
    specs = [declare(desk, name) for name in names]
    try:
        for spec in specs:
            assert_told(desk.run("--spec", spec, "apply", "--yes"), 0)
        before: list[dict[str, Any]] = [state(desk.sandbox, name) for name in names]
        assert before[0]["tags"]["replica-access"] != before[1]["tags"]["replica-access"]
        for spec in specs:
            assert_told(desk.run("--spec", spec, "plan", "--check"), 0, "Nothing to do")
        remove(desk.sandbox, names[0])
        assert state(desk.sandbox, names[1]) == before[1]
        assert_told(desk.run("--spec", specs[1], "plan", "--check"), 0, "Nothing to do")
        assert_told(desk.run("--spec", specs[0], "plan", "--check"), 3, names[0])
    finally:
        for name in names:
            remove(desk.sandbox, name)


def test_two_replicas_whose_users_are_the_same(desk: Desk) -> None:
    names = [desk.sandbox.name("twin"), desk.sandbox.name("twin")]
    secret = f"replica-access/{names[0]}-shared"
    user = f"shared_{names[0]}"
    specs = [declare(desk, name) for name in names]
    for spec in specs:
        path = desk.program.directory / spec
        users = f'[users.{user}]\nsecret = "{secret}"\n'
        path.write_text(f"{path.read_text(encoding='utf-8')}\n{users}", encoding="utf-8")
    try:
        for spec in specs:
            assert_told(desk.run("--spec", spec, "apply", "--yes"), 0)
        told = f"secret {secret}: belongs to {names[0]} and names its endpoint"
        assert_told(desk.run("--spec", specs[1], "plan", "--check"), 0, told, "Nothing to do, 1 pending.")
        assert_told(desk.run("--spec", specs[0], "plan", "--check"), 0, "Nothing to do.")
        remove(desk.sandbox, names[0])
        ran = desk.run("--spec", specs[1], "apply", "--yes")
        assert_told(ran, 0, f"let the secret {secret} belong to {names[1]}", "write the endpoint of")
        assert_told(desk.run("--spec", specs[1], "plan", "--check"), 0, "Nothing to do.")
    finally:
        for name in names:
            remove(desk.sandbox, name)
        desk.sandbox.client("secretsmanager").delete_secret(SecretId=secret, ForceDeleteWithoutRecovery=True)
        with desk.sandbox.connect() as connection:
            connection.execute(f"DROP ROLE IF EXISTS {user}")

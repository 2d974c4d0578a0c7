"""Which secrets follow a replica, which are restored, and whose they are then: pure."""

from __future__ import annotations

from replica_access.aws.plan_secrets import behind, follow, restored, shared
from replica_access.aws.secret_store import Kept
from replica_access.model import Secret
from tests.unit.aws_landscapes import OUR_TAGS, REPLICA

USERS = {"replica-access/bi": "bi"}


def test_a_secret_of_the_same_replica_is_restored_and_names_its_endpoint() -> None:
    restore, update = restored({"replica-access/bi": OUR_TAGS}, USERS, "analytics")
    assert restore.call is not None
    assert (restore.call.operation, restore.call.parameters) == ("RestoreSecret", {"SecretId": "replica-access/bi"})
    assert (restore.takes, update.action) == ("", "update secret")
    assert "password of bi" in update.summary


def test_a_secret_of_another_replica_changes_hands() -> None:
    _, tag, _ = restored({"replica-access/bi": {**OUR_TAGS, "replica-access": "before"}}, USERS, "analytics")
    assert tag.call is not None
    assert tag.call.operation == "TagResource"
    assert {"Key": "replica-access", "Value": "analytics"} in tag.call.parameters["Tags"]


def test_a_secret_is_behind_that_names_another_endpoint() -> None:
    there = Kept("bi", Secret("x"), REPLICA.host or "", REPLICA.port)
    kept = {"same": there, "other": Kept("bi", Secret("x"), "elsewhere", REPLICA.port), "none": Kept("bi", Secret("x"))}
    assert list(behind(kept, REPLICA)) == ["other", "none"]
    assert list(behind(kept, None)) == list(kept)


def test_a_secret_of_ours_follows_and_changes_hands_and_one_of_somebody_else_does_not() -> None:
    former = {**OUR_TAGS, "replica-access": "before"}
    found = {"ours": OUR_TAGS, "former": former, "theirs": {"team": "data"}}
    planned = [(change.action, change.object) for change in follow(found, dict.fromkeys(found, "bi"), "analytics")]
    assert planned == [("update secret", "ours"), ("tag secret", "former"), ("update secret", "former")]


def test_a_secret_of_a_replica_beside_ours_stays_as_it_is() -> None:
    (left,) = shared({"replica-access/bi": {**OUR_TAGS, "replica-access": "beside"}}, "analytics")
    assert (left.kind, left.name) == ("secret", "replica-access/bi")
    assert left.reason.startswith("belongs to beside and names its endpoint")

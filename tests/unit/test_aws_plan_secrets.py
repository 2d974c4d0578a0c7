"""Which deleted secrets are restored, and whose they are then: pure."""

from __future__ import annotations

from replica_access.aws.plan_secrets import restored
from tests.unit.aws_landscapes import OUR_TAGS

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

"""Carry out what is planned for secrets."""

from __future__ import annotations

from replica_access.aws.secret_store import waits_for_deletion
from replica_access.aws.step import Step
from replica_access.errors import AwsError


def restore(step: Step) -> None:
    """Restore a secret that waits for its deletion; one that does not is as good."""
    try:
        step.aws.call("secretsmanager", "RestoreSecret", **step.parameters)
    except AwsError as error:
        if error.code != "InvalidRequestException" or waits_for_deletion(step.aws, step.parameters["SecretId"]):
            raise


def tag(step: Step) -> None:
    """Say whose a secret is."""
    step.aws.call("secretsmanager", "TagResource", **step.parameters)

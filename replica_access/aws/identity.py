"""What a policy names and no spec tells: partition, account, resource ids. AWS is asked only where it has to be."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

from replica_access.aws import survey
from replica_access.aws.adoption import not_ours
from replica_access.aws.landscape import Instance
from replica_access.aws.ownership import replica_identifier, source_identifier
from replica_access.aws.permissions import UNKNOWN, Account
from replica_access.aws.session import Aws
from replica_access.aws_commands import Commands
from replica_access.errors import AccessDenied, CredentialsError, NotFound, NotOurs
from replica_access.names import shown
from replica_access.spec import Spec


def account(spec: Spec) -> tuple[Account, tuple[str, ...]]:
    """Return where policies for `spec` hold, and what could not be found out and is ``*`` for that.

    Nothing is asked of AWS where the spec has Region and account and nobody logs in by IAM: whoever wants the policy
    may have no rights yet.

    :raises CredentialsError: there is no Region, or no account.
    """
    aws = Aws.open(spec.aws.model_copy(update={"account": None}))
    try:
        found = Account(aws.partition, aws.region, _number(spec, aws))
        return _with_logins(found, spec, aws)
    finally:
        aws.close()


def account_of_replica(spec: Spec) -> Account:
    """Return where the policy of a user holds: it names the DbiResourceId of the replica.

    :raises NotFound: there is no replica yet.
    :raises NotOurs: the instance of that name is somebody else's.
    """
    aws = Aws.open(spec.aws)
    try:
        replica = survey.replica_instance(aws, spec)
        if replica is None or not replica.resource_id:
            raise NotFound(
                f"There is no replica {replica_identifier(spec)} yet, and the policy names its DbiResourceId.",
                "Run `replica-access apply` first, or deploy the template: the id is one of its outputs.",
            )
        if refusal := not_ours(replica, source_identifier(spec), Commands(aws.region, spec.aws.profile)):
            raise NotOurs(f"{refusal.reason}.", refusal.fix)
        return Account(aws.partition, aws.region, replica.arn.split(":")[4], replica_id=replica.resource_id)
    finally:
        aws.close()


def _number(spec: Spec, aws: Aws) -> str:
    name = spec.primary.instance or ""
    return spec.aws.account or (name.split(":")[4] if name.startswith("arn:") else aws.account)


def _with_logins(found: Account, spec: Spec, aws: Aws) -> tuple[Account, tuple[str, ...]]:
    """Look up what policies name where somebody logs in by IAM."""
    notes: list[str] = []

    def ask(look: Callable[[Aws, Spec], Instance | None], name: str | None) -> Instance | None:
        try:
            instance = look(aws, spec)
        except (AccessDenied, CredentialsError, NotFound) as error:
            notes.append(f"{error.what} The policy lets its users log in to any instance by IAM: export it again.")
            return None
        if instance is None:
            notes.append(f"{name} is not there yet: the policy lets its users log in to any instance by IAM.")
        return instance

    by_iam = [shown(name) for name, user in spec.users.items() if user.auth == "iam"]
    admin_by_iam = spec.primary.auth == "iam" and spec.primary.admin_secret is None
    if by_iam or admin_by_iam:
        replica = ask(survey.replica_instance, replica_identifier(spec))
        found = replace(found, replica_id=replica.resource_id if replica else UNKNOWN)
    if admin_by_iam:
        primary = ask(survey.primary_instance, None)
        admin = os.environ.get("PGUSER") or (primary.master_user if primary else UNKNOWN)
        found = replace(found, primary_id=primary.resource_id if primary else UNKNOWN, admin=admin)
    return found, tuple(dict.fromkeys(notes))

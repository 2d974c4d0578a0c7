"""What has to go for a replica to be gone with all that was made for it, as calls in order: pure.

Only what carries our tag goes. The order is that of dependence: an instance holds its groups. A read replica has
nothing that its source has not; an instance that is no replica any more may have, and is never deleted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from replica_access.aws.belongings import Belongings, Tagged
from replica_access.aws.landscape import Instance, NotChecked
from replica_access.aws.ownership import REPLICA_TAG, belongs_to, group_name
from replica_access.aws.readiness import LEAVING
from replica_access.aws.rules import SecurityGroup
from replica_access.aws_commands import Commands
from replica_access.model import BlockedObject, Call, Change, Check, Pending, Plan

RECOVERY_DAYS = 30
"""How long a deleted secret can be restored: the longest that Secrets Manager knows, and what it does unasked."""


def is_ours(found: Belongings) -> bool:
    """Whether the instance that has the name of the replica, if there is one, was made by us."""
    return found.replica is not None and belongs_to(found.name, found.replica.tags)


def checks(found: Belongings) -> tuple[Check, ...]:
    """Return whose account this is, and what could not be looked at."""
    looked_at = {
        "security groups": found.security_groups,
        "subnet groups": found.subnet_groups,
        "parameter groups": found.parameter_groups,
        "secrets": found.secrets,
    }
    account = Check("account", "ok", f"{found.account} in {found.region}")
    unseen = (
        Check(name, "not checked", value.why, value.fix)
        for name, value in looked_at.items()
        if isinstance(value, NotChecked)
    )
    return (account, *unseen)


def plan(found: Belongings, profile: str | None) -> Plan:
    """Plan to take away what belongs to the replica.

    Blocked and not optional is what stops everything; blocked and optional, what is ours and stays until somebody lets
    go of it. Pending is what is not ours, and is left alone.

    :param profile: the one that the commands to type shall use.
    """
    commands = Commands(found.region, profile)
    left = tuple(_left(found, commands))
    if refused := tuple(_refused(found, commands)):
        return Plan((), left, refused)
    blocked = tuple(_held(found, commands))
    stays = {f"delete {each.object}" for each in blocked}
    changes = tuple(change for change in _changes(found) if f"{change.action} {change.object}" not in stays)
    return Plan(changes, left, blocked)


def _ours(found: Belongings, things: tuple[Any, ...] | NotChecked) -> list[Any]:
    return [] if isinstance(things, NotChecked) else [each for each in things if belongs_to(found.name, each.tags)]


# --- what stops it ---------------------------------------------------------------------------------------------------


def _refused(found: Belongings, commands: Commands) -> Iterator[BlockedObject]:
    replica = found.replica
    if replica is None or not is_ours(found) or replica.status in LEAVING:
        return
    name = replica.identifier
    if replica.source is None:
        unprotect = [commands.modify(name, "--no-deletion-protection")] if replica.deletion_protection else []
        delete = commands.rds("delete-db-instance", "--final-db-snapshot-identifier", f"{name}-last", instance=name)
        yield BlockedObject(
            f"replica {name}",
            f"{name} is ours but no replica any more: it was promoted, and may hold what nobody else has",
            "\n".join(
                ["When nobody needs it, delete it yourself, then run the same command again:", *unprotect, delete]
            ),
        )
    elif replica.replicas:
        others = ", ".join(replica.replicas)
        yield BlockedObject(
            f"replica {name}",
            f"{name} has read replicas of its own, which its end would turn into instances that can be written to:"
            f" {others}",
            "Delete those first, then run the same command again.",
        )


def _held(found: Belongings, commands: Commands) -> Iterator[BlockedObject]:
    """Yield the groups of ours that instances use which stay."""
    others = found.others if is_ours(found) else found.instances
    staying = [each for each in others if each.status not in LEAVING]
    for group in _ours(found, found.security_groups):
        users = [each.identifier for each in staying if group.id in each.security_groups]
        move = commands.modify(users[0], "--vpc-security-group-ids", "ITS-OTHER-GROUPS") if users else ""
        yield from _held_by(
            users, f"security group {group.id}", f"Give it another, then run the same command again: {move}"
        )
    for group in _ours(found, found.subnet_groups):
        users = [each.identifier for each in staying if each.subnet_group == group.name]
        fix = "RDS moves no instance within its VPC: delete it when nobody needs it, then run the same command again."
        yield from _held_by(users, f"subnet group {group.name}", fix)
    for group in _ours(found, found.parameter_groups):
        users = [each.identifier for each in staying if group.name in each.parameter_groups]
        move = commands.modify(users[0], "--db-parameter-group-name", "ANOTHER") if users else ""
        yield from _held_by(
            users, f"parameter group {group.name}", f"Give it another, then run the same command again: {move}"
        )


def _held_by(users: list[str], group: str, fix: str) -> Iterator[BlockedObject]:
    if users:
        reason = f"is ours and in use by {', '.join(users)}: it stays until it is not"
        yield BlockedObject(group, reason, fix, optional=True)


# --- what goes -------------------------------------------------------------------------------------------------------


def _changes(found: Belongings) -> Iterator[Change]:
    replica = found.replica
    if replica is not None and is_ours(found):
        if replica.deletion_protection and replica.status not in LEAVING:
            yield _unprotect(replica)
        yield _delete_replica(replica)
    for group in _ours(found, found.security_groups):
        yield _delete_security_group(group)
    for group in _ours(found, found.subnet_groups):
        yield _delete("subnet group", group, "DeleteDBSubnetGroup", "DBSubnetGroupName")
    for group in _ours(found, found.parameter_groups):
        yield _delete("parameter group", group, "DeleteDBParameterGroup", "DBParameterGroupName")
    for secret in _ours(found, found.secrets):
        yield _delete_secret(secret)


def _unprotect(replica: Instance) -> Change:
    parameters = {"DBInstanceIdentifier": replica.identifier, "DeletionProtection": False, "ApplyImmediately": True}
    sentence = f"{replica.identifier}: no longer protected from deletion"
    call = Call("rds", "ModifyDBInstance", parameters)
    return Change("aws", "unprotect replica", replica.identifier, sentence, call=call, takes="drop")


def _delete_replica(replica: Instance) -> Change:
    name, of = replica.identifier, f"a read replica of {replica.source}" if replica.source else "a read replica"
    # RDS refuses a final snapshot of a replica: what it holds is on its source.
    call = Call("rds", "DeleteDBInstance", {"DBInstanceIdentifier": name, "SkipFinalSnapshot": True})
    sentence = f"delete {name}, {of}; its source stays as it is"
    if replica.status in LEAVING:
        sentence = f"wait until {name} is gone: it is being deleted already"
    return Change("aws", "delete replica", name, sentence, call=call, takes="drop")


def _delete_security_group(group: SecurityGroup) -> Change:
    call = Call("ec2", "DeleteSecurityGroup", {"GroupId": group.id})
    sentence = f"delete the security group {group.name} ({group.id}) with its rules"
    return Change("aws", "delete security group", group.id, sentence, call=call, takes="drop")


def _delete(kind: str, group: Tagged, operation: str, parameter: str) -> Change:
    sentence = f"delete the DB {kind} {group.name}"
    call = Call("rds", operation, {parameter: group.name})
    return Change("aws", f"delete {kind}", group.name, sentence, call=call, takes="drop")


def _delete_secret(secret: Tagged) -> Change:
    parameters = {"SecretId": secret.arn, "RecoveryWindowInDays": RECOVERY_DAYS}
    sentence = f"delete the secret {secret.name}; it can be restored for {RECOVERY_DAYS} days"
    call = Call("secretsmanager", "DeleteSecret", parameters)
    return Change("aws", "delete secret", secret.name, sentence, call=call, takes="drop")


# --- what is left alone ----------------------------------------------------------------------------------------------


def _left(found: Belongings, commands: Commands) -> Iterator[Pending]:
    """Yield what has a name of ours and not our tag, and what RDS made by itself."""
    replica, tag = found.replica, f"Key={REPLICA_TAG},Value={found.name}"
    if replica is not None and not is_ours(found):
        hand_over = commands.rds("add-tags-to-resource", "--resource-name", replica.arn, "--tags", tag)
        yield Pending("instance", replica.identifier, f"does not carry our tag; if it is ours after all: {hand_over}")
    if not isinstance(found.security_groups, NotChecked):
        for group in found.security_groups:
            if not belongs_to(found.name, group.tags):
                yield Pending("security group", f"{group.name} ({group.id})", "does not carry our tag")
    for kind, groups in (("subnet group", found.subnet_groups), ("parameter group", found.parameter_groups)):
        for each in () if isinstance(groups, NotChecked) else groups:
            # the name of another replica's group may begin with that of ours
            if not belongs_to(found.name, each.tags) and each.name == group_name(found.name):
                yield Pending(kind, each.name, "does not carry our tag")
    for secret in () if isinstance(found.secrets, NotChecked) else found.secrets:
        if not belongs_to(found.name, secret.tags):
            owner = secret.tags.get(REPLICA_TAG)
            yield Pending("secret", secret.name, f"belongs to {owner}" if owner else "does not carry our tag")
    if is_ours(found):
        yield Pending("log group", f"/aws/rds/instance/{found.name}", "what RDS has written to CloudWatch stays there")

"""What is asked of the primary, and of the instance that the replica is to be a replica of. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from replica_access.aws.landscape import Instance, Landscape, NotChecked
from replica_access.aws.ownership import region_of
from replica_access.aws.readiness import TERMINAL
from replica_access.aws_commands import Commands
from replica_access.model import Call, Change, Check

MAX_REPLICAS = 15
MAX_REPLICAS_OF_REPLICA = 5
MAX_LEVELS = 3
CASCADES_FROM = (14, 1)
"""The first version in which a replica may have backups, and so replicas of its own."""

BACKUP_DAYS = 7


def primary(instance: Instance, commands: Commands) -> Iterator[Check]:
    """Check that `instance` is one on which roles can be made, and that can have replicas."""
    name = instance.identifier
    if instance.cluster is not None:
        yield _cluster(instance)
    elif instance.engine == "postgres":
        yield Check("engine", "ok", f"{name} is PostgreSQL {instance.version}")
    else:
        fix = "Only RDS for PostgreSQL is supported: name another instance in primary.instance."
        yield Check("engine", "problem", f"{name} runs {instance.engine}", fix)
    if instance.source is not None:
        fix = (
            f"Roles are made on a primary: set primary.instance to {instance.source}; "
            f"for a replica of this replica, set replica.source to {name}."
        )
        yield Check("primary", "problem", f"{name} is itself a read replica, of {instance.source}", fix)
    yield status("status", instance, commands)


def _cluster(instance: Instance) -> Check:
    name, cluster = instance.identifier, instance.cluster
    if instance.engine.startswith("aurora"):
        detail = (
            f"{name} belongs to {cluster}, an Aurora cluster: a reader there shares the security groups, the port and "
            "the storage of the writer, and a failover can make it the writer"
        )
        fix = "Aurora is not supported yet: name an instance of RDS for PostgreSQL in primary.instance."
    else:
        detail = (
            f"{name} belongs to {cluster}, a Multi-AZ DB cluster: replicas are made of the cluster, not of its members"
        )
        fix = "Multi-AZ DB clusters are not supported yet: name a single DB instance in primary.instance."
    return Check("cluster", "problem", detail, fix)


def status(check: str, instance: Instance, commands: Commands) -> Check:
    """Check that `instance` is in a status that it works in, or leaves by itself."""
    name, now = instance.identifier, instance.status
    if now == "storage-full":
        fix = f"Give it more: {commands.modify(name, '--allocated-storage', 'GIB')}"
        return Check(check, "problem", f"{name} is storage-full", fix)
    if now in TERMINAL:
        return Check(check, "problem", f"{name} is {now}", revive(instance, commands))
    wait = "" if now == "available" else "; what has to wait for it, waits"
    return Check(check, "ok", f"{name} is {now}{wait}")


def revive(instance: Instance, commands: Commands) -> str:
    """Return what brings an instance back that is in a state which it does not leave by itself."""
    if instance.status in {"stopped", "stopping"}:
        start = commands.rds("start-db-instance", instance=instance.identifier)
        return start if instance.status == "stopped" else f"Once it is stopped, start it: {start}"
    if instance.status == "deleting":
        return "Wait until it is gone, then run the same command again."
    events = commands.rds("describe-events", "--duration", "1440", "--source-type", "db-instance",
                          "--source-identifier", instance.identifier)  # fmt: skip
    return f"Find out why, mend it, and start it again: {events}"


# --- the source of the replica to be ---------------------------------------------------------------------------------


def source(landscape: Landscape, replica: str, kms_key: str | None, commands: Commands) -> Iterator[Check]:
    """Check that a replica called `replica` can be made of its source.

    :param kms_key: the key that the spec wants it to be encrypted with.
    """
    instance = landscape.source
    there = commands.in_region(instance.region)
    if landscape.upstreams:
        yield from _cascade(landscape, there)
    yield _backups(instance, there, mendable=not landscape.crosses_regions)
    yield _master_password(landscape.primary, commands.in_region(landscape.primary.region))
    yield from _key(landscape, kms_key, commands)
    others = [found for found in instance.replicas if found != replica]
    limit = MAX_REPLICAS_OF_REPLICA if landscape.upstreams else _most_replicas(landscape)
    if len(others) < limit:
        yield Check("replica count", "ok", f"{len(others)} of at most {limit} of {instance.identifier}")
    else:
        fix = f"Delete one that nobody needs: {', '.join(others)}."
        detail = f"{instance.identifier} has {len(others)} replicas, which is the limit"
        yield Check("replica count", "problem", detail, fix)


def _most_replicas(landscape: Landscape) -> int:
    """Return how many replicas a primary may have: the account's quota, where it is read."""
    quota = landscape.quotas.get("ReadReplicasPerMaster") if not isinstance(landscape.quotas, NotChecked) else None
    return MAX_REPLICAS if quota is None or landscape.crosses_regions else quota.limit


def _backups(instance: Instance, commands: Commands, *, mendable: bool) -> Check:
    """:param mendable: whether `check --fix` reaches it: changes are made in the Region of the replica alone."""
    name = instance.identifier
    if instance.backup_days:
        return Check("backups", "ok", f"{name} keeps backups for {instance.backup_days} days")
    command = commands.modify(name, "--backup-retention-period", str(BACKUP_DAYS))
    fix = f"{command}  # the first backup stops I/O of a Single-AZ instance briefly: choose a quiet moment"
    detail = f"{name} has no automated backups, and a replica starts from one"
    return Check("backups", "problem", detail, fix, (_keep_backups(name),) if mendable else ())


def _keep_backups(name: str) -> Change:
    summary = (
        f"keep automated backups of {name} for {BACKUP_DAYS} days; the first one is taken at once, and while it "
        "begins, I/O of a Single-AZ instance stops, mostly for seconds"
    )
    parameters = {"DBInstanceIdentifier": name, "BackupRetentionPeriod": BACKUP_DAYS, "ApplyImmediately": True}
    return Change("aws", "keep backups", name, summary, call=Call("rds", "ModifyDBInstance", parameters))


def _key(landscape: Landscape, kms_key: str | None, commands: Commands) -> Iterator[Check]:
    """Check the key of the replica: its source's in one Region, and one of its own in another."""
    source, here = landscape.source, landscape.region
    if not landscape.crosses_regions:
        if kms_key is not None:
            yield Check("KMS key", "note", "replica.kms_key is not used: in one Region the key is that of the source")
    elif source.encrypted and kms_key is None:
        fix = f"Set replica.kms_key to a key of {here}: {commands.kms('list-aliases')}"
        detail = f"{source.identifier} is encrypted, and its key does not leave {source.region}"
        yield Check("KMS key", "problem", detail, fix)
    elif not source.encrypted and kms_key is not None:
        detail = f"{source.identifier} is not encrypted, and RDS makes no encrypted replica of it"
        yield Check("KMS key", "problem", detail, "Leave replica.kms_key out.")
    elif kms_key is not None and (region := region_of(kms_key)) not in {None, here}:
        yield Check(
            "KMS key", "problem", f"{kms_key} is a key of {region}", f"Name a key of {here} in replica.kms_key."
        )
    else:
        yield Check("KMS key", "ok", kms_key or "none: the source is not encrypted")


def _master_password(primary: Instance, commands: Commands) -> Check:
    if not primary.managed_password:
        return Check("master password", "ok", "not managed by RDS")
    name = primary.identifier
    command = commands.modify(name, "--no-manage-master-user-password", "--master-user-password", "NEW-PASSWORD")
    fix = f"{command}  # then keep the password where primary.admin_secret says"
    detail = f"RDS manages the master password of {name}, and refuses PostgreSQL replicas of such an instance"
    return Check("master password", "problem", detail, fix)


def _cascade(landscape: Landscape, commands: Commands) -> Iterator[Check]:
    instance, top = landscape.source, landscape.upstreams[-1]
    name, level = instance.identifier, len(landscape.upstreams) + 1
    if top.source != landscape.primary.identifier:
        what = f"a replica of {top.source}" if top.source else "no replica"
        fix = f"Name a replica of {landscape.primary.identifier} in replica.source, or leave it out."
        detail = f"{top.identifier} is {what}, not one of {landscape.primary.identifier}"
        yield Check("replica source", "problem", detail, fix)
    elif level > MAX_LEVELS:
        fix = "Set replica.source to one that is nearer to the primary, or leave it out."
        detail = f"{name} is {level - 1} levels below the primary, and RDS has no more than {MAX_LEVELS}"
        yield Check("replica source", "problem", detail, fix)
    else:
        yield Check("replica source", "ok", f"{name}, level {level - 1} below {landscape.primary.identifier}")
    yield status("source status", instance, commands)
    if _version(instance) < CASCADES_FROM:
        fix = "Upgrade it, or leave replica.source out."
        detail = f"{name} is PostgreSQL {instance.version}; a replica has replicas of its own from 14.1 on"
        yield Check("source version", "problem", detail, fix)


def _version(instance: Instance) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", instance.version)[:2]))

"""Everything in AWS that would stop `apply`, all at once, each with the command that mends it: pure.

Every check has a fixed name and is ``ok``, a ``problem``, or ``not checked`` with the reason. What only matters while
the replica is made is not asked of one that exists. Rules are those of the RDS API reference,
CreateDBInstanceReadReplica, and of the RDS user guide, "Working with DB instance read replicas".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from replica_access.aws import preflight_network
from replica_access.aws.adoption import not_ours
from replica_access.aws.commands import Commands
from replica_access.aws.landscape import Instance, Landscape
from replica_access.aws.network import place
from replica_access.aws.ownership import replica_identifier
from replica_access.aws.readiness import BROKEN, TERMINAL
from replica_access.model import Check
from replica_access.spec import Spec

MAX_REPLICAS = 15


def checks(landscape: Landscape, spec: Spec) -> tuple[Check, ...]:
    """Check `landscape` for all that would stop the plan for `spec`."""
    return tuple(_checks(landscape, spec, Commands(landscape.region, spec.aws.profile)))


def _checks(landscape: Landscape, spec: Spec, commands: Commands) -> Iterator[Check]:
    primary, replica = landscape.primary, landscape.replica
    yield Check("account", "ok", f"{landscape.account} in {landscape.region}")
    yield from _primary(primary, commands)
    wanted, name = spec.replica, replica_identifier(spec)
    if wanted is None or name is None:
        return
    if replica is not None and (refusal := not_ours(replica, primary, commands)):
        yield Check("replica name", "problem", refusal.reason, refusal.fix)
        replica = None  # what stands in the way of a replica by another name is worth knowing too
        landscape = replace(landscape, replica=None)
    elif replica is not None:
        yield from _existing(replica, commands)
    else:
        yield Check("replica name", "ok", f"{name} is free")
    if replica is None:
        yield from _source(primary, name, commands)
    placement = place(landscape, wanted)
    yield from preflight_network.subnet_group(landscape, placement, commands)
    if wanted.publicly_accessible:
        yield from preflight_network.public(landscape, spec, placement, commands)
    yield from preflight_network.addresses(spec)
    yield from preflight_network.security_groups(landscape, spec, name, commands)


# --- the primary -----------------------------------------------------------------------------------------------------


def _primary(primary: Instance, commands: Commands) -> Iterator[Check]:
    name = primary.identifier
    if primary.engine == "postgres":
        yield Check("engine", "ok", f"{name} is PostgreSQL {primary.version}")
    elif primary.cluster is None:
        fix = "Only RDS for PostgreSQL is supported: name another instance in primary.instance."
        yield Check("engine", "problem", f"{name} runs {primary.engine}", fix)
    if primary.cluster is not None:
        kind = "an Aurora cluster" if primary.engine.startswith("aurora") else "a Multi-AZ DB cluster"
        fix = "Clusters are not supported yet: name a single DB instance in primary.instance."
        yield Check("cluster", "problem", f"{name} belongs to {primary.cluster}, {kind}", fix)
    if primary.source is not None:
        fix = f"Roles are made on a primary: set primary.instance to {primary.source}."
        yield Check("primary", "problem", f"{name} is itself a read replica, of {primary.source}", fix)
    if primary.status in TERMINAL:
        fix = _revive(primary, commands)
        yield Check("status", "problem", f"{name} is {primary.status}", fix)
    else:
        wait = "" if primary.status == "available" else "; what has to wait for it, waits"
        yield Check("status", "ok", f"{name} is {primary.status}{wait}")


def _revive(instance: Instance, commands: Commands) -> str:
    if instance.status == "stopped":
        return commands.rds("start-db-instance", instance=instance.identifier)
    if instance.status == "deleting":
        return "Wait until it is gone, then run the same command again."
    events = commands.rds("describe-events", "--duration", "1440", "--source-type", "db-instance",
                          "--source-identifier", instance.identifier)  # fmt: skip
    return f"Find out why, mend it, and start it again: {events}"


def _source(primary: Instance, replica: str, commands: Commands) -> Iterator[Check]:
    name = primary.identifier
    if primary.backup_days:
        yield Check("backups", "ok", f"{name} keeps backups for {primary.backup_days} days")
    else:
        command = commands.modify(name, "--backup-retention-period", "7")
        fix = f"{command}  # the first backup stops I/O of a Single-AZ primary briefly: choose a quiet moment"
        yield Check("backups", "problem", f"{name} has no automated backups, and a replica starts from one", fix)
    if primary.managed_password:
        command = commands.modify(name, "--no-manage-master-user-password", "--master-user-password", "NEW-PASSWORD")
        fix = f"{command}  # then keep the password where primary.admin_secret says"
        detail = f"RDS manages the master password of {name}, and refuses PostgreSQL replicas of such an instance"
        yield Check("master password", "problem", detail, fix)
    else:
        yield Check("master password", "ok", "not managed by RDS")
    others = [found for found in primary.replicas if found != replica]
    if len(others) < MAX_REPLICAS:
        yield Check("replica count", "ok", f"{len(others)} of at most {MAX_REPLICAS}")
    else:
        fix = f"Delete one that nobody needs: {', '.join(others)}."
        yield Check("replica count", "problem", f"{name} has {len(others)} replicas, which is the limit", fix)


# --- the replica, where there is one ---------------------------------------------------------------------------------


def _existing(replica: Instance, commands: Commands) -> Iterator[Check]:
    name = replica.identifier
    yield Check("replica name", "ok", f"{name} is ours")
    if replica.status in TERMINAL:
        yield Check("replica status", "problem", f"{name} is {replica.status}", _revive(replica, commands))
    else:
        yield Check("replica status", "ok", f"{name} is {replica.status}")
    if broken := BROKEN & set(replica.replication):
        fix = f"Restart it, or replace it if that does not help: {commands.rds('reboot-db-instance', instance=name)}"
        yield Check("replication", "problem", f"the replication of {name} is in state {min(broken)}", fix)

"""What happens to an instance after its call was answered: each function is one job, run in the instance's queue.

Statuses last at least a moment, so that whoever asks twice a second gets to see them. Jobs hold the lock of the site
only while they change what a request could see; a request may therefore come between any two steps.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING

from replica_access.errors import Error
from replica_access.sandbox import interfaces
from replica_access.sandbox import rds_events as events
from replica_access.sandbox.faults import Turn
from replica_access.sandbox.rds_instances import Instance
from replica_access.sandbox.server import PostgresServer

if TYPE_CHECKING:
    from replica_access.sandbox.rds import SandboxRDS

__all__ = ["apply_changes", "delete", "open_gate", "promote", "provision", "reboot", "start", "stop", "turn"]

MOMENT = 0.4  # seconds
LOOK_SECONDS = 0.05
CHANGES = {"db_instance_class": "DB instance class", "allocated_storage": "allocated storage"}


def stay(instance: Instance, seconds: float = MOMENT) -> None:
    """Let the instance keep its status for a moment, and then for as long as a fault holds it there."""
    time.sleep(seconds)
    while instance.is_held:
        time.sleep(LOOK_SECONDS)


def provision(rds: SandboxRDS, instance: Instance, make: Callable[[], PostgresServer]) -> None:
    if (outcome := rds.site.faults.fails(instance.db_instance_identifier)) is not None:
        stay(instance)
        with rds.site.lock:
            instance.become(outcome)
            rds.note(instance, events.failure(outcome))
        return
    server = make()
    if wanted := {} if instance.is_replica else dict(instance.parameters()):
        server.apply_settings(wanted)
        server.restart()
    stay(instance, 0)
    with rds.site.lock:
        instance.in_force |= wanted
        instance.attach(server)
        rds.note(instance, "DB instance created")
        if instance.backup_retention_period:
            rds.note(instance, "Backing up DB instance")
            instance.become("backing-up")
        else:
            instance.become("modifying")
    stay(instance)
    with rds.site.lock:
        instance.become("available")
        if instance.backup_retention_period:
            rds.note(instance, "Finished DB instance backup")
        if instance.is_replica:
            rds.note(instance, "Replication for the Read Replica resumed")


def apply_changes(rds: SandboxRDS, instance: Instance) -> None:
    # RDS describes the instance as available for a while yet before it starts to work; pollers have to cope with that.
    time.sleep(MOMENT / 2)
    with rds.site.lock:
        reset = "master_user_password" in instance.pending_modified_values
        instance.become("resetting-master-credentials" if reset else "modifying")
    stay(instance)
    with rds.site.lock:
        if instance.pending_modified_values.pop("master_user_password", None):
            rds.note(instance, "Reset master credentials")
        for name, value in instance.pending_modified_values.items():
            setattr(instance, name, value)
            if name in CHANGES:
                rds.note(instance, f"Finished applying modification to {CHANGES[name]}")
        instance.pending_modified_values.clear()
        instance.groups_being_added.clear()
        if instance.parameter_status == "applying":
            instance.parameter_status = "pending-reboot"
            rds.note(instance, "Finished updating DB parameter group")
        instance.become("available")


def open_gate(rds: SandboxRDS, instance: Instance) -> None:
    with rds.site.lock:
        instance.open_gate()
        instance.enforce_security_groups()
    stay(instance)
    with rds.site.lock:
        instance.become("available")


def reboot(rds: SandboxRDS, instance: Instance) -> None:
    with rds.site.lock:
        server, wanted, group = running(instance), instance.parameters(), instance.db_parameter_groups()[0].name
    try:
        server.apply_settings(wanted)
        server.restart()
        outcome = "available"
    except Error:
        # The server cannot start with these. It runs on with what it had, as RDS leaves the group to be put right.
        server.apply_settings({})
        server.restart()
        wanted, outcome = {}, "incompatible-parameters"
    stay(instance)
    with rds.site.lock:
        instance.in_force, instance.group_in_force = dict(wanted), group
        instance.parameter_status = "in-sync" if outcome == "available" else "failed-to-apply"
        rds.note(instance, "DB instance shutdown")
        rds.note(instance, "DB instance restarted" if outcome == "available" else events.failure(outcome))
        instance.become(outcome)
        instance.enforce_security_groups()


def promote(rds: SandboxRDS, instance: Instance, backup_retention_period: int) -> None:
    stay(instance, MOMENT / 2)
    with rds.site.lock:
        instance.become("modifying")
    running(instance).promote()
    with rds.site.lock:
        rds.part_from_source(instance)
        rds.note(instance, "Promoted read replica to a stand-alone database instance.")
        instance.backup_retention_period = backup_retention_period
    stay(instance)
    with rds.site.lock:
        instance.become("available")


def stop(rds: SandboxRDS, instance: Instance) -> None:
    running(instance).stop()
    stay(instance)
    with rds.site.lock:
        instance.become("stopped")
        rds.note(instance, "DB instance stopped")


def start(rds: SandboxRDS, instance: Instance) -> None:
    running(instance).start()
    stay(instance)
    with rds.site.lock:
        instance.become("available")
        rds.note(instance, "DB instance started")
        instance.enforce_security_groups()


def turn(rds: SandboxRDS, instance: Instance, fault: Turn) -> None:
    """Stay in the status that the fault has put the instance in, until its time is over or it is taken back."""
    until = time.monotonic() + (inf if fault.seconds is None else fault.seconds)
    while time.monotonic() < until and fault in rds.site.faults.faults.turn:
        time.sleep(LOOK_SECONDS)
    with rds.site.lock:
        instance.become("available")


def delete(rds: SandboxRDS, instance: Instance) -> None:
    stay(instance, MOMENT / 2)
    with rds.site.lock:
        instance.status = "deleting"
    instance.close_gate()
    if instance.server is not None:
        instance.server.remove()
    stay(instance, MOMENT / 2)
    with rds.site.lock:
        rds.note(instance, "DB instance deleted")
        rds.forget(instance)
    gone = time.monotonic()
    while time.monotonic() < gone + rds.site.faults.faults.linger:
        time.sleep(LOOK_SECONDS)
    with rds.site.lock:
        interfaces.remove(rds.ec2, instance)


def running(instance: Instance) -> PostgresServer:
    if instance.server is None:
        raise Error(f"The instance {instance.db_instance_identifier} has no server.", "See the log of the sandbox.")
    return instance.server

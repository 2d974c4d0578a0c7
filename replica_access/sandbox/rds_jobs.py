"""What happens to an instance after its call was answered: each function is one job, run in the instance's queue.

Statuses last at least a moment, so that whoever asks twice a second gets to see them. Jobs hold the lock of the site
only while they change what a request could see; a request may therefore come between any two steps.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from replica_access.errors import Error
from replica_access.sandbox.rds_instances import Instance
from replica_access.sandbox.server import PostgresServer

if TYPE_CHECKING:
    from replica_access.sandbox.rds import SandboxRDS

__all__ = ["apply_changes", "delete", "promote", "provision", "reboot", "start", "stop"]

MOMENT = 0.4  # seconds


def provision(rds: SandboxRDS, instance: Instance, make: Callable[[], PostgresServer]) -> None:
    server = make()
    with rds.site.lock:
        instance.attach(server)
        instance.become("backing-up" if instance.backup_retention_period else "modifying")
    time.sleep(MOMENT)
    with rds.site.lock:
        instance.become("available")
        rds.add_event("DB_INSTANCE_CREATE", instance)


def apply_changes(rds: SandboxRDS, instance: Instance) -> None:
    # RDS describes the instance as available for a while yet before it starts to work; pollers have to cope with that.
    time.sleep(MOMENT / 2)
    with rds.site.lock:
        reset = "master_user_password" in instance.pending_modified_values
        instance.become("resetting-master-credentials" if reset else "modifying")
    time.sleep(MOMENT)
    with rds.site.lock:
        instance.pending_modified_values.pop("master_user_password", None)
        for name, value in instance.pending_modified_values.items():
            setattr(instance, name, value)
        instance.pending_modified_values.clear()
        instance.groups_being_added.clear()
        if instance.parameter_status == "applying":
            instance.parameter_status = "pending-reboot"
        instance.become("available")


def reboot(rds: SandboxRDS, instance: Instance) -> None:
    with rds.site.lock:
        server, wanted = running(instance), instance.parameters()
    try:
        server.apply_settings(wanted)
        server.restart()
        outcome = "available"
    except Error:
        # The server cannot start with these. It runs on with what it had, as RDS leaves the group to be put right.
        server.apply_settings({})
        server.restart()
        outcome = "incompatible-parameters"
    time.sleep(MOMENT)
    with rds.site.lock:
        instance.parameter_status = "in-sync" if outcome == "available" else "failed-to-apply"
        instance.become(outcome)
        instance.enforce_security_groups()


def promote(rds: SandboxRDS, instance: Instance, backup_retention_period: int) -> None:
    time.sleep(MOMENT / 2)
    with rds.site.lock:
        instance.become("modifying")
    running(instance).promote()
    with rds.site.lock:
        rds.part_from_source(instance)
        instance.backup_retention_period = backup_retention_period
    time.sleep(MOMENT)
    with rds.site.lock:
        instance.become("available")


def stop(rds: SandboxRDS, instance: Instance) -> None:
    running(instance).stop()
    time.sleep(MOMENT)
    with rds.site.lock:
        instance.become("stopped")


def start(rds: SandboxRDS, instance: Instance) -> None:
    running(instance).start()
    time.sleep(MOMENT)
    with rds.site.lock:
        instance.become("available")
        instance.enforce_security_groups()


def delete(rds: SandboxRDS, instance: Instance) -> None:
    time.sleep(MOMENT / 2)
    with rds.site.lock:
        instance.status = "deleting"
    if instance.server is not None:
        instance.server.remove()
    time.sleep(MOMENT / 2)
    with rds.site.lock:
        rds.forget(instance)


def running(instance: Instance) -> PostgresServer:
    if instance.server is None:
        raise Error(f"The instance {instance.db_instance_identifier} has no server.", "See the log of the sandbox.")
    return instance.server

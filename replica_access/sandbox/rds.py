"""moto's RDS with PostgreSQL servers behind it.

A call checks what RDS checks, notes what was asked, queues the work, and answers; DescribeDBInstances shows how the
work goes on. Requests are served one at a time, under the lock of the site.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, cast
from uuid import uuid4

from moto.rds.models import DBInstance, DBSubnetGroup, rds_backends

from replica_access.sandbox import interfaces, quotas, rds_offers
from replica_access.sandbox import rds_checks as refuse
from replica_access.sandbox import rds_events as events
from replica_access.sandbox import rds_jobs as jobs
from replica_access.sandbox import site as servers
from replica_access.sandbox.faults import Turn
from replica_access.sandbox.rds_clusters import Clusters, refuse_replica_of_member
from replica_access.sandbox.rds_instances import Instance, inherited_by_replica
from replica_access.sandbox.rds_regions import NOT_INHERITED, refuse_unusable_key
from replica_access.sandbox.server import PostgresServer
from replica_access.sandbox.site import Site

__all__ = ["SandboxRDS", "backend", "install", "instances", "turn"]

DEFAULT_CERTIFICATE_AUTHORITY = "rds-ca-rsa2048-g1"

# What waits for the maintenance window unless ApplyImmediately is given (RDS API reference, ModifyDBInstance).
DEFERRABLE = (
    "allocated_storage",
    "backup_retention_period",
    "ca_certificate_identifier",
    "db_instance_class",
    "engine_version",
    "iops",
    "multi_az",
    "storage_type",
)
# What is done at once whatever ApplyImmediately says, and shows in the status meanwhile.
AT_ONCE = ("db_parameter_group_name", "master_user_password", "publicly_accessible", "vpc_security_group_ids")


def install(site: Site) -> None:
    """Make moto use this backend; must come before anything asks for a backend."""
    rds_backends.clear()
    rds_backends.backend = partial(SandboxRDS, site)  # type: ignore[assignment]  # moto only ever calls it


def backend(account: str, region: str) -> SandboxRDS:
    """The one that answers for this account and Region."""
    found = rds_backends[account][region]
    assert isinstance(found, SandboxRDS)  # noqa: S101  (install has seen to it)
    return found


def instances() -> Iterator[Instance]:
    """All instances of all accounts and Regions."""
    for account, region, _ in rds_backends.iter_backends():
        yield from list(backend(account, region).instances)


def turn(fault: Turn) -> None:
    """Make an instance take on a status.

    :raises LookupError: there is no instance of that name.
    """
    for instance in instances():
        if instance.db_instance_identifier == fault.instance:
            instance.become(fault.status)
            instance.work(partial(jobs.turn, cast("SandboxRDS", instance.backend), instance, fault))
            return
    raise LookupError(f"there is no instance {fault.instance}")


class SandboxRDS(Clusters):
    def __init__(self, site: Site, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.site = site

    @property
    def _url_module(self) -> Any:
        from replica_access.sandbox.rds_responses import Urls

        return Urls

    def instance(self, identifier: str) -> Instance:
        """:param identifier: the name, in any case, or the ARN."""
        found = self.find_db_from_id(identifier)
        if found.db_cluster_identifier is not None:
            raise NotImplementedError("The sandbox only describes and deletes members of clusters.")
        return cast("Instance", found)

    # -- instances: creation -------------------------------------------------------------------------------------------

    def create_db_instance(self, db_kwargs: dict[str, Any]) -> DBInstance:
        call = dict(db_kwargs)
        if call.get("db_cluster_identifier"):
            self._refuse_new_identifier(call)
            return self.create_member(call)
        if call.get("manage_master_user_password"):
            call["master_user_password"] = secrets.token_urlsafe(24)
        return self.create_on(call, partial(self._make_primary, call))

    def create_on(self, call: dict[str, Any], make: Callable[[], PostgresServer]) -> Instance:
        """CreateDBInstance on the server that ``make`` returns."""
        self._refuse_new_identifier(call)
        refuse.unknown_instance_class(call["db_instance_class"])
        refuse.other_engine(call, self.site.installation.version)
        refuse.missing_credentials(call)
        refuse.unusable_credentials(call)
        group = self.subnet_group(call.get("db_subnet_group_name") or "default")
        if name := call.get("db_parameter_group_name"):
            refuse.other_family(self.parameter_group(name), self.site.family)
        call = {"ca_certificate_identifier": DEFAULT_CERTIFICATE_AUTHORITY} | call
        instance = self._new_instance(call | {"engine_version": self.site.installation.version}, group)
        if instance.manage_master_user_password:
            self._store_managed_password(instance, call["master_user_password"])
        instance.work(partial(jobs.provision, self, instance, make))
        return instance

    def _make_primary(self, call: dict[str, Any]) -> PostgresServer:
        name, master = self._directory(call), call["master_username"]
        server = servers.make_primary(self.site, name, master=master, password=call["master_user_password"])
        if database := call.get("db_name"):
            servers.create_database(server, database, master)
        return server

    def create_db_instance_read_replica(self, db_kwargs: dict[str, Any]) -> Instance:
        call = dict(db_kwargs)
        if not call.get("source_db_instance_identifier"):
            raise NotImplementedError("The sandbox makes no replicas of clusters.")
        found = self.find_db_from_id(call["source_db_instance_identifier"])
        if found.db_cluster_identifier is not None:
            refuse_replica_of_member(found)
        source = self.instance(call["source_db_instance_identifier"])
        self._refuse_new_identifier(call)
        refuse.parameter_group_for_replica(call)
        refuse.unfit_source(source)
        refuse.too_many_replicas(source.replicas, source.level + 1, self.site.faults.quota(quotas.REPLICAS))
        group = self.subnet_group(call["db_subnet_group_name"]) if call.get("db_subnet_group_name") else None
        refuse.subnet_group_for_replica(call, group, [one for one in self.instances if one.source is source])
        inherited = inherited_by_replica(source)
        if source.region == self.region_name:
            refuse.presigned_url(call)
            group = group or source.db_subnet_group
        else:
            refuse_unusable_key(call, source, self.account_id, self.region_name)
            inherited = {name: value for name, value in inherited.items() if name not in NOT_INHERITED}
            group = group or self.subnet_group("default")
        call = inherited | {key: value for key, value in call.items() if value is not None}
        refuse.unknown_instance_class(call["db_instance_class"])
        instance = self._new_instance(call | {"backup_retention_period": 0}, group, source)
        source.add_replica(instance)
        make = partial(servers.make_replica, self.site, self._directory(call), jobs.running(source))
        instance.work(partial(jobs.provision, self, instance, make))
        return instance

    def _directory(self, call: dict[str, Any]) -> str:
        """The name of a new instance's directory: names are unique in a Region only."""
        name = call["db_instance_identifier"].lower()
        return name if self.region_name == servers.HOME_REGION else f"{self.region_name}.{name}"

    def _refuse_new_identifier(self, call: dict[str, Any]) -> None:
        refuse.invalid_identifier(call["db_instance_identifier"])
        refuse.taken_identifier(call["db_instance_identifier"], self.databases)
        refuse.quota_reached(self.databases, self.site.faults.quota(quotas.DB_INSTANCES))

    def _new_instance(self, call: dict[str, Any], group: DBSubnetGroup, source: Instance | None = None) -> Instance:
        rds_offers.unknown_certificate_authority(call)
        rds_offers.unusable_monitoring(call, None)
        types = call.get("enable_cloudwatch_logs_exports") or []
        rds_offers.unknown_log_types({"EnableLogTypes": types}, call["engine_version"])
        rds_offers.not_orderable(call)
        if not call.get("vpc_security_group_ids"):
            default = self.ec2.get_default_security_group(group.vpc_id)
            call["vpc_security_group_ids"] = [default.id] if default else []
        refuse.unusable_security_groups(self.ec2, call["vpc_security_group_ids"], group.vpc_id)
        if call.get("publicly_accessible"):
            refuse.closed_vpc(self.ec2, group.vpc_id)
        zone = call.setdefault("availability_zone", group.subnets[0]["SubnetAvailabilityZone"]["Name"])
        subnet = refuse.zone_without_subnet(group, zone)
        call["db_subnet_group_name"] = group.name
        instance = Instance(self, source=source, **call)  # type: ignore[abstract]  # by CloudFormation's methods alone
        self.databases[instance.db_instance_identifier] = instance
        interfaces.add(self.ec2, instance, subnet)
        return instance

    # -- instances: change ---------------------------------------------------------------------------------------------

    def modify_db_instance(self, db_instance_identifier: str, db_kwargs: dict[str, Any]) -> Instance:
        instance, call = self.instance(db_instance_identifier), dict(db_kwargs)
        refuse.unavailable(instance)
        rds_offers.unknown_certificate_authority(call)
        rds_offers.unusable_monitoring(call, instance.monitoring_role_arn)
        rds_offers.unknown_log_types(call.get("cloudwatch_logs_export_configuration") or {}, instance.engine_version)
        refuse.password_of_replica(call, instance)
        refuse.backups_off_with_replicas(call, instance)
        refuse.unsupported_changes(call)
        refuse.unusable_credentials({"master_user_password": call.get("master_user_password") or "unchanged"})
        vpc_id = instance.db_subnet_group.vpc_id
        refuse.unusable_security_groups(self.ec2, call.get("vpc_security_group_ids") or [], vpc_id)
        if call.get("publicly_accessible"):
            refuse.closed_vpc(self.ec2, vpc_id)
        if name := call.get("db_parameter_group_name"):
            refuse.other_family(self.parameter_group(name), self.site.family)

        instance.has_new_certificate |= call.get("ca_certificate_identifier") is not None
        deferred = {name: call.pop(name) for name in DEFERRABLE if name in call}
        instance.pending_modified_values |= {
            name: value for name, value in deferred.items() if value != getattr(instance, name)
        }
        if call.get("db_parameter_group_name") == instance.db_parameter_group_name:
            call.pop("db_parameter_group_name", None)  # which is no change
        shows = any(call.get(name) is not None for name in AT_ONCE)
        self._show_as_pending(instance, call)
        super().modify_db_instance(db_instance_identifier, call)
        if call.get("manage_master_user_password"):
            call["master_user_password"] = secrets.token_urlsafe(24)
            self._store_managed_password(instance, call["master_user_password"])
        if password := call.get("master_user_password"):
            servers.set_password(jobs.running(instance), str(instance.master_username), password)
        if call.get("enable_iam_database_authentication") and instance.gate is None:
            instance.become("configuring-iam-database-auth")
            instance.work(partial(jobs.open_gate, self, instance))
        if shows or (call.get("apply_immediately") and instance.pending_modified_values):
            instance.work(partial(jobs.apply_changes, self, instance))
        return instance

    def _show_as_pending(self, instance: Instance, call: dict[str, Any]) -> None:
        """What the instance describes as on its way until the job is done, though it is in force already."""
        if groups := call.get("vpc_security_group_ids"):
            instance.groups_being_added = set(groups) - set(instance.vpc_security_group_ids)
        if call.get("db_parameter_group_name"):
            instance.parameter_status = "applying"
        if call.get("master_user_password"):
            instance.pending_modified_values["master_user_password"] = "****"  # noqa: S105  (as RDS shows it)

    def reboot_db_instance(self, db_instance_identifier: str) -> Instance:
        instance = self.instance(db_instance_identifier)
        refuse.reboot_while_unavailable(instance)
        instance.become("rebooting")
        instance.work(partial(jobs.reboot, self, instance))
        return instance

    def promote_read_replica(self, db_kwargs: dict[str, Any]) -> Instance:
        instance = self.instance(db_kwargs["db_instance_identifier"])
        refuse.unavailable(instance)
        refuse.no_replica(instance)
        retention = db_kwargs.get("backup_retention_period")
        instance.work(partial(jobs.promote, self, instance, 1 if retention is None else retention))
        return instance

    def stop_db_instance(self, db_instance_identifier: str, db_snapshot_identifier: str | None = None) -> Instance:
        instance = self.instance(db_instance_identifier)
        refuse.unavailable(instance)
        refuse.stop_with_replication(instance)
        if db_snapshot_identifier:
            self.create_db_snapshot(db_instance_identifier, db_snapshot_identifier)
        instance.become("stopping")
        instance.work(partial(jobs.stop, self, instance))
        return instance

    def start_db_instance(self, db_instance_identifier: str) -> Instance:
        instance = self.instance(db_instance_identifier)
        refuse.start_unless_stopped(instance)
        instance.become("starting")
        instance.work(partial(jobs.start, self, instance))
        return instance

    def delete_db_instance(
        self,
        db_instance_identifier: str,
        final_db_snapshot_identifier: str | None = None,
        skip_final_snapshot: bool | None = False,
        delete_automated_backups: bool | None = True,  # noqa: ARG002  (there are none)
    ) -> DBInstance:
        if self.is_member(db_instance_identifier):
            return super().delete_db_instance(db_instance_identifier, None, skip_final_snapshot=True)
        instance = self.instance(db_instance_identifier)
        refuse.deletion(instance, final_db_snapshot_identifier, skip=bool(skip_final_snapshot))
        if final_db_snapshot_identifier:
            self.create_db_snapshot(db_instance_identifier, final_db_snapshot_identifier)
        instance.become("delete-precheck")
        for name in instance.replicas:  # RDS makes them instances of their own
            replica = self.instance(name)
            replica.work(partial(jobs.promote, cast("SandboxRDS", replica.backend), replica, 1))
        instance.work(partial(jobs.delete, self, instance))
        return instance

    def forget(self, instance: Instance) -> None:
        """The instance is gone: so is every trace of it."""
        self.part_from_source(instance)
        if instance.manage_master_user_password:
            instance.master_user_secret.delete_secret()
        del self.databases[instance.db_instance_identifier]
        instance.retire()

    def part_from_source(self, instance: Instance) -> None:
        if instance.source is not None:
            instance.master_user_password = instance.source.master_password
            instance.source.remove_replica(instance)
        instance.source, instance.source_db_instance_identifier, instance.is_replica = None, None, False

    def _store_managed_password(self, instance: Instance, password: str) -> None:
        """Put the password that is in force where moto puts one that never is."""
        instance.master_user_password = password
        document = json.dumps({"username": instance.master_username, "password": password})
        self.secretsmanager.update_secret(
            instance.master_user_secret.secret_arn, secret_string=document, client_request_token=str(uuid4())
        )

    # -- events --------------------------------------------------------------------------------------------------------

    def note(self, instance: Instance, message: str) -> None:
        """Something has happened to an instance that DescribeEvents shall tell."""
        self.events.append(cast("Any", events.of_instance(instance, message)))

    def describe_events(self, **call: Any) -> list[Any]:  # type: ignore[override]  # moto takes two only
        return events.matching(self.events, call)

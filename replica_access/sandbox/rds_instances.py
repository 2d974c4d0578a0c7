"""A DB instance as RDS describes it, with a PostgreSQL server behind it."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from moto.core.utils import utcnow
from moto.ec2.models import ec2_backends
from moto.rds.models import DBInstance, RDSBackend

from replica_access.errors import Error
from replica_access.sandbox import iam_tokens, rds_like, site
from replica_access.sandbox.faults import Injector
from replica_access.sandbox.firewall import allowed_networks
from replica_access.sandbox.gate import Gate

if TYPE_CHECKING:
    from replica_access.sandbox.rds import SandboxRDS
    from replica_access.sandbox.server import PostgresServer
    from replica_access.sandbox.site import Site

__all__ = ["Instance", "inherited_by_replica"]

log = logging.getLogger(__name__)

# What a replica in the same Region has from its source when the call says nothing (RDS API reference,
# CreateDBInstanceReadReplica). Tags, deletion protection, log exports, IAM authentication and backups are not among it.
INHERITED = (
    "allocated_storage",
    "auto_minor_version_upgrade",
    "ca_certificate_identifier",
    "db_instance_class",
    "db_name",
    "db_parameter_group_name",
    "engine",
    "engine_version",
    "iops",
    "kms_key_id",
    "master_username",
    "preferred_backup_window",
    "preferred_maintenance_window",
    "storage_encrypted",
    "storage_throughput",
    "storage_type",
)
LEAVING = ("delete-precheck", "deleting")
UNREACHABLE = ("rebooting", "starting", "stopped", "stopping", *LEAVING)
HOSTED_ZONE = "Z32T0VRHXEXS0V"


def inherited_by_replica(source: Instance) -> dict[str, Any]:
    return {name: getattr(source, name) for name in INHERITED} | {
        "db_subnet_group_name": source.db_subnet_group.name,
        "max_allocated_storage": source.max_allocated_storage,
    }


class Instance(DBInstance):
    """moto's instance, whose attributes are what the answer of DescribeDBInstances is made of.

    There is no ``server`` until it has been made, and so no endpoint either. Whoever reads or changes an instance holds
    the lock of the site.
    """

    def __init__(self, backend: RDSBackend, *, source: Instance | None = None, **call: Any) -> None:
        super().__init__(backend, **call)
        major = str(self.engine_version).split(".", maxsplit=1)[0]
        inherits = source.option_group_name if source else f"default:{self.engine}-{major}"
        self.option_group_name = call.get("option_group_name") or inherits
        self.license_model = "postgresql-license"
        self.status = "creating"
        self.server: PostgresServer | None = None
        self.dbi_resource_id = "db-" + secrets.token_hex(13).upper()
        self.instance_create_time: datetime | None = None  # type: ignore[assignment]  # RDS has none before creation
        self.publicly_accessible = bool(call.get("publicly_accessible"))
        self.network_type = "IPV4"
        self.enable_performance_insights = bool(call.get("enable_performance_insights"))
        self.source = source
        self.is_replica = source is not None
        self.source_db_instance_identifier = self._name_of(source) if source else None
        # A replica on RDS has its source's port, and a rule for it is written before the replica exists. Here all share
        # one address, so the replica listens elsewhere, and a rule for the source's port opens it nevertheless.
        self.nominal_ports = {call["port"]} if call.get("port") else source.ports if source else set()
        self.pending_modified_values: dict[str, Any] = {}
        self.parameter_status = "in-sync"
        # What its server has of its parameter group; a replica starts with what its source has.
        self.in_force: dict[str, str] = dict(source.in_force) if source else {}
        here = source is not None and source.region == self.region
        self.group_in_force: str = source.group_in_force if source and here else self.db_parameter_groups()[0].name
        self.has_new_certificate = False  # one that somebody has asked for
        self.groups_being_added: set[str] = set()
        self._asked: list[Future[None]] = []
        self.let_in: dict[str, Any] | None = None  # what pg_hba.conf says
        self.gate: Gate | None = None
        self.master_takes_tokens = False

    def _name_of(self, other: DBInstance) -> str:
        """How the description of this instance names another: across Regions, by ARN."""
        return str(other.db_instance_identifier if other.region == self.region else other.db_instance_arn)

    def remove_replica(self, replica: DBInstance) -> None:
        self.replicas.remove(self._name_of(replica))

    # -- what DescribeDBInstances shows --------------------------------------------------------------------------------

    @property
    def address(self) -> str:
        return self.server.host if self.server else ""

    @property
    def endpoint(self) -> dict[str, Any] | None:  # type: ignore[override]  # RDS has none before creation
        if self.server is None:
            return None
        return {"Address": self.server.host, "Port": self.listens_on, "HostedZoneId": HOSTED_ZONE}

    @property
    def db_instance_port(self) -> int:
        return 0

    @property
    def status_infos(self) -> list[dict[str, Any]] | None:
        if self.source is None or self.server is None:
            return None
        info = {"StatusType": "read replication", "Normal": True, "Status": "replicating"}
        if not self.server.is_running():
            info |= {"Normal": False, "Status": "error", "Message": "The replica's server does not run."}
        return [info]

    @property
    def vpc_security_group_membership_list(self) -> list[dict[str, str]]:
        return [
            {"VpcSecurityGroupId": group, "Status": "adding" if group in self.groups_being_added else "active"}
            for group in self.vpc_security_group_ids
        ]

    @property
    def db_parameter_group_status_list(self) -> list[dict[str, str]]:
        return [
            {"DBParameterGroupName": group.name, "ParameterApplyStatus": self.parameter_status}
            for group in self.db_parameter_groups()
        ]

    @property
    def certificate_details(self) -> dict[str, Any]:
        ends = None if self.has_new_certificate else self._faults.faults.certificates.get(self.db_instance_identifier)
        until = utcnow() + timedelta(days=365 if ends is None else ends)
        return {"CAIdentifier": self.ca_certificate_identifier, "ValidTill": until}

    @property
    def performance_insights_enabled(self) -> bool:
        return bool(self.enable_performance_insights)

    @property
    def latest_restorable_time(self) -> datetime | None:  # type: ignore[override]  # no backups, no time
        return utcnow() if self.backup_retention_period and self.server else None

    # -- what the calls work with --------------------------------------------------------------------------------------

    @property
    def level(self) -> int:
        """How many sources are above it: 0 for a primary."""
        return self.source.level + 1 if self.source else 0

    @property
    def is_leaving(self) -> bool:
        return self.status in LEAVING

    @property
    def master_password(self) -> str:
        password = self.source.master_password if self.source else self._master_user_password
        return str(password)

    def become(self, status: str) -> None:
        """Take on a status, unless the instance is being deleted: that is where it ends."""
        if not self.is_leaving:
            self.status = status

    @property
    def is_held(self) -> bool:
        """Whether a fault keeps it in the status that it has."""
        return self._faults.holds(self.db_instance_identifier, self.status)

    @property
    def _faults(self) -> Injector:
        return self._site.faults

    @property
    def _site(self) -> Site:
        return cast("SandboxRDS", self.backend).site

    @cached_property
    def _queue(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(max_workers=1, thread_name_prefix=self.db_instance_identifier)

    def work(self, job: Callable[[], None]) -> None:
        """Do this in the background, after everything that was asked of this instance before."""
        self._asked.append(self._queue.submit(self._attempt, job))

    @property
    def is_busy(self) -> bool:
        """Whether something that was asked of it is not done yet, though its status may not tell."""
        self._asked = [asked for asked in self._asked if not asked.done()]
        return bool(self._asked)

    def _attempt(self, job: Callable[[], None]) -> None:
        try:
            job()
        except Exception:
            log.exception("%s: the job failed", self.db_instance_identifier)
            self.become("failed")

    def retire(self) -> None:
        """Take no more work; what is being done goes on."""
        self._queue.shutdown(wait=False, cancel_futures=True)

    def finish_work(self) -> None:
        """Wait for what is being done, and do no more."""
        self._queue.shutdown(wait=True, cancel_futures=True)

    # -- the server ----------------------------------------------------------------------------------------------------

    @property
    def ports(self) -> set[int]:
        """The ports that a rule may name to open this instance."""
        return self.nominal_ports | ({self.listens_on} if self.server else set())

    @property
    def listens_on(self) -> int:
        """The port that clients come to: its server's, or that of the gate before it."""
        return self.gate.port if self.gate else self.server.port if self.server else 0

    def attach(self, server: PostgresServer) -> None:
        """From now on this is the server; its firewall is in place before its endpoint can be seen."""
        self.server, self.port = server, server.port
        self.open_gate()
        self.enforce_security_groups()
        self.instance_create_time = utcnow()

    def enforce_security_groups(self) -> None:
        """Let pg_hba.conf say what the security groups say, if it does not yet; in force on return."""
        if self.server is None or self.status in UNREACHABLE:
            return
        ec2 = ec2_backends[self.account_id][self.region]
        groups = [group for name in self.vpc_security_group_ids if (group := ec2.get_security_group_from_id(name))]
        force_tls = self.server.tls and self.in_force.get("rds.force_ssl") != "0"
        wanted: dict[str, Any] = {
            "allowed": allowed_networks(groups, self.ports),
            "force_tls": force_tls,
            "iam_users": "vouched for" if self.gate else "refused",
            "master": None if self.gate and self.master_takes_tokens else self.master_username,
        }
        if wanted != self.let_in:
            site.open_to(self.server, **wanted)
            self.let_in = wanted

    # -- IAM authentication --------------------------------------------------------------------------------------------

    def open_gate(self) -> None:
        """Put a gate before the server if IAM authentication is on; it stays when that is switched off again."""
        gates = self._site.gates
        if self.server is None or self.gate is not None or gates is None:
            return
        if self.enable_iam_database_authentication:
            port = self.server.port
            self.server.move(gates.authority.bundle)
            self.gate = Gate(port, lambda: self.server.port if self.server else 0, self._takes_tokens, self._refuses)
            gates.open(self.gate)

    def close_gate(self) -> None:
        if self.gate is not None and self._site.gates is not None:
            self._site.gates.close(self.gate.port)

    def _takes_tokens(self, user: str) -> bool:
        """Whether ``user`` is a member of rds_iam, and not only one who may grant it."""
        if self.server is None:
            return False
        try:
            is_member = self.server.psql(rds_like.LOGS_IN_BY_IAM, variables={"user": user}) == "t"
        except Error:  # it does not answer: nobody gets in anyway
            return False
        if user == self.master_username and is_member != self.master_takes_tokens:
            with self._site.lock:
                self.master_takes_tokens = is_member
                self.enforce_security_groups()
        return is_member

    def _refuses(self, user: str, token: str) -> str | None:
        if not self.enable_iam_database_authentication or self.server is None:
            return "IAM authentication is off"
        target = iam_tokens.Target(
            self.account_id, self.region, self.dbi_resource_id, self.server.host, self.listens_on, user
        )
        with self._site.lock:
            return iam_tokens.why_refused(token, target, datetime.now(UTC))

    def parameters(self) -> Mapping[str, str]:
        """The settings of the parameter group, without those whose value is a formula over the instance class."""
        return {
            name: parameter["ParameterValue"]
            for group in self.db_parameter_groups()
            for name, parameter in group.parameters.items()
            if "{" not in parameter.get("ParameterValue", "{")
        }

    def follows(self, group: str) -> bool:
        """Whether its server has this parameter group in force, and can be changed now."""
        return self.group_in_force == group and self.server is not None and self.status not in UNREACHABLE

    def apply(self, settings: Mapping[str, str]) -> None:
        """Let the server have these of its parameter group, and no others.

        :raises Error: it refuses one; it has the former ones still.
        """
        if self.server is not None:
            self.server.apply_settings(settings)
            self.in_force = dict(settings)

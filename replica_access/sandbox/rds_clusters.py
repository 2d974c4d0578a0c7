"""DB clusters, Aurora's and those of several zones: described like any other, with no server behind their members.

The tool has to recognise what it does not support; for that, what RDS says of a cluster is enough.
"""

from __future__ import annotations

import secrets
from typing import Any, NoReturn

from moto.rds.exceptions import RDSClientError
from moto.rds.models import DBCluster, DBInstance, DBInstanceClustered

from replica_access.sandbox import rds_checks as refuse
from replica_access.sandbox.rds_groups import Groups

__all__ = ["Clusters"]

MEMBERS = 3  # of a Multi-AZ DB cluster
MULTI_AZ_ENGINES = ("postgres", "mysql")


class Clusters(Groups):
    def create_db_cluster(self, kwargs: dict[str, Any]) -> DBCluster:
        """A cluster of Aurora has no members yet, one of several zones has all of them."""
        call = dict(kwargs)
        refuse.taken_cluster(call["db_cluster_identifier"], self.clusters)
        group = self.subnet_group(call.get("db_subnet_group_name") or "default")
        call.setdefault("engine_version", self.site.installation.version)
        if not call.get("vpc_security_group_ids"):
            default = self.ec2.get_default_security_group(group.vpc_id)
            call["vpc_security_group_ids"] = [default.id] if default else []
        refuse.unusable_security_groups(self.ec2, call["vpc_security_group_ids"], group.vpc_id)
        cluster = super().create_db_cluster(call)
        if cluster.engine in MULTI_AZ_ENGINES:
            for number in range(1, MEMBERS + 1):
                self.create_member(
                    {
                        "db_instance_identifier": f"{cluster.db_cluster_identifier}-instance-{number}",
                        "db_cluster_identifier": cluster.db_cluster_identifier,
                        "db_instance_class": cluster.db_cluster_instance_class,
                        "engine": cluster.engine,
                    }
                )
        return cluster

    def create_member(self, call: dict[str, Any]) -> DBInstance:
        """CreateDBInstance for an instance of a cluster."""
        cluster = self.clusters.get(call["db_cluster_identifier"])
        more = {"db_subnet_group_name": cluster.db_subnet_group_name} if cluster else {}
        member: Any = super().create_db_instance(more | call)
        member.dbi_resource_id = "db-" + secrets.token_hex(13).upper()
        member.network_type = "IPV4"
        return member  # type: ignore[no-any-return]

    def is_member(self, identifier: str) -> bool:
        return isinstance(self.databases.get(identifier), DBInstanceClustered)

    def delete_db_cluster(self, cluster_identifier: str, snapshot_name: str | None = None) -> DBCluster:
        cluster = self.clusters.get(cluster_identifier)
        if cluster is not None and cluster.engine in MULTI_AZ_ENGINES and not cluster.deletion_protection:
            for member in cluster.members:
                del self.databases[member.db_instance_identifier]
        return super().delete_db_cluster(cluster_identifier, snapshot_name)


def refuse_replica_of_member(source: DBInstance) -> NoReturn:
    """A replica of an instance in a cluster: of Aurora it is another member, of several zones the cluster's replica."""
    raise RDSClientError(
        "InvalidParameterCombination",
        f"The DB instance {source.db_instance_identifier} is a member of the DB cluster {source.db_cluster_identifier} "
        "and cannot be the source of a read replica.",
    )

"""The quotas of the account, by Service Quotas' codes, and what they are unless a test says otherwise.

From the pages "Quotas and constraints for Amazon RDS" and "Amazon VPC quotas". VPC's others are moto's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["ALL", "DB_INSTANCES", "REPLICAS", "RULES", "Quota"]


@dataclass(frozen=True, slots=True)
class Quota:
    """:ivar attribute: what DescribeAccountAttributes of RDS calls it, if it does."""

    code: str
    service: str
    name: str
    value: float
    attribute: str | None = None


RULES = "L-0EA8095F"
DB_INSTANCES, REPLICAS = "L-7B6409FD", "L-5BC124EF"

ALL: Mapping[str, Quota] = {
    quota.code: quota
    for quota in (
        Quota(RULES, "vpc", "Inbound or outbound rules per security group", 60),
        Quota(DB_INSTANCES, "rds", "DB instances", 40, "DBInstances"),
        Quota(REPLICAS, "rds", "Read replicas per primary", 15, "ReadReplicasPerMaster"),
        Quota("L-DE55804A", "rds", "Parameter groups", 50, "DBParameterGroups"),
        Quota("L-48C6BF61", "rds", "DB subnet groups", 50, "DBSubnetGroups"),
        Quota("L-7ADDB58A", "rds", "Total storage for all DB instances", 100_000, "AllocatedStorage"),
        Quota("L-952B80B8", "rds", "DB clusters", 40, "DBClusters"),
    )
}

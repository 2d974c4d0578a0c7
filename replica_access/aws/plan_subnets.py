"""The subnet group of a public replica whose primary is in private subnets. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from replica_access.aws import ownership
from replica_access.aws.network import Placement
from replica_access.model import Call, Change


def prepare(placement: Placement, replica: str) -> Iterator[Change]:
    """Plan what has to be done to the group of `placement` before the replica is made in it."""
    group = placement.group
    if group is None or not placement.first:
        return
    parameters: dict[str, Any] = {"DBSubnetGroupName": group.name, "SubnetIds": list(group.subnets)}
    if placement.first == "change":
        call = Call("rds", "ModifyDBSubnetGroup", parameters)
        yield Change("aws", "change subnet group", group.name, f"change the subnet group {placement.reason}", call=call)
        return
    parameters["DBSubnetGroupDescription"] = ownership.description(f"Public subnets for the read replica {replica}")
    parameters["Tags"] = ownership.as_list(ownership.tags(replica))
    call = Call("rds", "CreateDBSubnetGroup", parameters)
    yield Change("aws", "create subnet group", group.name, f"create the subnet group {placement.reason}", call=call)

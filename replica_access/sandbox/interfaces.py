"""The network interfaces and the public addresses that RDS keeps in the account of its customer.

An instance has one interface in its subnet, for as long as it lives and a little longer; its security groups are those
of the instance, which is why they cannot be deleted before it. A public instance has an address that the service
manages. moto has neither.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from moto.core.utils import utcnow
from moto.ec2.models import EC2Backend
from moto.ec2.models.elastic_ip_addresses import ElasticAddress
from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ec2.utils import generate_dns_from_ip, random_eip_association_id

if TYPE_CHECKING:
    from replica_access.sandbox.rds_instances import Instance

__all__ = ["InstanceInterface", "add", "managed_addresses", "remove"]

OWNER = "amazon-rds"


class InstanceInterface(NetworkInterface):
    """The interface of one instance; what it shows follows the instance."""

    def __init__(self, ec2: EC2Backend, instance: Instance, subnet: str) -> None:
        super().__init__(ec2, subnet, "", description="RDSNetworkInterface", group_ids=instance.vpc_security_group_ids)
        self.database = instance
        self.requester_managed, self.requester_id, self.status = True, OWNER, "in-use"
        self.attached = utcnow()

    @property
    def group_set(self) -> Any:
        found = [self.ec2_backend.get_security_group_from_id(name) for name in self.database.vpc_security_group_ids]
        return [group for group in found if group is not None]

    @property
    def attachment(self) -> Any:
        return {
            "AttachmentId": f"eni-attach-{self.id.removeprefix('eni-')}",
            "AttachTime": self.attached,
            "DeleteOnTermination": False,
            "DeviceIndex": 1,
            "InstanceOwnerId": OWNER,
            "Status": "attached",
        }

    @cached_property
    def _address(self) -> ElasticAddress:
        address: Any = ElasticAddress(self.ec2_backend, "vpc")  # type: ignore[abstract]  # by CloudFormation's methods
        address.eni, address.association_id = self, random_eip_association_id()
        address.service_managed = "rds"
        return cast("ElasticAddress", address)

    @property
    def address(self) -> ElasticAddress | None:
        """The public one, while the instance is public."""
        return self._address if self.database.publicly_accessible else None

    @property
    def association(self) -> dict[str, Any]:
        if self.address is None:
            return {}
        address = self.address.public_ip
        return {
            "AllocationId": self.address.allocation_id,
            "AssociationId": self.address.association_id,
            "IpOwnerId": OWNER,
            "PublicDnsName": generate_dns_from_ip(address),
            "PublicIp": address,
        }

    def get_filter_value(self, filter_name: str, method_name: str | None = None) -> Any:
        if filter_name == "requester-managed":
            return "true"
        if filter_name == "attachment.instance-owner-id":
            return OWNER
        if filter_name == "group-id":
            return [group.id for group in self.group_set]
        if filter_name == "association.public-ip":
            return self.address.public_ip if self.address else None
        return super().get_filter_value(filter_name, method_name)


def add(ec2: EC2Backend, instance: Instance, subnet: str) -> None:
    """Give a new instance its interface."""
    interface = InstanceInterface(ec2, instance, subnet)  # type: ignore[abstract]  # by CloudFormation's methods
    ec2.enis[interface.id] = interface


def remove(ec2: EC2Backend, instance: Instance) -> None:
    for interface in _interfaces(ec2):
        if interface.database is instance:
            del ec2.enis[interface.id]


def managed_addresses(ec2: EC2Backend) -> list[ElasticAddress]:
    """The public addresses of all instances."""
    return [interface.address for interface in _interfaces(ec2) if interface.address is not None]


def _interfaces(ec2: EC2Backend) -> Iterator[InstanceInterface]:
    return (interface for interface in list(ec2.enis.values()) if isinstance(interface, InstanceInterface))

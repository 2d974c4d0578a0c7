"""The subnet groups and the parameter groups of moto's RDS, by RDS's rules."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from moto.ec2.models import EC2Backend, ec2_backends
from moto.rds.exceptions import DBParameterGroupNotFoundError, DBSubnetGroupNotFoundError, RDSClientError
from moto.rds.models import DBParameterGroup, DBSubnetGroup, RDSBackend, rds_backends

from replica_access.errors import Error
from replica_access.sandbox import rds_checks as refuse
from replica_access.sandbox.rds_parameters import Catalogue
from replica_access.sandbox.site import Site

if TYPE_CHECKING:
    from replica_access.sandbox.rds_instances import Instance

__all__ = ["Groups"]


class Groups(RDSBackend):
    site: Site

    @property
    def ec2(self) -> EC2Backend:
        return ec2_backends[self.account_id][self.region_name]

    @property
    def instances(self) -> Collection[Instance]:
        """Those with a server of their own, which members of clusters have not."""
        found = [database for database in self.databases.values() if database.db_cluster_identifier is None]
        return cast("Collection[Instance]", found)

    def _get_resource_for_tagging(self, arn: str) -> Any:
        found = super()._get_resource_for_tagging(arn)
        if found is None:
            refuse.missing_resource(arn)
        return found

    # -- subnet groups -------------------------------------------------------------------------------------------------

    def subnet_group(self, name: str) -> DBSubnetGroup:
        if name == "default" and name not in self.subnet_groups:
            subnets = [subnet for subnet in self.ec2.describe_subnets() if subnet.vpc_id == self.ec2.default_vpc.id]
            super().create_subnet_group(name, "default", subnets, [])
        if name not in self.subnet_groups:
            raise DBSubnetGroupNotFoundError(name)
        return self.subnet_groups[name]

    def create_subnet_group(
        self, subnet_name: str, description: str, subnets: list[Any], tags: list[dict[str, str]]
    ) -> DBSubnetGroup:
        refuse.taken_subnet_group(subnet_name, self.subnet_groups)
        refuse.unusable_subnets(subnets)
        return super().create_subnet_group(subnet_name, description, subnets, tags)

    def modify_db_subnet_group(self, subnet_name: str, description: str, subnets: list[Any]) -> DBSubnetGroup:
        former = self.subnet_group(subnet_name)
        refuse.unusable_subnets(subnets)
        refuse.other_vpc(former, subnets)
        refuse.subnets_in_use(former, subnets, self.instances)
        group = super().modify_db_subnet_group(subnet_name, description or former.description, subnets)
        self.subnet_groups[subnet_name] = group  # moto takes it out and forgets to put it back
        return group

    def delete_subnet_group(self, subnet_name: str) -> DBSubnetGroup:
        refuse.subnet_group_in_use(self.subnet_group(subnet_name), self.instances)
        return super().delete_subnet_group(subnet_name)

    # -- parameter groups ----------------------------------------------------------------------------------------------

    @property
    def default_parameter_group(self) -> str:
        return f"default.{self.site.family}"

    def parameter_group(self, name: str) -> DBParameterGroup:
        name = name.lower()
        if name == self.default_parameter_group and name not in self.db_parameter_groups:
            super().create_db_parameter_group(
                {
                    "db_parameter_group_name": name,
                    "description": f"Default parameter group for {self.site.family}",
                    "db_parameter_group_family": self.site.family,
                }
            )
        if name not in self.db_parameter_groups:
            raise DBParameterGroupNotFoundError(name)
        return self.db_parameter_groups[name]

    @cached_property
    def parameters(self) -> Catalogue:
        return Catalogue(self._ask_a_server)

    def _ask_a_server(self, sql: str) -> str:
        """Any server will do: all are of the one version that the sandbox has."""
        for _, _, backend in rds_backends.iter_backends():
            for instance in cast("Groups", backend).instances:
                if instance.server is not None and instance.server.is_running():
                    return instance.server.psql(sql)
        raise RDSClientError("InternalFailure", "The sandbox has no server that runs.")

    def create_db_parameter_group(self, db_parameter_group_kwargs: dict[str, Any]) -> DBParameterGroup:
        call = dict(db_parameter_group_kwargs)
        refuse.invalid_group_name(call["db_parameter_group_name"])
        refuse.no_family(call["db_parameter_group_family"])
        call["db_parameter_group_name"] = call["db_parameter_group_name"].lower()
        return super().create_db_parameter_group(call)

    def describe_db_parameter_groups(self, db_parameter_group_kwargs: dict[str, Any]) -> list[DBParameterGroup]:
        self.parameter_group(self.default_parameter_group)
        name = db_parameter_group_kwargs.get("db_parameter_group_name")
        return [self.parameter_group(name)] if name else list(self.db_parameter_groups.values())

    def modify_db_parameter_group(
        self, db_parameter_group_name: str, db_parameter_group_parameters: Iterable[dict[str, Any]]
    ) -> DBParameterGroup:
        """Instances that have the group in force follow at once where the call says so, others with their reboot."""
        changes = list(db_parameter_group_parameters)
        group = self._own_group(db_parameter_group_name)
        self.parameters.refuse_wrong(changes)
        former = {name: dict(parameter) for name, parameter in group.parameters.items()}
        group.update_parameters(changes)
        self._carry_out(group, changes, former)
        return group

    def reset_db_parameter_group(
        self, name: str, wanted: Sequence[Mapping[str, Any]], *, everything: bool
    ) -> DBParameterGroup:
        """:param everything: what ResetAllParameters says; then no parameters may be named."""
        group = self._own_group(name)
        refuse.reset_of_some_and_all(wanted, everything=everything)
        self.parameters.refuse_wrong(wanted, reset=True)
        known = self.parameters.known
        changes = wanted or [
            {key: known[each][key] for key in ("ParameterName", "ApplyMethod")} for each in group.parameters
        ]
        former = {name: dict(parameter) for name, parameter in group.parameters.items()}
        for change in changes:
            group.parameters.pop(change["ParameterName"], None)
        self._carry_out(group, changes, former)
        return group

    def _own_group(self, name: str) -> DBParameterGroup:
        """One that somebody made: the default groups cannot be changed."""
        group = self.parameter_group(name)
        refuse.default_parameter_group(group)
        return group

    def _carry_out(
        self, group: DBParameterGroup, changes: Sequence[Mapping[str, Any]], former: Mapping[str, dict[str, Any]]
    ) -> None:
        """Change the servers that have the group in force; if one refuses, the group is what it was."""
        at_once = {change["ParameterName"] for change in changes if change.get("ApplyMethod") == "immediate"}
        for instance in self.instances:
            if not instance.follows(group.name):
                continue
            wanted = {name: value for name, value in instance.in_force.items() if name not in at_once}
            wanted |= {name: value for name, value in instance.parameters().items() if name in at_once}
            try:
                instance.apply(wanted)
            except Error as error:
                group.parameters.clear()
                group.parameters.update(former)
                raise RDSClientError("InvalidParameterValue", str(error)) from error
            if len(at_once) < len(changes):
                instance.parameter_status = "pending-reboot"

    def delete_db_parameter_group(self, db_parameter_group_name: str) -> DBParameterGroup:
        group = self._own_group(db_parameter_group_name)
        refuse.parameter_group_in_use(group, self.instances)
        return super().delete_db_parameter_group(group.name)

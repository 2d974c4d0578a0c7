"""A CloudFormation template, from the very calls that `apply` would make: pure.

The plan has to be one for an account in which nothing of ours exists: a template describes all of it, not what is
missing. What CloudFormation needs and forbids for a replica: its user guide, "AWS::RDS::DBInstance".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any

from replica_access.aws.addresses import MIN_PREFIX
from replica_access.aws.plan_access import SECURITY_GROUP
from replica_access.errors import AwsError
from replica_access.model import Call

GROUP, SUBNETS, PARAMETERS, REPLICA = "SecurityGroup", "SubnetGroup", "ParameterGroup", "Replica"
"""The logical ids. They stay what they are: another one would make CloudFormation replace the resource."""

RENAMED = {"VpcSecurityGroupIds": "VPCSecurityGroups"}
"""Parameters of the API that are properties of another name; all others have the name that they have in the API."""

NO_PROPERTY = frozenset({"ApplyImmediately"})

PROMOTION = (
    "Never remove SourceDBInstanceIdentifier: CloudFormation would promote the replica, which can be written to."
)

WARNINGS = (
    f"{PROMOTION} Whatever DeletionPolicy says, a replica is deleted without a snapshot.",
    "Another name, subnet group or source replaces the replica; policies for IAM logins name its DbiResourceId.",
    "Rules have no tags here: an address with a last day is let in until it is taken out of the template.",
    "Users and their grants are made on the primary: `replica-access export sql`, or `replica-access apply`.",
)

ALLOWED_V4 = {MIN_PREFIX[4]: "(1[6-9]|2[0-9]|3[0-2])", 0: "([0-9]|[12][0-9]|3[0-2])"}
ALLOWED_V6 = {MIN_PREFIX[6]: "(3[2-9]|[4-9][0-9]|1[01][0-9]|12[0-8])", 0: "([0-9]|[1-9][0-9]|1[01][0-9]|12[0-8])"}
"""By the widest network that may be given, the prefix lengths that remain."""

Document = dict[str, Any]


@dataclass
class Draft:
    """A template in the making.

    :ivar references: by a parameter of the calls and its value, what stands for that in the template.
    """

    parameters: Document = field(default_factory=dict)
    resources: Document = field(default_factory=dict)
    references: dict[tuple[str, str], Document] = field(default_factory=dict)

    def add(self, logical_id: str, kind: str, properties: Document, **attributes: Any) -> None:
        self.resources[logical_id] = {"Type": kind, **attributes, "Properties": properties}

    def properties(self, logical_id: str) -> Document:
        found: Document = self.resources[logical_id]["Properties"]
        return found

    def referring(self, parameter: str, value: Any) -> Any:
        """Return the `value` of `parameter`, or a reference where it names what the template makes.

        The value alone does not tell: a subnet group and a parameter group may have one name.
        """
        if isinstance(value, list | tuple):
            return [self.referring(parameter, each) for each in value]
        return self.references.get((parameter, value), value) if isinstance(value, str) else value


def cloudformation(calls: Iterable[Call]) -> Document:
    """Return the template that makes what `calls` would make.

    :param calls: those of a plan in order, the replica's among them.
    :raises AwsError: one of them cannot be said in a template.
    """
    draft = Draft()
    for call in calls:
        if call.operation not in TRANSLATE:
            raise AwsError(f"{call.operation} cannot be said in a template.", "Please report this: it is a defect.")
        TRANSLATE[call.operation](draft, call.parameters)
    replica = draft.properties(REPLICA)
    name, source = replica["DBInstanceIdentifier"], replica["SourceDBInstanceIdentifier"]
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"The read replica {name} of {source}, and who may reach it. {PROMOTION}",
        "Metadata": {"ReplicaAccess": {"Warnings": list(WARNINGS)}},
        **({"Parameters": draft.parameters} if draft.parameters else {}),
        "Resources": draft.resources,
        "Outputs": _outputs(draft),
    }


def _outputs(draft: Draft) -> Document:
    told = {
        "Endpoint": ("Where the replica answers", [REPLICA, "Endpoint.Address"]),
        "Port": ("The port that it listens on", [REPLICA, "Endpoint.Port"]),
        "DbiResourceId": ("What policies for IAM logins name", [REPLICA, "DbiResourceId"]),
    }
    if GROUP in draft.resources:
        told["SecurityGroupId"] = ("Who is in it, may reach the replica", [GROUP, "GroupId"])
    return {name: {"Description": what, "Value": {"Fn::GetAtt": of}} for name, (what, of) in told.items()}


# --- the network -----------------------------------------------------------------------------------------------------


def _security_group(draft: Draft, call: Mapping[str, Any]) -> None:
    properties = {
        "GroupName": call["GroupName"],
        "GroupDescription": call["Description"],
        "VpcId": call["VpcId"],
        "SecurityGroupIngress": [],
        "Tags": call["TagSpecifications"][0]["Tags"],
    }
    draft.add(GROUP, "AWS::EC2::SecurityGroup", properties)
    made = {"Fn::GetAtt": [GROUP, "GroupId"]}
    draft.references |= {(parameter, SECURITY_GROUP): made for parameter in ("GroupId", "VpcSecurityGroupIds")}


def _ingress(draft: Draft, call: Mapping[str, Any]) -> None:
    rules = draft.properties(GROUP)["SecurityGroupIngress"]
    for permission in call["IpPermissions"]:
        common = {key: permission[key] for key in ("IpProtocol", "FromPort", "ToPort")}
        for entry, source in _sources(draft, permission):
            described = {"Description": entry["Description"]} if entry.get("Description") else {}
            rules.append({**common, **source, **described})


def _sources(draft: Draft, permission: Mapping[str, Any]) -> Iterable[tuple[Mapping[str, Any], Document]]:
    """Yield whom a permission lets in: the entry of the call, and what a rule of the template says for it."""
    for ranges, key in (("IpRanges", "CidrIp"), ("Ipv6Ranges", "CidrIpv6")):
        for entry in permission.get(ranges, ()):
            yield entry, {key: {"Ref": _address(draft, entry[key], entry.get("Description", ""))}}
    for entry in permission.get("PrefixListIds", ()):
        yield entry, {"SourcePrefixListId": entry["PrefixListId"]}
    for entry in permission.get("UserIdGroupPairs", ()):
        owner = {"SourceSecurityGroupOwnerId": entry["UserId"]} if entry.get("UserId") else {}
        yield entry, {"SourceSecurityGroupId": draft.referring("GroupId", entry["GroupId"]), **owner}


def _address(draft: Draft, cidr: str, note: str) -> str:
    """Return the parameter for `cidr`, named after it and not after its place: stacks remember values by name."""
    network = ip_network(cidr)
    widest = MIN_PREFIX[network.version] if network.prefixlen >= MIN_PREFIX[network.version] else 0
    allowed, form = (
        (rf"^[0-9]{{1,3}}(\.[0-9]{{1,3}}){{3}}/{ALLOWED_V4[widest]}$", "of IPv4, such as 203.0.113.7/32")
        if network.version == 4
        else (rf"^[0-9a-fA-F:.]+/{ALLOWED_V6[widest]}$", "of IPv6, such as 2001:db8::/48")
    )
    limit = f", no wider than /{widest}" if widest else ""
    name = "Address" + "".join(char if char.isalnum() else "x" for char in cidr)
    draft.parameters[name] = {
        "Type": "String",
        "Default": cidr,
        "Description": note or "May reach the replica",
        "AllowedPattern": allowed,
        "ConstraintDescription": f"a network {form}{limit}",
    }
    return name


def _subnet_group(draft: Draft, call: Mapping[str, Any]) -> None:
    draft.add(SUBNETS, "AWS::RDS::DBSubnetGroup", dict(call))
    draft.references["DBSubnetGroupName", call["DBSubnetGroupName"]] = {"Ref": SUBNETS}


# --- the replica -----------------------------------------------------------------------------------------------------


def _parameter_group(draft: Draft, call: Mapping[str, Any]) -> None:
    properties = {
        "DBParameterGroupName": call["DBParameterGroupName"],
        "Family": call["DBParameterGroupFamily"],
        "Description": call["Description"],
        "Parameters": {},
        **({"Tags": call["Tags"]} if "Tags" in call else {}),
    }
    draft.add(PARAMETERS, "AWS::RDS::DBParameterGroup", properties)
    draft.references["DBParameterGroupName", call["DBParameterGroupName"]] = {"Ref": PARAMETERS}


def _parameters(draft: Draft, call: Mapping[str, Any]) -> None:
    values = {each["ParameterName"]: each["ParameterValue"] for each in call["Parameters"]}
    draft.properties(PARAMETERS)["Parameters"].update(values)


def _replica(draft: Draft, call: Mapping[str, Any]) -> None:
    # A replica has no final snapshot; to say so keeps readers of the template from counting on one.
    draft.add(REPLICA, "AWS::RDS::DBInstance", {}, DeletionPolicy="Delete", UpdateReplacePolicy="Delete")
    _changed_replica(draft, call)


def _changed_replica(draft: Draft, call: Mapping[str, Any]) -> None:
    """Say of the replica itself what is changed once it is there: CloudFormation makes a modification of it again."""
    draft.properties(REPLICA).update(
        (RENAMED.get(name, name), draft.referring(name, value))
        for name, value in call.items()
        if name not in NO_PROPERTY
    )


def _nothing(draft: Draft, call: Mapping[str, Any]) -> None:
    """CloudFormation does that by itself: it waits, and reboots where it attaches a parameter group."""


TRANSLATE: Mapping[str, Callable[[Draft, Mapping[str, Any]], None]] = {
    "CreateSecurityGroup": _security_group,
    "AuthorizeSecurityGroupIngress": _ingress,
    "CreateDBSubnetGroup": _subnet_group,
    "CreateDBParameterGroup": _parameter_group,
    "ModifyDBParameterGroup": _parameters,
    "CreateDBInstanceReadReplica": _replica,
    "ModifyDBInstance": _changed_replica,
    "RebootDBInstance": _nothing,
    "DescribeDBInstances": _nothing,
}
"""How each operation of a plan is said in a template."""

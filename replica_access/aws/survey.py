"""Look around in AWS: everything that the checks and the plan need, in two rounds of concurrent calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from difflib import get_close_matches
from typing import Any, TypeVar

from replica_access.aws import survey_access, survey_parameters
from replica_access.aws.engine import EngineVersion
from replica_access.aws.landscape import (
    Acl,
    Exclusion,
    Instance,
    Landscape,
    NotChecked,
    Offer,
    PublicAccess,
    Quota,
    RouteTable,
    Subnet,
    SubnetGroup,
)
from replica_access.aws.ownership import (
    as_mapping,
    group_name,
    identifier,
    region_of,
    replica_identifier,
    source_identifier,
)
from replica_access.aws.parameters import ParameterGroups
from replica_access.aws.session import Aws
from replica_access.errors import AccessDenied, AwsError, CredentialsError, NotFound, UsageError
from replica_access.spec import Spec

T = TypeVar("T")

THREADS = 8

NOWHERE = NotChecked(
    "which VPC it will be in is not known", "Name a subnet group of the replica's Region in replica.subnet_group."
)


def read(aws: Aws, spec: Spec) -> Landscape:
    """Read what `spec` is about. What the caller may not see is `NotChecked` in its place.

    :raises NotFound: the primary does not exist in this account and Region; says which ones do.
    :raises AccessDenied: the caller may not even see DB instances.
    """
    if spec.primary.instance is None:
        raise UsageError("The primary of this spec is no RDS instance.", "Give primary.instance instead of a dsn.")
    _require_regions(aws, spec)
    aws.client("rds")  # before EC2's, whose making then overlaps with RDS's answers
    with ThreadPoolExecutor(THREADS) as pool:

        def begin(read_it: Callable[..., T], *arguments: Any) -> Callable[[], T | NotChecked]:
            return pool.submit(_or_not_checked, read_it, *arguments).result

        primary_read = pool.submit(primary_instance, aws, spec)
        replica_read = pool.submit(replica_instance, aws, spec)
        groups = begin(_subnet_groups, aws, replica_identifier(spec))
        security_groups = begin(survey_access.security_groups, aws, spec, replica_read)
        caller = begin(_caller, aws)
        quotas = begin(_quotas, aws)
        primary = primary_read.result()
        upstreams = tuple(_upstreams(aws, spec, primary))
        source = upstreams[0] if upstreams else primary
        if primary.vpc is None:
            raise AwsError(f"{primary.identifier} is in no VPC.", "Move it into one: nothing else is supported.")
        replica: Instance | None = None
        if source.region == aws.region:
            vpc: str | None = source.vpc
        else:
            vpc = replica.vpc if (replica := replica_read.result()) is not None else _landing(groups(), spec)

        def begin_in_vpc(read_it: Callable[..., T], *arguments: Any) -> Callable[[], T | NotChecked]:
            return begin(read_it, aws, vpc, *arguments) if vpc is not None else lambda: NOWHERE

        dns_support = begin_in_vpc(_vpc_attribute, "EnableDnsSupport")
        dns_hostnames = begin_in_vpc(_vpc_attribute, "EnableDnsHostnames")
        gateways = begin_in_vpc(_gateways)
        public_access = begin(_public_access, aws)
        subnets = begin_in_vpc(_all, Subnet.of, "DescribeSubnets", "Subnets")
        route_tables = begin_in_vpc(_all, RouteTable.of, "DescribeRouteTables", "RouteTables")
        acls = begin_in_vpc(_all, Acl.of, "DescribeNetworkAcls", "NetworkAcls")
        siblings = begin(_siblings, aws, source, replica_identifier(spec))
        replica = replica_read.result()
        settings = pool.submit(_engine_and_parameters, aws, spec, source, replica)
        wanted_class = _wanted_class(spec, source, replica)
        offers = begin(_offers, aws, primary.version, wanted_class) if wanted_class else None
        prefix_lists = survey_access.prefix_lists(aws, spec, groups_found := security_groups())
        rule_quota, group_quota = survey_access.quotas(aws, spec, groups_found, prefix_lists, replica)
        engine, parameter_groups = settings.result()
        return Landscape(
            region=aws.region,
            account=primary.arn.split(":")[4],
            primary=primary,
            replica=replica,
            dns_support=dns_support(),
            dns_hostnames=dns_hostnames(),
            gateways=gateways(),
            public_access=public_access(),
            subnet_groups=_of_vpc(groups(), vpc) if vpc is not None else groups(),
            subnets=subnets(),
            route_tables=route_tables(),
            acls=acls(),
            security_groups=groups_found,
            caller=caller(),
            quotas=quotas(),
            offers=offers() if offers is not None else None,
            upstreams=upstreams,
            landing_vpc=vpc,
            siblings=siblings(),
            prefix_lists=prefix_lists,
            rule_quota=rule_quota,
            group_quota=group_quota,
            engine=engine,
            parameter_groups=parameter_groups,
        )


def _engine_and_parameters(
    aws: Aws, spec: Spec, source: Instance, replica: Instance | None
) -> tuple[EngineVersion | NotChecked | None, ParameterGroups | NotChecked | None]:
    if spec.replica is None:
        return None, None
    engine: EngineVersion | NotChecked = _or_not_checked(survey_parameters.engine_version, aws, replica or source)
    if isinstance(engine, NotChecked):
        return engine, engine if spec.replica.parameters else None
    return engine, _or_not_checked(survey_parameters.parameter_groups, aws, spec, source, replica, engine)


def primary_instance(aws: Aws, spec: Spec) -> Instance:
    """Return the primary of `spec`.

    :raises NotFound: says which instances there are.
    """
    name, home = identifier(spec.primary.instance or ""), home_of(aws, spec)
    found = instance(home, name)
    if found is None:
        raise _no_such_primary(home, name)
    _require_account(spec.primary.instance or "", found)
    return found


def _require_account(named: str, found: Instance) -> None:
    ours = found.arn.split(":")[4]
    if named.startswith("arn:") and (theirs := named.split(":")[4]) != ours:
        raise NotFound(
            f"{named} is of account {theirs}, and these credentials are of {ours}.",
            "RDS makes no replicas across accounts: choose the right profile with AWS_PROFILE, or correct the spec.",
            call="rds:DescribeDBInstances",
        )


def home_of(aws: Aws, spec: Spec) -> Aws:
    """Return the Region of the primary: that of its ARN, or the one that we work in."""
    return aws.in_region(region_of(spec.primary.instance) or aws.region)


def _upstreams(aws: Aws, spec: Spec, primary: Instance) -> Iterator[Instance]:
    """Yield the replicas between ours and the primary, the nearest to ours first.

    :raises NotFound: there is no instance that replica.source names.
    """
    named = spec.replica.source if spec.replica is not None else None
    where = aws.in_region(region_of(named) or aws.region) if named else home_of(aws, spec)
    name: str | None = source_identifier(spec)
    while name is not None and (name, where.region) != (primary.identifier, primary.region):
        found = instance(where, name)
        if found is None:
            raise NotFound(
                f"There is no DB instance {name} in {where.region}, to make a replica of.",
                "Correct replica.source in the spec, or leave it out.",
                call="rds:DescribeDBInstances",
                code="DBInstanceNotFound",
            )
        yield found
        name, where = found.source, where.in_region(found.source_region or where.region)


def replica_instance(aws: Aws, spec: Spec) -> Instance | None:
    """Return whatever instance has the name that `spec` gives its replica: ours, or somebody else's."""
    name = replica_identifier(spec)
    return instance(aws, name) if name is not None else None


def instance(aws: Aws, name: str) -> Instance | None:
    """Return the DB instance `name`, or ``None`` where there is none."""
    try:
        answer = aws.call("rds", "DescribeDBInstances", DBInstanceIdentifier=name)
    except NotFound:
        return None
    return next(map(Instance.of, answer["DBInstances"]), None)


def _require_regions(aws: Aws, spec: Spec) -> None:
    """The replica is where we work; its source may be elsewhere, if the spec says both Regions."""
    wanted = spec.replica
    replica, source = (wanted.instance, wanted.source) if wanted is not None else (None, None)
    for name in filter(None, (spec.primary.instance, source, replica)):
        region = region_of(name) or aws.region
        if region == aws.region or (name != replica and spec.aws.region is not None):
            continue
        raise UsageError(
            f"{name} is in {region}, and this run works in {aws.region}.",
            "Set region in [aws] of the spec to the Region of the replica; that of the primary may be another.",
        )


def _landing(groups: tuple[SubnetGroup, ...] | NotChecked, spec: Spec) -> str | None:
    """Return the VPC of the subnet group that the spec names."""
    name = spec.replica.subnet_group.lower() if spec.replica is not None else ""
    known = () if isinstance(groups, NotChecked) else groups
    return next((group.vpc for group in known if group.name == name), None)


def _no_such_primary(aws: Aws, name: str) -> NotFound:
    where = f"in {aws.region} of account {aws.account}"
    found = [Instance.of(entry) for entry in aws.pages("rds", "DescribeDBInstances", "DBInstances")]
    members = sorted(each.identifier for each in found if each.cluster == name)
    if members:
        what = f"{name} is a DB cluster {where}, not a DB instance; its members are {', '.join(members)}."
        return NotFound(what, "Only single DB instances are supported: name one in primary.instance.")
    names = sorted(each.identifier for each in found)
    close = get_close_matches(name, names, n=1)
    if close:
        fix = f"Did you mean {close[0]}? Correct primary.instance in the spec."
    elif names:
        fix = f"Correct primary.instance in the spec, or the Region; there are: {', '.join(names[:20])}."
    else:
        fix = "There is no DB instance here at all: check aws.region and aws.profile."
    return NotFound(
        f"There is no DB instance {name} {where}.", fix, call="rds:DescribeDBInstances", code="DBInstanceNotFound"
    )


def _or_not_checked(read_it: Callable[..., T], *arguments: Any) -> T | NotChecked:
    try:
        return read_it(*arguments)
    except CredentialsError:
        raise
    except AwsError as error:
        return NotChecked(error.what, error.fix or "Run the same command again.")


def _all(aws: Aws, vpc: str, of: Callable[[dict[str, Any]], T], operation: str, key: str) -> tuple[T, ...]:
    filters = [{"Name": "vpc-id", "Values": [vpc]}]
    return tuple(map(of, aws.pages("ec2", operation, key, Filters=filters)))


def _subnet_groups(aws: Aws, replica: str | None) -> tuple[SubnetGroup, ...]:
    found = map(SubnetGroup.of, aws.pages("rds", "DescribeDBSubnetGroups", "DBSubnetGroups"))
    ours = group_name(replica) if replica is not None else None
    return tuple(
        replace(group, tags=_or_not_checked(_tags, aws, group.arn)) if group.name == ours else group for group in found
    )


def _tags(aws: Aws, arn: str) -> dict[str, str]:
    return as_mapping(aws.call("rds", "ListTagsForResource", ResourceName=arn)["TagList"])


def _siblings(aws: Aws, source: Instance, replica: str | None) -> tuple[Instance, ...]:
    names = [name for name in source.replicas if name != replica]
    if not names:
        return ()
    filters = [{"Name": "db-instance-id", "Values": names}]
    return tuple(map(Instance.of, aws.pages("rds", "DescribeDBInstances", "DBInstances", Filters=filters)))


def _of_vpc(groups: tuple[SubnetGroup, ...] | NotChecked, vpc: str) -> tuple[SubnetGroup, ...] | NotChecked:
    if isinstance(groups, NotChecked):
        return groups
    return tuple(group for group in groups if group.vpc == vpc)


def _vpc_attribute(aws: Aws, vpc: str, attribute: str) -> bool:
    asked = attribute[0].lower() + attribute[1:]  # enableDnsSupport in the question, EnableDnsSupport in the answer
    answer = aws.call("ec2", "DescribeVpcAttribute", VpcId=vpc, Attribute=asked)
    return bool(answer.get(attribute, {}).get("Value"))


def _gateways(aws: Aws, vpc: str) -> tuple[str, ...]:
    filters = [{"Name": "attachment.vpc-id", "Values": [vpc]}]
    return tuple(
        gateway["InternetGatewayId"]
        for gateway in aws.pages("ec2", "DescribeInternetGateways", "InternetGateways", Filters=filters)
        # the API says "available" for a gateway that is attached, its reference says "attached"
        if any(attachment.get("State") in {"available", "attached"} for attachment in gateway.get("Attachments", ()))
    )


def _public_access(aws: Aws) -> PublicAccess | NotChecked:
    try:
        answer = aws.call("ec2", "DescribeVpcBlockPublicAccessOptions")
    except (AccessDenied, CredentialsError):
        raise
    except AwsError as error:  # a young call, which not every partition and stand-in knows
        return NotChecked(error.what, "Look at VPC > Settings > Block Public Access in the console.")
    mode = str(answer.get("VpcBlockPublicAccessOptions", {}).get("InternetGatewayBlockMode", "off"))
    return PublicAccess(mode, _or_not_checked(_exclusions, aws) if mode != "off" else ())


def _exclusions(aws: Aws) -> tuple[Exclusion, ...]:
    operation, found = "DescribeVpcBlockPublicAccessExclusions", list[Exclusion]()
    more: dict[str, str] = {}
    while True:  # botocore has no paginator for it
        answer = aws.call("ec2", operation, **more)
        found += map(Exclusion.of, answer.get("VpcBlockPublicAccessExclusions", ()))
        if not answer.get("NextToken"):
            return tuple(found)
        more = {"NextToken": answer["NextToken"]}


def _caller(aws: Aws) -> str:
    return aws.arn


def _quotas(aws: Aws) -> dict[str, Quota]:
    answer = aws.call("rds", "DescribeAccountAttributes")
    return {each["AccountQuotaName"]: Quota(each["Used"], each["Max"]) for each in answer.get("AccountQuotas", ())}


def _wanted_class(spec: Spec, source: Instance, replica: Instance | None) -> str | None:
    """Return the instance class that the replica would get, where it has another one or does not exist."""
    if spec.replica is None:
        return None
    wanted = spec.replica.instance_class
    if replica is None:
        return wanted or source.instance_class
    return wanted if wanted != replica.instance_class else None


def _offers(aws: Aws, version: str, wanted: str) -> tuple[Offer, ...]:
    operation, key = "DescribeOrderableDBInstanceOptions", "OrderableDBInstanceOptions"
    asked = {"Engine": "postgres", "EngineVersion": version, "DBInstanceClass": wanted, "Vpc": True}
    return tuple(map(Offer.of, aws.pages("rds", operation, key, **asked)))

"""What botocore raises, as our error tree: sorted by code, never by the words of a message.

Codes are those of the AWS APIs' own lists of common errors, and of RDS, EC2 and Secrets Manager; where no answer came
at all, botocore's exception class stands in for the code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from replica_access.errors import AccessDenied, AwsError, CredentialsError, NotFound

EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
REJECTED = frozenset(
    {
        "AuthFailure",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
NOT_OPTED_IN = frozenset({"OptInRequired", "SubscriptionRequiredException"})
DENIED = frozenset({"AccessDenied", "AccessDeniedException", "NotAuthorized", "UnauthorizedOperation"})
THROTTLED = frozenset(
    {
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
UNREACHABLE = frozenset(
    {
        "ConnectTimeoutError",
        "ConnectionClosedError",
        "EndpointConnectionError",
        "HTTPClientError",
        "IncompleteReadError",
        "ProxyConnectionError",
        "ReadTimeoutError",
        "ResponseStreamingError",
    }
)
UNWELL = frozenset({"InternalError", "InternalFailure", "InternalServiceError", "ServiceUnavailable", "Unavailable"})
NO_CREDENTIALS = frozenset({"NoCredentialsError", "NoAuthTokenError", "PartialCredentialsError"})
LOGIN_NEEDED = frozenset(
    {
        "LoginRefreshRequired",
        "LoginTokenLoadError",
        "SSOError",
        "SSOTokenLoadError",
        "TokenRetrievalError",
        "UnauthorizedSSOTokenError",
    }
)

_CHECK = "`replica-access check` shows what stands in the way."
_SUBNET_GROUP = "Correct replica.subnet_group in the spec; "

_FIXES: Mapping[str, str] = {
    "CertificateNotFound": "Correct the CA in the spec: `aws rds describe-certificates` lists them.",
    "DBInstanceAlreadyExists": "Choose another replica.instance in the spec.",
    "DBInstanceNotFound": f"Somebody has deleted or renamed it meanwhile. {_CHECK}",
    "DBParameterGroupNotFound": "Somebody has deleted it meanwhile: run the same command again.",
    "DBSubnetGroupDoesNotCoverEnoughAZs": f"{_SUBNET_GROUP}it needs subnets in two availability zones.",
    "DBSubnetGroupNotAllowedFault": f"{_SUBNET_GROUP}`same` is the group of the source.",
    "DBSubnetGroupNotFoundFault": f"{_SUBNET_GROUP}`aws rds describe-db-subnet-groups` lists them.",
    "InvalidDBInstanceState": f"Wait until it is available, then run the same command again. {_CHECK}",
    "InvalidDBSubnetGroupFault": f"{_SUBNET_GROUP}all replicas of a source are in one VPC.",
    "InvalidParameterCombination": "RDS does not take these together: correct [replica] in the spec.",
    "InvalidParameterValue": "Correct [replica] in the spec.",
    "InvalidSubnet": f"{_SUBNET_GROUP}its subnets have to be there, and in one VPC.",
    "NetworkTypeNotSupported": f"{_SUBNET_GROUP}it has no IPv6 addresses to give.",
    "OptionGroupNotFoundFault": "Somebody has deleted the option group of the source meanwhile: give it another.",
    "ProvisionedIopsNotAvailableInAZFault": "Use a subnet group in other zones, or run it again later.",
    "StorageTypeNotSupported": f"Choose a replica.class that takes the storage of the source. {_CHECK}",
    "VpcEncryptionControlViolationException": "The VPC wants traffic encrypted: choose a replica.class on Nitro.",
    "InstanceQuotaExceeded": "Delete an instance that nobody needs, or raise the quota in Service Quotas (rds).",
    "InsufficientDBInstanceCapacity": "Choose another replica.class, or run the same command again later.",
    "InvalidVPCNetworkStateFault": "`replica-access check` shows what the VPC lacks, and how to mend it.",
    "KMSKeyNotAccessibleFault": "The primary's key must be enabled; you need kms:DescribeKey and kms:CreateGrant.",
    "RulesPerSecurityGroupLimitExceeded": "Allow fewer, wider networks, or raise the quota (60 rules a group).",
    "SecurityGroupLimitExceeded": "Delete groups that nobody needs, or raise the quota in Service Quotas (vpc).",
    "SecurityGroupsPerInterfaceLimitExceeded": "Name fewer groups in network.security_groups (5 an instance).",
    "StorageQuotaExceeded": "Raise the storage quota in Service Quotas (rds).",
}

_RESOURCES = (
    "DBInstanceIdentifier",
    "SourceDBInstanceIdentifier",
    "GroupId",
    "GroupName",
    "SecretId",
    "Name",
    "VpcId",
    "ResourceName",
)
"""The parameters that name what a call is about, the most telling first."""


IAM_PREFIXES = {"service-quotas": "servicequotas"}
"""What IAM calls a service, where botocore calls it something else."""


def explain(
    error: ClientError | BotoCoreError, service: str, operation: str, parameters: Mapping[str, Any], region: str
) -> AwsError:
    """Return `error` as one of ours: which call, about what, why, and what to do."""
    call = f"{IAM_PREFIXES.get(service, service)}:{operation}"
    if isinstance(error, ClientError):
        return _refused(error, call, _resource(parameters), region)
    return _unanswered(error, call, region)


def is_passing(error: AwsError) -> bool:
    """Whether the same call may well succeed in a moment: throttled, unreachable, or AWS itself unwell."""
    return error.code in THROTTLED | UNREACHABLE | UNWELL or (error.code.isdigit() and error.code.startswith("5"))


def _refused(error: ClientError, call: str, resource: str, region: str) -> AwsError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    message = _sentence(str(error.response.get("Error", {}).get("Message", "")))
    about = f" on {resource}" if resource else ""
    if code in EXPIRED:
        return CredentialsError(f"The AWS credentials have expired ({code}).", _RENEW, call=call, code=code)
    if code in NOT_OPTED_IN:
        return CredentialsError(
            f"The Region {region}, or this service in it, is not enabled for the account: {message} ({code}).",
            f"Enable it (`aws account enable-region --region-name {region}`), or correct aws.region in the spec.",
            call=call,
            code=code,
        )
    if code in REJECTED:
        return CredentialsError(
            f"AWS in {region} does not accept these credentials: {message} ({code}).",
            "Check AWS_PROFILE or aws.profile, the keys, that this machine's clock is right, and that the Region is "
            "enabled for the account: one that is not knows no credentials of it.",
            call=call,
            code=code,
        )
    if code in DENIED:
        named = _permission(message)
        also = f", and for {named}, which AWS names," if named not in {"", call} else ""
        return AccessDenied(
            f"AWS denied {call}{about}: {message}.",
            f"Ask for the permission {call}{about}{also} and run the same command again.",
            call=call,
            code=code,
        )
    if code in THROTTLED:
        return AwsError(f"AWS keeps throttling {call}{about} ({code}).", _LATER, call=call, code=code)
    if code in UNWELL:
        return AwsError(f"AWS failed in {call}{about}: {message} ({code}).", _LATER, call=call, code=code)
    if code in {"", "Unknown"} or code.isdigit():  # botocore found no code of AWS's in it
        return no_answer(call, region, code)
    kind = NotFound if re.search(r"NotFound(Fault|Exception)?$", code) else AwsError
    return kind(f"{call}{about} failed: {message} ({code}).", _FIXES.get(code, _AGAIN), call=call, code=code)


def no_answer(call: str, region: str, code: str = "") -> AwsError:
    """Return the error for an answer that AWS did not give: a proxy's, a login page's.

    :param code: the HTTP status, where that is all there is.
    """
    status = f", but HTTP {code}" if code.isdigit() else ""
    return AwsError(
        f"{call}: what answers for AWS in {region} is not AWS{status}.",
        "Something in between answers in its place: check AWS_ENDPOINT_URL and HTTPS_PROXY, and whether the network "
        "wants a login first.",
        call=call,
        code=code or "NoAwsAnswer",
    )


_LATER = "Run the same command again in a minute: it goes on where it stopped."
_AGAIN = "What is done by then stays: mend the cause, and the same command goes on from there."


_RENEW = (
    "Log in again (`aws sso login`, or however you get them), then repeat the command: it goes on where it stopped."
)


def _unanswered(error: BotoCoreError, call: str, region: str) -> AwsError:
    code = type(error).__name__
    text = _sentence(str(error))
    if code in NO_CREDENTIALS:
        return CredentialsError(
            "There are no AWS credentials.",
            "Set AWS_PROFILE (or aws.profile in the spec), or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; "
            "`aws sts get-caller-identity` shows what is found.",
            call=call,
            code=code,
        )
    if code in LOGIN_NEEDED:
        return CredentialsError(f"The AWS login is no longer valid: {text}.", _RENEW, call=call, code=code)
    if code == "CredentialRetrievalError":
        return CredentialsError(
            f"The AWS credentials could not be fetched: {text}.",
            "Check the profile that AWS_PROFILE or aws.profile names, with `aws sts get-caller-identity`.",
            call=call,
            code=code,
        )
    if code == "ProfileNotFound":
        return CredentialsError(
            f"{text}.", "`aws configure list-profiles` shows those that exist; check aws.profile and AWS_PROFILE.",
            call=call, code=code,
        )  # fmt: skip
    if code in {"NoRegionError", "InvalidRegionError"}:
        return CredentialsError(f"{text}.", "Set region in [aws] of the spec, or AWS_REGION.", call=call, code=code)
    if code in UNREACHABLE:
        return AwsError(
            f"{call}: AWS in {region} does not answer: {text}.",
            "Check the network, HTTPS_PROXY and AWS_ENDPOINT_URL, then run the same command again.",
            call=call,
            code=code,
        )
    if code == "SSLError":
        return AwsError(
            f"{call}: the certificate of AWS in {region} could not be verified: {text}.",
            "Behind a proxy that opens TLS, name its CA with AWS_CA_BUNDLE.",
            call=call,
            code=code,
        )
    if code == "ParamValidationError":
        # botocore's report shows the values, and one of them may be a password
        return AwsError(
            f"{call}: a parameter has a wrong form.", "Please report this: it is a defect.", call=call, code=code
        )
    return AwsError(f"{call} failed: {text} ({code}).", call=call, code=code)


def _resource(parameters: Mapping[str, Any]) -> str:
    return next((str(parameters[key]) for key in _RESOURCES if key in parameters), "")


def _sentence(text: str) -> str:
    """Return the part of `text` that a person can read, without its full stop."""
    readable = text.partition("Encoded authorization failure message")[0]
    return " ".join(readable.split()).rstrip(". ")


def _permission(message: str) -> str:
    """Return the action that AWS says is missing: creating with tags, say, needs a second one."""
    found = re.search(r"not authorized to perform: ([\w-]+:\w+)", message)
    return found[1] if found else ""

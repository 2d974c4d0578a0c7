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
        "OptInRequired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
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

_FIXES: Mapping[str, str] = {
    "DBSubnetGroupDoesNotCoverEnoughAZs": "Use a subnet group with subnets in two availability zones.",
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
    return error.code in THROTTLED | UNREACHABLE | UNWELL


def _refused(error: ClientError, call: str, resource: str, region: str) -> AwsError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    message = _sentence(str(error.response.get("Error", {}).get("Message", "")))
    about = f" on {resource}" if resource else ""
    if code in EXPIRED:
        return CredentialsError(f"The AWS credentials have expired ({code}).", _RENEW, call=call, code=code)
    if code in REJECTED:
        return CredentialsError(
            f"AWS in {region} does not accept these credentials: {message} ({code}).",
            "Check AWS_PROFILE or aws.profile, the keys, and that this machine's clock is right.",
            call=call,
            code=code,
        )
    if code in DENIED:
        permission = _permission(message) or call
        return AccessDenied(
            f"AWS denied {call}{about}: {message}.",
            f"Ask for the permission {permission}{about} and run the same command again.",
            call=call,
            code=code,
        )
    if code in THROTTLED:
        return AwsError(
            f"AWS keeps throttling {call} ({code}).",
            "Run the same command again in a minute: it goes on where it stopped.",
            call=call,
            code=code,
        )
    kind = NotFound if re.search(r"NotFound(Fault|Exception)?$", code) else AwsError
    return kind(f"{call}{about} failed: {message} ({code}).", _FIXES.get(code, ""), call=call, code=code)


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

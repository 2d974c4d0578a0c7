"""Read an AWS request: which operation of which service it calls, with what, and which permissions that takes."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from moto.core.parse import PROTOCOL_PARSERS
from moto.core.utils import get_service_model
from werkzeug.wrappers import Request

from replica_access.sandbox.record import RecordedCall

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

__all__ = ["error_code", "read"]

CREDENTIAL = re.compile(r"Credential=[^/]+/\d+/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")
PREFIXES = {"monitoring": "cloudwatch"}  # where IAM's prefix is not what requests are signed for
# botocore's models of the services whose parameters are worth recording, by what requests to them are signed for
MODELS = {
    **{name: name for name in ("ec2", "iam", "kms", "logs", "pi", "rds", "secretsmanager", "sts")},
    "monitoring": "cloudwatch",
    "servicequotas": "service-quotas",
}
HIDDEN = "****"


def read(environ: WSGIEnvironment) -> RecordedCall | None:
    """The call that a request makes; None if it is none that we understand. The body can be read again afterwards."""
    scope = CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
    if scope is None:
        return None
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    request = Request({**environ, "wsgi.input": io.BytesIO(body)})
    target = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
    operation = target or request.values.get("Action") or request.path.rpartition("/operation/")[2]
    if not operation:
        return None
    signed_for = scope["service"]
    parameters = parse(MODELS[signed_for], operation, request, body) if signed_for in MODELS else {}
    prefix = PREFIXES.get(signed_for, signed_for)
    return RecordedCall(
        service=prefix,
        operation=operation,
        region=scope["region"],
        parameters=parameters,
        actions=(f"{prefix}:{operation}", *also_needed(prefix, operation, parameters)),
        dry_run=prefix == "ec2" and str(request.values.get("DryRun")).lower() == "true",
        user_agent=request.headers.get("User-Agent", ""),
    )


def parse(service: str, operation: str, request: Request, body: bytes) -> dict[str, Any]:
    """The parameters by botocore's names, secrets hidden; none of an operation that botocore does not know."""
    model = get_service_model(service)
    parser = PROTOCOL_PARSERS.get(model.protocol)
    if parser is None or operation not in model.operation_names:
        return {}
    shape = model.operation_model(operation)
    found = parser(shape).parse(
        {
            "method": request.method,
            "values": request.values,
            "headers": request.headers,
            "body": body,
            "url_path": request.path,
            "url_params": {},
        }
    )
    found.pop("DryRun", None)
    hidden = without_secrets(shape.input_shape, found) if shape.input_shape else {}
    return dict(json.loads(json.dumps(hidden, default=str)))


def without_secrets(shape: Any, value: Any) -> Any:
    """The value with ``****`` wherever botocore's model says that it is sensitive."""
    if shape.metadata.get("sensitive"):
        return HIDDEN
    if shape.type_name == "structure":
        return {name: without_secrets(shape.members[name], inner) for name, inner in value.items()}
    if shape.type_name == "list":
        return [without_secrets(shape.member, inner) for inner in value]
    return value


def also_needed(service: str, operation: str, parameters: Mapping[str, Any]) -> Iterator[str]:
    """The permissions that an operation needs beside its own, because of its parameters.

    After the Service Authorization Reference, "dependent actions".
    """
    if service == "ec2" and parameters.get("TagSpecifications") and operation != "CreateTags":
        yield "ec2:CreateTags"
    if service == "rds" and parameters.get("Tags") and operation != "AddTagsToResource":
        yield "rds:AddTagsToResource"
    if service == "rds" and parameters.get("MonitoringRoleArn"):
        yield "iam:PassRole"
    if operation == "CreateDBInstanceReadReplica" and parameters.get("KmsKeyId"):
        yield from ("kms:CreateGrant", "kms:DescribeKey")
    if service == "secretsmanager" and parameters.get("Tags") and operation == "CreateSecret":
        yield "secretsmanager:TagResource"


def error_code(status: int, body: bytes) -> str | None:
    """The code of an answer; None if it is no error."""
    if status < 400:
        return None
    if found := re.search(rb"<Code>([^<]*)</Code>", body):
        return found[1].decode()
    try:
        return str(json.loads(body)["__type"]).rpartition("#")[2]
    except (ValueError, KeyError, TypeError):
        return str(status)

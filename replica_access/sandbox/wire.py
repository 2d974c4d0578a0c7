"""The HTTP side of the endpoint: moto's dispatch to the services, one request at a time, and readable errors.

moto answers a call that it does not know, or a fault of its own, with a page of HTML that no SDK can parse. Here such a
call ends in an AWS error in the shape of its protocol.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server
from werkzeug.wrappers import Request, Response

from replica_access.sandbox.lifecycle import STATUS_PATH

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ["Application", "listen"]

log = logging.getLogger(__name__)


class Application:
    """The WSGI application.

    :param lock: held for the length of each request, since moto's state is not made for threads.
    :param settle: called after each request, before its answer is sent: what the request changed is in force by then.
    :param status: the document behind ``STATUS_PATH``, for whoever knows the token.
    """

    def __init__(
        self,
        *,
        lock: AbstractContextManager[Any],
        settle: Callable[[], None],
        status: Callable[[], dict[str, Any]],
        token: str,
    ) -> None:
        self.services = DomainDispatcherApplication(create_backend_app)
        self.lock = lock
        self.settle = settle
        self.status = status
        self.token = token

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self.answer(environ)(environ, start_response)

    def answer(self, environ: WSGIEnvironment) -> Response:
        request = Request(environ, populate_request=False, shallow=True)
        try:
            if request.path == STATUS_PATH:
                return self.answer_status(request)
            if request.path.startswith("/moto-api"):
                return Response(status=HTTPStatus.NOT_FOUND)
            with self.lock:
                response = Response.from_app(self.services, environ, buffered=True)
                self.settle()
        except NotImplementedError as error:
            return aws_error(environ, HTTPStatus.NOT_IMPLEMENTED, "NotImplemented", str(error))
        except Exception as error:
            log.exception("%s %s", request.method, request.path)
            return aws_error(
                environ, HTTPStatus.INTERNAL_SERVER_ERROR, "InternalFailure", f"{type(error).__name__}: {error}"
            )
        return response

    def answer_status(self, request: Request) -> Response:
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return Response(status=HTTPStatus.FORBIDDEN)
        with self.lock:
            return Response(json.dumps(self.status()), mimetype="application/json")


def aws_error(environ: WSGIEnvironment, status: HTTPStatus, code: str, message: str) -> Response:
    """An error in the shape that the caller's protocol has: JSON, EC2's XML, or that of the other query services."""
    if not environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        body = json.dumps({"__type": code, "message": message})
        return Response(body, status, content_type="application/x-amz-json-1.1")
    text = f"<Code>{code}</Code><Message>{escape(message)}</Message>"
    if "/ec2/aws4_request" in environ.get("HTTP_AUTHORIZATION", ""):
        body = f"<Response><Errors><Error>{text}</Error></Errors><RequestID>sandbox</RequestID></Response>"
    else:
        body = (
            f"<ErrorResponse><Error><Type>Receiver</Type>{text}</Error><RequestId>sandbox</RequestId></ErrorResponse>"
        )
    return Response(body, status, content_type="text/xml")


class QuietHandler(MotoRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:  # noqa: ARG002
        log.debug("%s %s", self.requestline, code)


def listen(application: Application) -> BaseWSGIServer:
    """A server for the application on a free port of the loopback interface; ``serve_forever`` makes it answer."""
    return make_server("127.0.0.1", 0, application, threaded=True, request_handler=QuietHandler)

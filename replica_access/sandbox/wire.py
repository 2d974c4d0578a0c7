"""The HTTP side of the endpoint: moto's dispatch to the services, one request at a time, and readable errors.

moto answers a call that it does not know, or a fault of its own, with a page of HTML that no SDK can parse. Here such a
call ends in an AWS error in the shape of its protocol.
"""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server
from werkzeug.wrappers import Request, Response

from replica_access.sandbox import calls
from replica_access.sandbox.control import BUSY_PATH, CALLS_PATH, FAULTS_PATH, STATUS_PATH
from replica_access.sandbox.faults import NO_FAULTS, FaultError, Faults, Injector, Refusal, Turn, When
from replica_access.sandbox.record import RecordedCall

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ["Application", "listen"]

log = logging.getLogger(__name__)

DIRECTING = (STATUS_PATH, FAULTS_PATH, CALLS_PATH, BUSY_PATH)
HAVE_NETWORKS = ("ec2", "rds")
CALLS_KEPT = 20_000
WOULD_HAVE_SUCCEEDED = "Request would have succeeded, but DryRun flag is set."


class Lost(Exception):
    """A call whose answer nobody gets."""


class Application:
    """The WSGI application: AWS's services, and beside them, for whoever knows the token, what directs the sandbox.

    :param lock: held for the length of each request, since moto's state is not made for threads.
    :param settle: called after each request, before its answer is sent: what the request changed is in force by then.
    :param status: the document behind ``STATUS_PATH``.
    :param busy: the instances that have something to do yet, behind ``BUSY_PATH``.
    :param faults: asked about each call; what ``FAULTS_PATH`` shows and replaces.
    :param turn: makes an instance take on a status.
    :param visit: called with the Region of a call that is the first there.
    """

    def __init__(
        self,
        *,
        lock: AbstractContextManager[Any],
        settle: Callable[[], None],
        status: Callable[[], dict[str, Any]],
        busy: Callable[[], list[str]],
        faults: Injector,
        turn: Callable[[Turn], None],
        visit: Callable[[str], None],
        token: str,
    ) -> None:
        self.services = DomainDispatcherApplication(create_backend_app)
        self.lock = lock
        self.settle = settle
        self.status = status
        self.busy = busy
        self.faults = faults
        self.turn = turn
        self.visit = cache(visit)
        self.token = token
        self.calls: deque[RecordedCall] = deque(maxlen=CALLS_KEPT)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            answer = self.answer(environ)
        except Lost:
            raise ConnectionResetError from None  # for which the handler closes the connection, without a word
        return answer(environ, start_response)

    def answer(self, environ: WSGIEnvironment) -> Response:
        request = Request(environ, populate_request=False, shallow=True)
        try:
            if request.path in DIRECTING:
                return self.answer_director(Request(environ))
            if request.path.startswith("/moto-api"):
                return Response(status=HTTPStatus.NOT_FOUND)
            with self.lock:
                call = calls.read(environ)
                return self.serve(environ) if call is None else self.serve_call(environ, call)
        except Lost:
            raise
        except Exception as error:
            log.exception("%s %s", request.method, request.path)
            return failure(environ, error)

    def serve(self, environ: WSGIEnvironment) -> Response:
        try:
            response = Response.from_app(self.services, environ, buffered=True)
        except NotImplementedError as error:
            response = aws_error(environ, HTTPStatus.NOT_IMPLEMENTED, "NotImplemented", str(error))
        except Exception as error:  # a call that failed is one that was made
            log.exception("%s %s", environ["REQUEST_METHOD"], environ["PATH_INFO"])
            response = failure(environ, error)
        self.settle()
        return response

    def serve_call(self, environ: WSGIEnvironment, call: RecordedCall) -> Response:
        """Serve a call as the faults in force let it be, and record it.

        :raises Lost: nobody gets the answer.
        """
        if call.service in HAVE_NETWORKS:
            self.visit(call.region)
        fate: Refusal | When | None = None
        if self.faults.concerns(call):
            for turn in self.faults.turns_before(call):
                self.turn(turn)
            fate = self.faults.fate(call)
        if fate is When.BEFORE_IT_ACTS:
            self.calls.append(replace(call, answered=False))
            raise Lost
        if isinstance(fate, Refusal):
            response = aws_error(environ, HTTPStatus(fate.status), fate.code, fate.message)
        elif call.dry_run:  # of which moto knows some only
            response = aws_error(environ, HTTPStatus.PRECONDITION_FAILED, "DryRunOperation", WOULD_HAVE_SUCCEEDED)
        else:
            response = self.serve(environ)
        answered = fate is not When.AFTER_IT_ACTED
        error = calls.error_code(response.status_code, response.get_data())
        self.calls.append(replace(call, answered=answered, error=error if answered else None))
        if not answered:
            raise Lost
        return response

    def answer_director(self, request: Request) -> Response:
        """Answer whoever directs the sandbox: its status, the faults in force, the calls so far."""
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return Response(status=HTTPStatus.FORBIDDEN)
        with self.lock:
            match request.path, request.method:
                case (path, "GET") if path == STATUS_PATH:
                    document: Any = self.status()
                case (path, "GET") if path == FAULTS_PATH:
                    document = asdict(self.faults.faults)
                case (path, "GET") if path == BUSY_PATH:
                    document = self.busy()
                case (path, "GET") if path == CALLS_PATH:
                    document = [asdict(call) for call in self.calls]
                case (path, "DELETE") if path == CALLS_PATH:
                    self.calls.clear()
                    return Response(status=HTTPStatus.NO_CONTENT)
                case (path, "PUT" | "DELETE") if path == FAULTS_PATH:
                    return self.replace_faults(request)
                case _:
                    return Response(status=HTTPStatus.METHOD_NOT_ALLOWED)
            return Response(json.dumps(document), mimetype="application/json")

    def replace_faults(self, request: Request) -> Response:
        try:
            faults = Faults.read(json.loads(request.get_data())) if request.method == "PUT" else NO_FAULTS
            self.faults.replace(faults)
            for turn in faults.turn:
                if turn.before is None:
                    self.turn(turn)
        except (FaultError, LookupError, ValueError) as error:
            self.faults.replace(NO_FAULTS)
            return Response(f"{error}", HTTPStatus.BAD_REQUEST, mimetype="text/plain")
        return Response(status=HTTPStatus.NO_CONTENT)


def failure(environ: WSGIEnvironment, error: Exception) -> Response:
    """The answer to a call that moto, or we, have a fault in."""
    what = f"{type(error).__name__}: {error}"
    return aws_error(environ, HTTPStatus.INTERNAL_SERVER_ERROR, "InternalFailure", what)


def aws_error(environ: WSGIEnvironment, status: HTTPStatus, code: str, message: str) -> Response:
    """An error in the shape that the caller's protocol has: JSON, EC2's XML, or that of the other query services."""
    if not environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        body = json.dumps({"__type": code, "message": message})
        return Response(body, status, content_type="application/x-amz-json-1.1")
    text = f"<Code>{code}</Code><Message>{escape(message)}</Message>"
    if "/ec2/aws4_request" in environ.get("HTTP_AUTHORIZATION", ""):
        body = f"<Response><Errors><Error>{text}</Error></Errors><RequestID>sandbox</RequestID></Response>"
    else:
        fault = "Receiver" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "Sender"
        body = f"<ErrorResponse><Error><Type>{fault}</Type>{text}</Error><RequestId>sandbox</RequestId></ErrorResponse>"
    return Response(body, status, content_type="text/xml")


class QuietHandler(MotoRequestHandler):
    def connection_dropped(self, error: BaseException, environ: WSGIEnvironment | None = None) -> None:  # noqa: ARG002
        self.close_connection = True  # instead of waiting for another request on it

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:  # noqa: ARG002
        log.debug("%s %s", self.requestline, code)


def listen(application: Application) -> BaseWSGIServer:
    """A server for the application on a free port of the loopback interface; ``serve_forever`` makes it answer."""
    return make_server("127.0.0.1", 0, application, threaded=True, request_handler=QuietHandler)

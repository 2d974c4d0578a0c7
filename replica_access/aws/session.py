"""One account and Region: every AWS call of the program goes through `Aws`, and fails in our sentences.

Only the calls that we need, by botocore's own operation names, so that a call can be data (`model.Call`). Loading
botocore and its service models takes a third of a second; nothing outside this package may import it.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator, Mapping
from functools import cached_property
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import botocore.session
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from replica_access import __version__
from replica_access.aws.failures import explain, no_answer
from replica_access.errors import AwsError, CredentialsError
from replica_access.model import Token
from replica_access.spec import Aws as Settings

NOT_REPEATED = frozenset({"RebootDBInstance"})
"""Operations that are another interruption each time: whoever asks for one looks first whether it has been heard."""

CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 30
ATTEMPTS = 5
IDENTITY_ATTEMPTS = 2
"""Who we are is good to know; a network that has no way to STS shall not make every command wait half a minute."""

CONNECTIONS = 10

NO_ANSWER = (ResponseParserError, KeyError)
"""What botocore's parsers raise where an answer is none of AWS's: a KeyError where it is XML of another kind."""

# At DEBUG botocore logs the body of every request and answer, and a secret's value is in both.
logging.getLogger("botocore").setLevel(logging.INFO)


class Aws:
    """The AWS APIs of one account and Region. Threads may share it."""

    def __init__(self, session: botocore.session.Session, region: str) -> None:
        self.region = region
        self._session = session
        self._elsewhere: dict[str, Aws] = {}
        self._clients: dict[tuple[str, bool], Any] = {}
        self._lock = threading.Lock()
        self._config = Config(
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=READ_TIMEOUT_S,
            max_pool_connections=CONNECTIONS,
            user_agent_extra=f"replica-access/{__version__}",
        )

    @classmethod
    def open(cls, settings: Settings) -> Aws:
        """Open the account and Region that `settings` and the environment name.

        :raises CredentialsError: no profile, no Region, no credentials, or another account than ``aws.account``.
        """
        session = botocore.session.Session(profile=settings.profile)
        try:
            session.get_scoped_config()  # finds the profile, or says that there is none
            # the AWS CLI and all newer SDKs read AWS_REGION, botocore only AWS_DEFAULT_REGION
            region = settings.region or os.environ.get("AWS_REGION") or session.get_config_variable("region")
        except BotoCoreError as error:
            raise explain(error, "session", "Open", {}, "") from None
        if not region:
            raise CredentialsError(
                "No AWS Region is set.", "Set region in [aws] of the spec, or AWS_REGION, for example ap-southeast-2."
            )
        aws = cls(session, region)
        if settings.account is not None and settings.account != aws.account:
            raise CredentialsError(
                f"These credentials are of account {aws.account} ({aws.arn}), the spec allows {settings.account} only.",
                "Choose the right profile with AWS_PROFILE, or correct aws.account in the spec.",
                call="sts:GetCallerIdentity",
            )
        return aws

    @property
    def account(self) -> str:
        """The number of the account that the credentials belong to."""
        return str(self._identity["Account"])

    @property
    def arn(self) -> str:
        """Who we are there."""
        return str(self._identity["Arn"])

    @property
    def partition(self) -> str:
        """The part of AWS that the Region is in, as ARNs begin with it: ``aws``, ``aws-cn``, ``aws-us-gov``."""
        return str(self.client("rds").meta.partition)

    @cached_property
    def _identity(self) -> dict[str, Any]:
        return self.call("sts", "GetCallerIdentity")

    def in_region(self, region: str) -> Aws:
        """Return the same account in another Region, or this one where it is the same."""
        if region == self.region:
            return self
        with self._lock:
            if region not in self._elsewhere:
                self._elsewhere[region] = Aws(self._session, region)
            return self._elsewhere[region]

    def close(self) -> None:
        """Let go of all connections."""
        for client in self._clients.values():
            client.close()
        for elsewhere in self._elsewhere.values():
            elsewhere.close()

    @cached_property
    def is_local(self) -> bool:
        """Whether RDS is a stand-in on this machine, which can be asked often."""
        host = urlsplit(self.client("rds").meta.endpoint_url).hostname or ""
        try:
            return ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"

    def client(self, service: str, *, repeats: bool = True) -> Any:
        """Return the client of `service`, made on first use: EC2's takes a fifth of a second.

        :param repeats: whether it makes a call again that was throttled, or whose answer was lost.
        """
        key = (service, repeats)
        if (client := self._clients.get(key)) is not None:
            return client
        with self._lock:
            if key not in self._clients:
                self._clients[key] = self._make_client(service, repeats=repeats)
            return self._clients[key]

    def _make_client(self, service: str, *, repeats: bool) -> Any:
        # Repeating is safe: what reads changes nothing, and what makes something is made so that twice is as good as
        # once (tags, tokens). Adaptive: the account shares its request rate with production's own automation, so once
        # AWS throttles one of our threads, all slow down. A run that is throttled takes longer.
        attempts = 1 if not repeats else IDENTITY_ATTEMPTS if service == "sts" else ATTEMPTS
        config = self._config.merge(Config(retries={"mode": "adaptive", "total_max_attempts": attempts}))
        try:
            return self._session.create_client(service, region_name=self.region, config=config)
        except BotoCoreError as error:
            raise explain(error, service, "Open", {}, self.region) from None
        except ValueError as error:
            raise AwsError(
                f"No connection to {service} in {self.region} can be made: {error}.",
                "Check AWS_ENDPOINT_URL: it is a URL such as http://127.0.0.1:5000.",
            ) from None

    def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """Call `operation` by botocore's name (``DescribeDBInstances``) and return its answer.

        :raises AwsError: or the more telling one of its kind; ``code`` is the code on the wire.
        """
        method = getattr(self.client(service, repeats=operation not in NOT_REPEATED), xform_name(operation))
        try:
            answer: dict[str, Any] = method(**parameters)
        except (ClientError, BotoCoreError) as error:
            raise explain(error, service, operation, parameters, self.region) from None
        except NO_ANSWER:
            raise no_answer(f"{service}:{operation}", self.region) from None
        self._require_aws(answer, service, operation)
        return answer

    def _require_aws(self, answer: Mapping[str, Any], service: str, operation: str) -> None:
        """Refuse an answer without the request id that AWS gives to each: botocore takes a login page for an empty one.

        :raises AwsError: it is none of AWS's.
        """
        if not answer.get("ResponseMetadata", {}).get("RequestId"):
            raise no_answer(f"{service}:{operation}", self.region)

    def pages(self, service: str, operation: str, key: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        """Yield the entries below `key` of every page of `operation`'s answer.

        :raises AwsError: as `call` does.
        """
        paginator = self.client(service).get_paginator(xform_name(operation))
        try:
            for page in paginator.paginate(**parameters):
                self._require_aws(page, service, operation)
                yield from page.get(key, ())
        except (ClientError, BotoCoreError) as error:
            raise explain(error, service, operation, parameters, self.region) from None
        except NO_ANSWER:
            raise no_answer(f"{service}:{operation}", self.region) from None

    def database_token(self, host: str, port: int, user: str) -> Token:
        """Return a token by which `user` may log in to the instance at `host`: signed here, without any call.

        It is good for fifteen minutes, and is signed anew each time that it is revealed.

        :raises CredentialsError: there is nothing to sign it with; then, or now.
        """

        def sign() -> str:
            try:
                token = self.client("rds").generate_db_auth_token(DBHostname=host, Port=port, DBUsername=user)
            except BotoCoreError as error:
                raise explain(error, "rds", "GenerateDBAuthToken", {}, self.region) from None
            return str(token)

        sign()
        return Token(sign)

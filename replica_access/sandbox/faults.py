"""Faults on request, for tests: what AWS does to a client on a bad day, call by call.

Pure: ``wire`` asks what shall become of a call, ``rds_jobs`` whether an instance stays where it is. An action is IAM's
name of an operation, such as ``ec2:DescribeNetworkAcls``; a shell pattern stands for several.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from fnmatch import fnmatchcase
from typing import Any

from replica_access.sandbox import quotas
from replica_access.sandbox.record import RecordedCall

__all__ = ["NO_FAULTS", "FaultError", "Faults", "Injector", "LostAnswer", "NextError", "Refusal", "Turn", "When"]

CALLER = "arn:aws:sts::123456789012:user/moto"  # what the sandbox's GetCallerIdentity says


class FaultError(ValueError):
    """A document of faults that cannot be understood: what is wrong with it."""


@dataclass(frozen=True, slots=True)
class LostAnswer:
    """The connection is closed without an answer to the `call`-th call of an action, counted from one.

    :ivar acts: AWS has done what was asked.
    :ivar onwards: so it is with every later call of the action too.
    """

    action: str = "*"
    call: int = 1
    acts: bool = True
    onwards: bool = False


@dataclass(frozen=True, slots=True)
class NextError:
    """The next call of an action is refused, once."""

    action: str
    code: str
    message: str = "on request"
    status: int = 400


@dataclass(frozen=True, slots=True)
class Turn:
    """An instance takes on a status: at once, or just before the next call of an action.

    :ivar seconds: for how long; as long as the fault is in force, if None. Then it is available again.
    """

    instance: str
    status: str
    before: str | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Faults:
    """All faults that are in force at one time.

    :ivar deny: actions that are not allowed; EC2's dry runs are told so too.
    :ivar throttle: every so many-th call is throttled.
    :ivar expire: after so many calls the credentials have expired.
    :ivar opted_out: Regions that the account has not opted in to, where its credentials are unknown.
    :ivar hold: instances by name, and the status that each stays in once it is there.
    :ivar fail: instances by name, and the status that the creation of each ends in.
    :ivar quota: quotas by Service Quotas' code, and the value that each has instead of AWS's.
    :ivar certificates: instances by name, and in how many days the certificate of each ends, until it gets another.
    :ivar linger: how many seconds the network interface of an instance outlives it.
    :ivar by: a part of the User-Agent; the calls of others meet none of this.
    """

    deny: tuple[str, ...] = ()
    throttle: int | None = None
    expire: int | None = None
    opted_out: tuple[str, ...] = ()
    lose: tuple[LostAnswer, ...] = ()
    next: tuple[NextError, ...] = ()
    turn: tuple[Turn, ...] = ()
    hold: Mapping[str, str] = field(default_factory=dict)
    fail: Mapping[str, str] = field(default_factory=dict)
    quota: Mapping[str, float] = field(default_factory=dict)
    certificates: Mapping[str, float] = field(default_factory=dict)
    linger: float = 1.0
    by: str = ""

    @classmethod
    def read(cls, document: Any) -> Faults:
        """:raises FaultError: an unknown key, or a value of another type than its field has."""
        given = _known(cls, document)
        entries: Mapping[str, type[Any]] = {"lose": LostAnswer, "next": NextError, "turn": Turn}
        try:
            for key, kind in entries.items():
                if key in given:
                    given[key] = tuple(kind(**_known(kind, entry)) for entry in given[key])
            given |= {key: tuple(given[key]) for key in ("deny", "opted_out") if key in given}
            faults = cls(**given)
        except TypeError as error:
            raise FaultError(str(error)) from error
        if faults.throttle is not None and faults.throttle < 1:
            raise FaultError(f"throttle counts calls from one: {faults.throttle}")
        return faults


NO_FAULTS = Faults()


def _known(kind: type[Any], document: Any) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise FaultError(f"{document!r} is no object")
    known = [one.name for one in fields(kind)]
    if unknown := sorted(set(document) - set(known)):
        raise FaultError(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")
    return dict(document)


class When(Enum):
    """When a call's answer is lost."""

    BEFORE_IT_ACTS = "before"
    AFTER_IT_ACTED = "after"


@dataclass(frozen=True, slots=True)
class Refusal:
    code: str
    message: str
    status: int


class Injector:
    """The faults in force, and how far each has got. Used under the lock of the site."""

    def __init__(self) -> None:
        self.replace(NO_FAULTS)

    def replace(self, faults: Faults) -> None:
        """From the next call on, these are in force; all of them are counted anew."""
        self.faults = faults
        self._calls = 0
        self._of_action = [0] * len(faults.lose)
        self._next = list(faults.next)
        self._turns = [turn for turn in faults.turn if turn.before is not None]

    def concerns(self, call: RecordedCall) -> bool:
        return self.faults.by in call.user_agent

    def turns_before(self, call: RecordedCall) -> list[Turn]:
        """The instances that take on a status before this call; each does so once."""
        due = [turn for turn in self._turns if turn.before is not None and _matches(turn.before, call)]
        self._turns = [turn for turn in self._turns if turn not in due]
        return due

    def fate(self, call: RecordedCall) -> Refusal | When | None:
        """What becomes of this call, which is the next one; None if it is served.

        In the order in which AWS looks at a request: its credentials, its rate, its permissions, itself.
        """
        self._calls += 1
        lost = self._lost(call)
        if lost is When.BEFORE_IT_ACTS:
            return lost
        if call.region in self.faults.opted_out:
            return unknown_credentials(call.service)
        if self.faults.expire is not None and self._calls > self.faults.expire:
            return expired(call.service)
        if self.faults.throttle is not None and self._calls % self.faults.throttle == 0:
            return throttled(call.service)
        for action in call.actions:
            if any(fnmatchcase(action, pattern) for pattern in self.faults.deny):
                return denied(call.service, action)
        for error in self._next:
            if _matches(error.action, call):
                self._next.remove(error)
                return Refusal(error.code, error.message, error.status)
        return lost

    def _lost(self, call: RecordedCall) -> When | None:
        found = None
        for index, lost in enumerate(self.faults.lose):
            if not _matches(lost.action, call):
                continue
            self._of_action[index] += 1
            number = self._of_action[index]
            if number == lost.call or (lost.onwards and number > lost.call):
                found = found or (When.AFTER_IT_ACTED if lost.acts else When.BEFORE_IT_ACTS)
        return found

    def holds(self, instance: str, status: str) -> bool:
        return self.faults.hold.get(instance) == status

    def quota(self, code: str) -> int:
        """What the account has of something, by Service Quotas' code."""
        return int(self.faults.quota.get(code, quotas.ALL[code].value))

    def fails(self, instance: str) -> str | None:
        """The status that the creation of an instance is to end in."""
        return self.faults.fail.get(instance)


def _matches(pattern: str, call: RecordedCall) -> bool:
    return fnmatchcase(call.actions[0], pattern)


# What each service answers: EC2 has codes of its own, the JSON services put "Exception" behind theirs (EC2 API error
# codes; common errors of the RDS, STS and Secrets Manager API references).


def denied(service: str, action: str) -> Refusal:
    why = (
        f"User: {CALLER} is not authorized to perform: {action} because no identity-based policy allows the "
        f"{action} action"
    )
    if service == "ec2":
        return Refusal("UnauthorizedOperation", f"You are not authorized to perform this operation. {why}", 403)
    if service in JSON_SERVICES:
        return Refusal("AccessDeniedException", why, 400)
    return Refusal("AccessDenied", why, 403)


def throttled(service: str) -> Refusal:
    if service == "ec2":
        return Refusal("RequestLimitExceeded", "Request limit exceeded.", 503)
    if service in JSON_SERVICES:
        return Refusal("ThrottlingException", "Rate exceeded", 400)
    return Refusal("Throttling", "Rate exceeded", 400)


def expired(service: str) -> Refusal:
    if service == "ec2":
        return Refusal("RequestExpired", "Request has expired.", 400)
    why = "The security token included in the request is expired"
    if service in JSON_SERVICES:
        return Refusal("ExpiredTokenException", why, 400)
    return Refusal("ExpiredToken", why, 403)


def unknown_credentials(service: str) -> Refusal:
    """What a Region says that the account has not opted in to: it has not heard of the account."""
    if service == "ec2":
        return Refusal("AuthFailure", "AWS was not able to validate the provided access credentials", 401)
    if service in JSON_SERVICES:
        return Refusal("UnrecognizedClientException", "The security token included in the request is invalid.", 400)
    return Refusal("InvalidClientTokenId", "The security token included in the request is invalid.", 403)


JSON_SERVICES = ("kms", "logs", "pi", "secretsmanager", "servicequotas")

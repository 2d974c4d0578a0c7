"""Everything that can go wrong, as one tree.

::

    Error                       1  what is wrong, about which object, and what to do
    ├── UsageError              2  the call itself is wrong: flags, files, a question without a terminal
    │   └── SpecError           2  replica-access.toml cannot be read or makes no sense
    ├── AwsError                1  AWS refused, or answered something that cannot be worked with
    │   ├── CredentialsError    1  no credentials, expired ones, no Region, the wrong account
    │   ├── AccessDenied        1  the caller lacks a permission (names the call)
    │   ├── NotFound            1  the named resource does not exist in this account and Region
    │   ├── NotOurs             1  a resource of that name exists and does not carry our tag
    │   └── WaitFailed          1  a resource reached a state it cannot leave, or the deadline passed
    ├── DatabaseError           1  a server refused a statement
    │   ├── ConnectionFailed    1  no connection: network, TLS, authentication or database
    │   ├── LockTimeout         1  somebody else holds a lock that we need
    │   ├── NotEffective        1  a statement succeeded and changed nothing, or less than it should
    │   └── WrongServer         1  a replica where the primary was expected, another system, an unsupported version
    ├── HistoryError            1  the history of audits cannot be read or written
    │   └── HistoryAltered      3  it is not what the runs have written
    ├── NotWritten              1  a report of an audit cannot be written or printed
    ├── PreflightFailed         1  what stands in the way, all of it
    ├── Blocked                 1  the admin may not do a part of the plan
    ├── Drift                   3  the servers differ from the spec (`plan --check`)
    ├── FindingsStand           3  an audit found something as grave as --fail-on (`audit`)
    ├── ProofFailed             3  the replica does not behave as declared
    ├── Incomplete              4  something could not be looked at
    ├── Crashed                 1  something that nobody expected, while other work goes on
    └── Interrupted             1  Ctrl-C, or a signal that asks to stop
        └── Abandoned           1  so does what other threads are at, which changes nothing

The number is the exit status (design: exit statuses). ``cli.boundary`` is the only place that turns an error into an
exit; nothing else prints or exits.
"""

from __future__ import annotations

__all__ = [
    "Abandoned",
    "AccessDenied",
    "AwsError",
    "Blocked",
    "ConnectionFailed",
    "Crashed",
    "CredentialsError",
    "DatabaseError",
    "Drift",
    "Error",
    "FindingsStand",
    "HistoryAltered",
    "HistoryError",
    "Incomplete",
    "Interrupted",
    "LockTimeout",
    "NotEffective",
    "NotFound",
    "NotOurs",
    "NotWritten",
    "PreflightFailed",
    "ProofFailed",
    "SpecError",
    "UsageError",
    "WaitFailed",
    "WrongServer",
]


class Error(Exception):
    """Base of all errors of this package.

    :param what: one sentence: what is wrong, and about which object.
    :param fix: one sentence: what to do about it; may be empty where ``what`` says it all.
    """

    exit_status = 1

    def __init__(self, what: str, fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.what} {self.fix}".rstrip()


class NotWritten(Error):
    pass


class UsageError(Error):
    exit_status = 2


class SpecError(UsageError):
    """The spec cannot be used; ``what`` names file, line where known, key, and what is allowed."""


class AwsError(Error):
    """An AWS call failed.

    :param call: the call, as ``service:Operation``; empty where no call was made.
    :param code: the error code on the wire, for example ``DBInstanceNotFound``.
    """

    def __init__(self, what: str, fix: str = "", *, call: str = "", code: str = "") -> None:
        super().__init__(what, fix)
        self.call = call
        self.code = code


class CredentialsError(AwsError):
    pass


class AccessDenied(AwsError):
    pass


class NotFound(AwsError):
    pass


class NotOurs(AwsError):
    pass


class WaitFailed(AwsError):
    pass


class DatabaseError(Error):
    """A server refused something.

    :param sqlstate: the five-character code the server gave; empty where there was none.
    """

    def __init__(self, what: str, fix: str = "", *, sqlstate: str = "") -> None:
        super().__init__(what, fix)
        self.sqlstate = sqlstate


class ConnectionFailed(DatabaseError):
    pass


class LockTimeout(DatabaseError):
    pass


class NotEffective(DatabaseError):
    pass


class WrongServer(DatabaseError):
    pass


class HistoryError(Error):
    pass


class HistoryAltered(HistoryError):
    exit_status = 3


class PreflightFailed(Error):
    pass


class Blocked(Error):
    pass


class Drift(Error):
    exit_status = 3


class FindingsStand(Error):
    exit_status = 3


class ProofFailed(Error):
    exit_status = 3


class Incomplete(Error):
    exit_status = 4


class Crashed(Error):
    """Something that nobody expected has ended one of several pieces of work; what it was is the cause."""

    def __init__(self, where: str, cause: Exception) -> None:
        super().__init__(
            f"{where}: something that nobody expected: {type(cause).__name__}: {cause}",
            "Please report it, with the output of -vv.",
        )
        self.__cause__ = cause


class Interrupted(Error):
    """Somebody has pressed Ctrl-C.

    :param fix: where something else goes on by itself, what does and how to follow it.
    """

    def __init__(self, fix: str = "Nothing is half done: run the same command again to go on.") -> None:
        super().__init__("Interrupted.", fix)


class Abandoned(Interrupted):
    """Somebody has pressed Ctrl-C while other threads wait for servers, and need not be waited for."""

"""The values that pass through: what a server has, what should change, what was proved.

Everything here is frozen and comparable, knows no connection and no clock, and can be printed without leaking a secret.
Names are ``str`` as the server sent them; ``names.shown`` displays them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

T = TypeVar("T")

Oid = int

PUBLIC: Oid = 0
"""The grantee that stands for PUBLIC in an ACL."""

Scope = Literal["aws", "cluster", "database"]
Takes = Literal["", "revoke", "drop"]
"""What a change takes away, as the flag that allows it is called: ``--allow-revoke``, ``--allow-drop``."""

Kind = Literal["table", "partitioned table", "view", "materialized view", "foreign table", "sequence"]

KINDS: Mapping[str, Kind] = {
    "r": "table",
    "p": "partitioned table",
    "v": "view",
    "m": "materialized view",
    "f": "foreign table",
    "S": "sequence",
}
"""``pg_class.relkind`` of everything that can be read."""


class Secret:
    """A password that does not print itself.

    >>> Secret("hunter2")
    Secret('****')
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the plain text; call this only where it leaves for a server or a store."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('****')"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError("a Secret is not serialised")


class Token(Secret):
    """A password that is good for minutes: made anew whenever it is needed, so that no long run ends with an old one.

    :param sign: makes one.
    """

    __slots__ = ("_sign",)

    def __init__(self, sign: Callable[[], str]) -> None:
        super().__init__("")
        self._sign = sign

    def reveal(self) -> str:
        return self._sign()

    __eq__ = object.__eq__
    __hash__ = object.__hash__


# --- where a server is, and how to log in ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Login:
    """How to reach one server as one role: libpq parameters, the password apart.

    :param server: the name people know it by: an instance identifier, or the host.
    :param parameters: libpq keywords without ``password`` and ``dbname``; what is missing comes from libpq's own
        sources (environment, service and password files).
    """

    server: str
    parameters: Mapping[str, str]
    database: str = "postgres"
    password: Secret | None = None

    def as_user(self, user: str, password: Secret | None) -> Login:
        return Login(self.server, {**self.parameters, "user": user}, self.database, password)


# --- what is asked for -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of one run, beside the spec.

    :param allow_revoke: take away what readers have beyond the spec; without it, that is said and left.
    :param allow_drop: drop the roles in `departed`.
    :param allow_wide: let in networks that are wider than is let in unasked, the whole internet included.
    :param database: look at this one alone; ``None``: at all that the spec names.
    :param schema: look at this one alone, in every database looked at.
    :param departed: roles that the last run made and the spec does not name any more, with their oids: a role of the
        same name made since is another one.
    """

    allow_revoke: bool = False
    allow_drop: bool = False
    allow_wide: bool = False
    database: str | None = None
    schema: str | None = None
    departed: Mapping[str, Oid] = field(default_factory=dict)


UNASKED = Request()
"""What is asked by whoever says nothing."""


# --- what should change ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Call:
    """One AWS call, as data.

    Values of the form ``${name}`` in `parameters` stand for the output of an earlier call.

    :param service: botocore's service name: ``ec2``, ``rds``, ``secretsmanager``.
    :param operation: botocore's operation name: ``CreateSecurityGroup``.
    """

    service: str
    operation: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """One step nearer to the spec, with its sentence, its SQL or API call, and its exact inverse.

    :param action: a verb phrase from a fixed list, for programs: ``grant``, ``create role``, ``create replica``.
    :param object: what it is done to, as a person writes it.
    :param summary: the sentence that a person reads.
    :param sql: statements in order; executed as they stand, with no parameters.
    :param join: roles that the admin has to be a member of while `sql` runs (design: safety rule 4).
    :param password_of: the user whose password is made, stored and set by this change; `sql` then shows where the
        verifier goes and is completed when it is applied.
    :param run_as: the role that `sql` and `undo` run as, with SET ROLE: what it granted, nobody else revokes.
    :param undo: statements, last one first; empty where there is nothing to undo by SQL.
    :param reader: whom it gives something to, where it grants.
    :param takes: empty where nothing is taken away.
    :param late: done after the databases: a privilege that others replace goes when those are there.
    :param interrupts: whether sessions on the server end while it is done: a reboot, a change of class.
    :param depth: how many grants lie between the owner and what is taken away: it goes before what it depends on.
    """

    scope: Scope
    action: str
    object: str
    summary: str
    database: str | None = None
    sql: tuple[str, ...] = ()
    call: Call | None = None
    undo: tuple[str, ...] = ()
    join: tuple[str, ...] = ()
    password_of: str | None = None
    run_as: str | None = None
    takes: Takes = ""
    late: bool = False
    interrupts: bool = False
    depth: int = 0
    reader: str = ""

    @property
    def destructive(self) -> bool:
        return self.takes != ""

    @property
    def id(self) -> str:
        """A short name that is the same for the same change in every plan."""
        call = () if self.call is None else (self.call.operation, repr(sorted(self.call.parameters.items())))
        key = "\0".join((self.scope, self.database or "", self.action, self.object, *self.sql, *call))
        return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Pending:
    """Something the spec names that does not exist yet, or that the next run will have to look at."""

    kind: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class BlockedObject:
    """Something the admin may not change, with the exact statement for who may.

    :param optional: whether it is shared by all databases and can be left out all the same, with ``--skip-blocked``.
    :param remedy: the same as it is typed, what else there is to know in comments; empty where nothing typed helps.
    :param database: where; ``None`` where all databases share it.
    """

    object: str
    reason: str
    fix: str
    optional: bool = False
    remedy: str = ""
    database: str | None = None

    @classmethod
    def with_statements(cls, object_: str, reason: str, by: str, sql: str, *, optional: bool = False) -> BlockedObject:
        """Return what somebody else may change.

        :param by: who, as people read it.
        :param sql: without the last semicolon.
        """
        return cls(object_, reason, f"as {by}: {sql};", optional, f"-- as {by}\n{sql};")


@dataclass(frozen=True, slots=True)
class Covered:
    """Something that a reader can do already by another way than a grant of its own, and that is not granted again."""

    reader: str
    object: str
    through: str


def _each_once(some: tuple[T, ...], more: tuple[T, ...]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(some + more)) if more else some


@dataclass(frozen=True, slots=True)
class Plan:
    """The ordered changes; nothing is executed while it is made."""

    changes: tuple[Change, ...] = ()
    pending: tuple[Pending, ...] = ()
    blocked: tuple[BlockedObject, ...] = ()
    covered: tuple[Covered, ...] = ()

    def __add__(self, other: Plan) -> Plan:
        return Plan(
            self.changes + other.changes,
            _each_once(self.pending, other.pending),
            _each_once(self.blocked, other.blocked),
            _each_once(self.covered, other.covered),
        )

    def deepest_first(self) -> Plan:
        """Return the plan with the changes in an order in which none takes away what another depends on."""
        return replace(self, changes=tuple(sorted(self.changes, key=lambda change: -change.depth)))

    def allowed(self, request: Request) -> Plan:
        """Return the plan without what takes more away than `request` allows."""
        allowed = {"", *(["revoke"] if request.allow_revoke else []), *(["drop"] if request.allow_drop else [])}
        return replace(self, changes=tuple(c for c in self.changes if c.takes in allowed))

    def of(self, scope: Scope, database: str | None = None) -> tuple[Change, ...]:
        return tuple(c for c in self.changes if c.scope == scope and (database is None or c.database == database))


# --- who may reach the replica ---------------------------------------------------------------------------------------

AddressState = Literal["ok", "missing", "expired", "undeclared"]


@dataclass(frozen=True, slots=True)
class Address:
    """Somebody whom the spec lets in, or a rule does.

    :param source: a network, a prefix list or a security group, as the spec or the rule names it.
    :param expires: the last day, as a date of ISO 8601; empty where there is none.
    :param rules: the ids of the rules that let it in, and should not.
    """

    source: str
    note: str
    expires: str
    state: AddressState
    detail: str
    rules: tuple[str, ...] = ()


# --- what stands in the way, and what was proved ---------------------------------------------------------------------

Outcome = Literal["ok", "problem", "not checked", "note"]
"""A note is worth knowing and stands in nobody's way: what things cost, what only doing it will tell."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that preflight looked at.

    :param detail: what was found; for `not checked`, why.
    :param fix: for a problem, the command or call that mends it.
    :param mend: what `check --fix` would do about it, in order; empty where that is for a person to decide.
    """

    name: str
    outcome: Outcome
    detail: str
    fix: str = ""
    mend: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class ProofCheck:
    """One thing that was tried on the replica; `name` is from a fixed list, `detail` is what happened.

    :param tried: false where it could not be tried, which is no success either.
    """

    name: str
    database: str | None
    ok: bool
    detail: str
    tried: bool = True


@dataclass(frozen=True, slots=True)
class Proof:
    """The evidence that the replica behaves as declared.

    :param lsn: the primary's insert LSN after the last commit, or ``None`` where it was never read.
    :param waited_ms: milliseconds until the replica had replayed it.
    :param lag_ms: milliseconds between now and the last replayed commit, where the replica knows one.
    :param same_system: ``None``, as for the two after it, where the replica could not be asked.
    """

    lsn: str | None
    waited_ms: float
    lag_ms: float | None
    same_system: bool | None
    in_recovery: bool | None
    catalogs_match: bool | None
    checks: tuple[ProofCheck, ...]

    @property
    def ok(self) -> bool:
        return bool(self.same_system and self.in_recovery and self.catalogs_match) and all(c.ok for c in self.checks)

    @property
    def only_untried(self) -> bool:
        """Whether nothing that was tried failed, but something could not be tried."""
        failed = [check for check in self.checks if not check.ok]
        sound = self.same_system is not False and self.in_recovery is not False
        return bool(failed) and not any(check.tried for check in failed) and sound


# --- who may reach the replica, as a whole ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reached:
    """What is known of who may reach the replica.

    :param plan: of its rules alone.
    :param group: the id of its security group; ``None`` where that has not been made yet.
    """

    addresses: tuple[Address, ...]
    checks: tuple[Check, ...]
    plan: Plan
    group: str | None

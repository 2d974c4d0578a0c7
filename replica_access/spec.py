"""replica-access.toml: load and validate it.

``load`` is the only way in. Everything that is wrong with a file is reported at once, each with line (where known), key
and what is allowed.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, LiteralString
from urllib.parse import quote

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from replica_access import spec_limits
from replica_access.errors import SpecError
from replica_access.names import shown
from replica_access.patterns import Exclusion, is_glob

DEFAULT_PATH = Path("replica-access.toml")

MAX_NAME_BYTES = 63
"""NAMEDATALEN - 1: longer identifiers are cut by the server, silently."""


def _name(value: str) -> str:
    if not value:
        raise ValueError("a name cannot be empty")
    if "\0" in value:
        raise ValueError("a name cannot contain a zero byte")
    if len(value.encode("utf-8", "surrogateescape")) > MAX_NAME_BYTES:
        raise ValueError(f"PostgreSQL would cut this name: {MAX_NAME_BYTES} bytes are allowed")
    return value


def _role_name(value: str) -> str:
    if value.startswith(("pg_", "rds")):
        raise ValueError("names that begin with pg_ or rds belong to PostgreSQL and RDS")
    if value in {"public", "none", "current_user", "session_user", "current_role"}:
        raise ValueError("PostgreSQL reserves this name")
    return value


def refusal_of_role(name: str) -> str:
    """Return why no role of ours can be called `name`; empty where one can."""
    try:
        _role_name(_name(name))
    except ValueError as error:
        return str(error)
    return ""


Name = Annotated[str, AfterValidator(_name)]
RoleName = Annotated[str, AfterValidator(_name), AfterValidator(_role_name)]
InstanceId = Annotated[
    str,
    Field(pattern=r"^(?:arn:aws[\w-]*:rds:[\w-]+:\d{12}:db:)?[A-Za-z](?:-?[A-Za-z0-9])*$"),
    AfterValidator(spec_limits.identifier),
]
OwnInstanceId = Annotated[InstanceId, AfterValidator(spec_limits.identifier_alone)]

NonEmpty = Annotated[str, Field(min_length=1)]
Tags = Annotated[Mapping[str, str], AfterValidator(spec_limits.tags)]


def _one_or_more(value: Any) -> Any:
    if not isinstance(value, (str, list, tuple)):
        raise ValueError("write a dsn in quotes, or a list of them")
    return (value,) if isinstance(value, str) else value


_Dsns = Annotated[tuple[str, ...], Field(min_length=1)]
Dsns = Annotated[_Dsns, BeforeValidator(_one_or_more, json_schema_input_type=str | _Dsns)]
"""One dsn, or a list of them."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=False, defer_build=True)


class Aws(_Table):
    region: str | None = Field(default=None, pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")
    profile: NonEmpty | None = None
    account: str | None = Field(default=None, pattern=r"^\d{12}$")


SslMode = Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]


class Primary(_Table):
    instance: InstanceId | None = None
    dsn: str | None = None
    database: Name = "postgres"
    admin_secret: NonEmpty | None = None
    auth: Literal["password", "iam"] = "password"
    sslmode: SslMode | None = None
    sslrootcert: str | None = None

    @model_validator(mode="after")
    def _addressed(self) -> Primary:
        _check_address(self.instance, (self.dsn,) if self.dsn is not None else None)
        return self


LogType = Literal["iam-db-auth-error", "postgresql", "upgrade"]


class Replica(_Table):
    """The replica. On RDS, what is ``None`` is left as it is."""

    instance: OwnInstanceId | None = None
    dsn: Dsns | None = None
    source: InstanceId | None = None
    kms_key: NonEmpty | None = None
    instance_class: str | None = Field(None, alias="class", pattern=r"^db\.[a-z0-9-]+\.[a-z0-9]+$")
    publicly_accessible: bool = True
    subnet_group: NonEmpty = "auto"
    parameters: Mapping[str, str] = Field(default_factory=dict)
    deletion_protection: bool = True
    iam_authentication: bool = False
    ca_certificate: str | None = Field(default=None, pattern=r"^[A-Za-z][A-Za-z0-9-]*$")
    log_exports: tuple[LogType, ...] = ("postgresql", "upgrade")
    monitoring_interval: Literal[0, 1, 5, 10, 15, 30, 60] | None = None
    monitoring_role: str | None = Field(default=None, pattern=r"^arn:aws[\w-]*:iam::\d{12}:role/.+$")
    performance_insights: bool | None = None
    tags: Tags = Field(default_factory=dict)

    @model_validator(mode="after")
    def _addressed(self) -> Replica:
        _check_address(self.instance, self.dsn)
        return self

    @field_validator("log_exports")
    @classmethod
    def _each_once(cls, value: tuple[LogType, ...]) -> tuple[LogType, ...]:
        return tuple(dict.fromkeys(value))

    @model_validator(mode="after")
    def _monitored(self) -> Replica:
        if self.monitoring_interval and self.monitoring_role is None:
            raise ValueError("monitoring_interval needs monitoring_role, the ARN of a role that RDS may use for it")
        if self.monitoring_role is not None and not self.monitoring_interval:
            raise ValueError("monitoring_role does nothing without a monitoring_interval of 1 to 60 seconds")
        return self


def _check_address(instance: str | None, dsns: tuple[str, ...] | None) -> None:
    if (instance is None) == (dsns is None):
        raise ValueError("give either instance (RDS) or dsn (any server)")
    if wrong := list(_wrong_dsns(dsns or ())):
        raise ValidationError.from_exception_data("dsn", wrong)


def _wrong_dsns(dsns: tuple[str, ...]) -> Iterator[InitErrorDetails]:
    """Yield what is wrong with each, at its place and without the dsn itself: there may be a password in it."""
    for number, dsn in enumerate(dsns):
        place = ("dsn", number) if len(dsns) > 1 else ("dsn",)
        if re.search(r"password\s*=|^postgres(ql)?://[^/@]*:[^/@]*@", dsn):
            advice = "use PGPASSWORD, a pgpass file or admin_secret"
            message = PydanticCustomError("password", f"a password does not belong into the spec: {advice}")
            yield InitErrorDetails(type=message, loc=place, input=None)
        if (first := dsns.index(dsn)) != number:
            message = PydanticCustomError("duplicate", "is the same as dsn[{first}]", {"first": first + 1})
            yield InitErrorDetails(type=message, loc=place, input=None)


class Allow(_Table):
    """Who may connect: a network, a managed prefix list, or the members of another security group."""

    cidr: str | None = None
    prefix_list: str | None = Field(default=None, pattern=r"^pl-[0-9a-f]+$")
    security_group: str | None = Field(default=None, min_length=1)
    note: Annotated[str, AfterValidator(spec_limits.note)] = Field(default="", max_length=200)
    expires: date | None = None

    @field_validator("cidr")
    @classmethod
    def _canonical(cls, value: str | None) -> str | None:
        return None if value is None else spec_limits.network(value)

    @model_validator(mode="after")
    def _one_source(self) -> Allow:
        if sum(source is not None for source in (self.cidr, self.prefix_list, self.security_group)) != 1:
            raise ValueError("give exactly one of cidr, prefix_list and security_group")
        return self

    @property
    def source(self) -> str:
        """Who it is, as the spec says it."""
        return self.cidr or self.prefix_list or self.security_group or ""


class Network(_Table):
    security_groups: tuple[NonEmpty, ...] = ()
    allow: tuple[Allow, ...] = ()


Settings = Mapping[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_$.]*$")], str]


class RoleSpec(_Table):
    comment: str | None = None
    member_of: tuple[RoleName, ...] = ()
    settings: Settings = Field(default_factory=dict)


class UserSpec(RoleSpec):
    auth: Literal["password", "iam"] = "password"
    connection_limit: int = Field(-1, ge=-1, le=2**31 - 1)
    valid_until: date | None = None
    secret: str | None = None


class GrantSpec(_Table):
    to: RoleName
    databases: tuple[Name, ...] = Field(min_length=1)
    schemas: tuple[Name, ...] = ("*",)
    exclude: tuple[str, ...] = ()
    privileges: tuple[Literal["read", "execute"], ...] = ("read",)
    creators: Literal["auto"] | tuple[Name, ...] = "auto"
    future: bool = True

    @field_validator("exclude")
    @classmethod
    def _parsable(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            Exclusion.parse(text)
        return value

    @field_validator("privileges")
    @classmethod
    def _reads(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if "read" not in value:
            raise ValueError('every grant is for reading: write ["read"] or ["read", "execute"]')
        return value


class AcceptSpec(_Table):
    """Findings of an audit that somebody has looked at and accepts; names may be patterns.

    :param message: the sentence of the finding: with it, what is found there later is not accepted unseen.
    """

    rule: str = Field(pattern=r"^[a-z*?][a-z0-9*?-]*$")
    subject: str = Field(default="*", min_length=1)
    object: str = "*"
    database: str = Field(default="*", min_length=1)
    message: str = Field(default="*", min_length=1)
    reason: str = Field(min_length=1)
    until: date | None = None

    @model_validator(mode="after")
    def _means_something(self) -> AcceptSpec:
        said = (self.rule, self.subject, self.object, self.database, self.message)
        if all(pattern and not pattern.strip("*?") for pattern in said):
            raise ValueError("accepts whatever is found; name a rule, a family of them (login-*), or a subject")
        return self


class Spec(_Table):
    """The declared access.

    `roles` and `users` are readers: groups and logins. Everything else is what design.md's section "Spec" says.
    """

    _directory: Path = PrivateAttr(default=Path())

    version: Literal[1]
    aws: Aws = Field(default_factory=Aws)
    primary: Primary
    replica: Replica | None = None
    network: Network = Field(default_factory=Network)
    roles: Mapping[RoleName, RoleSpec] = Field(default_factory=dict)
    users: Mapping[RoleName, UserSpec] = Field(default_factory=dict)
    grants: tuple[GrantSpec, ...] = ()
    accepted: tuple[AcceptSpec, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Spec:
        if undefined := list(self._undefined()):
            raise ValidationError.from_exception_data("spec", undefined)
        if both := sorted(set(self.roles) & set(self.users)):
            raise ValueError(f"{shown(both[0])} is a role and a user; one role cannot be both")
        if self.replica is not None and (self.primary.instance is None) != (self.replica.instance is None):
            raise ValueError("primary and replica must both be RDS instances or both be given by dsn")
        names = [each.instance.lower() for each in (self.primary, self.replica) if each and each.instance]
        if len(names) == 2 and names[0] == names[1]:
            raise ValueError("replica.instance is the primary; choose another name for the replica")
        self._no_membership_cycle()
        return self

    def _undefined(self) -> Iterator[InitErrorDetails]:
        """Yield, each at its place, the names of roles that this spec does not define."""
        for kind, roles in (("roles", self.roles), ("users", self.users)):
            for name, role in roles.items():
                for group in role.member_of:
                    if group not in self.roles:
                        yield _undefined((kind, name, "member_of"), group, "no role", self.roles)
        for number, grant in enumerate(self.grants):
            if grant.to not in self.roles and grant.to not in self.users:
                yield _undefined(("grants", number, "to"), grant.to, "no role or user", {**self.roles, **self.users})

    def _no_membership_cycle(self) -> None:
        for start in self.roles:
            seen, todo = set[str](), list(self.roles[start].member_of)
            while todo:
                name = todo.pop()
                if name == start:
                    raise ValueError(f"roles.{shown(start)} is a member of itself through member_of")
                if name not in seen:
                    seen.add(name)
                    todo.extend(self.roles[name].member_of)

    @property
    def directory(self) -> Path:
        """Where the spec is: relative file names in it mean files there, wherever the program runs."""
        return self._directory

    @property
    def on_rds(self) -> bool:
        return self.primary.instance is not None

    def groups_of(self, name: str) -> set[str]:
        """Return the roles of this spec that `name` is in, directly or through others, itself included."""
        found, todo = set[str](), [name]
        while todo:
            if (role := todo.pop()) not in found:
                found.add(role)
                declared = self.roles.get(role) or self.users.get(role)
                todo.extend(declared.member_of if declared else ())
        return found

    def grants_of(self, name: str) -> Iterator[GrantSpec]:
        """Yield the grants that reach `name`, directly or through a group."""
        groups = self.groups_of(name)
        return (grant for grant in self.grants if grant.to in groups)

    def first_database_of(self, user: str) -> str | None:
        """Return the first database that the grants of `user` name as it stands; ``None`` where all are patterns."""
        named = (name for grant in self.grants_of(user) for name in grant.databases if not is_glob(name))
        return next(named, None)

    def secret_of(self, user: str) -> str:
        """Return where the password of `user` is kept: a Secrets Manager id, or ``file:PATH``."""
        declared = self.users[user].secret
        if declared is not None:
            return declared
        plain = quote(user, safe="")
        # Secrets Manager knows neither a percent sign nor a tilde.
        return (
            f"replica-access/{plain.replace('~', '%7E').replace('%', '=')}" if self.on_rds else f"file:{plain}.password"
        )


def _undefined(
    place: tuple[int | str, ...], name: str, what: LiteralString, defined: Iterable[str]
) -> InitErrorDetails:
    context = {"name": shown(name), "defined": ", ".join(map(shown, defined)) or "none"}
    message = PydanticCustomError(
        "undefined", f"names {{name}}, which is {what} of this spec; defined are: {{defined}}", context
    )
    return InitErrorDetails(type=message, loc=place, input=None)


# --- files -----------------------------------------------------------------------------------------------------------


def load(path: Path) -> Spec:
    """Read and validate `path`.

    :raises SpecError: names everything that is wrong at once, each with its line where that is known.
    """
    try:
        if not (path.is_file() or path.is_fifo() or path.is_dir()) and path.exists():
            raise SpecError(f"{path} is no file.", "Name yours with --spec FILE.")
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise SpecError(
            f"There is no spec {path}.", "Write one with `replica-access init`, or name yours with --spec FILE."
        ) from None
    except IsADirectoryError:
        raise SpecError(f"{path} is a directory.", "Name the file with --spec FILE.") from None
    except UnicodeDecodeError as error:
        raise SpecError(f"{path} is not UTF-8 (byte {error.start}).", "Save it as UTF-8, as TOML requires.") from None
    except OSError as error:
        raise SpecError(
            f"{path} cannot be read: {error.strerror}.", "Check its permissions, or name yours with --spec FILE."
        ) from None
    return parse(text, str(path), path.parent)


def parse(text: str, origin: str = "spec", directory: Path = Path()) -> Spec:
    """Validate `text`; `origin` is the file name that errors mention.

    :param directory: where relative file names in it begin.
    :raises SpecError: as `load` does.
    """
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"{origin} is not TOML: {error}.", "Mend that line.") from None
    try:
        spec = Spec.model_validate(values)
    except ValidationError as error:
        from replica_access.spec_problems import sentences

        problems = "\n".join(sentences(error, values, text, origin))
        raise SpecError(problems, "`replica-access init` writes a commented example.") from None
    spec._directory = directory
    return spec


def valid_until_text(day: date) -> str:
    """Return the last moment of `day` in UTC, as VALID UNTIL takes it: a login works until the day named is over."""
    return f"{day.isoformat()} 23:59:59+00"

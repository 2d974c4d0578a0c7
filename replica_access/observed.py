"""What an audit looks at, as servers and AWS tell it: frozen values, and nothing that can ask or change anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from replica_access.catalog import Cluster
from replica_access.findings import NotChecked
from replica_access.model import Address, BlockedObject, Change, Oid

if TYPE_CHECKING:
    from replica_access.aws_commands import Commands

# --- a server --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Replication:
    """How a replica stands to its primary.

    :param system_identifier: its own.
    :param lag_ms: milliseconds between now and the last commit that was replayed; an idle primary makes it grow.
    :param paused: and `streaming`: ``None`` where the server does not tell.
    :param apply_delay: ``recovery_min_apply_delay``: by how much it is behind on purpose.
    :param primary_system: the identifier of the primary; ``None`` where that could not be asked.
    :param caught_up: whether it has all that the primary had committed; ``None`` where nobody could tell.
    :param detail: what stands, in a sentence.
    """

    in_recovery: bool
    system_identifier: str
    lag_ms: float | None
    paused: bool | None
    streaming: bool | None
    apply_delay: str = "0"
    primary_system: str | None = None
    caught_up: bool | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Whether a replica's catalogs say of the readers what the primary's say.

    :param database: ``None``: the shared ones.
    """

    database: str | None
    agreed: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Server:
    """One server, as the admin sees it.

    :param name: as people know it.
    :param asker: the role that looked, which need not be the admin.
    :param settings: by name, as ``pg_settings`` has them for a session without settings of its own.
    :param refuses_plain: whether it refuses sessions without TLS; ``None`` where nobody can tell.
    :param plain_detail: what came of trying; empty where there was nothing to try, on a socket.
    :param replication: ``None`` for the primary.
    """

    name: str
    cluster: Cluster
    settings: Mapping[str, str]
    asker: Oid
    refuses_plain: bool | None = None
    plain_detail: str = ""
    replication: Replication | None = None
    comparisons: tuple[Comparison, ...] = ()


# --- what stands around them -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Machine:
    """A DB instance of RDS; see the fields of the same names of ``aws.landscape.Instance``.

    :param certificate_until: the last day of its certificate, as a date of ISO 8601; empty where RDS does not tell.
    """

    identifier: str
    source: str | None
    status: str
    replication: tuple[str, ...] = ()
    publicly_accessible: bool = False
    deletion_protection: bool = False
    encrypted: bool = False
    log_exports: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    parameter_groups: Mapping[str, str] = field(default_factory=dict)
    certificate_authority: str = ""
    certificate_until: str = ""


@dataclass(frozen=True, slots=True)
class Opening:
    """One rule of a security group that lets somebody in to the port of the servers.

    :param source: a network, a prefix list or another group, as the rule names it.
    :param ports: where to, in words.
    :param rule: its id; empty where rules could not be seen one by one.
    :param about: its description.
    :param wide: what of it is wider than may be let in unasked, in words; empty where nothing is.
    """

    source: str
    ports: str
    rule: str
    about: str
    wide: tuple[str, ...] = ()

    @property
    def to_everybody(self) -> bool:
        return self.source in {"0.0.0.0/0", "::/0"}


@dataclass(frozen=True, slots=True)
class Group:
    """A security group that the replica has.

    :param ours: whether it was made for the replica, and its rules are compared with the spec one by one.
    :param declared: whether the spec names it.
    :param on_primary: whether the primary has it too.
    :param openings: its rules that let somebody in to the port.
    :param beyond: those of them that let in somebody whom the spec does not.
    :param together: what narrow ones of them add up to, where that is wider than may be let in unasked, in words.
    """

    id: str
    name: str
    ours: bool
    declared: bool
    on_primary: bool
    openings: tuple[Opening, ...] = ()
    beyond: tuple[Opening, ...] = ()
    together: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What stands around the servers in AWS.

    :param wanted: the identifier of the replica that the spec wants; ``None`` where it wants none.
    :param replica: ``None`` where there is none.
    :param addresses: every entry of the spec, and every rule of our group beyond it.
    :param changes: what a plan would do in AWS, and `blocked` why it cannot be made.
    :param unseen: what could not be looked at.
    """

    commands: Commands
    port: int
    primary: Machine
    wanted: str | None
    replica: Machine | None
    addresses: tuple[Address, ...] = ()
    groups: tuple[Group, ...] = ()
    changes: tuple[Change, ...] = ()
    blocked: tuple[BlockedObject, ...] = ()
    unseen: tuple[NotChecked, ...] = ()

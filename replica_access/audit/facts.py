"""Everything that an audit looked at, in one frozen value; what it could not look at is in it too, with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from replica_access.audit.realm import Realm
from replica_access.findings import NotChecked
from replica_access.model import Plan
from replica_access.names import legible
from replica_access.observed import Server, Surroundings
from replica_access.spec import Spec


@dataclass(frozen=True, slots=True)
class Facts:
    """What the rules judge. What is ``None`` or empty was not looked at, and then `not_checked` says why.

    :param today: in UTC.
    :param primary: ``None`` where it could not be asked.
    :param surroundings: ``None`` where the servers are not on RDS, or AWS could not be asked.
    :param plan: what the primary lacks, and has beyond the spec.
    :param realms: the databases of the server whose roles are judged.
    :param alone: whether the replicas alone were to be looked at, and not the primary.
    :param passwords: the day on which the stored password of a user was written, where that is known here.
    """

    spec: Spec
    today: date
    primary: Server | None = None
    replicas: tuple[Server, ...] = ()
    surroundings: Surroundings | None = None
    plan: Plan | None = None
    realms: tuple[Realm, ...] = ()
    passwords: Mapping[str, date] = field(default_factory=dict)
    not_checked: tuple[NotChecked, ...] = ()
    alone: bool = False

    @property
    def servers(self) -> tuple[Server, ...]:
        return (*((self.primary,) if self.primary is not None else ()), *self.replicas)

    @property
    def roles(self) -> Server | None:
        """The server whose roles are judged: the primary, or, where that could not be asked, a replica of it."""
        return next(iter(self.servers), None)

    @property
    def unseen(self) -> tuple[NotChecked, ...]:
        around = self.surroundings.unseen if self.surroundings is not None else ()
        untried = [server for server in self.servers if server.refuses_plain is None and server.plain_detail]
        plain = (NotChecked(f"whether {legible(each.name)} insists on TLS", each.plain_detail) for each in untried)
        return (*self.not_checked, *around, *plain)

    @property
    def is_incomplete(self) -> bool:
        return bool(self.unseen)

"""Where the servers live: RDS, or anywhere a dsn leads to.

The workflow asks these few things of either, and does not care which it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from replica_access.errors import Error, UsageError
from replica_access.model import Change, Check, Login, Plan, Secret, shown
from replica_access.progress import Progress
from replica_access.spec import Spec


class Hosting(Protocol):
    """What stands around the servers."""

    def look(self) -> tuple[tuple[Check, ...], Plan]:
        """Look at everything around the servers: what stands in the way, and what has to be made or changed."""

    def primary(self) -> Login:
        """Return how the admin logs in to the primary."""

    def replica(self) -> Login | None:
        """Return how the admin logs in to the replica; ``None`` where there is none (yet)."""

    def execute(self, change: Change, progress: Progress) -> None:
        """Carry out one change of the plan that `look` made, and wait until it holds."""

    def password(self, user: str) -> Secret | None:
        """Return the stored password of `user`, or ``None`` where none is stored."""

    def store_password(self, user: str, password: Secret) -> None:
        """Store the password of `user`, before any server learns of it."""


class PlainHosting:
    """A pair of servers given by dsn: nothing around them is ours to look at or change."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec

    def look(self) -> tuple[tuple[Check, ...], Plan]:
        """Look whether the replica is one, and lets the admin in: otherwise nothing could be proved in the end."""
        replica = self.replica()
        return ((self._replica_check(replica),) if replica is not None else ()), Plan()

    def primary(self) -> Login:
        return self._login(self.spec.primary.dsn or "")

    def replica(self) -> Login | None:
        replica = self.spec.replica
        return self._login(replica.dsn) if replica is not None and replica.dsn is not None else None

    def execute(self, change: Change, progress: Progress) -> None:
        raise NotImplementedError(f"nothing around a dsn is changed: {change.summary}")

    def password(self, user: str) -> Secret | None:
        from replica_access import passwords

        return passwords.read_file(self._file(user))

    def store_password(self, user: str, password: Secret) -> None:
        from replica_access import passwords

        passwords.write_file(self._file(user), password)

    def _replica_check(self, login: Login) -> Check:
        from replica_access.postgres.catalog import read_cluster
        from replica_access.postgres.connect import connect

        try:
            with connect(login, read_only=True) as connection:
                is_replica = read_cluster(connection).in_recovery
        except Error as error:
            return Check("replica", "problem", error.what, error.fix)
        where = f"{shown(login.server)}:{login.parameters.get('port', '5432')}"
        if is_replica:
            return Check("replica", "ok", f"{where} is in recovery")
        reason = f"{where} is not in recovery: it is a primary, or was promoted"
        return Check("replica", "problem", reason, "Name the replica in replica.dsn of the spec.")

    def _file(self, user: str) -> Path:
        from replica_access import passwords

        secret = self.spec.secret_of(user)
        if not passwords.is_file(secret):
            raise UsageError(
                f"users.{shown(user)}.secret is {secret}: without RDS there is no Secrets Manager.",
                "Write file:PATH.",
            )
        return passwords.path_of(secret)

    def _login(self, dsn: str) -> Login:
        from replica_access.postgres.connect import parse_dsn

        parameters = parse_dsn(dsn)
        for key in ("sslmode", "sslrootcert"):
            if (value := getattr(self.spec.primary, key)) is not None:
                parameters.setdefault(key, value)
        named = parameters.pop("dbname", None)
        database = named if named is not None else self.spec.primary.database
        return Login(parameters.get("host", "localhost"), parameters, database)


def stored_passwords(hosting: Hosting, users: Iterable[str]) -> frozenset[str]:
    """Return those of `users` whose password is stored."""
    return frozenset(user for user in users if hosting.password(user) is not None)

"""Where the servers live: RDS, or anywhere a dsn leads to.

The workflow asks these few things of either, and does not care which it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from replica_access.errors import Error, UsageError
from replica_access.model import UNASKED, Change, Check, Login, Plan, Request, Secret
from replica_access.names import legible, shown
from replica_access.progress import Progress
from replica_access.spec import Spec

if TYPE_CHECKING:
    from replica_access.observed import Surroundings


class Hosting(Protocol):
    """What stands around the servers."""

    def look(self, request: Request = UNASKED) -> tuple[tuple[Check, ...], Plan]:
        """Look at everything around the servers: what stands in the way, and what has to be made or changed."""

    def surroundings(self, today: date) -> Surroundings | None:
        """Return what an audit has to know of what stands around the servers; ``None`` where nothing of it is ours."""

    def look_for_removal(self) -> tuple[tuple[Check, ...], Plan]:
        """Look for everything that was made around the servers, and what has to go for it to be gone."""

    def primary(self) -> Login:
        """Return how the admin logs in to the primary."""

    def admin_name(self) -> str | None:
        """Return the name of the admin, whoever logs in; ``None`` where nothing but the server could tell."""

    def replicas(self) -> Mapping[str, Login]:
        """Return how the admin logs in to each replica, by the name that people know it by; empty: none (yet)."""

    def execute(self, change: Change, progress: Progress) -> None:
        """Carry out one change of the plan that `look` made, and wait until it holds."""

    def endpoints(self) -> Mapping[str, Login]:
        """Return where each replica is, by the same names, without the admin's credentials: for `as_user`."""

    def as_user(self, login: Login, user: str) -> Login | None:
        """Return how `user` logs in where `login` leads, or ``None`` where no password of theirs is stored."""

    def password(self, user: str) -> Secret | None:
        """Return the stored password of `user`, or ``None`` where none is stored; one who logs in by IAM has none."""

    def keeps_password(self, user: str) -> bool:
        """Return whether the password of `user` is stored, or will be when what `look` planned is carried out."""

    def password_written_on(self, user: str) -> date | None:
        """Return the day, in UTC, on which the stored password of `user` was written.

        ``None`` where it is in a file that this machine has not: only the one that has it can tell.

        :raises Error: where it is stored could not be looked at, or has none.
        """

    def store_password(self, user: str, password: Secret) -> None:
        """Store the password of `user`, before any server learns of it."""

    def forget_password(self, user: str) -> str:
        """Delete the password of `user` where it is stored and is nobody else's; return what came of it, if anything.

        :raises Error: it could not be deleted.
        """


_FILES = {"passfile", "sslcert", "sslcrl", "sslcrldir", "sslkey", "sslrootcert"}
"""Parameters of libpq that name a file."""


class PlainHosting:
    """A primary and its replicas, given by dsn: nothing around them is ours to look at or change."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec

    def look(self, request: Request = UNASKED) -> tuple[tuple[Check, ...], Plan]:  # noqa: ARG002
        """Look whether each replica is one, and lets the admin in: otherwise nothing could be proved in the end."""
        replicas = self.replicas()
        several = len(replicas) > 1
        checks = (_replica_check(f"replica {name}" if several else "replica", it) for name, it in replicas.items())
        return tuple(checks), Plan()

    def surroundings(self, today: date) -> None:
        del today

    def look_for_removal(self) -> tuple[tuple[Check, ...], Plan]:
        return (), Plan()

    def primary(self) -> Login:
        return self._login(self.spec.primary.dsn or "")

    def admin_name(self) -> None:
        return None

    def replicas(self) -> Mapping[str, Login]:
        dsns = self.spec.replica.dsn if self.spec.replica is not None else None
        replicas: dict[str, Login] = {}
        for number, dsn in enumerate(dsns or (), 1):
            login = self._login(dsn)
            name = address_of(login)
            replicas[name if name not in replicas else f"{name} (replica.dsn[{number}])"] = login
        return replicas

    def endpoints(self) -> Mapping[str, Login]:
        return self.replicas()

    def as_user(self, login: Login, user: str) -> Login | None:
        password = self.password(user)
        return login.as_user(user, password) if password is not None else None

    def execute(self, change: Change, progress: Progress) -> None:
        raise NotImplementedError(f"nothing around a dsn is changed: {change.summary}")

    def password(self, user: str) -> Secret | None:
        from replica_access import passwords

        return passwords.read_file(self._file(user))

    def keeps_password(self, user: str) -> bool:
        return self.password(user) is not None

    def password_written_on(self, user: str) -> date | None:
        from replica_access import passwords

        return passwords.written_on(self._file(user))

    def store_password(self, user: str, password: Secret) -> None:
        from replica_access import passwords

        passwords.write_file(self._file(user), password)

    def forget_password(self, user: str) -> str:
        return forget_file(self.spec, user, self._file(user)) if self.spec.users[user].auth == "password" else ""

    def _file(self, user: str) -> Path:
        from replica_access import passwords

        secret = self.spec.secret_of(user)
        if not passwords.is_file(secret):
            raise UsageError(
                f"users.{shown(user)}.secret is {secret}: without RDS there is no Secrets Manager.",
                "Write file:PATH.",
            )
        return passwords.path_of(secret, self.spec.directory)

    def _login(self, dsn: str) -> Login:
        from replica_access.postgres.connect import parse_dsn

        parameters = parse_dsn(dsn)
        for key in ("sslmode", "sslrootcert"):
            if (value := getattr(self.spec.primary, key)) is not None:
                parameters.setdefault(key, value)
        for key in _FILES & parameters.keys():
            if parameters[key] not in {"", "system"}:
                parameters[key] = str(self.spec.directory / Path(parameters[key]).expanduser())
        named = parameters.pop("dbname", None)
        database = named if named is not None else self.spec.primary.database
        server = next((parameters[key] for key in ("host", "hostaddr", "service") if key in parameters), "localhost")
        return Login(server, parameters, database)


def _replica_check(name: str, login: Login) -> Check:
    from replica_access.postgres.catalog import read_cluster
    from replica_access.postgres.connect import connect

    try:
        with connect(login, read_only=True) as connection:
            is_replica = read_cluster(connection).in_recovery
    except Error as error:
        return Check(name, "problem", error.what, error.fix)
    if is_replica:
        return Check(name, "ok", f"{address_of(login)} is in recovery")
    reason = f"{address_of(login)} is not in recovery: it is a primary, or was promoted"
    return Check(name, "problem", reason, "Name the replica in replica.dsn of the spec.")


def address_of(login: Login) -> str:
    port = login.parameters.get("port")
    if port is None and "service" in login.parameters:  # which knows the port, and we do not
        return legible(login.server)
    return f"{legible(login.server)}:{legible(port or '5432')}"


def stored_passwords(hosting: Hosting, users: Iterable[str]) -> frozenset[str]:
    """Return those of `users` whose password is stored, or comes back with what is planned."""
    return frozenset(filter(hosting.keeps_password, users))


def forget_file(spec: Spec, user: str, path: Path) -> str:
    """Delete the file that has the password of `user`; return what came of it, if anything.

    :raises UsageError: it cannot be deleted.
    """
    from replica_access import passwords

    return shared_with(spec, user) or (f"deleted {spec.secret_of(user)}" if passwords.delete_file(path) else "")


def shared_with(spec: Spec, user: str) -> str:
    """Return that the secret of `user` is somebody else's, too, where it is."""
    secret = spec.secret_of(user)
    others = (name for name, each in spec.users.items() if name != user and each.auth == "password")
    other = next((name for name in others if spec.secret_of(name) == secret), None)
    return f"{secret} stays: it is that of {shown(other)}, too" if other is not None else ""

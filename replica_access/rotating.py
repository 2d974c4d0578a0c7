"""Another password for a login, as `workflow` makes the first one.

::

    whom        the users that can get one
    look        what would be done, and what stands in its way; changes nothing
    rotate      store it, then set it on the primary, then log in with it on every replica

It is stored first: a stop in between loses none, and the same command makes another one. Where the primary refuses it,
the former one is stored again, which is still the one that it knows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any

from replica_access import passwords, workflow
from replica_access.catalog import Cluster
from replica_access.errors import ConnectionFailed, DatabaseError, Error, Interrupted, NotEffective, UsageError
from replica_access.model import Login, Plan, Secret
from replica_access.names import legible, shown
from replica_access.outlook import Outlook
from replica_access.progress import Progress

if TYPE_CHECKING:
    from replica_access.hosting import Hosting
    from replica_access.postgres.apply import Replan
    from replica_access.spec import Spec
    from replica_access.state import State

NO_ANSWER = {"", "08", "57"}
"""Classes of SQLSTATE after which nobody knows what was committed: none at all, no connection, a server that stops."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A user who gets no other password, and why."""

    user: str
    reason: str


@dataclass(frozen=True, slots=True)
class Whom:
    """Who gets another password, and who of all of them does not."""

    users: tuple[str, ...]
    skipped: tuple[Skipped, ...] = ()


@dataclass(frozen=True, slots=True)
class Proved:
    """What one server says of the new password.

    :param server: the name of the replica, or of the primary where there is no replica.
    :param refused: why it was not let in; empty where it was.
    :param former: whether the former one is refused; ``None`` where there was none, or that could not be tried.
    """

    server: str
    refused: str = ""
    former: bool | None = None


@dataclass(frozen=True, slots=True)
class Rotated:
    """What became of one user."""

    user: str
    secret: str
    proved: tuple[Proved, ...] = ()


@dataclass(slots=True)
class Result:
    """What a run did, in order; `failed` is who was at it when the error came."""

    rotated: list[Rotated] = field(default_factory=list)
    failed: str | None = None
    error: Error | None = None


def whom(spec: Spec, names: Sequence[str], today: date) -> Whom:
    """Return the users `names`; where there are none, all that have a password.

    :raises UsageError: one of them is no user of the spec, or logs in by IAM.
    :raises Error: one of them has expired.
    """
    from replica_access import users

    if names:
        for name in names:
            users.require(spec, name, today)
            if spec.users[name].auth == "iam":
                raise UsageError(
                    f"{shown(name)} logs in by IAM and has no password: each of its tokens ends after 15 minutes.",
                    f"To shut it out, run `replica-access user drop {shown(name)}`.",
                )
        return Whom(tuple(dict.fromkeys(names)))
    reasons = {name: _reason(spec, name, today) for name in spec.users}
    found = tuple(name for name, reason in reasons.items() if not reason)
    if not found:
        raise UsageError("No user of the spec has a password that could be another one.", "See `user list`.")
    return Whom(found, tuple(Skipped(name, reason) for name, reason in reasons.items() if reason))


def _reason(spec: Spec, name: str, today: date) -> str:
    user = spec.users[name]
    if user.auth == "iam":
        return "logs in by IAM and has no password"
    return "has expired" if user.valid_until is not None and user.valid_until < today else ""


# --- look ------------------------------------------------------------------------------------------------------------


def look(spec: Spec, hosting: Hosting, users: Collection[str], known: State | None, progress: Progress) -> Outlook:
    """Look whether the admin may give `users` another password; what stands in the way is blocked.

    A role that is there, whose password is stored nowhere and that no run has made is somebody else's.

    :param known: what is known of earlier runs.
    :raises Error: the primary, or what keeps the passwords, could not be asked.
    """
    from replica_access.postgres.catalog import read_cluster
    from replica_access.postgres.connect import connect

    progress.stage("looking at the primary")
    stored = frozenset(user for user in users if hosting.password(user) is not None)
    with connect(hosting.primary(), read_only=True) as connection:
        cluster = read_cluster(connection)
    ours = stored | _made(cluster, known)
    plan = sum((_plan(spec, cluster, user, ours) for user in users), Plan())
    return Outlook((), cluster=plan, system_identifier=cluster.system_identifier, server=cluster)


def _made(cluster: Cluster, known: State | None) -> frozenset[str]:
    """Return the names of the roles that a run has made."""
    if known is None or known.system_identifier != cluster.system_identifier:
        return frozenset()
    there = ((name, role, cluster.role(name)) for name, role in known.roles.items())
    return frozenset(name for name, role, now in there if role.made and now is not None and now.oid == role.oid)


def _plan(spec: Spec, cluster: Cluster, user: str, ours: Collection[str]) -> Plan:
    from replica_access.postgres.diff_roles import another_password

    return another_password(cluster, user, spec.secret_of(user), is_ours=user in ours)


# --- rotate ----------------------------------------------------------------------------------------------------------


def rotate(spec: Spec, hosting: Hosting, users: Sequence[str], today: date, progress: Progress) -> Result:
    """Give each of `users` another password; the first that fails ends it."""
    result = Result()
    for user in users:
        result.failed = user
        try:
            progress.stage(f"giving {legible(user)} another password")
            former = _change(spec, hosting, user, progress)
            progress.stage(f"logging in as {legible(user)}")
            proved = tuple(_prove(spec, hosting, user, former, today))
        except Error as error:
            result.error = error
            return result
        except KeyboardInterrupt:
            fix = f"Run the same command again: {shown(user)} may have another password stored than the primary knows."
            result.error = Interrupted(fix)
            return result
        result.rotated.append(Rotated(user, spec.secret_of(user), proved))
    result.failed = None
    return result


def _change(spec: Spec, hosting: Hosting, user: str, progress: Progress) -> Secret | None:
    """Store another password and set it, while no other run can; return the former one."""
    from replica_access.postgres.apply import converge

    login, new = hosting.primary(), passwords.generate()
    former: list[Secret | None] = []
    done: list[str] = []

    def prepare(plan: Plan) -> Mapping[str, Secret]:
        if not former:
            former.append(hosting.password(user))
        if plan.changes:
            hosting.store_password(user, new)
        return {user: new}

    replan = _replan(partial(_plan, spec, user=user, ours={user}), done)
    try:
        changing = converge(
            login, login.database, replan=replan, agreed=None, left_out=False, prepare=prepare, progress=progress
        )
        done.extend(change.id for change in changing)  # each is there before the plan is made again
    except Error as error:
        if former and former[0] is not None and not done and _was_refused(error):
            hosting.store_password(user, former[0])
        raise
    return former[0] if former else None


def _replan(plan: Callable[[Cluster], Plan], done: Collection[str]) -> Replan:
    """Return how the plan is made again: no catalog tells what a password is, so that what was done is remembered."""
    from replica_access.postgres.catalog import read_cluster

    def replan(connection: Any, _: Cluster | None = None) -> tuple[Cluster, Plan]:
        found = read_cluster(connection)
        return found, Plan() if done else plan(found)

    return replan


def _was_refused(error: Error) -> bool:
    """Whether it is known that the primary has kept nothing."""
    is_answer = not isinstance(error, DatabaseError) or error.sqlstate[:2] not in NO_ANSWER
    return is_answer or isinstance(error, NotEffective)


# --- prove -----------------------------------------------------------------------------------------------------------


def _prove(spec: Spec, hosting: Hosting, user: str, former: Secret | None, today: date) -> Iterator[Proved]:
    """Log in with what is stored, on every replica once it has what the primary has, and be refused with `former`."""
    from replica_access.postgres.propagation import catch_up

    if spec.replica is None:
        login = hosting.as_user(hosting.primary(), user)
        if login is not None:
            yield _tried(login, former)
        return
    for name, replica in hosting.replicas().items():
        try:
            catch_up(hosting.primary(), replica)
            login = workflow.reach(spec, hosting, user, today=today, replica=name)
        except Error as error:
            yield Proved(legible(name), str(error))
        else:
            yield _tried(login, former)


def _tried(login: Login, former: Secret | None) -> Proved:
    from replica_access.postgres.session import log_in

    name = legible(login.server)
    try:
        log_in(login, login.database).close()
    except DatabaseError as error:
        return Proved(name, str(error))
    if former is None or former == login.password:
        return Proved(name)
    try:
        log_in(login.as_user(login.parameters["user"], former), login.database).close()
    except ConnectionFailed:
        return Proved(name, former=True)
    return Proved(name, former=False)

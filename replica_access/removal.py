"""Taking everything away, as `workflow` makes it.

::

    look        everything that was made for the replica, and what has to go for it to be gone; changes nothing
    destroy     first what is in AWS, then, where asked, the roles on the primary
    forget      what the next run has to know
    remaining   what of ours is still there
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from replica_access import workflow
from replica_access.catalog import Cluster
from replica_access.errors import AwsError, CredentialsError, Error
from replica_access.executing import interrupted
from replica_access.model import Change, Oid, Pending, Plan, Request
from replica_access.names import shown
from replica_access.outlook import EVERYTHING, Outlook
from replica_access.progress import Progress

if TYPE_CHECKING:  # these load pydantic, boto3 or psycopg; only the uses that need them do
    from replica_access.hosting import Hosting
    from replica_access.spec import Spec
    from replica_access.state import State

OF_THE_REPLICA = frozenset({"unprotect replica", "delete replica"})
"""Changes that all others wait for: an instance holds its groups."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What did not work.

    :param change: ``None`` where it was none in particular.
    """

    error: Error
    change: Change | None = None


@dataclass(slots=True)
class Removed:
    """What `destroy` has done so far, in order, what it could not do, and what it is about in AWS just now."""

    changes: list[Change] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    doing: Change | None = None


def replica_of(spec: Spec) -> str | None:
    """Return the name of the replica that `spec` has made on RDS, if it has one made."""
    from replica_access.aws.ownership import replica_identifier

    return replica_identifier(spec)


# --- look ------------------------------------------------------------------------------------------------------------


def look(
    spec: Spec, hosting: Hosting, progress: Progress, request: Request = EVERYTHING, *, with_users: bool = False
) -> Outlook:
    """Look for everything that was made for the replica, and work out what has to go; changes nothing.

    :param request: names the roles that runs have made, as departed: all of them leave.
    :param with_users: look for them on the primary; else nobody connects to it.
    """
    progress.stage("looking for everything that was made")
    if not with_users:
        checks, around = hosting.look_for_removal()
        return Outlook(checks, around + Plan(pending=_staying(spec)), request=request)
    with ThreadPoolExecutor(1) as pool:
        surroundings = pool.submit(hosting.look_for_removal)
        server = workflow.look_at_primary(without_readers(spec), hosting, request, stock=False)
        checks, around = surroundings.result()
    strangers = _strangers(spec, server.server, request.departed)
    return replace(server, checks=checks + server.checks, around=around + Plan(pending=strangers))


def without_readers(spec: Spec) -> Spec:
    """Return `spec` as if everybody had left it."""
    return spec.model_copy(update={"roles": {}, "users": {}, "grants": ()})


def _staying(spec: Spec) -> tuple[Pending, ...]:
    """Return the roles of `spec`, which nobody has asked to drop."""
    names = ", ".join(map(shown, (*spec.roles, *spec.users)))
    reason = "stay on the primary with all that they were granted; --with-users drops those that a run has made"
    return (Pending("roles", names, reason),) if names else ()


def _strangers(spec: Spec, server: Cluster | None, made: Mapping[str, Oid]) -> tuple[Pending, ...]:
    """Return the roles of `spec` that no run is known to have made, and that therefore stay."""
    found = ((name, server.role(name)) for name in (*spec.roles, *spec.users)) if server is not None else ()
    reason = "no run is known here to have made it: it stays, with all that it was granted"
    return tuple(
        Pending("role", shown(name), reason) for name, role in found if role is not None and made.get(name) != role.oid
    )


# --- destroy ---------------------------------------------------------------------------------------------------------


def destroy(spec: Spec, hosting: Hosting, outlook: Outlook, progress: Progress) -> Removed:
    """Carry out the plan of `outlook`; what cannot go keeps nothing else from going that can."""
    removed = Removed()
    try:
        if outlook.around.changes:
            progress.stage("taking away what was made in AWS")
        if _take_away(hosting, outlook.around.changes, progress, removed):
            # Whoever agreed to this agreed to all that these roles hold by now: nothing is asked again.
            roles = workflow.change_primary(without_readers(spec), hosting, outlook, progress, confirmed=False)
            removed.changes.extend(roles)  # what it did stays in it
    except Error as error:
        removed.failures.append(Failure(error))
    except KeyboardInterrupt:
        removed.failures.append(Failure(interrupted(removed.doing), removed.doing))
    return removed


def _take_away(hosting: Hosting, changes: Iterable[Change], progress: Progress, removed: Removed) -> bool:
    """Carry out `changes` around the servers, as far as they can be; return whether the rest can be gone on with.

    :param removed: is told of each as soon as it is done, or has failed.
    :raises CredentialsError: then nothing else will work either.
    """
    for change in changes:
        removed.doing = change
        try:
            hosting.execute(change, progress)
        except CredentialsError:
            raise
        except AwsError as error:
            removed.failures.append(Failure(error, change))
            if change.action in OF_THE_REPLICA:
                return False
        else:
            removed.changes.append(change)
            progress.done(change.summary)
    removed.doing = None
    return True


def forget(hosting: Hosting, known: State, declared: Iterable[str] = ()) -> State:
    """Return what is known of a server from which roles of ours were taken away: those that are still there.

    :param declared: the names that the spec still has.
    """
    from replica_access.postgres.catalog import read_cluster
    from replica_access.postgres.connect import connect

    with connect(hosting.primary(), read_only=True) as connection:
        server = read_cluster(connection)
    return known.with_roles({role.name: role.oid for role in server.roles.values()}, declared=declared, created=())


# --- what remains ----------------------------------------------------------------------------------------------------


def remaining(found: Outlook, removed: Removed) -> tuple[Pending, ...]:
    """Return what of ours `found` has still seen: what was made around the servers, and roles that were to leave.

    :param removed: what AWS has deleted is gone, though it may still show it for a moment.
    """
    done = {change.id for change in removed.changes}
    server, leaving = found.server, found.request.departed
    roles = [name for name, oid in leaving.items() if server and (role := server.role(name)) and role.oid == oid]
    reasons = {each.name: each.reason for each in found.plan.pending if each.kind == "role"}
    reasons |= {each.object.removeprefix("role "): each.reason for each in found.cluster.blocked}
    return (
        *(_thing(each) for each in found.around.changes if _is_an_end(each) and each.id not in done),
        *(Pending(*_apart(each.object), each.reason) for each in found.around.blocked),
        *(Pending("role", shown(name), reasons.get(shown(name), "")) for name in roles),
    )


def undone(planned: Outlook, removed: Removed) -> tuple[Pending, ...]:
    """Return what was planned and not done: what remains where nobody can look again."""
    done = {change.id for change in removed.changes}
    return tuple(_thing(change) for change in planned.plan.changes if _is_an_end(change) and change.id not in done)


def _is_an_end(change: Change) -> bool:
    return change.action.startswith(("delete ", "drop "))


def _thing(change: Change) -> Pending:
    return Pending(change.action.partition(" ")[2], change.object, "")


def _apart(thing: str) -> tuple[str, str]:
    kind, _, name = thing.rpartition(" ")
    return kind, name

"""The end of a login: a last day, or away with it and all that it holds.

::

    look_at_last_day    what a last day changes on the primary; changes nothing
    expire              that, and nothing else
    end_sessions        what the login still does, once nobody can log in as it
    look_at_departure   what has to be taken away for a login to be gone; changes nothing
    drop                that, last the role

What edits the spec, asks, and keeps the undo script is around it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from replica_access import removal, workflow
from replica_access.catalog import Cluster
from replica_access.errors import Blocked, Error
from replica_access.model import Change, Login, Plan, Request
from replica_access.names import legible, shown
from replica_access.outlook import Outlook
from replica_access.progress import Progress
from replica_access.side_by_side import in_each

if TYPE_CHECKING:
    from replica_access.hosting import Hosting
    from replica_access.spec import Spec
    from replica_access.state import State

MOST_OWNED = 20
"""So many objects are listed of each database."""


# --- a last day ------------------------------------------------------------------------------------------------------


def look_at_last_day(hosting: Hosting, name: str, valid_until: str, progress: Progress) -> Outlook:
    """Look what it takes that the login `name` ends with `valid_until`: nothing, where there is no such role.

    :raises Error: the primary could not be asked.
    """
    from replica_access.postgres.catalog import read_cluster
    from replica_access.postgres.connect import connect
    from replica_access.postgres.diff_roles import last_day

    progress.stage("looking at the primary")
    with connect(hosting.primary(), read_only=True) as connection:
        cluster = read_cluster(connection)
    plan = last_day(cluster, name, valid_until)
    return Outlook((), cluster=plan, system_identifier=cluster.system_identifier, server=cluster)


def expire(hosting: Hosting, name: str, valid_until: str, progress: Progress) -> Iterator[Change]:
    """Let the login `name` end with `valid_until`; yield what was changed, once it is committed."""
    from replica_access.postgres.apply import converge
    from replica_access.postgres.catalog import read_cluster
    from replica_access.postgres.diff_roles import last_day

    def replan(connection: Any, _: Cluster | None = None) -> tuple[Cluster, Plan]:
        found = read_cluster(connection)
        return found, last_day(found, name, valid_until)

    progress.stage("changing the primary")
    login = hosting.primary()
    yield from converge(
        login, login.database, replan=replan, agreed=None, left_out=False, prepare=lambda _: {}, progress=progress
    )


def end_sessions(hosting: Hosting, name: str, progress: Progress) -> Iterator[str]:
    """End what the login `name` still does on the replicas and on the primary; yield what is to be said of that."""
    from replica_access.postgres.catalog import read_cluster
    from replica_access.postgres.connect import connect
    from replica_access.postgres.departed import end_open_sessions
    from replica_access.postgres.propagation import catch_up

    progress.stage(f"ending the sessions of {legible(name)}")
    primary = hosting.primary()
    with connect(primary, read_only=True) as connection:
        role = read_cluster(connection).role(name)
    if role is None:
        return
    end = partial(end_open_sessions, roles={name: role.oid})
    yield from _said_of(primary.server, lambda: end(primary))
    for replica, login in hosting.replicas().items():

        def end_there(login: Login = login) -> Iterator[str]:
            catch_up(primary, login)
            yield from end(login)

        yield from _said_of(replica, end_there)


def _said_of(server: str, sentences: Callable[[], Iterable[str]]) -> Iterator[str]:
    """Yield `sentences` about `server`; that something is amiss with it is one, and keeps no other from being ended."""
    try:
        yield from (f"{legible(server)}: {sentence}" for sentence in sentences())
    except Error as error:
        yield f"{legible(server)}: {error}"


# --- away with it ----------------------------------------------------------------------------------------------------


def look_at_departure(spec: Spec, hosting: Hosting, name: str, known: State | None, progress: Progress) -> Outlook:
    """Look what has to be taken away for the login `name` to be gone, and nothing beside.

    :param known: what is known of earlier runs: a role that none of them has made is somebody else's.
    :raises Blocked: it is somebody else's, or there is something in the way.
    :raises Error: the primary could not be asked.
    """
    progress.stage("looking at the primary")
    made = known.roles.get(name) if known is not None else None
    departed = {name: made.oid} if made is not None and made.made else {}
    request = Request(allow_drop=True, departed=departed)
    outlook = workflow.look_at_primary(removal.without_readers(spec), hosting, request, stock=False)
    if outlook.server is None or known is None or known.system_identifier != outlook.system_identifier:
        departed = {}
    role = outlook.server.role(name) if outlook.server is not None else None
    if role is not None and departed.get(name) != role.oid:
        raise Blocked(
            f"The role {shown(name)} is there, and no run is known here to have made it: it may be somebody else's.",
            "Run this where the state file of the spec is; or take it out of the spec, and drop it yourself.",
        )
    if role is not None and any(pending.kind == "role" for pending in outlook.cluster.pending):
        raise _owner(hosting, outlook, name)
    if outlook.plan.blocked:
        listed = "\n".join(f"- {each.object}: {each.reason}\n    {each.fix}" for each in outlook.plan.blocked)
        raise Blocked(listed, "Nothing was changed: have that done by who may, then run the same command again.")
    if outlook.plan.pending:
        listed = "\n".join(f"- {each.kind} {each.name}: {each.reason}" for each in outlook.plan.pending)
        raise Blocked(f"{shown(name)} cannot be dropped, because something of it would stay:\n{listed}")
    return outlook


def _owner(hosting: Hosting, outlook: Outlook, name: str) -> Blocked:
    """Return that a role owns things, or is named in policies, which are never dropped with it: says which."""
    from replica_access.postgres.statements import quoted

    reasons = [pending.reason for pending in outlook.cluster.pending if pending.kind == "role"]
    owned = dict(_owned(hosting, outlook, name))
    listed = [f"- {reason}" for reason in reasons if not owned or "owns" not in reason]
    for database, objects in owned.items():
        some = ", ".join(map(legible, objects[:MOST_OWNED])) + (" …" if len(objects) > MOST_OWNED else "")
        listed.append(f"- {shown(database)}: {some}")
    fix = f"Give them to somebody else, REASSIGN OWNED BY {quoted(name)} TO … in each database, then run this again."
    what = f"{shown(name)} owns what nobody has asked to drop" if owned else f"{shown(name)} cannot be dropped"
    return Blocked("\n".join([f"{what}:", *listed]), fix)


def _owned(hosting: Hosting, outlook: Outlook, name: str) -> Iterator[tuple[str, list[str]]]:
    from replica_access.postgres.departed import owned_by

    server = outlook.server
    role = server.role(name) if server is not None else None
    if server is None or role is None:
        return
    login = hosting.primary()
    where = [database.name for database in server.databases.values() if database.name in outlook.databases]
    found = in_each(where or [login.database], lambda database: owned_by(login, database, role.oid))
    yield from ((database, objects) for database, objects in found.items() if objects)


def drop(spec: Spec, hosting: Hosting, outlook: Outlook, progress: Progress) -> Iterator[Change]:
    """Carry out the plan of `outlook`; yield what was changed, once it is committed."""
    # Whoever agreed to this agreed to all that the role holds by now: nothing is asked again.
    yield from workflow.change_primary(removal.without_readers(spec), hosting, outlook, progress, confirmed=False)


def follow(hosting: Hosting, outlook: Outlook, done: Iterable[Change], progress: Progress) -> Iterator[str]:
    """Wait until the replicas know that the login is gone, and end what it does there; yield what is to be said."""
    from replica_access.postgres.propagation import catch_up

    done = tuple(done)
    if not done:
        return
    progress.stage("waiting for the replicas")
    primary = hosting.primary()
    for replica, login in hosting.replicas().items():
        try:
            catch_up(primary, login)
        except Error as error:
            yield f"{legible(replica)}: {error}"
    yield from workflow.end_departed_sessions(hosting, outlook, done)

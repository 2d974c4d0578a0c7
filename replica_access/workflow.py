"""The table of contents: each use of the tool, stage by stage.

::

    look        everything that would stop `apply`, and what is missing; changes nothing (`check`, `plan`)
    take_stock  what there is, held against what the last run left behind (`grant`)
    apply       change AWS, then the primary, each step planned again under its lock; then prove it
    record      what the next run has to know of this one
    verify      the proof alone
    reach       how a user gets to a replica (`connect`)

What the stages do is in `aws` and `postgres`; nothing here prints, asks, or knows of a terminal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from replica_access import executing
from replica_access.catalog import Cluster
from replica_access.errors import DatabaseError, Error, Interrupted, PreflightFailed, UsageError
from replica_access.model import Change, Check, Login, Plan, Proof, Request, Secret
from replica_access.names import is_utf8, legible, shown
from replica_access.outlook import EVERYTHING, Applied, Outlook
from replica_access.progress import Progress
from replica_access.proofs import untried
from replica_access.side_by_side import in_each

if TYPE_CHECKING:  # these load pydantic, boto3 or psycopg; only the uses that need them do
    from replica_access.hosting import Hosting
    from replica_access.inventory import Inventory
    from replica_access.postgres.planning import Examined, Survey
    from replica_access.postgres.prove import NotChecked
    from replica_access.spec import Spec
    from replica_access.starter import Wishes
    from replica_access.state import KnownDatabase, State

REPLICA_TIMEOUT_S = 2 * 3600.0


def host(spec: Spec, *, timeout_s: float = REPLICA_TIMEOUT_S) -> Hosting:
    """Return where the servers of `spec` live.

    :param timeout_s: how long a replica may take to come up.
    :raises CredentialsError: AWS lets nobody in, or it is another account.
    """
    if spec.on_rds:
        from replica_access.aws.hosting import RdsHosting

        return RdsHosting.open(spec, timeout_s=timeout_s)
    from replica_access.hosting import PlainHosting

    return PlainHosting(spec)


# --- init ------------------------------------------------------------------------------------------------------------


def init(wishes: Wishes, progress: Progress, directory: Path) -> str:
    """Return the text of a starter spec; the databases are those of the primary, unless the wishes name some.

    :param directory: where the spec is going to be.
    :raises UsageError: the wishes contradict each other.
    :raises Error: the primary was to be asked, and could not be.
    """
    from replica_access import starter
    from replica_access.spec import parse

    starter.refuse_nonsense(wishes)
    databases = wishes.databases
    if not databases:
        progress.stage("asking the primary which databases it has")
        draft = parse(starter.render(wishes, ["*"]), "the starter spec", directory)
        databases = _databases(host(draft).primary())
    text = starter.render(wishes, databases)
    parse(text, "the starter spec")
    return text


def _databases(login: Login) -> tuple[str, ...]:
    """Return the databases worth reading: the maintenance database only where there is no other."""
    from replica_access.postgres.catalog import read_cluster
    from replica_access.postgres.connect import connect

    with connect(login, read_only=True) as connection:
        found = read_cluster(connection).databases.values()
    names = tuple(d.name for d in found if d.allows_connections and not d.is_system and is_utf8(d.name))
    return tuple(name for name in names if name != login.database) or names


# --- look ------------------------------------------------------------------------------------------------------------


def look(
    spec: Spec, hosting: Hosting, progress: Progress, request: Request = EVERYTHING, *, stock: bool = False
) -> Outlook:
    """Look at everything, and work out what is missing; changes nothing.

    What stands in the way becomes a problem among the checks: all of them at once, never the first one alone. What is
    around the servers and what is on them is read side by side.

    :param stock: look at what there is, too, for `take_stock`.
    :raises Error: what makes looking pointless: no such primary, no right to see it.
    """
    progress.stage("looking at everything")
    with ThreadPoolExecutor(1) as pool:
        surroundings = pool.submit(hosting.look, request)
        server = look_at_primary(spec, hosting, request, stock=stock)
        checks, around = surroundings.result()
    return replace(server, checks=checks + server.checks, around=around)


def look_at_primary(spec: Spec, hosting: Hosting, request: Request, *, stock: bool) -> Outlook:
    """Look at the primary alone. Where it cannot be asked, that is a problem among the checks."""
    from replica_access.hosting import stored_passwords
    from replica_access.postgres import planning
    from replica_access.postgres.connect import connect

    login = None
    try:
        login = hosting.primary()
        stored = stored_passwords(hosting, _password_users(spec))
        with connect(login, read_only=True) as connection:
            found, cluster_plan = planning.plan_cluster(connection, spec, stored, request)
        examined = in_each(list(found.databases), partial(look_at_database, login, found, stock))
    except Error as error:
        return Outlook((Check("primary", "problem", error.what, error.fix),))
    databases = {name: each.plan for name, each in examined.items()}
    blocked = (b for plan in (cluster_plan, *databases.values()) for b in plan.blocked)
    return Outlook(
        checks=(_primary_check(login, found.cluster), *(Check(b.object, "problem", b.reason, b.fix) for b in blocked)),
        cluster=cluster_plan,
        databases=databases,
        system_identifier=found.cluster.system_identifier,
        request=request,
        server=found.cluster,
        scenes={name: each.scenes for name, each in examined.items() if each.scenes},
    )


def look_at_database(login: Login, found: Survey, stock: bool, database: str) -> Examined:
    """Return what `database` lacks, and what it looks like; `found` is known of the server."""
    from replica_access.postgres import planning
    from replica_access.postgres.connect import connect

    if (blocked := planning.unreachable(found, database)) is not None:
        return planning.Examined(blocked)
    with connect(login, database=database, read_only=True) as connection:
        return planning.examine_database(connection, found, database, stock=stock)


def _primary_check(login: Login, cluster: Cluster) -> Check:
    admin = cluster.roles[cluster.admin]
    rights = "superuser" if admin.superuser else "CREATEROLE" if admin.create_role else "no CREATEROLE"
    version = f"{cluster.version // 10000}.{cluster.version % 10000}"
    return Check("primary", "ok", f"PostgreSQL {version} at {legible(login.server)}, as {shown(admin.name)} ({rights})")


def _password_users(spec: Spec) -> tuple[str, ...]:
    return tuple(name for name, user in spec.users.items() if user.auth == "password")


# --- what is new -----------------------------------------------------------------------------------------------------


def take_stock(
    hosting: Hosting, outlook: Outlook, progress: Progress, known: Mapping[str, KnownDatabase] | None = None
) -> dict[str, Inventory]:
    """Return what there is in each database that `outlook` looked into, as far as the spec wants it.

    :param outlook: with stock.
    :param known: what needs no description, by database; ``None``: nobody wants any described.
    :raises DatabaseError: a server could not be asked.
    """
    from replica_access.postgres import inventory
    from replica_access.postgres.connect import connect

    if known is None:
        return {database: inventory.take(scenes) for database, scenes in outlook.scenes.items()}
    login = hosting.primary()

    def take(database: str) -> Inventory:
        scenes, before = outlook.scenes[database], known.get(database)
        is_same = before is not None and before.oid == scenes[0].cluster.databases[database].oid
        relations = before.relations if before is not None and is_same else ()
        with connect(login, database=database, read_only=True) as connection:
            return inventory.describe(connection, scenes, relations)

    progress.stage("taking stock of what there is")
    return in_each(list(outlook.scenes), take)


# --- apply -----------------------------------------------------------------------------------------------------------


def apply(
    spec: Spec,
    hosting: Hosting,
    outlook: Outlook,
    progress: Progress,
    *,
    confirmed: bool,
) -> Applied:
    """Carry out the plan of `outlook`, then prove it.

    :param confirmed: somebody has read the plan and said yes: then nothing else is done. Otherwise what the servers
        lack by then is done.
    """
    if outlook.around.changes:
        progress.stage("changing AWS")
    around = executing.carry_out(hosting, outlook.around.changes, progress)
    if around.error is not None:
        return around
    done = list(around.changes)
    try:
        done.extend(change_primary(spec, hosting, outlook, progress, confirmed=confirmed))  # what it did stays in it
        proof = verify(spec, hosting, progress) if spec.replica is not None else None
        notes = tuple(end_departed_sessions(hosting, outlook, done)) if spec.replica is not None else ()
    except Error as error:
        return Applied(tuple(done), error=error)
    except KeyboardInterrupt:
        return Applied(tuple(done), error=Interrupted())
    return Applied(tuple(done), proof=proof, notes=notes)


def change_primary(
    spec: Spec, hosting: Hosting, outlook: Outlook, progress: Progress, *, confirmed: bool
) -> Iterator[Change]:
    """Yield what has been changed, as soon as it is committed."""
    from replica_access.hosting import stored_passwords
    from replica_access.postgres import planning
    from replica_access.postgres.apply import converge

    if not outlook.plan.of("cluster") and not outlook.plan.of("database"):
        return
    progress.stage("changing the primary")
    login = hosting.primary()
    agreed = outlook.plan.changes if confirmed else None
    prepare = partial(_prepare_passwords, hosting)
    replan: Callable[..., tuple[Cluster, Plan]]
    converge_here = partial(converge, login, agreed=agreed, prepare=prepare, progress=progress)
    stored = partial(stored_passwords, hosting, _password_users(spec))
    if any(not change.late for change in outlook.cluster.changes):
        replan = planning.replan_cluster(spec, stored, outlook.request, late=False)
        yield from converge_here(login.database, replan=replan, left_out=bool(outlook.cluster.blocked))
    for database, plan in outlook.databases.items():
        if plan.changes:
            replan = planning.replan_database(spec, database, outlook.request)
            yield from converge_here(database, replan=replan, left_out=bool(plan.blocked))
    if any(change.late for change in outlook.cluster.changes):
        replan = planning.replan_cluster(spec, stored, outlook.request, late=True)
        yield from converge_here(login.database, replan=replan, left_out=bool(outlook.cluster.blocked))


def _prepare_passwords(hosting: Hosting, plan: Plan) -> dict[str, Secret]:
    """Make and store every password that the plan sets, before a server learns of it: a stop in between loses none."""
    from replica_access import passwords

    prepared = {}
    for change in plan.changes:
        if (user := change.password_of) is not None:
            if (password := hosting.password(user)) is None:
                password = passwords.generate()
                hosting.store_password(user, password)
            prepared[user] = password
    return prepared


def end_departed_sessions(hosting: Hosting, outlook: Outlook, done: Sequence[Change]) -> Iterator[str]:
    """End on the replicas what roles that left still do there; yield what came of it."""
    from replica_access.postgres.departed import end_sessions

    if any(change.takes == "drop" for change in done):
        for name, replica in hosting.replicas().items():
            yield from (f"{name}: {note}" for note in end_sessions(replica, outlook.request.departed))


def record(
    spec: Spec,
    hosting: Hosting,
    outlook: Outlook,
    applied: Applied,
    stock: Mapping[str, Inventory],
    *,
    known: State | None,
    when: str,
) -> State:
    """Return what the next run has to know of this one: of one that failed, the roles that it made and no more.

    What was looked at is recorded as it was when the plan was made: what came in between is new to the next run.

    :raises DatabaseError: the primary could not be asked for what was made.
    """
    from replica_access.postgres.catalog import read_cluster
    from replica_access.postgres.connect import connect
    from replica_access.state import State

    state = known or State(outlook.system_identifier)
    server = outlook.server
    if server is None:
        return state
    declared = (*spec.roles, *spec.users)
    made = {change.object for change in applied.changes if change.action == "create role"}
    if any(change.scope == "cluster" for change in applied.changes):
        with connect(hosting.primary(), read_only=True) as connection:
            server = read_cluster(connection)
    roles = {role.name: role.oid for role in server.roles.values()}
    state = state.with_roles(roles, declared=declared, created=[name for name in declared if shown(name) in made])
    if applied.error is not None:
        return state
    databases = {database.name: database.oid for database in server.databases.values()}
    return state.with_databases(databases, stock, outlook.request, when)


# --- verify ----------------------------------------------------------------------------------------------------------


def verify(spec: Spec, hosting: Hosting, progress: Progress) -> dict[str, Proof]:
    """Prove on each replica that the users can do what the spec says, and nothing else; the proofs by replica.

    Of several replicas one that cannot be asked keeps no other from being proved: that is its result.

    :raises UsageError: the spec has no replica.
    :raises PreflightFailed: there is no replica yet.
    :raises DatabaseError: the primary, or the only replica, could not be asked.
    """
    from replica_access.postgres import planning, prove
    from replica_access.postgres.connect import connect

    progress.stage("proving it on the replica")
    replicas, primary = _replicas(spec, hosting.replicas), hosting.primary()
    with connect(primary, read_only=True) as connection:
        desired = planning.survey(connection, spec, EVERYTHING).desired
    prove_it = partial(prove.prove, primary=primary, access=desired.users, progress=progress)
    proofs: dict[str, Proof] = {}
    for name, replica in replicas.items():
        if len(replicas) > 1:
            progress.stage(f"proving it on {name}")
        try:
            proofs[name] = prove_it(replica=replica, logins=_logins(spec, hosting, replica))
        except DatabaseError as error:
            if len(replicas) == 1:
                raise
            proofs[name] = untried(error)
    return proofs


def _logins(spec: Spec, hosting: Hosting, replica: Login) -> dict[str, Login | NotChecked]:
    from replica_access.postgres.prove import NotChecked

    return {
        user: hosting.as_user(replica, user) or NotChecked(f"its password is not in {spec.secret_of(user)}")
        for user in spec.users
    }


def wait_and_log_in(spec: Spec, hosting: Hosting, user: str, progress: Progress) -> Login:
    """Return how `user` logs in to the first replica, once that has everything the primary has committed.

    :raises UsageError: the spec has no replica.
    :raises PreflightFailed: there is no replica yet.
    :raises DatabaseError: the replica does not catch up.
    """
    from replica_access.postgres.propagation import catch_up

    replica = next(iter(_replicas(spec, hosting.replicas).values()))
    catch_up(hosting.primary(), replica, progress)
    return hosting.as_user(replica, user) or replica.as_user(user, None)


# --- connect ---------------------------------------------------------------------------------------------------------


def reach(
    spec: Spec, hosting: Hosting, user: str, *, today: date, replica: str | None = None, database: str | None = None
) -> Login:
    """Return how `user` logs in to a replica; asks for nothing that only an admin may see.

    :param today: in UTC.
    :param replica: the name of one, as `Hosting.endpoints` has them; by default the first.
    :param database: by default the first that the grants of `user` name, or take in by a pattern.
    :raises UsageError: there is no such user, replica or database, or the spec has no replica.
    :raises Error: the user has expired, or no password is stored.
    :raises PreflightFailed: there is no replica yet.
    """
    from replica_access import users

    users.require(spec, user, today)
    endpoints = _replicas(spec, hosting.endpoints)
    name = replica if replica is not None else next(iter(endpoints))
    if name not in endpoints:
        known = ", ".join(map(legible, endpoints))
        raise UsageError(f"There is no replica {legible(name)} in the spec.", f"Name one of these: {known}.")
    login = hosting.as_user(endpoints[name], user)
    if login is None:
        raise Error(
            f"There is no password of {shown(user)} in {spec.secret_of(user)}.",
            "`replica-access apply` makes and stores one.",
        )
    database = database or spec.first_database_of(user) or _first_that_fits(spec, user, login)
    return replace(login, server=name, database=database)


def _first_that_fits(spec: Spec, user: str, login: Login) -> str:
    """Ask the replica for the first database that a pattern in the grants of `user` takes in."""
    from replica_access import users
    from replica_access.postgres.session import open_databases

    if next(spec.grants_of(user), None) is None:
        return login.database
    if (found := users.first_that_fits(spec, user, open_databases(login), but=login.database)) is None:
        raise Error(f"The replica has no database that {shown(user)} is granted.", "Name another with --database.")
    return found


def _replicas(spec: Spec, where: Callable[[], Mapping[str, Login]]) -> Mapping[str, Login]:
    if spec.replica is None:
        fix = f"Name one there by {'instance' if spec.on_rds else 'dsn'}: the proof is what a replica answers."
        raise UsageError("The spec has no [replica].", fix)
    replicas = where()
    if not replicas:
        raise PreflightFailed("There is no replica that can be used yet.", "Run `replica-access apply` first.")
    return replicas

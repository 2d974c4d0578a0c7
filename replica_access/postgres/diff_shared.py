"""What readers have beyond the spec in no database in particular, and roles that the spec no longer names. Pure.

What is taken away here waits until the databases are done: a privilege that others replace goes when those are there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from replica_access.catalog import Cluster, DatabaseCatalog, Holdings, Membership, Object, Role
from replica_access.desired import Desired
from replica_access.model import BlockedObject, Change, Oid, Pending, Plan, Request
from replica_access.names import shown
from replica_access.postgres import statements
from replica_access.postgres.authority import Authority
from replica_access.postgres.diff_revoke import take_from_object
from replica_access.postgres.foresight import undeclared
from replica_access.postgres.scene import Scene, count, for_departed, scene
from replica_access.postgres.taking import NOTHING


def diff_shared(desired: Desired, cluster: Cluster, held: Sequence[Object], request: Request) -> Plan:
    """Return what readers hold beyond the spec on databases, tablespaces and parameters, and as members of groups.

    :param held: tablespaces and parameters that readers hold something on.
    """
    plan = Plan()
    authority = Authority(cluster)
    for membership in cluster.memberships:
        plan += _membership(membership, desired, authority, request)
    for name in desired.names:
        role = cluster.role(name)
        if role is not None and not role.superuser:
            here = _shared_scene(role, desired, authority, request)
            plan += _objects(here, desired, held)
    return plan.deepest_first()


def _shared_scene(role: Role, desired: Desired, authority: Authority, request: Request) -> Scene:
    nowhere = DatabaseCatalog(name="", owner=0, schemas={}, default_privileges=())
    return scene(role, desired, nowhere, authority, request)


def _objects(here: Scene, desired: Desired, held: Iterable[Object]) -> Plan:
    plan = Plan()
    names = {oid: here.cluster.roles[oid].name for oid in here.readers}
    for database in here.cluster.databases.values():
        if here.request.database not in {None, database.name}:
            continue
        granted = {rule.reader for rule in desired.rules.get(database.name, ())}

        def kept(reader: Oid, granted: set[str] = granted) -> frozenset[str]:
            return frozenset({"CONNECT"}) if names.get(reader) in granted else NOTHING

        found = Object("DATABASE", 0, database.owner, database.name, statements.quoted(database.name), database.entries)
        plan += take_from_object(here, found, kept)
    for found in held:
        plan += take_from_object(here, found, lambda _: NOTHING)
    return plan


# --- memberships -----------------------------------------------------------------------------------------------------


def _membership(membership: Membership, desired: Desired, authority: Authority, request: Request) -> Plan:
    """Return what takes a membership away that the spec does not name, or the right to pass on one that it does."""
    cluster = authority.cluster
    if cluster.roles[membership.member].name not in {role.name for role in desired.roles}:
        return Plan()
    beyond = membership in set(undeclared(desired, cluster))
    if not beyond and not membership.admin:
        return Plan()
    group, member = cluster.roles[membership.role], cluster.roles[membership.member]
    by = cluster.roles[membership.grantor].name if authority.options else None
    sql = statements.revoke_membership(group.name, member.name, granted_by=by, only_admin=not beyond)
    undo = statements.grant_membership_as_it_was(
        group.name, member.name, admin=membership.admin, inherit=membership.inherit, set_role=membership.set_role,
        granted_by=by,
    )  # fmt: skip
    what = f"the membership in {shown(group.name)}" if beyond else f"the right to let others into {shown(group.name)}"
    if reason := _why_not(membership, authority):
        why = f"{what} cannot be taken from it: {reason}"
        blocked = BlockedObject.with_statements(f"role {shown(member.name)}", why, "a superuser", sql, optional=True)
        if request.allow_revoke:
            return Plan(blocked=(blocked,))
        return Plan(pending=(Pending("membership", blocked.object, f"{blocked.reason}; {blocked.fix}"),))
    change = Change(
        scope="cluster",
        action="revoke membership",
        object=shown(member.name),
        summary=f"take {what} from {shown(member.name)}",
        sql=(sql,),
        undo=(undo,),
        join=authority.joins([membership.grantor]) if authority.options else (),
        takes="revoke",
        late=True,
    )
    return Plan((change,))


def _why_not(membership: Membership, authority: Authority) -> str:
    cluster = authority.cluster
    group, member = cluster.roles[membership.role], cluster.roles[membership.member]
    if not authority.may_grant(group):
        return f"the admin {shown(authority.admin.name)} has no ADMIN OPTION on {shown(group.name)}"
    if authority.options:
        if any(m.role == membership.role and m.grantor == membership.member for m in cluster.memberships):
            return f"{shown(member.name)} has let others in, who would lose it"
        if refusal := authority.refusal(membership.grantor):
            return f"{shown(cluster.roles[membership.grantor].name)} granted it, and {refusal.reason}"
    return ""


# --- roles that the spec no longer names -----------------------------------------------------------------------------


def diff_departed(
    desired: Desired, cluster: Cluster, held: Sequence[Object], holdings: Sequence[Holdings], request: Request
) -> Plan:
    """Return what ends the roles that have left, once nothing depends on them: no login, no session, no role."""
    plan = Plan()
    authority = Authority(cluster)
    for role in departing(cluster, request):
        here = for_departed(_shared_scene(role, desired, authority, request))
        plan += _objects(here, desired, held)
        plan += _departing(role, authority, [found for found in holdings if found.role == role.oid], request)
    return plan


def _departing(role: Role, authority: Authority, holdings: Sequence[Holdings], request: Request) -> Plan:
    name = shown(role.name)
    if not authority.may_alter(role) or not authority.may_grant(role):
        reason = f"the admin {shown(authority.admin.name)} may not drop it (CREATEROLE and ADMIN OPTION are needed)"
        drop = statements.drop_role(role.name)
        blocked = BlockedObject.with_statements(f"role {name}", reason, "a superuser", drop, optional=True)
        if request.allow_drop:
            return Plan(blocked=(blocked,))
        return Plan(pending=(Pending("role", name, f"is not in the spec any more; {reason}; {blocked.fix}"),))
    changes = []
    if role.login:
        changes.append(
            Change(
                scope="cluster",
                action="alter role",
                object=name,
                summary=f"{name}: may log in no more, and its sessions end",
                sql=(statements.alter_login(role.name, False), statements.end_sessions(role.name)),
                undo=(statements.alter_login(role.name, True),),
                join=authority.joins([role.oid]),
                takes="drop",
            )
        )
    kept = list(_owned(role, authority.cluster, holdings))
    if not kept:
        changes.append(
            Change(
                scope="cluster",
                action="drop role",
                object=name,
                summary=f"drop the role {name}, which a run has made",
                sql=(statements.drop_role(role.name),),
                undo=tuple(_made_again(role, authority)),
                takes="drop",
                late=True,
            )
        )
    return Plan(tuple(changes), pending=tuple(kept))


def _owned(role: Role, cluster: Cluster, holdings: Sequence[Holdings]) -> Iterator[Pending]:
    """Yield what stands in the way of dropping a role and is never dropped with it."""
    databases = {database.oid: database.name for database in cluster.databases.values()}
    owned: dict[int, int] = {}
    for found in holdings:
        if found.kind == "r":
            where = shown(databases.get(found.database, ""))
            yield Pending("role", shown(role.name), f"policies in {where} are about it; it stays until they are not")
        elif found.kind == "o" and found.catalog != "pg_default_acl":
            owned[found.database] = owned.get(found.database, 0) + found.count
    for database, number in owned.items():
        where = f"in {shown(databases[database])}" if database in databases else "in no database in particular"
        fix = f"REASSIGN OWNED BY {statements.quoted(role.name)} TO …"
        yield Pending(
            "role", shown(role.name), f"owns {count(number, 'object')} {where}, which is not dropped: {fix}, run again"
        )


def _made_again(role: Role, authority: Authority) -> Iterator[str]:
    """Yield, last one first, what makes the role again; its password is known to nobody."""
    cluster = authority.cluster
    steps = [
        statements.create_role(
            role.name, login=False, connection_limit=role.connection_limit, valid_until=role.valid_until
        )
    ]
    if not role.inherit:
        steps.append(statements.alter_inherit(role.name, False))
    steps += [statements.alter_setting(role.name, setting, value) for setting, value in role.settings.items()]
    if role.comment is not None:
        steps.append(statements.comment_on_role(role.name, role.comment))
    for m in cluster.memberships:
        if m.member == role.oid or (m.role == role.oid and m.member != cluster.admin):
            steps.append(
                statements.grant_membership(
                    cluster.roles[m.role].name, cluster.roles[m.member].name, inherit_option=authority.options
                )
            )
    if role.login:
        steps.append(f"-- \\password {statements.quoted(role.name)}")
    return reversed(steps)


def departing(cluster: Cluster, request: Request) -> list[Role]:
    """Return the roles of `request` that are still there, and are still the same."""
    return [role for name, oid in request.departed.items() if (role := cluster.role(name)) and role.oid == oid]

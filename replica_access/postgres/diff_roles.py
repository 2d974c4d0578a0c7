"""What is missing in the shared catalogs: roles, their attributes and memberships, CONNECT on databases. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from replica_access.catalog import Cluster, Database, Role
from replica_access.desired import Desired, WantedRole
from replica_access.model import BlockedObject, Change, Oid, Pending, Plan, Request
from replica_access.names import legible, shown
from replica_access.postgres import parameters, statements
from replica_access.postgres.authority import Authority
from replica_access.postgres.foresight import foresee
from replica_access.postgres.scene import blocked, shortened

FORBIDDEN = ("superuser", "create_role", "create_db", "replication", "bypass_rls")
"""Attributes with which a role is no reader."""

_KEYWORDS = {
    "superuser": "SUPERUSER",
    "create_role": "CREATEROLE",
    "create_db": "CREATEDB",
    "replication": "REPLICATION",
    "bypass_rls": "BYPASSRLS",
}


def diff_roles(desired: Desired, cluster: Cluster, stored_passwords: frozenset[str]) -> Plan:
    """Return what is missing for the roles of the spec, groups first.

    :param stored_passwords: the users whose password is in its store already.
    """
    authority = Authority(cluster)
    plan = Plan()
    for wanted in desired.roles:
        role = cluster.role(wanted.name)
        if role is None:
            plan += _created(wanted, cluster)
        else:
            plan += _altered(wanted, role, authority, stored_passwords)
        plan += _memberships(wanted, role, cluster, authority)
    return plan


def diff_connect(desired: Desired, cluster: Cluster, request: Request) -> Plan:
    """Return the CONNECT privileges that are missing, one change a reader.

    What only PUBLIC gives does not count: it would end the day somebody revokes it from PUBLIC, as one should.
    """
    authority = Authority(cluster)
    foreseen = foresee(desired, cluster, request)
    others = {role.oid for name in desired.names if (role := cluster.role(name))} if request.allow_revoke else set()
    plan = Plan()
    missing: dict[str, list[Database]] = {}
    for name, rules in desired.rules.items():
        database, readers = cluster.databases[name], dict.fromkeys(rule.reader for rule in rules)
        for reader in readers:
            role = foreseen.role(reader)
            if role is None or role.superuser or desired.groups_of(reader) & readers.keys():
                continue
            if not database.connect & ((foreseen.reached_from(role.oid) - others) | {role.oid}):
                missing.setdefault(reader, []).append(database)
    for reader, databases in missing.items():
        plan += connect(reader, databases, authority)
    return plan


def connect(reader: str, databases: list[Database], authority: Authority) -> Plan:
    """Return what lets `reader` connect to `databases`, as the owner of each."""
    allowed: dict[Oid | None, list[Database]] = {}
    stuck: list[BlockedObject] = []
    for database in databases:
        if refusal := authority.refusal(database.owner):
            statement = statements.connect_on("GRANT", [database.name], reader)
            stuck.append(blocked(f"database {shown(database.name)}", refusal, statement))
        else:
            allowed.setdefault(authority.granting(database.owner, database.entries), []).append(database)
    changes = []
    for acting, found in allowed.items():
        names = [database.name for database in found]
        joined = authority.joins(database.owner for database in found)
        changes.append(
            Change(
                scope="cluster",
                action="grant connect",
                reader=reader,
                object=shortened(names),
                summary=f"let {shown(reader)} connect to {shortened(names)}",
                sql=(statements.connect_on("GRANT", names, reader),),
                undo=(statements.connect_on("REVOKE", names, reader),),
                join=joined if acting is None else authority.becomes(acting),
                run_as=None if acting is None else authority.cluster.roles[acting].name,
            )
        )
    return Plan(tuple(changes), blocked=tuple(stuck))


# --- one role --------------------------------------------------------------------------------------------------------


def _created(wanted: WantedRole, cluster: Cluster) -> Plan:
    name = wanted.name
    admin = cluster.roles[cluster.admin]
    if not (admin.superuser or admin.create_role):
        create = statements.create_role(name, login=wanted.login)
        alter = f"ALTER ROLE {statements.quoted(admin.name)} CREATEROLE"
        return Plan(
            blocked=(
                BlockedObject(
                    object=f"role {shown(name)}",
                    reason=f"the admin {shown(admin.name)} has no CREATEROLE",
                    fix=f"as a superuser: {alter}; -- or: {create};",
                    remedy=f"-- as a superuser\n{alter};\n-- or: {create};",
                ),
            )
        )
    kind = "login" if wanted.login else "group"
    changes = [
        Change(
            scope="cluster",
            action="create role",
            object=shown(name),
            summary=f"create the {kind} {shown(name)}" + _limits(wanted),
            sql=(
                statements.create_role(
                    name,
                    login=wanted.login,
                    connection_limit=wanted.connection_limit,
                    valid_until=wanted.valid_until,
                ),
            ),
            undo=(statements.drop_role(name),),
        )
    ]
    if wanted.secret is not None:
        changes.append(_password(wanted))
    changes += _settings(wanted, {})
    changes += _comment(wanted, None)
    return Plan(tuple(changes))


def _limits(wanted: WantedRole) -> str:
    limits = []
    if wanted.connection_limit != -1:
        limits.append(f"at most {wanted.connection_limit} connections")
    if wanted.valid_until is not None:
        limits.append(f"until {wanted.valid_until[:10]}")
    return f" ({', '.join(limits)})" if limits else ""


def _password(wanted: WantedRole) -> Change:
    return Change(
        scope="cluster",
        action="set password",
        object=shown(wanted.name),
        summary=f"give {shown(wanted.name)} a generated password, kept in {wanted.secret}",
        sql=(statements.alter_password(wanted.name),),
        undo=(statements.clear_password(wanted.name),),
        password_of=wanted.name,
    )


def another_password(cluster: Cluster, name: str, secret: str, *, is_ours: bool) -> Plan:
    """Return what gives the login `name` another password, whatever the one is that it has.

    :param secret: where it is kept.
    :param is_ours: whether a run has made the role, or its password is kept there.
    """
    role, authority = cluster.role(name), Authority(cluster)
    if role is None:
        reason, fix = "there is no such role yet", "`replica-access apply` makes it, with a password"
    elif not is_ours:
        reason = f"its password is not in {secret}, and no run is known here to have made it: it is somebody else's"
        fix = f"store its password in {secret}"
    elif not authority.may_alter(role):
        reason = f"the admin {shown(authority.admin.name)} may not alter it (CREATEROLE and ADMIN OPTION are needed)"
        fix = f"as somebody who may: GRANT {statements.quoted(name)} TO {statements.quoted(authority.admin.name)}"
        fix += " WITH ADMIN OPTION"
    else:
        return Plan((_password(WantedRole(name, login=True, secret=secret)),))
    return Plan(blocked=(BlockedObject(f"role {shown(name)}", reason, fix),))


def last_day(cluster: Cluster, name: str, valid_until: str) -> Plan:
    """Return what ends the login `name` with `valid_until`, and changes nothing else about it."""
    role, authority = cluster.role(name), Authority(cluster)
    if role is None or role.valid_until == valid_until:
        return Plan()
    change = _until(role, valid_until)
    if authority.may_alter(role):
        return Plan((change,))
    reason = f"the admin {shown(authority.admin.name)} may not alter it (CREATEROLE and ADMIN OPTION on it are needed)"
    return Plan(blocked=(BlockedObject(f"role {shown(name)}", reason, f"as a superuser: {change.sql[0]};"),))


def _altered(wanted: WantedRole, role: Role, authority: Authority, stored_passwords: frozenset[str]) -> Plan:
    unfit = tuple(_unfit(wanted, role, stored_passwords))
    changes = list(_attributes(wanted, role)) if not unfit else []
    if changes and not authority.may_alter(role):
        reason = (
            f"the admin {shown(authority.admin.name)} may not alter it (CREATEROLE and ADMIN OPTION on it are needed)"
        )
        sql = "; ".join(statement for change in changes for statement in change.sql)
        blocked = BlockedObject.with_statements(f"role {shown(role.name)}", reason, "a superuser", sql)
        return Plan(blocked=(blocked,))
    return Plan(tuple(changes), blocked=unfit)


def _unfit(wanted: WantedRole, role: Role, stored_passwords: frozenset[str]) -> Iterator[BlockedObject]:
    """Yield why a role that exists already cannot be taken for the reader of the spec."""
    name = statements.quoted(role.name)
    for attribute in FORBIDDEN:
        if getattr(role, attribute):
            word = _KEYWORDS[attribute]
            yield BlockedObject(
                f"role {shown(role.name)}",
                f"it exists already and has {word}, which no reader may have",
                f"ALTER ROLE {name} NO{word}; -- or choose another name in the spec",
                remedy=f"ALTER ROLE {name} NO{word};\n-- or choose another name in the spec",
            )
    if role.login and not wanted.login:
        yield BlockedObject(
            f"role {shown(role.name)}",
            "it exists already and may log in, but the spec declares it as a group",
            f"ALTER ROLE {name} NOLOGIN; -- or declare it under [users]",
            remedy=f"ALTER ROLE {name} NOLOGIN;\n-- or declare it under [users]",
        )
    if wanted.secret is not None and role.name not in stored_passwords:
        yield BlockedObject(
            f"role {shown(role.name)}",
            f"it exists already, and its password is not in {wanted.secret}, so it is not ours to set",
            f"store its password in {wanted.secret}, or DROP ROLE {name}; or choose another name in the spec",
        )


def _attributes(wanted: WantedRole, role: Role) -> Iterator[Change]:
    name = role.name

    def change(what: str, statement: str, undo: str) -> Change:
        return _alteration(name, what, statement, undo)

    if wanted.login and not role.login:
        yield change("may log in", statements.alter_login(name, True), statements.alter_login(name, False))
    if wanted.member_of and not role.inherit:
        what = "uses the rights of its groups (INHERIT)"
        yield change(what, statements.alter_inherit(name, True), statements.alter_inherit(name, False))
    if wanted.connection_limit != role.connection_limit:
        before, after = _limit(role.connection_limit), _limit(wanted.connection_limit)
        yield change(
            f"{after} at a time, now {before}",
            statements.alter_connection_limit(name, wanted.connection_limit),
            statements.alter_connection_limit(name, role.connection_limit),
        )
    if wanted.valid_until != role.valid_until:
        yield _until(role, wanted.valid_until)
    yield from _settings(wanted, role.settings)
    yield from _comment(wanted, role.comment)


def _alteration(name: str, what: str, statement: str, undo: str) -> Change:
    return Change("cluster", "alter role", shown(name), f"{shown(name)}: {what}", sql=(statement,), undo=(undo,))


def _until(role: Role, until: str | None) -> Change:
    return _alteration(
        role.name,
        f"valid until {until or 'further notice'}, now until {role.valid_until or 'further notice'}",
        statements.alter_valid_until(role.name, until),
        statements.alter_valid_until(role.name, role.valid_until),
    )


def _limit(connections: int) -> str:
    return "any number of connections" if connections == -1 else f"{connections} connections"


def _settings(wanted: WantedRole, existing: Mapping[str, str]) -> Iterator[Change]:
    name = wanted.name
    for setting, value in wanted.settings.items():
        before = parameters.kept(existing, setting)
        if before is None or not parameters.same(setting, before, value):
            now = f", now {legible(before)}" if before is not None else ""
            yield Change(
                scope="cluster",
                action="set parameter",
                object=shown(name),
                summary=f"{shown(name)}: {setting} = {legible(value)}{now}",
                sql=(statements.alter_setting(name, setting, value),),
                undo=(statements.alter_setting(name, setting, before),),
            )


def _comment(wanted: WantedRole, existing: str | None) -> Iterator[Change]:
    if wanted.comment is not None and wanted.comment != (existing or ""):  # the server keeps no empty one
        yield Change(
            scope="cluster",
            action="comment",
            object=shown(wanted.name),
            summary=f"{shown(wanted.name)}: comment: {legible(wanted.comment)}",
            sql=(statements.comment_on_role(wanted.name, wanted.comment),),
            undo=(statements.comment_on_role(wanted.name, existing),),
        )


# --- memberships -----------------------------------------------------------------------------------------------------


def _memberships(wanted: WantedRole, member: Role | None, cluster: Cluster, authority: Authority) -> Plan:
    plan = Plan()
    for group_name in wanted.member_of:
        group = cluster.role(group_name)
        if group is None and group_name.startswith("rds"):
            reason = "this role exists on RDS only"
            plan += Plan(
                blocked=(BlockedObject(f"role {shown(group_name)}", reason, 'use auth = "password" on other servers'),)
            )
        elif group is None or member is None or not _inherits(member, group.oid, cluster):
            plan += _joined(wanted.name, group_name, group, authority)
    return plan


def _inherits(member: Role, group: Oid, cluster: Cluster) -> bool:
    # Before 16 INHERIT is an attribute of the member, and mended there.
    before_16 = cluster.version < 160000
    return any(m.role == group and m.member == member.oid and (m.inherit or before_16) for m in cluster.memberships)


def _joined(member: str, group_name: str, group: Role | None, authority: Authority) -> Plan:
    statement = statements.grant_membership(group_name, member, inherit_option=authority.options)
    # The creator of a role may grant it; a system role such as rds_iam is tried: RDS lets its master do that.
    if group is not None and not group.is_system and not authority.may_grant(group):
        reason = f"the admin {shown(authority.admin.name)} has no ADMIN OPTION on {shown(group_name)}"
        blocked = BlockedObject.with_statements(f"role {shown(member)}", reason, "a superuser", statement)
        return Plan(blocked=(blocked,))
    return Plan(
        (
            Change(
                scope="cluster",
                action="grant membership",
                object=shown(member),
                summary=f"make {shown(member)} a member of {shown(group_name)}",
                sql=(statement,),
                undo=(statements.revoke_membership(group_name, member),),
            ),
        )
    )


def absent(desired: Desired, cluster: Cluster) -> tuple[Pending, ...]:
    """Return the creators that the spec names and the server lacks."""
    named = {
        creator: rule.reader
        for rules in desired.rules.values()
        for rule in rules
        if not isinstance(rule.creators, str)
        for creator in rule.creators
    }
    reason = "no such role yet; what it makes will be covered for {} at the next run"
    return tuple(
        Pending("creator", shown(name), reason.format(shown(reader)))
        for name, reader in named.items()
        if cluster.role(name) is None
    )

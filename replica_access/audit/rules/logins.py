"""Logins: how long they are good for, what limits them, and who they are."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from datetime import timedelta

from replica_access.audit.facts import Facts
from replica_access.audit.rules.rule import Hit, Rule
from replica_access.audit.sql import identifier
from replica_access.catalog import Cluster, Membership, Role
from replica_access.names import legible, shown
from replica_access.observed import Server
from replica_access.spec import UserSpec
from replica_access.users import IAM, is_in, is_over, open_to_login

APPLY = "replica-access apply --yes"
OLDEST_PASSWORD = timedelta(days=365)
"""How old a password may be: whoever has copied it is shut out by another one once a year, at the latest."""


def _no_expiry(facts: Facts) -> Iterator[Hit]:
    for server, role, declared in _users(facts):
        if role.valid_until is None and declared.auth == "password":  # no other login is asked for a last day
            remedy = APPLY if declared.valid_until else _expire(facts, role)
            yield _about(server, role)("valid_until", "has no day on which it ends.", remedy, "rolvaliduntil is NULL")


def _expired(facts: Facts) -> Iterator[Hit]:
    server = facts.roles
    for role in server.cluster.roles.values() if server is not None else ():
        if server is None or role.is_system or not role.login or not is_over(role, facts.today):
            continue
        declared = facts.spec.users.get(role.name)
        if declared is None:
            remedy = f"ALTER ROLE {identifier(role.name)} NOLOGIN;"
        elif declared.valid_until is None or declared.valid_until >= facts.today:
            remedy = APPLY  # somebody has changed it by hand
        else:
            remedy = f"replica-access user drop {_word(role)} --yes\n# or, where it shall go on: {_expire(facts, role)}"
        message = "has expired and is still there: whoever sets a new day revives it with all it may do."
        yield _about(server, role)("valid_until", message, remedy, f"rolvaliduntil is {role.valid_until}")


def _expire(facts: Facts, role: Role) -> str:
    """Return what gives a user another year."""
    return f"replica-access user expire {_word(role)} --at {facts.today + timedelta(days=365)} --yes"


def _word(role: Role) -> str:
    return shlex.quote(legible(role.name))


def _no_limit(facts: Facts) -> Iterator[Hit]:
    for server, role, declared in _users(facts):
        if role.connection_limit == -1:
            sql = f"ALTER ROLE {identifier(role.name)} CONNECTION LIMIT 20;"
            remedy = APPLY if declared.connection_limit != -1 else _declare(sql, role, "connection_limit = 20")
            message = "may open any number of connections, and leave none to others."
            yield _about(server, role)("connection_limit", message, remedy, "rolconnlimit is -1")


def _no_timeout(facts: Facts) -> Iterator[Hit]:
    for server, role, declared in _users(facts):
        by_itself = next((v for k, v in role.settings.items() if k.lower() == "statement_timeout"), None)
        in_force = by_itself if by_itself is not None else server.settings.get("statement_timeout", "0")
        if _is_endless(in_force):
            sql = f"ALTER ROLE {identifier(role.name)} SET statement_timeout = '15min';"
            wanted = {key.lower() for key in declared.settings}
            said = 'settings = { statement_timeout = "15min" }'
            remedy = APPLY if "statement_timeout" in wanted else _declare(sql, role, said)
            message = "has no statement_timeout: one forgotten query holds replay up, or is ended by it."
            where = "of its own" if by_itself is not None else "the server's"
            yield _about(server, role)(
                "statement_timeout", message, remedy, f"statement_timeout is {in_force}, {where}"
            )


def _password_where_iam(facts: Facts) -> Iterator[Hit]:
    for server, role, declared in _users(facts):
        if declared.auth == "iam" and not is_in(server.cluster, role, IAM):
            message = "is declared to log in by IAM, and logs in by password."
            remedy = f"GRANT {identifier(IAM)} TO {identifier(role.name)};"
            yield _about(server, role)(IAM, message, remedy, f"it is no member of {IAM}")


def _unrotated(facts: Facts) -> Iterator[Hit]:
    for server, role, declared in _users(facts):
        since = facts.passwords.get(role.name)
        if declared.auth != "password" or since is None or is_over(role, facts.today):
            continue
        if facts.today - since > OLDEST_PASSWORD:
            message = f"has had one password since {since}: whoever ever saw it still gets in."
            remedy = f"replica-access user rotate {_word(role)} --yes"
            evidence = f"{legible(facts.spec.secret_of(role.name))} was written on {since}"
            yield _about(server, role)("password", message, remedy, evidence)


def _undeclared(facts: Facts) -> Iterator[Hit]:
    server = facts.roles
    if server is None:
        return
    cluster = server.cluster
    for role in cluster.roles.values():
        known = role.name in facts.spec.users or role.is_system or role.oid in {cluster.admin, server.asker}
        if known or not role.login or is_over(role, facts.today):
            continue
        open_to = open_to_login(cluster, role)
        if open_to:
            shown_databases = ", ".join(shown(name) for name in open_to[:4]) + (" …" if len(open_to) > 4 else "")
            shut_out = f"ALTER ROLE {identifier(role.name)} NOLOGIN;"
            remedy = (
                f"-- where nobody needs it; otherwise accept it in the spec. One that a run has made and that has left"
                f" the spec goes by: replica-access user drop {_word(role)} --yes\n{shut_out}"
            )
            message = "may log in, to the replica too, and is not declared."
            yield _about(server, role)("LOGIN", message, remedy, f"it may connect to {shown_databases}")


def _admin_option(facts: Facts) -> Iterator[Hit]:
    server = facts.roles
    if server is None:
        return
    cluster, readers = server.cluster, _readers(facts)
    for m in cluster.memberships:
        member, group = cluster.roles.get(m.member), cluster.roles.get(m.role)
        if member is None or group is None or not m.admin or member.superuser or member.oid == cluster.admin:
            continue
        if member.name in readers or group.name in readers:
            message = f"may put anybody into {shown(group.name)}: it is a member WITH ADMIN OPTION."
            yield _about(server, member)(
                shown(group.name), message, _without_admin(cluster, m), _granted_by(cluster, m)
            )


def _md5(facts: Facts) -> Iterator[Hit]:
    server = facts.roles
    if server is not None and server.settings.get("password_encryption", "").lower() in {"md5", "on"}:
        name = legible(server.name)
        remedy = "ALTER SYSTEM SET password_encryption = 'scram-sha-256'; SELECT pg_reload_conf();"
        if facts.surroundings is not None:
            around = facts.surroundings
            group = next(iter(around.primary.parameter_groups), "")
            parameter = "ParameterName=password_encryption,ParameterValue=scram-sha-256,ApplyMethod=immediate"
            words = ("modify-db-parameter-group", "--db-parameter-group-name", group, "--parameters", parameter)
            remedy = around.commands.rds(*words)
        message = f"{name} keeps new passwords as MD5, which is broken: a stolen hash logs in."
        yield Hit(name, name, "password_encryption", message, remedy, "password_encryption is md5")


# --- what the rules share --------------------------------------------------------------------------------------------


def _users(facts: Facts) -> Iterator[tuple[Server, Role, UserSpec]]:
    """Yield the declared logins that are there."""
    server = facts.roles
    for name, declared in facts.spec.users.items() if server is not None else ():
        if server is not None and (role := server.cluster.role(name)) is not None:
            yield server, role, declared


def _readers(facts: Facts) -> frozenset[str]:
    return frozenset((*facts.spec.roles, *facts.spec.users))


def _is_endless(timeout: str) -> bool:
    """Whether a timeout is none: PostgreSQL takes 0, in whatever unit, for no limit."""
    number = re.match(r"\s*(\d*)", timeout)
    return number is not None and int(number[1] or "0") == 0


def _without_admin(cluster: Cluster, m: Membership) -> str:
    group, member = identifier(cluster.roles[m.role].name), identifier(cluster.roles[m.member].name)
    grantor = cluster.roles.get(m.grantor)
    by = f" GRANTED BY {identifier(grantor.name)}" if cluster.version >= 160000 and grantor is not None else ""
    return f"REVOKE ADMIN OPTION FOR {group} FROM {member}{by};"


def _granted_by(cluster: Cluster, m: Membership) -> str:
    grantor = cluster.roles.get(m.grantor)
    return f"granted by {shown(grantor.name)}" if grantor is not None else "granted by a role that is gone"


def _declare(sql: str, role: Role, said: str) -> str:
    return f"{sql}\n-- and {said} in [users.{identifier(role.name)}] of the spec, or apply takes it back"


def _about(server: Server, role: Role) -> Callable[[str, str, str, str], Hit]:
    """Return what makes a hit of what it is about, a message that goes on from the role's name, remedy and evidence."""
    name = shown(role.name)
    return lambda what, message, remedy, evidence: Hit(
        legible(server.name), name, what, f"{name} {message}", remedy, evidence
    )


RULES = (
    Rule(
        "login-expired",
        "medium",
        "A login has expired and is still there, with all that it may do.",
        _expired,
    ),
    Rule("login-iam", "medium", "A login takes a password where the spec declares IAM.", _password_where_iam),
    Rule("login-admin-option", "high", "Somebody may hand a reader's rights on to whom they like.", _admin_option),
    Rule("login-md5", "medium", "Passwords are kept as MD5.", _md5),
    Rule("login-unrotated", "low", "A login has had the same password for more than a year.", _unrotated),
    Rule("login-undeclared", "low", "Somebody whom the spec does not know may log in to the replica.", _undeclared),
    Rule("login-no-expiry", "low", "A login goes on for ever: nobody will think of it.", _no_expiry),
    Rule("login-no-limit", "low", "A login may take all connections of the replica.", _no_limit),
    Rule("login-no-timeout", "low", "A login's queries may run for ever.", _no_timeout),
)

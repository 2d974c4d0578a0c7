"""Worlds as SQL: what the bootstrap superuser executes to make one, and to leave nothing of it behind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from replica_access.postgres.statements import qualified, quoted
from replica_access.sandbox.rds_like import SUPERUSER, scram_verifier

from .worlds import COLUMNS, PUBLIC, Database, Default, Grant, Membership, Relation, Role, Routine, Schema, World

PASSWORD = "known before"
_VERIFIER = scram_verifier(PASSWORD, rounds=1)

_OPTIONS_SINCE = 16
_COLUMNS = ", ".join(f"{quoted(column)} int" for column in COLUMNS)
_VALUES = ", ".join(f"1 AS {quoted(column)}" for column in COLUMNS)


def shared(world: World, major: int) -> Iterator[str]:
    """Roles, memberships, owners of databases and who connects; executed in any database."""
    for role in world.roles:
        yield from _as(world.admin if role.by_admin else SUPERUSER, [_role(role)])
    for membership in world.memberships:
        yield from _as(world.admin if membership.by_admin else SUPERUSER, [_membership(membership, major)])
    if not world.admin_inherits:
        yield f"ALTER ROLE {quoted(world.admin)} NOINHERIT"
    for database in world.databases:
        what = f"DATABASE {quoted(database.name)}"
        yield f"ALTER {what} OWNER TO {quoted(database.owner)}"
        if not database.public_connect:
            yield f"REVOKE CONNECT ON {what} FROM PUBLIC"
        if database.admin_connect:
            yield f"GRANT CONNECT ON {what} TO {quoted(world.admin)}"
        yield from _grants(what, database.grants)


def inside(database: Database) -> Iterator[str]:
    """Schemas, relations and default privileges; executed in `database`."""
    for default in database.defaults:  # before there is anything, so that they show in what is made later, too
        if default.schema is None:
            yield _default(default)
    for schema in database.schemas:
        yield from _schema(schema)
    yield from (_default(default) for default in database.defaults if default.schema is not None)


def _role(role: Role) -> str:
    options = (
        "SUPERUSER" if role.superuser else "NOSUPERUSER",
        f"LOGIN PASSWORD '{_VERIFIER}'" if role.login else "NOLOGIN",
        "INHERIT" if role.inherit else "NOINHERIT",
    )
    return f"CREATE ROLE {quoted(role.name)} {' '.join(options)}"


def _membership(membership: Membership, major: int) -> str:
    statement = f"GRANT {quoted(membership.role)} TO {quoted(membership.member)}"
    if major < _OPTIONS_SINCE:
        return statement + (" WITH ADMIN OPTION" if membership.admin else "")
    return f"{statement} WITH ADMIN {membership.admin}, INHERIT {membership.inherit}, SET {membership.set_role}"


def _schema(schema: Schema) -> Iterator[str]:
    what = f"SCHEMA {quoted(schema.name)}"
    if schema.name != "public":
        yield f"CREATE {what} AUTHORIZATION {quoted(schema.owner)}"
    if schema.public_revoked:
        yield f"REVOKE ALL ON {what} FROM PUBLIC"
    yield from _grants(what, schema.grants)
    for relation in schema.relations:
        yield from _relation(schema.name, relation)
    for routine in schema.routines:
        yield from _routine(schema.name, routine)


def _routine(schema: str, routine: Routine) -> Iterator[str]:
    name = qualified(schema, routine.name)
    what = f"TYPE {name}" if routine.is_type else f"FUNCTION {name}()"
    yield f"CREATE {what} {'AS ENUM ()' if routine.is_type else 'RETURNS int LANGUAGE sql AS $$SELECT 1$$'}"
    yield f"ALTER {what} OWNER TO {quoted(routine.owner)}"
    if routine.public_revoked:
        yield f"REVOKE ALL ON {what} FROM PUBLIC"
    if delegates := {quoted(grant.by) for grant in routine.grants if grant.by is not None}:
        yield f"GRANT USAGE ON SCHEMA {quoted(schema)} TO {', '.join(sorted(delegates))}"
    yield from _grants(what, routine.grants)


def _relation(schema: str, relation: Relation) -> Iterator[str]:
    name = qualified(schema, relation.name)
    kind, sequence = relation.kind.upper(), relation.kind == "sequence"
    match relation.kind:
        case "table":
            yield f"CREATE TABLE {name} ({_COLUMNS})"
        case "partitioned":
            kind = "TABLE"
            yield f"CREATE TABLE {name} ({_COLUMNS}) PARTITION BY LIST (id)"
            yield f"CREATE TABLE {qualified(schema, _partition(relation.name))} PARTITION OF {name} DEFAULT"
        case "view":
            yield f"CREATE VIEW {name} AS SELECT {_VALUES}"
        case "matview":
            kind = "MATERIALIZED VIEW"
            yield f"CREATE MATERIALIZED VIEW {name} AS SELECT {_VALUES}"
        case "foreign":
            kind = "FOREIGN TABLE"
            yield f"CREATE FOREIGN TABLE {name} ({_COLUMNS}) SERVER elsewhere"
        case "sequence":
            yield f"CREATE SEQUENCE {name}"
    yield f"ALTER {kind} {name} OWNER TO {quoted(relation.owner)}"
    what = f"SEQUENCE {name}" if sequence else f"TABLE {name}"
    if relation.owner_revoked:
        yield f"REVOKE ALL ON {what} FROM {quoted(relation.owner)}"
    grants = [g for g in relation.grants if not sequence or g.privilege in {"SELECT", "ALL"}]
    delegates = {quoted(g.by) for g in grants if g.by is not None}
    if delegates:
        yield f"GRANT USAGE ON SCHEMA {quoted(schema)} TO {', '.join(sorted(delegates))}"
    yield from _grants(what, grants)


def _partition(name: str) -> str:
    return "p" + name[:40]


def _grants(what: str, grants: Iterable[Grant]) -> Iterator[str]:
    for grant in grants:
        grantee = "PUBLIC" if grant.grantee == PUBLIC else quoted(grant.grantee)
        option = " WITH GRANT OPTION" if grant.option else ""
        statement = f"GRANT {grant.privilege} ON {what} TO {grantee}{option}"
        if grant.by is None:
            yield statement
        else:
            yield f"GRANT {grant.privilege} ON {what} TO {quoted(grant.by)} WITH GRANT OPTION"
            yield from _as(grant.by, [statement])


def _default(default: Default) -> str:
    where = f" IN SCHEMA {quoted(default.schema)}" if default.schema is not None else ""
    grantee = "PUBLIC" if default.grantee == PUBLIC else quoted(default.grantee)
    head = f"ALTER DEFAULT PRIVILEGES FOR ROLE {quoted(default.creator)}{where}"
    if default.revoked:
        return f"{head} REVOKE {default.privilege} ON {default.kind} FROM {grantee}"
    option = " WITH GRANT OPTION" if default.option else ""
    return f"{head} GRANT {default.privilege} ON {default.kind} TO {grantee}{option}"


def _as(role: str, statements: Iterable[str]) -> Iterator[str]:
    yield f"SET SESSION AUTHORIZATION {quoted(role)}"
    yield from statements
    yield "RESET SESSION AUTHORIZATION"


# --- and away with it ------------------------------------------------------------------------------------------------


def cleared_databases(admin: str, databases: Iterable[str], roles: Iterable[str]) -> Iterator[str]:
    """Put databases back as they were; `roles` are those that exist."""
    for database in databases:
        what = f"DATABASE {quoted(database)}"
        yield f"ALTER {what} OWNER TO {quoted(SUPERUSER)}"
        yield f"REVOKE ALL ON {what} FROM {', '.join(map(quoted, [admin, *roles]))}, PUBLIC CASCADE"
        yield f"GRANT CONNECT, TEMPORARY ON {what} TO PUBLIC"


def cleared_inside(schemas: Iterable[str], roles: Iterable[str]) -> Iterator[str]:
    """Take away all that is in a database."""
    for schema in schemas:
        yield f"DROP SCHEMA {quoted(schema)} CASCADE"
    yield "CREATE SCHEMA public AUTHORIZATION pg_database_owner"
    yield "GRANT USAGE ON SCHEMA public TO PUBLIC"
    for role in roles:  # one after the other: two in one default privilege are too much for one statement
        yield f"DROP OWNED BY {quoted(role)} CASCADE"


def cleared_roles(admin: str, roles: Iterable[str]) -> Iterator[str]:
    yield f"ALTER ROLE {quoted(admin)} INHERIT"
    if names := ", ".join(map(quoted, roles)):
        yield f"DROP ROLE {names}"

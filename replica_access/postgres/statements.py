"""DDL, composed: names as identifiers, values as literals, keywords from here.

Every function returns text that can be executed as it stands and pasted into psql. Nothing is executed here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

from psycopg.sql import SQL, Composable, Identifier
from psycopg.sql import Literal as Value

from replica_access.postgres import parameters
from replica_access.postgres.connect import as_text
from replica_access.postgres.queries import load

VERIFIER = "SCRAM-SHA-256$…"
"""Stands in a plan where `apply` puts the verifier; no verifier is ever kept."""


class Name(Identifier):
    """An identifier whose bytes may be no UTF-8; psycopg's own refuses those."""

    def as_bytes(self, context: object = None) -> bytes:
        del context
        return ".".join(quoted(part) for part in self._obj).encode("utf-8", "surrogateescape")


class Names(Composable):
    """Identifiers with commas between them, (schema, name) each or a name alone: many at the price of one."""

    def __init__(self, names: Iterable[str | tuple[str, str]]) -> None:
        super().__init__(", ".join(quoted(name) if isinstance(name, str) else qualified(*name) for name in names))

    def as_bytes(self, context: object = None) -> bytes:
        del context
        text: str = self._obj
        return text.encode("utf-8", "surrogateescape")


class Texts(Composable):
    """Literals with commas between them, whose bytes may be no UTF-8; psycopg's own refuses those."""

    def __init__(self, texts: Iterable[str]) -> None:
        super().__init__(", ".join(_literal(text) for text in texts))

    as_bytes = Names.as_bytes


class Written(Composable):
    """What a server wrote itself, quoted where it has to be: identities of functions, with the types of arguments."""

    as_bytes = Names.as_bytes


def _literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"E'{escaped}'"


def quoted(name: str) -> str:
    """Return `name` as an identifier that is always quoted.

    >>> quoted('we"ird')
    '"we""ird"'
    """
    return '"' + name.replace('"', '""') + '"'


def qualified(schema: str, name: str) -> str:
    return '"' + schema.replace('"', '""') + '"."' + name.replace('"', '""') + '"'


def _text(template: SQL, **parts: Composable) -> str:
    return as_text(template.format(**parts))


# --- roles -----------------------------------------------------------------------------------------------------------


def create_role(name: str, *, login: bool, connection_limit: int = -1, valid_until: str | None = None) -> str:
    options: list[Composable] = [SQL("LOGIN") if login else SQL("NOLOGIN")]
    if connection_limit != -1:
        options.append(SQL("CONNECTION LIMIT {}").format(Value(connection_limit)))
    if valid_until is not None:
        options.append(SQL("VALID UNTIL {}").format(Value(valid_until)))
    return _text(SQL("CREATE ROLE {name} {options}"), name=Name(name), options=SQL(" ").join(options))


def role_is_new(name: str) -> str:
    """Ask whether there is no such role, for a script that makes it only then."""
    template = SQL("SELECT NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {name}) AS is_new")
    return _text(template, name=Texts([name]))


def drop_role(name: str) -> str:
    return _text(SQL("DROP ROLE {name}"), name=Name(name))


def alter_login(name: str, login: bool) -> str:
    return _text(SQL("ALTER ROLE {name} {login}"), name=Name(name), login=SQL("LOGIN") if login else SQL("NOLOGIN"))


def alter_inherit(name: str, inherit: bool) -> str:
    return _text(SQL("ALTER ROLE {name} {what}"), name=Name(name), what=SQL("INHERIT") if inherit else SQL("NOINHERIT"))


def alter_connection_limit(name: str, limit: int) -> str:
    return _text(SQL("ALTER ROLE {name} CONNECTION LIMIT {limit}"), name=Name(name), limit=Value(limit))


def alter_valid_until(name: str, valid_until: str | None) -> str:
    return _text(SQL("ALTER ROLE {name} VALID UNTIL {until}"), name=Name(name), until=Value(valid_until or "infinity"))


def alter_password(name: str, verifier: str = VERIFIER) -> str:
    return _text(SQL("ALTER ROLE {name} PASSWORD {verifier}"), name=Name(name), verifier=Value(verifier))


def clear_password(name: str) -> str:
    return _text(SQL("ALTER ROLE {name} PASSWORD NULL"), name=Name(name))


def alter_setting(name: str, setting: str, value: str | None) -> str:
    """`value` None takes the setting away."""
    role, parameter = Name(name), Name(*setting.split("."))
    if value is None:
        return _text(SQL("ALTER ROLE {role} RESET {parameter}"), role=role, parameter=parameter)
    values = SQL(", ").join(Value(element) for element in parameters.elements(setting, value))
    return _text(SQL("ALTER ROLE {role} SET {parameter} TO {values}"), role=role, parameter=parameter, values=values)


def comment_on_role(name: str, comment: str | None) -> str:
    return _text(SQL("COMMENT ON ROLE {name} IS {comment}"), name=Name(name), comment=Value(comment))


def grant_membership(role: str, member: str, *, inherit_option: bool) -> str:
    """`inherit_option`: say INHERIT TRUE, which exists since PostgreSQL 16."""
    template = SQL("GRANT {role} TO {member} WITH INHERIT TRUE") if inherit_option else SQL("GRANT {role} TO {member}")
    return _text(template, role=Name(role), member=Name(member))


def revoke_membership(role: str, member: str, *, granted_by: str | None = None, only_admin: bool = False) -> str:
    """`granted_by`: one grantor's alone, which counts since PostgreSQL 16; `only_admin`: its ADMIN OPTION alone."""
    return _text(
        SQL("REVOKE {only}{role} FROM {member}{by}"),
        only=SQL("ADMIN OPTION FOR ") if only_admin else SQL(""),
        role=Name(role),
        member=Name(member),
        by=SQL("") if granted_by is None else SQL(" GRANTED BY {}").format(Name(granted_by)),
    )


def grant_membership_as_it_was(
    role: str, member: str, *, admin: bool, inherit: bool, set_role: bool, granted_by: str | None
) -> str:
    """`granted_by` None: before PostgreSQL 16, which knows of no option but ADMIN."""
    options: Composable
    if granted_by is None:
        options = SQL(" WITH ADMIN OPTION") if admin else SQL("")
    else:
        options = SQL(" WITH ADMIN {}, INHERIT {}, SET {} GRANTED BY {}").format(
            *map(_boolean, (admin, inherit, set_role)), Name(granted_by)
        )
    return _text(SQL("GRANT {role} TO {member}{options}"), role=Name(role), member=Name(member), options=options)


# --- the admin's own membership, for the length of a transaction ------------------------------------------------------


def join(roles: Sequence[str], admin: str, *, inherit: bool | None = None, set_role: bool | None = None) -> str:
    """Let `admin` act with the rights of `roles`, and as them; the options are known since PostgreSQL 16.

    :param inherit: None, with `set_role`, before PostgreSQL 16.
    """
    options: Composable = SQL("")
    if inherit is not None:
        options = SQL(" WITH INHERIT {}, SET {}").format(_boolean(inherit), _boolean(bool(set_role)))
    return _text(SQL("GRANT {roles} TO {admin}{options}"), roles=Names(roles), admin=Name(admin), options=options)


def _boolean(value: bool) -> SQL:
    return SQL("TRUE") if value else SQL("FALSE")


def leave(roles: Sequence[str], admin: str) -> str:
    """The grantor is the same one that `join` had, chosen by the same rule of the server."""
    return _text(SQL("REVOKE {roles} FROM {admin}"), roles=Names(roles), admin=Name(admin))


def join_and_leave(roles: Iterable[str]) -> str:
    """A query for a script, where what `join` and `leave` would say is not known yet: one row with both."""
    return _text(SQL(load("script_join").rstrip()), roles=Texts(roles))


# --- privileges ------------------------------------------------------------------------------------------------------

Verb = Literal["GRANT", "REVOKE"]

PRIVILEGES: Mapping[str, SQL] = {
    "SELECT": SQL("SELECT"),
    "INSERT": SQL("INSERT"),
    "UPDATE": SQL("UPDATE"),
    "DELETE": SQL("DELETE"),
    "TRUNCATE": SQL("TRUNCATE"),
    "REFERENCES": SQL("REFERENCES"),
    "TRIGGER": SQL("TRIGGER"),
    "MAINTAIN": SQL("MAINTAIN"),
    "USAGE": SQL("USAGE"),
    "CREATE": SQL("CREATE"),
    "CONNECT": SQL("CONNECT"),
    "TEMPORARY": SQL("TEMPORARY"),
    "EXECUTE": SQL("EXECUTE"),
    "SET": SQL("SET"),
    "ALTER SYSTEM": SQL("ALTER SYSTEM"),
    "ALL": SQL("ALL"),
}
"""As aclexplode names them (aclchk.c, convert_aclright_to_string); ALL beside."""

KINDS: Mapping[str, SQL] = {
    "TABLE": SQL("TABLE"),
    "SEQUENCE": SQL("SEQUENCE"),
    "SCHEMA": SQL("SCHEMA"),
    "DATABASE": SQL("DATABASE"),
    "ROUTINE": SQL("ROUTINE"),
    "TYPE": SQL("TYPE"),
    "LANGUAGE": SQL("LANGUAGE"),
    "FOREIGN DATA WRAPPER": SQL("FOREIGN DATA WRAPPER"),
    "FOREIGN SERVER": SQL("FOREIGN SERVER"),
    "LARGE OBJECT": SQL("LARGE OBJECT"),
    "PARAMETER": SQL("PARAMETER"),
    "TABLESPACE": SQL("TABLESPACE"),
    "TABLES": SQL("TABLES"),
    "SEQUENCES": SQL("SEQUENCES"),
    "SCHEMAS": SQL("SCHEMAS"),
    "ROUTINES": SQL("ROUTINES"),
    "TYPES": SQL("TYPES"),
}
"""What GRANT names objects by; in the plural what ALTER DEFAULT PRIVILEGES does."""


def on(
    verb: Verb,
    privileges: Sequence[str],
    kind: str,
    names: Composable,
    role: str,
    *,
    option: bool = False,
    columns: Sequence[str] = (),
) -> str:
    """Grant `privileges` on objects to `role`, or revoke them from it.

    :param option: grant them with grant option; revoke that alone.
    :param columns: of the one relation in `names`, where it is about these.
    """
    listed = SQL(" ({})").format(Names(columns)) if columns else SQL("")
    return _text(
        SQL("{verb}{only} {privileges} ON {kind} {names} {to} {role}{option}"),
        **_verb(verb, option),
        privileges=SQL(", ").join(PRIVILEGES[privilege] + listed for privilege in privileges),
        kind=KINDS[kind],
        names=names,
        role=Name(role),
    )


def default(
    verb: Verb,
    privileges: Sequence[str],
    kind: str,
    role: str | None,
    *,
    creators: Sequence[str],
    schemas: Sequence[str] = (),
    option: bool = False,
) -> str:
    """The same on what each of `creators` makes from now on: in `schemas`, or anywhere when there are none.

    :param role: ``None`` is PUBLIC.
    """
    where = SQL(" IN SCHEMA {}").format(Names(schemas)) if schemas else SQL("")
    return _text(
        SQL(
            "ALTER DEFAULT PRIVILEGES FOR ROLE {creators}{where}"
            " {verb}{only} {privileges} ON {kind} {to} {role}{option}"
        ),
        **_verb(verb, option),
        creators=Names(creators),
        where=where,
        privileges=SQL(", ").join(PRIVILEGES[privilege] for privilege in privileges),
        kind=KINDS[kind],
        role=SQL("PUBLIC") if role is None else Name(role),
    )


def _verb(verb: Verb, option: bool) -> dict[str, Composable]:
    if verb == "GRANT":
        with_option = SQL(" WITH GRANT OPTION") if option else SQL("")
        return {"verb": SQL("GRANT"), "only": SQL(""), "to": SQL("TO"), "option": with_option}
    only = SQL(" GRANT OPTION FOR") if option else SQL("")
    return {"verb": SQL("REVOKE"), "only": only, "to": SQL("FROM"), "option": SQL("")}


def connect_on(verb: Verb, databases: Sequence[str], reader: str) -> str:
    return on(verb, ["CONNECT"], "DATABASE", Names(databases), reader)


def usage_on(verb: Verb, schemas: Sequence[str], reader: str) -> str:
    return on(verb, ["USAGE"], "SCHEMA", Names(schemas), reader)


def select_on(verb: Verb, relations: Names, reader: str, *, sequences: bool = False) -> str:
    """SELECT on `relations`, which are all sequences or none of them."""
    return on(verb, ["SELECT"], "SEQUENCE" if sequences else "TABLE", relations, reader)


def select_columns_on(
    verb: Verb, relation: tuple[str, str], columns: Sequence[str], reader: str, *, grantable: bool = False
) -> str:
    """SELECT on some columns of one relation; `grantable`: with grant option."""
    return on(verb, ["SELECT"], "TABLE", Names([relation]), reader, option=grantable, columns=columns)


# --- taking roles away -----------------------------------------------------------------------------------------------


def as_role(role: str, statements: Iterable[str]) -> Iterator[str]:
    """Yield `statements` so that they run as `role`, within a transaction."""
    yield _text(SQL("SET LOCAL ROLE {role}"), role=Name(role))
    yield from statements
    yield "RESET ROLE"


def end_sessions(role: str) -> str:
    """End the sessions of `role` on the server where it runs."""
    return _text(
        SQL(
            "SELECT pg_catalog.pg_terminate_backend(a.pid) FROM pg_catalog.pg_stat_activity a WHERE a.usename = {role}"
        ),
        role=Texts([role]),
    )

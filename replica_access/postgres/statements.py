"""DDL, composed: names as identifiers, values as literals, keywords from here.

Every function returns text that can be executed as it stands and pasted into psql. Nothing is executed here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from psycopg.sql import SQL, Composable, Identifier
from psycopg.sql import Literal as Value

from replica_access.postgres import parameters
from replica_access.postgres.connect import as_text
from replica_access.postgres.queries import load

VERIFIER = "SCRAM-SHA-256$…"
"""Stands in a plan where `apply` puts the verifier; no verifier is ever kept."""

ReadKind = Literal["TABLES", "SEQUENCES", "SCHEMAS"]


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


def revoke_membership(role: str, member: str) -> str:
    return _text(SQL("REVOKE {role} FROM {member}"), role=Name(role), member=Name(member))


# --- the admin's own membership, for the length of a transaction ------------------------------------------------------


def join(roles: Sequence[str], admin: str, options: str = "") -> str:
    """Let `admin` act with the rights of `roles`.

    :param options: what the membership is to be: "" before PostgreSQL 16, else a key of `MEMBERSHIP_OPTIONS`.
    """
    return _text(
        SQL("GRANT {roles} TO {admin}{options}"),
        roles=Names(roles),
        admin=Name(admin),
        options=MEMBERSHIP_OPTIONS[options],
    )


def leave(roles: Sequence[str], admin: str) -> str:
    """The grantor is the same one that `join` had, chosen by the same rule of the server."""
    return _text(SQL("REVOKE {roles} FROM {admin}"), roles=Names(roles), admin=Name(admin))


def join_and_leave(roles: Iterable[str]) -> str:
    """A query for a script, where what `join` and `leave` would say is not known yet: one row with both."""
    return _text(SQL(load("script_join").rstrip()), roles=Texts(roles))


MEMBERSHIP_OPTIONS: Mapping[str, SQL] = {
    "": SQL(""),
    "rights only": SQL(" WITH INHERIT TRUE, SET FALSE"),
    "inherit": SQL(" WITH INHERIT TRUE"),
    "no inherit": SQL(" WITH INHERIT FALSE"),
}


# --- privileges ------------------------------------------------------------------------------------------------------


def connect_on(verb: Literal["GRANT", "REVOKE"], databases: Sequence[str], reader: str) -> str:
    return _text(
        SQL("{verb} CONNECT ON DATABASE {names} {to} {reader}"),
        **_verb(verb),
        names=Names(databases),
        reader=Name(reader),
    )


def usage_on(verb: Literal["GRANT", "REVOKE"], schemas: Sequence[str], reader: str) -> str:
    return _text(
        SQL("{verb} USAGE ON SCHEMA {names} {to} {reader}"), **_verb(verb), names=Names(schemas), reader=Name(reader)
    )


def select_on(
    verb: Literal["GRANT", "REVOKE"], relations: Sequence[tuple[str, str]], reader: str, *, sequences: bool = False
) -> str:
    """SELECT on `relations`, (schema, name) each, which are all sequences or none of them."""
    return _text(
        SQL("{verb} SELECT ON {kind} {names} {to} {reader}"),
        **_verb(verb),
        kind=SQL("SEQUENCE") if sequences else SQL("TABLE"),
        names=Names(relations),
        reader=Name(reader),
    )


def select_columns_on(
    verb: Literal["GRANT", "REVOKE"],
    relation: tuple[str, str],
    columns: Sequence[str],
    reader: str,
    *,
    grantable: bool = False,
) -> str:
    """SELECT on some columns of one relation; `grantable`: with grant option."""
    return _text(
        SQL("{verb} SELECT ({columns}) ON TABLE {name} {to} {reader}{option}"),
        **_verb(verb),
        columns=Names(columns),
        name=Names([relation]),
        reader=Name(reader),
        option=SQL(" WITH GRANT OPTION") if grantable else SQL(""),
    )


def default_read(
    verb: Literal["GRANT", "REVOKE"], creator: str, schemas: Sequence[str], kind: ReadKind, reader: str
) -> str:
    """The right to read what `creator` makes from now on: in `schemas`, or anywhere when there are none."""
    rights: Mapping[ReadKind, SQL] = {
        "TABLES": SQL("SELECT ON TABLES"),
        "SEQUENCES": SQL("SELECT ON SEQUENCES"),
        "SCHEMAS": SQL("USAGE ON SCHEMAS"),
    }
    where = SQL(" IN SCHEMA {}").format(Names(schemas)) if schemas else SQL("")
    return _text(
        SQL("ALTER DEFAULT PRIVILEGES FOR ROLE {creator}{where} {verb} {right} {to} {reader}"),
        **_verb(verb),
        creator=Name(creator),
        where=where,
        right=rights[kind],
        reader=Name(reader),
    )


def _verb(verb: Literal["GRANT", "REVOKE"]) -> dict[str, Composable]:
    return {"verb": SQL("GRANT"), "to": SQL("TO")} if verb == "GRANT" else {"verb": SQL("REVOKE"), "to": SQL("FROM")}

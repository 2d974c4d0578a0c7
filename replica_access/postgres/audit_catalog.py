"""Read what decides who may do what: one database and all that the server shares, in one snapshot, writing nothing.

Everybody may read these catalogs, on a replica as well. What is read grows with the number of different ACLs, and with
names alone beyond that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row, tuple_row

from replica_access.catalog import Entry, Membership, Role
from replica_access.names import shown
from replica_access.postgres.connect import database_error
from replica_access.postgres.queries import load
from replica_access.rights import Default, Objects, Owned, Parts, Policy, Rights, Use, View

PARAMETERS_SINCE = 150000
_EVERYTHING: Mapping[str, Any] = {"only": None, "catalog": None}


def read_rights(connection: psycopg.Connection[Any]) -> Rights:
    """Read the database that `connection` is in, and the shared catalogs.

    The session is one of ours, so that all is of one snapshot; within a transaction of the caller's, it is of that.

    :raises DatabaseError: a query failed.
    """
    with _snapshot(connection):
        server = _ask(connection, "audit_server")
        roles = _ask(connection, "catalog_roles")
        shared = [_rows(connection, "audit_shared")]
        if connection.info.server_version >= PARAMETERS_SINCE:
            shared.append(_rows(connection, "audit_parameters"))
        of_database = [_rows(connection, query) for query in ("audit_objects", "audit_relations", "audit_columns")]
        defaults = _ask(connection, "audit_defaults")
        policies = _ask(connection, "audit_policies")
        views = _ask(connection, "audit_views")
        opened = _rows(connection, "audit_opened")
        owned = _ask(connection, "audit_owned")
        parts = _ask(connection, "audit_parts")
        settings = _ask(connection, "audit_role_settings")
    (here,) = server
    found_roles = roles.fetchall()
    return Rights(
        system_identifier=here.system_identifier,
        version=here.version,
        in_recovery=here.in_recovery,
        database=here.database,
        owner=here.owner,
        roles={row.oid: role(row) for row in found_roles},
        memberships=tuple(sorted((m for row in found_roles for m in memberships(row)), key=place_of)),
        objects=tuple(sorted((objects_of(row) for rows in (*shared, *of_database) for row in rows), key=_order)),
        defaults=tuple(Default(row.creator, row.schema, row.kind, entries(row.entries)) for row in defaults),
        policies=tuple(policy_of(row) for row in policies),
        views=tuple(views_of(views)),
        large_objects_open=here.large_objects_open,
        opened=tuple(map(objects_of, opened)),
        parts=tuple(map(parts_of, parts)),
        owned=tuple(Owned(row.owner, row.kind, row.name) for row in owned),
        settings={row.role: by_name(row.settings) for row in settings},
    )


@contextmanager
def _snapshot(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """What is asked in a pipeline travels together; our sessions have REPEATABLE READ, so it sees one state."""
    try:
        with connection.pipeline():
            yield
    except psycopg.Error as error:
        what = f"Reading who may do what in {shown(connection.info.dbname)}"
        raise database_error(error, what) from error


def _ask(connection: psycopg.Connection[Any], query: str) -> psycopg.Cursor[Any]:
    return connection.cursor(row_factory=namedtuple_row).execute(load(query), _EVERYTHING)


def _rows(connection: psycopg.Connection[Any], query: str) -> psycopg.Cursor[Any]:
    return connection.cursor(row_factory=tuple_row).execute(load(query), _EVERYTHING)


# --- rows to values --------------------------------------------------------------------------------------------------


def role(row: Any) -> Role:
    """Return a row of ``catalog_roles`` as a value."""
    values = row._asdict()
    del values["memberships"]
    values["settings"] = by_name(row.settings)
    return Role(**values)


def by_name(settings: Iterable[str]) -> dict[str, str]:
    """Return settings, ``name=value`` each, by name."""
    return dict(setting.partition("=")[::2] for setting in settings)


def memberships(row: Any) -> Iterator[Membership]:
    """Yield what the role in a row of ``catalog_roles`` is a member of."""
    for text in row.memberships:
        group, grantor, *options = text.split(" ")
        yield Membership(int(group), row.oid, int(grantor), *(option == "t" for option in options))


def place_of(membership: Membership) -> tuple[int, int, int]:
    """Return what memberships are sorted by."""
    return membership.role, membership.member, membership.grantor


def objects_of(row: Any) -> Objects:
    """Return a row of ``audit_relations`` or one of its kin as a value."""
    (
        kind,
        schema,
        relation,
        owner,
        is_default,
        acl,
        extension,
        row_security,
        definer,
        installed,
        catalog,
        total,
        names,
    ) = row
    return Objects(
        kind=kind,
        schema=schema,
        relation=relation,
        owner=owner,
        entries=entries(acl),
        names=tuple(sorted(names)),
        total=total,
        is_default=is_default,
        extension=extension,
        row_security=row_security,
        definer=definer,
        installed=installed,
        catalog=catalog,
    )


def _order(objects: Objects) -> tuple[str, str, str, tuple[str, ...], int, bool]:
    return objects.kind, objects.schema, objects.relation, objects.names[:1], objects.owner, objects.definer


def policy_of(row: Any) -> Policy:
    return Policy(row.schema, row.relation, row.name, row.command, row.permissive, tuple(row.roles))


def parts_of(row: Any) -> Parts:
    return Parts(row.schema, row.parent, row.child_schema, tuple(row.children))


def views_of(rows: Iterable[Any]) -> Iterator[View]:
    """Return the rows of ``audit_views``, one for each relation that a view reads, as values, one for each view."""
    found: dict[tuple[str, str], View] = {}
    uses: dict[tuple[str, str], list[Use]] = {}
    for row in rows:
        place = row.schema, row.name
        found[place] = View(row.schema, row.name, row.owner, row.invoker, ())
        uses.setdefault(place, []).append(Use(row.base_schema, row.base_name, tuple(row.columns or ())))
    for place, view in found.items():
        yield View(view.schema, view.name, view.owner, view.invoker, tuple(uses[place]))


@lru_cache(20_000)  # there are few, again and again
def entries(text: str | None) -> tuple[Entry, ...]:
    """Read an ACL as the queries write it: grantee, grantor, grantable, privilege with spaces, and commas between."""
    return tuple(map(_entry, text.split(","))) if text else ()


@lru_cache(20_000)
def _entry(text: str) -> Entry:
    grantee, grantor, grantable, privilege = text.split(" ", 3)
    return Entry(int(grantee), int(grantor), privilege, grantable == "t")

"""What `why` tells people to run, run: the server says whether it ends every way, whether less would, and what helps.

All of it within a transaction of the caller's, which is as it was afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, islice
from random import Random
from typing import Any

import psycopg

from replica_access.audit.effective import Access
from replica_access.audit.explain import Explanation, explain
from replica_access.audit.revoking import target
from replica_access.audit.sql import identifier
from replica_access.model import PUBLIC
from replica_access.rights import RELATIONS, Objects

Script = tuple[str, ...]
BOOTSTRAP_SUPERUSER = 10

_RELATION = "format('%%I.%%I', %(schema)s::text, %(name)s::text)::regclass"
_ROUTINE = """(SELECT f.oid FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace WHERE n.nspname = %(schema)s
               AND concat(quote_ident(f.proname), '(', oidvectortypes(f.proargtypes), ')') = %(name)s)"""
_TYPE = """(SELECT t.oid FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
             WHERE n.nspname = %(schema)s AND t.typname = %(name)s)"""
CALLS: Mapping[str, str] = {
    **dict.fromkeys(RELATIONS, f"has_table_privilege(r.oid, {_RELATION}, %(privilege)s)"),
    "sequence": f"has_sequence_privilege(r.oid, {_RELATION}, %(privilege)s)",
    "column": "has_column_privilege(r.oid, format('%%I.%%I', %(schema)s::text, %(relation)s::text)::regclass,"
    " %(name)s, %(privilege)s)",
    **dict.fromkeys(("function", "procedure"), f"has_function_privilege(r.oid, {_ROUTINE}, %(privilege)s)"),
    **dict.fromkeys(("type", "domain"), f"has_type_privilege(r.oid, {_TYPE}, %(privilege)s)"),
    "schema": "has_schema_privilege(r.oid, %(name)s, %(privilege)s)",
    "database": "has_database_privilege(r.oid, %(name)s, %(privilege)s)",
    "tablespace": "has_tablespace_privilege(r.oid, %(name)s, %(privilege)s)",
    "language": "has_language_privilege(r.oid, %(name)s, %(privilege)s)",
    "foreign data wrapper": "has_foreign_data_wrapper_privilege(r.oid, %(name)s, %(privilege)s)",
    "foreign server": "has_server_privilege(r.oid, %(name)s, %(privilege)s)",
    "parameter": "has_parameter_privilege(r.oid, %(name)s, %(privilege)s)",
    "large object": "has_largeobject_privilege(r.oid, %(name)s::oid, %(privilege)s)",
}
"""Whether the role `r` holds it, by kind; large objects can be asked about since PostgreSQL 18."""


@dataclass(frozen=True, slots=True)
class Case:
    """One question to `why`."""

    role: int
    objects: Objects
    name: str
    privilege: str


def drawn(access: Access, chance: Random, number: int) -> Iterator[Case]:
    """Yield questions about people who somebody made and objects that have an ACL."""
    people = [role.oid for role in access.rights.roles.values() if role.oid >= 16384]
    made = [objects for objects in access.rights.objects if objects.names and not objects.is_default]
    for _ in range(number):
        objects = chance.choice(made)
        yield Case(
            chance.choice(people), objects, chance.choice(objects.names), chance.choice(access.privileges(objects))
        )


def prove(connection: psycopg.Connection[Any], access: Access, case: Case, *, most: int) -> str:
    """Run what `why` says about `case`; return whether it was to be ended, given, or is none of these.

    :param most: so many smaller sets of statements are tried where there are more.
    """
    if case.objects.kind == "large object" and access.rights.version < 180000:
        return ""
    said = explain(access, case.role, case.objects, case.name, case.privilege)
    holding = holders(connection, case)
    assert bool(holding) == bool(said.cuts or access.within_reach(case.role, case.objects, case.privilege)), case
    if said.cuts:
        _ends(connection, access, case, said, most)
        return "ended"
    if holding:
        _does_not_end(connection, access, case, most)
        return "stays"
    if not said.has_access:
        return _gives(connection, case, said)
    return ""


def holders(connection: psycopg.Connection[Any], case: Case) -> list[int]:
    """Return through whom the role holds it: itself, or whom it can become, as the server says."""
    becomes = "SET" if connection.info.server_version >= 160000 else "MEMBER"
    query = f"""SELECT r.oid::bigint FROM pg_roles r
                 WHERE (r.oid = %(role)s OR pg_has_role(%(role)s, r.oid, '{becomes}')) AND {CALLS[case.objects.kind]}"""
    found = connection.execute(query.encode(), {
        "role": case.role, "schema": case.objects.schema, "relation": case.objects.relation, "name": case.name,
        "privilege": case.privilege,
    }).fetchall()  # fmt: skip
    return [oid for (oid,) in found]


def _after(
    connection: psycopg.Connection[Any], case: Case, scripts: Sequence[Script], *, strict: bool = False
) -> list[int] | None:
    """Return who holds it once `scripts` have been run; ``None`` where one of them cannot be."""
    try:
        with connection.transaction(force_rollback=True):
            for script in scripts:
                connection.execute(";\n".join(script).encode())
            return holders(connection, case)
    except psycopg.Error as error:
        if strict:
            raise AssertionError(scripts) from error
        return None


def _ends(connection: psycopg.Connection[Any], access: Access, case: Case, said: Explanation, most: int) -> None:
    lengths = set()
    for cut in said.cuts:
        scripts = list(_scripts(cut.statements))
        lengths.add(len(scripts))
        assert _after(connection, case, scripts, strict=True) == [], (case, cut)
        if not cut.smallest:
            continue
        for number in range(len(scripts)):
            fewer = [*scripts[:number], *scripts[number + 1 :]]
            assert _after(connection, case, fewer) != [], (case, cut, fewer)
    assert len(lengths) == 1, said.cuts
    if said.cuts[0].smallest:
        everything = list(_everything(access, case))
        for some in islice(combinations(everything, max(lengths) - 1), most):
            assert _after(connection, case, some) != [], (case, said.cuts, some)


def _does_not_end(connection: psycopg.Connection[Any], access: Access, case: Case, most: int) -> None:
    """Nothing that could be taken away ends it, not even two of that."""
    everything = list(_everything(access, case))
    for some in islice(combinations(everything, 2), most):
        assert _after(connection, case, some) != [], (case, some)


def _scripts(statements: Sequence[str]) -> Iterator[Script]:
    """Yield what counts as one: a statement, or one with the SET ROLE and RESET ROLE around it."""
    rest = list(statements)
    while rest:
        number = 3 if rest[0].startswith("SET ROLE") else 1
        yield tuple(rest[:number])
        rest = rest[number:]


def _everything(access: Access, case: Case) -> Iterator[Script]:
    """Yield all that can be taken away and could matter, each with what depends on it."""
    rights = access.rights
    relation = rights.relation(case.objects.schema, case.objects.relation)
    for on, name in ((case.objects, case.name), (relation, case.objects.relation)):
        for entry in () if on is None else on.entries:
            if entry.privilege != case.privilege:
                continue
            column = f" ({identifier(name)})" if on is not None and on.kind == "column" else ""
            who = "PUBLIC" if entry.grantee == PUBLIC else identifier(rights.roles[entry.grantee].name)
            revoke = f"REVOKE {entry.privilege}{column} ON {target(on, name)} FROM {who} CASCADE" if on else ""
            if on is not None and entry.grantor == on.owner:
                yield (revoke,)
            elif entry.grantor in rights.roles:
                yield (f"SET ROLE {identifier(rights.roles[entry.grantor].name)}", revoke, "RESET ROLE")
    for m in rights.memberships:
        of, member = identifier(rights.roles[m.role].name), identifier(rights.roles[m.member].name)
        by = f" GRANTED BY {identifier(rights.roles[m.grantor].name)} CASCADE" if rights.version >= 160000 else ""
        yield (f"REVOKE {of} FROM {member}{by}",)
    for role in rights.roles.values():
        if role.superuser and role.oid != BOOTSTRAP_SUPERUSER:
            yield (f"ALTER ROLE {identifier(role.name)} NOSUPERUSER",)


def _gives(connection: psycopg.Connection[Any], case: Case, said: Explanation) -> str:
    """Run what is said to be missing: then it is held, and all that it takes to use it."""
    fixes = [needed.fix for needed in said.missing]
    if not all(fixes):
        return "none"
    with connection.transaction(force_rollback=True):
        connection.execute(";\n".join(fixes).encode())
        assert case.role in holders(connection, case), (case, fixes)
        gates = """SELECT has_database_privilege(%(role)s::oid, current_database(), 'CONNECT'),
                           %(schema)s = '' OR has_schema_privilege(%(role)s::oid, NULLIF(%(schema)s, ''), 'USAGE')"""
        (open_to,) = connection.execute(gates.encode(), {"role": case.role, "schema": case.objects.schema})
        if case.objects.kind not in {"database", "tablespace", "parameter"}:
            assert all(open_to), (case, fixes)
    return "given"

"""What privileges do not tell: rows that nobody shows, views that cannot be read after all, and what reaches further.

Privileges are what `Access` says; here is what becomes of a SELECT that passes them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from replica_access.audit.effective import Access
from replica_access.model import PUBLIC, Oid
from replica_access.rights import Objects, Use, View

Rows = Literal["all", "some", "none"]


def rows(access: Access, role: Oid, objects: Objects, name: str, command: str = "SELECT") -> Rows:
    """Return which rows of a table row-level security leaves to `role`: without a policy for it, none.

    Superusers and BYPASSRLS see all, and so does whoever has the rights of the owner unless it is forced (rls.c:
    check_enable_rls; rowsecurity.c: check_role_for_policy). What a policy's condition says is not looked at.
    """
    attributes = access.rights.roles[role]
    if not objects.row_security or attributes.superuser or attributes.bypass_rls:
        return "all"
    reached = access.has_rights_of(role)
    if objects.owner in reached and objects.row_security != "forced":
        return "all"
    applies = any(
        policy.permissive and policy.command in {command, "ALL"} and not {PUBLIC, *reached}.isdisjoint(policy.roles)
        for policy in access.rights.policies_of(objects.schema, name)
    )
    return "some" if applies else "none"


@dataclass(frozen=True, slots=True)
class Base:
    """A relation that a view reads, with the rights of `reader`."""

    view: View
    use: Use
    reader: Oid


def bases(access: Access, role: Oid, view: View, *, kept: bool) -> Iterator[Base]:
    """Yield all that `view` reads when `role` asks it, and what views in it read, each with whose rights.

    A view reads with the rights of its owner; one with ``security_invoker`` with those of whoever asked in the first
    place, even where it is read by another view (CREATE VIEW's manual).

    :param kept: go into materialized views too, which were read when somebody last refreshed them.
    """
    itself = access.rights.relation(view.schema, view.name)
    if not kept and itself is not None and itself.kind == "materialized view":
        return
    reader = role if view.invoker else view.owner
    for use in view.uses:
        yield Base(view, use, reader)
        inner = access.rights.view(use.schema, use.relation)
        if inner is not None:
            yield from bases(access, role, inner, kept=kept)


def refused(access: Access, role: Oid, view: View) -> tuple[Base, ...]:
    """Return what keeps `view` from being read, though `role` may SELECT from it: bases that cannot be read."""
    return tuple(base for base in bases(access, role, view, kept=False) if not can_read(access, base.reader, base.use))


def shows_more(access: Access, role: Oid, view: View) -> tuple[Base, ...]:
    """Return what `role` reads through `view` and could not read by itself."""
    found = (base for base in bases(access, role, view, kept=True) if base.reader != role)
    return tuple(base for base in found if not can_read(access, role, base.use))


def past_row_security(access: Access, role: Oid, view: View) -> Iterator[Base]:
    """Yield what `role` may read by itself, and of which `view` shows it rows that row-level security hides then."""
    for base in bases(access, role, view, kept=True):
        relation = access.rights.relation(base.use.schema, base.use.relation)
        if relation is None or base.reader == role or not can_read(access, role, base.use):
            continue
        ours, theirs = (rows(access, who, relation, base.use.relation) for who in (role, base.reader))
        if ours != "all" and theirs == "all":
            yield base


def can_read(access: Access, role: Oid, use: Use) -> bool:
    """Whether `role` may SELECT what a view uses: those columns, or any column where it names none (execMain.c)."""
    relation = access.rights.relation(use.schema, use.relation)
    if relation is None:  # a catalog that is not looked at, and that everybody reads
        return True
    if access.holds(role, relation, "SELECT"):
        return True
    readable = {
        name
        for columns in access.rights.columns_of(use.schema, use.relation)
        if access.holds(role, columns, "SELECT")
        for name in columns.names
    }
    return readable >= set(use.columns) if use.columns else bool(readable)


def runs_as_owner(access: Access, role: Oid) -> Iterator[Objects]:
    """Yield the routines that `role` can call and that run with rights it has not: SECURITY DEFINER, of other owners.

    What can be called needs EXECUTE, and USAGE on the schema.
    """
    reached = access.has_rights_of(role)
    for objects in access.rights.of_kind("function", "procedure"):
        if (
            objects.definer
            and objects.owner not in reached
            and access.holds(role, objects, "EXECUTE")
            and not any(gate.privilege == "USAGE" for gate in access.missing_gates(role, objects))
        ):
            yield objects

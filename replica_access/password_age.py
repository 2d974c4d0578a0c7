"""How old stored passwords are: no catalog tells, but whatever keeps them knows when they were written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import TYPE_CHECKING

from replica_access.catalog import Cluster
from replica_access.errors import Error
from replica_access.findings import NotChecked
from replica_access.names import shown
from replica_access.side_by_side import in_each

if TYPE_CHECKING:
    from replica_access.hosting import Hosting
    from replica_access.spec import Spec

Ages = Mapping[str, date | Error | None]
"""By user, the day in UTC on which its password was written, or why nobody can tell; ``None``: another machine can."""


def ask(spec: Spec, hosting: Hosting) -> Ages:
    """Ask about every user of `spec` who has a password."""

    def written_on(user: str) -> date | Error | None:
        try:
            return hosting.password_written_on(user)
        except Error as error:
            return error

    return in_each([name for name, user in spec.users.items() if user.auth == "password"], written_on)


def known(ages: Ages) -> dict[str, date]:
    """Return those that somebody could tell."""
    return {user: age for user, age in ages.items() if isinstance(age, date)}


def unknown(ages: Ages, cluster: Cluster | None) -> Iterator[NotChecked]:
    """Yield, as one, the users of whose passwords nobody could tell, and that are there: the others have none yet."""
    wrong = {user: age for user, age in ages.items() if isinstance(age, Error)}
    there = [user for user in wrong if cluster is not None and cluster.role(user) is not None]
    if there:
        names = ", ".join(map(shown, there[:4])) + (" …" if len(there) > 4 else "")
        yield NotChecked(f"age of the password of {names}", str(wrong[there[0]]))

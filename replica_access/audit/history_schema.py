"""The tables of a history, and how older ones become the present ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    insert,
    inspect,
    select,
    update,
)

from replica_access.errors import HistoryError

tables = MetaData()

version = Table("replica_access_history", MetaData(), Column("version", Integer, nullable=False))
"""One row; in a `MetaData` of its own, since it is what tells whether there are the others."""

entries = Table(
    "replica_access_entry",
    tables,
    Column("digest", String(64), primary_key=True),
    Column("kind", String(20), nullable=False),
    Column("content", Text, nullable=False),
)
"""Everything that any run has seen, once."""

runs = Table(
    "replica_access_run",
    tables,
    Column("id", Integer, primary_key=True),
    Column("target", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("at", String(32), nullable=False),
    Column("about", Text, nullable=False),
    Column("state", String(64), nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    UniqueConstraint("target", "number"),
)
"""One row a run. `target` is what was audited, `number` counts its runs, `state` stands for all its entries."""

changes = Table(
    "replica_access_change",
    tables,
    Column("run", ForeignKey(runs.c.id), primary_key=True),
    Column("entry", ForeignKey(entries.c.digest), primary_key=True),
    Column("appeared", Boolean, nullable=False),
    Index("replica_access_change_entry", "entry"),
)
"""What a run saw that the one before had not, and what it no longer saw."""

Migration = Callable[[Connection], None]


def _first_tables(connection: Connection) -> None:
    tables.create_all(connection)


MIGRATIONS: tuple[Migration, ...] = (_first_tables,)
"""The n-th makes version n of version n-1. They are never edited once released; `tables` has the present ones.

As soon as there is a second one, the first has to carry its own copy of the tables that it made.
"""


def version_of(connection: Connection) -> int:
    """Return the version of the tables there; 0 where there are none.

    :raises HistoryError: it is no number, which SQLite does not mind.
    """
    if not inspect(connection).has_table(version.name):
        return 0
    found = connection.scalar(select(version.c.version)) or 0
    if not isinstance(found, int):
        raise HistoryError(
            "The version of the history was altered: it is no number.", "Restore it from a backup, or name another one."
        )
    return found


def migrate(connection: Connection, name: str, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Bring the tables up to date, within the transaction of `connection`.

    :param name: of the history, for the error.
    :raises HistoryError: a newer program has written it.
    """
    known, present = len(migrations), version_of(connection)
    if present > known:
        raise HistoryError(
            f"The history {name} has been written by a newer replica-access: its tables have version {present}, and "
            f"this one knows {known}.",
            "Install the newer replica-access here too, or name another history with --history.",
        )
    if present == known:
        return
    for step in migrations[present:]:
        step(connection)
    if not inspect(connection).has_table(version.name):
        version.create(connection)
        connection.execute(insert(version).values(version=known))
    else:
        connection.execute(update(version).values(version=known))

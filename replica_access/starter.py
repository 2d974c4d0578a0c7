"""The starter spec: from a few wishes to a commented replica-access.toml."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

import tomlkit
from tomlkit.items import AoT, Table

from replica_access.errors import UsageError

ANALYTICS = (
    "By default a query is cancelled after 30 s when it stands in the way of replay. With these, the primary keeps",
    "rows that queries here still need, and its tables bloat meanwhile; and replay waits up to 15 min for a query, so",
    "that others read older data. A smaller delay (in ms) gives fresher data and more cancelled queries.",
)
"""What the parameters of a replica for analytics cost whom."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What somebody wants to begin with; everything else can be edited in the file.

    :param databases: names or globs; empty: those that the primary has.
    """

    instance: str | None = None
    dsn: str | None = None
    replica: str | None = None
    replica_dsn: str | None = None
    admin_secret: str | None = None
    region: str | None = None
    databases: tuple[str, ...] = ()
    schemas: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()
    users: tuple[str, ...] = ("bi",)
    allow: tuple[str, ...] = ()


def refuse_nonsense(wishes: Wishes) -> None:
    """:raises UsageError: no primary, two of them, or a pair that does not match."""
    if (wishes.instance is None) == (wishes.dsn is None):
        raise UsageError("Which primary?", "Give --instance for RDS, or --dsn for any other server.")
    if wishes.dsn is not None and (wishes.replica is not None or wishes.admin_secret is not None or wishes.allow):
        raise UsageError("--replica, --admin-secret and --allow are for RDS.", "With --dsn give --replica-dsn.")
    if wishes.instance is not None and wishes.replica_dsn is not None:
        raise UsageError("--replica-dsn goes with --dsn.", "With --instance give --replica, or leave it out.")


def render(wishes: Wishes, databases: Sequence[str]) -> str:
    """Return the file for `wishes`; `databases` are those to read where the wishes name none."""
    document = tomlkit.document()
    document.add(tomlkit.comment("The declared access: what replica-access makes, proves and audits."))
    document.add(
        tomlkit.comment(
            "`replica-access check` tells what stands in the way, `plan` what would be done, `apply` does it."
        )
    )
    document.add("version", tomlkit.item(1))
    if wishes.instance is not None:
        _add_rds(document, wishes)
    else:
        _add_servers(document, wishes)
    _add_readers(document, wishes)
    document.add("grants", _grants(wishes, databases))
    return tomlkit.dumps(document)


def write(path: Path, text: str) -> None:
    """Write the file whole or not at all; what is no file, a pipe or a device, is written to as it stands.

    A file that is there keeps its mode, and one behind a link its place.

    :raises UsageError: it cannot be written there.
    """
    draft: Path | None = None
    try:
        if path.exists() and not path.is_file():
            path.write_text(text, encoding="utf-8", errors="surrogateescape")
            return
        place = path.resolve()
        draft = place.parent / f".{place.name}.{os.getpid()}"
        draft.write_text(text, encoding="utf-8", errors="surrogateescape")
        if place.exists():
            draft.chmod(stat.S_IMODE(place.stat().st_mode))
        draft.replace(place)
    except OSError as error:
        with suppress(OSError):
            if draft is not None:
                draft.unlink()
        raise _unwritable(path, error) from None


def unused(path: Path) -> Path:
    """Return `path`, or one like it where that is taken, as an empty file: two runs never mean the same one.

    :raises UsageError: nothing can be written there.
    """
    for name in chain([path], (path.with_stem(f"{path.stem}-{number}") for number in count(2))):
        try:
            name.touch(exist_ok=False)
        except FileExistsError:
            continue
        except OSError as error:
            raise _unwritable(path, error) from None
        break
    return name


def _unwritable(path: Path, error: OSError) -> UsageError:
    return UsageError(
        f"{path} cannot be written: {error.strerror}.", "Name a file in a directory that you may write to."
    )


def _add_rds(document: tomlkit.TOMLDocument, wishes: Wishes) -> None:
    if wishes.region is not None:
        document.add("aws", _table({"region": wishes.region}))
    primary: dict[str, object] = {"instance": wishes.instance}
    if wishes.admin_secret is not None:
        primary["admin_secret"] = wishes.admin_secret
    document.add("primary", _table(primary))
    replica = _table(
        {"instance": wishes.replica or _analytics_name(wishes.instance or ""), "publicly_accessible": True}
    )
    replica.add("deletion_protection", True)
    for line in ANALYTICS:
        replica.add(tomlkit.comment(line))
    parameters = tomlkit.inline_table()
    parameters.update({"hot_standby_feedback": "1", "max_standby_streaming_delay": "900000"})
    replica.add("parameters", parameters)
    document.add("replica", replica)
    rules = tomlkit.aot()
    for cidr in wishes.allow:
        rules.append(_table({"cidr": cidr, "note": ""}))
    if rules:
        network = tomlkit.table(is_super_table=True)
        network.add("allow", rules)
        document.add("network", network)
    else:
        document.add(tomlkit.nl())
        document.add(tomlkit.comment("Nobody reaches the replica until an address is allowed:"))
        document.add(tomlkit.comment("[[network.allow]]"))
        document.add(tomlkit.comment('cidr = "203.0.113.7/32"'))
        document.add(tomlkit.comment('note = "office"'))
        document.add(tomlkit.nl())


def _analytics_name(instance: str) -> str:
    return f"{instance.rpartition(':')[2]}-analytics"[:63].rstrip("-")


def _add_servers(document: tomlkit.TOMLDocument, wishes: Wishes) -> None:
    document.add("primary", _table({"dsn": wishes.dsn}))
    if wishes.replica_dsn is not None:
        document.add("replica", _table({"dsn": wishes.replica_dsn}))


def _add_readers(document: tomlkit.TOMLDocument, wishes: Wishes) -> None:
    roles = tomlkit.table(is_super_table=True)
    roles.add("analytics", _table({"comment": "read access, managed by replica-access"}))
    document.add("roles", roles)
    users = tomlkit.table(is_super_table=True)
    for name in wishes.users:
        user = _table({"member_of": ["analytics"], "connection_limit": 20})
        settings = tomlkit.inline_table()
        settings.update({"statement_timeout": "15min", "idle_in_transaction_session_timeout": "5min"})
        user.add("settings", settings)
        users.add(name, user)
    document.add("users", users)


def _grants(wishes: Wishes, databases: Sequence[str]) -> AoT:
    grant = _table({"to": "analytics"})
    _commented(grant, "databases", list(wishes.databases or databases), "names or globs")
    _commented(grant, "schemas", list(wishes.schemas), 'names or globs; "*" takes in schemas made later')
    _commented(grant, "exclude", list(wishes.exclude), "schema, schema.table or a glob")
    grant.add("privileges", ["read"])
    _commented(grant, "future", True, "tables made later are readable without another run")
    rules = tomlkit.aot()
    rules.append(grant)
    return rules


def _commented(table: Table, key: str, value: object, comment: str) -> None:
    item = tomlkit.item(value)
    item.comment(comment)
    table.add(key, item)


def _table(values: dict[str, object]) -> Table:
    table = tomlkit.table()
    for key, value in values.items():
        table.add(key, value)
    return table

"""What the last run left behind: the roles it made, and what there was, so that the next one can tell what is new.

It is kept beside the spec, and belongs to one system: a primary that was set up anew has none. Losing the file loses no
access; everything counts as new again, and roles that were made by a run are not known to be ours any more.
"""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from replica_access.errors import UsageError
from replica_access.inventory import Inventory
from replica_access.model import Oid, Request

if TYPE_CHECKING:
    from replica_access.spec import Spec

SCHEMA = "replica-access/state/1"

T = TypeVar("T")

MAX_OID = 2**32 - 1


@dataclass(frozen=True, slots=True)
class KnownRole:
    """A role that was there; `made` where a run of ours created it, and not somebody else."""

    oid: Oid
    made: bool = False


@dataclass(frozen=True, slots=True)
class KnownDatabase:
    """What there was in a database, of the schemas that the spec wants.

    :param relations: their oids, in order.
    """

    oid: Oid
    schemas: Mapping[str, Oid] = field(default_factory=dict)
    creators: frozenset[str] = frozenset()
    relations: tuple[Oid, ...] = ()


@dataclass(frozen=True, slots=True)
class State:
    """What is known since the last run.

    :param when: the last run over all of the spec that came to its end, in ISO 8601; ``None`` where there was none yet.
    """

    system_identifier: str
    when: str | None = None
    roles: Mapping[str, KnownRole] = field(default_factory=dict)
    databases: Mapping[str, KnownDatabase] = field(default_factory=dict)

    def with_roles(self, existing: Mapping[str, Oid], *, declared: Iterable[str], created: Collection[str]) -> State:
        """Return the state after a run, whether it came to its end or not: what it made is ours from then on.

        :param existing: every role of the server, with its oid.
        :param declared: the names in the spec.
        :param created: those that the run created.
        """
        ours = (name for name, known in self.roles.items() if known.made and existing.get(name) == known.oid)
        roles = {
            name: KnownRole(oid, name in created or self._made(name, oid))
            for name in dict.fromkeys([*declared, *ours])
            if (oid := existing.get(name)) is not None
        }
        return replace(self, roles=roles)

    def _made(self, name: str, oid: Oid) -> bool:
        known = self.roles.get(name)
        return known is not None and known.oid == oid and known.made

    def with_databases(
        self, existing: Mapping[str, Oid], seen: Mapping[str, Inventory], request: Request, when: str
    ) -> State:
        """Return the state after a run that came to its end; what it did not look at stays as it was known.

        :param existing: every database of the server, with its oid.
        """
        kept = {name: known for name, known in self.databases.items() if existing.get(name) == known.oid}
        found = {name: _database(kept.get(name), inventory, request.schema) for name, inventory in seen.items()}
        focused = request.database is not None or request.schema is not None
        return replace(self, databases={**kept, **found}, when=self.when if focused and self.when else when)


def _database(known: KnownDatabase | None, found: Inventory, focus: str | None) -> KnownDatabase:
    schemas = {schema.name: schema.oid for schema in found.schemas}
    now = KnownDatabase(found.oid, schemas, frozenset(found.creators), found.relations)
    if focus is None or known is None:
        return now
    elsewhere = {name: oid for name, oid in known.schemas.items() if name != focus}
    return KnownDatabase(
        found.oid,
        {**elsewhere, **schemas},
        known.creators | now.creators,
        tuple(sorted({*known.relations, *now.relations})),
    )


def departed(known: State | None, spec: Spec) -> dict[str, Oid]:
    """Return the roles that a run of ours made and `spec` does not name any more, with their oids."""
    if known is None:
        return {}
    return {
        name: role.oid
        for name, role in known.roles.items()
        if role.made and name not in spec.roles and name not in spec.users
    }


# --- oids, many of them ----------------------------------------------------------------------------------------------


def packed(oids: Sequence[Oid]) -> str:
    """Return oids in order as text: most follow the last one closely, so each is a byte before it is compressed.

    >>> unpacked(packed((16384, 16389, 4294967295)))
    (16384, 16389, 4294967295)
    """
    out, last = bytearray(), 0
    for oid in oids:
        step, last = oid - last, oid
        while step > 0x7F:
            out.append(step & 0x7F | 0x80)
            step >>= 7
        out.append(step)
    return base64.b64encode(zlib.compress(bytes(out))).decode("ascii")


def unpacked(text: str) -> tuple[Oid, ...]:
    """:raises ValueError: it is not what `packed` returns."""
    try:
        data = zlib.decompress(base64.b64decode(text, validate=True))
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if data and data[-1] > 0x7F:
        raise ValueError("these are no oids")
    steps = (step[0] if len(step) == 1 else _step(step) for step in re.findall(rb"[\x80-\xff]*[\x00-\x7f]", data))
    oids = tuple(accumulate(steps))
    if oids and oids[-1] > MAX_OID:
        raise ValueError("these are no oids")
    return oids


def _step(data: bytes) -> int:
    return sum((byte & 0x7F) << 7 * place for place, byte in enumerate(data))


# --- the file --------------------------------------------------------------------------------------------------------


def beside(spec: Path) -> Path:
    """Return where the state of a spec is kept."""
    return spec.with_name(f"{spec.stem}.state.json")


def read(path: Path) -> State | None:
    """Return the state in `path`; ``None`` where no run has left any.

    :raises UsageError: it cannot be read or understood. That must not pass for "everything is new".
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(
            f"The state of the last run, {path}, cannot be read: {error.strerror}.", "Give yourself the right to."
        ) from None
    except (ValueError, RecursionError):
        raise _damaged(path, "it is no JSON") from None
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise _damaged(path, f"it does not say that it is {SCHEMA}")
    try:
        return _state(document)
    except (ValueError, KeyError) as error:
        raise _damaged(path, f"it is damaged ({error})") from None


def write(path: Path, state: State) -> None:
    """Write the file whole or not at all, readable by its owner only.

    :raises UsageError: it cannot be written there.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            json.dump(_document(state), file, indent=1)
            file.write("\n")
            file.flush()
            os.fsync(descriptor)
        draft.replace(path)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        raise UsageError(
            f"The state of this run cannot be kept in {path}: {error.strerror}.",
            "Keep the spec in a directory that you may write to.",
        ) from None


def write_or_remove(path: Path, state: State) -> None:
    """Write the file, or take it away where nothing of a run is left on the server.

    :raises UsageError: it cannot be written there.
    """
    if any(role.made for role in state.roles.values()):
        write(path, state)
    else:
        with suppress(OSError):
            path.unlink()


def _damaged(path: Path, why: str) -> UsageError:
    return UsageError(
        f"The state of the last run, {path}, cannot be used: {why}.",
        "Delete it, and everything that the spec wants counts as new once.",
    )


def _document(state: State) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "system_identifier": state.system_identifier,
        "when": state.when,
        "roles": {name: {"oid": role.oid, "made": role.made} for name, role in state.roles.items()},
        "databases": {
            name: {
                "oid": known.oid,
                "schemas": dict(known.schemas),
                "creators": sorted(known.creators),
                "relations": packed(known.relations),
            }
            for name, known in state.databases.items()
        },
    }


def _state(document: Mapping[str, Any]) -> State:
    when = document["when"]
    return State(
        system_identifier=_of(str, document["system_identifier"]),
        when=None if when is None else _of(str, when),
        roles={
            name: KnownRole(_oid(_of(dict, role)["oid"]), _of(bool, role["made"]))
            for name, role in _of(dict, document["roles"]).items()
        },
        databases={
            name: KnownDatabase(
                oid=_oid(_of(dict, known)["oid"]),
                schemas={schema: _oid(oid) for schema, oid in _of(dict, known["schemas"]).items()},
                creators=frozenset(_of(str, creator) for creator in _of(list, known["creators"])),
                relations=unpacked(_of(str, known["relations"])),
            )
            for name, known in _of(dict, document["databases"]).items()
        },
    )


def _of(kind: type[T], value: Any) -> T:
    if not isinstance(value, kind):
        raise ValueError(f"{type(value).__name__} where {kind.__name__} belongs")
    return value


def _oid(value: Any) -> Oid:
    if isinstance(value, bool) or not 0 < _of(int, value) <= MAX_OID:
        raise ValueError(f"{value!r} is no oid")
    return int(value)

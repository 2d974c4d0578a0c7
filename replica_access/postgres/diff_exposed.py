"""What readers can read of what the spec excludes, by ways that are not their own: it is said, and left. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from replica_access.model import PUBLIC, Pending
from replica_access.names import shown
from replica_access.postgres.scene import Scene, shortened


def exposed(here: Scene) -> Iterator[Pending]:
    """Yield, by schema and way, the excluded relations that the reader can read all the same.

    Its own privileges are taken away, where that is allowed; what PUBLIC or another role has is not ours to revoke.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for group in here.catalog.excluded:
        schema = here.catalog.schemas[group.schema].name
        holders = {entry.grantee for entry in group.entries if entry.privilege == "SELECT"} - {here.oid}
        if not here.wants_schema(schema) or not (way := here.ways(holders)):
            continue
        for name, _ in group.names:
            if not any(rule.wants_relation(schema, name) for rule in (*here.rules, *here.group_rules)):
                found.setdefault((schema, way), []).append(name)
    for (schema, way), names in found.items():
        reason = f"{shown(here.reader)} can read {shortened(sorted(names))} of it all the same, through {way}"
        remark = "; what PUBLIC has is not revoked here" if way == here.name_of(PUBLIC) else ""
        yield Pending("exclusion", shown(here.catalog.name, schema), reason + remark)

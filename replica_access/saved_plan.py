"""A plan as a file: what somebody reviewed, bound to the servers and the spec that it was made for.

Nothing is ever executed from the file. The plan is made again, and carried out only where it is the same: a file that
was tampered with, or has grown old, is refused with what differs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from replica_access.errors import Drift, UsageError

if TYPE_CHECKING:
    from replica_access.model import Request
    from replica_access.spec import Spec

SCHEMA = "replica-access/plan/1"


@dataclass(frozen=True, slots=True)
class Binding:
    """What a plan was made for.

    :param spec: the SHA-256 of what the spec says; comments and order of keys do not count.
    :param allowed: the flags that let something be taken away, or wide networks in.
    """

    system_identifier: str
    spec: str
    allowed: tuple[str, ...] = ()


def binding(spec: Spec, system_identifier: str, request: Request) -> Binding:
    said = json.dumps(spec.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    allowed = {
        "--allow-revoke": request.allow_revoke,
        "--allow-drop": request.allow_drop,
        "--allow-wide": request.allow_wide,
    }
    return Binding(
        system_identifier,
        hashlib.sha256(said.encode("utf-8", "surrogateescape")).hexdigest(),
        tuple(flag for flag, given in allowed.items() if given),
    )


def read(path: Path) -> Mapping[str, Any]:
    """Return the document in `path`.

    :raises UsageError: it cannot be read, or is no saved plan.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"The plan {path} cannot be read: {error.strerror}.", "`plan --out FILE` writes one."
        ) from None
    except ValueError:
        raise UsageError(f"{path} is no plan: it is not JSON.", "`plan --out FILE` writes one.") from None
    if not isinstance(document, dict) or document.get("schema") != SCHEMA or "bound_to" not in document:
        raise UsageError(f"{path} is no saved plan.", "`plan --out FILE` writes one.")
    return document


def require_same(saved: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Compare two plan documents, each with ``bound_to``.

    :raises Drift: they differ; says in what.
    """
    differences = list(_differences(saved, now))
    if differences:
        said = "\n".join(f"- {difference}" for difference in differences[:20])
        more = f"\n- and {len(differences) - 20} more" if len(differences) > 20 else ""
        raise Drift(
            f"The saved plan no longer fits:\n{said}{more}", "Nothing was changed: make the plan again, and look at it."
        )


def _differences(saved: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    bound, bound_now = saved["bound_to"], now["bound_to"]
    if bound.get("system_identifier") != bound_now["system_identifier"]:
        yield (
            f"it was made for the system {bound.get('system_identifier')}, and the primary is "
            f"{bound_now['system_identifier']}"
        )
    if bound.get("spec") != bound_now["spec"]:
        yield "the spec says something else than when it was made"
    if (allowed := list(bound.get("allowed", ()))) != list(bound_now["allowed"]):
        yield f"it was made with {' '.join(allowed) or 'no flag that allows more'}: say the same"
    before, after = _by_id(saved), _by_id(now)
    yield from (f"not needed any more: {_summary(change)}" for id_, change in before.items() if id_ not in after)
    yield from (f"new: {_summary(change)}" for id_, change in after.items() if id_ not in before)
    yield from (
        f"begins elsewhere: {_summary(change)}: its {key} was {before[id_].get(key)}, and would be {change[key]}"
        for id_, change in after.items()
        if id_ in before
        for key in ("summary", "undo", "acts_as")
        if before[id_].get(key) != change[key]
    )
    stuck = {str(entry) for entry in saved.get("blocked", ())}
    yield from (f"blocked now: {b['object']}: {b['reason']}" for b in now["blocked"] if str(b) not in stuck)


def _by_id(document: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {str(change.get("id")): change for change in document.get("changes", ())}


def _summary(change: Mapping[str, Any]) -> str:
    return str(change.get("summary"))

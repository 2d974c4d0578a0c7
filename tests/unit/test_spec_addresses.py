"""Addresses are allowed and denied in place: the rest of the file stays byte for byte."""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from replica_access import spec_addresses
from replica_access.errors import SpecError, UsageError
from replica_access.spec import Allow, load

HEAD = """\
# Who reads what.   Ask Ana.
version = 1
[primary]
instance = "prod"   # the old one
[replica]
instance = "analytics"
"""

SPEC = f"""{HEAD}
# Who may connect:
[[network.allow]]
cidr    = "203.0.113.7"      # Brisbane
note    = 'office'           # ask Ben

[[network.allow]]
cidr = "198.51.100.0/24"
expires = 2020-01-01

# Readers.
[roles.analytics]
"""

NEW = Allow(cidr="192.0.2.1/32", note="Zoë", expires=date(2027, 1, 31))
BLOCK = '[[network.allow]]\ncidr = "192.0.2.1/32"\nnote = "Zoë"\nexpires = 2027-01-31\n'


def entries(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tomllib.loads(text).get("network", {}).get("allow", [])
    return found


def test_a_new_address_comes_after_the_last_one_and_nothing_else_changes() -> None:
    after = spec_addresses.allowed(SPEC, NEW)
    assert after == SPEC.replace("expires = 2020-01-01\n", f"expires = 2020-01-01\n\n{BLOCK}")


def test_the_first_address_comes_at_the_end() -> None:
    assert spec_addresses.allowed(HEAD, NEW) == f"{HEAD}\n{BLOCK}"


def test_windows_lines_stay_windows_lines() -> None:
    after = spec_addresses.allowed(SPEC.replace("\n", "\r\n"), NEW)
    assert after.replace("\r\n", "\n") == spec_addresses.allowed(SPEC, NEW)
    assert "\n" not in after.replace("\r\n", "")


@pytest.mark.parametrize(
    ("wanted", "before", "after"),
    [
        (
            Allow(cidr="203.0.113.7/32", note="desk"),
            "note    = 'office'           # ask Ben",
            'note    = "desk"           # ask Ben',
        ),
        (
            Allow(cidr="203.0.113.7/32", note="office", expires=date(2027, 1, 31)),
            "# ask Ben\n",
            "# ask Ben\nexpires = 2027-01-31\n",
        ),
        (Allow(cidr="198.51.100.0/24", expires=date(2027, 1, 31)), "2020-01-01", "2027-01-31"),
        (Allow(cidr="198.51.100.0/24"), "expires = 2020-01-01\n", ""),
    ],
)
def test_an_address_that_is_there_says_what_is_said_now(wanted: Allow, before: str, after: str) -> None:
    changed = spec_addresses.allowed(SPEC, wanted)
    assert SPEC.count(before) == 1
    told = dict(zip(("before", "after"), (entries(SPEC), entries(changed)), strict=True))
    assert len(told["before"]) == len(told["after"]) == 2
    assert changed.replace('"office"', "'office'") == SPEC.replace(before, after)


@pytest.mark.parametrize(
    ("source", "gone"),
    [
        ("198.51.100.0/24", '[[network.allow]]\ncidr = "198.51.100.0/24"\nexpires = 2020-01-01\n\n'),
        (
            "203.0.113.7/32",
            "[[network.allow]]\ncidr    = \"203.0.113.7\"      # Brisbane\nnote    = 'office'           # ask Ben\n",
        ),
        ("192.0.2.1/32", ""),
    ],
)
def test_an_address_that_goes_takes_nothing_along(source: str, gone: str) -> None:
    after = spec_addresses.denied(SPEC, {source})
    assert gone in SPEC
    assert after == SPEC.replace(gone, "")
    assert "# Readers.\n[roles.analytics]\n" in after


INLINE = f"""{HEAD}[network]
security_groups = []
allow = [
    {{cidr = "203.0.113.7/32", note = "a"}},   # Brisbane
    {{cidr = "198.51.100.0/24"}},
    {{cidr = "203.0.113.7/32"}},
]
[roles.analytics]
"""


def test_entries_in_a_list_are_added_changed_and_taken_out() -> None:
    kept = [{"cidr": "198.51.100.0/24"}]
    assert entries(spec_addresses.denied(INLINE, {"203.0.113.7/32"})) == kept
    added = spec_addresses.allowed(INLINE, NEW)
    assert entries(added)[-1] == {"cidr": "192.0.2.1/32", "note": "Zoë", "expires": date(2027, 1, 31)}
    changed = spec_addresses.allowed(INLINE, Allow(cidr="203.0.113.7/32", note="b"))
    assert entries(changed) == [{"cidr": "203.0.113.7/32", "note": "b"}, *kept]
    for after in (added, changed):
        assert "# Brisbane" in after
        assert after.startswith(HEAD)
        assert after.endswith("[roles.analytics]\n")


def test_prefix_lists_and_groups_are_entries_like_any_other() -> None:
    text = spec_addresses.allowed(SPEC, Allow(prefix_list="pl-1", note="office"))
    assert entries(text)[-1] == {"prefix_list": "pl-1", "note": "office"}
    assert spec_addresses.denied(text, {"pl-1"}) == SPEC


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("203.0.113.7", {"cidr": "203.0.113.7/32"}),
        ("100.68.0.18/18", {"cidr": "100.68.0.0/18"}),
        ("2001:DB8::1/32", {"cidr": "2001:db8::/32"}),
        ("pl-0a", {"prefix_list": "pl-0a"}),
        ("sg-0a", {"security_group": "sg-0a"}),
    ],
)
def test_what_is_typed_is_read_as_the_spec_has_it(text: str, names: dict[str, str]) -> None:
    assert spec_addresses.source(text) == names


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(UsageError, match=r"example\.com is no address"):
        spec_addresses.source("example.com")


# --- the file --------------------------------------------------------------------------------------------------------


def test_what_has_expired_is_taken_out_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "replica-access.toml"
    path.write_text(SPEC, encoding="utf-8")
    edit = spec_addresses.without_expired(path, date(2020, 1, 2))
    assert [each.source for each in edit.spec.network.allow] == ["203.0.113.7/32"]
    assert path.read_text(encoding="utf-8") == SPEC
    edit.write()
    assert path.read_text(encoding="utf-8") == spec_addresses.denied(SPEC, {"198.51.100.0/24"})
    again = spec_addresses.without_expired(path, date(2020, 1, 2))
    assert again.before == again.after
    assert spec_addresses.without_expired(path, date(2020, 1, 1)).spec == again.spec


def test_what_cannot_be_edited_in_place_is_said_and_left(tmp_path: Path) -> None:
    path = tmp_path / "replica-access.toml"
    text = f'network = {{ security_groups = ["sg-1"] }}\n{HEAD}'
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SpecError):
        spec_addresses.allow(path, load(path), NEW)
    assert path.read_text(encoding="utf-8") == text

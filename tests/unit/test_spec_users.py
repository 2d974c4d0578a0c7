"""A user's last day, and a user taken out, in specs as people write them: nothing else in the file changes."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from replica_access import spec_users
from replica_access.errors import SpecError
from replica_access.spec import load

DAY = date(2027, 1, 31)
HEAD = "# ours\nversion = 1\nprimary = { dsn = 'host=a' }\n"
ROLES = "\n[roles.readers]\n\n"

WITH_LAST_DAY = {
    "a new line": (
        "[users.bi]  # Ana's\nauth = 'iam'\n# of the others\n[users.bo]\n",
        "[users.bi]  # Ana's\nauth = 'iam'\nvalid_until = 2027-01-31\n# of the others\n[users.bo]\n",
    ),
    "an empty table": ("[users.bi]\n[users.bo]\n", "[users.bi]\nvalid_until = 2027-01-31\n[users.bo]\n"),
    "no end of line": ("[users.bo]\n[users.bi]", "[users.bo]\n[users.bi]\nvalid_until = 2027-01-31\n"),
    "another day": (
        "[users.bi]\nvalid_until = 2020-01-31  # really\nauth = 'iam'\n",
        "[users.bi]\nvalid_until = 2027-01-31  # really\nauth = 'iam'\n",
    ),
    "with settings": (
        "[users.bi]\nauth = 'iam'\n\n[users.bi.settings]\nwork_mem = '1MB'\n",
        "[users.bi]\nauth = 'iam'\nvalid_until = 2027-01-31\n\n[users.bi.settings]\nwork_mem = '1MB'\n",
    ),
    "settings first": (
        "[users.bi.settings]\nwork_mem = '1MB'\n[users.bi]\nauth = 'iam'\n",
        "[users.bi.settings]\nwork_mem = '1MB'\n[users.bi]\nauth = 'iam'\nvalid_until = 2027-01-31\n",
    ),
    "inline": (
        "[users]\nbi = { auth = 'iam' } # Ana's\nbo = {}\n",
        "[users]\nbi = { auth = 'iam', valid_until = 2027-01-31} # Ana's\nbo = {}\n",
    ),
    "Windows": ("[users.bi]\r\nauth = 'iam'\r\n", "[users.bi]\r\nauth = 'iam'\r\nvalid_until = 2027-01-31\r\n"),
}

WITHOUT = {
    "one of two": ("[users.bi]  # Ana's\nauth = 'iam'\n\n# Ben's\n[users.bo]\n", "# Ben's\n[users.bo]\n"),
    "with settings": ("[users.bi]\n\n[users.bi.settings]\nwork_mem = '1MB'\n\n[users.bo]\n", "[users.bo]\n"),
    "inline": ("[users]\nbi = { auth = 'iam' }\nbo = {} # Ben's\n", "[users]\nbo = {} # Ben's\n"),
    "dotted": ("[users]\nbi.auth = 'iam'\nbo.auth = 'iam'\n", "[users]\nbo.auth = 'iam'\n"),
    "with grants": (
        "[users.bi]\n[[grants]]\nto = 'bi'\ndatabases = ['a']\n\n[[grants]] # x\nto = 'readers'\ndatabases = ['*']\n",
        "[[grants]] # x\nto = 'readers'\ndatabases = ['*']\n",
    ),
}


def write(path: Path, text: str) -> Path:
    spec = path / "replica-access.toml"
    spec.write_bytes(text.encode())
    return spec


@pytest.mark.parametrize("how", WITH_LAST_DAY)
def test_a_last_day_is_said_and_nothing_else_changes(tmp_path: Path, how: str) -> None:
    before, after = WITH_LAST_DAY[how]
    path = write(tmp_path, HEAD + ROLES + before)
    edit = spec_users.with_last_day(path, load(path), "bi", DAY)
    assert edit.after.decode() == HEAD + ROLES + after
    assert edit.spec.users["bi"].valid_until == DAY


@pytest.mark.parametrize("how", WITHOUT)
def test_a_user_is_taken_out_with_the_grants_to_it(tmp_path: Path, how: str) -> None:
    before, after = WITHOUT[how]
    path = write(tmp_path, HEAD + ROLES + before)
    edit = spec_users.without(path, load(path), "bi")
    assert edit.after.decode() == HEAD + ROLES + after
    assert "bi" not in edit.spec.users


def test_a_name_that_needs_quotes(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD + "[users.\"b.i 'x'\"]\n[users.bo]\n")
    assert b"[users.bo]" in spec_users.without(path, load(path), "b.i 'x'").after


def test_what_cannot_be_edited_in_place_is_said_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, HEAD + "[users.bi]\n")
    monkeypatch.setattr(spec_users, "_places", lambda _: iter(()))
    with pytest.raises(SpecError, match=r"users\.bi cannot be taken out in place"):
        spec_users.without(path, load(path), "bi")
    with pytest.raises(SpecError, match=r"users\.bi cannot be edited in place") as caught:
        spec_users.with_last_day(path, load(path), "bi", DAY)
    assert "valid_until = 2027-01-31" in caught.value.fix

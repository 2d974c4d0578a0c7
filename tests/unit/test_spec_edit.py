from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replica_access import spec_edit
from replica_access.coverage import Addition
from replica_access.errors import SpecError, UsageError

SPEC = """\
# Who reads what.   Ask Ana.
version = 1

[primary]
dsn      = 'host=a'   # the old one
[roles.readers]
[[grants]]            # [[grants]] of the business
to        = "readers"
databases = ["app", "crm_*"]
schemas   = [
    # the old ones
    "public",    # Ana's
    'sales'      # Ben's
]
exclude = []
[roles.ops]   # between
[[grants]]
to = "ops"
databases = ["app"]
schemas = [ "log", ]   # that is all
"""


def addition(entry: int = 0, key: str = "schemas", name: str = "hr") -> Addition:
    return Addition(entry, "readers", "databases" if key == "databases" else "schemas", name)


@pytest.mark.parametrize(
    ("entry", "key", "before", "after"),
    [
        (0, "databases", '"crm_*"]', '"crm_*", "hr"]'),
        (0, "schemas", "'sales'      # Ben's\n", "'sales',      # Ben's\n    \"hr\"\n"),
        (1, "databases", '["app"]\nschemas = [ ', '["app", "hr"]\nschemas = [ '),
        (1, "schemas", '"log", ]', '"log", "hr", ]'),
    ],
)
def test_nothing_but_the_name_changes(entry: int, key: str, before: str, after: str) -> None:
    assert SPEC.count(before) == 1
    assert spec_edit.added(SPEC, addition(entry, key)) == SPEC.replace(before, after)


@pytest.mark.parametrize(
    ("array", "after"),
    [
        ("[]", '["hr"]'),
        ("[ # none yet\n]", '["hr" # none yet\n]'),
        ("[\n\t'a',\n]", "[\n\t'a',\n\t\"hr\",\n]"),
        ('[\r\n  "a", # x\r\n]', '[\r\n  "a", # x\r\n  "hr",\r\n]'),
        ('["a" # , ]\n]', '["a", "hr" # , ]\n]'),
        ("[\n'''a''',\n\"]#\" ]", "[\n'''a''',\n\"]#\",\n\"hr\" ]"),
    ],
)
def test_the_style_of_the_list_is_kept(array: str, after: str) -> None:
    text = f'[[grants]]\nschemas = {array} # and more\nto = "x"\n'
    assert spec_edit.added(text, addition()) == text.replace(array, after)


def test_grants_may_be_written_in_one_line() -> None:
    text = 'grants = [{to = "a", schemas = ["x"]}, {to = "b", schemas = ["x"]}] # short\n'
    assert spec_edit.added(text, addition(1)) == text.replace('["x"]}]', '["x", "hr"]}]')


GAPS = st.sampled_from(["", " ", "\n", "\n    ", '  # it\'s, "so" ]\n', "\r\n\t"])
STRINGS = st.sampled_from(['"a"', "'b'", '"""c"""', "'''d\n'''", '"[x]"', '"e\\"f"', '"#"'])


@given(parts=st.lists(st.tuples(GAPS, STRINGS, GAPS), max_size=4), comma=st.booleans(), end=GAPS, name=st.text())
def test_any_list_gets_the_name_and_loses_nothing(
    parts: list[tuple[str, str, str]], comma: bool, end: str, name: str
) -> None:
    array = f"[{','.join(map(''.join, parts))}{',' if comma and parts else ''}{end}]"
    text = f'[x]\na = """\n[[grants]]\n"""\n[[grants]]\nschemas = {array} # so\n[y]\n'
    after = spec_edit.added(text, addition(name=name))
    told = tomllib.loads(text)["grants"][0]["schemas"]
    assert tomllib.loads(after)["grants"][0]["schemas"] == [*told, addition(name=name).pattern]
    left = iter(after)
    assert all(char in left for char in text)  # every character is still there, in order


def test_a_list_that_is_not_there_is_no_guess() -> None:
    with pytest.raises(SpecError, match="schemas of the grant to readers cannot be edited in place") as caught:
        spec_edit.added('[[grants]]\nto = "readers"\n', addition())
    assert caught.value.fix == "Add hr to it yourself."


# --- the file --------------------------------------------------------------------------------------------------------


def test_the_file_keeps_its_mode_its_links_and_its_first_bytes(tmp_path: Path) -> None:
    file, link = tmp_path / "shared.toml", tmp_path / "replica-access.toml"
    file.write_bytes(b"\xef\xbb\xbf" + SPEC.replace("\n", "\r\n").encode())
    file.chmod(0o640)
    link.symlink_to(file)
    edit = spec_edit.prepare(link, [addition(1, "databases"), addition(1)])
    assert edit.spec.grants[1].databases == ("app", "hr")
    assert file.read_bytes() == edit.before
    edit.write()
    assert link.is_symlink()
    assert file.stat().st_mode & 0o777 == 0o640
    assert file.read_bytes() == edit.before.replace(b'["app"]', b'["app", "hr"]').replace(
        b'"log", ]', b'"log", "hr", ]'
    )
    assert len(list(tmp_path.iterdir())) == 2


def test_what_would_make_no_sense_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text(SPEC, encoding="utf-8")
    with pytest.raises(SpecError, match="PostgreSQL would cut this name"):
        spec_edit.prepare(path, [addition(name="x" * 64)])
    assert path.read_text(encoding="utf-8") == SPEC


def test_what_somebody_edited_meanwhile_is_theirs(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text(SPEC, encoding="utf-8")
    edit = spec_edit.prepare(path, [addition()])
    path.write_text(SPEC + "# more\n", encoding="utf-8")
    with pytest.raises(UsageError, match="was edited meanwhile"):
        edit.write()
    assert path.read_text(encoding="utf-8") == SPEC + "# more\n"

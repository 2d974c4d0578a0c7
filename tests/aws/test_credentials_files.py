"""Passwords in files: closed to others, whole or not there, and never through a link."""

from __future__ import annotations

import os
import stat
from functools import partial
from pathlib import Path

import pytest

from replica_access.errors import UsageError
from replica_access.model import Secret
from replica_access.passwords import ALPHABET, LENGTH, generate, is_file, path_of, read_file, write_file


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def files(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


def test_a_password_is_long_new_and_needs_no_quoting() -> None:
    made = {generate().reveal() for _ in range(100)}
    assert len(made) == 100
    assert {len(password) for password in made} == {LENGTH}
    assert set("".join(made)) <= set(ALPHABET)
    assert ALPHABET.isalnum()


def test_what_is_written_is_read_back_and_closed_to_others(tmp_path: Path) -> None:
    path, password = tmp_path / "bi.password", generate()
    previous = os.umask(0)
    try:
        assert read_file(path) is None
        write_file(path, password)
    finally:
        os.umask(previous)
    assert read_file(path) == password
    assert mode(path) == 0o600
    assert files(tmp_path) == ["bi.password"]


def test_writing_twice_touches_nothing_and_another_password_replaces(tmp_path: Path) -> None:
    path = tmp_path / "bi.password"
    write_file(path, Secret("first"))
    before = path.stat()
    write_file(path, Secret("first"))
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    write_file(path, Secret("second"))
    assert read_file(path) == Secret("second")
    assert mode(path) == 0o600
    assert files(tmp_path) == ["bi.password"]


@pytest.mark.parametrize("permissions", [0o640, 0o604, 0o660, 0o644])
def test_a_file_that_others_can_read_is_refused_with_the_command_that_closes_it(
    tmp_path: Path, permissions: int
) -> None:
    path = tmp_path / "bi.password"
    path.write_text("secret\n")
    path.chmod(permissions)
    for attempt in (partial(read_file, path), partial(write_file, path, Secret("new"))):
        with pytest.raises(UsageError, match="Others can read") as caught:
            attempt()
        assert caught.value.fix == f"chmod 600 {path}"
    assert path.read_text() == "secret\n"


def test_a_link_is_followed_neither_to_read_nor_to_write(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "bi.password"
    write_file(target, Secret("theirs"))
    link.symlink_to(target)
    for attempt in (partial(read_file, link), partial(write_file, link, Secret("new"))):
        with pytest.raises(UsageError, match="symbolic link"):
            attempt()
    assert read_file(target) == Secret("theirs")


@pytest.mark.parametrize("content", ["", "\n", "two\nlines\n", "nul\0byte"])
def test_a_file_that_holds_no_password_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "bi.password"
    path.touch(0o600)
    path.write_text(content)
    with pytest.raises(UsageError, match="one line"):
        read_file(path)


def test_bytes_that_are_no_utf8_a_pipe_and_a_directory_are_refused(tmp_path: Path) -> None:
    odd = tmp_path / "odd"
    odd.touch(0o600)
    odd.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="not UTF-8"):
        read_file(odd)
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(UsageError, match="no regular file"):
        read_file(tmp_path / "pipe")
    with pytest.raises(UsageError, match="no regular file"):
        read_file(tmp_path)


def test_a_directory_that_is_missing_is_named_with_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no directory") as caught:
        write_file(tmp_path / "secrets" / "bi.password", generate())
    assert caught.value.fix.endswith(f"mkdir -m 700 {tmp_path / 'secrets'}")
    assert not (tmp_path / "secrets").exists()


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bi.password"
    write_file(path, Secret("first"))

    def no_space(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(UsageError, match="No space left"):
        write_file(path, Secret("second"))
    assert read_file(path) == Secret("first")
    assert files(tmp_path) == ["bi.password"]


def test_a_file_is_told_from_an_id_of_secrets_manager() -> None:
    assert is_file("file:bi.password")
    assert not is_file("replica-access/bi")
    assert path_of("file:secrets/bi.password") == Path("secrets/bi.password")
    for secret in ("replica-access/bi", "file:"):
        with pytest.raises(UsageError, match="no file"):
            path_of(secret)

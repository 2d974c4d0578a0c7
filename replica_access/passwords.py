"""Passwords: made here, and kept in files that only their owner can read, where there is no Secrets Manager."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import string
from datetime import UTC, date, datetime
from pathlib import Path

from replica_access.errors import UsageError
from replica_access.model import Secret

LENGTH = 32
"""Characters: 190 bits, of an alphabet that needs no quoting in a URL, a DSN, a pgpass file or a shell."""

ALPHABET = string.ascii_letters + string.digits

FILE_PREFIX = "file:"
"""What a `secret` of the spec begins with when it is a file."""

MAX_BYTES = 4096

_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)


def generate() -> Secret:
    """Make a new password."""
    return Secret("".join(secrets.choice(ALPHABET) for _ in range(LENGTH)))


def is_file(secret: str) -> bool:
    """Whether a `secret` of the spec is a file, and not an id of Secrets Manager."""
    return secret.startswith(FILE_PREFIX)


def path_of(secret: str, directory: Path = Path()) -> Path:
    """Return the file that a `secret` of the spec names.

    :param directory: where the spec is: a relative name means a file there.
    :raises UsageError: it names none.

    >>> path_of("file:bi.password", Path("/etc/access")).as_posix()
    '/etc/access/bi.password'
    """
    path = secret.removeprefix(FILE_PREFIX)
    if not is_file(secret) or not path:
        raise UsageError(f"{secret!r} is no file to keep a password in.", 'Write secret = "file:PATH" in the spec.')
    return directory / Path(path).expanduser()


def read_file(path: Path) -> Secret | None:
    """Return the password in `path`, or ``None`` where there is no such file.

    :raises UsageError: the file cannot be read, is a symbolic link, is empty, or others can read it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | _NO_FOLLOW)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(path, error) from None
    try:
        _require_private(path, os.fstat(descriptor))
        text = os.read(descriptor, MAX_BYTES).decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise UsageError(f"The password file {path} is not UTF-8.", "Name another file in the spec.") from None
    finally:
        os.close(descriptor)
    if not text or "\0" in text or "\n" in text:
        raise UsageError(
            f"The password file {path} does not hold one line of text.",
            "Delete it when nobody needs it, and the next run makes a new password.",
        )
    return Secret(text)


def written_on(path: Path) -> date | None:
    """Return the day, in UTC, on which the password in `path` was written, or ``None`` where there is no such file.

    :raises UsageError: it cannot be looked at.
    """
    try:
        return datetime.fromtimestamp(path.stat(follow_symlinks=False).st_mtime, UTC).date()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(path, error) from None


def write_file(path: Path, password: Secret) -> None:
    """Keep `password` in `path`, readable by its owner only; whatever stood there is replaced at once, or not at all.

    Doing it twice changes nothing.

    :raises UsageError: the directory does not exist or cannot be written to, or `path` is no file of ours.
    """
    if read_file(path) == password:
        return
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW, 0o600)
    except FileNotFoundError:
        raise UsageError(f"There is no directory {path.parent} for the password file {path.name}.",
                         f"Make it, for you alone: mkdir -m 700 {path.parent}") from None  # fmt: skip
    except OSError as error:
        raise _unusable(path, error) from None
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(password.reveal() + "\n")
            file.flush()
            os.fsync(descriptor)
        draft.replace(path)
    except OSError as error:
        raise _unusable(path, error) from None
    finally:
        with contextlib.suppress(FileNotFoundError):
            draft.unlink()


def delete_file(path: Path) -> bool:
    """Delete the password file `path`; return whether there was one.

    :raises UsageError: it cannot be deleted.
    """
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _unusable(path, error) from None
    return True


def _require_private(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise UsageError(f"The password file {path} is no regular file.", "Name another file in the spec.")
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise UsageError(
            f"Others can read the password file {path} (mode {stat.S_IMODE(status.st_mode):04o}).", f"chmod 600 {path}"
        )
    if status.st_uid not in {os.geteuid(), 0}:
        raise UsageError(
            f"The password file {path} belongs to somebody else (uid {status.st_uid}).",
            "Name another file in the spec.",
        )


def _unusable(path: Path, error: OSError) -> UsageError:
    if error.errno == errno.ELOOP:
        return UsageError(f"The password file {path} is a symbolic link.", "Name the file itself in the spec.")
    return UsageError(f"The password file {path} cannot be used: {error.strerror}.", "Check its directory and rights.")

"""One `kasparro up` a state folder: a lock that the kernel releases with its process."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec

from db.embedded import FolderUnusableError
from kasparro.cli.common.errors import CommandRefusedError

LOCK_FILE = "kasparro.lock"


class LockHolder(msgspec.Struct, frozen=True, omit_defaults=True):
    """The `kasparro up` that holds a state folder; `market` is the address of a demo's market."""

    pid: int
    url: str
    market: str | None = None


@contextmanager
def lock_home(home: Path, url: str, market: str | None = None) -> Iterator[None]:
    """Hold the lock of `home` for this process.

    Raises CommandRefusedError if another process holds it, FolderUnusableError.
    """
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = _path(home).open("a+b")
    except OSError as error:
        raise FolderUnusableError(folder=home, reason=error.strerror or str(error)) from error
    with file:
        if not _lock(file):
            raise CommandRefusedError(_sentence(home, find_lock_holder(home)))
        file.truncate(0)
        file.write(msgspec.json.encode(LockHolder(pid=os.getpid(), url=url, market=market)))
        file.flush()
        yield


def find_lock_holder(home: Path) -> LockHolder | None:
    """Return the holder of `home`; None without a holder, or before it has written its address."""
    try:
        with _path(home).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        with contextlib.suppress(msgspec.DecodeError):
            return msgspec.json.decode(_path(home).read_bytes(), type=LockHolder)
    except OSError:  # no such file, or no permission
        return None
    return None


def _lock(file: BinaryIO) -> bool:
    for _ in range(5):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.02)  # `find_lock_holder` of another command holds it for a moment
        else:
            return True
    return False


def _path(home: Path) -> Path:
    return home / LOCK_FILE


def _sentence(home: Path, holder: LockHolder | None) -> str:
    who = "" if holder is None else f" (process {holder.pid}, {holder.url})"
    return (
        f"Kasparro is running already on {home}{who}: stop that one, or set KASPARRO_HOME to "
        "another folder"
    )

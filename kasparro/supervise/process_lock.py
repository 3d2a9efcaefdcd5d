"""One `kasparro up` a state folder: a lock that the kernel drops with its process, and where that one answers."""

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
    """The `kasparro up` that holds a state folder; `market` is where a demo's made-up market answers."""

    pid: int
    url: str
    market: str | None = None


@contextmanager
def occupy(home: Path, url: str, market: str | None = None) -> Iterator[None]:
    """Hold `home` for this process.

    Raises RefusedError where another holds it, FolderUnusableError.
    """
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = _path(home).open("a+b")
    except OSError as error:
        raise FolderUnusableError(folder=home, reason=error.strerror or str(error)) from error
    with file:
        if not _lock(file):
            raise CommandRefusedError(_sentence(home, find_occupant(home)))
        file.truncate(0)
        file.write(msgspec.json.encode(LockHolder(pid=os.getpid(), url=url, market=market)))
        file.flush()
        yield


def find_occupant(home: Path) -> LockHolder | None:
    """Return who holds `home`, None where nobody does, or one that has not yet said who it is."""
    try:
        with _path(home).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        with contextlib.suppress(msgspec.DecodeError):
            return msgspec.json.decode(_path(home).read_bytes(), type=LockHolder)
    except OSError:  # no such file, or not ours to see
        return None
    return None


def _lock(file: BinaryIO) -> bool:
    for _ in range(5):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.02)  # `find_occupant` of another command holds it for a moment
        else:
            return True
    return False


def _path(home: Path) -> Path:
    return home / LOCK_FILE


def _sentence(home: Path, occupant: LockHolder | None) -> str:
    who = "" if occupant is None else f" (process {occupant.pid}, {occupant.url})"
    return f"Kasparro is running already on {home}{who}: stop that one, or set KASPARRO_HOME to another folder"

"""The lock of a state folder: only one process at a time may run its server."""

import fcntl
import os
import time
from pathlib import Path
from typing import IO

from db.embedded.errors import HomeInUseError

_CHILD_SECONDS = 5.0
"""How long a child that a killed process has just forked may have the lock until it executes."""
_LOOK_SECONDS = 0.02


class HomeLock:
    """A lock on `postgres.lock` in `home`; the kernel releases it when the process ends."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._file: IO[str] | None = None

    @property
    def is_held(self) -> bool:
        """Whether this process has the lock."""
        return self._file is not None

    def acquire(self) -> None:
        """Take the lock; a second call does nothing. Raises HomeInUseError and OSError."""
        if self._file is not None:
            return
        lock = (self._home / "postgres.lock").open("a+", encoding="utf-8")
        give_up_at = time.monotonic() + _CHILD_SECONDS
        while not _try(lock):
            lock.seek(0)
            owner = lock.read().strip()
            if _is_running(owner) or time.monotonic() > give_up_at:
                lock.close()
                raise HomeInUseError(home=self._home, process=owner or "unknown")
            time.sleep(_LOOK_SECONDS)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._file = lock

    def release(self) -> None:
        """Release the lock if this process has it."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _try(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_running(owner: str) -> bool:
    """Return whether the process of that number exists; an unreadable number counts as one."""
    if not owner.isdecimal():
        return True
    try:
        os.kill(int(owner), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True

"""The lock of a state folder: only one process at a time may run its server."""

import fcntl
import os
from pathlib import Path
from typing import IO

from db.embedded.errors import HomeInUseError


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
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            owner = lock.read().strip()
            lock.close()
            raise HomeInUseError(home=self._home, process=owner or "unknown") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._file = lock

    def release(self) -> None:
        """Release the lock if this process has it."""
        if self._file is not None:
            self._file.close()
            self._file = None

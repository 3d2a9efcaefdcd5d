"""The log file of the embedded server: private, rotated, and read after a failed start."""

from pathlib import Path
from typing import IO

_LIMIT_BYTES = 10_000_000


class ServerLog:
    """The file `path`, and the offset where the newest postmaster started to write."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._start = 0

    def open(self) -> IO[bytes]:
        """Open the file for a new postmaster; rename a file above 10 MB to `.log.1` before."""
        if self.path.exists() and self.path.stat().st_size > _LIMIT_BYTES:
            self.path.replace(self.path.with_suffix(".log.1"))
        self.path.touch(mode=0o600)  # it quotes statements that failed
        output = self.path.open("ab")
        self._start = output.tell()
        return output

    def last_error(self, pid: int) -> str:
        """Return the last FATAL message of a postmaster that has ended, or else its last line.

        Backends of an earlier postmaster may write to the same file: only lines with `pid` count.
        """
        with self.path.open("rb") as output:
            output.seek(self._start)
            text = output.read(_LIMIT_BYTES).decode(errors="replace").strip()
        lines = text.splitlines() or ["it wrote nothing"]
        lines = [line for line in lines if f"[{pid}]" in line] or lines
        fatal = [line for line in lines if "FATAL:" in line or "PANIC:" in line]
        return (fatal or lines)[-1].rpartition(":  ")[2].strip()

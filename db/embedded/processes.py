"""Finding, watching and ending a postmaster, ours or one that a killed Kasparro left behind."""

import asyncio
import signal
from pathlib import Path

import psutil

POLL_SECONDS = 0.05
# Fast shutdown (roll back, checkpoint, end), immediate shutdown (the next start recovers), what
# nothing withstands.
_ENDINGS = ((signal.SIGINT, 60.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 5.0))


def is_alive(process: psutil.Process) -> bool:
    """Tell whether this very process, not a later one of its number, runs; one that waits to be reaped does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def find_postmaster(data: Path) -> psutil.Process | None:
    """Return the postmaster that serves `data`, going by postmaster.pid and by what that process says it is.

    The number alone proves nothing: after a crash it may belong to any other program.
    """
    try:
        process = psutil.Process(int((data / "postmaster.pid").read_bytes().split(b"\n", 1)[0]))
        command = process.cmdline()
    except (FileNotFoundError, ValueError, psutil.Error):
        return None
    ours = command[:1] and Path(command[0]).name == "postgres" and str(data) in command
    return process if ours and is_alive(process) else None


def sweep_sockets(sockets: Path) -> None:
    """Remove what a postmaster that was killed left in the folder of its socket."""
    for path in sockets.glob(".s.PGSQL.*"):
        path.unlink(missing_ok=True)


def clear_stale(data: Path, sockets: Path) -> None:
    """Remove the lock files of a dead postmaster: PostgreSQL takes any living process of that number for its owner.

    Call it only when `find_postmaster` found none. Should backends of the dead one still be there,
    PostgreSQL sees them by their shared memory.
    """
    (data / "postmaster.pid").unlink(missing_ok=True)
    sweep_sockets(sockets)


async def end(process: psutil.Process) -> None:
    """End a postmaster: gently, then firmly, each step bounded; 75 s at the most."""
    for number, patience_seconds in _ENDINGS:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            return
        if await ends_within(process, patience_seconds):
            return


async def ends_within(process: psutil.Process, seconds: float) -> bool:
    """Wait for a process to end; tell whether it did in that time."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + seconds
    while is_alive(process):
        if clock() > deadline:
            return False
        await asyncio.sleep(POLL_SECONDS)
    return True

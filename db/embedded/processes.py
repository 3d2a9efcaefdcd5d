"""Finds, watches and ends a postmaster: ours, or one that a killed Kasparro left running."""

import asyncio
import signal
from pathlib import Path

import psutil

POLL_SECONDS = 0.05
# Fast shutdown (roll back, checkpoint, end), immediate shutdown (the next start recovers), kill;
# each with its time limit.
_STOP_SIGNALS = ((signal.SIGINT, 60.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 5.0))


def is_alive(process: psutil.Process) -> bool:
    """Return whether this process runs; False for a zombie or a later process with its id."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def find_postmaster(data: Path) -> psutil.Process | None:
    """Return the postmaster that serves `data`: postmaster.pid and the command line must agree.

    The process id is not enough: after a crash it may belong to another program.
    """
    try:
        process = psutil.Process(int((data / "postmaster.pid").read_bytes().split(b"\n", 1)[0]))
        command = process.cmdline()
    except (FileNotFoundError, ValueError, psutil.Error):
        return None
    ours = command[:1] and Path(command[0]).name == "postgres" and str(data) in command
    return process if ours and is_alive(process) else None


def sweep_sockets(sockets: Path) -> None:
    """Remove the files that a killed postmaster left in the folder of its socket."""
    for path in sockets.glob(".s.PGSQL.*"):
        path.unlink(missing_ok=True)


def clear_stale(data: Path, sockets: Path) -> None:
    """Remove the lock files of a dead postmaster, since its process id may be in use again.

    Call it only when `find_postmaster` found none. PostgreSQL detects backends that still run by
    their shared memory.
    """
    (data / "postmaster.pid").unlink(missing_ok=True)
    sweep_sockets(sockets)


async def end(process: psutil.Process) -> None:
    """End a postmaster: by a fast shutdown, an immediate one, then a kill; in 75 s at most."""
    for number, limit_seconds in _STOP_SIGNALS:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            return
        if await ends_within(process, limit_seconds):
            return


async def ends_within(process: psutil.Process, seconds: float) -> bool:
    """Wait at most `seconds` for a process to end, and return whether it did."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + seconds
    while is_alive(process):
        if clock() > deadline:
            return False
        await asyncio.sleep(POLL_SECONDS)
    return True

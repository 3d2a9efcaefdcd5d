"""Nothing outlives a measurement or a test run: a process beside it ends what it started, and removes its files.

The process waits for the end of its standard input, whose other end only the run holds: the kernel
closes that when the run ends, even by kill -9. It knows what the run started by TMPDIR, which every
process inherits, and PostgreSQL, whose environment is empty, by the data folder in its command
line.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

GRACE_SECONDS = 10.0
"""Between SIGTERM and SIGKILL."""
PATIENCE_SECONDS = 60.0
"""For what not even SIGKILL ends."""
LOOK_SECONDS = 0.1


@contextlib.contextmanager
def cleaned_up() -> Iterator[Path]:
    """Give this process, and all that it starts, a folder for temporary files; nothing of either is left at the end.

    Yields the folder.
    """
    before = os.environ.get("TMPDIR"), tempfile.tempdir
    folder = Path(tempfile.mkdtemp(prefix="kasparro-"))
    folder.chmod(0o711)  # the account that PostgreSQL runs as passes through
    # Without TMPDIR neither it nor that of a run around this one takes it for something that was
    # started.
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("TMPDIR", "COV"))
    }
    command = [sys.executable, "-I", __file__, str(folder)]
    watching = subprocess.Popen(
        command, stdin=subprocess.PIPE, env=environment, start_new_session=True
    )
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    try:
        yield folder
    finally:
        _restore(*before)
        watching.communicate()


def _restore(variable: str | None, folder: str | None) -> None:
    os.environ.pop("TMPDIR")
    if variable is not None:
        os.environ["TMPDIR"] = variable
    tempfile.tempdir = folder


def main(folder: str) -> None:
    """Wait for the end of standard input, then end what has `folder` for its temporary files, and remove it."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.read()
    began = time.monotonic()
    asked: set[psutil.Process] = set()
    while (found := started(folder)) and (waited := time.monotonic() - began) < PATIENCE_SECONDS:
        for process in found if waited > GRACE_SECONDS else found - asked:
            _end(process, signal.SIGTERM if process not in asked else signal.SIGKILL)
        asked |= found
        psutil.wait_procs(found, timeout=LOOK_SECONDS)
    shutil.rmtree(folder, ignore_errors=True)


def started(folder: str) -> set[psutil.Process]:
    """Return what runs of all that was started, directly or not, by a process whose temporary files lie in `folder`."""
    return {process for process in psutil.process_iter() if _was_started(process, folder)}


def _was_started(process: psutil.Process, folder: str) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        if process.name() == "postgres":
            return any(word.startswith(f"{folder}/") for word in process.cmdline())
        return f"{process.environ().get('TMPDIR')}/".startswith(f"{folder}/")
    except psutil.Error:  # it has just ended, or is somebody else's
        return False


def _end(process: psutil.Process, number: signal.Signals) -> None:
    # What SIGTERM is to others, SIGINT is to PostgreSQL: it does not wait for its clients then.
    fast = number is signal.SIGTERM and process.name() == "postgres"
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(signal.SIGINT if fast else number)


if __name__ == "__main__":
    main(sys.argv[1])

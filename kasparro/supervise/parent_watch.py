"""`python -m kasparro.supervise.parent_watch MODULE …`: like `python -m`, but ends with its parent.

The parent holds the other end of this process's standard input and writes nothing to it. When the
parent ends, even by kill -9, the kernel closes that end: this process then gets SIGTERM, and
SIGKILL after GRACE_SECONDS.
"""

import os
import runpy
import signal
import sys
import threading
import time

GRACE_SECONDS = 10.0


def main() -> None:
    """Run the module that the command line names."""
    threading.Thread(target=_watch_parent, name="parent watch", daemon=True).start()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def _watch_parent() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()

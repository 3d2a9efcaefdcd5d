"""`python -m kasparro.supervise.parent_watch MODULE …`: runs a module as `python -m` does, but never outlives its parent.

The parent keeps the other end of this process's standard input and writes nothing to it. When the
parent ends, even by kill -9, the kernel closes that end: the module is then asked to stop, and
ended where it does not.
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
    threading.Thread(target=_end_with_parent, name="leash", daemon=True).start()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def _end_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()

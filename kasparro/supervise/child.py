"""One child process: started again after a crash, stopped by a signal, then killed."""

import asyncio
import logging
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import Callable, Mapping

import anyio

from common.backoff import Backoff, BackoffPolicy
from kasparro.supervise.console import Console

log = logging.getLogger(__name__)

STOP_GRACE_SECONDS = 15.0
RESTART_BACKOFF = BackoffPolicy(
    first_seconds=1.0, longest_seconds=30.0, jitter=0.0, steady_seconds=60.0
)
BAD_SETTING = 2
"""The exit code of a process whose settings are wrong: it is not started again."""


class Child:
    """The process `python -P -m MODULE` of the module `command[0]`; its lines go to `console`.

    If it ends with code 2, `on_refusal` is called once with its last line.
    """

    def __init__(
        self,
        command: tuple[str, ...],
        environment: Mapping[str, str],
        console: Console,
        on_refusal: Callable[[str], None],
        backoff: BackoffPolicy = RESTART_BACKOFF,
    ) -> None:
        self.name = command[0].rpartition(".")[2]
        # -P: a file in the working folder must not shadow a package.
        self._command = (sys.executable, "-P", "-m", "kasparro.supervise.parent_watch", *command)
        self._environment = {**environment, "PYTHONUNBUFFERED": "1"}
        self._console = console
        self._on_refusal = on_refusal
        self._backoff = Backoff(backoff)
        self._process: Process | None = None
        self._stopping = anyio.Event()
        self._ended = anyio.Event()

    async def keep_running(self) -> None:
        """Run the process again and again until `stop` is called or it refuses its settings."""
        try:
            await self._keep_running()
        finally:
            self._ended.set()

    async def _keep_running(self) -> None:
        clock = asyncio.get_running_loop().time
        while not self._stopping.is_set():
            started = clock()
            code, last_line = await self._run()
            if self._stopping.is_set():
                return
            if code == BAD_SETTING:
                self._on_refusal(last_line or f"{self.name} refused to start")
                return
            wait_seconds = self._backoff.next_seconds(clock() - started)
            log.warning("%s %s; starting it again in %g s", self.name, _ending(code), wait_seconds)
            with anyio.move_on_after(wait_seconds):
                await self._stopping.wait()

    async def stop(self, grace_seconds: float = STOP_GRACE_SECONDS) -> None:
        """Ask the process to stop and wait for its end; kill it after `grace_seconds`."""
        self._stopping.set()
        self._signal(signal.SIGTERM)
        with anyio.move_on_after(grace_seconds):
            await self._ended.wait()
            return
        log.warning("%s did not stop within %g s: killing it", self.name, grace_seconds)
        self._signal(signal.SIGKILL)
        await self._ended.wait()

    def kill(self) -> None:
        """Kill the process, and do not start it again."""
        self._stopping.set()
        self._signal(signal.SIGKILL)

    async def _run(self) -> tuple[int, str]:
        """Run the process once; return its exit code (negative: a signal) and its last line."""
        self._process = process = await asyncio.create_subprocess_exec(
            *self._command,
            env=self._environment,
            stdin=PIPE,
            stdout=PIPE,
            stderr=STDOUT,
            # Ctrl-C in the terminal is for the supervisor, which stops its children in order.
            start_new_session=True,
        )
        if self._stopping.is_set():  # `stop` was called during the start
            self._signal(signal.SIGTERM)
        last_line = await self._pass_lines(process)
        return await process.wait(), last_line

    async def _pass_lines(self, process: Process) -> str:
        if process.stdout is None:
            raise AssertionError("its output is a pipe")
        last_line, complete = "", True
        while complete:
            try:
                line = await process.stdout.readuntil(b"\n")
            except (
                asyncio.LimitOverrunError
            ) as error:  # longer than the buffer: pass it on in pieces
                line = await process.stdout.readexactly(error.consumed)
            except asyncio.IncompleteReadError as error:  # the end
                line, complete = error.partial, False
            if line:
                last_line = line.decode(errors="replace").rstrip()
                self._console.line(self.name, last_line)
        return last_line

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)


def _ending(code: int) -> str:
    return (
        f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    )

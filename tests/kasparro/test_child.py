"""One process under the supervisor, with small real programs."""

import asyncio
import contextlib
import io
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio
import psutil
import pytest

from common.backoff import BackoffPolicy
from kasparro.supervise.child import Child
from kasparro.supervise.console import Console

ROOT = Path(__file__).resolve().parents[2]
SOON = BackoffPolicy(first_seconds=0.01, longest_seconds=0.02, jitter=0, steady_seconds=60)
TIMEOUT_SECONDS = 30

WORKS_UNTIL_STOPPED = """
import os, signal, sys, threading
stopped = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stopped.set())
print("ready", os.getpid(), flush=True)
stopped.wait()
print("bye", flush=True)
"""
DEAF = """
import os, signal, threading
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", os.getpid(), flush=True)
threading.Event().wait()
"""
CRASHES = """
import sys
print("on its way", flush=True)
sys.exit(3)
"""
REFUSES = """
import sys
print("starting", flush=True)
sys.exit("PORT must be a number")  # to standard error, with code 1
"""
REFUSES_WITH_2 = """
import sys
print("PORT must be a number", file=sys.stderr)
sys.exit(2)
"""


class Stage:
    """A child and the console that shows its output."""

    def __init__(self, child: Child, stream: io.StringIO, refusals: list[str]) -> None:
        self.child = child
        self.stream = stream
        self.refusals = refusals

    async def wait_for(self, condition: Callable[[str], bool]) -> str:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while not condition(self.stream.getvalue()):
                await asyncio.sleep(0.01)
        return self.stream.getvalue()

    async def wait_for_pid(self) -> int:
        text = await self.wait_for(lambda text: text.count("ready ") == 1 and text.endswith("\n"))
        return int(text.rsplit(maxsplit=1)[-1])


@contextlib.asynccontextmanager
async def running(folder: Path, source: str) -> AsyncIterator[Stage]:
    (folder / "worker.py").write_text(source, encoding="utf-8")
    stream = io.StringIO()
    refusals: list[str] = []
    console = Console(bare=True, stream=stream)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(folder), str(ROOT)))}
    child = Child(("worker",), environment, console, refusals.append, SOON)
    async with anyio.create_task_group() as group:
        group.start_soon(child.keep_running)
        try:
            yield Stage(child, stream, refusals)
        finally:
            child.kill()


async def test_its_lines_pass_whole_however_long_they_are(tmp_path: Path) -> None:
    long = "x" * 200_000
    source = (
        f"print('{long}', flush=True)\n"
        "print('end without a newline', end='', flush=True)\n"
        "import sys; sys.exit(2)"
    )
    async with running(tmp_path, source) as stage:
        text = await stage.wait_for(lambda text: "without a newline\n" in text)
    assert text.replace("\n", "") == f"{long}end without a newline"


async def test_a_crashed_process_is_started_again_and_the_delay_is_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        async with running(tmp_path, CRASHES) as stage:
            await stage.wait_for(lambda text: text.count("on its way") >= 3)
    assert "worker ended with exit code 3; starting it again in 0.01 s" in caplog.messages
    assert "worker ended with exit code 3; starting it again in 0.02 s" in caplog.messages


async def test_a_killed_process_is_started_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        async with running(tmp_path, WORKS_UNTIL_STOPPED) as stage:
            os.kill(await stage.wait_for_pid(), signal.SIGKILL)
            await stage.wait_for(lambda text: text.count("ready ") == 2)
    assert "worker was ended by SIGKILL; starting it again in 0.01 s" in caplog.messages


async def test_code_2_is_a_refusal_and_not_tried_again(tmp_path: Path) -> None:
    async with running(tmp_path, REFUSES_WITH_2) as stage:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while not stage.refusals:
                await asyncio.sleep(0.01)
    assert stage.refusals == ["PORT must be a number"]
    assert stage.stream.getvalue() == "PORT must be a number\n"


async def test_code_1_is_a_crash(tmp_path: Path) -> None:
    async with running(tmp_path, REFUSES) as stage:
        await stage.wait_for(lambda text: text.count("PORT must be a number") >= 2)
    assert stage.refusals == []


async def test_stop_lets_it_finish(tmp_path: Path) -> None:
    async with running(tmp_path, WORKS_UNTIL_STOPPED) as stage:
        await stage.wait_for_pid()
        await stage.child.stop()
        assert stage.stream.getvalue().endswith("bye\n")


async def test_stop_kills_what_does_not_listen(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(tmp_path, DEAF) as stage:
        pid = await stage.wait_for_pid()
        with caplog.at_level(logging.WARNING):
            await stage.child.stop(grace_seconds=0.1)
        assert not psutil.pid_exists(pid)
    assert "worker did not stop within 0.1 s: killing it" in caplog.messages


async def test_stop_before_the_start_and_twice_does_no_harm(tmp_path: Path) -> None:
    async with running(tmp_path, WORKS_UNTIL_STOPPED) as stage:
        await stage.child.stop()
        await stage.child.stop()
        assert stage.stream.getvalue() in ("", "bye\n")


async def test_a_process_ends_when_its_supervisor_is_killed(tmp_path: Path) -> None:
    (tmp_path / "worker.py").write_text(WORKS_UNTIL_STOPPED, encoding="utf-8")
    (tmp_path / "parent.py").write_text(
        "import subprocess, sys\n"
        "command = [sys.executable, '-m', 'kasparro.supervise.parent_watch', 'worker']\n"
        "subprocess.Popen(command, stdin=subprocess.PIPE).wait()\n",
        encoding="utf-8",
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT)))}
    parent = await asyncio.create_subprocess_exec(
        sys.executable, str(tmp_path / "parent.py"), env=environment, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    async with asyncio.timeout(TIMEOUT_SECONDS):
        ready = await parent.stdout.readline()
        worker = psutil.Process(int(ready.split()[1]))
        parent.kill()
        await parent.wait()
        assert (
            await parent.stdout.read() == b"bye\n"
        )  # it was stopped, and the pipe's last writer has ended
        while worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE:
            await asyncio.sleep(0.01)


class Terminal(io.StringIO):
    """A stream that reports that it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "no_colour", "expected"),
    [
        (io.StringIO, "", "server    | hello\n"),
        (Terminal, "", "\x1b[36mserver    |\x1b[0m hello\n"),
        (Terminal, "1", "server    | hello\n"),
    ],
)
def test_prefixes_are_coloured_only_for_a_terminal(
    stream: type[io.StringIO], no_colour: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", no_colour)
    opened = stream()
    Console(bare=False, stream=opened).line("server", "hello")
    assert opened.getvalue() == expected

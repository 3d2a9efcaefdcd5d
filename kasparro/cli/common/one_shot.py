"""Commands that do one thing and end: cut short by a signal, they still close what they opened."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click

from kasparro.supervise.stop import Stop

Result = TypeVar("Result")

SIGNALLED = 128
"""What shells add to a signal's number for the exit code of a process that it ended: 143 stands for SIGTERM."""


def run_to_end(work: Callable[[], Awaitable[Result]]) -> Result:
    """Return what `work` returns.

    A signal cancels it, so that runs and databases are closed, and then ends the command with 128 +
    its number.
    """
    return asyncio.run(_until_signal(work))


async def _until_signal(work: Callable[[], Awaitable[Result]]) -> Result:
    stop = Stop()
    with stop.on_signals():
        with stop.cancels():
            return await work()
        raise click.exceptions.Exit(SIGNALLED + stop.signal)

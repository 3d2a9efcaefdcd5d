"""Commands that end by themselves: after a signal they still close what they opened."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click

from kasparro.supervise.stop import Stop

Result = TypeVar("Result")

SIGNALLED = 128
"""Added to the number of the signal that ended a command: 143 is SIGTERM."""


def run_to_end(work: Callable[[], Awaitable[Result]]) -> Result:
    """Return the result of `work`.

    A signal cancels it, so that runs and databases are closed, and the exit code is then 128 + its
    number. Raises click's Exit.
    """
    return asyncio.run(_until_signal(work))


async def _until_signal(work: Callable[[], Awaitable[Result]]) -> Result:
    stop = Stop()
    with stop.on_signals():
        with stop.cancels():
            return await work()
        raise click.exceptions.Exit(SIGNALLED + stop.signal)

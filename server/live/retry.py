"""Waiting for a database that is away or slow: what is followed stays followed."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

from common.backoff import Backoff, BackoffPolicy
from db.connect.pool import is_passing

BACKOFF = BackoffPolicy(first_seconds=0.5, longest_seconds=0.5)

P = ParamSpec("P")
T = TypeVar("T")


async def persist(call: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what a call returns, tried again for as long as what it raises may pass."""
    backoff = Backoff(BACKOFF)
    while True:
        try:
            return await call(*args, **kwargs)
        except Exception as error:
            if not is_passing(error):
                raise
            await asyncio.sleep(backoff.next_seconds())

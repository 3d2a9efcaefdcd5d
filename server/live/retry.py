"""Waiting for a database that is away or slow: what is followed stays followed."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

from db.connect.pool import is_passing

RETRY_SECONDS = 0.5

P = ParamSpec("P")
T = TypeVar("T")


async def persist(call: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what a call returns, tried again for as long as what it raises may pass."""
    while True:
        try:
            return await call(*args, **kwargs)
        except Exception as error:
            if not is_passing(error):
                raise
            await asyncio.sleep(RETRY_SECONDS)

"""Retries after temporary errors of the database."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

from common.backoff import Backoff, BackoffPolicy
from db.connect.pool import is_transient

BACKOFF = BackoffPolicy(first_seconds=0.5, longest_seconds=0.5)

P = ParamSpec("P")
T = TypeVar("T")


async def retry(call: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return the result of a call, repeated while it raises temporary errors of the database."""
    backoff = Backoff(BACKOFF)
    while True:
        try:
            return await call(*args, **kwargs)
        except Exception as error:
            if not is_transient(error):
                raise
            await asyncio.sleep(backoff.next_seconds())

"""Making the next thing while the last one is used."""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TypeVar

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream

T = TypeVar("T")


@contextlib.asynccontextmanager
async def ahead(items: AsyncGenerator[T, None]) -> AsyncIterator[MemoryObjectReceiveStream[T]]:
    """Yield the items; each is made while the one before is used, and no more than one waits.

    What making one raises ends the use at once. Raises the first error as it is, without a group around it.
    """
    made, taken = anyio.create_memory_object_stream[T](0)

    async def make() -> None:
        async with made, contextlib.aclosing(items):
            async for item in items:
                await made.send(item)

    try:
        async with taken, anyio.create_task_group() as group:
            group.start_soon(make)
            yield taken
            group.cancel_scope.cancel()
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None

"""Making the next thing while the last one is used."""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TypeVar

import anyio
import msgspec
from anyio.streams.memory import MemoryObjectReceiveStream

T = TypeVar("T")


class _Failure(msgspec.Struct, frozen=True):
    error: Exception


@contextlib.asynccontextmanager
async def ahead(items: AsyncGenerator[T, None]) -> AsyncIterator[AsyncIterator[T]]:
    """Yield the items; each is made while the one before is used, and no more than one waits.

    What making one raises is raised where that one would have been used: never in the middle of
    something else, as a statement of a transaction. Every error comes as it is, without a group
    around it.
    """
    made, taken = anyio.create_memory_object_stream[T | _Failure](0)

    async def make() -> None:
        async with made, contextlib.aclosing(items):
            try:
                async for item in items:
                    await made.send(item)
            except Exception as error:  # noqa: BLE001 - raised by `_used`
                await made.send(_Failure(error))

    try:
        async with (
            taken,
            contextlib.aclosing(_used(taken)) as used,
            anyio.create_task_group() as group,
        ):
            group.start_soon(make)
            yield used
            group.cancel_scope.cancel()
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None


async def _used(taken: MemoryObjectReceiveStream[T | _Failure]) -> AsyncGenerator[T, None]:
    async for item in taken:
        if isinstance(item, _Failure):
            raise item.error
        yield item

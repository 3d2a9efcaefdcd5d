"""Make the next item while the caller uses the last one."""

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
async def prefetch(items: AsyncGenerator[T, None]) -> AsyncIterator[AsyncIterator[T]]:
    """Yield the items; each is made while the caller uses the previous one, and at most one waits.

    An error in making an item is raised where the caller would receive it, never inside a statement
    of a transaction, and never inside an exception group.
    """
    send, receive = anyio.create_memory_object_stream[T | _Failure](0)

    async def make() -> None:
        async with send, contextlib.aclosing(items):
            try:
                async for item in items:
                    await send.send(item)
            except Exception as error:  # noqa: BLE001 - raised by `_received`
                await send.send(_Failure(error))

    try:
        async with (
            receive,
            contextlib.aclosing(_received(receive)) as received,
            anyio.create_task_group() as group,
        ):
            group.start_soon(make)
            yield received
            group.cancel_scope.cancel()
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None


async def _received(receive: MemoryObjectReceiveStream[T | _Failure]) -> AsyncGenerator[T, None]:
    async for item in receive:
        if isinstance(item, _Failure):
            raise item.error
        yield item

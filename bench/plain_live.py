"""Compared with the hub: Strawberry's execution of each event for each subscriber.

`python -m bench.plain_live DSN PORT` serves it; the outbox is read once, and each subscriber has a
queue.
"""

import asyncio
import sys
from collections.abc import AsyncIterator

import strawberry
import uvicorn
import uvloop
from strawberry.asgi import GraphQL
from strawberry.schema.config import StrawberryConfig
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL

from db.events import Event
from db.read.runs import run_from_event
from server.graphql.relay.cursors import encode_words
from server.graphql.types.fields import streamed
from server.graphql.types.query import Query
from server.graphql.types.scalars import SCALARS
from server.graphql.types.subscription import RunUpdate, RunUpdateValue
from server.live.cursor import CursorExpiredError
from server.live.listener import Listener
from server.process import open_socket, raise_file_limit

QUEUES: set[asyncio.Queue[Event]] = set()


async def _run_updates() -> AsyncIterator[RunUpdateValue]:
    queue: asyncio.Queue[Event] = asyncio.Queue()
    QUEUES.add(queue)
    try:
        while True:
            event = await queue.get()
            if event.run is not None:
                yield RunUpdateValue(
                    encode_words(event.seq, None), event.kind, run_from_event(event.run)
                )
    finally:
        QUEUES.discard(queue)


@strawberry.type
class Subscription:
    """The one subscription that is measured."""

    run_updates: AsyncIterator[RunUpdate] = streamed(
        _run_updates, "Runs as they start, advance and finish."
    )


async def _publish(events: list[Event]) -> None:
    for event in events:
        for queue in QUEUES:
            queue.put_nowait(event)


def _expire(error: CursorExpiredError) -> None:
    raise error


async def serve(dsn: str, port: int) -> None:
    """Serve until a signal."""
    schema = strawberry.Schema(
        query=Query, subscription=Subscription, config=StrawberryConfig(scalar_map=SCALARS)
    )
    app = GraphQL[None, None](schema, subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,))
    config = uvicorn.Config(
        app,
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        access_log=False,
    )
    listener = Listener(dsn, _publish, _expire)
    following = asyncio.create_task(listener.run())
    with open_socket("127.0.0.1", port) as listening:
        await listener.connected.wait()
        print("Listening at", port, flush=True)  # noqa: T201  (the measurement waits for this)
        await uvicorn.Server(config).serve([listening])
    following.cancel()


if __name__ == "__main__":
    raise_file_limit()
    uvloop.run(serve(sys.argv[1], int(sys.argv[2])))

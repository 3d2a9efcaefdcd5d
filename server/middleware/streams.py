"""The end of event streams when the server stops; their clients reconnect."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.middleware.in_flight import is_event_stream


class EndStreams:
    """Sends the application a disconnect once `stopping` is set, then closes an open stream.

    The stream ends without its `complete` event, which is a lost connection for a client: it
    reconnects and resumes.
    """

    def __init__(self, app: ASGIApp, stopping: asyncio.Event) -> None:
        self._app = app
        self._stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request; its response ends when the server stops."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body_is_complete = False
        stream_is_open = False

        async def receive_or_stop() -> Message:
            nonlocal body_is_complete
            if body_is_complete:
                # Only a disconnect can follow.
                return await self._first_of(receive)
            message = await receive()
            body_is_complete = not message.get("more_body", False)
            return message

        async def send_and_track(message: Message) -> None:
            nonlocal stream_is_open
            if message["type"] == "http.response.start":
                stream_is_open = is_event_stream(message)
            elif not message.get("more_body", False):
                stream_is_open = False
            await send(message)

        await self._app(scope, receive_or_stop, send_and_track)
        if stream_is_open:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _first_of(self, receive: Receive) -> Message:
        stopped = asyncio.ensure_future(self._stopping.wait())
        received = asyncio.ensure_future(receive())
        try:
            await asyncio.wait((stopped, received), return_when=asyncio.FIRST_COMPLETED)
            return received.result() if received.done() else {"type": "http.disconnect"}
        finally:
            stopped.cancel()
            received.cancel()

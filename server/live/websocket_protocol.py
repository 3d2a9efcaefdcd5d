"""uvicorn's websocket protocol that writes frames directly and reads in small steps.

An update goes to thousands of websockets without a task for each. Input is parsed a kilobyte at a
time, and other tasks of the event loop run in between.
"""

import asyncio
import time
from collections.abc import Callable

from uvicorn._types import ASGIReceiveEvent, ASGISendEvent
from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from server.http.head import HeadError, error_response
from server.live.deflate import Deflate, DeflateFactory
from server.live.rate_limit import MessageRateLimit

EXTENSION = "kasparro.websocket"
"""The ASGI extension that holds the `WebSocketProtocol` of a websocket."""

SLICE_BYTES = 1024
"""Parsed in one call: up to 170 frames, 2 ms."""
STEP_SECONDS = 0.001
"""How long it parses slices before it yields to other tasks."""
MAX_UNSENT_BYTES = 1024 * 1024
"""Responses that a client has not read; above this limit its input is not read either."""

_TEXT = 0x81  # one whole text frame (RFC 6455, 5.2); a server's frames are not masked
_DEFLATED_TEXT = 0xC1  # the same, compressed (RFC 7692, 6)
_LARGE = 16 * 1024


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """A websocket; `on_writable` is called when the full write buffer has been sent.

    `rate_limit` limits the messages that are read. The application replaces it by the client's.
    """

    on_writable: Callable[[], None] | None = None

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.conn.available_extensions = [DeflateFactory()]
        self.rate_limit = MessageRateLimit()
        self._input_buffer = bytearray()
        self._next_step: asyncio.Handle | None = None

    # Writing

    @property
    def is_writable(self) -> bool:
        """Whether a frame can be written now without filling the buffer."""
        return (
            self.writable.is_set()
            and self.handshake_complete
            and not (self.close_sent or self.disconnected or self.transport.is_closing())
        )

    @property
    def deflates(self) -> bool:
        """Whether compression was negotiated."""
        return any(isinstance(extension, Deflate) for extension in self.conn.extensions)

    def write_text(self, head: bytes, body: bytes, tail: bytes) -> None:
        """Write one text frame of three parts; only while `is_writable`."""
        self._write_frame(_TEXT, head, body, tail)

    def write_deflated(self, head: bytes, body: bytes, tail: bytes) -> None:
        """Write one text frame of deflate blocks; only while `is_writable`, where it `deflates`."""
        self._write_frame(_DEFLATED_TEXT, head, body, tail)

    def _write_frame(self, kind: int, head: bytes, body: bytes, tail: bytes) -> None:
        length = len(head) + len(body) + len(tail)
        frame = _frame_head(kind, length) + head
        if length < _LARGE:
            self.transport.write(frame + body + tail)
        else:
            # Many websockets share a large body, so it is not copied for each.
            self.transport.writelines((frame, body, tail))

    def resume_writing(self) -> None:
        """Call `on_writable`, and resume reading."""
        super().resume_writing()
        if self.on_writable is not None:
            self.on_writable()
        self._read_on_soon()

    def keepalive_timeout(self) -> None:
        """Close a websocket without a pong; abort it if the peer does not read the buffer."""
        super().keepalive_timeout()
        if self.transport.get_write_buffer_size():
            self.transport.abort()

    # Reading

    def data_received(self, data: bytes) -> None:
        """Parse input, as far as the limits allow."""
        if not self.handshake_initiated:
            self._parse(data)  # `HttpProtocol` passes only the handshake
            return
        self._input_buffer += data
        if self._next_step is None:
            self._read_on()

    async def receive(self) -> ASGIReceiveEvent:
        """Return the next message; resumes reading when the queue is empty."""
        message = await self.queue.get()
        if self.read_paused and self.queue.empty():
            self.read_paused = False
            self._resume_reading()
        return message

    async def send(self, message: ASGISendEvent) -> None:
        """Send a message; an accept or a close also reads the input that arrived before it."""
        await super().send(message)
        if self._input_buffer and message["type"] != "websocket.send":
            self._read_on_soon()

    def _read_on(self) -> None:
        """Parse slices for one step; then yield to other tasks, or wait for the rate limit."""
        self._next_step = None
        until = time.perf_counter() + STEP_SECONDS
        while self._input_buffer and self._may_read:
            seconds = self.rate_limit.seconds_until_next(self.loop.time())
            if seconds:
                self._next_step = self.loop.call_later(seconds, self._read_on)
                break
            if time.perf_counter() > until:
                self._read_on_soon()
                break
            part = bytes(self._input_buffer[:SLICE_BYTES])
            del self._input_buffer[:SLICE_BYTES]
            self._parse(part)
        if self.transport.is_closing():
            self._input_buffer.clear()
        elif self._input_buffer:
            self.transport.pause_reading()
        elif not self.read_paused:
            self.transport.resume_reading()

    @property
    def _may_read(self) -> bool:
        if self.read_paused or not self.handshake_complete or self.transport.is_closing():
            return False
        return self.writable.is_set() or self.transport.get_write_buffer_size() < MAX_UNSENT_BYTES

    def _read_on_soon(self) -> None:
        if self._input_buffer and self._next_step is None:
            self._next_step = self.loop.call_soon(self._read_on)

    def _resume_reading(self) -> None:
        if self._input_buffer:
            self._read_on_soon()
        else:
            self.transport.resume_reading()

    def _parse(self, data: bytes) -> None:
        self.conn.receive_data(data)
        if self.conn.handshake_exc is not None:
            self._refuse_handshake()
        elif self.conn.parser_exc is not None:
            self.handle_parser_exception()
        else:
            self.rate_limit.spend(len(self.conn.events), self.loop.time())
            self.handle_events()

    def _refuse_handshake(self) -> None:
        """Answer a handshake that cannot be parsed, then close the connection."""
        response = b"".join(self.conn.data_to_send())
        error = HeadError(400, "The handshake of a websocket cannot be read")
        self.handshake_complete = self.close_sent = True
        self.transport.write(response or error_response(error, self.default_headers))
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """End a connection."""
        if self._next_step is not None:
            self._next_step.cancel()
        self._input_buffer.clear()
        super().connection_lost(exc)

    async def run_asgi(self) -> None:
        """Run the application, with this protocol in its scope."""
        # The scope's type lists the extensions of ASGI; servers may add others.
        extensions: dict[str, object] = self.scope["extensions"]  # type: ignore[assignment]
        extensions[EXTENSION] = self
        await super().run_asgi()


def _frame_head(kind: int, length: int) -> bytes:
    if length < 126:  # noqa: PLR2004  (RFC 6455, 5.2: 126 and 127 announce a longer length)
        return bytes((kind, length))
    if length < 65_536:  # noqa: PLR2004 - the same
        return bytes((kind, 126)) + length.to_bytes(2)
    return bytes((kind, 127)) + length.to_bytes(8)

"""uvicorn's websocket, which also takes frames at once: an update goes to thousands of them without a task for each."""

from collections.abc import Callable

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

EXTENSION = "kasparro.wire"
"""Where the ASGI scope of a websocket holds its `Wire`."""

_TEXT = 0x81  # one whole text frame (RFC 6455, 5.2); a server's frames are not masked
_LARGE = 16 * 1024


class Wire(WebSocketsSansIOProtocol):
    """A websocket; `on_writable` is called when its peer has read what was too much for its buffer."""

    on_writable: Callable[[], None] | None = None

    @property
    def is_writable(self) -> bool:
        """Whether a frame can be written now, and would not only lie in the buffer."""
        return (
            self.writable.is_set()
            and self.handshake_complete
            and not (self.close_sent or self.disconnected or self.transport.is_closing())
        )

    def write_text(self, head: bytes, body: bytes, tail: bytes) -> None:
        """Write one text frame of three parts; only while `is_writable`."""
        length = len(head) + len(body) + len(tail)
        frame = _frame_head(length) + head
        if length < _LARGE:
            self.transport.write(frame + body + tail)
        else:
            # A large body is shared by many: it is not copied for each.
            self.transport.writelines((frame, body, tail))

    def resume_writing(self) -> None:
        """Tell that there is room again."""
        super().resume_writing()
        if self.on_writable is not None:
            self.on_writable()

    def keepalive_timeout(self) -> None:
        """Let go of a peer that answers no ping; one that does not read either would keep its buffer for ever."""
        super().keepalive_timeout()
        if self.transport.get_write_buffer_size():
            self.transport.abort()

    async def run_asgi(self) -> None:
        """Run the application, with this wire in its scope."""
        # The scope's type lists what ASGI names; servers may add to its extensions.
        extensions: dict[str, object] = self.scope["extensions"]  # type: ignore[assignment]
        extensions[EXTENSION] = self
        await super().run_asgi()


def _frame_head(length: int) -> bytes:
    if length < 126:  # noqa: PLR2004  (RFC 6455, 5.2: 126 and 127 announce a longer length)
        return bytes((_TEXT, length))
    if length < 65_536:  # noqa: PLR2004 - the same
        return bytes((_TEXT, 126)) + length.to_bytes(2)
    return bytes((_TEXT, 127)) + length.to_bytes(8)

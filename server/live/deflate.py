"""permessage-deflate (RFC 7692) without memory for each websocket.

Messages share no compression context, so a body that many subscribers share is compressed once
for all. Their frames differ in a few bytes around it, which are deflate blocks without
compression.
"""

import zlib
from collections.abc import Sequence

from websockets.exceptions import NegotiationError
from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import (
    PerMessageDeflate,
    ServerPerMessageDeflateFactory,
)
from websockets.frames import Frame
from websockets.typing import ExtensionParameter

LEVEL = 1
"""An update of 1,000 coins (313 kB) becomes 50 kB in 2 ms; with zlib's default, 42 kB in 21 ms."""
MIN_BYTES = 1024
"""A shorter message fits into one packet either way."""
MAX_STORED_BYTES = 65_535
"""The limit of one stored block (RFC 1951, 3.2.4)."""

_WINDOW_BITS = 15
_EMPTY_BLOCK = b"\x00"
"""The start of an empty stored block; the receiver appends the rest (RFC 7692, 7.2.2)."""


class Deflate(PerMessageDeflate):
    """The extension of one websocket; it does not compress short messages."""

    def __init__(self, remote_max_window_bits: int) -> None:
        super().__init__(
            remote_no_context_takeover=True,
            local_no_context_takeover=True,
            remote_max_window_bits=remote_max_window_bits,
            local_max_window_bits=_WINDOW_BITS,
            compress_settings={"level": LEVEL},
        )

    def encode(self, frame: Frame) -> Frame:
        """Compress a frame."""
        return frame if len(frame.data) < MIN_BYTES else super().encode(frame)


class DeflateFactory(ServerPerMessageDeflateFactory):
    """Accepts a client's offer, unless it requires a smaller window than that of shared bodies."""

    def __init__(self) -> None:
        super().__init__(server_no_context_takeover=True, client_no_context_takeover=True)

    def process_request_params(
        self, params: Sequence[ExtensionParameter], accepted_extensions: Sequence[Extension]
    ) -> tuple[list[ExtensionParameter], Deflate]:
        """Return the response to an offer, and the extension. Raises NegotiationError."""
        accepted, extension = super().process_request_params(params, accepted_extensions)
        if extension.local_max_window_bits != _WINDOW_BITS:
            raise NegotiationError(
                "a smaller window would need a compression for this client alone"
            )
        return accepted, Deflate(extension.remote_max_window_bits)


def compress(data: bytes) -> bytes:
    """Return data as deflate blocks that end at a byte; other blocks may follow."""
    compressor = zlib.compressobj(LEVEL, wbits=-_WINDOW_BITS)
    return compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)


def stored_block(data: bytes, *, is_last: bool = False) -> bytes:
    """Return up to MAX_STORED_BYTES as a deflate block without compression.

    With `is_last` it ends the message.
    """
    length = len(data)
    head = b"\x00" + length.to_bytes(2, "little") + (length ^ 0xFFFF).to_bytes(2, "little")
    return head + data + (_EMPTY_BLOCK if is_last else b"")

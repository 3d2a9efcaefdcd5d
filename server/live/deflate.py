"""permessage-deflate (RFC 7692), without a byte of memory for each websocket.

No context is taken over from one message to the next, so what many subscribers share is compressed
once for all. Their frames differ in a few bytes around it, which stand there uncompressed, in
deflate blocks of their own.
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
"""An update of 1,000 coins (313 kB) becomes 50 kB in 2 ms, with zlib's usual level 42 kB in 21 ms."""
WORTH_BYTES = 1024
"""A shorter message is a packet either way."""
MOST_STORED_BYTES = 65_535
"""What one stored block holds (RFC 1951, 3.2.4)."""

_WINDOW_BITS = 15
_EMPTY_BLOCK = b"\x00"
"""The begin of an empty stored block, of which the receiver adds the rest (RFC 7692, 7.2.2)."""


class Deflate(PerMessageDeflate):
    """The extension of one websocket; what is not worth it is sent as it is."""

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
        return frame if len(frame.data) < WORTH_BYTES else super().encode(frame)


class DeflateFactory(ServerPerMessageDeflateFactory):
    """Accepts a client's offer, unless that asks for a smaller window than what is shared is compressed with."""

    def __init__(self) -> None:
        super().__init__(server_no_context_takeover=True, client_no_context_takeover=True)

    def process_request_params(
        self, params: Sequence[ExtensionParameter], accepted_extensions: Sequence[Extension]
    ) -> tuple[list[ExtensionParameter], Deflate]:
        """Return what is answered to an offer, and the extension. Raises NegotiationError."""
        answer, extension = super().process_request_params(params, accepted_extensions)
        if extension.local_max_window_bits != _WINDOW_BITS:
            raise NegotiationError(
                "a smaller window is not worth a compression for one client alone"
            )
        return answer, Deflate(extension.remote_max_window_bits)


def deflated(data: bytes) -> bytes:
    """Return data as deflate blocks that end with a byte, to be followed by others."""
    compressor = zlib.compressobj(LEVEL, wbits=-_WINDOW_BITS)
    return compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)


def stored(data: bytes, *, is_last: bool = False) -> bytes:
    """Return up to MOST_STORED_BYTES as a deflate block that holds them as they are; `is_last` ends the message."""
    length = len(data)
    head = b"\x00" + length.to_bytes(2, "little") + (length ^ 0xFFFF).to_bytes(2, "little")
    return head + data + (_EMPTY_BLOCK if is_last else b"")

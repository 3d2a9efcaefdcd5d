"""Content codings (RFC 9110, section 8.4): their choice, and the compression of bodies.

Compression cannot leak secrets (BREACH, CVE-2013-3587), because no body contains the scheduler
token, and the server has no cookies or logins.
"""

import functools
import sys
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias

import anyio.to_thread
import brotli

from server.http.weighted import MAX_CACHED_CHARACTERS, MAX_CACHED_VALUES, best_coding, field_value

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MIN_BYTES: Final = 1_024
"""A smaller body fits into one packet in any coding."""

MAX_BYTES_ON_LOOP: Final = 65_536
"""A larger body is compressed in a thread: gzip would block the event loop for over 1 ms."""

# The window bits that select gzip's format; its time is 0, so equal bodies stay equal.
_GZIP = 16 + zlib.MAX_WBITS

# At these levels a body of 36 KB takes 0.11, 0.16 and 0.41 ms and shrinks to 29 to 32 %; the next
# levels take twice as long for 1 % less. The fastest coding is preferred.
RESPONSE_CODINGS: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "zstd": lambda body: zstd.compress(body, level=1),
    "br": lambda body: bytes(brotli.compress(body, quality=1)),
    "gzip": lambda body: zlib.compress(body, 1, wbits=_GZIP),
}
# For files, which are compressed once: Swagger UI's script of 1.5 MB takes 115, 101 and 63 ms. The
# highest levels take seconds and save 10 %.
FILE_CODINGS: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "zstd": lambda body: zstd.compress(body, level=12),
    "br": lambda body: bytes(brotli.compress(body, quality=6)),
    "gzip": lambda body: zlib.compress(body, 6, wbits=_GZIP),
}


Encoded: TypeAlias = tuple[bytes, str | None]
"""A body and its content coding, None for identity."""


def coding_for(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """Return the content coding that a request prefers, None for identity."""
    accepted = field_value(headers, b"accept-encoding")
    if accepted is None:
        return None
    return (
        _cached_coding(accepted)
        if len(accepted) <= MAX_CACHED_CHARACTERS
        else best_coding(accepted, tuple(RESPONSE_CODINGS))
    )


@functools.lru_cache(MAX_CACHED_VALUES)
def _cached_coding(accepted: bytes) -> str | None:
    return best_coding(accepted, tuple(RESPONSE_CODINGS))


async def encode(body: bytes, coding: str | None) -> Encoded:
    """Return the body of a response in a content coding; small bodies are not compressed."""
    if coding is None or len(body) < MIN_BYTES:
        return body, None
    compress = RESPONSE_CODINGS[coding]
    if len(body) <= MAX_BYTES_ON_LOOP:
        return compress(body), coding
    return await anyio.to_thread.run_sync(compress, body), coding

"""Content codings (RFC 9110, section 8.4): which one a client takes, and bodies that are written in it.

Nothing here is secret, so compression leaks nothing (BREACH, CVE-2013-3587): no body holds the
scheduler token, and the server knows no cookies or logins.
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

LEAST_BYTES: Final = 1_024
"""A smaller body fits into one packet in any coding."""

MOST_BYTES_ON_LOOP: Final = 65_536
"""A larger body is compressed in a thread: gzip would hold the event loop for more than a millisecond."""

_GZIP = (
    16 + zlib.MAX_WBITS
)  # zlib's way to ask for gzip's frame; the time in it is 0, so equal bodies stay equal

# At these levels an answer of 36 KB takes 0.11, 0.16 and 0.41 ms and shrinks to 29 to 32 %; the
# next ones take twice as long for another hundredth. In the order of preference: what is fastest
# comes first.
ANSWER: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "zstd": lambda body: zstd.compress(body, level=1),
    "br": lambda body: bytes(brotli.compress(body, quality=1)),
    "gzip": lambda body: zlib.compress(body, 1, wbits=_GZIP),
}
# For what is compressed once: Swagger UI's script of 1.5 MB takes 115, 101 and 63 ms. The highest
# levels take seconds and save a tenth.
FILE: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "zstd": lambda body: zstd.compress(body, level=12),
    "br": lambda body: bytes(brotli.compress(body, quality=6)),
    "gzip": lambda body: zlib.compress(body, 6, wbits=_GZIP),
}


Encoded: TypeAlias = tuple[bytes, str | None]
"""A body, and the content coding that it is in; None for identity."""


def coding_for(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """Return the content coding that a request wants most of those written here; None for identity."""
    accepted = field_value(headers, b"accept-encoding")
    if accepted is None:
        return None
    return (
        _kept_coding(accepted)
        if len(accepted) <= MAX_CACHED_CHARACTERS
        else best_coding(accepted, tuple(ANSWER))
    )


@functools.lru_cache(MAX_CACHED_VALUES)
def _kept_coding(accepted: bytes) -> str | None:
    return best_coding(accepted, tuple(ANSWER))


async def encode(body: bytes, coding: str | None) -> Encoded:
    """Return an answer's body in a content coding; a small one as it is."""
    if coding is None or len(body) < LEAST_BYTES:
        return body, None
    compress = ANSWER[coding]
    if len(body) <= MOST_BYTES_ON_LOOP:
        return compress(body), coding
    return await anyio.to_thread.run_sync(compress, body), coding

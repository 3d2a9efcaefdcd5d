"""Bodies of many records: written when first asked for, kept until the market changes, sent with validators."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

from aiohttp import web
from msgspec import Struct

from kasparro.simulator.market.market import SimulatedMarket

KEPT_BODIES: Final = 64
LARGEST_KEPT: Final = 50_000
"""Records in a body; a longer one is streamed and never held as a whole."""
_AT_ONCE: Final = 200
_FAST: Final = 1

UNALTERED: Final = web.RequestKey("unaltered", bool)
"""A request so marked gets its body plain and whole, whatever it accepts or has: a fault is about to spoil it."""

Row = Callable[[SimulatedMarket, int], bytes]


class SimulatedBody(Struct, frozen=True):
    """A body to send, what it is and when it last changed (Unix seconds)."""

    plain: bytes
    zipped: bytes
    tag: str
    changed_at: int


class Bodies:
    """The bodies of one version of the market."""

    def __init__(self) -> None:
        self._kept: dict[str, SimulatedBody] = {}
        self._still: SimulatedMarket | None = None
        self._writing = asyncio.Lock()

    def still(self, market: SimulatedMarket) -> SimulatedMarket:
        """Return the market as it stood when it last changed; forgets the bodies of the time before."""
        if self._still is None or self._still.version != market.version:
            self._still = market.snapshot()
            self._kept.clear()
        return self._still

    async def get(
        self,
        market: SimulatedMarket,
        key: str,
        write: Callable[[SimulatedMarket], Awaitable[bytes]],
    ) -> SimulatedBody:
        """Return the body under this key, written now unless it is kept; two that ask at once wait for one writer."""
        async with self._writing:
            still = self.still(market)
            body = self._kept.get(key)
            if body is None:
                body = await pack(await write(still), still.now)
                self._keep(key, body)
        return body

    def _keep(self, key: str, body: SimulatedBody) -> None:
        if len(self._kept) >= KEPT_BODIES:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = body


async def pack(plain: bytes, changed_at: int) -> SimulatedBody:
    """Return the body with its gzipped twin and a tag of its content."""
    zipped = await asyncio.to_thread(gzip.compress, plain, _FAST, mtime=0)
    return SimulatedBody(
        plain=plain, zipped=zipped, tag=sha256(plain).hexdigest()[:32], changed_at=changed_at
    )


async def write_array(market: SimulatedMarket, numbers: Iterable[int], row: Row) -> bytes:
    """Return a JSON array of records, written without holding up the other requests."""
    return b"".join([chunk async for chunk in stream_array(market, numbers, row)])


async def stream_array(
    market: SimulatedMarket, numbers: Iterable[int], row: Row
) -> AsyncIterator[bytes]:
    """Yield the same array piece by piece, for markets too large to hold."""
    separator, records = b"[", []
    for number in numbers:
        records.append(row(market, number))
        if len(records) == _AT_ONCE:
            yield separator + b",".join(records)
            separator, records = b",", []
            await asyncio.sleep(0)
    yield (separator if records or separator == b"[" else b"") + b",".join(records) + b"]"


def respond(
    request: web.Request, body: SimulatedBody, headers: dict[str, str], *, weak: bool
) -> web.Response:
    """200 with the body, gzipped for who accepts it, or 304 for who has it (RFC 9110 section 13.1)."""
    changed_at = datetime.fromtimestamp(body.changed_at, UTC)
    headers = {**headers, "Vary": "Accept-Encoding, Origin"}
    if not request.get(UNALTERED) and _has(request, body.tag, changed_at):
        response = web.Response(status=304, headers=headers)
    elif not request.get(UNALTERED) and "gzip" in request.headers.get("Accept-Encoding", ""):
        response = web.Response(body=body.zipped, headers={**headers, "Content-Encoding": "gzip"})
    else:
        response = web.Response(body=body.plain, headers=headers)
    response.headers["ETag"] = f'{"W/" if weak else ""}"{body.tag}"'
    response.last_modified = changed_at
    return response


def _has(request: web.Request, tag: str, changed_at: datetime) -> bool:
    tags = request.if_none_match
    if tags is not None:
        return any(known.value in (tag, "*") for known in tags)
    since = request.if_modified_since
    return since is not None and changed_at <= since

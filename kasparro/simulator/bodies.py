"""Bodies of many records: written on demand, cached until the market changes, with validators."""

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
MAX_CACHED_RECORDS: Final = 50_000
"""The most records of a cached body; a longer one is streamed."""
_AT_ONCE: Final = 200
_FAST: Final = 1

PLAIN_BODY: Final = web.RequestKey("plain_body", bool)
"""Marks a request whose body must be plain and complete, because a fault changes it."""

Row = Callable[[SimulatedMarket, int], bytes]


class SimulatedBody(Struct, frozen=True):
    """A body, its type, and the time of its last change (Unix seconds)."""

    plain: bytes
    zipped: bytes
    tag: str
    changed_at: int


class Bodies:
    """The cached bodies of one version of the market."""

    def __init__(self) -> None:
        self._kept: dict[str, SimulatedBody] = {}
        self._frozen: SimulatedMarket | None = None
        self._writing = asyncio.Lock()

    def freeze(self, market: SimulatedMarket) -> SimulatedMarket:
        """Return the market at its last change; drop the bodies of earlier versions."""
        if self._frozen is None or self._frozen.version != market.version:
            self._frozen = market.snapshot()
            self._kept.clear()
        return self._frozen

    async def get(
        self,
        market: SimulatedMarket,
        key: str,
        write: Callable[[SimulatedMarket], Awaitable[bytes]],
    ) -> SimulatedBody:
        """Return the body under this key, from the cache or written now by one writer."""
        async with self._writing:
            still = self.freeze(market)
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
    """Return the body with its gzipped form and an entity tag of its content."""
    zipped = await asyncio.to_thread(gzip.compress, plain, _FAST, mtime=0)
    return SimulatedBody(
        plain=plain, zipped=zipped, tag=sha256(plain).hexdigest()[:32], changed_at=changed_at
    )


async def write_array(market: SimulatedMarket, numbers: Iterable[int], row: Row) -> bytes:
    """Return a JSON array of records; other requests are served meanwhile."""
    return b"".join([chunk async for chunk in stream_array(market, numbers, row)])


async def stream_array(
    market: SimulatedMarket, numbers: Iterable[int], row: Row
) -> AsyncIterator[bytes]:
    """Yield the array in pieces, for markets that are too large for memory."""
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
    """Return 200 with the body, gzipped if accepted, or 304 (RFC 9110, section 13.1)."""
    changed_at = datetime.fromtimestamp(body.changed_at, UTC)
    headers = {**headers, "Vary": "Accept-Encoding, Origin"}
    if not request.get(PLAIN_BODY) and _has(request, body.tag, changed_at):
        response = web.Response(status=304, headers=headers)
    elif not request.get(PLAIN_BODY) and "gzip" in request.headers.get("Accept-Encoding", ""):
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

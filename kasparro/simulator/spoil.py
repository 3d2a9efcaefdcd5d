"""Play faults: the wrong answer instead of the right one."""

import asyncio
import re
import socket
import struct
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Final

import msgspec
from aiohttp import web
from msgspec import Raw

from kasparro.simulator import errors
from kasparro.simulator.bodies import PLAIN_BODY
from kasparro.simulator.faults import Fault, Kind
from kasparro.simulator.market.universe import Provider
from kasparro.simulator.simulation import SIMULATION

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_LOOK_SECONDS: Final = 0.1
_DRIPS_PER_SECOND: Final = 10
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
_PRICE: Final = re.compile(rb'"(price|current_price)":\s*[^,}]+')
_NAME: Final = re.compile(rb'"name":\s*"')


async def play(
    fault: Fault, provider: Provider, request: web.Request, handler: Handler
) -> web.StreamResponse:
    """Answer with this fault; `handler` returns the right answer where one is needed."""
    if fault.kind in _WITHOUT_BODY:
        return await _WITHOUT_BODY[fault.kind](fault, provider, request)
    request[PLAIN_BODY] = True
    response = await handler(request)
    body = response.body if isinstance(response, web.Response) else None
    if not isinstance(body, bytes):
        return response
    if fault.kind == "cut":
        return await _cut(request, response, body)
    if fault.kind == "drip":
        return await _drip(request, response, body, fault.bytes_per_second)
    return _like(response, web.Response(status=response.status, body=_spoiled(fault, body)))


async def _refuse(fault: Fault, provider: Provider, request: web.Request) -> web.Response:
    now = request.app[SIMULATION].market.now
    return errors.any_error(provider, fault.status, fault.shape, now, _retry_after(fault))


async def _show_page(fault: Fault, _provider: Provider, _request: web.Request) -> web.Response:
    return errors.page(fault.status, headers=_retry_after(fault))


async def _redirect(fault: Fault, _provider: Provider, request: web.Request) -> web.Response:
    return web.Response(status=302, headers={"Location": fault.location or str(request.rel_url)})


def _retry_after(fault: Fault) -> dict[str, str]:
    """Return both forms of RFC 9110, section 10.2.3; the date is by the real clock, like `Date`."""
    if fault.retry_after is None:
        return {}
    if fault.retry_after_form == "seconds":
        return {"Retry-After": str(fault.retry_after)}
    return {
        "Retry-After": format_datetime(
            datetime.now(UTC) + timedelta(seconds=fault.retry_after), usegmt=True
        )
    }


async def _hang(_fault: Fault, _provider: Provider, request: web.Request) -> web.Response:
    stopping = request.app[SIMULATION].stopping
    while (
        not stopping.is_set()
        and request.transport is not None
        and not request.transport.is_closing()
    ):
        try:
            await asyncio.wait_for(stopping.wait(), _LOOK_SECONDS)
        except TimeoutError:
            continue
    return web.Response(status=503)


async def _reset(_fault: Fault, _provider: Provider, request: web.Request) -> web.Response:
    if request.transport is not None:
        connection = request.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        request.transport.abort()
    return web.Response(status=503)


_WITHOUT_BODY: Final[
    dict[Kind, Callable[[Fault, Provider, web.Request], Awaitable[web.Response]]]
] = {
    "status": _refuse,
    "html": _show_page,
    "redirect": _redirect,
    "timeout": _hang,
    "reset": _reset,
}


def _like(
    response: web.StreamResponse, spoiled: web.StreamResponse | web.Response
) -> web.StreamResponse:
    """Return the spoiled answer with the right one's headers, except those about its bytes."""
    for name, value in response.headers.items():
        if name not in ("Content-Length", "ETag", "Last-Modified"):
            spoiled.headers[name] = value
    return spoiled


async def _cut(
    request: web.Request, response: web.StreamResponse, body: bytes
) -> web.StreamResponse:
    cut = _like(response, web.StreamResponse(status=response.status))
    cut.content_length = len(body)
    await cut.prepare(request)
    await cut.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return cut


async def _drip(
    request: web.Request, response: web.StreamResponse, body: bytes, bytes_per_second: int
) -> web.StreamResponse:
    dripping = _like(response, web.StreamResponse(status=response.status))
    dripping.content_length = len(body)
    await dripping.prepare(request)
    stopping = request.app[SIMULATION].stopping
    size = max(1, bytes_per_second // _DRIPS_PER_SECOND)
    for begin in range(0, len(body), size):
        if stopping.is_set() or request.transport is None or request.transport.is_closing():
            break
        await dripping.write(body[begin : begin + size])
        await asyncio.sleep(size / bytes_per_second)
    return dripping


def _spoiled(fault: Fault, body: bytes) -> bytes:
    match fault.kind:
        case "truncated":
            return body[: len(body) // 2]
        case "wrong_type":
            return b'{"data":' + body + b"}"
        case "bad_record":
            return _with_record(
                body, fault.record, lambda record: _PRICE.sub(rb'"\1":"high"', record, count=1)
            )
        case "nul_record":
            return _with_record(
                body, fault.record, lambda record: _NAME.sub(b'"name":"\\\\u0000', record, count=1)
            )
        case _:
            return _with_record(
                body, fault.record, lambda record: _PRICE.sub(rb'"\1":1e400', record, count=1)
            )


def _with_record(body: bytes, place: int, change: Callable[[bytes], bytes]) -> bytes:
    """Return the array with one record changed, byte for byte; any other body unchanged."""
    if not body.startswith(b"["):
        return body
    records = msgspec.json.decode(body, type=list[Raw])
    parts: list[Any] = [bytes(record) for record in records]
    if place < len(parts):
        parts[place] = change(parts[place])
    return b"[" + b",".join(parts) + b"]"

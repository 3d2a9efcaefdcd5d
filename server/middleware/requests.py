"""A request's id, its line in the log, and the last answer when everything else failed."""

import re
import secrets
import time

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

WELL_FORMED_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
SWITCHING_PROTOCOLS = 101
FORBIDDEN = 403
CLIENT_CLOSED = 499
"""The status logged for a client that left before its answer (nginx's number)."""

log = structlog.stdlib.get_logger(__name__)


def request_id(connection: HTTPConnection) -> str:
    """Return the id of a request, as its response header and log lines carry it."""
    found: str = connection.scope["kasparro.request_id"]
    return found


def elapsed_ms(connection: HTTPConnection) -> float:
    """Return the milliseconds since a request arrived, to the microsecond."""
    return _elapsed_ms(connection.scope["kasparro.started"])


class RequestLog:
    """Gives each request an id (a well-formed X-Request-ID is kept) and one log line, without its query string."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, named and timed."""
        started = time.perf_counter()
        number = _id_of(scope)
        scope["kasparro.request_id"] = number
        scope["kasparro.started"] = started
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] in ("http.response.start", "websocket.accept"):
                status = message.get("status", SWITCHING_PROTOCOLS)
                message.setdefault("headers", [])
                MutableHeaders(scope=message)["X-Request-ID"] = number
            elif message["type"] == "websocket.close" and not status:
                status = FORBIDDEN  # closed before it was accepted
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=number):
            try:
                await self._app(scope, receive, send_with_id)
            except Exception:
                if scope["type"] == "websocket":
                    raise  # uvicorn closes it with 1011
                log.exception("a request failed in a way that nobody foresaw")
                if not status:
                    response = JSONResponse({"detail": "Internal Server Error"}, 500)
                    await response(scope, receive, send_with_id)
            finally:
                log.info(
                    "request",
                    method=scope.get("method", "WEBSOCKET"),
                    path=_path(scope),
                    status=status or CLIENT_CLOSED,
                    ms=_elapsed_ms(started),
                )


def _id_of(scope: Scope) -> str:
    given = Headers(scope=scope).get("x-request-id", "")
    return given if WELL_FORMED_ID.fullmatch(given) else f"req-{secrets.token_hex(6)}"


def _path(scope: Scope) -> str:
    # As it was sent, percent-encoded: a decoded line break would forge a line of the log.
    raw: bytes | None = scope.get("raw_path")
    return raw.decode("ascii", "backslashreplace") if raw else repr(scope["path"])


def _elapsed_ms(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 3)

"""The id of a request, its line in the log, and the response after an unexpected error."""

import logging
import re
import secrets
import time

import structlog
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from common.logs import LogEvent

WELL_FORMED_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
SWITCHING_PROTOCOLS = 101
FORBIDDEN = 403
REFUSED = "websocket.http.response.start"
CLIENT_CLOSED = 499
"""The status logged for a client that left before the response (nginx's number)."""

log = structlog.stdlib.get_logger(__name__)
_LINES = logging.getLogger(__name__)


def request_id(connection: HTTPConnection) -> str:
    """Return the id of a request, as in its response header and log lines."""
    found: str = connection.scope["kasparro.request_id"]
    return found


def elapsed_ms(connection: HTTPConnection) -> float:
    """Return the milliseconds since a request arrived, to the microsecond."""
    return _elapsed_ms(connection.scope["kasparro.started"])


class RequestLog:
    """Gives each request an id, or its well-formed X-Request-ID, and one line in the log.

    The line has no query string.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request with its id and start time."""
        started = time.perf_counter()
        number = _id_of(scope)
        scope["kasparro.request_id"] = number
        scope["kasparro.started"] = started
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            kind = message["type"]
            if kind == "http.response.start" or kind == "websocket.accept" or kind == REFUSED:  # noqa: PLR1714  (for each request)
                status = message.get("status", SWITCHING_PROTOCOLS)
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"x-request-id", number.encode()),
                ]
            elif kind == "websocket.close" and not status:
                status = FORBIDDEN  # closed before it was accepted
            await send(message)

        # A request has a task of its own, and the variable ends with it.
        structlog.contextvars.bind_contextvars(request_id=number)
        try:
            await self._app(scope, receive, send_with_id)
        except Exception:
            if scope["type"] == "websocket":
                raise  # uvicorn closes it with 1011
            log.exception("a request failed unexpectedly")
            if not status:
                response = JSONResponse({"detail": "Internal Server Error"}, 500)
                await response(scope, receive, send_with_id)
        finally:
            if _LINES.isEnabledFor(logging.INFO):
                _log(scope, status or CLIENT_CLOSED, started)


def _log(scope: Scope, status: int, started: float) -> None:
    fields = {
        "method": scope.get("method", "WEBSOCKET"),
        "path": _path(scope),
        "status": status,
        "ms": _elapsed_ms(started),
        "request_id": scope["kasparro.request_id"],
    }
    # `info` would search the stack for the caller, which takes longer.
    _LINES.handle(
        _LINES.makeRecord(
            _LINES.name, logging.INFO, __file__, 0, LogEvent("request", fields), (), None
        )
    )


def _id_of(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            given: str = value.decode("latin-1")
            return given if WELL_FORMED_ID.fullmatch(given) else _new_id()
    return _new_id()


def _new_id() -> str:
    return f"req-{secrets.token_hex(6)}"


def _path(scope: Scope) -> str:
    # Percent-encoded as sent: a decoded line break could forge a line of the log.
    raw: bytes | None = scope.get("raw_path")
    return raw.decode("ascii", "backslashreplace") if raw else repr(scope["path"])


def _elapsed_ms(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 3)

"""The responses of the REST interface: JSON with times in UTC; errors are `{"detail": …}`."""

import datetime
from collections.abc import Awaitable, Callable, Mapping

import asyncpg
import msgspec
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from db.connect.pool import CANNOT_EXECUTE, TOO_SLOW, UNAVAILABLE, is_unavailable
from server.deadline import RETRY_AFTER_SECONDS
from server.state import ServerState

DATABASE_AWAY = "The database is out of reach; try again in a moment"
DATABASE_HELD_UP = "The database cannot do this just now; try again in a moment"
DATABASE_SLOW = "The database took too long to answer; ask for less or try again later"

log = structlog.stdlib.get_logger(__name__)


class Json(Response):
    """A JSON body; `msgspec.Raw` in it is written unchanged."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        """Return the JSON; UTC times end in Z."""
        return msgspec.json.encode(content)


def now() -> datetime.datetime:
    """Return the current time in UTC."""
    return datetime.datetime.now(datetime.UTC)


def demo_mark(state: ServerState) -> dict[str, bool]:
    """Return the property that only responses of a demo have."""
    return {"demo": True} if state.is_demo else {}


def error_body(detail: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """Return an error response with a sentence for the client."""
    return JSONResponse({"detail": detail}, status, headers)


async def on_http_error(_: Request, error: Exception) -> Response:
    """Answer 404, 405 and the like."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
    return error_body(error.detail, error.status_code, error.headers)


async def on_database_away(_: Request, error: Exception) -> Response:
    """Answer 503 without the cause. Raises errors that have another cause."""
    if not is_unavailable(error):
        raise error
    log.warning("the database is out of reach", reason=str(error) or type(error).__name__)
    return error_body(DATABASE_AWAY, 503, {"Retry-After": str(RETRY_AFTER_SECONDS)})


async def on_database_held_up(_: Request, error: Exception) -> Response:
    """Answer 503 where the database refuses: it is read-only, its disk is full, a lock is taken."""
    log.warning("the database refuses a statement", reason=str(error) or type(error).__name__)
    return error_body(DATABASE_HELD_UP, 503, {"Retry-After": str(RETRY_AFTER_SECONDS)})


async def on_database_slow(_: Request, error: Exception) -> Response:
    """Answer 503 after the time-out of a statement or of a connection."""
    log.warning("the database took too long", reason=str(error) or type(error).__name__)
    return error_body(DATABASE_SLOW, 503, {"Retry-After": str(RETRY_AFTER_SECONDS)})


# Starlette uses the handler of the nearest base class; TimeoutError is an OSError.
ERROR_HANDLERS: dict[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
    HTTPException: on_http_error,
    **dict.fromkeys(CANNOT_EXECUTE, on_database_held_up),
    **dict.fromkeys(
        (*UNAVAILABLE, asyncpg.InterfaceError, asyncpg.InternalClientError), on_database_away
    ),
    **dict.fromkeys(TOO_SLOW, on_database_slow),
}

"""How an answer of the REST interface is written: JSON, times in UTC that end in Z, errors as `{"detail": …}`."""

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
    """A JSON body; `msgspec.Raw` within it is written as it stands."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        """Encode; UTC times end in Z."""
        return msgspec.json.encode(content)


def now() -> datetime.datetime:
    """Return the present in UTC."""
    return datetime.datetime.now(datetime.UTC)


def demo_mark(state: ServerState) -> dict[str, bool]:
    """Return what an answer says more where the prices are made up; a real service's answers are what they were."""
    return {"demo": True} if state.is_demo else {}


def refused(detail: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """Answer that a request cannot be fulfilled, in a sentence for its sender."""
    return JSONResponse({"detail": detail}, status, headers)


async def on_http_error(_: Request, error: Exception) -> Response:
    """Answer 404, 405 and the like."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
    return refused(error.detail, error.status_code, error.headers)


async def on_database_away(_: Request, error: Exception) -> Response:
    """Answer 503: nothing of the reason is for a client.

    An error that tells of a mistake of ours goes on as it is.
    """
    if not is_unavailable(error):
        raise error
    log.warning("the database is out of reach", reason=str(error) or type(error).__name__)
    return refused(DATABASE_AWAY, 503, {"Retry-After": str(RETRY_AFTER_SECONDS)})


async def on_database_held_up(_: Request, error: Exception) -> Response:
    """Answer 503 where the database is there and refuses: it is read-only, its disk is full, a lock is not free."""
    log.warning("the database refuses a statement", reason=str(error) or type(error).__name__)
    return refused(DATABASE_HELD_UP, 503, {"Retry-After": str(RETRY_AFTER_SECONDS)})


async def on_database_slow(_: Request, error: Exception) -> Response:
    """Answer 503 where the statement time-out, or the wait for a connection, ran out."""
    log.warning("the database took too long", reason=str(error) or type(error).__name__)
    return refused(DATABASE_SLOW, 503, {"Retry-After": str(RETRY_AFTER_SECONDS)})


# Starlette takes the handler of the nearest base class; TimeoutError is an OSError.
ERROR_HANDLERS: dict[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
    HTTPException: on_http_error,
    **dict.fromkeys(CANNOT_EXECUTE, on_database_held_up),
    **dict.fromkeys(
        (*UNAVAILABLE, asyncpg.InterfaceError, asyncpg.InternalClientError), on_database_away
    ),
    **dict.fromkeys(TOO_SLOW, on_database_slow),
}

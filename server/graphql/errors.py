"""Errors as clients see them: each with a code, none with anything internal."""

import enum
from collections.abc import Collection, Iterable

import structlog
from graphql import GraphQLError

from db.pool import TOO_SLOW, is_passing
from server.deadline import RETRY_AFTER_SECONDS
from server.failed_tokens import RETRY_AFTER_SECONDS as TOKEN_RETRY_AFTER_SECONDS
from server.live.admission import RETRY_AFTER_SECONDS as FULL_RETRY_AFTER_SECONDS
from server.live.admission import FullError
from server.live.cursor import CursorExpiredError
from server.scheduler_token import ForeignPageError, InvalidTokenError, TooManyTokensError

log = structlog.stdlib.get_logger(__name__)


class Code(enum.StrEnum):
    """What `extensions.code` of an error may be."""

    BAD_REQUEST = "BAD_REQUEST"
    """The HTTP request or websocket message is no GraphQL request."""
    BAD_USER_INPUT = "BAD_USER_INPUT"
    """An argument or variable has a value that cannot be used; `extensions.argument` names it where it is known."""
    FORBIDDEN = "FORBIDDEN"
    """A page of another site asks for what it may not ask for."""
    GRAPHQL_PARSE_FAILED = "GRAPHQL_PARSE_FAILED"
    GRAPHQL_VALIDATION_FAILED = "GRAPHQL_VALIDATION_FAILED"
    INTERNAL = "INTERNAL"
    """Our fault; the log has the reason under the request id that the message names."""
    QUERY_TOO_COMPLEX = "QUERY_TOO_COMPLEX"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    UNAVAILABLE = "UNAVAILABLE"
    """The database is out of reach or took too long, or there is no room for more: try again in `retryAfter` s."""


DATABASE_AWAY = "The database is out of reach; try again in a moment"
DATABASE_SLOW = "The database took too long to answer; ask for less or try again later"


def coded(message: str, code: Code, **extensions: object) -> GraphQLError:
    """Return an error with a code."""
    return GraphQLError(message, extensions={"code": str(code), **extensions})


def unavailable(message: str, seconds: int = RETRY_AFTER_SECONDS) -> GraphQLError:
    """Return the error for what may well succeed after some seconds."""
    return coded(message, Code.UNAVAILABLE, retryAfter=seconds)


def full(error: FullError) -> GraphQLError:
    """Return the error for a client that there is no room for."""
    return unavailable(str(error), FULL_RETRY_AFTER_SECONDS)


def retry_after(errors: Collection[GraphQLError] | None) -> int | None:
    """Return for how many seconds a client is asked to wait, None where no error says so."""
    return max((error.extensions or {}).get("retryAfter", 0) for error in errors) or None if errors else None


def bad_input(argument: str, reason: str) -> GraphQLError:
    """Return the error for an argument that cannot be used; `reason` reads on from the argument's name."""
    return coded(f'Argument "{argument}" {reason}', Code.BAD_USER_INPUT, argument=argument)


def with_code(errors: Iterable[GraphQLError], code: Code) -> list[GraphQLError]:
    """Return the errors, each with `code` unless it has one."""
    return [
        error if "code" in (error.extensions or {}) else _copy(error, coded(error.message, code)) for error in errors
    ]


def mask(errors: Iterable[GraphQLError], request_id: str) -> list[GraphQLError]:
    """Return execution errors as a client may see them; what is our fault goes to the log."""
    return [_masked(error, request_id) for error in errors]


def _masked(error: GraphQLError, request_id: str) -> GraphQLError:
    cause = error.original_error
    if "code" in (error.extensions or {}):
        return error
    told = None if cause is None else _told(cause, error)
    if told is not None:
        return _copy(error, told)
    if error.path is None and (cause is None or error.nodes):
        # graphql-core's own word on a variable that does not fit its type.
        return _copy(error, coded(error.message, Code.BAD_USER_INPUT))
    log.error("a field failed", request_id=request_id, path=error.path, exc_info=cause or error)
    return _copy(error, coded(f"Something went wrong on our side (request {request_id})", Code.INTERNAL))


def _told(cause: Exception, error: GraphQLError) -> GraphQLError | None:
    """Return what a client is told of a cause that it can do something about, None for our own mistakes."""
    if isinstance(cause, CursorExpiredError):
        return coded(f'Argument "after" cannot be used: {cause}', Code.BAD_USER_INPUT, argument="after")
    if isinstance(cause, FullError):
        return full(cause)
    if isinstance(cause, TooManyTokensError):
        return coded(str(cause), Code.UNAUTHENTICATED, retryAfter=TOKEN_RETRY_AFTER_SECONDS)
    if isinstance(cause, (InvalidTokenError, ForeignPageError)):
        return coded(str(cause), Code.UNAUTHENTICATED if isinstance(cause, InvalidTokenError) else Code.FORBIDDEN)
    if is_passing(cause):
        log.warning("a query failed for the database", reason=str(cause) or type(cause).__name__, path=error.path)
        return unavailable(DATABASE_SLOW if isinstance(cause, TOO_SLOW) else DATABASE_AWAY)
    return None


def _copy(error: GraphQLError, told: GraphQLError) -> GraphQLError:
    """Return what a client is told, in the place of the error and without the exception it came from."""
    return GraphQLError(
        told.message,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        extensions=told.extensions,
    )

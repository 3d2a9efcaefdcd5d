"""Errors as clients see them: each with a code, none with anything internal."""

import enum
from collections.abc import Callable, Collection, Iterable, Sequence

import structlog
from graphql import GraphQLError

from db.connect.pool import CANNOT_EXECUTE, TOO_SLOW, is_passing
from server.auth.failed_tokens import RETRY_AFTER_SECONDS as TOKEN_RETRY_AFTER_SECONDS
from server.auth.scheduler_token import ForeignPageError, InvalidTokenError, TooManyTokensError
from server.deadline import RETRY_AFTER_SECONDS
from server.live.admission import RETRY_AFTER_SECONDS as FULL_RETRY_AFTER_SECONDS
from server.live.admission import FullError
from server.live.cursor import CursorExpiredError

MOST_ERRORS = 10
"""Of one response; who sent something that is wrong a thousand times learns it from a few."""
MESSAGE_CHARACTERS = 300
MOST_LOCATIONS = 10

Shorten = Callable[[GraphQLError], GraphQLError]

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
    PERSISTED_QUERY_NOT_FOUND = "PERSISTED_QUERY_NOT_FOUND"
    """The id of a document is not known here: send its text too."""
    UNTRUSTED_DOCUMENT = "UNTRUSTED_DOCUMENT"
    """Only the documents that the operator trusts may run, and this is none of them."""
    INTERNAL = "INTERNAL"
    """Our fault; the log has the reason under the request id that the message names."""
    QUERY_TOO_COMPLEX = "QUERY_TOO_COMPLEX"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    UNAVAILABLE = "UNAVAILABLE"
    """The database is out of reach or took too long, or there is no room for more: try again in `retryAfter` s."""


DATABASE_AWAY = "The database is out of reach; try again in a moment"
DATABASE_HELD_UP = "The database cannot do this just now; try again in a moment"
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
    return (
        max((error.extensions or {}).get("retryAfter", 0) for error in errors) or None
        if errors
        else None
    )


def bad_input(argument: str, reason: str) -> GraphQLError:
    """Return the error for an argument that cannot be used; `reason` reads on from the argument's name."""
    return coded(f'Argument "{argument}" {reason}', Code.BAD_USER_INPUT, argument=argument)


def bad_variable(place: str, reason: str) -> GraphQLError:
    """Return the error for what a variable holds in some place, such as `filter.ticker.in`."""
    return coded(f'Variable "${place}" {reason}', Code.BAD_USER_INPUT, argument=place)


def with_code(errors: Iterable[GraphQLError], code: Code) -> list[GraphQLError]:
    """Return the errors, each with `code` unless it has one."""
    return [
        error if "code" in (error.extensions or {}) else _copy(error, coded(error.message, code))
        for error in errors
    ]


def in_proportion(errors: Sequence[GraphQLError], shorten: Shorten) -> list[GraphQLError]:
    """Return the first few errors, each shortened, and one more that tells how many there were besides."""
    if len(errors) <= MOST_ERRORS + 1:
        return list(map(shorten, errors))
    shown = list(map(shorten, errors[:MOST_ERRORS]))
    count = len(errors) - MOST_ERRORS
    return [
        *shown,
        GraphQLError(
            f"And {count:,} more errors, which are left out", extensions=shown[0].extensions
        ),
    ]


def shortened(error: GraphQLError) -> GraphQLError:
    """Return an error with no longer message, and no more locations, than anybody reads."""
    message, nodes, positions = error.message, error.nodes, error.positions
    if len(message) > MESSAGE_CHARACTERS:
        message = f"{message[:MESSAGE_CHARACTERS]} ..."
    elif len(positions or ()) <= MOST_LOCATIONS:
        return error
    return GraphQLError(
        message,
        nodes=nodes and nodes[:MOST_LOCATIONS],
        source=error.source,
        positions=positions and list(positions)[:MOST_LOCATIONS],
        path=error.path,
        extensions=error.extensions,
    )


def mask(errors: Iterable[GraphQLError], request_id: str) -> list[GraphQLError]:
    """Return execution errors as a client may see them, few and short; what is our fault goes to the log."""
    return in_proportion(list(errors), lambda error: shortened(_masked(error, request_id)))


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
    return _copy(
        error, coded(f"Something went wrong on our side (request {request_id})", Code.INTERNAL)
    )


def _told(cause: Exception, error: GraphQLError) -> GraphQLError | None:
    """Return what a client is told of a cause that it can do something about, None for our own mistakes."""
    if isinstance(cause, CursorExpiredError):
        return coded(
            f'Argument "after" cannot be used: {cause}', Code.BAD_USER_INPUT, argument="after"
        )
    if isinstance(cause, FullError):
        return full(cause)
    if isinstance(cause, TooManyTokensError):
        return coded(str(cause), Code.UNAUTHENTICATED, retryAfter=TOKEN_RETRY_AFTER_SECONDS)
    if isinstance(cause, (InvalidTokenError, ForeignPageError)):
        return coded(
            str(cause),
            Code.UNAUTHENTICATED if isinstance(cause, InvalidTokenError) else Code.FORBIDDEN,
        )
    if is_passing(cause):
        log.warning(
            "a query failed for the database",
            reason=str(cause) or type(cause).__name__,
            path=error.path,
        )
        held_up = DATABASE_HELD_UP if isinstance(cause, CANNOT_EXECUTE) else DATABASE_AWAY
        return unavailable(DATABASE_SLOW if isinstance(cause, TOO_SLOW) else held_up)
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

"""Errors as clients see them: each has a code, and shows nothing internal."""

import enum
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TypeVar

import structlog
from graphql import GraphQLError

from db.connect.pool import CANNOT_EXECUTE, TOO_SLOW, is_transient
from server.auth.failed_tokens import RETRY_AFTER_SECONDS as TOKEN_RETRY_AFTER_SECONDS
from server.auth.scheduler_token import ForeignPageError, InvalidTokenError, TooManyTokensError
from server.deadline import RETRY_AFTER_SECONDS
from server.live.admission import RETRY_AFTER_SECONDS as FULL_RETRY_AFTER_SECONDS
from server.live.admission import FullError
from server.live.cursor import CursorExpiredError

MAX_ERRORS = 10
"""In one response; a request that is wrong a thousand times needs no more."""
MESSAGE_CHARACTERS = 300
MAX_LOCATIONS = 10

Value = TypeVar("Value")

Shorten = Callable[[GraphQLError], GraphQLError]

log = structlog.stdlib.get_logger(__name__)


class Code(enum.StrEnum):
    """The values of `extensions.code` of an error."""

    BAD_REQUEST = "BAD_REQUEST"
    """The HTTP request or websocket message is not a GraphQL request."""
    BAD_USER_INPUT = "BAD_USER_INPUT"
    """An argument or variable has an invalid value; `extensions.argument` names it if known."""
    FORBIDDEN = "FORBIDDEN"
    """A page of another site sent the request."""
    GRAPHQL_PARSE_FAILED = "GRAPHQL_PARSE_FAILED"
    GRAPHQL_VALIDATION_FAILED = "GRAPHQL_VALIDATION_FAILED"
    PERSISTED_QUERY_NOT_FOUND = "PERSISTED_QUERY_NOT_FOUND"
    """The id of the document is unknown: the client must send its text too."""
    UNTRUSTED_DOCUMENT = "UNTRUSTED_DOCUMENT"
    """Only documents that the operator trusts may run, and this is not one of them."""
    INTERNAL = "INTERNAL"
    """An error of the server; the log has the cause with the request id of the message."""
    QUERY_TOO_COMPLEX = "QUERY_TOO_COMPLEX"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    UNAVAILABLE = "UNAVAILABLE"
    """The database is unavailable or slow, or a limit is reached: try again in `retryAfter` s."""


DATABASE_AWAY = "The database is out of reach; try again in a moment"
DATABASE_HELD_UP = "The database cannot do this just now; try again in a moment"
DATABASE_SLOW = "The database took too long to answer; ask for less or try again later"


def error_with_code(message: str, code: Code, **extensions: object) -> GraphQLError:
    """Return an error with a code."""
    return GraphQLError(message, extensions={"code": str(code), **extensions})


def unavailable(message: str, seconds: int = RETRY_AFTER_SECONDS) -> GraphQLError:
    """Return the error for a request that may succeed after some seconds."""
    return error_with_code(message, Code.UNAVAILABLE, retryAfter=seconds)


def limit_reached(error: FullError) -> GraphQLError:
    """Return the error for a client above a limit."""
    return unavailable(str(error), FULL_RETRY_AFTER_SECONDS)


def retry_after(errors: Collection[GraphQLError] | None) -> int | None:
    """Return how many seconds a client should wait, None where no error says so."""
    return (
        max((error.extensions or {}).get("retryAfter", 0) for error in errors) or None
        if errors
        else None
    )


def bad_input(argument: str, reason: str) -> GraphQLError:
    """Return the error for an invalid argument; `reason` continues after the argument's name."""
    return error_with_code(
        f'Argument "{argument}" {reason}', Code.BAD_USER_INPUT, argument=argument
    )


def bad_variable(path: str, reason: str) -> GraphQLError:
    """Return the error for a value in a variable, at a path such as `filter.ticker.in`."""
    return error_with_code(f'Variable "${path}" {reason}', Code.BAD_USER_INPUT, argument=path)


def with_code(errors: Iterable[GraphQLError], code: Code) -> list[GraphQLError]:
    """Return the errors, each with `code` unless it has one."""
    return [
        error
        if "code" in (error.extensions or {})
        else _copy(error, error_with_code(error.message, code))
        for error in errors
    ]


def limit_errors(errors: Sequence[GraphQLError], shorten: Shorten) -> list[GraphQLError]:
    """Return the first errors, each shortened, and one more with the number of the others."""
    if len(errors) <= MAX_ERRORS + 1:
        return list(map(shorten, errors))
    shown = list(map(shorten, errors[:MAX_ERRORS]))
    count = len(errors) - MAX_ERRORS
    return [
        *shown,
        GraphQLError(
            f"And {count:,} more errors, which are left out", extensions=shown[0].extensions
        ),
    ]


def deduplicate_errors(
    values: Sequence[Value | BaseException],
) -> list[Value | BaseException | None]:
    """Return the values, with each error only where it is first; others like it are None.

    The message of the first one says how many others there are.
    """
    counts = Counter(str(value) for value in values if isinstance(value, BaseException))
    unique: list[Value | BaseException | None] = []
    for value in values:
        if isinstance(value, BaseException):
            count = counts.pop(str(value), 0)
            unique.append(_with_count(value, count) if count else None)
        else:
            unique.append(value)
    return unique


def _with_count(error: BaseException, count: int) -> BaseException:
    if count == 1 or not isinstance(error, GraphQLError):
        return error
    return GraphQLError(
        f"{error.message}; {count - 1:,} others are wrong in the same way",
        extensions=error.extensions,
    )


def shorten_error(error: GraphQLError) -> GraphQLError:
    """Return an error with at most MESSAGE_CHARACTERS and MAX_LOCATIONS."""
    message, nodes, positions = error.message, error.nodes, error.positions
    if len(message) > MESSAGE_CHARACTERS:
        message = f"{message[:MESSAGE_CHARACTERS]} ..."
    elif len(positions or ()) <= MAX_LOCATIONS:
        return error
    return GraphQLError(
        message,
        nodes=nodes and nodes[:MAX_LOCATIONS],
        source=error.source,
        positions=positions and list(positions)[:MAX_LOCATIONS],
        path=error.path,
        extensions=error.extensions,
    )


def mask(errors: Iterable[GraphQLError], request_id: str) -> list[GraphQLError]:
    """Return execution errors as a client may see them; logs those of the server."""
    return limit_errors(list(errors), lambda error: shorten_error(_mask_one(error, request_id)))


def _mask_one(error: GraphQLError, request_id: str) -> GraphQLError:
    cause = error.original_error
    if "code" in (error.extensions or {}):
        return error
    shown = None if cause is None else _client_error(cause, error)
    if shown is not None:
        return _copy(error, shown)
    if error.path is None and (cause is None or error.nodes):
        # graphql-core's message about a variable of the wrong type.
        return _copy(error, error_with_code(error.message, Code.BAD_USER_INPUT))
    log.error("a field failed", request_id=request_id, path=error.path, exc_info=cause or error)
    return _copy(
        error,
        error_with_code(f"Something went wrong on our side (request {request_id})", Code.INTERNAL),
    )


def _client_error(cause: Exception, error: GraphQLError) -> GraphQLError | None:
    """Return the error that a client sees for a cause, None for errors of the server."""
    if isinstance(cause, CursorExpiredError):
        return error_with_code(
            f'Argument "after" cannot be used: {cause}', Code.BAD_USER_INPUT, argument="after"
        )
    if isinstance(cause, FullError):
        return limit_reached(cause)
    if isinstance(cause, TooManyTokensError):
        return error_with_code(
            str(cause), Code.UNAUTHENTICATED, retryAfter=TOKEN_RETRY_AFTER_SECONDS
        )
    if isinstance(cause, (InvalidTokenError, ForeignPageError)):
        return error_with_code(
            str(cause),
            Code.UNAUTHENTICATED if isinstance(cause, InvalidTokenError) else Code.FORBIDDEN,
        )
    if is_transient(cause):
        log.warning(
            "the database failed a query",
            reason=str(cause) or type(cause).__name__,
            path=error.path,
        )
        held_up = DATABASE_HELD_UP if isinstance(cause, CANNOT_EXECUTE) else DATABASE_AWAY
        return unavailable(DATABASE_SLOW if isinstance(cause, TOO_SLOW) else held_up)
    return None


def _copy(error: GraphQLError, shown: GraphQLError) -> GraphQLError:
    """Return the shown error with the locations of the original, without its cause."""
    return GraphQLError(
        shown.message,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        extensions=shown.extensions,
    )

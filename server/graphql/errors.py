"""Errors as clients see them: each with a code, none with anything internal."""

import enum
from collections.abc import Iterable

import structlog
from graphql import GraphQLError

from db.pool import TOO_SLOW, is_passing
from server.live.cursor import CursorExpiredError
from server.scheduler_token import InvalidTokenError, TooManyTokensError

log = structlog.stdlib.get_logger(__name__)


class Code(enum.StrEnum):
    """What `extensions.code` of an error may be."""

    BAD_REQUEST = "BAD_REQUEST"
    """The HTTP request or websocket message is no GraphQL request."""
    BAD_USER_INPUT = "BAD_USER_INPUT"
    """An argument or variable has a value that cannot be used; `extensions.argument` names it where it is known."""
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
    """The database is out of reach or took too long, or there is no room for more clients: try again."""


DATABASE_AWAY = "The database is out of reach; try again in a moment"
DATABASE_SLOW = "The database took too long to answer; ask for less or try again later"


def coded(message: str, code: Code, **extensions: object) -> GraphQLError:
    """Return an error with a code."""
    return GraphQLError(message, extensions={"code": str(code), **extensions})


def bad_input(argument: str, reason: str) -> GraphQLError:
    """Return the error for an argument that cannot be used; `reason` reads on from the argument's name."""
    return coded(f'Argument "{argument}" {reason}', Code.BAD_USER_INPUT, argument=argument)


def with_code(errors: Iterable[GraphQLError], code: Code) -> list[GraphQLError]:
    """Return the errors, each with `code` unless it has one."""
    return [error if "code" in (error.extensions or {}) else _copy(error, error.message, code) for error in errors]


def mask(errors: Iterable[GraphQLError], request_id: str) -> list[GraphQLError]:
    """Return execution errors as a client may see them; what is our fault goes to the log."""
    return [_masked(error, request_id) for error in errors]


def _masked(error: GraphQLError, request_id: str) -> GraphQLError:
    cause = error.original_error
    if "code" in (error.extensions or {}):
        return error
    if isinstance(cause, CursorExpiredError):
        return _copy(error, f'Argument "after" cannot be used: {cause}', Code.BAD_USER_INPUT, argument="after")
    if isinstance(cause, (InvalidTokenError, TooManyTokensError)):
        return _copy(error, str(cause), Code.UNAUTHENTICATED)
    if cause is not None and is_passing(cause):
        slow = isinstance(cause, TOO_SLOW)
        log.warning("a query failed for the database", reason=str(cause) or type(cause).__name__, path=error.path)
        return _copy(error, DATABASE_SLOW if slow else DATABASE_AWAY, Code.UNAVAILABLE)
    if error.path is None and (cause is None or error.nodes):
        # graphql-core's own word on a variable that does not fit its type.
        return _copy(error, error.message, Code.BAD_USER_INPUT)
    log.error("a field failed", request_id=request_id, path=error.path, exc_info=cause or error)
    return _copy(error, f"Something went wrong on our side (request {request_id})", Code.INTERNAL)


def _copy(error: GraphQLError, message: str, code: Code, **extensions: object) -> GraphQLError:
    """Return the error anew, without the exception it came from."""
    return GraphQLError(
        message,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        extensions={"code": str(code), **extensions},
    )

"""Media types of GraphQL over HTTP, and which of them a client wants."""

import functools
from typing import Final, NamedTuple

from server.http.weighted import MAX_CACHED_CHARACTERS, MAX_CACHED_VALUES, NAMED, match_media_type

GRAPHQL_RESPONSE: Final = "application/graphql-response+json"
JSON: Final = "application/json"
EVENT_STREAM: Final = "text/event-stream"
MULTIPART: Final = "multipart/mixed"

BOUNDARY: Final = "graphql"
MULTIPART_PARAMETERS: Final = {"boundary": BOUNDARY, "subscriptionspec": "1.0"}
_UTF_8 = {"charset": "utf-8"}


class AcceptedTypes(NamedTuple):
    """What an Accept asks for.

    `answer` is the media type of an answer in one piece, `stream` that of a subscription, None
    where the client names none. `prefers_stream` tells that any operation is to be streamed.
    """

    answer: str
    stream: str | None
    prefers_stream: bool


def accepted_types(accept: bytes | None) -> AcceptedTypes:
    """Return what a client wants by its Accept (RFC 9110, section 12.5.1).

    An operation with one result is answered in one piece unless the client wants that less than a
    stream. Where neither JSON is wanted, the answer is in JSON all the same: GraphQL over HTTP lets
    a server disregard an Accept.
    """
    return (
        _cached_types(accept)
        if len(accept or b"") <= MAX_CACHED_CHARACTERS
        else _parse_types(accept)
    )


def _parse_types(accept: bytes | None) -> AcceptedTypes:
    json = match_media_type(accept, JSON, _UTF_8)
    response = match_media_type(accept, GRAPHQL_RESPONSE, _UTF_8)
    # A wildcard is no sign that a client knows GraphQL's own media type, or that it can read a
    # stream.
    is_named = response.specificity >= NAMED and response.weight > 0
    answer = GRAPHQL_RESPONSE if is_named and response.weight >= json.weight else JSON
    events = match_media_type(accept, EVENT_STREAM, _UTF_8)
    parts = match_media_type(accept, MULTIPART, MULTIPART_PARAMETERS)
    # Without parameters it means incremental delivery, whose parts are of another shape.
    names_parts = parts.specificity > NAMED and parts.weight > 0
    if (
        events.specificity >= NAMED
        and events.weight > 0
        and not (names_parts and parts.weight > events.weight)
    ):
        stream, weight = EVENT_STREAM, events.weight
    elif names_parts:
        stream, weight = MULTIPART, parts.weight
    else:
        return AcceptedTypes(answer, None, prefers_stream=False)
    return AcceptedTypes(answer, stream, prefers_stream=weight > max(json.weight, response.weight))


_cached_types = functools.lru_cache(MAX_CACHED_VALUES)(_parse_types)

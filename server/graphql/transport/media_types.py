"""Media types of GraphQL over HTTP, and those that a client accepts."""

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
    """The media types that an Accept header selects.

    `answer` is for a response in one piece. `stream` is for a subscription, None if the client
    names no stream. With `prefers_stream` every operation is streamed.
    """

    answer: str
    stream: str | None
    prefers_stream: bool


def accepted_types(accept: bytes | None) -> AcceptedTypes:
    """Return the media types that an Accept header selects (RFC 9110, section 12.5.1).

    An operation with one result is streamed only if the client prefers that. If the client accepts
    no JSON, the response is JSON anyway: GraphQL over HTTP lets a server disregard Accept.
    """
    return (
        _cached_types(accept)
        if len(accept or b"") <= MAX_CACHED_CHARACTERS
        else _parse_types(accept)
    )


def _parse_types(accept: bytes | None) -> AcceptedTypes:
    json = match_media_type(accept, JSON, _UTF_8)
    response = match_media_type(accept, GRAPHQL_RESPONSE, _UTF_8)
    # A wildcard does not show that a client knows GraphQL's media type, or reads streams.
    is_named = response.specificity >= NAMED and response.weight > 0
    answer = GRAPHQL_RESPONSE if is_named and response.weight >= json.weight else JSON
    events = match_media_type(accept, EVENT_STREAM, _UTF_8)
    parts = match_media_type(accept, MULTIPART, MULTIPART_PARAMETERS)
    # Without parameters it means incremental delivery, whose parts have another shape.
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

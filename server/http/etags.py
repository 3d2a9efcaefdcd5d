"""ETag and 304 (RFC 9110, sections 8.8.3 and 13.1.2)."""

import hashlib
import re

from starlette.requests import Request
from starlette.responses import Response

from server.http.weighted import field_value
from server.state import ServerState

# A tag may hold a comma: a list of them cannot be split by it.
_OPAQUE_TAG = re.compile(rb'"[\x21\x23-\x7e\x80-\xff]*"')


def etag_of_body(body: bytes) -> str:
    """Return the entity tag of an answer that is written already."""
    return f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'


def etag_of(request: Request) -> str | None:
    """Return the entity tag of what a request asks for, before anything is read; None where nobody could tell.

    It is weak: the same data is written with another `request_id` each time.
    """
    state: ServerState = request.app.state.server
    if state.data_version is None:
        return None
    _, sequence_number = state.data_version
    asked = f"{state.version} {sequence_number} {request.url.path}?{request.url.query}"
    return f'W/"{hashlib.blake2b(asked.encode(), digest_size=12).hexdigest()}"'


def not_modified(request: Request, etag: str | None) -> Response | None:
    """Return the 304 for a client that has the answer already."""
    if etag is None or not matches(etag, field_value(request.scope["headers"], b"if-none-match")):
        return None
    return Response(status_code=304, headers=caching(etag))


def matches(etag: str, if_none_match: bytes | None) -> bool:
    """Tell whether one of the listed tags is this one, by the weak comparison that If-None-Match asks for."""
    if not if_none_match:
        return False
    if if_none_match.strip() == b"*":
        return True
    return etag.removeprefix("W/").encode() in _OPAQUE_TAG.findall(if_none_match)


def caching(etag: str | None) -> dict[str, str]:
    """Return the headers of an answer that may be kept, if it is asked about each time; a 304 has the same."""
    return (
        {}
        if etag is None
        else {"ETag": etag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    )

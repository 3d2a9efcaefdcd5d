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
    """Return the entity tag of a body."""
    return f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'


def etag_of(request: Request) -> str | None:
    """Return the entity tag of a response before its data is read; None without a data version.

    It is weak: the body has another `request_id` each time.
    """
    state: ServerState = request.app.state.server
    if state.data_version is None:
        return None
    _, sequence_number = state.data_version
    identity = f"{state.version} {sequence_number} {request.url.path}?{request.url.query}"
    return f'W/"{hashlib.blake2b(identity.encode(), digest_size=12).hexdigest()}"'


def not_modified(request: Request, etag: str | None) -> Response | None:
    """Return a 304 for a client that has the current response, else None."""
    if etag is None or not matches(etag, field_value(request.scope["headers"], b"if-none-match")):
        return None
    return Response(status_code=304, headers=caching(etag))


def matches(etag: str, if_none_match: bytes | None) -> bool:
    """Return whether If-None-Match has this tag, by weak comparison."""
    if not if_none_match:
        return False
    if if_none_match.strip() == b"*":
        return True
    return etag.removeprefix("W/").encode() in _OPAQUE_TAG.findall(if_none_match)


def caching(etag: str | None) -> dict[str, str]:
    """Return the headers of a response or a 304 that a cache must revalidate each time."""
    return (
        {}
        if etag is None
        else {"ETag": etag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    )

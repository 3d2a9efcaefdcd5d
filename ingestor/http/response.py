"""The body of a response, and the validators of its version."""

import datetime

import aiohttp
import msgspec

from common.display import sanitize
from ingestor.http.error_body import MAX_ERROR_BODY_BYTES

CHUNK_BYTES = 65_536
MAX_HEADER_CHARACTERS = 200
VERSION_HEADERS = (
    "content-type",
    "content-encoding",
    "date",
    "age",
    "etag",
    "last-modified",
    "cache-control",
    "cf-cache-status",
    "x-cache",
)
"""Headers that tell which version of a body came, when, and from which cache (RFC 9110, 9111)."""


class Validators(msgspec.Struct, frozen=True, omit_defaults=True):
    """The validators of one version of a body (RFC 9110, section 8.8)."""

    etag: str | None = None
    last_modified: str | None = None

    def headers(self) -> dict[str, str]:
        """Return the request headers that ask for any other version only."""
        pairs = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in pairs.items() if value}


class ResponseBody(msgspec.Struct, frozen=True):
    """A JSON body in UTF-8; `content` is None if the version is still that of the validators.

    `received` is the body as it came, in its own encoding. `url` is where it came from, without
    secrets; `headers` are those of VERSION_HEADERS that the response had.
    """

    content: bytes | None
    fetched_at: datetime.datetime
    validators: Validators
    received: bytes = b""
    url: str = ""
    headers: dict[str, str] = {}


def body_of(
    response: aiohttp.ClientResponse,
    content: bytes,
    received: bytes,
    fetched_at: datetime.datetime,
    url: str,
) -> ResponseBody:
    """Return the body of a response with status 200, with its validators and headers."""
    headers = response.headers
    kept = {
        name: sanitize(value)[:MAX_HEADER_CHARACTERS]
        for name in VERSION_HEADERS
        if (value := headers.get(name)) is not None
    }
    validators = Validators(headers.get("ETag"), headers.get("Last-Modified"))
    return ResponseBody(content, fetched_at, validators, received, url, kept)


async def read_start(response: aiohttp.ClientResponse) -> bytes:
    """Return the first bytes of an error's body, also if the connection breaks off."""
    content = bytearray()
    try:
        async for chunk in response.content.iter_chunked(CHUNK_BYTES):
            content += chunk
            if len(content) >= MAX_ERROR_BODY_BYTES:
                break
    except aiohttp.ClientError:
        pass
    return bytes(content[:MAX_ERROR_BODY_BYTES])

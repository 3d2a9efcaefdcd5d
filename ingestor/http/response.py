"""The body of a response, and the validators of its version."""

import datetime
import re

import aiohttp
import msgspec

from ingestor.clock import utc_now
from ingestor.http.error_body import MAX_ERROR_BODY_BYTES
from ingestor.sources.records import PageBody

CHUNK_BYTES = 65_536


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

    `page` is the body as it came: without content where that is not UTF-8.
    """

    content: bytes | None
    fetched_at: datetime.datetime
    validators: Validators
    page: PageBody = PageBody(None, {})


_HEADERS = (
    "Content-Type",
    "ETag",
    "Last-Modified",
    "Date",
    "Age",
    "Cache-Control",
    "CF-Cache-Status",
)
"""What says which version of a body came, and how old it was."""
_SECRET_NAMES = re.compile("key|token|secret|auth|passw|sign", re.IGNORECASE)


def response_body(response: aiohttp.ClientResponse, sent: bytes, content: bytes) -> ResponseBody:
    """Return the body of a response, whose bytes were `sent`, and which in UTF-8 is `content`.

    Its URL has no secrets.
    """
    validators = Validators(response.headers.get("ETag"), response.headers.get("Last-Modified"))
    url = response.url.with_user(None)
    shown = [(k, "***" if _SECRET_NAMES.search(k) else v) for k, v in url.query.items()]
    headers: dict[str, str | int] = {
        name.lower(): response.headers[name] for name in _HEADERS if name in response.headers
    }
    page = PageBody(str(url.with_query(shown)), headers, sent if content == sent else None)
    return ResponseBody(content, utc_now(), validators, page)


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

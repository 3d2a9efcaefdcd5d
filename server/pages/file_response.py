"""Responses with files: each is read, prefixed and compressed once, and has an entity tag."""

import functools
import re
from pathlib import Path
from typing import Final, NamedTuple

import anyio.to_thread
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from server.http.compression import FILE_CODINGS, MIN_BYTES, coding_for
from server.http.etags import etag_of_body, not_modified
from server.state import ServerState

MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
MAX_CACHED_FILES = 128
"""In all codings; together they take a few megabytes."""

NO_STORE: Final = {"Cache-Control": "no-store"}
"""For a missing file: a page of another version may request it, and a later version may have it."""

# A path in a page: the prefix is inserted before its first slash.
_PATH = re.compile(rb'(?<=\s)(href|src|data-root)="/')


class EncodedPage(NamedTuple):
    """A file in a content coding."""

    body: bytes
    coding: str | None
    etag: str


async def file_answer(
    request: Request, path: Path, cache_control: str, vary: str = "Accept-Encoding"
) -> Response:
    """Answer a file, or 304 to a client that has it. Raises HTTPException if it is missing."""
    state: ServerState = request.app.state.server
    coding = coding_for(request.scope["headers"])
    page = await anyio.to_thread.run_sync(_read, path, coding, state.settings.root_path)
    headers = {"ETag": page.etag, "Cache-Control": cache_control, "Vary": vary}
    if unchanged := not_modified(request, page.etag):
        unchanged.headers.update(headers)
        return unchanged
    if page.coding is not None:
        headers["Content-Encoding"] = page.coding
    return Response(page.body, headers={**headers, "Content-Type": MEDIA_TYPES[path.suffix]})


def _read(path: Path, coding: str | None, root_path: str) -> EncodedPage:
    try:
        status = path.stat()
        return _encoded(path, (status.st_mtime_ns, status.st_size), coding, root_path)
    except FileNotFoundError:
        raise HTTPException(404, headers=NO_STORE) from None


@functools.lru_cache(MAX_CACHED_FILES)
def _encoded(
    path: Path, _changed: tuple[int, int], coding: str | None, root_path: str
) -> EncodedPage:
    body = path.read_bytes()
    if path.suffix == ".html":
        body = _PATH.sub(rb'\1="%s/' % root_path.encode(), body)
    if coding is None or len(body) < MIN_BYTES:
        return EncodedPage(body, None, etag_of_body(body))
    body = FILE_CODINGS[coding](body)
    return EncodedPage(body, coding, etag_of_body(body))

"""Files as answers: each is read, put below the path prefix and compressed once, and asked about by its entity tag."""

import functools
import re
from pathlib import Path
from typing import Final, NamedTuple

import anyio.to_thread
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from server.http.compression import FILE, LEAST_BYTES, coding_for
from server.http.etags import etag_of_body, not_modified
from server.state import ServerState

MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
MAX_CACHED_FILES = 128
"""In all their codings; together they take a few megabytes."""

NO_STORE: Final = {"Cache-Control": "no-store"}
"""For a file that is not there: a page of the version before may ask for it, and the next version may have it."""

# An address of this server in a page: a prefix goes in front of its first slash.
_ADDRESS = re.compile(rb'(?<=\s)(href|src|data-root)="/')


class EncodedPage(NamedTuple):
    """A file as it is sent."""

    body: bytes
    coding: str | None
    etag: str


async def file_answer(
    request: Request, path: Path, cache_control: str, vary: str = "Accept-Encoding"
) -> Response:
    """Answer a file, or 304 to a client that has it. Raises HTTPException where there is none."""
    state: ServerState = request.app.state.server
    coding = coding_for(request.scope["headers"])
    written = await anyio.to_thread.run_sync(_written, path, coding, state.settings.root_path)
    headers = {"ETag": written.etag, "Cache-Control": cache_control, "Vary": vary}
    if kept := not_modified(request, written.etag):
        kept.headers.update(headers)
        return kept
    if written.coding is not None:
        headers["Content-Encoding"] = written.coding
    return Response(written.body, headers={**headers, "Content-Type": MEDIA_TYPES[path.suffix]})


def _written(path: Path, coding: str | None, root_path: str) -> EncodedPage:
    try:
        found = path.stat()
        return _kept(path, (found.st_mtime_ns, found.st_size), coding, root_path)
    except FileNotFoundError:
        raise HTTPException(404, headers=NO_STORE) from None


@functools.lru_cache(MAX_CACHED_FILES)
def _kept(path: Path, _changed: tuple[int, int], coding: str | None, root_path: str) -> EncodedPage:
    body = path.read_bytes()
    if path.suffix == ".html":
        body = _ADDRESS.sub(rb'\1="%s/' % root_path.encode(), body)
    if coding is None or len(body) < LEAST_BYTES:
        return EncodedPage(body, None, etag_of_body(body))
    body = FILE[coding](body)
    return EncodedPage(body, coding, etag_of_body(body))

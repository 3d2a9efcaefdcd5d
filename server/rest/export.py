"""GET /data?format=…: the records as a file, sent while it is written."""

import asyncio

import anyio.to_thread
import asyncpg
import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from db.connect.pool import is_unavailable
from db.export.formats import FORMATS, ArrowMissingError, FormatEncoder
from db.export.rows import (
    RECORDS,
    Export,
    ExportQuery,
    NoSuchTickerError,
    RecordSlice,
    check_tickers,
    write_export,
)
from db.read.records import RecordFilter, RecordPosition
from server.rest.responses import error_body, now
from server.state import ServerState

TIMEOUT_SECONDS = 900.0
"""For a whole export; it has no other time-out."""
STALL_SECONDS = 60.0
"""How long a client may read nothing."""
RETRY_AFTER_SECONDS = 10
UNLIMITED = 2**63 - 1
BUSY = "Too many exports are being written; try again in a moment"

log = structlog.stdlib.get_logger(__name__)


async def get_export(
    request: Request,
    name: str,
    record_filter: RecordFilter,
    *,
    limit: int,
    offset: int,
    after: RecordPosition | None,
) -> Response:
    """Answer a file of the format `name`.

    Without limit, offset and cursor it has every record, unordered. An unknown ticker is answered
    with 404, since an empty file does not show the problem.
    """
    whole = limit == UNLIMITED and not offset and after is None
    export = Export(
        dataset=RECORDS,
        form=FORMATS[name],
        selection=ExportQuery(
            tickers=record_filter.ticker and (record_filter.ticker,),
            sources=record_filter.source and (record_filter.source,),
            start=record_filter.created_from,
            end=record_filter.created_to,
        ),
        part=None if whole else RecordSlice(limit=limit, offset=offset, after=after),
    )
    state: ServerState = request.app.state.server
    try:
        if export.selection.tickers:
            async with state.reading() as connection:
                await check_tickers(connection, export)
    except NoSuchTickerError as error:
        return error_body(str(error), 404)
    try:
        encoder = await anyio.to_thread.run_sync(export.encoder)
    except ArrowMissingError as error:
        return error_body(str(error), 501)
    return Download(state, export, encoder)


class Download(Response):
    """A file whose response starts with its first block: earlier errors get an error response.

    A later error closes the connection, so that the client sees that the file is incomplete.
    """

    def __init__(self, state: ServerState, export: Export, encoder: FormatEncoder) -> None:
        self._state = state
        self._export = export
        self._encoder = encoder
        file_name = export.form.file_name(now(), is_demo=state.is_demo)
        super().__init__(
            media_type=export.form.media_type,
            headers={
                "Content-Disposition": f'attachment; filename="{file_name}"',
                "Cache-Control": "no-store",
            },
        )
        del self.headers["Content-Length"]  # unknown until the end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file, until it ends or the client leaves."""
        if scope["method"] == "HEAD":
            await self._start(send)
            await send({"type": "http.response.body", "body": b""})
            return
        if self._state.exports.locked():
            busy = error_body(BUSY, 503, {"Retry-After": str(RETRY_AFTER_SECONDS)})
            await busy(scope, receive, send)
            return
        async with self._state.exports:
            await _wait_or_cancel(receive, asyncio.create_task(self._send(send)))

    async def _start(self, send: Send) -> None:
        await send(
            {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        )

    async def _send(self, send: Send) -> None:
        started = False

        async def send_block(block: bytes) -> None:
            nonlocal started
            if not started:
                started = True
                await self._start(send)
            async with asyncio.timeout(STALL_SECONDS):
                await send({"type": "http.response.body", "body": block, "more_body": True})

        try:
            async with self._state.export_connection() as connection:
                await write_export(
                    connection,
                    self._export,
                    self._encoder,
                    send_block,
                    timeout_seconds=TIMEOUT_SECONDS,
                )
        except Exception as error:
            if not (
                started and (is_unavailable(error) or isinstance(error, asyncpg.QueryCanceledError))
            ):
                raise
            log.warning("an export broke off", reason=str(error) or type(error).__name__)
            return  # without an end: the HTTP server closes the connection
        if not started:
            await self._start(send)
        await send({"type": "http.response.body", "body": b""})


async def _wait_or_cancel(receive: Receive, sending: asyncio.Task[None]) -> None:
    """Wait for `sending`; cancel it when the client leaves or the server stops."""
    leaving = asyncio.create_task(_wait_for_disconnect(receive))
    try:
        await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
    finally:
        leaving.cancel()
        sending.cancel()
        await asyncio.wait((sending,))
    if not sending.cancelled():
        sending.result()


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass

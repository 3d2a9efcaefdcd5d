"""GET /data: merged records with filters, as pages or as a file."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from db.export.formats import FORMATS
from db.read.records import RecordFilter, read_records_page
from server.http.etags import caching, etag_of, not_modified
from server.middleware.requests import elapsed_ms, request_id
from server.rest.export import UNLIMITED, get_export
from server.rest.parameters import (
    BadParametersError,
    ParameterReader,
    choice,
    decode_cursor,
    encode_cursor,
    include_quality,
    integer,
    text_or_none,
    ticker_or_none,
    time_from,
    time_to,
)
from server.rest.responses import Json
from server.state import ServerState

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
JSON = "json"
# The end of a page must fit into PostgreSQL's bigint.
MAX_OFFSET = 2**63 - 1 - MAX_LIMIT - 1


class Pagination(msgspec.Struct, frozen=True):
    """The shape of the older service; `next_cursor` is there with `cursor`, null at the end."""

    limit: int
    offset: int
    returned: int
    total: int
    next_cursor: str | msgspec.UnsetType | None = msgspec.UNSET


async def get_data(request: Request) -> Response:
    """Answer a page by `offset` or `cursor`; an empty cursor is the first page."""
    state: ServerState = request.app.state.server
    reader = ParameterReader(request.query_params)
    form = reader.read("format", choice(JSON, *FORMATS), JSON)
    most, default = (MAX_LIMIT, DEFAULT_LIMIT) if form == JSON else (UNLIMITED, UNLIMITED)
    limit = reader.read("limit", integer(1, most), default)
    offset = reader.read("offset", integer(0, MAX_OFFSET), 0)
    record_filter = RecordFilter(
        ticker=reader.read("ticker", ticker_or_none, None),
        source=reader.read("source", text_or_none, None),
        created_from=reader.read("start_date", time_from, None),
        created_to=reader.read("end_date", time_to, None),
    )
    after = reader.read("cursor", decode_cursor, None)
    with_quality = reader.read("include", include_quality, default=False)
    by_cursor = "cursor" in request.query_params
    if by_cursor and offset:
        reader.refuse(
            "offset", "Value error, a cursor and an offset exclude each other", "value_error"
        )
    if with_quality and form != JSON:
        reader.refuse("include", "Value error, only a page in JSON has a quality", "value_error")
    reader.check()
    if form != JSON:
        return await get_export(
            request, form, record_filter, limit=limit, offset=offset, after=after
        )
    etag = etag_of(request)
    if unchanged := not_modified(request, etag):
        return unchanged
    async with state.reading() as connection:
        page = await read_records_page(
            connection,
            record_filter,
            limit=limit,
            offset=offset,
            after=after,
            with_quality=with_quality,
        )
    pagination = Pagination(limit, offset, returned=len(page.records), total=page.total)
    if by_cursor:
        next_cursor = page.next_position and encode_cursor(page.next_position)
        pagination = msgspec.structs.replace(pagination, next_cursor=next_cursor)
    meta = {"request_id": request_id(request), "api_latency_ms": elapsed_ms(request)}
    return Json(
        {"data": page.records, "pagination": pagination, "meta": meta}, headers=caching(etag)
    )


async def on_bad_parameters(_: Request, error: Exception) -> Response:
    """Answer 422 with all problems."""
    assert isinstance(error, BadParametersError)  # noqa: S101 - registered for it
    return Json({"detail": error.problems}, 422)

"""GET /stats: how many records there are, and the newest runs of either outcome."""

from starlette.requests import Request
from starlette.responses import Response

from db.read.health import read_stats
from server.http.etags import caching, etag_of, not_modified
from server.rest.parameters import ParameterReader
from server.rest.responses import Json
from server.state import ServerState


async def get_stats(request: Request) -> Response:
    """Answer the counts; `last_success` and `last_failure` are null while there is none."""
    state: ServerState = request.app.state.server
    ParameterReader(request.query_params).check()
    etag = etag_of(request)
    if unchanged := not_modified(request, etag):
        return unchanged
    async with state.reading() as connection:
        return Json(await read_stats(connection), headers=caching(etag))

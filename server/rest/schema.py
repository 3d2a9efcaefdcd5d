"""GET /schema.graphql: the GraphQL schema as text."""

import functools

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from server.graphql.print_schema import schema_text
from server.http.etags import caching, etag_of_body, not_modified
from server.state import ServerState

MEDIA_TYPE = "text/plain; charset=utf-8"
HIDDEN = "This server does not show its schema: INTROSPECTION is off"


async def get_schema(request: Request) -> Response:
    """Answer the text of `schema.graphql`. Raises HTTPException (404) without introspection."""
    state: ServerState = request.app.state.server
    if not state.settings.introspection:
        raise HTTPException(404, HIDDEN)
    body, etag = _schema_text()
    return not_modified(request, etag) or Response(
        body, headers=caching(etag), media_type=MEDIA_TYPE
    )


@functools.cache
def _schema_text() -> tuple[bytes, str]:
    body = schema_text().encode()
    return body, etag_of_body(body)

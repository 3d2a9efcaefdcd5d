"""An address that ends in a slash too many."""

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from server.rest.answers import on_http_error
from server.state import ServerState


async def on_not_found(request: Request, error: Exception) -> Response:
    """Redirect (307) to the same path without its last slash where a route has that, else answer 404.

    The address is a path below ROOT_PATH: scheme and host are the client's, which a proxy may have
    changed.
    """
    path: str = request.scope["path"]
    bare = path.rstrip("/")
    if bare != path and bare and _leads_somewhere(request, bare):
        state: ServerState = request.app.state.server
        query = f"?{request.url.query}" if request.url.query else ""
        return Response(
            status_code=307, headers={"Location": f"{state.settings.root_path}{quote(bare)}{query}"}
        )
    return await on_http_error(request, error)


def _leads_somewhere(request: Request, path: str) -> bool:
    scope = {**request.scope, "path": path}
    return any(route.matches(scope)[0] is not Match.NONE for route in request.app.router.routes)

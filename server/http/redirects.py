"""Redirects of paths with a trailing slash."""

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from server.rest.responses import on_http_error
from server.state import ServerState


async def on_not_found(request: Request, error: Exception) -> Response:
    """Redirect (307) to the path without trailing slashes if it has a route, else respond 404.

    Location is a path below ROOT_PATH, because a proxy may have changed scheme and host.
    """
    path: str = request.scope["path"]
    stripped = path.rstrip("/")
    if stripped != path and stripped and _has_route(request, stripped):
        state: ServerState = request.app.state.server
        query = f"?{request.url.query}" if request.url.query else ""
        return Response(
            status_code=307,
            headers={"Location": f"{state.settings.root_path}{quote(stripped)}{query}"},
        )
    return await on_http_error(request, error)


def _has_route(request: Request, path: str) -> bool:
    scope = {**request.scope, "path": path}
    return any(route.matches(scope)[0] is not Match.NONE for route in request.app.router.routes)

"""Below a path of a reverse proxy: ROOT_PATH is taken off requests that still carry it."""

from starlette.types import ASGIApp, Receive, Scope, Send


class Prefix:
    """Takes the prefix off a request's path, so that it does not matter whether the proxy does.

    Routes and checks by path see paths without it; links and redirects put it back.
    """

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        path: str = scope.get("path", "")
        if path == self._prefix or path.startswith(f"{self._prefix}/"):
            scope["path"] = path[len(self._prefix) :] or "/"
        await self._app(scope, receive, send)

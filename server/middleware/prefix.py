"""ROOT_PATH, the path prefix of a reverse proxy."""

from starlette.types import ASGIApp, Receive, Scope, Send


class Prefix:
    """Removes the prefix from the path of a request, unless the proxy has removed it.

    Routes and other middleware see paths without the prefix; links and redirects add it.
    """

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request."""
        path: str = scope.get("path", "")
        if path == self._prefix or path.startswith(f"{self._prefix}/"):
            scope["path"] = path[len(self._prefix) :] or "/"
        await self._app(scope, receive, send)

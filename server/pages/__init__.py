"""The pages for a browser, and the closed list of files that they load."""

import re
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from server.http.weighted import NAMED, field_value, match_media_type
from server.pages.file_response import NO_STORE, file_answer

FILES = Path(__file__).parent / "files"
STATIC = Path(__file__).parent.parent / "static"
DASHBOARD = STATIC / "dashboard"
EXPLORER = STATIC / "explorer"
SWAGGER = STATIC / "swagger"
EXPLORER_SCRIPTS = frozenset(
    {
        "graphiql.min.css",
        "graphiql.min.js",
        "react.production.min.js",
        "react-dom.production.min.js",
    }
)
SWAGGER_FILES = frozenset({"swagger-ui.css", "swagger-ui-bundle.js"})
# Browsers revalidate each time and get 304, so they see a new version at once.
REVALIDATE = "no-cache"
# The name has a hash of the content, such as index-BpleRzdd.js, so a file never changes.
HASHED_NAME = re.compile(r"[a-z][a-z.]*-[\w-]{8}\.(js|css)")
IMMUTABLE = "public, max-age=31536000, immutable"


class Folder:
    """Some files of a folder, by name; others are not served."""

    def __init__(self, path: Path, names: frozenset[str], *, hashed: bool = False) -> None:
        self.path = path
        self._names = names
        self._hashed = hashed

    def caching(self, name: str) -> str | None:
        """Return the Cache-Control of a file, None for one that is not served."""
        if self._hashed and HASHED_NAME.fullmatch(name):
            return IMMUTABLE
        return REVALIDATE if name in self._names else None


FOLDERS = {
    "pages": Folder(FILES, frozenset({"pages.css", "docs.js", "explorer.js"})),
    "swagger": Folder(SWAGGER, SWAGGER_FILES),
    "explorer": Folder(EXPLORER, EXPLORER_SCRIPTS),
    "dashboard": Folder(DASHBOARD, frozenset({"theme.js", "icon.svg"}), hashed=True),
}


def wants_html(request: Request) -> bool:
    """Return whether a browser requests a page: only browsers prefer text/html to JSON."""
    accept = field_value(request.scope["headers"], b"accept")
    html, json = match_media_type(accept, "text/html"), match_media_type(accept, "application/json")
    return html.specificity >= NAMED and html.weight > 0 and html.weight >= json.weight


async def get_asset(request: Request) -> Response:
    """Answer a file that a page loads. Raises HTTPException (404) for any other."""
    folder = FOLDERS.get(request.path_params["folder"])
    name = request.path_params["name"]
    caching = None if folder is None else folder.caching(name)
    if folder is None or caching is None:
        raise HTTPException(404, headers=NO_STORE)
    return await file_answer(request, folder.path / name, caching)


async def get_docs(request: Request) -> Response:
    """Answer the page that shows /openapi.json, or how to build it where its files are missing."""
    built = all((SWAGGER / name).is_file() for name in SWAGGER_FILES)
    return await file_answer(
        request, FILES / ("docs.html" if built else "docs_missing.html"), REVALIDATE
    )


async def get_dashboard(request: Request) -> Response:
    """Answer the dashboard, for the path of any of its pages."""
    return await dashboard_page(request)


async def dashboard_page(request: Request, vary: str = "Accept-Encoding") -> Response:
    """Answer the dashboard, or a page on how to build it."""
    built = DASHBOARD / "index.html"
    return await file_answer(
        request, built if built.is_file() else FILES / "dashboard_missing.html", REVALIDATE, vary
    )


async def explorer_page(request: Request) -> Response:
    """Answer GraphiQL, or a page on how to build its files."""
    built = all((EXPLORER / name).is_file() for name in EXPLORER_SCRIPTS)
    name = "explorer.html" if built else "explorer_missing.html"
    return await file_answer(request, FILES / name, REVALIDATE, "Accept, Accept-Encoding")

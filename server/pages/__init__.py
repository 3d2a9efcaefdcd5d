"""The pages for a browser, and the closed list of files that they load; everything comes from our own origin."""

import importlib.resources
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

FILES = Path(__file__).parent / "files"
# The package holds one folder, named for the version of Swagger UI.
SWAGGER = next(Path(str(importlib.resources.files("swagger_ui_bundle"))).glob("vendor/swagger-ui-*"))
EXPLORER = Path(__file__).parent.parent / "static" / "explorer"
EXPLORER_SCRIPTS = frozenset(
    {"graphiql.min.css", "graphiql.min.js", "react.production.min.js", "react-dom.production.min.js"}
)
# Browsers ask again each time and get 304: a new version is seen at once.
REVALIDATE = {"Cache-Control": "no-cache"}


class Folder:
    """Some files of a folder, by name; nothing else in it can be reached."""

    def __init__(self, path: Path, names: frozenset[str]) -> None:
        self.names = names
        self.files = StaticFiles(directory=path, check_dir=False)


FOLDERS = {
    "pages": Folder(FILES, frozenset({"pages.css", "docs.js", "explorer.js"})),
    "swagger": Folder(SWAGGER, frozenset({"swagger-ui.css", "swagger-ui-bundle.js"})),
    "explorer": Folder(EXPLORER, EXPLORER_SCRIPTS),
}


def wants_html(request: Request) -> bool:
    """Whether a browser asks for a page: only browsers name text/html."""
    return "text/html" in request.headers.get("accept", "")


async def get_asset(request: Request) -> Response:
    """Answer a file that a page loads."""
    folder = FOLDERS.get(request.path_params["folder"])
    name = request.path_params["name"]
    if folder is None or name not in folder.names:
        raise HTTPException(404)
    response = await folder.files.get_response(name, request.scope)
    response.headers.update(REVALIDATE)
    return response


async def get_docs(_: Request) -> Response:
    """Answer the page that shows /openapi.json."""
    return FileResponse(FILES / "docs.html", headers=REVALIDATE)


def explorer_page() -> Response:
    """Answer GraphiQL, or how to get it: its files are built at install time and may not be there."""
    built = all((EXPLORER / name).is_file() for name in EXPLORER_SCRIPTS)
    name = "explorer.html" if built else "explorer_missing.html"
    return FileResponse(FILES / name, headers={**REVALIDATE, "Vary": "Accept"})

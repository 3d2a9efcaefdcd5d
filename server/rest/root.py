"""GET /: the name of the service and its endpoints, or the dashboard for a browser."""

from starlette.requests import Request
from starlette.responses import Response

from server.pages import dashboard_page, wants_html
from server.rest.responses import Json, demo_mark
from server.state import ServerState

ENDPOINTS = {
    "health": "/health",
    "data": "/data",
    "stats": "/stats",
    "trigger_etl": "/trigger-etl",
    "docs": "/docs",
    "dashboard": "/dashboard",
    "openapi": "/openapi.json",
    "graphql": "/graphql",
    "schema": "/schema.graphql",
    "live": "/health/live",
    "ready": "/health/ready",
}
VARY = "Accept, Accept-Encoding"


async def get_root(request: Request) -> Response:
    """Answer the list of endpoints, or the dashboard."""
    state: ServerState = request.app.state.server
    if wants_html(request):
        return await dashboard_page(request, vary=VARY)
    return Json(
        {
            "name": "Kasparro Backend & ETL",
            "version": state.version,
            "status": "running",
            "endpoints": {
                name: f"{state.settings.root_path}{path}" for name, path in ENDPOINTS.items()
            },
            **demo_mark(state),
        },
        headers={"Vary": VARY},
    )

"""GET /: what this is and where everything else is; the dashboard for a browser."""

from starlette.requests import Request
from starlette.responses import Response

from server.pages import dashboard_page, wants_html
from server.rest.answers import Json
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


async def get_root(request: Request) -> Response:
    """Answer the list of endpoints, or the dashboard."""
    state: ServerState = request.app.state.server
    response: Response
    if wants_html(request):
        response = dashboard_page()
    else:
        response = Json(
            {
                "name": "Kasparro Backend & ETL",
                "version": state.version,
                "status": "running",
                "endpoints": ENDPOINTS,
            }
        )
    response.headers["Vary"] = "Accept"
    return response

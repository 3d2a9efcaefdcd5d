"""POST /trigger-etl: request a run of every enabled source."""

from starlette.requests import Request
from starlette.responses import Response

from db.requests import add_request
from db.sources import enabled_sources
from server.auth.failed_tokens import RETRY_AFTER_SECONDS as TOKEN_RETRY_AFTER_SECONDS
from server.auth.scheduler_token import (
    CHALLENGE,
    ForeignPageError,
    InvalidTokenError,
    PresentedToken,
    TooManyTokensError,
    check_token,
)
from server.deadline import RETRY_AFTER_SECONDS
from server.rest.parameters import ParameterReader
from server.rest.responses import Json, error_body, now
from server.state import ServerState

NO_SOURCE = "No source is set up yet: the ingestor has not started"


async def post_trigger(request: Request) -> Response:
    """Store a request for runs; an ingestor takes it at once, or after its next start."""
    state: ServerState = request.app.state.server
    try:
        await check_token(state, PresentedToken.of_connection(request, state.settings.cors_origins))
    except ForeignPageError as error:
        return error_body(str(error), 403)
    except InvalidTokenError as error:
        return error_body(str(error), 401, {"WWW-Authenticate": CHALLENGE})
    except TooManyTokensError as error:
        return error_body(str(error), 429, {"Retry-After": str(TOKEN_RETRY_AFTER_SECONDS)})
    async with state.writing() as connection:
        sources = await enabled_sources(connection)
        if not sources:
            return error_body(NO_SOURCE, 503, {"Retry-After": str(RETRY_AFTER_SECONDS)})
        ParameterReader(request.query_params).check()
        await add_request(connection, sources, full=False)
    return Json({"status": "triggered", "timestamp": now()})

"""The check of the scheduler token, in constant time; wrong tokens are limited by client."""

import hmac
from typing import NamedTuple

from starlette.requests import HTTPConnection

from common.scheduler_token import tokens_of
from server.auth.failed_tokens import RETRY_AFTER_SECONDS
from server.http.client_address import client_address
from server.state import ServerState

TOKEN_HEADER = "X-Scheduler-Token"  # noqa: S105  (a header's name)
CHALLENGE = 'SchedulerToken realm="kasparro"'
"""The WWW-Authenticate header of a 401 (RFC 9110, 11.6.1)."""


class InvalidTokenError(Exception):
    """Invalid scheduler token."""


class TooManyTokensError(Exception):
    """A client sent too many wrong tokens."""


class ForeignPageError(Exception):
    """A page of another site, which CORS_ORIGINS does not name, sent the request."""


class PresentedToken(NamedTuple):
    """A client's token as Starlette decoded it, its address, and whether it is another site."""

    token: str | None = None
    client: str = ""
    is_foreign: bool = False

    @classmethod
    def of_connection(
        cls, connection: HTTPConnection, origins: tuple[str, ...]
    ) -> "PresentedToken":
        """Return the token of a request or a handshake; pages of `origins` are not foreign."""
        headers = connection.headers
        # The browser sets this header; a page cannot (Fetch Metadata Request Headers, 2.3).
        is_foreign = headers.get("sec-fetch-site") == "cross-site" and not (
            "*" in origins or headers.get("origin") in origins
        )
        return cls(headers.get(TOKEN_HEADER), client_address(connection.scope), is_foreign)


async def check_token(state: ServerState, presented: PresentedToken) -> None:
    """Compare a token with the valid ones.

    Raises ForeignPageError, InvalidTokenError, and TooManyTokensError for a client that sent many
    wrong tokens. A missing token is not counted.
    """
    if presented.is_foreign:
        raise ForeignPageError(
            "A page of another site cannot do this; if it is yours, name its origin in CORS_ORIGINS"
        )
    # Starlette decodes headers as Latin-1; this restores the bytes.
    token_bytes = (presented.token or "").encode("latin-1", "replace")
    if any(
        hmac.compare_digest(token_bytes, token.encode())
        for token in tokens_of(state.scheduler_token)
    ):
        return
    if token_bytes and not await state.failed_tokens.is_allowed(presented.client):
        raise TooManyTokensError(
            f"Too many wrong scheduler tokens; try again in {RETRY_AFTER_SECONDS} s"
        )
    raise InvalidTokenError("Invalid scheduler token")

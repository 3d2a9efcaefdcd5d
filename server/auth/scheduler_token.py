"""The check of the scheduler token: in constant time; the right one always passes, wrong ones are slowed by client."""

import hmac
from typing import NamedTuple

from starlette.requests import HTTPConnection

from common.scheduler_token import tokens_of
from server.auth.failed_tokens import RETRY_AFTER_SECONDS
from server.http.client_address import client_address
from server.state import ServerState

TOKEN_HEADER = "X-Scheduler-Token"  # noqa: S105  (a header's name)
CHALLENGE = 'SchedulerToken realm="kasparro"'
"""What the WWW-Authenticate of a 401 says (RFC 9110, 11.6.1)."""


class InvalidTokenError(Exception):
    """Invalid scheduler token."""


class TooManyTokensError(Exception):
    """A client sent too many wrong tokens."""


class ForeignPageError(Exception):
    """A page of another site asks for what only our own, or one that CORS_ORIGINS names, may ask for."""


class PresentedToken(NamedTuple):
    """What a client shows: its token as Starlette decoded it, its address, and whether a page of another site asks."""

    token: str | None = None
    client: str = ""
    is_foreign: bool = False

    @classmethod
    def by(cls, connection: HTTPConnection, origins: tuple[str, ...]) -> "PresentedToken":
        """Return what a request or a handshake shows; pages of `origins` are not foreign."""
        headers = connection.headers
        # A browser says so itself, and no page can keep it from that (Fetch Metadata Request
        # Headers, 2.3).
        is_foreign = headers.get("sec-fetch-site") == "cross-site" and not (
            "*" in origins or headers.get("origin") in origins
        )
        return cls(headers.get(TOKEN_HEADER), client_address(connection.scope), is_foreign)


async def check_token(state: ServerState, presented: PresentedToken) -> None:
    """Hold a token against those that are good.

    Raises ForeignPageError, InvalidTokenError, and TooManyTokensError for a wrong one of a client
    that sent many. A missing one is no guess, and is not counted.
    """
    if presented.is_foreign:
        raise ForeignPageError(
            "A page of another site cannot do this; if it is yours, name its origin in CORS_ORIGINS"
        )
    # Starlette decodes headers as Latin-1; this brings back the bytes that were sent.
    sent = (presented.token or "").encode("latin-1", "replace")
    if any(hmac.compare_digest(sent, token.encode()) for token in tokens_of(state.scheduler_token)):
        return
    if sent and not await state.failed_tokens.is_allowed(presented.client):
        raise TooManyTokensError(
            f"Too many wrong scheduler tokens; try again in {RETRY_AFTER_SECONDS} s"
        )
    raise InvalidTokenError("Invalid scheduler token")

"""The check of the scheduler token: in constant time, and only so often."""

import hmac

from server.state import FAILED_TOKENS, FAILED_TOKENS_SECONDS, ServerState

RETRY_AFTER_SECONDS = round(FAILED_TOKENS_SECONDS / FAILED_TOKENS)


class InvalidTokenError(Exception):
    """Invalid scheduler token."""


class TooManyTokensError(Exception):
    """Too many wrong tokens; the next one is looked at after RETRY_AFTER_SECONDS."""


async def check_token(state: ServerState, given: str | None) -> None:
    """Hold the header X-Scheduler-Token, as Starlette decoded it, against the token.

    Raises InvalidTokenError, and TooManyTokensError without a look at the token once wrong ones came too fast: who
    guesses cannot tell a hit from a miss then.
    """
    if not state.failed_tokens.has_capacity():
        raise TooManyTokensError(f"Too many wrong scheduler tokens; try again in {RETRY_AFTER_SECONDS} s")
    # Starlette decodes headers as Latin-1; this brings back the bytes that were sent.
    sent = (given or "").encode("latin-1", "replace")
    if not hmac.compare_digest(sent, state.scheduler_token.encode()):
        await state.failed_tokens.acquire()
        raise InvalidTokenError("Invalid scheduler token")

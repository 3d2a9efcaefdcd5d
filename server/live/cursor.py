"""Where a subscriber stands in the outbox, and whether the outbox still holds what comes next."""

from db.events import EventRange


class CursorExpiredError(Exception):
    """Events after a cursor are no longer kept, or it is not of this database; the message is for the client."""


def check_cursor(after: int, kept: EventRange) -> None:
    """Raise CursorExpiredError unless every event after the sequence number `after` is among those kept."""
    if after < kept.oldest - 1:
        raise CursorExpiredError(
            "the cursor is too old: events after it are no longer kept; read the current state, then subscribe anew"
        )
    if after > kept.newest:
        raise CursorExpiredError(
            "the cursor is of another database: read the current state, then subscribe anew"
        )

"""Checks a subscription's cursor against the events in the outbox."""

from db.events import EventRange


class CursorExpiredError(Exception):
    """Events after a cursor were purged, or the cursor is of another database.

    Clients see the message.
    """


def check_cursor(after: int, available: EventRange) -> None:
    """Raise CursorExpiredError unless the outbox has every event after `after`."""
    if after < available.oldest - 1:
        raise CursorExpiredError(
            "the cursor is too old: events after it are no longer kept;"
            " read the current state, then subscribe again without it"
        )
    if after > available.newest:
        raise CursorExpiredError(
            "the cursor is of another database: read the current state, then subscribe again"
            " without it"
        )

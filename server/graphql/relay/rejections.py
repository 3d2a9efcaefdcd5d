"""The connection of a run's rejections: forward only, read for all runs with one statement."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from db.read.runs import RejectionRow
from server.graphql.execution.errors import bad_input
from server.graphql.relay.connections import EdgeValue
from server.graphql.relay.cursors import decode_words, encode_words

_WORD = "REJECTION"
_MAX_BIGINT = 2**63 - 1  # PostgreSQL's bigint


def encode_rejection_cursor(row: RejectionRow) -> str:
    """Return the cursor of a rejection: its number, as opaque text."""
    return encode_words(_WORD, row.id)


def decode_rejection_cursor(text: str) -> int:
    """Return the number in a rejection's cursor. Raises GraphQLError."""
    try:
        words = decode_words(text)
    except ValueError:
        words = None
    match words:
        case [str(word), int(number)] if word == _WORD and 0 <= number <= _MAX_BIGINT:
            return number
    raise bad_input("after", "is not a cursor of a rejection")


class RejectionPageInfo:
    """The values of PageInfo for a page of rejections."""

    def __init__(self, rows: list[RejectionRow], *, more: bool, after: int | None) -> None:
        self.has_next_page = more
        # Rejections are never deleted one by one: the cursor's row still exists, before this page.
        self.has_previous_page = after is not None
        self.start_cursor = encode_rejection_cursor(rows[0]) if rows else None
        self.end_cursor = encode_rejection_cursor(rows[-1]) if rows else None


class RejectionRequest(NamedTuple):
    """The arguments of Run.rejections: how many, and the number after which to begin."""

    limit: int
    after: int | None


class RejectionsValue:
    """A RejectionConnection at run time; one row more than `limit` means that there are more."""

    def __init__(
        self,
        rows: list[RejectionRow],
        request: RejectionRequest,
        count: Callable[[], Awaitable[int]],
    ) -> None:
        self.nodes = rows[: request.limit]
        more = len(rows) > request.limit
        self.page_info = RejectionPageInfo(self.nodes, more=more, after=request.after)
        self._count = count

    @property
    def edges(self) -> list[EdgeValue]:
        """The rows with their cursors."""
        return [EdgeValue(encode_rejection_cursor(row), row) for row in self.nodes]

    @property
    def total_count(self) -> Awaitable[int]:
        """How many rejections the run has."""
        return self._count()

"""Pages of a price history: cursors of points, and the values of a connection."""

import datetime

from db.read.history.candles import HistoryPart, PricePointRow
from server.graphql.execution.errors import bad_input
from server.graphql.relay.connections import EdgeValue
from server.graphql.relay.cursors import decode_words, encode_words
from server.graphql.types.scalars import format_instant, parse_instant

_WORD = "PRICE_POINT"


def point_cursor(at: datetime.datetime) -> str:
    """Return the cursor of the point at that time."""
    return encode_words(_WORD, format_instant(at))


def decode_point_cursor(text: str | None, argument: str) -> datetime.datetime | None:
    """Return the time of a point's cursor. Raises GraphQLError."""
    if text is None:
        return None
    try:
        words = decode_words(text)
    except ValueError:
        words = None
    match words:
        case [str(word), str(instant)] if word == _WORD:
            return parse_instant(instant)
    raise bad_input(argument, "is not a cursor of a price point")


class HistoryPageInfo:
    """The values of PageInfo for a page of points.

    The point of a cursor is outside the page and still exists, so there are more points on the side
    of a cursor.
    """

    def __init__(self, nodes: list[PricePointRow], part: HistoryPart, *, more: bool) -> None:
        self.has_next_page = part.before is not None if part.backward else more
        self.has_previous_page = more if part.backward else part.after is not None
        self.start_cursor = point_cursor(nodes[0].at) if nodes else None
        self.end_cursor = point_cursor(nodes[-1].at) if nodes else None


class HistoryValue:
    """A PricePointConnection at run time; one row more than the page means that there are more."""

    def __init__(self, rows: list[PricePointRow], part: HistoryPart) -> None:
        page = rows[: part.limit - 1]
        self.nodes = page[::-1] if part.backward else page
        self.page_info = HistoryPageInfo(self.nodes, part, more=len(rows) == part.limit)

    @property
    def edges(self) -> list[EdgeValue]:
        """The points with their cursors."""
        return [EdgeValue(point_cursor(row.at), row) for row in self.nodes]

"""Query parameters: read, or refused the way that clients of the older service (FastAPI) know."""

import base64
import datetime
import re
from collections.abc import Callable
from decimal import Decimal
from typing import TypeVar

import msgspec
from starlette.datastructures import QueryParams

from common.tickers import to_ticker
from common.times import TimeSpan, UnreadableTimeError, read_span
from db.read.records import RecordPosition

MAX_TEXT = 200
MOST_UNKNOWN = 10
"""So many parameters that there are not are named in an answer."""
# A "+" that nobody encoded arrives as a space.
_BARE_PLUS = re.compile(r"(T.*) (\d{2}:?\d{2})$")
_MARKET_CAP = re.compile(r"-?\d{1,1000}(\.\d{1,1000})?", re.ASCII)

T = TypeVar("T")


class BadParameter(msgspec.Struct, frozen=True):
    """One entry of a 422 answer's `detail`, as pydantic writes it."""

    loc: tuple[str, str]
    msg: str
    type: str


class BadParametersError(Exception):
    """The query parameters cannot be used."""

    def __init__(self, problems: list[BadParameter]) -> None:
        super().__init__("; ".join(f"{problem.loc[1]}: {problem.msg}" for problem in problems))
        self.problems = problems


class UnreadableError(ValueError):
    """One value cannot be read: what pydantic says of that, and the name that pydantic gives it."""

    def __init__(self, msg: str, kind: str) -> None:
        super().__init__(msg)
        self.kind = kind


class Reader:
    """Reads parameters one after the other and remembers what is wrong with them."""

    def __init__(self, query: QueryParams) -> None:
        self._query = query
        self._known: list[str] = []
        self._problems: list[BadParameter] = []

    def read(self, name: str, parse: Callable[[str], T], default: T) -> T:
        """Return the parsed value, or `default` where the parameter is left out or cannot be read."""
        self._known.append(name)
        text = self._query.get(name)
        if text is None:
            return default
        try:
            return parse(text)
        except UnreadableError as error:
            self._problems.append(BadParameter(("query", name), str(error), error.kind))
            return default

    def refuse(self, name: str, msg: str, kind: str) -> None:
        """Remember a problem that shows only beside other parameters."""
        self._problems.append(BadParameter(("query", name), msg, kind))

    def check(self) -> None:
        """Raise BadParametersError if anything was wrong, or a parameter was given that nothing has read.

        A name with a typo would otherwise ask for everything.
        """
        known = ", ".join(self._known) or "none"
        for name in [name for name in self._query if name not in self._known][:MOST_UNKNOWN]:
            self.refuse(
                name[:MAX_TEXT],
                f"Extra inputs are not permitted; the parameters are: {known}",
                "extra_forbidden",
            )
        if self._problems:
            raise BadParametersError(self._problems)


def integer(low: int, high: int) -> Callable[[str], int]:
    """Read a whole number from `low` to `high`."""

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise UnreadableError(
                "Input should be a valid integer, unable to parse string as an integer",
                "int_parsing",
            ) from None
        if number < low:
            raise UnreadableError(
                f"Input should be greater than or equal to {low}", "greater_than_equal"
            )
        if number > high:
            raise UnreadableError(
                f"Input should be less than or equal to {high}", "less_than_equal"
            )
        return number

    return parse


def choice(*names: str) -> Callable[[str], str]:
    """Read one of some names; an empty text counts as the first."""
    *others, last = map(repr, names)

    def parse(text: str) -> str:
        if text and text not in names:
            raise UnreadableError(f"Input should be {', '.join(others)} or {last}", "literal_error")
        return text or names[0]

    return parse


def text_or_none(text: str) -> str | None:
    """Read a text; an empty one counts as left out."""
    if len(text) > MAX_TEXT:
        raise UnreadableError(
            f"String should have at most {MAX_TEXT} characters", "string_too_long"
        )
    if "\0" in text:
        raise UnreadableError("Value error, a text cannot hold a NUL character", "value_error")
    return text or None


def ticker_or_none(text: str) -> str | None:
    """Read a ticker in any case, as it is stored."""
    ticker = text_or_none(text)
    return ticker and (to_ticker(ticker) or None)


def time_from(text: str) -> datetime.datetime | None:
    """Read the beginning of a period: a date-time, or a date or week, which begins at midnight UTC."""
    return _span(text).start if text else None


def time_to(text: str) -> datetime.datetime | None:
    """Read the end of a period, itself within it: a date-time, or a date or week, all of which (UTC) is within."""
    return _span(text).end if text else None


def _span(text: str) -> TimeSpan:
    try:
        return read_span(_BARE_PLUS.sub(r"\1+\2", text))
    except UnreadableTimeError:
        raise UnreadableError(
            "Input should be a valid datetime or date, in ISO 8601", "datetime_from_date_parsing"
        ) from None


def encode_cursor(position: RecordPosition) -> str:
    """Write the place after a record as opaque text for a URL."""
    # In str() a small or great number would have an exponent.
    words = (
        None if position.market_cap_usd is None else f"{position.market_cap_usd:f}",
        position.ticker,
    )
    return base64.urlsafe_b64encode(msgspec.json.encode(words)).decode().rstrip("=")


def position_of(cursor: str) -> RecordPosition | None:
    """Read a cursor of `encode_cursor`; an empty one stands for the beginning."""
    if not cursor:
        return None
    try:
        words = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
        market_cap, ticker = msgspec.json.decode(words, type=tuple[str | None, str])
    except ValueError:
        market_cap, ticker = None, "\0"
    if "\0" in ticker or (market_cap is not None and not _MARKET_CAP.fullmatch(market_cap)):
        raise UnreadableError("Value error, not a cursor that this service gave out", "value_error")
    return RecordPosition(
        market_cap_usd=None if market_cap is None else Decimal(market_cap), ticker=ticker
    )

"""Query parameters; errors have the shape of the older service, which was FastAPI's."""

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
QUALITY = "quality"
"""What `include` adds to records."""
MAX_UNKNOWN = 10
"""The number of unknown parameters that an error names."""
# A "+" that is not percent-encoded arrives as a space.
_BARE_PLUS = re.compile(r"(T.*) (\d{2}:?\d{2})$")
_MARKET_CAP = re.compile(r"-?\d{1,1000}(\.\d{1,1000})?", re.ASCII)

T = TypeVar("T")


class BadParameter(msgspec.Struct, frozen=True):
    """One entry of `detail` in a 422 response, in the shape of pydantic."""

    loc: tuple[str, str]
    msg: str
    type: str


class BadParametersError(Exception):
    """The query parameters are invalid."""

    def __init__(self, problems: list[BadParameter]) -> None:
        super().__init__("; ".join(f"{problem.loc[1]}: {problem.msg}" for problem in problems))
        self.problems = problems


class UnreadableError(ValueError):
    """A value is invalid; message and kind are those of pydantic."""

    def __init__(self, msg: str, kind: str) -> None:
        super().__init__(msg)
        self.kind = kind


class ParameterReader:
    """Parses parameters one by one and collects their problems."""

    def __init__(self, query: QueryParams) -> None:
        self._query = query
        self._known: list[str] = []
        self._problems: list[BadParameter] = []

    def read(self, name: str, parse: Callable[[str], T], default: T) -> T:
        """Return the parsed value, or `default` for a missing or invalid parameter."""
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
        """Add a problem of a combination of parameters."""
        self._problems.append(BadParameter(("query", name), msg, kind))

    def check(self) -> None:
        """Raise BadParametersError for any problem, and for parameters that were not read.

        Without that check a misspelled filter would return all records.
        """
        known = ", ".join(self._known) or "none"
        for name in [name for name in self._query if name not in self._known][:MAX_UNKNOWN]:
            self.refuse(
                name[:MAX_TEXT],
                f"Extra inputs are not permitted; the parameters are: {known}",
                "extra_forbidden",
            )
        if self._problems:
            raise BadParametersError(self._problems)


def integer(low: int, high: int) -> Callable[[str], int]:
    """Return a parser of integers from `low` to `high`, which raises UnreadableError."""

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
    """Return a parser of names, which raises UnreadableError; an empty text is the first name."""
    *others, last = map(repr, names)

    def parse(text: str) -> str:
        if text and text not in names:
            raise UnreadableError(f"Input should be {', '.join(others)} or {last}", "literal_error")
        return text or names[0]

    return parse


def include_quality(text: str) -> bool:
    """Return whether the quality is included; an empty text is no. Raises UnreadableError."""
    if text not in ("", QUALITY):
        raise UnreadableError(f"Input should be {QUALITY!r}", "literal_error")
    return text == QUALITY


def text_or_none(text: str) -> str | None:
    """Return a text, None for an empty one. Raises UnreadableError."""
    if len(text) > MAX_TEXT:
        raise UnreadableError(
            f"String should have at most {MAX_TEXT} characters", "string_too_long"
        )
    if "\0" in text:
        raise UnreadableError("Value error, a text cannot hold a NUL character", "value_error")
    return text or None


def ticker_or_none(text: str) -> str | None:
    """Return a ticker as it is stored, None for an empty one. Raises UnreadableError."""
    ticker = text_or_none(text)
    return ticker and (to_ticker(ticker) or None)


def time_from(text: str) -> datetime.datetime | None:
    """Return the start of a period; a date or week starts at midnight UTC.

    Raises UnreadableError.
    """
    return _span(text).start if text else None


def time_to(text: str) -> datetime.datetime | None:
    """Return the inclusive end of a period; a date or week ends with its last moment in UTC.

    Raises UnreadableError.
    """
    return _span(text).end if text else None


def _span(text: str) -> TimeSpan:
    try:
        return read_span(_BARE_PLUS.sub(r"\1+\2", text))
    except UnreadableTimeError:
        raise UnreadableError(
            "Input should be a valid datetime or date, in ISO 8601", "datetime_from_date_parsing"
        ) from None


def encode_cursor(position: RecordPosition) -> str:
    """Return the position after a record as opaque text for a URL."""
    # str() writes small and large numbers with an exponent.
    words = (
        None if position.market_cap_usd is None else f"{position.market_cap_usd:f}",
        position.ticker,
    )
    return base64.urlsafe_b64encode(msgspec.json.encode(words)).decode().rstrip("=")


def decode_cursor(cursor: str) -> RecordPosition | None:
    """Return the position in a cursor, None for an empty one. Raises UnreadableError."""
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

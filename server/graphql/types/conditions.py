"""Conditions of filters: texts, ranges, and a search, and their values for `db`."""

import datetime
from collections.abc import Callable
from typing import Protocol, TypeVar

import strawberry

from common.tickers import to_ticker
from server.graphql.execution.errors import bad_input
from server.graphql.types.arguments import checked_text, checked_texts, or_none
from server.graphql.types.scalars import DecimalText

MAX_SEARCH_CHARACTERS = 100
SEARCH_DESCRIPTION = "Matches the start of a ticker or any word of a name, in upper or lower case."

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")
_UNSET = strawberry.UNSET


class Range(Protocol[T_co]):
    """A filter with bounds."""

    @property
    def gte(self) -> T_co | None:
        """The lower bound."""

    @property
    def lte(self) -> T_co | None:
        """The upper bound."""


@strawberry.input(
    name="StringFilter",
    description="If both conditions are given, both must hold; null does not restrict.",
)
class StringFilterInput:
    """A text, or several."""

    eq: str | None = strawberry.field(default=_UNSET, description="Exactly this value.")
    in_: list[str] | None = strawberry.field(
        default=_UNSET, name="in", description="Any of these values, at most 1,000."
    )


@strawberry.input(
    name="DecimalFilter", description="Bounds, both inclusive; null does not restrict."
)
class DecimalFilterInput:
    """A range of exact numbers."""

    gte: DecimalText | None = strawberry.field(default=_UNSET, description="At least this.")
    lte: DecimalText | None = strawberry.field(default=_UNSET, description="At most this.")


@strawberry.input(name="FloatFilter", description="Bounds, both inclusive; null does not restrict.")
class FloatFilterInput:
    """A range of numbers."""

    gte: float | None = strawberry.field(default=_UNSET, description="At least this.")
    lte: float | None = strawberry.field(default=_UNSET, description="At most this.")


@strawberry.input(
    name="DateTimeFilter", description="Bounds, both inclusive; null does not restrict."
)
class DateTimeFilterInput:
    """A range of instants."""

    gte: datetime.datetime | None = strawberry.field(
        default=_UNSET, description="At this instant or later."
    )
    lte: datetime.datetime | None = strawberry.field(
        default=_UNSET, description="At this instant or earlier."
    )


def bounds_of(bounds: Range[T] | None) -> tuple[T | None, T | None]:
    """Return the bounds, None for an open end."""
    bounds = or_none(bounds)
    return (None, None) if bounds is None else (or_none(bounds.gte), or_none(bounds.lte))


def texts_of(
    condition: StringFilterInput | None, argument: str, normalize: Callable[[str], str] = str
) -> list[str] | None:
    """Return the texts that match a condition, as they are stored; None for any.

    Raises GraphQLError.
    """
    condition = or_none(condition)
    if condition is None:
        return None
    one, several = or_none(condition.eq), or_none(condition.in_)
    any_of = (
        None
        if several is None
        else [normalize(text) for text in checked_texts(several, f"{argument}.in")]
    )
    if one is None:
        return any_of
    text = normalize(checked_text(one, f"{argument}.eq"))
    return [text] if any_of is None or text in any_of else []


def tickers_of(condition: StringFilterInput | None) -> list[str] | None:
    """Return the tickers that match the condition `filter.ticker`, None for any."""
    return texts_of(condition, "filter.ticker", to_ticker)


def search_of(search: str | None) -> str | None:
    """Return the text of `filter.search`, None for any. Raises GraphQLError."""
    text = or_none(search)
    if text is None:
        return None
    text = checked_text(text, "filter.search").strip()
    if len(text) > MAX_SEARCH_CHARACTERS:
        raise bad_input(
            "filter.search",
            f"must have at most {MAX_SEARCH_CHARACTERS} characters, not {len(text)}",
        )
    return text or None

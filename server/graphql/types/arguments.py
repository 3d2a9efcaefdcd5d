"""Shared arguments of fields and their checks; each error names its argument."""

import unicodedata
from collections.abc import Sequence
from typing import Annotated, TypeVar

import strawberry

from common.tickers import to_ticker
from db.read.keyset import Order, PageSlice
from server.graphql.execution.errors import bad_input
from server.graphql.relay.cursors import decode_cursor
from server.limits.rows import DEFAULT_ROWS, MAX_LIST_ITEMS, MAX_ROWS

MAX_TEXT_CHARACTERS = 1_000

T = TypeVar("T")

First = Annotated[
    int | None,
    strawberry.argument(
        description=f"The number of nodes from the start, 1 to {MAX_ROWS};"
        f" {DEFAULT_ROWS} if neither this nor `last` is given."
    ),
]
After = Annotated[str | None, strawberry.argument(description="Only nodes after this cursor.")]
Last = Annotated[
    int | None,
    strawberry.argument(
        description=f"The number of nodes from the end, 1 to {MAX_ROWS}; not together with `first`."
    ),
]
Before = Annotated[str | None, strawberry.argument(description="Only nodes before this cursor.")]


def or_none(value: T | None) -> T | None:
    """Return an argument's value, None if it is unset; so the schema shows no default."""
    return None if value is strawberry.UNSET else value


def checked_rows(count: int | None, argument: str) -> int:
    """Return the requested number of rows. Raises GraphQLError."""
    if count is None:
        return DEFAULT_ROWS
    if not 1 <= count <= MAX_ROWS:
        raise bad_input(argument, f"must be from 1 to {MAX_ROWS}, not {count}")
    return count


def checked_slice(
    order: Order, first: int | None, after: str | None, last: int | None, before: str | None
) -> PageSlice:
    """Return the slice of the four arguments of a connection. Raises GraphQLError."""
    first, after, last, before = (
        or_none(first),
        or_none(after),
        or_none(last),
        or_none(before),
    )
    if first is not None and last is not None:
        raise bad_input("last", 'cannot stand together with "first"')
    return PageSlice(
        limit=checked_rows(first, "first") if last is None else checked_rows(last, "last"),
        backward=last is not None,
        after=None if after is None else decode_cursor(after, order, "after"),
        before=None if before is None else decode_cursor(before, order, "before"),
    )


def checked_text(text: str, argument: str) -> str:
    """Return a text that PostgreSQL can store. Raises GraphQLError."""
    if len(text) > MAX_TEXT_CHARACTERS:
        raise bad_input(
            argument, f"must have at most {MAX_TEXT_CHARACTERS} characters, not {len(text)}"
        )
    # PostgreSQL cannot store NUL, and UTF-8 cannot encode half a surrogate pair.
    if any(character == "\0" or unicodedata.category(character) == "Cs" for character in text):
        raise bad_input(
            argument, "holds a character that no text can hold (U+0000 or half a surrogate pair)"
        )
    return text


def checked_texts(texts: Sequence[str], argument: str) -> list[str]:
    """Return texts that PostgreSQL can store. Raises GraphQLError."""
    if len(texts) > MAX_LIST_ITEMS:
        raise bad_input(argument, f"must have at most {MAX_LIST_ITEMS} items, not {len(texts)}")
    return [checked_text(text, argument) for text in texts]


def checked_ticker(text: str, argument: str) -> str:
    """Return a ticker as it is stored. Raises GraphQLError."""
    return to_ticker(checked_text(text, argument))

"""Any text of a client is read or refused with a code; text that was written is read back."""

import contextlib
import datetime
import functools
import re
from collections.abc import Callable
from decimal import Decimal

import pytest
from graphql import GraphQLError
from hypothesis import given
from hypothesis import strategies as st

from db.read.coins import COIN_ORDERS
from db.read.keyset import KeysetPosition
from db.read.listings import LISTING_ORDER
from db.read.runs import NEWEST_FIRST
from server.graphql.relay.cursors import decode_cursor, encode_cursor, encode_words
from server.graphql.relay.ids import parse_key
from server.graphql.relay.rejections import decode_rejection_cursor
from server.graphql.types.arguments import checked_text, checked_ticker
from server.graphql.types.scalars import format_instant, parse_decimal, parse_instant

ORDERS = [*COIN_ORDERS.values(), LISTING_ORDER, NEWEST_FIRST]
READERS: list[Callable[[str], object]] = [
    lambda text: checked_text(text, "a"),
    lambda text: checked_ticker(text, "a"),
    lambda text: parse_key(text, "a"),
    lambda text: parse_key(f"run_{text}", "a"),
    lambda text: parse_key(f"listing_{text}", "a"),
    decode_rejection_cursor,
    parse_decimal,
    parse_instant,
    *(functools.partial(decode_cursor, order=order, argument="a") for order in ORDERS),
]
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=40) | st.from_regex(
    r"[0-9eE+\-.:TZ_]{0,30}"
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4),
)


@given(ANY_TEXT)
def test_any_text_is_read_or_refused(text: str) -> None:
    for reader in READERS:
        with contextlib.suppress(GraphQLError):
            reader(text)


@given(st.lists(JSON, max_size=4))
def test_any_well_formed_cursor_is_read_or_refused(words: list[object]) -> None:
    for known in ORDERS:
        with contextlib.suppress(GraphQLError):
            position = decode_cursor(encode_words(*words), known, "after")
            assert words == [known.name, position.sort, position.key]


@given(st.text(st.characters(exclude_characters="\0", codec="utf-8")))
def test_a_cursor_is_read_as_it_was_written(ticker: str) -> None:
    for known in COIN_ORDERS.values():
        sort = {"numeric": "-12.50", "timestamptz": "2026-02-03 20:21:11.25+00", "text": ticker}[
            known.sort_type
        ]
        for position in [
            KeysetPosition(sort, ticker),
            *([KeysetPosition(None, ticker)] if known.nullable else []),
        ]:
            assert decode_cursor(encode_cursor(known, position), known, "after") == position


@given(st.decimals(-(10**60), 10**60, places=30))
def test_a_decimal_keeps_every_digit_and_loses_its_exponent(number: Decimal) -> None:
    for text in (str(number), f"{number:e}", f"{number:f}"):
        plain = parse_decimal(text)
        assert re.fullmatch(r"-?\d+(\.\d+)?", plain)
        assert Decimal(plain) == number


@given(st.datetimes(timezones=st.timezones()))
def test_an_instant_is_read_as_it_was_written(moment: datetime.datetime) -> None:
    try:
        utc = moment.astimezone(datetime.UTC)
    except OverflowError:
        return
    assert parse_instant(format_instant(utc)) == utc
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", format_instant(moment))


def test_digits_below_microseconds_are_dropped() -> None:
    moment = datetime.datetime(2026, 2, 3, 20, 21, 11, 123456, tzinfo=datetime.UTC)
    assert parse_instant("2026-02-03T22:21:11.123456999+02:00") == moment
    assert parse_instant("2026-02-03t20:21:11.123456z") == moment


@pytest.mark.parametrize("value", [None, [], {}, 1.5, b"1", float("nan")])
def test_what_is_no_text_is_refused(value: object) -> None:
    for parse in (parse_decimal, parse_instant):
        with pytest.raises(GraphQLError):
            parse(value)

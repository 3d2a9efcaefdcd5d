"""The history of listings in plain Python: points, which of them are held, and candles."""

import datetime
import itertools
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple

from db.connect.types import Connection
from tests.oracle import bound, jumps, near

Key = tuple[str, str]
WIDTHS = {"H1": datetime.timedelta(hours=1), "D1": datetime.timedelta(days=1)}
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
NEVER = datetime.datetime.min.replace(tzinfo=datetime.UTC)


class Word(NamedTuple):
    """What a source said of one listing at one time; without `fetched_at`, of the past."""

    key: Key
    at: datetime.datetime
    fetched_at: datetime.datetime | None
    price: Decimal | None
    cap: Decimal | None = None
    volume: Decimal | None = None


class Point(NamedTuple):
    key: Key
    at: datetime.datetime
    price: Decimal | None
    cap: Decimal | None
    volume: Decimal | None
    is_held: bool


class Candle(NamedTuple):
    key: Key
    interval: str
    start: datetime.datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    open_at: datetime.datetime
    close_at: datetime.datetime
    samples: int


def weight(word: Word) -> tuple[object, ...]:
    """The last word for a time counts; of two of one moment the greater one."""
    cap = Decimal(-1) if word.cap is None else word.cap
    volume = Decimal(-1) if word.volume is None else word.volume
    return word.fetched_at or NEVER, word.price or 0, cap, volume


def points(words: Iterable[Word]) -> list[Point]:
    best: dict[tuple[Key, datetime.datetime], Word] = {}
    for word in words:
        there = best.get((word.key, word.at))
        if there is None or weight(word) > weight(there):
            best[word.key, word.at] = word
    found = []
    for _, several in itertools.groupby(
        sorted(best.values(), key=lambda w: w[:2]), lambda w: w.key
    ):
        series = list(several)
        found += [
            Point(word.key, word.at, word.price, word.cap, word.volume, is_held(series, place))
            for place, word in enumerate(series)
        ]
    return found


def is_held(series: Sequence[Word], place: int) -> bool:
    word = series[place]
    before = series[max(0, place - 2) : place][::-1]
    if not jumps(word.price, word.at, [(one.at, one.price) for one in before]):
        return False
    after = series[place + 1] if place + 1 < len(series) else None
    if after is None or after.price is None or word.price is None:
        return True
    from_price = next(one.price for one in before if one.price is not None)
    goes_on = (after.price > word.price) == (word.price > from_price)
    return not (near(after.price, word.price, bound(after.at - word.at)) or goes_on)


def candles(stored: Iterable[Point]) -> list[Candle]:
    counted = [point for point in stored if point.price is not None and not point.is_held]
    found = []
    for interval, width in WIDTHS.items():
        starts = [(point.key, point.at - (point.at - EPOCH) % width) for point in counted]
        pairs = zip(starts, counted, strict=True)
        for (key, start), several in itertools.groupby(pairs, lambda pair: pair[0]):
            them = [point for _, point in several]
            prices = [point.price for point in them if point.price is not None]
            ends = prices[0], max(prices), min(prices), prices[-1]
            found.append(Candle(key, interval, start, *ends, them[0].at, them[-1].at, len(them)))
    return found


async def stored_history(connection: Connection) -> tuple[list[Point], list[Candle]]:
    """Read all points and candles, in the order of the oracle."""
    rows = await connection.fetch(
        "SELECT source, external_id, at, p.price_usd, p.market_cap_usd, p.volume_24h_usd, is_held"
        " FROM price_points AS p JOIN listings AS l ON l.id = p.listing"
        ' ORDER BY source COLLATE "C", external_id COLLATE "C", at'
    )
    rolled = await connection.fetch(
        "SELECT source, external_id, interval, start, open, high, low, close, open_at, close_at,"
        " samples FROM candles AS c JOIN listings AS l ON l.id = c.listing"
        ' ORDER BY interval DESC, source COLLATE "C", external_id COLLATE "C", start'
    )
    return (
        [Point((source, external_id), *values) for source, external_id, *values in rows],
        [Candle((source, external_id), *values) for source, external_id, *values in rolled],
    )

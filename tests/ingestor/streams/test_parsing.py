"""Every price, size and time of the recorded frames, against a plain reading digit by digit."""

import gzip
import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from ingestor.streams.records import Tick
from ingestor.streams.venues import VENUES
from tests.ingestor.streams.recorded import SESSIONS, STREAMS, needs_recordings

Row = tuple[str, str, str | None, str | None, str | None, int]
"""Symbol, price, size, volumes of the base and the quote, nanoseconds; numbers as written."""
RECEIVED_NS = 1_700_000_000_123_456_789
pytestmark = needs_recordings


def lines(name: str) -> Iterator[str]:
    content = gzip.decompress((STREAMS / "cryptofeed" / name).read_bytes())
    for line in content.decode().splitlines():
        if match := re.match(r"\d+\.\d+: (.*)", line):
            yield match[1]


def plain(text: str) -> Any:  # noqa: ANN401 - JSON
    """Decode JSON with each number as its text."""
    return json.loads(text, parse_float=str, parse_int=str)


def plain_iso(text: str) -> int:
    whole, _, fraction = text.removesuffix("Z").partition(".")
    seconds = int(datetime.fromisoformat(whole + "+00:00").timestamp())
    return seconds * 10**9 + int((fraction + "0" * 9)[:9])


def binance(text: str) -> Iterator[Row]:
    data = plain(text)["data"]
    if data.get("e") == "aggTrade":
        yield data["s"], data["p"], data["q"], None, None, int(data["T"]) * 10**6


def coinbase(text: str) -> Iterator[Row]:
    row = plain(text)
    if row["type"] == "ticker":
        time = plain_iso(row["time"])
        yield row["product_id"], row["price"], row["last_size"], row["volume_24h"], None, time
    elif row["type"] in ("match", "last_match"):
        yield row["product_id"], row["price"], row["size"], None, None, plain_iso(row["time"])


def kraken(text: str) -> Iterator[Row]:
    row = plain(text)
    if isinstance(row, list):
        symbol = row[3].replace("XBT", "BTC")
        yield symbol, row[1]["c"][0], row[1]["c"][1], row[1]["v"][1], None, RECEIVED_NS


def bitstamp(text: str) -> Iterator[Row]:
    row = plain(text)
    if row["event"] == "trade":
        data = row["data"]
        symbol = row["channel"].rpartition("_")[2]
        time = int(data["microtimestamp"]) * 1000
        yield symbol, data["price_str"], data["amount_str"], None, None, time


def okx(text: str) -> Iterator[Row]:
    row = plain(text)
    if "data" in row and row["arg"]["channel"] == "tickers":
        for d in row["data"]:
            time = int(d["ts"]) * 10**6
            yield d["instId"], d["last"], d["lastSz"], d["vol24h"], d["volCcy24h"], time
    elif "data" in row and row["arg"]["channel"] == "trades":
        for d in row["data"]:
            yield d["instId"], d["px"], d["sz"], None, None, int(d["ts"]) * 10**6


PLAIN: dict[str, Callable[[str], Iterator[Row]]] = {
    "binance": binance,
    "coinbase": coinbase,
    "kraken": kraken,
    "bitstamp": bitstamp,
    "okx": okx,
}
COUNTS = {"binance": 2, "coinbase": 214, "bitstamp": 10, "okx": 102}


def digits(number: Decimal | str | None) -> object:
    """Return sign, digits and exponent: 1.10 is not 1.1. A zero has no digits to keep."""
    if number is None:
        return None
    number = Decimal(number)
    return number.as_tuple() if number else 0


def as_row(tick: Tick) -> tuple[object, ...]:
    numbers = (tick.price, tick.size, tick.volume_24h_base, tick.volume_24h_quote)
    return (tick.symbol, *map(digits, numbers), tick.observed_ns)


@pytest.mark.parametrize("venue", SESSIONS)
def test_each_number_of_a_session_is_that_of_a_plain_reading(venue: str) -> None:
    reader = VENUES[venue].reader()
    found, expected, missed = [], [], 0
    for text in lines(SESSIONS[venue]):
        reading = reader.read(text.encode(), RECEIVED_NS)
        missed += len(reading.missed)
        found += [as_row(tick) for tick in reading.ticks]
        expected += [
            (symbol, *map(digits, numbers), time) for symbol, *numbers, time in PLAIN[venue](text)
        ]
    assert found == expected
    assert len(found) >= COUNTS.get(venue, 10)
    assert missed == 0


def excerpts(venue: str) -> list[tuple[dict[str, Any], str]]:
    path = STREAMS / "ccxt" / "2026-08-12-ticker-excerpts.ndjson"
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if json.loads(line)["venue"] == venue:
            text = line[line.index('"frame":') + len('"frame":') : -1]
            found.append((plain(text), text))
    return found


def test_kraken_version_2_sends_numbers_and_no_digit_is_lost() -> None:
    reader = VENUES["kraken"].reader()
    seen = 0
    for frame, text in excerpts("kraken"):
        ticks = reader.read(text.encode(), RECEIVED_NS).ticks
        rows = frame["data"] if frame["channel"] == "ticker" else []
        assert [as_row(tick) for tick in ticks] == [
            (
                r["symbol"],
                digits(r["last"]),
                None,
                digits(r["volume"]),
                None,
                plain_iso(r["timestamp"]),
            )
            for r in rows
        ]
        seen += len(rows)
    assert seen == 2


def test_bybit_sends_each_ticker_as_a_snapshot() -> None:
    reader = VENUES["bybit"].reader()
    readings = []
    for frame, text in excerpts("bybit"):
        reading = reader.read(text.encode(), RECEIVED_NS)
        readings.append(reading)
        if "data" in frame:
            d = frame["data"]
            assert [as_row(tick) for tick in reading.ticks] == [
                (
                    d["symbol"],
                    digits(d["lastPrice"]),
                    None,
                    digits(d["volume24h"]),
                    digits(d["turnover24h"]),
                    int(frame["ts"]) * 10**6,
                )
            ]
    assert [reading.answers for reading in readings] == [1, 0, 0]


@pytest.mark.parametrize("venue", VENUES)
def test_a_frame_of_another_channel_or_market_type_is_counted_and_harms_nothing(venue: str) -> None:
    """Books, candles, funding rates and futures of other years, and other protocols' messages."""
    name = {"coinbase": "coinbase_pro"}.get(venue, venue)
    path = STREAMS / "crypto-msg-parser" / f"{name}.ndjson.gz"
    reader = VENUES[venue].reader()
    ticks = ignored = failed = 0
    for raw in gzip.decompress(path.read_bytes()).splitlines():
        try:
            reading = reader.read(raw, RECEIVED_NS)
        except ValueError:  # msgspec's errors are such; a client counts the frame and discloses it
            failed += 1
            continue
        ticks += len(reading.ticks)
        ignored += reading.ignored
    assert ticks + ignored > 0
    assert failed <= 1  # the body of a REST request

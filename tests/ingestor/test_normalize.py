"""Tickers, names, numbers and times: one rule for all sources."""

import datetime
import gzip
import json
import sys
import unicodedata
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestor.sources.normalize import (
    name_key,
    normalize_name,
    normalize_ticker,
    not_negative,
    observed_at,
    positive,
    rank_of,
    signed,
)
from ingestor.sources.records import RecordError
from ingestor.sources.times import parse_time

NOW = datetime.datetime(2026, 2, 3, 20, 21, 11, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("symbol", "ticker"),
    [
        ("btc", "BTC"),
        ("neo\u00a0", "NEO"),
        ("\u200b\ufeffKCH \t\u2060", "KCH"),
        ("Ωpln", "ΩPLN"),
        ("ｂｔｃ", "BTC"),
        ("$1", "$1"),
        ("usdc.e", "USDC.E"),
        ("∅", "∅"),
        ("🟥🟩", "🟥🟩"),
        ('"\u3000"', '" "'),
        ("straße", "STRASSE"),
        ("ticker\u0130", "TICKERI"),
        ("a b", "A B"),
        ("null", "NULL"),
        ("1", "1"),
    ],
)
def test_a_ticker_is_the_symbol_in_capitals_without_invisible_edges(
    symbol: str, ticker: str
) -> None:
    assert normalize_ticker(symbol) == ticker


@pytest.mark.parametrize("symbol", ["", "  ", "\u00a0\u200b", "\x00", "\u200d\ufeff"])
def test_a_symbol_of_nothing_is_refused(symbol: str) -> None:
    with pytest.raises(RecordError, match=r"The symbol is empty - at `\$\.symbol`"):
        normalize_ticker(symbol)


def test_a_ticker_fits_an_index() -> None:
    assert len(normalize_ticker("x" * 256)) == 256
    with pytest.raises(RecordError, match=r"257 characters is longer than 256 - at `\$\.symbol`"):
        normalize_ticker("x" * 257)
    with pytest.raises(RecordError, match="1800 characters is longer than 256"):
        normalize_ticker("\ufdfa" * 100)  # one character that NFKC makes eighteen


def test_tickers_stay_themselves_and_differ_in_small_letters_too() -> None:
    """A coin's id is `merged_` and the lower-case ticker: no two tickers may share one."""
    tickers_by_id: dict[str, str] = {}
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code)) in ("Cs", "Cn"):
            continue
        ticker = normalize_ticker(f"x{chr(code)}x")
        assert normalize_ticker(ticker) == ticker.upper() == ticker
        # PostgreSQL maps one character to one.
        small = "".join(char.lower() if len(char.lower()) == 1 else char for char in ticker)
        assert tickers_by_id.setdefault(small, ticker) == ticker


def test_the_worst_of_the_recorded_symbols_have_tickers(shared_recordings: Path) -> None:
    coins = json.loads(
        gzip.decompress(
            (shared_recordings / "coingecko-coins-list-2026-02-03T2021.json.gz").read_bytes()
        )
    )
    tickers = [normalize_ticker(coin["symbol"]) for coin in coins]
    assert len(tickers) == 18_939
    by_id = {coin["id"]: ticker for coin, ticker in zip(coins, tickers, strict=True)}
    assert by_id["neo-2"] == by_id["neo"] == "NEO"
    assert max(map(len, tickers)) == 38
    assert all(name_key(normalize_name(coin["name"]))[0] for coin in coins if coin["name"].strip())


@pytest.mark.parametrize(
    ("name", "words", "core"),
    [
        ("Bitcoin", "bitcoin", "bitcoin"),
        ("Crypto.com Coin", "crypto com coin", "crypto com"),
        ("yearn.finance", "yearn finance", "yearn"),
        ("Wrapped-BTC", "wrapped btc", "wrapped btc"),
        ("The Protocol", "the protocol", "the protocol"),
        ("  BNB  ", "bnb", "bnb"),
        ("Æternity", "æternity", "æternity"),
        ("हिन्दी कॉइन", "हिन्दी कॉइन", "हिन्दी कॉइन"),
        ("∅", "∅", "∅"),
        ("🟥🟩", "🟥🟩", "🟥🟩"),
        ("ＵＳＤ Coin", "usd coin", "usd"),
        ("İstanbul", "i\u0307stanbul", "i\u0307stanbul"),
        ("snake_case", "snake case", "snake case"),
        (None, "", ""),
        ("", "", ""),
    ],
)
def test_names_are_compared_by_their_words(name: str | None, words: str, core: str) -> None:
    assert name_key(name) == (words, core)


@given(st.text(max_size=40))
def test_a_name_key_is_never_without_core_and_is_its_own_key(name: str) -> None:
    words, core = name_key(name)
    assert bool(words) == bool(core)
    assert name_key(words) == (words, core)
    assert set(core.split()) <= set(words.split())
    assert name_key(name.upper())[0].split() or not words


@pytest.mark.parametrize(
    ("name", "normal"),
    [
        (None, None),
        ("", None),
        (" \u200b ", None),
        ("Bitcoin ", "Bitcoin"),
        ("\u200bCafé\u00a0Coin\u00a0", "Café\u00a0Coin"),
    ],
)
def test_a_name_keeps_all_but_invisible_edges(name: str | None, normal: str | None) -> None:
    assert normalize_name(name) == normal


def test_a_name_without_end_is_refused() -> None:
    assert normalize_name("n" * 512) == "n" * 512
    with pytest.raises(RecordError, match=r"513 characters is longer than 512 - at `\$\.name`"):
        normalize_name("n" * 513)


@pytest.mark.parametrize(
    ("number", "above_zero", "from_zero", "any_sign"),
    [
        (None, None, None, None),
        ("0", None, "0", "0"),
        ("-0", None, "0", "0"),
        ("0E+9999999", None, "0", "0"),
        ("-0.0640613", None, None, "-0.0640613"),
        ("3.84E-18", "3.84E-18", "3.84E-18", "3.84E-18"),
        (
            "9223372036854775807",
            "9223372036854775807",
            "9223372036854775807",
            "9223372036854775807",
        ),
        ("1E-100", "1E-100", "1E-100", "1E-100"),
    ],
)
def test_what_is_missing_is_none(
    number: str | None, above_zero: str | None, from_zero: str | None, any_sign: str | None
) -> None:
    given_number = None if number is None else Decimal(number)
    results = [read(given_number, "$.x") for read in (positive, not_negative, signed)]
    assert [None if result is None else str(result) for result in results] == [
        above_zero,
        from_zero,
        any_sign,
    ]


@pytest.mark.parametrize("text", ["NaN", "sNaN", "Infinity", "-Infinity"])
def test_what_is_not_a_number_is_refused_with_its_path(text: str) -> None:
    for read in (positive, not_negative, signed):
        with pytest.raises(RecordError, match=rf"^{text} is not a number - at `\$\.price`$"):
            read(Decimal(text), "$.price")


@pytest.mark.parametrize("text", ["1E+101", "1E-101", "-1E+101", "1E+999999", "1." + "1" * 1000])
def test_a_number_that_is_out_of_this_world_is_refused_with_its_path(text: str) -> None:
    for read in (positive, not_negative, signed):
        with pytest.raises(RecordError, match=r"- at `\$\.price`$"):
            read(Decimal(text), "$.price")


@pytest.mark.parametrize(
    ("text", "rank"),
    [("0", None), ("1", 1), ("12.0", 12), ("-3", None), ("2147483647", 2_147_483_647)],
)
def test_a_rank_is_a_whole_number_from_one(text: str, rank: int | None) -> None:
    found = rank_of(Decimal(text), "$.rank")
    assert found == rank
    assert found is None or type(found) is int


@pytest.mark.parametrize("text", ["1.5", "2147483648", "1E+20"])
def test_a_rank_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(RecordError, match=r"whole number up to 2147483647 - at `\$\.rank`"):
        rank_of(Decimal(text), "$.rank")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2021-08-12T19:06:04Z", "2021-08-12T19:06:04+00:00"),
        ("2022-08-02T01:08:26.342Z", "2022-08-02T01:08:26.342000+00:00"),
        ("2026-02-07 23:59:51", "2026-02-07T23:59:51+00:00"),
        ("2022-03-16", "2022-03-16T00:00:00+00:00"),
        ("2026-02-07T23:59:51+02:00", "2026-02-07T21:59:51+00:00"),
        ("1700000000", "2023-11-14T22:13:20+00:00"),
        ("1700000000.25", "2023-11-14T22:13:20.250000+00:00"),
        ("1700000000250", "2023-11-14T22:13:20.250000+00:00"),
        ("1712010100000", "2024-04-01T22:21:40+00:00"),  # as basic ISO 8601 it would be in 1712
        (" 2022-03-16 ", "2022-03-16T00:00:00+00:00"),
    ],
)
def test_times_are_utc(text: str, moment: str) -> None:
    assert parse_time(text, "$.t").isoformat() == moment


@pytest.mark.parametrize(
    "text", ["yesterday", "2026-13-01", "0001-01-01T00:00:00+14:00", "12:30", "7"]
)
def test_what_is_no_time_is_refused_with_its_path(text: str) -> None:
    with pytest.raises(RecordError, match=r"is not a time - at `\$\.date`"):
        parse_time(text, "$.date")


def test_a_record_without_a_time_was_observed_when_it_was_fetched() -> None:
    assert observed_at(None, NOW, "$.t") == observed_at(" ", NOW, "$.t") == NOW


@pytest.mark.parametrize(
    ("time", "moment"),
    [
        (1_700_000_000, "2023-11-14T22:13:20+00:00"),
        (1_700_000_000_250, "2023-11-14T22:13:20.250000+00:00"),
        (1_700_000_000.25, "2023-11-14T22:13:20.250000+00:00"),
        (1.7e18, "2023-11-14T22:13:20+00:00"),
        (1_700_000_000_250_000, "2023-11-14T22:13:20.250000+00:00"),
    ],
)
def test_a_number_of_json_is_a_count_since_1970(time: float, moment: str) -> None:
    assert observed_at(time, NOW, "$.t").isoformat() == moment


@pytest.mark.parametrize("time", [0, -1_700_000_000, 7, 20_230_110_120_000, 1e300])
def test_a_number_that_counts_no_time_is_refused_with_its_path(time: float) -> None:
    with pytest.raises(RecordError, match=r"is not a time - at `\$\.t`"):
        observed_at(time, NOW, "$.t")


def test_the_future_is_clamped_to_now() -> None:
    assert observed_at("2026-02-03T20:26:11Z", NOW, "$.t") == NOW + datetime.timedelta(minutes=5)
    assert observed_at("2026-02-03T20:26:12Z", NOW, "$.t") == NOW
    assert observed_at("9999-12-31T00:00:00Z", NOW, "$.t") == NOW


def test_digits_run_together_are_no_count_of_seconds() -> None:
    with pytest.raises(RecordError, match="is not a time"):
        parse_time("20230110120000", "$.date")

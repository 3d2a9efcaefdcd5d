"""Symbols: splits trading pairs, and finds the coin in the name of a file."""

import csv
import functools
import itertools
import re

import msgspec

from common.settings import DATA
from ingestor.sources.normalize import name_key

__all__ = [
    "DOLLARS",
    "FileCoin",
    "coin_of_file",
    "is_dollar",
    "is_quote",
    "split_joined_pair",
    "split_pair",
]

DOLLARS = frozenset(
    {"USD", "USDT", "USDC", "BUSD", "FDUSD", "TUSD", "USDP", "US$", "$", "USDOLLAR", "DOLLAR"}
)
"""Quote currencies that count as US dollars: the dollar and dollar stablecoins."""
_OTHER_QUOTES = frozenset(
    {
        "EUR", "GBP", "JPY", "CNY", "KRW", "INR", "RUB", "CHF", "AUD", "CAD", "BRL", "TRY",
        "HKD", "SGD", "NZD", "IDR", "THB", "VND", "UAH", "TWD", "PHP", "NGN", "ARS", "ZAR",
        "MXN", "PLN", "BTC", "XBT", "ETH", "BNB",
    }
)  # fmt: skip
_QUOTES = DOLLARS | _OTHER_QUOTES
_PAIR = re.compile(r"\s*([^\s/_:\-]+)\s*[/_:\-]\s*([A-Za-z]{3,5})\s*")
_WORD = re.compile(r"[A-Za-z0-9]+")
_JOINED_QUOTES = ("USDT", "USDC", "BUSD", "FDUSD", "USD", "EUR", "GBP", "BTC")
_SPAN = re.compile(r"\d+[a-zA-Z]{0,4}|[dhm]", re.ASCII)
_FILLERS = frozenset(
    {
        "coin", "coins", "crypto", "token", "tokens", "historical", "history", "price",
        "prices", "data", "dataset", "daily", "hourly", "weekly", "day", "hour", "minute",
        "max", "ohlc", "ohlcv", "candles", "klines", "chart", "market", "markets", "csv",
        "export", "quotes", "ticker", "tickers", "list", "all", "top", "full", "new", "from",
        "to", "usd", "usdt", "binance", "coinbase", "kraken", "bitstamp", "gemini", "yahoo",
        "finance", "coingecko", "coinmarketcap", "cmc", "kaggle", "snapshot", "snapshots",
        "output", "result", "results", "sample", "test", "file", "my", "the", "of", "and",
        "portfolio", "watchlist", "currency", "cryptocurrency", "cryptocurrencies", "report",
        "table", "sheet", "final", "copy", "backup", "latest", "current", "old",
    }
)  # fmt: skip
"""Words of file names that are not the name of a coin."""
_NAMES_FILE = DATA / "coin_names.csv"


def is_dollar(quote: str) -> bool:
    """Return whether a currency counts as US dollars."""
    return quote.strip().upper() in DOLLARS


def is_quote(currency: str) -> bool:
    """Return whether a text is a quote currency."""
    return currency.strip().upper() in _QUOTES


def split_pair(symbol: str) -> tuple[str, str] | None:
    """Return base and quote of `BTC/USDT`, `BTC-USD` or `BTC_USD`, None for any other text."""
    match = _PAIR.fullmatch(symbol)
    if match is None or match[2].upper() not in _QUOTES:
        return None
    return match[1], match[2].upper()


def split_joined_pair(symbol: str, quote: str) -> str | None:
    """Return the base of `BTCUSDT` if `quote` is USDT, None if the symbol ends otherwise."""
    symbol, quote = symbol.strip(), quote.strip()
    joined = len(symbol) > len(quote) > 0 and symbol.upper().endswith(quote.upper())
    return symbol[: -len(quote)].rstrip("/_:- ") if joined else None


class FileCoin(msgspec.Struct, frozen=True):
    """The coin that a file's name contains, with its name and quote currency if present."""

    symbol: str
    name: str | None = None
    quote: str | None = None


def coin_of_file(file_name: str) -> FileCoin | None:
    """Return the coin of a file name such as `bitcoin.csv`, `BTC-USD.csv` or `BTCUSDT-1d.csv`.

    Returns None if it is not certain: a word such as `prices` does not count as a ticker.
    """
    stem = file_name.split(".", 1)[0]
    words = _WORD.findall(stem)
    by_name, tickers = _known_names()
    for word, following in itertools.pairwise(words):
        if following.upper() in _QUOTES and _is_ticker(word, tickers):
            return FileCoin(word.upper(), quote=following.upper())
    for word in words:
        for quote in _JOINED_QUOTES:
            base = split_joined_pair(word, quote)
            if base and (word.isupper() or base.upper() in tickers):
                return FileCoin(base.upper(), quote=quote)
    left = [word for word in words if not (word.lower() in _FILLERS or _SPAN.fullmatch(word))]
    if found := by_name.get(name_key(" ".join(left))[0]):
        return FileCoin(found[1], found[0])
    return FileCoin(left[0].upper()) if len(left) == 1 and _is_ticker(left[0], tickers) else None


def _is_ticker(word: str, tickers: frozenset[str]) -> bool:
    return word.upper() in tickers or (word.isupper() and word.lower() not in _FILLERS)


@functools.cache
def _known_names() -> tuple[dict[str, tuple[str, str]], frozenset[str]]:
    """Return names and tickers by the words of the name, and the set of all tickers."""
    with _NAMES_FILE.open(encoding="utf-8", newline="") as file:
        rows = [(row["name"], row["ticker"]) for row in csv.DictReader(file)]
    return {name_key(name)[0]: (name, ticker) for name, ticker in rows}, frozenset(
        ticker for _, ticker in rows
    )

"""The roles of a table's columns, found by their headers only."""

import functools
import re
import unicodedata

import msgspec

from ingestor.sources.errors import SourceMalformedError
from ingestor.sources.files.headers import PAIRS, ROLES, SYMBOL_OR_NAME

__all__ = [
    "PAIRS",
    "ROLES",
    "SYMBOL_OR_NAME",
    "Columns",
    "columns_of",
    "format_headers",
    "header_key",
    "other_currency",
    "unique_headers",
]

MARK = "@"
"""The prefix of payload keys that are not columns but say how the row was read."""

_FRACTIONS = frozenset({"24h", "24hr", "24hours"})
"""Changes under these headers are fractions (0.03 is 3 %) unless a cell shows per cent."""
_COIN_DATES = re.compile(
    r"ath|atl|launch|listed|added|start|first|genesis|inception|birth|end|expir|release|founded"
    r"|created|born"
)
"""Headers of dates in the coin's history, such as its launch: not the time of observation."""
_CURRENCIES = (
    "eur|gbp|jpy|cny|krw|inr|rub|chf|aud|cad|brl|try|hkd|sgd|nzd|sek|nok|dkk|pln|mxn|zar|idr|thb|"
    "vnd|uah|aed|twd|php|ngn|ars|btc|eth|bnb|sats?|euros?|pounds?|yen|rupees?"
)
_SHOWN_HEADERS = 30
_FOREIGN_SIGN = re.compile("[\u20ac\u00a3\u00a5\u20a9\u20b9\u20bd\u20ba]")
_OTHER_CURRENCY = re.compile(
    rf"(?:(?:current|last|latest|closing)?price|close|marketcap|mktcap|mcap)(?:in)?({_CURRENCIES})"
    rf"|({_CURRENCIES})(?:price|close|marketcap|mktcap|mcap)"
)


class Columns(msgspec.Struct, frozen=True, kw_only=True):
    """The header of each column that is read, None if the table does not have it."""

    symbol: str | None = None
    price: str | None = None
    id: str | None = None
    name: str | None = None
    rank: str | None = None
    market_cap: str | None = None
    volume: str | None = None
    change: str | None = None
    circulating_supply: str | None = None
    total_supply: str | None = None
    max_supply: str | None = None
    time: str | None = None
    address: str | None = None
    chain: str | None = None
    currency: str | None = None


@functools.lru_cache(maxsize=256)
def columns_of(headers: tuple[str, ...]) -> Columns:
    """Return the columns that can be found by the headers, in whatever order they come."""
    ours = [
        header
        for header in headers
        if not (header.startswith(MARK) or _FOREIGN_SIGN.search(header))
    ]
    by_key = {header_key(header): header for header in sorted(ours, reverse=True)}
    found = {
        role: next((by_key[key] for key in keys if key in by_key), None)
        for role, keys in ROLES.items()
    }
    if found["symbol"] is None:
        found["symbol"] = next((by_key[key] for key in PAIRS if key in by_key), None)
    if found["time"] is None:
        found["time"] = next(
            (by_key[key] for key in sorted(by_key) if _observed_at(key, by_key[key])), None
        )
    columns = Columns(**found)
    return _without_base_volume(columns, by_key)


def _observed_at(key: str, header: str) -> bool:
    return (
        key.endswith("at")
        and bool(re.search(r"[\W_]at$|(?<=[a-z])At$", header.strip()))
        and not is_coin_date(header)
    )


def is_coin_date(header: str) -> bool:
    """Return whether a header names a date in the coin's history, such as its launch."""
    return _COIN_DATES.search(header_key(header)) is not None


def _without_base_volume(columns: Columns, by_key: dict[str, str]) -> Columns:
    """Remove the volume of candles, which may count coins instead of dollars.

    Exchanges count coins in `volume`. Yahoo (which has `Adj Close`) and CoinMarketCap (which has a
    market cap) count dollars.
    """
    if not {"open", "high", "low"} <= by_key.keys() or columns.market_cap or "adjclose" in by_key:
        return columns
    if columns.volume is None or header_key(columns.volume) not in ("volume", "vol"):
        return columns
    return msgspec.structs.replace(columns, volume=None)


def missing_columns_error(
    headers: tuple[str, ...], columns: Columns, advice: str = ""
) -> SourceMalformedError:
    """Return the error for a table without a price or a symbol.

    The message names roles instead of headers, because the first line of a file that is not a table
    may be a secret.
    """
    known = ", ".join(
        role for role, header in msgspec.structs.asdict(columns).items() if header is not None
    )
    return SourceMalformedError(
        f"of its columns ({len(headers)}) these are known: {known or 'none'}; wanted are at least "
        "a symbol (symbol or ticker) and a price (price, price_usd or current_price)"
        f"{advice}",
        private_detail=f"the columns are {format_headers(headers)}",
    )


def check_price_column(headers: tuple[str, ...], columns: Columns) -> None:
    """Raise SourceMalformedError if no column holds a price in US dollars."""
    if columns.price is not None:
        return
    for header in headers:
        if other := other_currency(header):
            raise SourceMalformedError(
                f"a column is in {other.upper()}; prices are read in US dollars only, and no "
                "column holds them",
                private_detail=f"the columns are {format_headers(headers)}",
            )
    raise missing_columns_error(headers, columns)


def other_currency(header: str) -> str | None:
    """Return the currency other than the dollar that a header names, None without one."""
    if symbol := _FOREIGN_SIGN.search(header):
        return symbol[0]
    match = _OTHER_CURRENCY.fullmatch(header_key(header))
    return match and (match[1] or match[2])


def is_fraction(header: str) -> bool:
    """Return whether a change under this header is a fraction unless its cells show otherwise."""
    return header_key(header) in _FRACTIONS and "%" not in header


def says_percent(header: str) -> bool:
    """Return whether a header says that its column is in per cent."""
    return "%" in header or any(word in header_key(header) for word in ("percent", "pct"))


@functools.lru_cache(maxsize=4_096)
def header_key(header: str) -> str:
    """Return the key of a header for comparison: its letters and digits, in lower case.

    `Price (USD)` is `priceusd`.
    """
    text = unicodedata.normalize("NFKC", header).casefold()
    key = "".join(character for character in text if character.isalnum())
    # CoinMarketCap and CoinPaprika nest figures under the currency: `quotes.USD.price`.
    return re.sub(r"^quotes?usd(?=.)", "", key)


def format_headers(headers: tuple[str, ...]) -> str:
    """Return the headers for an error message, shortened."""
    text = ", ".join(repr(header[:40]) for header in headers[:_SHOWN_HEADERS])
    left = len(headers) - _SHOWN_HEADERS
    return text if left <= 0 else f"{text} and {left} more"


def unique_headers(cells: list[str]) -> tuple[str, ...]:
    """Return unique headers: the second one with a name becomes `name (2)`."""
    headers: list[str] = []
    for cell in cells:
        name, count = cell.strip().lstrip("\ufeff"), 1
        header = name
        while header in headers:
            count += 1
            header = f"{name} ({count})"
        headers.append(header)
    return tuple(headers)

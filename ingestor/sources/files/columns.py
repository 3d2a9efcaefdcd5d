"""What the columns of a table mean, by their headers alone."""

import functools
import re
import unicodedata

import msgspec

from ingestor.sources.errors import SourceMalformedError

__all__ = [
    "ROLES",
    "Columns",
    "columns_of",
    "header_key",
    "other_currency",
    "shown_headers",
    "unique_headers",
]

MARK = "@"
"""A key of a payload that begins so is ours: it says how the row was read, and is no column."""

ROLES: dict[str, tuple[str, ...]] = {
    "id": ("id", "coinid"),
    "symbol": (
        *(
            "symbol",
            "ticker",
            "coinsymbol",
            "tokensymbol",
            "assetsymbol",
            "cryptosymbol",
            "currencysymbol",
        ),
        *("tickersymbol", "basesymbol", "baseasset", "basecurrency", "base", "symbols"),
    ),
    "name": (
        *(
            "name",
            "coin",
            "coinname",
            "fullname",
            "tokenname",
            "assetname",
            "cryptoname",
            "currencyname",
        ),
        *("cryptocurrency", "cryptocurrencyname"),
    ),
    "rank": ("rank", "marketcaprank", "cmcrank", "marketrank"),
    "price": (
        *(
            "priceusd",
            "usdprice",
            "currentpriceusd",
            "lastpriceusd",
            "latestpriceusd",
            "priceinusd",
            "closeusd",
        ),
        *(
            "price",
            "prices",
            "currentprice",
            "lastprice",
            "latestprice",
            "close",
            "closeprice",
            "priceclose",
        ),
        *("closingprice", "last"),
    ),
    "market_cap": (
        *(
            "marketcapusd",
            "usdmarketcap",
            "mktcapusd",
            "mcapusd",
            "marketcapinusd",
            "marketcapitalizationusd",
        ),
        *(
            "mktcap",
            "marketcap",
            "marketcaps",
            "mcap",
            "marketcapitalization",
            "marketcapitalisation",
        ),
    ),
    "volume": (
        *(
            "volume24husd",
            "24hvolumeusd",
            "volumeusd24h",
            "volumeusd",
            "vol24husd",
            "totalvolumeusd",
            "usd24hvolume",
        ),
        *(
            "usdvolume24h",
            "usdvolume",
            "24husdvolume",
            "24hvolusd",
            "24hrvolumeusd",
            "volumeusdt",
            "volumebusd",
        ),
        *(
            "volumeusdc",
            "volumefdusd",
            "quotevolume",
            "quoteassetvolume",
            "volumequote",
            "turnoverusd",
        ),
        *(
            "vol24h",
            "volume24h",
            "24hvolume",
            "24hvol",
            "volume24hr",
            "24hrvolume",
            "volume24hours",
            "totalvolume",
        ),
        *("totalvolumes", "volume", "vol"),
    ),
    "change": (
        *(
            "chg24h",
            "percentchange24h",
            "pricechangepercentage24h",
            "percentchange24husd",
            "percentagechange24h",
        ),
        *(
            "pctchange24h",
            "changepercent24h",
            "change24hpercent",
            "changepct24h",
            "change24hpct",
            "24hpercentchange",
        ),
        *(
            "24hchangepercent",
            "24hpctchange",
            "24hchangepct",
            "pricechangepercent24h",
            "pricechangepercent",
        ),
        *(
            "change24h",
            "24hchange",
            "24hchg",
            "change24hr",
            "24hrchange",
            "usd24hchange",
            "24h",
            "24hr",
            "24hours",
        ),
    ),
    "circulating_supply": ("circulatingsupply", "availablesupply", "supplycirculating"),
    "total_supply": ("totalsupply",),
    "max_supply": ("maxsupply", "maximumsupply"),
    "time": (
        *(
            "lastupdated",
            "updatedat",
            "lastupdate",
            "lastupdatedat",
            "lastupdatetime",
            "sourceupdatedat",
            "observedat",
        ),
        *(
            "fetchedat",
            "scrapedat",
            "snappedat",
            "snapshotat",
            "capturedat",
            "collectedat",
            "recordedat",
            "closetime",
        ),
        *(
            "unix",
            "unixtime",
            "unixtimestamp",
            "timestamp",
            "datetime",
            "date",
            "time",
            "ts",
            "asof",
            "snapshotdate",
        ),
        *(
            "snapshottime",
            "updated",
            "createdat",
            "at",
            "opentime",
            "timeutc",
            "dateutc",
            "datetimeutc",
        ),
    ),
    "address": ("address", "contractaddress", "contract", "tokenaddress"),
    "currency": (
        "currency",
        "quotecurrency",
        "quoteasset",
        "quotesymbol",
        "quote",
        "vscurrency",
        "pricecurrency",
    ),
}
"""By role the keys of its headers, the first that a table has wins. A name that says USD goes before one that does not.

`created_at` is this service's own word, in `/data` and in exports, for when a record was observed,
and `at` that of the
export of history."""

PAIRS = ("pair", "market", "instrument", "instrumentid", "tradingpair", "marketpair")
"""Headers of a column that holds trading pairs, such as BTC/USDT: a symbol where no column is called one."""
SYMBOLS_BY_CELLS = ("coin", "crypto", "asset", "token", "code", "currency")
"""Headers of a column that holds tickers in some files and names in others: its cells decide."""

_FRACTIONS = frozenset({"24h", "24hr", "24hours"})
"""A change under these headers is a fraction where no cell shows per cent: 0.03 is 3 %."""
_NOT_OBSERVED = re.compile(
    r"ath|atl|launch|listed|added|start|first|genesis|inception|birth|end|expir|release|founded|created|born"
)
"""A time under such a header is one of the coin's life, not the time when the row was true."""
_CURRENCIES = (
    "eur|gbp|jpy|cny|krw|inr|rub|chf|aud|cad|brl|try|hkd|sgd|nzd|sek|nok|dkk|pln|mxn|zar|idr|thb|vnd|uah|aed|twd|php|"
    "ngn|ars|btc|eth|bnb|sats?|euros?|pounds?|yen|rupees?"
)
_FOREIGN_SIGN = re.compile("[\u20ac\u00a3\u00a5\u20a9\u20b9\u20bd\u20ba]")
_OTHER_CURRENCY = re.compile(
    rf"(?:(?:current|last|latest|closing)?price|close|marketcap|mktcap|mcap)(?:in)?({_CURRENCIES})"
    rf"|({_CURRENCIES})(?:price|close|marketcap|mktcap|mcap)"
)


class Columns(msgspec.Struct, frozen=True, kw_only=True):
    """The header of each column that is read; None where the table has none."""

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
    currency: str | None = None


@functools.lru_cache(maxsize=256)
def columns_of(headers: tuple[str, ...]) -> Columns:
    """Return which header means what, as far as headers tell.

    The order of the columns does not matter.
    """
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
        and not is_time_of_life(header)
    )


def is_time_of_life(header: str) -> bool:
    """Tell whether a time under this header is one of the coin's life, such as its launch."""
    return _NOT_OBSERVED.search(header_key(header)) is not None


def _without_base_volume(columns: Columns, by_key: dict[str, str]) -> Columns:
    """Leave out a candle's volume that may count coins instead of dollars.

    Exchanges count coins in `volume`; Yahoo (`Adj Close`) and CoinMarketCap (a market cap beside
    it) count dollars.
    """
    if not {"open", "high", "low"} <= by_key.keys() or columns.market_cap or "adjclose" in by_key:
        return columns
    if columns.volume is None or header_key(columns.volume) not in ("volume", "vol"):
        return columns
    return msgspec.structs.replace(columns, volume=None)


def refuse(headers: tuple[str, ...], columns: Columns, advice: str = "") -> SourceMalformedError:
    """Return the error of a table without a price or a symbol.

    It names columns by our names for them: the first line of a file that is not a table may be a
    secret.
    """
    known = ", ".join(
        role for role, header in msgspec.structs.asdict(columns).items() if header is not None
    )
    return SourceMalformedError(
        f"of its columns ({len(headers)}) these are known: {known or 'none'}; wanted are at least a symbol "
        f"(symbol or ticker) and a price (price, price_usd or current_price){advice}",
        seen=f"the columns are {shown_headers(headers)}",
    )


def refuse_without_price(headers: tuple[str, ...], columns: Columns) -> None:
    """Raise SourceMalformedError where no column holds a price in US dollars, naming one in another currency."""
    if columns.price is not None:
        return
    for header in headers:
        if other := other_currency(header):
            raise SourceMalformedError(
                f"a column is in {other.upper()}; prices are read in US dollars only, and no column holds them",
                seen=f"the columns are {shown_headers(headers)}",
            )
    raise refuse(headers, columns)


def other_currency(header: str) -> str | None:
    """Return the currency other than the dollar that a header of money names, None where it names none."""
    if symbol := _FOREIGN_SIGN.search(header):
        return symbol[0]
    match = _OTHER_CURRENCY.fullmatch(header_key(header))
    return match and (match[1] or match[2])


def is_fraction(header: str) -> bool:
    """Tell whether a change under this header is a fraction where its cells do not show otherwise."""
    return header_key(header) in _FRACTIONS and "%" not in header


def says_percent(header: str) -> bool:
    """Tell whether a header says that its column is in per cent."""
    return "%" in header or any(word in header_key(header) for word in ("percent", "pct"))


@functools.lru_cache(maxsize=4_096)
def header_key(header: str) -> str:
    """Return what a header is compared by: its letters and digits, in small letters.

    `Price (USD)` is `priceusd`.
    """
    text = unicodedata.normalize("NFKC", header).casefold()
    key = "".join(character for character in text if character.isalnum())
    # CoinMarketCap and CoinPaprika keep a coin's figures under its quote: `quotes.USD.price`.
    return re.sub(r"^quotes?usd(?=.)", "", key)


def shown_headers(headers: tuple[str, ...]) -> str:
    """Return the headers for a sentence, cut to a length that people read."""
    text = ", ".join(repr(header[:40]) for header in headers[:30])
    # As many as are shown above.
    return text if len(headers) <= 30 else f"{text} and {len(headers) - 30} more"  # noqa: PLR2004


def unique_headers(cells: list[str]) -> tuple[str, ...]:
    """Return the headers, the second of one name as `name (2)`, so that every cell keeps a key of its own."""
    headers: list[str] = []
    for cell in cells:
        name, count = cell.strip().lstrip("\ufeff"), 1
        header = name
        while header in headers:
            count += 1
            header = f"{name} ({count})"
        headers.append(header)
    return tuple(headers)

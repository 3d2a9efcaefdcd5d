"""What the columns of a CSV file mean, and what its cells say."""

import functools
import re
from decimal import Decimal

import msgspec

from ingestor.errors import SourceMalformedError
from ingestor.records import RecordError

_ALIASES = {
    "id": ("id", "coinid"),
    "symbol": ("symbol", "ticker"),
    "name": ("name", "coin"),
    "rank": ("rank", "marketcaprank", "cmcrank"),
    "price": ("price", "priceusd", "currentprice"),
    "market_cap": ("mktcap", "marketcap", "marketcapusd"),
    "volume": ("vol24h", "volume", "volume24h", "volume24husd", "totalvolume"),
    "percent": ("chg24h", "percentchange24h", "pricechangepercentage24h"),
    "fraction": ("24h",),
    "circulating_supply": ("circulatingsupply",),
    "total_supply": ("totalsupply",),
    "max_supply": ("maxsupply",),
    "time": ("lastupdated", "timestamp", "date", "createdat", "at"),
    "address": ("address", "contractaddress"),
}
"""Header names, without case, spaces and underscores. A column `24h` holds fractions: 0.03 is 3 %.

`created_at` is this service's own word, in `/data` and in exports, for when a record was observed, and `at` that of the
export of history."""


class Columns(msgspec.Struct, frozen=True, kw_only=True):
    """The header of each column that is read; None where the file has none."""

    symbol: str
    price: str
    id: str | None
    name: str | None
    rank: str | None
    market_cap: str | None
    volume: str | None
    percent: str | None
    fraction: str | None
    circulating_supply: str | None
    total_supply: str | None
    max_supply: str | None
    time: str | None
    address: str | None


@functools.lru_cache(maxsize=256)
def columns_of(headers: tuple[str, ...]) -> Columns:
    """Return which header means what. Raises SourceMalformedError naming the columns seen and those wanted."""
    by_key = {_key(header): header for header in sorted(headers, reverse=True)}
    found = {
        role: next((by_key[alias] for alias in aliases if alias in by_key), None) for role, aliases in _ALIASES.items()
    }
    try:
        return msgspec.convert(found, Columns)
    except msgspec.ValidationError:
        # By our names for them: the first line of a file that is no CSV may be a secret.
        known = ", ".join(role for role, header in found.items() if header is not None)
        raise SourceMalformedError(
            f"of its columns ({len(headers)}) these are known: {known or 'none'}; wanted are at least a symbol "
            "(symbol or ticker) and a price (price, price_usd or current_price)",
            seen=f"the columns are {_shown(headers)}",
        ) from None


def _key(header: str) -> str:
    return "".join(header.lower().split()).replace("_", "").replace("\ufeff", "")


def _shown(headers: tuple[str, ...]) -> str:
    text = ", ".join(repr(header[:40]) for header in headers[:30])
    return text if len(headers) <= 30 else f"{text} and {len(headers) - 30} more"  # noqa: PLR2004 - as many as are shown above


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


@functools.lru_cache(maxsize=256)
def columns_and_paths(headers: tuple[str, ...]) -> tuple[Columns, dict[str, str]]:
    """Return the columns, and by their roles the path of each within a row. Raises as `columns_of` does."""
    columns = columns_of(headers)
    return columns, {role: f"$.{header}" for role, header in msgspec.structs.asdict(columns).items()}


_PLAIN = re.compile(r"[+-]?\d+(?:\.\d*)?(?:e[+-]?\d{1,6})?", re.IGNORECASE | re.ASCII)
"""Most numbers. What else there is, `_NUMBER` reads, at three times the cost."""
_NUMBER = re.compile(
    r"""(?P<sign>[+-]?)\s*\$?\s*
        (?P<number>(?:\d{1,3}(?:,\d{2,3})*,\d{3}|\d+|(?=\.\d))(?:\.\d*)?(?:e[+-]?\d{1,6})?)
        \s*(?P<percent>%?)""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_MISSING = frozenset({"", "-", "--", "n/a", "na", "nan", "null", "none", "inf", "infinity", "\u221e", "?"})


def read_number(row: dict[str, str], column: str | None) -> Decimal | None:
    """Return the number in a row's cell, exactly: `$1,968.92`, `1.27e-05`; None for `+nan`, `N/A` and the like.

    Raises RecordError with the path of the cell.
    """
    number, percent = _read(row, column)
    if percent:
        raise RecordError(f"A per cent sign where money or an amount was wanted - at `$.{column}`")
    return number


def read_percent(row: dict[str, str], columns: Columns) -> Decimal | None:
    """Return the change of 24 hours in per cent. Raises RecordError with the path of the cell."""
    if columns.percent is not None:
        return _read(row, columns.percent)[0]
    number, percent = _read(row, columns.fraction)
    return number if number is None or percent else number.scaleb(2)


def _read(row: dict[str, str], column: str | None) -> tuple[Decimal | None, bool]:
    text = row.get(column, "").strip() if column else ""
    if not text:
        return None, False
    if _PLAIN.fullmatch(text):
        return Decimal(text), False
    match = _NUMBER.fullmatch(text)
    if match is not None:
        return Decimal(match["sign"] + match["number"].replace(",", "")), bool(match["percent"])
    if text.strip("+-$% ").lower() in _MISSING:
        return None, False
    raise RecordError(f"{text[:40]!r} is no number - at `$.{column}`")

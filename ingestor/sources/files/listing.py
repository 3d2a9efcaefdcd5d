"""Converts a row of a file to a listing."""

import datetime
from collections.abc import Callable
from decimal import Decimal
from typing import TypeVar

import msgspec

from common.chains import TokenAddress
from db.notes import Note
from ingestor.sources.addresses import read_address
from ingestor.sources.decode import decode_record
from ingestor.sources.files.cached import name_key, normalize_ticker
from ingestor.sources.files.conflicts import Verdict
from ingestor.sources.files.layout import RULES_KEY, VERDICT_KEY, Layout, layout_of
from ingestor.sources.files.numbers import is_missing
from ingestor.sources.normalize import FUTURE, not_negative, positive, rank_of, signed
from ingestor.sources.records import OBSERVED_AT, Listing, Record, RecordError
from ingestor.sources.times import parse_time

T = TypeVar("T")

_CONFLICT, _REPEATED = Verdict.CONFLICT.value, Verdict.REPEATED.value
_EARLIER = datetime.timedelta(microseconds=1)
NATIVE = "native"
"""The cell of a coin that has a chain of its own instead of a contract."""
_ROW = msgspec.json.Decoder(dict[str, str])


def listing_of(record: Record, fetched_at: datetime.datetime) -> Listing:
    """Return the listing of one row. Raises RecordError."""
    row = decode_record(record, _ROW)
    layout = layout_of(tuple(row), row.get(RULES_KEY, ""))
    symbol = layout.symbol(row)
    name = layout.name(row)
    name_words, core_words = name_key(name)
    observed_at, has_own_time = _observed_at(row, layout, fetched_at)
    layout.check_currency(row)
    price = layout.price(row)
    side = _OptionalCells(row, layout)
    beside = row.get(VERDICT_KEY)
    # A repeated row adds nothing, not even to history. Rows in conflict are all ignored.
    ignored = beside in {_CONFLICT, _REPEATED}
    return Listing(
        external_id=record.external_id,
        ticker=normalize_ticker(symbol, f"$.{layout.path('symbol')}"),
        symbol=symbol,
        name=name,
        name_words=name_words,
        core_words=core_words,
        rank=side.number("rank", rank_of),
        # A repeated row has the price of the other: it adds no point to history.
        price_usd=None if beside else positive(price, layout.paths["price"]),
        market_cap_usd=None if ignored else side.number("market_cap", positive),
        volume_24h_usd=None if ignored else side.number("volume", not_negative),
        percent_change_24h=None if ignored else side.number("change", signed),
        circulating_supply=side.number("circulating_supply", positive),
        total_supply=side.number("total_supply", positive),
        max_supply=side.number("max_supply", positive),
        # A repeated row must not be the newest of its time.
        observed_at=observed_at - _EARLIER if beside == _REPEATED else observed_at,
        has_own_time=has_own_time,
        content_hash=record.content_hash,
        addresses=_addresses(row, layout, side.notes),
        notes=tuple(side.notes),
    )


class _OptionalCells:
    """The optional cells of a row; one that cannot be read gives a note and counts as missing."""

    def __init__(self, row: dict[str, str], layout: Layout) -> None:
        self._row = row
        self._layout = layout
        self.notes: list[Note] = []

    def number(self, role: str, bounded: Callable[[Decimal | None, str], T | None]) -> T | None:
        """Return a number within its bounds, None if it is missing."""
        if role not in self._layout.paths:
            return None
        number = self._layout.optional_number(self._row, role, self.notes)
        try:
            return None if number is None else bounded(number, self._layout.paths[role])
        except RecordError as error:
            self.notes.append(Note(self._layout.paths[role], str(error)))
            return None


def _addresses(
    row: dict[str, str], layout: Layout, notes: list[Note]
) -> tuple[TokenAddress, ...] | None:
    """Return the contract of a row, none for an empty cell; None if the table has no contracts."""
    address, chain = layout.columns.address, layout.columns.chain
    if address is None:
        return None
    text = row.get(address, "").strip()
    if is_missing(text) or text.casefold() == NATIVE:
        return ()
    stated = row.get(chain, "").strip() if chain else ""
    found = read_address(text, stated, path=f"$.{address}", chain_path=f"$.{chain}")
    if isinstance(found, Note):
        notes.append(found)
        return ()
    return (found,)


def _observed_at(
    row: dict[str, str], layout: Layout, fetched_at: datetime.datetime
) -> tuple[datetime.datetime, bool]:
    """Return when a row was observed, and whether the row says so itself.

    Raises RecordError for the future.
    """
    moment = layout.time(row)
    if moment is None:
        path = f"$.{OBSERVED_AT}"
        stated = row.get(OBSERVED_AT)
        return (min(parse_time(stated, path), fetched_at) if stated else fetched_at), False
    if moment > fetched_at + FUTURE:
        header = layout.columns.time or ""
        raise RecordError(f"{row[header][:40]!r} lies in the future - at `$.{header}`")
    return moment, True

"""Generated files: what comes out of one equals what was put in, or a reader is told."""

import csv
import datetime
import io
import os
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db.notes import Note
from ingestor.errors import SourceError
from ingestor.records import Listing, RecordError
from ingestor.sources.files.paths import find_files
from ingestor.sources.files.reading import CsvReading
from ingestor.sources.files.source import CsvFiles

FILES = int(os.environ.get("GENERATED_FILES", "400"))
NOW = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)
FIRST = datetime.datetime(2015, 1, 1, tzinfo=datetime.UTC)
TIMES = (
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%SZ",
    "%d.%m.%Y %H:%M:%S",
    "%d/%m/%Y %H:%M:%S",
    "%b %d, %Y %H:%M:%S",
    "epoch",
    "ms",
)


@dataclass(frozen=True)
class Row:
    symbol: str
    name: str
    price: Decimal
    cap: Decimal | None
    change: Decimal | None
    time: datetime.datetime


@dataclass(frozen=True)
class Style:
    delimiter: str
    mark: str
    group: str
    quoting: int
    encoding: str
    line_end: str
    time: str
    headers: tuple[str, str, str, str, str, str]
    money: str
    missing: str
    preamble: tuple[str, ...]
    cut: int | None


@st.composite
def numbers(draw: st.DrawFn) -> Decimal:
    return Decimal(draw(st.integers(1, 10**12))).scaleb(-draw(st.integers(0, 9)))


rows = st.builds(
    Row,
    symbol=st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=1, max_size=6),
    name=st.text(st.characters(codec="utf-8", categories=("Lu", "Ll", "Nd", "Po", "Zs")), min_size=1, max_size=12),
    price=numbers(),
    cap=st.none() | numbers(),
    change=st.none() | st.integers(-9_000, 90_000).map(lambda number: Decimal(number).scaleb(-2)),
    time=st.integers(0, 340_000_000).map(lambda seconds: FIRST + datetime.timedelta(seconds=seconds)),
)
styles = st.builds(
    Style,
    delimiter=st.sampled_from(",;\t|"),
    mark=st.sampled_from(".,"),
    group=st.sampled_from(["", "other", "\u202f", "'"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
    time=st.sampled_from(TIMES),
    headers=st.sampled_from(
        [
            ("symbol", "name", "price", "market_cap", "change_24h", "date"),
            ("Ticker", "Coin", "Price (USD)", "Market-Cap", "24h %", "Last Updated"),
            ("SYMBOL", "Name", "current_price", "mktCap", "percent_change_24h", "snapped_at"),
        ]
    ),
    money=st.sampled_from(["{}", "${}", "{} USD", "US$ {}"]),
    missing=st.sampled_from(["", "N/A", "-", "nan", "<NA>"]),
    preamble=st.sampled_from([(), ("# a comment",), ("A title", "https://example.com")]),
    cut=st.none() | st.integers(1, 60),
)


def number_text(number: Decimal, style: Style) -> str:
    whole, _, fraction = f"{number:f}".partition(".")
    sign, whole = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    group = {",": ".", ".": ","}[style.mark] if style.group == "other" else style.group
    if group and len(whole) > 3:
        whole = f"{int(whole):,}".replace(",", group)
    return f"{sign}{whole}{style.mark}{fraction}" if fraction else f"{sign}{whole}"


def time_text(moment: datetime.datetime, style: Style) -> str:
    if style.time == "epoch":
        return str(int(moment.timestamp()))
    return str(int(moment.timestamp()) * 1000) if style.time == "ms" else moment.strftime(style.time)


def written(table: list[Row], style: Style) -> bytes:
    out = io.StringIO()
    out.writelines(line + style.line_end for line in style.preamble)
    writer = csv.writer(out, delimiter=style.delimiter, quoting=style.quoting, lineterminator=style.line_end)  # type: ignore[arg-type]  # a constant of csv
    writer.writerow(style.headers)
    for row in table:
        writer.writerow(
            [
                row.symbol,
                row.name,
                style.money.format(number_text(row.price, style)),
                style.missing if row.cap is None else style.money.format(number_text(row.cap, style)),
                style.missing if row.change is None else number_text(row.change, style),
                time_text(row.time, style),
            ]
        )
    content = out.getvalue().encode(style.encoding)
    return content if style.cut is None else content[: -style.cut]


def read(path: Path) -> tuple[list[Listing], list[str], list[Note]]:
    """Return the listings, the reasons of rejections, and the notes; a file that is refused is one reason."""
    source = CsvFiles(str(path))
    (file,) = find_files(str(path))
    listings: list[Listing] = []
    reasons: list[str] = []
    try:
        reading = CsvReading(file, file.identity.mtime_ns)
    except SourceError as error:
        return [], [str(error)], []
    try:
        part = reading.read_slice(1_000)
    finally:
        reading.close()
    reasons += [rejection.error for rejection in part.rejections]
    notes = reading.notes
    for record in part.records:
        try:
            listings.append(source.to_listing(record, NOW))
            notes += listings[-1].notes
        except RecordError as error:
            reasons.append(str(error))
    return listings, reasons, notes


@pytest.mark.timeout(0)
@settings(
    max_examples=FILES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(table=st.lists(rows, min_size=1, max_size=6), style=styles)
def test_what_comes_out_is_what_was_put_in_or_is_told(table: list[Row], style: Style, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(written(table, style))
    os.utime(path, (1_700_000_000, 1_700_000_000))  # it is written to its end
    listings, reasons, notes = read(path)
    texts = [*reasons, *(note.text for note in notes)]
    told = bool(reasons) or any(_is_doubt(text) for text in texts)
    put_in = {(row.symbol, row.price, row.cap, row.change, row.time) for row in table}
    for listing in listings:
        moment = listing.observed_at
        if moment.microsecond:  # one of several rows of one time: an earlier one counts
            moment += datetime.timedelta(microseconds=1)
        fields = (listing.ticker, listing.price_usd, listing.market_cap_usd, listing.percent_change_24h, moment)
        assert fields in put_in or told, (fields, texts)
    # Whole rows that were cut off leave no trace in a file.
    assert len(listings) == len(table) or told or style.cut, texts


def _is_doubt(text: str) -> bool:
    """Tell whether a note says that a value may be wrong or is missing; what is not read of a file is no doubt."""
    return not text.startswith(("Columns that are not read", "Lines before the header", "Rows that repeat"))
